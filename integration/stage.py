"""Set-up and clean-up: what a scenario finds when it begins, and what is left when all is over."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from dca.core.errors import DcaError
from dca.core.model import Mode, plain
from dca.database.store import Store
from dca.exchange import account_checks
from dca.exchange.request_budget import Pace, main_app
from dca.exchange.rest_client import Broker
from dca.runtime import settings as settings_module
from dca.runtime.clock import SystemClock
from dca.runtime.settings import ROOT, Settings, Venue
from integration import database
from integration.account import Account
from integration.books import DOLLARS, Books
from integration.database import LocalDatabase
from integration.local_exchange import LocalExchange
from integration.market import Market, MovableMarket, RealMarket
from integration.options import Options
from integration.problems import Failed, Refused
from integration.report import Report
from integration.scripts import Scripts, is_held
from integration.world import World

SCHEMA = ROOT / "sql" / "schema.sql"
_HURRIED = {"MAX_ORDERS_PER_MINUTE": "1000", "MAX_ORDERS_PER_HOUR": "1000"}
_LOCAL = {
    "STALE_ORDER_MINUTES": "0.03",
    "QUIET_SECONDS": "4",
    "GONE_SECONDS": "1",
    **_HURRIED,
    "MAX_REQUESTS_PER_MINUTE": "100000",
}
_ACCOUNT = {
    **_HURRIED,
    "STALE_ORDER_MINUTES": "0.2",
    "GONE_SECONDS": "5",
    "MAX_REQUESTS_PER_MINUTE": "90",  # for the bot under test, and as many for the test
}
_NO_MAIL = {
    f"ALERT_EMAIL_{name}": ""
    for name in ("SENDER", "RECEIVER", "SMTP_SERVER", "SMTP_USER", "SMTP_PASSWORD", "SMTP_PORT")
}
_LOCAL_PATIENCE, _ACCOUNT_PATIENCE = 20.0, 90.0
_LOCAL_POLL, _ACCOUNT_POLL = 0.1, 1.0
_OTHER_BOT = timedelta(minutes=5)
_KEPT_OF_OURS = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")


class Stage:
    """`open` may fail half way; `close` takes down whatever is up, and may be called at any time."""

    def __init__(self, options: Options, report: Report) -> None:
        self._options = options
        self._report = report
        self._folder = Path(tempfile.mkdtemp(prefix="dca-integration-"))
        self._clock = SystemClock()
        self._database: LocalDatabase | None = None
        self._exchange: LocalExchange | None = None
        self._scripts: Scripts | None = None
        self._account: Account | None = None
        self._settings: Settings | None = None
        self._books: Books | None = None
        self._operators_lock: Path | None = None
        self._symbols: tuple[str, ...] = ()
        self.where = "an exchange on this machine" if options.local else "the account of .env"

    def open(self, symbols: Iterable[str]) -> tuple[World, Market]:
        """Raises:
        Refused: the test must not run here.
        DcaError: settings, database or account are not as they have to be.
        """
        self._symbols = tuple(dict.fromkeys(symbols))
        (self._folder / "logs").mkdir()
        (self._folder / "state").mkdir()
        settings, env = self._local() if self._options.local else self._of_env_file()
        self._settings = settings
        self._report.stage(
            f"{settings.exchange.venue} at {urlsplit(settings.exchange.trading_url).netloc}, database "
            f"{settings.database.name}, logs in {self._folder}"
        )
        self._books = Books(Store(settings.database), self._clock)
        self._account = self._open_account(settings, self._books)
        self._scripts = Scripts(ROOT, self._folder, env, self._clock, self._report.said)
        world = World(
            settings=settings,
            books=self._books,
            account=self._account,
            scripts=self._scripts,
            report=self._report,
            clock=self._clock,
            exchange=self._exchange,
            patience_seconds=_LOCAL_PATIENCE if self._options.local else _ACCOUNT_PATIENCE,
        )
        return world, RealMarket() if self._exchange is None else MovableMarket(self._exchange)

    def _overrides(self, values: dict[str, str]) -> dict[str, str]:
        """What differs from .env: files of the test's own, short waits, no mail, strangers' orders left."""
        return {
            **values,
            **_NO_MAIL,
            "HEARTBEAT_PING_URL": "",
            "CANCEL_FOREIGN_ORDERS": "no",
            "LOG_DIR": str(self._folder / "logs"),
            "STATE_DIR": str(self._folder / "state"),
            "PYTHONUNBUFFERED": "1",
        }

    # ---- --local -------------------------------------------------------------------------------

    def _local(self) -> tuple[Settings, dict[str, str]]:
        ours = {name: os.environ[name] for name in _KEPT_OF_OURS if name in os.environ}
        self._database = LocalDatabase()
        self._exchange = LocalExchange(ROOT, self._folder, ours)
        where, urls = self._database.settings, self._exchange.urls
        values = self._overrides(
            {
                **_LOCAL,
                "APCA_API_KEY_ID": urls["key_id"],
                "APCA_API_SECRET_KEY": urls["secret_key"],
                "APCA_API_BASE_URL": urls["trading"],
                "APCA_API_DATA_URL": urls["data"],
                "APCA_API_STREAM_URL": urls["trading_stream"],
                "APCA_DATA_STREAM_URL": urls["data_stream"],
                "DB_HOST": where.host,
                "DB_PORT": str(where.port),
                "DB_SOCKET": where.socket or "",
                "DB_USER": where.user,
                "DB_PASSWORD": where.password,
                "DB_NAME": where.name,
            }
        )
        file = self._folder / "env"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()), encoding="utf-8")
        settings = settings_module.parse(values, env_file_mode=0o600)
        database.prepare(settings.database, SCHEMA, self._report.stage)
        return settings, {**ours, "DCA_ENV_FILE": str(file), "PYTHONUNBUFFERED": "1"}

    # ---- the account of .env -------------------------------------------------------------------

    def _of_env_file(self) -> tuple[Settings, dict[str, str]]:
        settings = settings_module.load()
        if settings.exchange.venue is Venue.LIVE:
            raise Refused(
                f"{settings.exchange.trading_url} is a live account: the test buys and sells, on paper only; "
                "set the keys and APCA_API_BASE_URL of the paper account"
            )
        self._operators_lock = settings.state_dir / "main_app.lock"
        self.still_alone()
        database.check_name(settings.database, any_database=self._options.any_database)
        database.check_unused(settings.database)
        database.prepare(settings.database, SCHEMA, self._report.stage)
        env_file = os.environ.get("DCA_ENV_FILE")
        if env_file:  # the scripts run in another folder
            os.environ["DCA_ENV_FILE"] = str(Path(env_file).resolve())
        os.environ.update(self._overrides(_ACCOUNT))  # wins over .env, for us and for the scripts
        return settings_module.load(), dict(os.environ)

    def still_alone(self) -> None:
        """Raises:
        Refused: main_app.py runs with the settings of .env.
        """
        lock = self._operators_lock
        if lock is not None and is_held(lock):
            pid = lock.read_text(encoding="utf-8").strip() or "not known"
            raise Refused(
                f"main_app.py runs on this account (pid {pid}, {lock}): stop it first, and the watchdog, "
                "which would start it again (./bot stop --for 1h)"
            )

    def _open_account(self, settings: Settings, books: Books) -> Account:
        pace = Pace(self._clock, main_app(settings.requests_per_minute))
        broker, control = Broker(settings.exchange, pace), books.control()
        found = account_checks.read_account(broker, settings.exchange)
        account_checks.check_account(found)
        account_checks.check_binding(control, found, settings.database.name)
        account = Account(
            broker=broker,
            clock=self._clock,
            install_id=control.install_id,
            rules=broker.trading_rules(),
            started_at=self._clock.now(),
            poll_seconds=_LOCAL_POLL if self._options.local else _ACCOUNT_POLL,
        )
        if control.mode is not Mode.RUN:
            raise Refused(f"the mode of {settings.database.name} is {control.mode}: ./bot resume")
        others = account.of_other_bots(self._clock.now() - _OTHER_BOT)
        if others:
            raise Refused(
                f"another bot trades on this account: its order {others[0].client_order_id} is open, or was "
                f"sent in the last {_OTHER_BOT.seconds // 60} minutes; stop it"
            )
        missing = [symbol for symbol in self._symbols if symbol not in account.rules]
        if missing:
            raise Refused(
                f"the exchange does not offer {', '.join(missing)}: leave those scenarios out (--only)"
            )
        self._make_way(account)
        account.note_dust(self._symbols)
        needed = DOLLARS * (len(self._symbols) + 1)
        if found.non_marginable_buying_power < needed:
            raise Refused(
                f"the account has {plain(found.non_marginable_buying_power)} dollars to buy with, the test "
                f"needs {plain(needed)}"
            )
        return account

    def _make_way(self, account: Account) -> None:
        """Nothing of others may be on the pairs of the test; what is ours is of an earlier run, and goes."""
        old = [each for each in account.broker.open_orders() if account.is_own(each.client_order_id)]
        account.cancel(old, lambda text: self._report.stage(f"of an earlier run: {text}"))
        found = account.in_the_way(self._symbols)
        if not found.lines():
            return
        for line in found.lines():
            self._report.announce(f"in the way: {line}")
        if not self._options.clean_account:
            raise Refused(
                "orders or positions that are not the test's are on its pairs: end them yourself, or have "
                "them canceled and sold with --clean-account"
            )
        self._report.announce("--clean-account: cancels and sells all of that now")
        account.cancel(found.orders, self._report.announce)
        for position in found.positions:
            sold = account.sell(position.symbol)
            if sold is not None:
                end = account.ended(sold.client_order_id)
                self._report.announce(f"sold {plain(end.filled_qty)} {position.symbol}: {end.status}")

    # ---- the end -------------------------------------------------------------------------------

    def between(self) -> None:
        """After a scenario: the local exchange does nothing odd any more."""
        if self._exchange is not None:
            with suppress(Failed):
                self._exchange.clear_faults()

    def close(self) -> list[str]:
        """Take everything down; returns what could not be cleaned up."""
        problems = []
        if self._scripts is not None:
            self._scripts.stop_main_app()
        keep = self._options.keep
        if not self._options.local and not keep:
            problems = self._leave_the_account()
        if self._books is not None:
            self._books.close()
        if self._exchange is not None:
            self._exchange.stop()
        if self._database is not None:
            problems += self._leave_the_database(self._database)
        if keep:
            self._report.announce(f"--keep: logs and state stay in {self._folder}")
        else:
            shutil.rmtree(self._folder, ignore_errors=True)
        return problems

    def _leave_the_database(self, made: LocalDatabase) -> list[str]:
        keep = self._options.keep and not made.is_private
        try:
            made.drop(keep=keep)
        except Refused as error:
            return [str(error)]
        if keep:
            self._report.announce(f"--keep: database {made.settings.name} stays")
        return []

    def _leave_the_account(self) -> list[str]:
        if self._account is None or self._settings is None:
            return []
        problems = self._account.clean_up(self._symbols, self._report.stage)
        try:
            if not problems:
                database.empty(self._settings.database)
                self._report.stage(f"all rows of {self._settings.database.name} dropped")
        except DcaError as error:
            problems.append(f"rows of {self._settings.database.name}: {error}")
        return problems
