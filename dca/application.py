"""main_app.py's inside: start, the loop that keeps everything going, and the end.

The loop decides nothing about trading. It reads the operator's rows, has orders settled, judges whether
the streams are alive, and beats the heart; the workers trade.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from dca import ledger, start_checks
from dca.broker import Broker
from dca.clock import SystemClock
from dca.desk import Desk, Watch
from dca.errors import LostRace, Unavailable
from dca.failures import LIMIT, Failures
from dca.feed import Feed
from dca.heartbeat import Heartbeat
from dca.inbox import ConfirmFee, Inboxes, Settle
from dca.logs import Troubles, fact, warn
from dca.model import Asset, Control, CycleStatus, LockKind, Order, OrderState, Snapshot
from dca.neighbors import Neighbors
from dca.ports import Transaction
from dca.runtime import Context
from dca.settings import Settings
from dca.store import Store
from dca.worker import Worker

R = TypeVar("R")

TICK_SECONDS = 0.25
REFRESH_SECONDS = 2.0
"""How soon a row that the operator changed takes effect, at the most (promised: five)."""
SETTLE_SECONDS = 5.0
"""How often a live order is asked for, stream or not (promised: ten)."""
FEES_SECONDS = 30.0
RULES_SECONDS = 3600.0
CARETAKERS_SECONDS = 60.0
BEAT_SECONDS = 2.0
RETRY_SECONDS = 5.0
AGAIN_SECONDS = 60.0
SILENT_SECONDS = 15.0
"""A quote stream silent for longer is compared with the exchange's latest quotes."""
ASK_OFTEN = timedelta(seconds=20)
ASK_SELDOM = timedelta(seconds=30)
GOOD_SECONDS = 60.0
"""A run that lasted this long has not died over an asset."""
DRAIN_SECONDS = 15.0


class Application:
    """One run of main_app."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._settings: Settings = context.settings
        self._clock = SystemClock()
        self._troubles = Troubles()
        self._store = Store(self._settings.database)
        self._broker = Broker(self._settings.exchange)
        self._heart = Heartbeat(self._settings.state_dir / "main_app.heartbeat.json", self._clock)
        self._failures = Failures(self._settings.state_dir / "main_app.failures.json")
        self._neighbors = Neighbors(self._settings, self._store, self._troubles, self._clock)
        self._asked_at: dict[int, datetime] = {}
        self._told: dict[str, Watch] = {}
        now = self._clock.monotonic()
        self._due = {"rules": now + RULES_SECONDS, "failures": now + GOOD_SECONDS}
        self._settle_now = False

    def run(self) -> None:
        """Start, trade until asked to stop, and leave in good order.

        Raises:
            StartRefused: with what the operator has to do.
        """
        for warning in self._settings.warnings:
            warn("start", "settings", why=warning)
        if not self._prepare():
            return
        self._feed.start()
        for worker in self._workers:
            worker.start()
        try:
            while not self._context.stopping.wait(TICK_SECONDS):
                self._tick()
        finally:
            self._leave()

    def _prepare(self) -> bool:
        """Everything that has to be right before the first order. False if asked to stop meanwhile."""
        control = self._until_it_answers(self._check)
        if control is None:
            return False
        self._desk = Desk(control.install_id, control.epoch)
        self._desk.mode = control.mode
        rules = self._until_it_answers(self._broker.trading_rules)
        if rules is None:
            return False
        self._desk.rules = rules
        where = start_checks.describe(self._settings.exchange.venue, self._settings.exchange, rules)
        fact("start", "trading", epoch=control.epoch, database=self._settings.database.name, details=where)
        self._inboxes = Inboxes(self._settings.workers)
        self._feed = Feed(
            self._settings.exchange, self._inboxes, self._clock, self._troubles, self._ask_to_settle
        )
        self._workers = [
            Worker(number, self._settings, inbox, self._desk, self._troubles, self._feed, self._failures)
            for number, inbox in enumerate(self._inboxes.all, start=1)
        ]
        return self._until_it_answers(self._first_look) is not None

    def _check(self) -> Control:
        self._store.check_schema()
        account = start_checks.read_account(self._broker, self._settings.exchange)
        start_checks.check_account(account)
        start_checks.check_clock(self._broker.clock(), self._clock.now())
        control = self._store.transaction(lambda tx: tx.control())
        start_checks.check_binding(control, account, self._settings.database.name)
        return self._store.transaction(lambda tx: tx.next_epoch(account.id))

    def _first_look(self) -> bool:
        for symbol, deaths in self._failures.counts().items():
            if deaths >= LIMIT:
                self._lock_poisoned(symbol, deaths)
        self._refresh()
        return True

    def _lock_poisoned(self, symbol: str, deaths: int) -> None:
        """Leave out an asset that keeps killing the process; the others trade."""
        reason = f"main_app died {deaths} times over it: see 'crash' in logs/main_app.log"

        def work(tx: Transaction) -> bool:
            found = [asset for asset in tx.assets() if asset.asset_symbol == symbol]
            now = self._clock.now()
            return any(tx.lock_asset(asset.id, reason, now, LockKind.CRASH) for asset in found)

        if self._store.transaction(work):
            warn("asset", "locked", symbol=symbol, why=reason)
        self._failures.clear()

    def _until_it_answers(self, work: Callable[[], R]) -> R | None:
        """Do something that must succeed before trading; a database or exchange that is down is waited
        for, with the heart beating. None if asked to stop meanwhile."""
        while True:
            try:
                result = work()
            except Unavailable as error:
                self._troubles.begins("start", "waiting", str(error), self._clock.now())
            else:
                self._troubles.ends("start", "waiting", self._clock.now())
                return result
            self._heart.beat({"waiting": self._troubles.names()})
            if self._context.stopping.wait(RETRY_SECONDS):
                return None

    def _tick(self) -> None:
        self._regularly("refresh", REFRESH_SECONDS, self._refresh)
        if self._settle_now:
            self._settle_now = False
            self._due.pop("settle", None)
        self._regularly("settle", SETTLE_SECONDS, self._settle)
        self._regularly("fees", FEES_SECONDS, self._ask_for_fees)
        self._regularly("rules", RULES_SECONDS, self._read_rules)
        self._regularly("silence", SILENT_SECONDS / 3, self._probe_silence)
        self._regularly("caretakers", CARETAKERS_SECONDS, self._neighbors.look)
        self._regularly("failures", RULES_SECONDS, self._failures.clear)
        self._regularly("beat", BEAT_SECONDS, self._beat)

    def _regularly(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        """Do something when it is due; what does not answer is told once and tried again."""
        now = self._clock.monotonic()
        if now < self._due.get(name, 0.0):
            return
        self._due[name] = now + seconds
        if name != "beat":  # each piece may have to wait for an answer, and none of that is hanging
            self._regularly("beat", BEAT_SECONDS, self._beat)
        try:
            work()
        except Unavailable as error:
            self._troubles.begins("loop", name, str(error), self._clock.now())
            self._due[name] = now + min(seconds, AGAIN_SECONDS)
        else:
            self._troubles.ends("loop", name, self._clock.now())

    def _ask_to_settle(self) -> None:
        """The order stream was opened: what it missed is asked for before anything else is placed."""
        self._desk.settled = False
        self._settle_now = True

    def _refresh(self) -> None:
        """Read the operator's rows, begin missing cycles, tell what changed."""

        def read(tx: Transaction) -> tuple[Control, list[Asset], dict[int, Watch]]:
            control = tx.control()
            assets = tx.assets()
            cycles = {cycle.asset_id: cycle for cycle in tx.live_cycles()}
            orders = tx.open_orders()
            watches = {
                asset.id: Watch(
                    asset=asset,
                    cycle=cycles.get(asset.id),
                    open_orders=tuple(order for order in orders if order.asset_id == asset.id),
                )
                for asset in assets
            }
            return control, assets, watches

        control, assets, watches = self._store.transaction(read)
        if control.epoch != self._desk.epoch:
            self._context.stop("another main_app has started on this database")
        if control.mode != self._desk.mode:
            fact("mode", control.mode.value, level=logging.WARNING, was=self._desk.mode.value)
            self._desk.mode = control.mode
        for asset in assets:
            if asset.is_enabled and watches[asset.id].cycle is None:
                self._begin_first_cycle(asset)
                self._due.pop("refresh", None)
            self._put(asset, watches[asset.id])
        for symbol in self._desk.forget_others({asset.asset_symbol for asset in assets}):
            self._told.pop(symbol, None)
            fact("asset", "removed", symbol=symbol)
        self._feed.set_symbols(self._desk.symbols())

    def _begin_first_cycle(self, asset: Asset) -> None:
        try:
            self._store.transaction(lambda tx: tx.insert_cycle(asset.id, CycleStatus.WATCHING))
        except LostRace:
            return
        fact("cycle", "begins", symbol=asset.asset_symbol)

    def _put(self, asset: Asset, read: Watch) -> None:
        """Hand an asset to the desk, and tell what is new about it. A worker may have read it anew before."""
        symbol = asset.asset_symbol
        before = self._told.get(symbol)
        self._desk.put(asset, read.cycle, read.open_orders, self._clock.now())
        after = self._desk.watch(symbol)
        assert after is not None
        self._told[symbol] = after
        if before is None:
            fact("asset", "enabled" if asset.is_enabled else "disabled: no buys", symbol=symbol)
        elif before.asset != after.asset:
            changes = _changes(before.asset, after.asset)
            if changes:
                fact("asset", "changed", symbol=symbol, details=changes)
        if after.problem is not None and (before is None or before.problem != after.problem):
            warn("asset", "not bought", symbol=symbol, why=after.problem)
        if before is not None and before.problem is not None and after.problem is None:
            fact("asset", "problem solved", symbol=symbol)

    def _settle(self) -> None:
        """Ask for every order in flight: one list for all, and a look-up for each that is not on it."""
        orders = self._desk.open_orders()
        if orders or not self._desk.settled:  # after a start, also orders that a restored ledger forgot
            listed = {snapshot.client_order_id: snapshot for snapshot in self._broker.open_orders()}
            for order in orders:
                self._settle_one(order, listed.get(order.client_order_id))
            self._report_orphans(listed, orders)
        if not self._desk.settled:
            self._desk.settled = True
        self._desk.last_settle_at = self._clock.now()

    def _settle_one(self, order: Order, snapshot: Snapshot | None) -> None:
        inbox = self._inboxes.of(order.symbol)
        unclear = snapshot is None or ledger.is_incomplete(snapshot)
        if snapshot is None or unclear or order.state not in {OrderState.SENT, OrderState.ACKED}:
            if self._may_ask(order):
                inbox.put(Settle(order=order))
        elif ledger.merge(order, snapshot, self._clock.now()) != order:
            inbox.put(snapshot)

    def _may_ask(self, order: Order) -> bool:
        """Look an unknown order up at every round at first, then every half minute: before the quiet period
        is over a denial counts for nothing, and sixty pairs share one rate limit."""
        now = self._clock.now()
        if order.state is not OrderState.SENT or now - order.last_sent_at < ASK_OFTEN:
            return True
        last = self._asked_at.get(order.id)
        if last is not None and now - last < min(ASK_SELDOM, self._settings.quiet_period / 4):
            return False
        self._asked_at[order.id] = now
        return True

    def _report_orphans(self, listed: dict[str, Snapshot], orders: list[Order]) -> None:
        """Orders with our id that the ledger may not know go through booking, which locks if so."""
        known = {order.client_order_id for order in orders}
        for name, snapshot in listed.items():
            if name.startswith(self._desk.prefix) and name not in known:
                self._inboxes.of(snapshot.symbol).put(snapshot)

    def _ask_for_fees(self) -> None:
        since = self._clock.now() - timedelta(days=2)
        for order in self._store.transaction(lambda tx: tx.orders_with_assumed_fees(since)):
            self._inboxes.of(order.symbol).put(ConfirmFee(order=order))

    def _read_rules(self) -> None:
        """What the exchange stopped listing keeps its old rules, so that what is held can be sold."""
        self._desk.rules = {**self._desk.rules, **self._broker.trading_rules()}

    def _probe_silence(self) -> None:
        """A quote stream that brings nothing is mute if the exchange has newer quotes, and otherwise only
        has nothing to say."""
        state, now = self._feed.quotes, self._clock.now()
        symbols = sorted(self._desk.symbols() & self._desk.rules.keys())
        heard = max(filter(None, (state.last_message_at, state.connected_at)), default=None)
        if not symbols or not state.connected or heard is None:
            return
        if (now - heard).total_seconds() < SILENT_SECONDS:
            return
        times = self._broker.latest_quote_times(symbols)
        if any((at - heard).total_seconds() > 1 for at in times.values()):
            self._feed.reconnect(state, f"no quotes for {(now - heard).total_seconds():.0f} s")

    def _beat(self) -> None:
        oldest = min(worker.beat_monotonic for worker in self._workers)
        self._heart.beat(
            {
                "venue": self._settings.exchange.venue.value,
                "epoch": self._desk.epoch,
                "slowest_worker_seconds": round(self._clock.monotonic() - oldest, 1),
                "last_settle_at": _text(self._desk.last_settle_at),
                "quotes": _stream(
                    self._feed.quotes.connected, "last_quote_at", self._feed.quotes.last_message_at
                ),
                "orders": _stream(
                    self._feed.orders.connected, "last_order_update_at", self._feed.orders.last_message_at
                ),
                "troubles": self._troubles.names(),
            }
        )

    def _leave(self) -> None:
        """Stop deciding, let the workers finish what they have in hand, close everything."""
        for worker in self._workers:
            worker.stop()
        until = self._clock.monotonic() + DRAIN_SECONDS
        for worker in self._workers:
            worker.join(timeout=max(0.1, until - self._clock.monotonic()))
        self._feed.stop()
        self._store.close()
        unfinished = [worker.name for worker in self._workers if worker.is_alive()]
        if unfinished:
            warn("stop", "left unfinished", why=f"{', '.join(unfinished)}: the next start settles it")
        fact("stop", "stopped", open_orders=len(self._desk.open_orders()))


_OURS = {"id", "last_sell_price", "lock_reason", "lock_kind", "locked_at"}


def _changes(before: Asset, after: Asset) -> dict[str, str]:
    """The columns an operator changed, as old -> new; prices and locks of the bot's own are told where
    they happen."""
    names = [name for name in Asset.__slots__ if name not in _OURS]
    return {
        name: f"{getattr(before, name)}->{getattr(after, name)}"
        for name in names
        if getattr(before, name) != getattr(after, name)
    }


def _stream(connected: bool, name: str, at: datetime | None) -> dict[str, object]:
    return {"connected": connected, name: _text(at)}


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds")
