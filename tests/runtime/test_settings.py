"""The environment and .env: checked whole, every problem in one message, no secret in any of them."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from dca.core.errors import SettingsProblem
from dca.runtime import settings
from dca.runtime.settings import Venue
from tests.good_settings import GOOD, MAIL, PRIVATE, about, parsed

ROOT = Path(__file__).resolve().parents[2]
LIVE = {"APCA_API_BASE_URL": "https://api.alpaca.markets", "ALLOW_LIVE_TRADING": "yes"}
LOCAL = {"APCA_API_BASE_URL": "http://127.0.0.1:8000"}


def problems(mode: int | None = PRIVATE, /, **changes: str) -> list[str]:
    """What is wrong with the good settings after these changes."""
    try:
        parsed(mode, **changes)
    except SettingsProblem as problem:
        return problem.problems
    return []


def test_good_settings_and_their_defaults() -> None:
    found = parsed()
    assert found.exchange.venue is Venue.PAPER
    assert found.exchange.trading_url == "https://paper-api.alpaca.markets"
    assert found.exchange.data_url == "https://data.alpaca.markets"
    assert found.exchange.trading_stream_url == "wss://paper-api.alpaca.markets/stream"
    assert found.exchange.data_stream_url == "wss://stream.data.alpaca.markets/v1beta3/crypto/us"
    assert (found.database.host, found.database.port, found.database.socket) == ("localhost", 3306, None)
    assert found.email is None
    assert found.stale_order_limit == timedelta(minutes=5)
    assert found.quiet_period == timedelta(seconds=120)
    assert (found.max_quote_age_seconds, found.max_spread_percent) == (Decimal(15), Decimal(2))
    assert (found.fuse.per_minute, found.fuse.per_hour, found.requests_per_minute) == (4, 60, 130)
    assert (found.log_dir, found.state_dir) == (ROOT / "logs", ROOT / "var")
    assert found.warnings == ()


def test_every_problem_is_told_in_one_go() -> None:
    with pytest.raises(SettingsProblem) as caught:
        settings.parse(
            {
                "APCA_API_BASE_URL": "ftp://paper-api.alpaca.markets",
                "DB_PORT": "70000",
                "STALE_ORDER_MINUTES": "soon",
                "WORKERS": "1.5",
                "ALLOW_LIVE_TRADING": "maybe",
                "ALERT_EMAIL_SENDER": "bot@example.com",
            },
            env_file_mode=PRIVATE,
        )
    found = about(caught.value.problems)
    for name in (
        *("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "APCA_API_BASE_URL", "ALLOW_LIVE_TRADING"),
        *("DB_HOST", "DB_USER", "DB_PASSWORD", "DB_NAME", "DB_PORT"),
        *("STALE_ORDER_MINUTES", "WORKERS", "ALERT_EMAIL_RECEIVER", "ALERT_EMAIL_SMTP_SERVER"),
    ):
        assert name in found, name
    for text in caught.value.problems:
        assert text in str(caught.value)


@pytest.mark.parametrize("name", [name for name in GOOD if name != "DB_PORT"])
@pytest.mark.parametrize("value", ["", "   "])
def test_a_missing_name_is_named_with_an_example(name: str, value: str) -> None:
    found = problems(**{name: value})
    assert about(found) == [name]
    assert "is missing" in found[0] and f"{name}=" in found[0]


BAD = [
    ("APCA_API_KEY_ID", "YOUR_ALPACA_API_KEY_ID"),
    ("DB_USER", "your_db_user"),
    ("DB_PORT", "0"),
    ("DB_PORT", "65536"),
    ("DB_PORT", "3306.5"),
    ("DB_PORT", "mysql"),
    ("STALE_ORDER_MINUTES", "0"),
    ("STALE_ORDER_MINUTES", "-5"),
    ("STALE_ORDER_MINUTES", "NaN"),
    ("STALE_ORDER_MINUTES", "Infinity"),
    ("QUIET_SECONDS", "0.5"),
    ("MAX_QUOTE_AGE_SECONDS", "0"),
    ("MAX_SPREAD_PERCENT", "0"),
    ("MAX_SPREAD_PERCENT", "51"),
    ("MAX_ORDERS_PER_MINUTE", "0"),
    ("MAX_ORDERS_PER_HOUR", "few"),
    ("MAX_REQUESTS_PER_MINUTE", "39"),
    ("WORKERS", "0"),
    ("WORKERS", "33"),
    ("ALLOW_LIVE_TRADING", "true"),
    # URLs: encrypted, except on this machine; whole; without the version.
    ("APCA_API_BASE_URL", "paper-api.alpaca.markets"),
    ("APCA_API_BASE_URL", "http://paper-api.alpaca.markets"),
    ("APCA_API_BASE_URL", "https://paper-api.alpaca.markets/v2"),
    ("APCA_API_BASE_URL", "https://paper-api.alpaca.markets/v2/"),
    ("APCA_API_BASE_URL", "https://"),
    ("APCA_API_BASE_URL", "wss://paper-api.alpaca.markets"),
    ("APCA_API_DATA_URL", "http://data.alpaca.markets"),
    ("APCA_API_DATA_URL", "wss://data.alpaca.markets"),
    ("APCA_API_STREAM_URL", "https://paper-api.alpaca.markets/stream"),
    ("APCA_API_STREAM_URL", "ws://paper-api.alpaca.markets/stream"),
    ("APCA_API_STREAM_URL", "wss://api.alpaca.markets/stream"),
    ("APCA_DATA_STREAM_URL", "ws://stream.data.alpaca.markets/v1beta3/crypto/us"),
    ("APCA_DATA_STREAM_URL", "stream.data.alpaca.markets"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    found = problems(**{name: value})
    assert set(about(found)) == {name}, found


@pytest.mark.parametrize("name", ["APCA_API_BASE_URL", "APCA_API_STREAM_URL"])
def test_a_url_that_cannot_be_read_is_a_problem_and_no_crash(name: str) -> None:
    assert name in about(problems(**{name: "https://[paper-api.alpaca.markets"}))


def test_a_scheme_in_capitals_leads_to_usable_streams() -> None:
    found = problems(APCA_API_BASE_URL="HTTPS://paper-api.alpaca.markets")
    assert found or parsed(
        APCA_API_BASE_URL="HTTPS://paper-api.alpaca.markets"
    ).exchange.trading_stream_url.lower().startswith("wss://")


# ---- paper, live, local ----


@pytest.mark.parametrize(
    "url",
    [
        "https://api.alpaca.markets",
        "https://paper-api.alpaca.markets.example.com",
        "https://paper-api.alpaca.markets@example.com",
        "https://example.com/paper-api.alpaca.markets",
        "https://broker-api.alpaca.markets",
        "https://localhost.example.com",
        "https://10.0.0.1",
        "https://0.0.0.0",
    ],
)
def test_whatever_is_neither_paper_nor_local_is_live_and_needs_the_switch(url: str) -> None:
    assert any("ALLOW_LIVE_TRADING" in text for text in problems(APCA_API_BASE_URL=url))
    assert any("real money" in text for text in problems(APCA_API_BASE_URL=url, ALLOW_LIVE_TRADING="no"))
    assert parsed(APCA_API_BASE_URL=url, ALLOW_LIVE_TRADING="yes").exchange.venue is Venue.LIVE
    assert parsed(APCA_API_BASE_URL=url, ALLOW_LIVE_TRADING="YES").exchange.venue is Venue.LIVE


def test_the_switch_alone_changes_nothing() -> None:
    assert parsed(ALLOW_LIVE_TRADING="yes").exchange.venue is Venue.PAPER


def test_live_streams_are_the_live_ones() -> None:
    found = parsed(**LIVE).exchange
    assert found.trading_stream_url == "wss://api.alpaca.markets/stream"
    assert found.data_stream_url == "wss://stream.data.alpaca.markets/v1beta3/crypto/us"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "[::1]", "LOCALHOST"])
def test_this_machine_needs_no_encryption_and_no_switch(host: str) -> None:
    found = parsed(APCA_API_BASE_URL=f"http://{host}:8000/").exchange
    assert found.venue is Venue.LOCAL
    assert found.trading_url == found.data_url == f"http://{host}:8000"
    assert found.trading_stream_url == f"ws://{host}:8000/stream"
    assert found.data_stream_url == f"ws://{host}:8000/v1beta3/crypto/us"


def test_all_four_endpoints_of_another_exchange_can_be_given() -> None:
    found = parsed(
        **LOCAL,
        APCA_API_DATA_URL="http://127.0.0.1:8001",
        APCA_API_STREAM_URL="ws://localhost:8002/stream",
        APCA_DATA_STREAM_URL="ws://127.0.0.1:8003/v1beta3/crypto/us",
    ).exchange
    assert found.data_url == "http://127.0.0.1:8001"
    assert found.trading_stream_url == "ws://localhost:8002/stream"
    assert found.data_stream_url == "ws://127.0.0.1:8003/v1beta3/crypto/us"


@pytest.mark.parametrize(
    ("base", "stream"),
    [
        ("https://paper-api.alpaca.markets", "wss://api.alpaca.markets/stream"),
        ("https://paper-api.alpaca.markets", "ws://127.0.0.1:8000/stream"),
        ("http://127.0.0.1:8000", "wss://paper-api.alpaca.markets/stream"),
    ],
)
def test_orders_and_their_updates_must_be_of_one_account(base: str, stream: str) -> None:
    found = problems(APCA_API_BASE_URL=base, APCA_API_STREAM_URL=stream)
    assert any("one account" in text for text in found)


# ---- who can read .env ----


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_read_is_warned_about_on_paper_and_refused_live(mode: int) -> None:
    warnings = parsed(mode).warnings
    assert len(warnings) == 1 and f"{mode:o}" in warnings[0] and "chmod 600" in warnings[0]
    assert any("chmod 600" in text for text in problems(mode, **LIVE))


@pytest.mark.parametrize("mode", [0o600, 0o400, None])
def test_a_private_file_is_fine(mode: int | None) -> None:
    assert parsed(mode).warnings == ()
    assert problems(mode, **LIVE) == []


# ---- database and mail ----


def test_a_socket_stands_for_host_and_port() -> None:
    found = settings.parse(
        {**{k: v for k, v in GOOD.items() if k not in {"DB_HOST", "DB_PORT"}}, "DB_SOCKET": "/run/db.sock"},
        env_file_mode=PRIVATE,
    ).database
    assert (found.socket, found.host, found.port) == ("/run/db.sock", "localhost", 3306)


def test_mail_is_whole_or_off() -> None:
    whole = parsed(**MAIL).email
    assert whole is not None
    assert (whole.sender, whole.receiver) == ("bot@example.com", "you@example.com")
    assert (whole.smtp_server, whole.smtp_port) == ("smtp.example.com", 2525)
    assert (whole.smtp_user, whole.smtp_password) == ("bot", "mailsecret")
    needed = {"ALERT_EMAIL_SENDER", "ALERT_EMAIL_RECEIVER", "ALERT_EMAIL_SMTP_SERVER"}
    for name in MAIL:
        assert set(about(problems(**{name: MAIL[name]}))) == needed - {name}


def test_mail_needs_no_login() -> None:
    names = ("ALERT_EMAIL_SENDER", "ALERT_EMAIL_RECEIVER", "ALERT_EMAIL_SMTP_SERVER")
    found = parsed(**{name: MAIL[name] for name in names}).email
    assert found is not None
    assert (found.smtp_port, found.smtp_user, found.smtp_password) == (587, None, None)


def test_no_secret_is_ever_shown() -> None:
    secrets = ("PKTESTKEY", "hushhush", "sesame", "mailsecret")
    shown = repr(parsed(**MAIL)) + str(parsed(**MAIL))
    assert not [secret for secret in secrets if secret in shown]
    with pytest.raises(SettingsProblem) as caught:
        parsed(**MAIL, DB_PORT="x", APCA_API_STREAM_URL="x", WORKERS="x")
    assert not [secret for secret in secrets if secret in str(caught.value)]


def test_relative_folders_are_the_project_s_whatever_the_working_directory() -> None:
    found = parsed(LOG_DIR="my-logs", STATE_DIR="../state")
    assert (found.log_dir, found.state_dir) == (ROOT / "my-logs", ROOT / "../state")
    assert parsed(LOG_DIR="/var/log/dca").log_dir == Path("/var/log/dca")
