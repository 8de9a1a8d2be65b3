"""./bot doctor: checks everything there is to check, with the remedy for each. Changes and sends nothing.

What cannot be checked because something else is broken says so; one broken thing hides no other.
"""

import argparse
import platform
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from stat import S_IMODE
from tempfile import TemporaryFile

from rich.table import Table
from rich.text import Text

import dca.runtime.settings
from dca.alerts.review import disks
from dca.core import strategy
from dca.core.errors import DatabaseUnavailable, DcaError, ExchangeUnavailable, SettingsProblem, StartRefused
from dca.core.model import Account, Quote
from dca.database import store
from dca.database.store import Store
from dca.exchange import account_checks, clock_offset
from dca.operator import formatting
from dca.operator.asset_settings import ladder, retire
from dca.operator.session import Command, Tools
from dca.operator.setup import columns, cron_checks, crontab, doctor_checks
from dca.operator.setup.doctor_checks import Level, Line
from dca.operator.views.snapshot import Books, Market, Overview, ask, is_running, reading_books
from dca.runtime import database_owner, heartbeat, maintenance
from dca.runtime.settings import ROOT, Settings

_OF_DATABASE = ("tables", "owner", "connections", "account binding", "assets", "caretakers", "incidents")
_OF_SERVER = ("server", "time zone", "durability", "grants")
_OF_EXCHANGE = ("keys", "account", "clock", "pairs", "worst case", "orphans", "ladders and fees")
_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def _run(given: argparse.Namespace, tools: Tools) -> int:
    lines = list(examine(tools))
    counts = {level: sum(line.level is level for line in lines) for level in Level}
    if given.json:
        shown = [formatting.record(line) for line in lines]
        formatting.print_json({"checks": shown, "counts": {level.value: counts[level] for level in Level}})
    else:
        _show(tools, lines)
        words = f"{counts[Level.OK]} OK, {counts[Level.WARN]} WARN, {counts[Level.FAIL]} FAIL"
        formatting.tell(tools.console, words, "bold")
    return 1 if counts[Level.FAIL] else 0


def _show(tools: Tools, lines: list[Line]) -> None:
    for line in lines:
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(no_wrap=True, width=4)
        grid.add_column(overflow="fold")
        grid.add_row(Text(line.level, _STYLES[line.level]), Text(f"{line.name}: {line.fact}"))
        if line.remedy is not None:
            grid.add_row("", Text(f"-> {line.remedy}"))
        tools.console.print(grid)


def examine(tools: Tools) -> Iterator[Line]:
    """All checks in order."""
    yield doctor_checks.ok("python", platform.python_version())
    here = f"{tools.clock.now().astimezone():%Z (UTC%z)}"
    yield doctor_checks.ok("local time", f"{here}; cron and ls use it, all times of the bot are UTC")
    try:
        settings = tools.settings
    except SettingsProblem as error:
        yield from _of_broken_settings(error)
        yield from _of_machine(ROOT / "logs", ROOT / "var")
        rest = ("crontab", *_OF_SERVER, *_OF_DATABASE, *_OF_EXCHANGE, "main app", "mail")
        yield doctor_checks.not_checked(rest, "the settings fail")
        return
    yield from _of_settings(settings)
    yield from _of_machine(settings.log_dir, settings.state_dir)
    yield from _of_crontab(settings)
    with Store(settings.database) as database:
        found = _Found(tools, database)
        yield from found.of_server()
        yield from found.of_schema()
        yield from found.of_exchange()
        yield from found.of_both()
        yield from found.of_running()


def _of_broken_settings(error: SettingsProblem) -> Iterator[Line]:
    for problem in error.problems:
        what, _, remedy = problem.partition(": ")
        yield doctor_checks.fail("settings", what, remedy or "./bot install")


def _of_settings(settings: Settings) -> Iterator[Line]:
    path = dca.runtime.settings.env_file()
    where = f"{settings.exchange.venue}, {settings.exchange.trading_url}"
    yield doctor_checks.ok("settings", f"complete: {where}")
    try:
        mode = S_IMODE(path.stat().st_mode)
    except OSError:
        yield doctor_checks.ok(".env", f"there is no {path}: everything comes from the environment")
        return
    if settings.warnings:
        yield from (
            doctor_checks.warn(".env", warning.partition(": run")[0], f"chmod 600 {path}")
            for warning in settings.warnings
        )
    else:
        yield doctor_checks.ok(".env", f"{path} has mode {mode:o}")


# ---- this machine ------------------------------------------------------------------------------------------


def _of_machine(logs: Path, state: Path) -> Iterator[Line]:
    for name, variable, folder in (("log folder", "LOG_DIR", logs), ("state folder", "STATE_DIR", state)):
        try:
            with TemporaryFile(dir=_existing(folder)) as probe:
                probe.write(bytes(4096))
        except OSError as error:
            remedy = f"give this user room and the right to write there, or set {variable} in .env"
            yield doctor_checks.fail(name, f"{folder} cannot be written: {error.strerror}", remedy)
        else:
            fact = "can be written" if _is_there(folder) else "is made at the first start"
            yield doctor_checks.ok(name, f"{folder} {fact}")
    found = disks(_existing(logs), _existing(state))
    if found is None:
        yield doctor_checks.not_checked(["disk"], "the file system could not be asked")
    for disk in found or ():
        yield doctor_checks.of_disk("disk", disk)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(each for each in (folder, *folder.parents) if _is_there(each))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # above it is a folder that this user may not look into
        return False


def _of_crontab(settings: Settings) -> Iterator[Line]:
    path = dca.runtime.settings.env_file()
    env_file = None if path == ROOT / ".env" else path.absolute()
    place = crontab.Place(root=ROOT, log_dir=settings.log_dir.absolute(), env_file=env_file)
    program = crontab.program()
    if program is None:
        yield doctor_checks.warn("crontab", "not checked: there is no crontab program", crontab.MISSING)
        return
    try:
        yield from cron_checks.of_crontab(crontab.read(program), place)
    except StartRefused as error:
        yield doctor_checks.warn("crontab", f"not checked: {error}", "crontab -l")


# ---- database and exchange ---------------------------------------------------------------------------------


class _Found:
    """What earlier checks found, for the later ones. None: it could not be had."""

    def __init__(self, tools: Tools, database: Store) -> None:
        self._tools = tools
        self._settings = tools.settings
        self._store = database
        self._database_answers = False
        self._connection_limit: int | None = None
        self._books: Books | None = None
        self._account: Account | None = None
        self._market: Market | None = None

    def of_server(self) -> Iterator[Line]:
        """The database server and what the user may do there."""
        name = self._settings.database.name
        try:
            server, grants = self._store.transaction(lambda tx: (tx.server(), tx.grants()))
        except DatabaseUnavailable as error:
            yield doctor_checks.fail("database", _short(error), _remedy_of(str(error), name))
            yield doctor_checks.not_checked(_OF_SERVER, "the database fails")
            return
        self._database_answers = True
        self._connection_limit = server.connection_limit
        yield doctor_checks.of_version(server.version)
        fast = store.has_c_extension()
        connector = "the connector's C extension is loaded" if fast else "without the connector's C extension"
        remedy = "slower, not wrong: pip install --force-reinstall mysql-connector-python"
        yield (
            doctor_checks.ok("connector", connector)
            if fast
            else doctor_checks.warn("connector", connector, remedy)
        )
        yield from doctor_checks.of_time_zones(server, self._tools.clock.now())
        yield doctor_checks.of_durability(server)
        yield from doctor_checks.of_grants(grants, name)

    def of_schema(self) -> Iterator[Line]:
        if not self._database_answers:
            yield doctor_checks.not_checked(_OF_DATABASE, "the database fails")
            return
        try:
            self._store.check_schema()
            lost = doctor_checks.of_columns(
                self._store.transaction(lambda tx: tx.columns()), columns.wanted()
            )
            if lost:
                yield from lost
                yield doctor_checks.not_checked(_OF_DATABASE[1:], "the tables fail")
                return
            self._books = self._store.transaction(reading_books(self._tools))
            owner = self._store.transaction(lambda tx: tx.owner())
        except (StartRefused, DatabaseUnavailable) as error:
            yield _as_fail("tables", error)
            yield doctor_checks.not_checked(_OF_DATABASE[1:], "the tables fail")
            return
        yield doctor_checks.ok("tables", f"schema version {store.SCHEMA_VERSION}")
        us, now = database_owner.ours(self._settings.state_dir), self._tools.clock.now()
        refusal = database_owner.refusal(owner, us, now, self._settings.database.name)
        is_ours = owner is not None and database_owner.is_ours(owner, us, now)
        yield doctor_checks.of_owner(owner, refusal, is_ours=is_ours)

    def of_exchange(self) -> Iterator[Line]:
        """Keys, account, clock, pairs."""
        exchange, broker = self._settings.exchange, self._tools.broker
        try:
            self._account = account_checks.read_account(broker, exchange)
        except StartRefused as error:
            yield _as_fail("keys", error)
        except ExchangeUnavailable as error:
            remedy = (
                "is the network up, and is APCA_API_BASE_URL right? Alpaca tells at status.alpaca.markets"
            )
            yield doctor_checks.fail("exchange", f"does not answer: {error}", remedy)
        if self._account is None:
            yield doctor_checks.not_checked(_OF_EXCHANGE[1:], "the exchange or the keys fail")
            return
        yield doctor_checks.ok("keys", f"accepted: account {self._account.id}")
        account = self._account
        yield _checked("account", "may trade crypto", lambda: account_checks.check_account(account))
        yield self._of_clock()
        symbols = [] if self._books is None else [asset.asset_symbol for asset in self._books.assets]
        self._market = ask(self._tools, symbols or ["BTC/USD"], None)
        rules = self._market.rules
        if rules is None:
            yield doctor_checks.fail("pairs", str(self._market.trouble), "try again later")
        else:
            tradable = sum(each.tradable for each in rules.values())
            yield doctor_checks.ok("pairs", f"the exchange trades {tradable} of {len(rules)} crypto pairs")
            yield doctor_checks.of_quotes(self._market.quotes, self._market.trouble)

    def _of_clock(self) -> Line:
        try:
            reading = clock_offset.read(self._tools.broker, self._tools.clock)
        except ExchangeUnavailable as error:
            return doctor_checks.warn("clock", f"not checked: {error}")
        words = f"{reading.ahead_seconds:+.1f} s from the exchange's"
        return _checked("clock", words, lambda: account_checks.check_clock(reading))

    def of_both(self) -> Iterator[Line]:
        """What takes the database and the exchange."""
        books, account, market = self._books, self._account, self._market
        if books is None:
            return  # told
        traded = sum(asset.is_enabled or asset.id in books.cycles for asset in books.assets)
        if self._connection_limit is not None:
            yield doctor_checks.of_connections(self._connection_limit, traded, self._settings.workers)
        if account is not None:
            name = self._settings.database.name
            words = "the database is of this account"
            if books.control.account_id is None:
                words = "the database has traded no account yet"
            control = books.control
            yield _checked(
                "account binding", words, lambda: account_checks.check_binding(control, account, name)
            )
        if not books.assets:
            yield doctor_checks.warn(
                "assets", "there is none: nothing is traded", "./bot add BTC/USD --base 20 ..."
            )
            return
        yield doctor_checks.of_stream_limit(traded)
        if account is not None:
            yield doctor_checks.of_spending(books.assets, books.cycles, account)
            yield from self._of_orders(books)
        yield from self._of_assets(books, market)

    def _of_orders(self, books: Books) -> Iterator[Line]:
        """The list first and the ledger after it: an order is in the ledger before it is at the exchange."""
        try:
            listed = self._tools.broker.open_orders()
            names = [snapshot.client_order_id for snapshot in listed]
            known = self._store.transaction(lambda tx: tx.known_ids(names))
        except (ExchangeUnavailable, DatabaseUnavailable) as error:
            yield doctor_checks.warn("orphans", f"not checked: {error}")
            return
        yield from doctor_checks.of_strangers(listed, doctor_checks.prefix_of(books), known)

    def _of_assets(self, books: Books, market: Market | None) -> Iterator[Line]:
        now = self._tools.clock.now()
        for asset in books.assets:
            symbol = asset.asset_symbol
            yield from doctor_checks.of_lock(asset)
            if not asset.is_enabled and asset.id not in books.cycles:
                yield doctor_checks.ok(
                    symbol, "disabled, without a live cycle: nothing of it is bought or sold"
                )
                continue
            if market is None or market.rules is None:
                yield from doctor_checks.of_asset(asset, ladder.nameless_rules(symbol), None, now)
            else:
                quote, rules = self._good(market.quotes.get(symbol)), market.rules.get(symbol)
                traded = None if rules is not None else retire.was_traded(self._tools, asset)
                yield from doctor_checks.of_asset(asset, rules, quote, now, was_traded=traded)

    def _good(self, quote: Quote | None) -> Quote | None:
        """The quote if it can be reckoned with; its age does not matter here."""
        spread = self._settings.max_spread_percent
        if quote is None or strategy.quote_problem(
            quote, quote.at, max_age_seconds=Decimal(1), max_spread_percent=spread
        ):
            return None
        return quote

    def of_running(self) -> Iterator[Line]:
        """What runs, and what was told."""
        state, now = self._settings.state_dir, self._tools.clock.now()
        email, runs = self._settings.email, is_running(self._settings)
        mail_to = None if email is None else email.receiver
        yield cron_checks.of_cron(crontab.daemon_runs(), self._books, now)
        if self._books is None:
            running = "running, and cannot trade without its database" if runs else "not running"
            yield doctor_checks.warn("main app", running)
            yield doctor_checks.of_mail(mail_to, 0)
            return
        look = Overview(
            now=now,
            venue=self._settings.exchange.venue,
            books=self._books,
            market=self._market or Market(quotes={}, rules=None),
            is_running=runs,
            beat=heartbeat.read(state / "main_app.heartbeat.json"),
            maintenance=maintenance.current(state, now),
            mail_to=mail_to,
        )
        yield doctor_checks.of_main_app(look)
        yield doctor_checks.of_the_mode(look)
        yield from doctor_checks.of_caretakers(self._books, now, maintenance=look.maintenance is not None)
        yield doctor_checks.of_incidents(look)
        yield doctor_checks.of_mail(mail_to, self._books.unsent_mails)


def _checked(name: str, good: str, check: Callable[[], None]) -> Line:
    """A check of the start: what it refuses is a FAIL, in its own words."""
    try:
        check()
    except StartRefused as error:
        return _as_fail(name, error)
    return doctor_checks.ok(name, good)


def _as_fail(name: str, error: DcaError) -> Line:
    """What a check of the start says: the fact, a colon, and what to do."""
    what, _, remedy = str(error).partition(": ")
    return doctor_checks.fail(name, what, remedy or "try again; see logs/main_app.log")


def _short(error: DatabaseUnavailable) -> str:
    return str(error).removeprefix("database: ")


def _remedy_of(words: str, name: str) -> str:
    if "Unknown database" in words:
        return f"make it: ./bot install (or CREATE DATABASE {name})"
    if "Access denied" in words or "denied" in words:
        return (
            "check DB_USER and DB_PASSWORD in .env; ./bot install --print shows the statements that make both"
        )
    return "is the server running, and are DB_HOST, DB_PORT or DB_SOCKET in .env right?"


COMMANDS: dict[str, Command] = {
    "doctor": Command(
        help="check everything there is to check, with the remedy for each",
        add_arguments=_arguments,
        run=_run,
    )
}
