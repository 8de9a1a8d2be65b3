"""Statements of a person at the real database, and what the real trader, worker and loop make of them."""

import random
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mysql.connector

from dca.alerts.review import review
from dca.caretakers.consistency import Checker
from dca.caretakers.job import Job
from dca.core.errors import DatabaseUnavailable, StartRefused, Unavailable
from dca.core.model import Asset, Control, Cycle, Mode, Order, OrderState, Quote, Side
from dca.database.rows import columns, outward
from dca.database.store import Store
from dca.runtime.crash_counter import Failures
from dca.runtime.log_lines import Troubles
from dca.runtime.script import Context
from dca.runtime.settings import DatabaseSettings, parse
from dca.trading.inbox import Inbox
from dca.trading.main_loop import MainLoop
from dca.trading.trader import Trader
from dca.trading.watchlist import Desk
from dca.trading.worker import Rests, Worker, limits_of
from proof.fuzz import junk, rows, samples, tables
from proof.fuzz.samples import ASSET, NOW, WATCHING
from proof.fuzz.stand_in import Ears, Exchange, Watchmaker
from proof.fuzz.verdicts import Verdict, promise

SCHEMA = Path(__file__).resolve().parents[2] / "sql" / "schema.sql"
COINS = ("BTC", "ETH", "SOL", "LTC", "AVAX", "LINK")
BYSTANDER = "ADA/USD"
"""Nobody edits its rows: whatever is done to the others, it is bought."""
MOST_DOLLARS = Decimal(200_000)
_NAMES = {
    "dca_assets": [name for name in columns(Asset) if name != "id"] + ["id"],
    "dca_cycles": [name for name in columns(Cycle) if name != "id"] + ["id"],
}
_TABLES = (
    *("dca_order_attempts", "dca_orders", "dca_cycles", "dca_assets", "dca_control"),
    *("job_runs", "incidents", "mails", "operator_actions"),
)
"""Those that point to others first."""
_RECORDS = (
    "INSERT INTO job_runs (job, started_at, ended_at, result) VALUES ('order_manager', %s, %s, 'done')",
    "INSERT INTO incidents (name, kind, subject, evidence, began_at, seen_at)"
    " VALUES ('break BTC/USD', 'money', 's', 'e', %s, %s)",
    "INSERT INTO mails (name, subject, body, created_at, sent_at) VALUES ('x', 's', 'b', %s, %s)",
    "INSERT INTO operator_actions (at, who, command, effect) VALUES (%s, 'bo', 'resume', %s)",
)
_MODES = ("", "", "STRICT_TRANS_TABLES", "TRADITIONAL", "ANSI,NO_ZERO_DATE")
_ENVIRONMENT = {
    "APCA_API_KEY_ID": samples.KEY_ID,
    "APCA_API_SECRET_KEY": samples.SECRET_KEY,
    "APCA_API_BASE_URL": "http://127.0.0.1:9",
    "DB_HOST": "localhost",
    "DB_USER": "dca",
    "DB_PASSWORD": "sesame-sesame",
    "DB_NAME": "dca",
}


class Edits:
    """One statement on dca_assets or dca_cycles; then the bot reads, hears prices, trades and settles."""

    name = "edits"

    def __init__(self, database: DatabaseSettings) -> None:
        self.shown = ""
        self._store = Store(database)
        self._store.run_script(SCHEMA.read_text(encoding="utf-8"))
        self._person: Any = mysql.connector.connect(
            unix_socket=database.socket,
            host=database.host,
            port=database.port,
            user=database.user,
            password=database.password,
            database=database.name,
            autocommit=True,
        )
        self._folder = TemporaryDirectory(prefix="dca-fuzz-")
        folder = Path(self._folder.name)
        self._settings = replace(
            parse(_ENVIRONMENT, env_file_mode=None),
            database=database,
            state_dir=folder,
            log_dir=folder,
            gone_seconds=0.0,
        )
        control = self._store.transaction(lambda tx: tx.next_epoch("account"))
        self._install_id, self._epoch = control.install_id, control.epoch
        self._assets, self._cycles, self._orders = _beginning(control.epoch)
        self._restore()

    def close(self) -> None:
        self._store.close()
        self._person.close()
        self._folder.cleanup()

    def trial(self, dice: random.Random) -> Verdict:
        number = dice.randrange(1, len(COINS) + 1)
        if dice.random() < 0.4:
            mode = dice.choice(_MODES)
            past_the_rules, statement, values = tables.statement(number, dice)
        else:
            past_the_rules = False
            mode, statement, values = _statement(number, dice)
        self.shown = junk.brief(f"{statement} % {values!r} sql_mode={mode!r}{', no CHECKs' * past_the_rules}")
        if not self._executed(mode, statement, values, past_the_rules=past_the_rules):
            return Verdict.REFUSED
        try:
            return self._lived(number, dice)
        finally:
            self._restore()

    def _executed(self, mode: str, statement: str, values: list[Any], *, past_the_rules: bool) -> bool:
        """Whether the database took it; if not, it said why. MariaDB lets a session do without CHECKs."""
        try:
            with closing(self._person.cursor()) as cursor:
                cursor.execute("SET SESSION sql_mode = %s", [mode])
                cursor.execute("SET SESSION check_constraint_checks = %s", [not past_the_rules])
                cursor.execute("SET SESSION foreign_key_checks = %s", [not past_the_rules])
                cursor.execute(statement, values)
        except (mysql.connector.Error, UnicodeEncodeError, OverflowError) as error:
            promise(bool(str(error)), "refused without a word")
            return False
        return True

    def _lived(self, number: int, dice: random.Random) -> Verdict:
        bot = _Bot(self._store, self._settings, Path(self._folder.name), self._install_id, self._epoch)
        for order in self._orders:
            if order.is_live:
                bot.exchange.know(order)
        for symbol in ("ETH/USD", "AVAX/USD"):
            bot.exchange.held[symbol] = Decimal("0.1995")
        configured = {asset.id: asset for asset in self._store.transaction(lambda tx: tx.assets())}
        control = self._control()
        for _ in range(2):
            bot.round(number, dice)
        bot.judge(configured, control)
        self._cared_for(bot)
        told = {incident.name for incident in self._store.transaction(lambda tx: tx.incidents_now())}
        promise(
            control is None or control.mode is Mode.RUN or "kill switch" in told, "a halt nobody is told of"
        )
        return Verdict.REFUSED if bot.problems() or control is None else Verdict.ACCEPTED

    def _control(self) -> Control | None:
        """None if its row is gone."""
        try:
            return self._store.transaction(lambda tx: tx.control())
        except DatabaseUnavailable as error:
            promise("dca_control" in str(error), f"a missing row of dca_control is told as {error}")
            return None

    def _cared_for(self, bot: "_Bot") -> None:
        """The consistency checker runs, and the review behind it."""
        context = Context(name="consistency_checker", settings=self._settings)
        job = Job(context=context, store=self._store, clock=bot.clock, dry_run=False, _broker=bot.exchange)
        with suppress(Unavailable, StartRefused):  # the row of dca_control is gone, or names another account
            Checker(job).run()
        review(self._settings, bot.clock)

    def _restore(self) -> None:
        """All rows as they were before the statement."""
        with closing(self._person.cursor()) as cursor:
            cursor.execute("SET SESSION sql_mode = 'STRICT_TRANS_TABLES'")
            cursor.execute("START TRANSACTION")
            cursor.execute("SET SESSION check_constraint_checks = 1")
            cursor.execute("SET SESSION foreign_key_checks = 1")
            for table in _TABLES:
                cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
            cursor.execute(
                "INSERT INTO dca_control (id, install_id, account_id, epoch) VALUES (1, %s, 'account', %s)",
                [self._install_id, self._epoch],
            )
            for statement in _RECORDS:
                cursor.execute(statement, [outward(NOW), outward(NOW)])
            tables: tuple[tuple[str, Any, list[Any]], ...] = (
                ("dca_assets", Asset, self._assets),
                ("dca_cycles", Cycle, self._cycles),
                ("dca_orders", Order, self._orders),
            )
            for table, kind, values in tables:
                names = columns(kind)
                marks = ", ".join(["%s"] * len(names))
                cursor.executemany(
                    f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})",  # noqa: S608
                    [[outward(getattr(each, name)) for name in names] for each in values],
                )
            cursor.executemany(
                "INSERT INTO dca_order_attempts (order_id, attempt, sent_at, answer) VALUES (%s, 1, %s, %s)",
                [
                    (order.id, outward(NOW), None if order.state is OrderState.SENT else "accepted")
                    for order in self._orders
                ],
            )
            cursor.execute("COMMIT")


class _Bot:
    """main_app without its threads and sockets."""

    def __init__(self, store: Store, settings: Any, folder: Path, install_id: str, epoch: int) -> None:
        self._store = store
        self.clock = Watchmaker()
        symbols = (*(f"{coin}/USD" for coin in COINS), BYSTANDER, "DOGE/USD")
        self.exchange = Exchange(clock_=self.clock, symbols=symbols)
        self._desk = Desk(install_id, epoch)
        self._desk.rules = self.exchange.trading_rules()
        troubles, feed = Troubles(), Ears()
        self._inbox = Inbox()
        trader = Trader(store, self.exchange, self._desk, self.clock, troubles, limits_of(settings))
        failures = Failures(folder / "failures.json")
        self._worker = Worker(trader, self._inbox, feed, Rests(self.clock), troubles, failures, self.clock)
        self._stopped: list[str] = []
        self._loop = MainLoop(
            store=store,
            broker=self.exchange,
            desk=self._desk,
            inbox=self._inbox,
            feed=feed,
            clock=self.clock,
            troubles=troubles,
            quiet_period=settings.quiet_period,
            before_each=lambda: None,
            stop=self._stopped.append,
        )

    def round(self, number: int, dice: random.Random) -> None:
        """Read the rows, settle, hear a few prices, and let orders end as the dice say."""
        self._tick()
        for price in dice.sample(("97", "98.4", "100", "101.5", "110", "50"), 2):
            for symbol in self._symbols_of(number):
                at, value = self.clock.now(), Decimal(price)
                self._inbox.put_quote(Quote(symbol=symbol, bid=value, ask=value, at=at, received_at=at))
            self.exchange.price = Decimal(price)
            self._work()
            for order in self.exchange.live():
                promise(len(self.exchange.live(order.symbol)) == 1, f"two live orders of {order.symbol}")
                self._fate(order.client_order_id, Decimal(price), dice)
            self.clock.pass_seconds(dice.choice((1, 6, 31)))
            self._tick()

    def _symbols_of(self, number: int) -> list[str]:
        """The edited pair as it is called now, and was; what is new; and the bystander."""
        known = [f"{coin}/USD" for coin in COINS]
        others = {watch.asset.asset_symbol for watch in self._desk.watches()} - {*known, BYSTANDER}
        return [known[number - 1], *sorted(others), BYSTANDER]

    def _fate(self, name: str, price: Decimal, dice: random.Random) -> None:
        order = self.exchange.orders[name]
        what = dice.choice(("nothing", "filled", "partially_filled", "canceled"))
        if what == "nothing" or order.qty is None:
            return
        part = {"filled": order.qty, "partially_filled": order.qty / 2, "canceled": order.filled_qty}[what]
        self.exchange.end(name, what, max(part, order.filled_qty), min(price, order.limit_price or price))
        if dice.random() < 0.5:  # the stream tells it; otherwise settling finds it
            self._inbox.put(self.exchange.orders[name])

    def _tick(self) -> None:
        self._loop.tick()
        self._work()

    def _work(self) -> None:
        while self._worker.work(0):
            pass

    def problems(self) -> list[str]:
        return [watch.problem for watch in self._desk.watches() if watch.problem is not None]

    def judge(self, configured: dict[int, Asset], control: Control | None) -> None:
        """No order outside what the rows allowed, and the others traded on; none where the switch forbids it,
        another start has taken over, or nobody knows."""
        ours = control is not None and control.epoch == self._desk.epoch
        mode = control.mode if control is not None and ours else Mode.HALT
        promise(ours or control is None or bool(self._stopped), "main_app goes on beside another")
        promise(not (ours and self._stopped), f"main_app stopped itself: {self._stopped}")
        bought = [order for order in self.exchange.posts if order.side is Side.BUY]
        if mode is Mode.RUN:
            promise(any(order.symbol == BYSTANDER for order in bought), f"{BYSTANDER} was not bought")
        else:
            promise(not bought, "a buy that the switch forbids")
            promise(mode is not Mode.HALT or not self.exchange.posts, "an order in spite of a halt")
        for order in self.exchange.posts:
            asset = configured.get(order.asset_id)
            assert asset is not None
            promise(order.symbol == asset.asset_symbol, f"{order.symbol} bought for {asset.asset_symbol}")
            promise(asset.lock_reason is None, "an order of a locked asset")
            if order.side is Side.BUY:
                assert order.limit_price is not None
                budget = asset.safety_order_amount if order.level else asset.base_order_amount
                dollars = order.limit_price * order.qty
                promise(asset.is_enabled, "a buy of a disabled asset")
                promise(
                    dollars <= min(budget, MOST_DOLLARS), f"a buy of {dollars} where {budget} are allowed"
                )
        for symbol, qty in self.exchange.held.items():
            promise(qty > Decimal("-0.000001"), f"{-qty} of {symbol} sold that nobody had")
        for watch in self._desk.watches():
            said = watch.problem
            promise(said is None or 0 < len(said) <= 1500, f"a problem that says {said!r}")


def _beginning(epoch: int) -> tuple[list[Asset], list[Cycle], list[Order]]:
    """An asset in each of the places a cycle can be in, and one bystander."""
    assets, cycles, orders = [], [], []
    scenes = (*rows.SCENES, (WATCHING, ()))
    symbols = (*(f"{coin}/USD" for coin in COINS), BYSTANDER)
    for number, (symbol, (scene, found)) in enumerate(zip(symbols, scenes, strict=True), start=1):
        assets.append(replace(ASSET, id=number, asset_symbol=symbol))
        mine = [
            replace(
                order,
                id=number * 10 + order.seq,
                asset_id=number,
                cycle_id=number,
                symbol=symbol,
                epoch=epoch,
                client_order_id=f"dca-abcd1234-{number}-{order.seq}-x",
                exchange_order_id=order.exchange_order_id and f"x-{number}-{order.seq}",
                created_at=NOW - timedelta(seconds=5),
                last_sent_at=NOW - timedelta(seconds=5),
            )
            for order in found
        ]
        known = [order.exchange_order_id for order in mine if order.exchange_order_id]
        latest = known[-1] if known else None
        cycles.append(replace(scene, id=number, asset_id=number, latest_order_id=latest))
        orders += mine
    return assets, cycles, orders


def _statement(number: int, dice: random.Random) -> tuple[str, str, list[Any]]:
    """sql_mode, statement and values."""
    mode = dice.choice(_MODES)
    table = dice.choice(("dca_assets", "dca_cycles"))
    what = dice.random()
    if what < 0.04:
        return mode, f"DELETE FROM {table} WHERE id = %s", [number]  # noqa: S608
    names = dice.sample(_NAMES[table][:-1], dice.choice((1, 1, 1, 2, 3))) if what < 0.85 else []
    if names:
        if "status" in names and "completed_at" not in names and dice.random() < 0.5:
            names.append("completed_at")
        values = [_value(name, dice) for name in names]
        assigned = ", ".join(f"{name} = %s" for name in names)
        return mode, f"UPDATE {table} SET {assigned} WHERE id = %s", [*values, number]  # noqa: S608
    row: dict[str, Any] = {"asset_id": number, "status": "watching"}
    if table == "dca_assets":
        good = replace(ASSET, asset_symbol=dice.choice(("DOGE/USD", "XRP/USD", "PEPE/EUR", "BTC/USD")))
        row = {name: outward(getattr(good, name)) for name in columns(Asset) if name != "id"}
    for name in dice.sample(sorted(row), 1) + dice.sample(_NAMES[table], dice.choice((0, 1))):
        row[name] = _value(name, dice)
    marks = ", ".join(["%s"] * len(row))
    return mode, f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values())  # noqa: S608


def _value(name: str, dice: random.Random) -> Any:
    """Mostly what the column can hold, and sometimes anything at all."""
    pool = rows._POOLS.get(name)
    if pool is not None and dice.random() < 0.8:
        found = dice.choice(pool)
        return outward(found)
    found = junk.value(dice)
    if isinstance(found, dict | list | float | str):  # what no client could send is none of ours
        return str(found).encode("utf-8", "replace").decode()
    return found
