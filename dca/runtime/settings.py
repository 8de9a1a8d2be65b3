"""The environment and .env, turned into one frozen Settings, checked whole. The only reader of os.environ."""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from dca.core.errors import SettingsProblem
from dca.core.order_limits import Fuse
from dca.core.selling import OnMissingBook, Selling, TakeProfitBy, TakeProfitOrder
from dca.runtime.env_reader import SECRETS, Reader
from dca.runtime.hosts import is_loopback

ROOT = Path(__file__).resolve().parents[2]
_PAPER_HOST = "paper-api.alpaca.markets"
_LIVE_HOST = "api.alpaca.markets"


class Venue(StrEnum):
    """Where orders go. Anything that is neither Alpaca's paper host nor this machine is live money."""

    LOCAL = "LOCAL"
    PAPER = "PAPER"
    LIVE = "LIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """Where the exchange is, and the keys to it."""

    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    trading_url: str
    data_url: str
    trading_stream_url: str
    data_stream_url: str
    venue: Venue


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """`socket`, where given, wins over host and port."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str
    socket: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailSettings:
    """Who mails whom, by which server; without a user it asks for no login. `smtp_ca_file`: the certificates
    that are trusted in the place of the system's."""

    sender: str
    receiver: str
    smtp_server: str
    smtp_port: int
    smtp_user: str | None
    smtp_password: str | None = field(repr=False)
    smtp_ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of .env, checked."""

    exchange: ExchangeSettings
    database: DatabaseSettings
    email: EmailSettings | None
    send_mail_on_closed_cycles: bool
    digest_hour_utc: int
    heartbeat_ping_url: str | None = field(repr=False)
    stale_order_limit: timedelta
    stuck_sell_limit: timedelta
    gone_seconds: float
    cancel_foreign_orders: bool
    quiet_period: timedelta
    max_quote_age_seconds: Decimal
    max_spread_percent: Decimal
    fuse: Fuse
    selling: Selling
    requests_per_minute: int
    workers: int
    log_dir: Path
    state_dir: Path
    warnings: tuple[str, ...]

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be in no line, mail, table or file but .env."""
        mail = None if self.email is None else self.email.smtp_password
        keys = (self.exchange.secret_key, self.exchange.key_id, self.database.password)
        return tuple(secret for secret in (*keys, mail, self.heartbeat_ping_url) if secret)


def keep_no_tls_keys() -> None:
    """Forget the name of the file into which Python would write the keys of every TLS connection."""
    os.environ.pop("SSLKEYLOGFILE", None)


def load() -> Settings:
    """Read the process environment and, below it, the file that DCA_ENV_FILE names (default: our .env).

    Raises:
        SettingsProblem: with every problem there is.
    """
    path = env_file()
    values, mode = values_of(path) | dict(os.environ), _mode_of(path)
    if mode is None and not values.keys() & SECRETS:  # whoever has no file may have it all in the environment
        raise SettingsProblem([f"there is no {path}: ./bot install makes it and asks for what goes into it"])
    return parse(values, env_file_mode=mode)


def env_file() -> Path:
    """The file that the settings are in, whether there is one or not."""
    return Path(os.environ.get("DCA_ENV_FILE") or ROOT / ".env")


def values_of(path: Path) -> dict[str, str]:
    """Names and values of a file like .env; none if there is no file.

    Raises:
        SettingsProblem: it cannot be read.
    """
    try:
        found = dotenv_values(path, encoding="utf-8-sig", interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsProblem([f"{path} cannot be read: {error}"]) from error
    return {name: value or "" for name, value in found.items()}


def from_environment(names: Iterable[str]) -> dict[str, str]:
    """Those of the names that the process environment has."""
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _mode_of(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsProblem([f"{path} cannot be read: {error.strerror}"]) from error


def _least_quiet(venue: Venue) -> str:
    """Seconds. Giving an order up rests on it: it has to be longer than a request may be under way and than
    the exchange needs to show an order that it took (faults.md D.1). A local exchange is quick."""
    return "1" if venue is Venue.LOCAL else "60"


def parse(values: Mapping[str, str], *, env_file_mode: int | None) -> Settings:
    """Settings from names and texts.

    Raises:
        SettingsProblem: with every problem there is.
    """
    read = Reader(values)
    exchange = _exchange(read)
    warnings = _permissions(read, exchange.venue, env_file_mode)
    settings = Settings(
        exchange=exchange,
        database=_database(read),
        email=_email(read),
        send_mail_on_closed_cycles=read.switch("MAIL_CLOSED_CYCLES"),
        digest_hour_utc=read.whole("DIGEST_HOUR_UTC", "7", least="0", most="23"),
        heartbeat_ping_url=_ping_url(read),
        stuck_sell_limit=_span(read, "STUCK_SELL_SECONDS", "75", seconds=1, least="1"),
        gone_seconds=float(read.number("GONE_SECONDS", "30", least="1", most="200")),
        cancel_foreign_orders=read.switch("CANCEL_FOREIGN_ORDERS"),
        stale_order_limit=_span(read, "STALE_ORDER_MINUTES", "5", seconds=60, least="0.01"),
        quiet_period=_span(read, "QUIET_SECONDS", "120", seconds=1, least=_least_quiet(exchange.venue)),
        max_quote_age_seconds=read.number("MAX_QUOTE_AGE_SECONDS", "15", least="1", most="300"),
        max_spread_percent=read.number("MAX_SPREAD_PERCENT", "2", least="0.01", most="50"),
        fuse=Fuse(
            per_minute=read.whole("MAX_ORDERS_PER_MINUTE", "4", least="1", most="1000000"),
            per_hour=read.whole("MAX_ORDERS_PER_HOUR", "60", least="1", most="1000000"),
        ),
        selling=_selling(read),
        requests_per_minute=read.whole("MAX_REQUESTS_PER_MINUTE", "130", least="40", most="1000000"),
        workers=read.whole("WORKERS", "16", least="1", most="32"),
        log_dir=ROOT / (read.optional("LOG_DIR") or "logs"),  # relative to the project, wherever it runs
        state_dir=ROOT / (read.optional("STATE_DIR") or "var"),
        warnings=tuple(warnings),
    )
    if read.problems:
        raise SettingsProblem(read.problems)
    return settings


def _selling(read: Reader) -> Selling:
    return Selling(
        by=read.word("TAKE_PROFIT_BY", TakeProfitBy),
        order=read.word("TAKE_PROFIT_ORDER", TakeProfitOrder),
        max_slippage_bps=read.number("MAX_SLIPPAGE_BPS", "0", least="0", most="1000"),
        on_missing_book=read.word("ON_MISSING_BOOK", OnMissingBook),
        max_book_age_seconds=read.number("MAX_BOOK_AGE_SECONDS", "15", least="1", most="300"),
    )


def _span(read: Reader, name: str, default: str, *, seconds: int, least: str) -> timedelta:
    return timedelta(seconds=float(read.number(name, default, least=least, most="100000")) * seconds)


def _exchange(read: Reader) -> ExchangeSettings:
    name = "APCA_API_BASE_URL"
    base = read.url(name, read.required(name, f"https://{_PAPER_HOST}"), ("https", "http"))
    if base.endswith("/v2"):
        read.problems.append(f"{name} is {base!r}: leave out the /v2")
    host = urlsplit(base).hostname or ""
    local = is_loopback(host)
    venue = Venue.LOCAL if local else Venue.PAPER if host == _PAPER_HOST else Venue.LIVE
    sockets = base.replace("http", "ws", 1)
    data = base if local else "https://data.alpaca.markets"
    data_stream = (sockets if local else "wss://stream.data.alpaca.markets") + "/v1beta3/crypto/us"
    settings = ExchangeSettings(
        key_id=read.key("APCA_API_KEY_ID", "PK..."),
        secret_key=read.key("APCA_API_SECRET_KEY", "..."),
        trading_url=base,
        data_url=_url_or(read, "APCA_API_DATA_URL", data, ("https", "http")),
        trading_stream_url=_url_or(read, "APCA_API_STREAM_URL", sockets + "/stream", ("wss", "ws")),
        data_stream_url=_url_or(read, "APCA_DATA_STREAM_URL", data_stream, ("wss", "ws")),
        venue=venue,
    )
    stream_host = urlsplit(settings.trading_stream_url).hostname or ""
    if host and stream_host != host and not (local and is_loopback(stream_host)):
        read.problems.append(
            f"APCA_API_STREAM_URL is at {stream_host}, {name} at {host}: orders and their updates must be "
            "of one account; leave APCA_API_STREAM_URL out"
        )
    if not read.switch("ALLOW_LIVE_TRADING") and venue is Venue.LIVE and host:
        read.problems.append(
            f"{name} is {base!r}, which trades real money, and ALLOW_LIVE_TRADING is not yes: "
            f"set ALLOW_LIVE_TRADING=yes to allow it, or use https://{_PAPER_HOST}"
        )
    return settings


def _url_or(read: Reader, name: str, default: str, schemes: tuple[str, str]) -> str:
    given = read.optional(name)
    return default if given is None else read.url(name, given, schemes)


def _database(read: Reader) -> DatabaseSettings:
    socket = read.optional("DB_SOCKET")
    return DatabaseSettings(
        host=read.optional("DB_HOST") or "localhost" if socket else read.required("DB_HOST", "localhost"),
        port=read.whole("DB_PORT", "3306", least="1", most="65535"),
        user=read.required("DB_USER", "dca"),
        password=read.required("DB_PASSWORD", "..."),
        name=read.required("DB_NAME", "dca_bot_db"),
        socket=socket,
    )


def _email(read: Reader) -> EmailSettings | None:
    """Mail is off when none of its names is set, and has to be whole when one is."""
    names = ("SENDER", "RECEIVER", "SMTP_SERVER", "SMTP_USER", "SMTP_PASSWORD", "SMTP_PORT", "SMTP_CAFILE")
    if not any(read.optional(f"ALERT_EMAIL_{name}") for name in names):
        return None
    ca_file = read.optional("ALERT_EMAIL_SMTP_CAFILE")
    return EmailSettings(
        sender=read.addresses("ALERT_EMAIL_SENDER", "bot@example.com", several=False),
        receiver=read.addresses("ALERT_EMAIL_RECEIVER", "you@example.com", several=True),
        smtp_server=read.host("ALERT_EMAIL_SMTP_SERVER", "smtp.example.com"),
        smtp_port=read.whole("ALERT_EMAIL_SMTP_PORT", "587", least="1", most="65535"),
        smtp_user=read.optional("ALERT_EMAIL_SMTP_USER"),
        smtp_password=read.optional("ALERT_EMAIL_SMTP_PASSWORD"),
        smtp_ca_file=None if ca_file is None else ROOT / ca_file,
    )


def _ping_url(read: Reader) -> str | None:
    given = read.optional("HEARTBEAT_PING_URL")
    return None if given is None else read.url("HEARTBEAT_PING_URL", given, ("https", "http"))


def _permissions(read: Reader, venue: Venue, mode: int | None) -> list[str]:
    """Whether others may read the keys: worth a warning on paper, a refusal live."""
    if mode is None or mode & 0o077 == 0:
        return []
    complaint = f".env can be read by other users of this machine (mode {mode:o}): run chmod 600 .env"
    if venue is Venue.LIVE:
        read.problems.append(complaint)
        return []
    return [complaint]
