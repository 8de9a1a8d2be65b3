"""A thread that takes from its inbox and trades, in plain blocking code."""

import threading

from dca.bookkeeper import Settled
from dca.broker import Broker
from dca.clock import SystemClock
from dca.desk import Desk
from dca.errors import Unavailable
from dca.failures import Failures
from dca.feed import Feed
from dca.inbox import ConfirmFee, Inbox, Settle, Task
from dca.logs import Troubles
from dca.model import Order, Quote, Snapshot
from dca.settings import Settings
from dca.store import Store
from dca.trader import Limits, Trader

REST_SECONDS = 5.0
"""How long an asset's quotes are left alone after database or exchange did not answer."""
LATE_SECONDS = 5.0
"""An order update that the stream has not brought by then is one that it lost."""


def limits_of(settings: Settings) -> Limits:
    return Limits(
        max_quote_age_seconds=settings.max_quote_age_seconds,
        max_spread_percent=settings.max_spread_percent,
        quiet_period=settings.quiet_period,
    )


class Worker(threading.Thread):
    """Has a database connection and an HTTP session of its own. Ends when asked to, after the task in
    hand; anything that escapes it ends the process (runtime.py)."""

    def __init__(
        self,
        number: int,
        settings: Settings,
        inbox: Inbox,
        desk: Desk,
        troubles: Troubles,
        feed: Feed,
        failures: Failures,
    ) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self._inbox = inbox
        self._troubles = troubles
        self._feed = feed
        self._failures = failures
        self._clock = SystemClock()
        self._store = Store(settings.database)
        self._broker = Broker(settings.exchange)
        self._trader = Trader(self._store, self._broker, desk, self._clock, troubles, limits_of(settings))
        self._stopping = threading.Event()
        self._resting: dict[str, float] = {}
        self._failing = False
        self.beat_monotonic = self._clock.monotonic()
        """When it last was between two tasks."""

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.beat_monotonic = self._clock.monotonic()
                item = self._inbox.take(timeout_seconds=0.5)
                if item is not None:
                    self._take(item)
        finally:
            self._store.close()

    def _take(self, item: Task | Quote) -> None:
        """Handle one item. Where something does not answer nothing was decided, and nothing is lost: a
        later quote decides, and settling finds what an order update said."""
        survived = False
        try:
            answered = self._handle(item)
            survived = True
        except Unavailable as error:
            self._failing = True
            self._troubles.begins("worker", type(error).__name__, str(error), self._clock.now())
            if isinstance(item, Quote):
                self._resting[item.symbol] = self._clock.monotonic() + REST_SECONDS
            survived = True
            return
        finally:
            if not survived:
                self._failures.note(item.symbol if isinstance(item, Quote | Snapshot) else item.order.symbol)
        if self._failing and answered:
            self._recovered()

    def _recovered(self) -> None:
        self._failing = False
        self._resting.clear()
        for name in ("ExchangeUnavailable", "DatabaseUnavailable", "RequestRefused"):
            self._troubles.ends("worker", name, self._clock.now())

    def _handle(self, item: Task | Quote) -> bool:
        """Whether database or exchange had to answer, and did."""
        match item:
            case Quote():
                if self._resting and self._clock.monotonic() < self._resting.get(item.symbol, 0.0):
                    return False
                return self._trader.on_quote(item)
            case Snapshot():
                self._trader.books.book(item)
            case Settle(order=order):
                settled = self._trader.settle(order)
                if _stream_missed(order, settled, self._feed):
                    why = f"{order.client_order_id} changed, and the stream did not say so"
                    self._feed.reconnect(self._feed.orders, why)
            case ConfirmFee(order=order):
                self._trader.books.confirm_fee(order)
        return True


def _stream_missed(before: Order, settled: Settled, feed: Feed) -> bool:
    """Whether asking brought news that a living stream would have brought before (F11)."""
    snapshot, heard = settled.snapshot, feed.orders.last_message_at
    news = (settled.order.state, settled.order.filled_qty) != (before.state, before.filled_qty)
    if snapshot is None or snapshot.updated_at is None or not news:
        return False
    connected_at = feed.orders.connected_at
    if not feed.orders.connected or connected_at is None or connected_at > snapshot.updated_at:
        return False
    age = (SystemClock().now() - snapshot.updated_at).total_seconds()
    return age > LATE_SECONDS and (heard is None or heard < snapshot.updated_at)
