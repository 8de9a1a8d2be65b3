"""The file .env as people write it, and one set of names in the code, in .env.example and in README.md."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from dotenv import dotenv_values

from dca.core.errors import SettingsProblem
from dca.runtime import settings
from dca.runtime.settings import Settings
from tests.good_settings import GOOD, MAIL, PRIVATE, about, parsed
from tests.processes import ROOT

EXAMPLE = ROOT / ".env.example"
OWNERS_NAMES = {*GOOD, *MAIL}
"""The names that the project's first README gave; they stay."""
OTHER_NAMES = {
    "APCA_API_DATA_URL",
    "APCA_API_STREAM_URL",
    "APCA_DATA_STREAM_URL",
    "ALLOW_LIVE_TRADING",
    "DB_SOCKET",
    "STALE_ORDER_MINUTES",
    "STUCK_SELL_SECONDS",
    "CANCEL_FOREIGN_ORDERS",
    "GONE_SECONDS",
    "MAIL_CLOSED_CYCLES",
    "DIGEST_HOUR_UTC",
    "HEARTBEAT_PING_URL",
    "ALERT_EMAIL_SMTP_CAFILE",
    "MAX_QUOTE_AGE_SECONDS",
    "MAX_SPREAD_PERCENT",
    "MAX_ORDERS_PER_MINUTE",
    "MAX_ORDERS_PER_HOUR",
    "MAX_REQUESTS_PER_MINUTE",
    "TAKE_PROFIT_BY",
    "TAKE_PROFIT_ORDER",
    "MAX_SLIPPAGE_BPS",
    "ON_MISSING_BOOK",
    "MAX_BOOK_AGE_SECONDS",
    "QUIET_SECONDS",
    "WORKERS",
    "LOG_DIR",
    "STATE_DIR",
}


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where load() looks, with nothing of ours in the process environment."""
    for name in OWNERS_NAMES | OTHER_NAMES:
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "env"
    monkeypatch.setenv("DCA_ENV_FILE", str(path))
    yield path


def written(path: Path, text: str) -> Settings:
    path.write_bytes(text.encode())
    path.chmod(PRIVATE)
    return settings.load()


PLAIN = "".join(f"{name}={value}\n" for name, value in GOOD.items() if name != "DB_PASSWORD")


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("DB_PASSWORD=plain", "plain"),
        ('DB_PASSWORD="quoted"', "quoted"),
        ("DB_PASSWORD='single'", "single"),
        ('DB_PASSWORD="a # b"  # the real comment', "a # b"),
        ("DB_PASSWORD=a#b", "a#b"),
        ("DB_PASSWORD=plain # a comment", "plain"),
        ('DB_PASSWORD="pay $100 ${HOME}"', "pay $100 ${HOME}"),
        ("DB_PASSWORD = spaced ", "spaced"),
        ("export DB_PASSWORD=exported", "exported"),
        ('DB_PASSWORD="ä€"', "ä€"),
    ],
)
def test_lines_are_read_as_people_write_them(env_file: Path, line: str, password: str) -> None:
    assert written(env_file, PLAIN + line + "\n").database.password == password


@pytest.mark.parametrize("start", ["", "\ufeff", "# a comment\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_of_other_editors_are_read(env_file: Path, start: str, end: str) -> None:
    text = start + PLAIN + 'DB_PASSWORD="sesame" # comment\n'
    assert written(env_file, text.replace("\n", end)) == parsed()


def test_the_process_environment_wins(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "from outside")
    assert written(env_file, PLAIN + "DB_PASSWORD=inside\n").database.password == "from outside"


def test_the_mode_of_the_file_is_looked_at(env_file: Path) -> None:
    written(env_file, PLAIN + "DB_PASSWORD=x\n")
    env_file.chmod(0o644)
    assert "chmod 600" in settings.load().warnings[0]


def test_no_file_is_no_crash(env_file: Path) -> None:
    with pytest.raises(SettingsProblem) as caught:
        settings.load()
    assert caught.value.problems == [
        f"there is no {env_file}: ./bot install makes it and asks for what goes into it"
    ]


def test_a_file_that_cannot_be_read_is_named(env_file: Path) -> None:
    env_file.write_bytes(b"DB_PASSWORD=\xff\xfe\n")
    with pytest.raises(SettingsProblem, match=re.escape(str(env_file))):
        settings.load()


OWNERS_FILE = """
# Alpaca API Credentials
APCA_API_KEY_ID="PKTESTKEY"
APCA_API_SECRET_KEY="hushhush"
APCA_API_BASE_URL="https://paper-api.alpaca.markets" # For paper trading
# APCA_API_BASE_URL="https://api.alpaca.markets" # For live trading

# Database Credentials
DB_HOST="localhost"
DB_USER="dca"
DB_PASSWORD="sesame"
DB_NAME="dca_bot_db"
DB_PORT="3306" # Or your MySQL/MariaDB port

# Watchdog Email Alert Configuration (Optional)
ALERT_EMAIL_SENDER="bot@example.com"
ALERT_EMAIL_RECEIVER="you@example.com"
ALERT_EMAIL_SMTP_SERVER="smtp.example.com"
ALERT_EMAIL_SMTP_PORT=2525
ALERT_EMAIL_SMTP_USER="bot" # Often same as sender
ALERT_EMAIL_SMTP_PASSWORD="mailsecret"
"""


def test_the_file_of_the_first_readme_is_read(env_file: Path) -> None:
    assert written(env_file, OWNERS_FILE) == parsed(**MAIL)


# ---- one set of names ----


class _Listening(dict[str, str]):
    """Values that remember which names were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.asked.add(name)
        return super().get(name, default)


def names_read() -> set[str]:
    values = _Listening({**GOOD, **MAIL})
    settings.parse(values, env_file_mode=PRIVATE)
    return values.asked


def test_settings_read_the_names_that_are_documented_and_no_others() -> None:
    assert names_read() == OWNERS_NAMES | OTHER_NAMES


def test_the_example_has_every_name_once_with_a_comment_above_its_group() -> None:
    lines = EXAMPLE.read_text().splitlines()
    named = [found[1] for line in lines if (found := re.match(r"(?:# )?([A-Z][A-Z_]+)=", line))]
    assert sorted(named) == sorted(names_read())


def test_the_example_is_complained_about_until_it_is_filled_in() -> None:
    values = {name: value or "" for name, value in dotenv_values(EXAMPLE, interpolate=False).items()}
    with pytest.raises(SettingsProblem) as caught:
        settings.parse(values, env_file_mode=PRIVATE)
    assert about(caught.value.problems) == [
        "APCA_API_KEY_ID",
        "APCA_API_SECRET_KEY",
        "DB_USER",
        "DB_PASSWORD",
    ]


def test_what_the_example_says_in_comments_are_the_defaults(tmp_path: Path) -> None:
    """Filled in, and with every commented line but those of paths and mail made real: nothing changes."""
    keep = re.compile(r"^# (?!DB_SOCKET|LOG_DIR|STATE_DIR|ALERT_EMAIL)([A-Z][A-Z_]+=)", re.M)
    filled = tmp_path / "env"
    filled.write_text(keep.sub(r"\1", EXAMPLE.read_text()))
    values = {name: value or "" for name, value in dotenv_values(filled, interpolate=False).items()}
    own = {name: GOOD[name] for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "DB_USER", "DB_PASSWORD")}
    assert settings.parse({**values, **own}, env_file_mode=PRIVATE) == parsed()


def test_the_readme_names_nothing_that_is_not_read() -> None:
    named = re.findall(r"\b(?:APCA|DB|ALERT|ALLOW)_[A-Z_]+\b", (ROOT / "README.md").read_text())
    assert named and set(named) <= names_read()
