"""The loop of main_app that keeps everything going. It decides nothing about trading.

It reads the operator's rows, has orders settled, and judges whether the streams are alive; the workers
trade. What it works with is handed to it, so that the simulation runs this very code.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from dca.core import ledger, order_cleanup
from dca.core.charges import of_orders
from dca.core.errors import LostRace, Unavailable
from dca.core.interfaces import Clock, Feed, MainBroker, Store, Transaction
from dca.core.model import Asset, Control, FeeSource, Order, OrderState, Side, Snapshot
from dca.exchange import account_checks
from dca.runtime.log_lines import Troubles, fact, warn
from dca.trading.cycle_writes import begin_first
from dca.trading.delays import Delays
from dca.trading.inbox import ConfirmFee, Inbox, Settle
from dca.trading.stream_health import SILENT_SECONDS, Hearing
from dca.trading.watchlist import Desk, Watch

REFRESH_SECONDS = 2.0
"""How soon a row that the operator changed takes effect, at the most (promised: five)."""
SETTLE_SECONDS = 5.0
"""How often a live order is asked for, stream or not (promised: ten)."""
FEES_SECONDS, FRESH = 10.0, timedelta(minutes=10)
LATE_FEES_SECONDS, LATEST = 600.0, timedelta(days=2)
JUST_CLOSED = timedelta(minutes=1)
"""How often executions and fees are asked for, of orders that closed within this time. The lists may be late,
fees by a day."""
RULES_SECONDS = 3600.0
HALTED_SECONDS = 60.0
"""How often the exchange is asked whether it trades a pair again that it did not."""
AGAIN_SECONDS = 60.0
CLOCK_SECONDS = 3600.0
"""How often our clock is compared with the exchange's; every AGAIN_SECONDS while it is wrong."""
DELAYS_SECONDS = 5.0
ASK_OFTEN = timedelta(seconds=20)
ASK_SELDOM = timedelta(seconds=30)


class MainLoop:
    """Does each of its tasks when it is due; `tick` is called a few times a second.

    `before_each` is called before every task: each may have to wait for an answer. `stop` is called with
    the reason when another start has taken over, or another exchange answers.
    """

    def __init__(
        self,
        *,
        store: Store,
        broker: MainBroker,
        desk: Desk,
        inbox: Inbox,
        feed: Feed,
        clock: Clock,
        troubles: Troubles,
        quiet_period: timedelta,
        before_each: Callable[[], None],
        stop: Callable[[str], None],
    ) -> None:
        self._store = store
        self._broker = broker
        self._desk = desk
        self._inbox = inbox
        self._feed = feed
        self._clock = clock
        self._troubles = troubles
        self._quiet_period = quiet_period
        self._before_each = before_each
        self._stop = stop
        self._was_opened = self._is_reopened = False
        self._asked_at: dict[int, datetime] = {}
        self._told: dict[str, Watch] = {}
        self._hearing = Hearing(broker, desk, feed, clock, troubles)
        self.delays = Delays(desk, feed, clock, troubles)
        started = self._clock.monotonic()  # which read the rules, and compared the clocks
        self._due: dict[str, float] = {"rules": started + RULES_SECONDS, "clock": started + CLOCK_SECONDS}
        self._settle_now = False

    def tick(self) -> None:
        """Do what is due."""
        self.regularly("refresh", REFRESH_SECONDS, self.refresh)
        if self._settle_now:
            self._settle_now = False
            self._due.pop("settle", None)
        self.regularly("settle", SETTLE_SECONDS, self._settle)
        self.regularly("fees", FEES_SECONDS, lambda: self._ask_for_fees(FRESH, JUST_CLOSED))
        self.regularly("late fees", LATE_FEES_SECONDS, lambda: self._ask_for_fees(LATEST, LATEST))
        self.regularly("rules", RULES_SECONDS, self._read_rules)
        if self._is_any_halted():
            self.regularly("rules of a halted pair", HALTED_SECONDS, self._read_rules)
        self.regularly("silence", SILENT_SECONDS / 3, self._hearing.probe)
        self.regularly("clock", CLOCK_SECONDS, self._hearing.compare_clock)
        if self._desk.clock_reading is not None and self._desk.clock_reading.is_wrong:
            self.regularly("wrong clock", AGAIN_SECONDS, self._hearing.compare_clock)
        self.regularly("delays", DELAYS_SECONDS, self.delays.look)

    def regularly(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        """Do something when it is due; what does not answer is told once and tried again."""
        now = self._clock.monotonic()
        if now < self._due.get(name, 0.0):
            return
        self._due[name] = now + seconds
        self._before_each()
        try:
            work()
        except Unavailable as error:
            self._troubles.begins("loop", name, str(error), self._clock.now())
            self._due[name] = now + min(seconds, AGAIN_SECONDS)
        else:
            self._troubles.ends("loop", name, self._clock.now())

    def ask_to_settle(self) -> None:
        """The order stream was opened: what it missed is asked for before anything else is placed. If not for
        the first time, another exchange may be behind it: the start had looked at that moments before."""
        self._is_reopened, self._was_opened = self._was_opened, True
        self._desk.settled = False
        self._settle_now = True

    def refresh(self) -> None:
        """Read the operator's rows, begin missing cycles, tell what changed."""

        def read(tx: Transaction) -> tuple[Control, list[Asset], dict[int, Watch]]:
            look = self._desk.new_look()
            control = tx.control()
            assets = tx.assets()
            cycles = {cycle.asset_id: cycle for cycle in tx.live_cycles()}
            orders = tx.open_orders()
            watches = {
                asset.id: Watch(
                    asset=asset,
                    cycle=cycles.get(asset.id),
                    open_orders=tuple(order for order in orders if order.asset_id == asset.id),
                    look=look,
                )
                for asset in assets
            }
            return control, assets, watches

        control, assets, watches = self._store.transaction(read)
        if control.epoch != self._desk.epoch:
            self._stop("another main_app has started on this database")
        if control.mode != self._desk.mode:
            fact("mode", control.mode.value, level=logging.WARNING, was=self._desk.mode.value)
            self._desk.mode = control.mode
        for asset in assets:
            if order_cleanup.is_missing_a_cycle(asset, watches[asset.id].cycle):
                self._begin_first_cycle(asset)
                self._due.pop("refresh", None)
            self._put(asset, watches[asset.id])
        for symbol in self._desk.forget_others({asset.asset_symbol for asset in assets}):
            self._told.pop(symbol, None)
            fact("asset", "removed", symbol=symbol)
        self._feed.set_symbols(self._desk.symbols())

    def _begin_first_cycle(self, asset: Asset) -> None:
        try:
            begun = self._store.transaction(lambda tx: begin_first(tx, asset, self._clock.now()))
        except LostRace:
            return
        if begun:
            fact("cycle", "begins", symbol=asset.asset_symbol)

    def _put(self, asset: Asset, read: Watch) -> None:
        """Hand an asset to the desk, and tell what is new about it. A worker may have read it anew before."""
        symbol = asset.asset_symbol
        before = self._told.get(symbol)
        self._desk.put(asset, read.cycle, read.open_orders, self._clock.now(), read.look)
        # Levels may have changed, or the newest quote came while its pair was left alone for a moment.
        self._feed.look_again(symbol)
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
        """Ask for every order in flight: one list for all, and a look-up for each that is not on it. An
        exchange that was started anew knows none of them: what it says of them is not heard."""
        if self._is_reopened and self._is_another_exchange():
            return
        self._is_reopened = False
        orders = self._desk.open_orders()
        in_flight = {order.id for order in orders}
        self._asked_at = {number: at for number, at in self._asked_at.items() if number in in_flight}
        if orders or not self._desk.settled:  # after a start, also orders that a restored ledger forgot
            listed = {snapshot.client_order_id: snapshot for snapshot in self._broker.open_orders()}
            for order in orders:
                self._settle_one(order, listed.get(order.client_order_id))
            self._report_orphans(listed, orders)
        if not self._desk.settled:
            self._desk.settled = True
            for symbol in self._desk.symbols():
                self._feed.look_again(symbol)
        self._desk.last_settle_at = self._clock.now()

    def _is_another_exchange(self) -> bool:
        """Whether another account answers than the one that was checked at the start."""
        control = self._store.transaction(lambda tx: tx.control())
        why = account_checks.other_account(control, self._broker.account(), "of this installation")
        if why is not None:
            self._stop(why)
        return why is not None

    def _settle_one(self, order: Order, snapshot: Snapshot | None) -> None:
        unclear = snapshot is None or ledger.is_incomplete(snapshot)
        if snapshot is None or unclear or order.state not in {OrderState.SENT, OrderState.ACKED}:
            if self._may_ask(order):
                self._inbox.put(Settle(order=order))
        elif ledger.merge(order, snapshot, self._clock.now()) != order:
            self._inbox.put(snapshot)

    def _may_ask(self, order: Order) -> bool:
        """Look an unknown order up at every round at first, then every half minute: before the quiet period
        is over a denial counts for nothing, and sixty pairs share one rate limit."""
        now = self._clock.now()
        if order.state is not OrderState.SENT or now - order.last_sent_at < ASK_OFTEN:
            return True
        last = self._asked_at.get(order.id)
        if last is not None and now - last < min(ASK_SELDOM, self._quiet_period / 4):
            return False
        self._asked_at[order.id] = now
        return True

    def _report_orphans(self, listed: dict[str, Snapshot], orders: list[Order]) -> None:
        """Orders with our id that the ledger may not know go through booking, which locks if so."""
        known = {order.client_order_id for order in orders}
        for name, snapshot in listed.items():
            if name.startswith(self._desk.prefix) and name not in known:
                self._inbox.put(snapshot)

    def _ask_for_fees(self, age: timedelta, charged_age: timedelta) -> None:
        """One list for all orders that closed within this time and whose fills are not known, and for those
        of which it is not known yet what was charged: of buys that is of use while their coins are held."""
        now = self._clock.now()
        found = self._store.transaction(lambda tx: tx.orders_with_open_fees(now - age, now - charged_age))
        live = {watch.cycle.id for watch in self._desk.watches() if watch.cycle is not None}
        assumed = [order for order in found if order.fee_source is FeeSource.ASSUMED]
        is_of_use = (order for order in found if order.side is Side.SELL or order.cycle_id in live)
        known = [order for order in is_of_use if order.fee_source is not FeeSource.ASSUMED]
        if not assumed and not known:
            return
        executions, charges = self._broker.fills_and_fees([*assumed, *known])
        for order in assumed:
            mine = tuple(each for each in executions if each.exchange_order_id == order.exchange_order_id)
            if mine:
                self._inbox.put(ConfirmFee(order=order, executions=mine))
        charged = of_orders(known, executions, charges)
        for order in known:
            if order.id in charged:
                self._inbox.put(ConfirmFee(order=order, charged=charged[order.id]))

    def _read_rules(self) -> None:
        """What the exchange stopped listing keeps its old rules, so that what is held can be sold."""
        self._desk.rules = {**self._desk.rules, **self._broker.trading_rules()}

    def _is_any_halted(self) -> bool:
        """Whether a pair of ours is not traded at the moment, as far as we know (F77)."""
        rules = self._desk.rules
        symbols = (watch.asset.asset_symbol for watch in self._desk.watches())
        return any(symbol in rules and not rules[symbol].tradable for symbol in symbols)


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
