"""Files like .env as nobody should write them, through the real settings, and a Broker made of the result."""

import os
import random
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from websockets.uri import parse_uri

from dca.core.errors import SettingsProblem, Unavailable
from dca.runtime import settings
from dca.runtime.settings import Settings
from proof.fuzz import junk
from proof.fuzz.transport import Answer, broker_with
from proof.fuzz.verdicts import Verdict, promise

GOOD = {
    "APCA_API_KEY_ID": "PKFUZZKEYID01",
    "APCA_API_SECRET_KEY": "hushhush-secret-1",
    "APCA_API_BASE_URL": "https://paper-api.alpaca.markets",
    "DB_HOST": "localhost",
    "DB_USER": "dca",
    "DB_PASSWORD": "sesame-secret-2",
    "DB_NAME": "dca_bot_db",
    "DB_PORT": "3306",
}
MAIL = {
    "ALERT_EMAIL_SENDER": "bot@example.com",
    "ALERT_EMAIL_RECEIVER": "you@example.com",
    "ALERT_EMAIL_SMTP_SERVER": "smtp.example.com",
    "ALERT_EMAIL_SMTP_PORT": "587",
    "ALERT_EMAIL_SMTP_USER": "bot",
    "ALERT_EMAIL_SMTP_PASSWORD": "mail-secret-3",
}
OTHERS = {
    "APCA_API_DATA_URL": "https://data.alpaca.markets",
    "APCA_API_STREAM_URL": "wss://paper-api.alpaca.markets/stream",
    "APCA_DATA_STREAM_URL": "wss://stream.data.alpaca.markets/v1beta3/crypto/us",
    "ALLOW_LIVE_TRADING": "no",
    "DB_SOCKET": "/run/mysqld/mysqld.sock",
    "STALE_ORDER_MINUTES": "5",
    "STUCK_SELL_SECONDS": "75",
    "CANCEL_FOREIGN_ORDERS": "no",
    "GONE_SECONDS": "30",
    "MAIL_CLOSED_CYCLES": "yes",
    "DIGEST_HOUR_UTC": "7",
    "HEARTBEAT_PING_URL": "https://ping.example.com/ping-secret-4",
    "MAX_QUOTE_AGE_SECONDS": "15",
    "MAX_SPREAD_PERCENT": "2",
    "QUIET_SECONDS": "120",
    "WORKERS": "4",
    "LOG_DIR": "logs",
    "STATE_DIR": "var",
}
NAMES = {*GOOD, *MAIL, *OTHERS}
SECRETS = (
    *("APCA_API_SECRET_KEY", "APCA_API_KEY_ID", "DB_PASSWORD", "ALERT_EMAIL_SMTP_PASSWORD"),
    "HEARTBEAT_PING_URL",
)
_SHORTEST_SECRET = 8
_URLS = (
    *(
        "http://paper-api.alpaca.markets",
        "ftp://a",
        "https://",
        "https:///v2",
        "//a",
        "a.b",
        "https://[::1",
        "://",
    ),
    *(
        "https://a..b",
        "https://" + "a" * 70 + ".com",
        "https://a:99999",
        "https://a:-1",
        "https://a:x",
        "https://\x00",
    ),
    *(
        "http://localhost:99999",
        "http://127.0.0.1:8000/v2/",
        "HTTPS://API.ALPACA.MARKETS",
        "https://u:p@a.b/c?d#e",
    ),
    *(
        "https://exam\uff0fple.com",
        "https://ключ.рф",
        "https://a b",
        "https://a\nb",
        "http://[::1]:80",
        "https://..",
    ),
    *(
        "http://0x7f000001",
        "http://127.1",
        "http://2130706433",
        "https://paper-api.alpaca.markets.evil.com",
        "wss://a",
    ),
)
_SECRET_TEXTS = (
    *(
        "YOUR_DOG_IS_CALLED_REX",
        "your_real_password_99",
        "a b c d e f g h",
        "ключ-который-длинный",
        "pass\x00word1",
    ),
    *(
        "pass\tword12",
        "\u202epassword",
        "💥💥💥💥💥💥💥💥",
        "x" * 70_000,
        "${HOME}-expanded",
        'it\'s "quoted" #1',
    ),
    *(
        "ftp://ping.example.com/secret-9",
        "http://ping.example.com/secret-9",
        "https://[secret-9",
        "https://a..b/secret-9",
    ),
)
_PATHS = (
    "/dev/null",
    "\x00",
    "a\x00b",
    "../../..",
    "/" + "x" * 5_000,
    "~root",
    "-",
    " ",
    "/proc/self/mem",
    "💥",
)
_MAIL_TEXTS = (
    "a@b\nBcc: c@d",
    "a@b\r\nX: y",
    "not an address",
    "@",
    "smtp..example.com",
    "a" * 300,
    "[::1]",
    "Ω@Ω",
)


class Environment:
    """One file, one set of names."""

    name = "env"

    def __init__(self) -> None:
        self.shown = ""
        self._folder = TemporaryDirectory(prefix="dca-fuzz-")
        self._file = Path(self._folder.name) / "env"

    def close(self) -> None:
        self._folder.cleanup()

    def trial(self, dice: random.Random) -> Verdict:
        data = _file(dice)
        self.shown = junk.brief(data)
        self._file.write_bytes(data)
        mode = dice.choice((None, 0o600, 0o600, 0o644, 0o777))
        values: dict[str, str] = {}
        try:
            values = settings.values_of(self._file)
            found = settings.parse(values, env_file_mode=mode)
        except SettingsProblem as error:
            _refused(error, values, self._file)
            return Verdict.REFUSED
        _usable(found)
        return Verdict.ACCEPTED


def _refused(error: SettingsProblem, values: dict[str, str], file: Path) -> None:
    promise(len(error.problems) > 0, "refused without a reason")
    for problem in error.problems:
        named = problem.split()[0]
        promise(
            named in NAMES or named in {str(file), ".env"} or named.isupper(),
            f"names nothing: {problem[:80]}",
        )
        promise(problem.isprintable(), f"cannot be printed: {ascii(problem)[:120]}")
        promise(len(problem) <= 1000, f"{len(problem)} characters about {named}")
    text = str(error)
    for name in SECRETS:
        secret = values.get(name, "").strip()
        open_ = " ".join(value for other, value in values.items() if other not in SECRETS)
        hidden = len(secret) >= _SHORTEST_SECRET and secret not in open_
        promise(not hidden or secret not in text, f"{name} is in the message")


def _usable(found: Settings) -> None:
    """What was taken can be used, or fails in one of the ways that are waited for."""
    for path in (found.log_dir, found.state_dir):
        promise(b"\x00" not in os.fsencode(path), "a folder that no system has")
    for url in (found.exchange.trading_stream_url, found.exchange.data_stream_url):
        parse_uri(url)
    _asked(found)
    if found.email is not None:
        message = EmailMessage()
        message["From"], message["To"] = found.email.sender, found.email.receiver
        found.email.smtp_server.encode("idna")


def _asked(found: Settings) -> None:
    """A request goes out with these keys to this address."""
    sent: list[requests.PreparedRequest] = []

    def answer(request: requests.PreparedRequest) -> Answer:
        sent.append(request)
        return Answer(body=b'{"timestamp": "2026-01-02T03:04:05Z"}')

    try:
        broker_with(answer, found.exchange).clock()
    except Unavailable as error:
        raise AssertionError(f"taken, and no request can be made of it: {error}") from error
    promise(len(sent) == 1, "no request")


def _file(dice: random.Random) -> bytes:
    values = dict(GOOD)
    if dice.random() < 0.5:
        values |= MAIL
    values |= {name: OTHERS[name] for name in dice.sample(sorted(OTHERS), dice.choice((0, 1, 3)))}
    for name in dice.sample(sorted(NAMES), dice.choice((1, 1, 2, 4, 10))):
        if dice.random() < 0.15:
            values.pop(name, None)
        else:
            values[name] = _value(name, dice)
    lines = [_LINES[dice.randrange(len(_LINES))](name, value) for name, value in values.items()]
    if dice.random() < 0.2:
        lines.insert(dice.randrange(len(lines) + 1), dice.choice(_ODD_LINES))
    text = dice.choice(("\n", "\n", "\n", "\r\n")).join(lines) + "\n"
    data = text.encode("utf-8", "surrogatepass" if dice.random() < 0.1 else "replace")
    return junk.damaged(data, dice) if dice.random() < 0.1 else data


def _value(name: str, dice: random.Random) -> str:
    if dice.random() < 0.25:
        return str(dice.choice((*junk.TEXTS, *junk.NUMBER_TEXTS)))
    if name in SECRETS:
        return dice.choice(_SECRET_TEXTS)
    if name.endswith("_URL"):
        return dice.choice(_URLS)
    if name.endswith("_DIR") or name == "DB_SOCKET":
        return dice.choice(_PATHS)
    if name.startswith("ALERT_") or name in {"DB_HOST", "DB_USER", "DB_NAME"}:
        return dice.choice(_MAIL_TEXTS)
    return str(dice.choice((*junk.NUMBER_TEXTS, "yes", "no", "YES", "maybe", "4.5", "100000", "100001")))


_LINES: tuple[Callable[[str, str], str], ...] = (
    lambda name, value: f"{name}={value}",
    lambda name, value: f"{name}={value}",
    lambda name, value: f'{name}="{value}"',
    lambda name, value: f"{name}='{value}'",
    lambda name, value: f"export {name} = {value}  # a comment",
    lambda name, value: f"  {name}\t=\t{value}",
)
_ODD_LINES = (
    *(
        "=",
        "==",
        "=value",
        "NAME",
        "1NAME=1",
        "'A'=1",
        'A="never closed',
        "A='never closed",
        "\x00",
        "# only a comment",
    ),
    *(
        "export",
        "export =",
        "A=$(rm -rf /)",
        "A=`id`",
        "A=${A}",
        "APCA_API_KEY_ID=again",
        "[section]",
        "a: yaml",
        "{}",
    ),
    *("\\", "A=1\\", "\ufeffA=1", "A" * 20_000 + "=1", "A=" + "b" * 200_000, "\x1b[2J=1"),
)
