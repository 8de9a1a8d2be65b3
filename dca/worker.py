"""Takes from an inbox and trades."""

import threading
from collections.abc import Callable

from dca.bookkeeper import Settled
from dca.errors import Unavailable
from dca.failures import Failures
from dca.inbox import ConfirmFee, Inbox, Settle, Task
from dca.logs import Troubles
from dca.model import Order, Quote, Snapshot
from dca.ports import Clock, Feed
from dca.settings import Settings
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
        fuse=settings.fuse,
    )


class Worker:
    """Takes from one inbox and trades, in plain blocking code. For one thread."""

    def __init__(
        self, trader: Trader, inbox: Inbox, feed: Feed, troubles: Troubles, failures: Failures, clock: Clock
    ) -> None:
        self._trader = trader
        self._inbox = inbox
        self._feed = feed
        self._troubles = troubles
        self._failures = failures
        self._clock = clock
        self._resting: dict[str, float] = {}
        self._failing = False

    def work(self, timeout_seconds: float) -> bool:
        """Wait for an item and handle it; False if none came."""
        item = self._inbox.take(timeout_seconds)
        if item is not None:
            self._take(item)
        return item is not None

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
        for name in ("ExchangeUnavailable", "DatabaseUnavailable", "RequestRefused", "RateLimited"):
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
                if self._stream_missed(order, settled):
                    why = f"{order.client_order_id} changed, and the stream did not say so"
                    self._feed.reconnect(self._feed.orders, why)
            case ConfirmFee(order=order):
                self._trader.books.confirm_fee(order)
        return True

    def _stream_missed(self, before: Order, settled: Settled) -> bool:
        """Whether asking brought news that a living stream would have brought before (F11)."""
        stream, snapshot = self._feed.orders, settled.snapshot
        news = (settled.order.state, settled.order.filled_qty) != (before.state, before.filled_qty)
        if snapshot is None or snapshot.updated_at is None or not news:
            return False
        if not stream.connected or stream.connected_at is None or stream.connected_at > snapshot.updated_at:
            return False
        age = (self._clock.now() - snapshot.updated_at).total_seconds()
        heard = stream.last_message_at
        return age > LATE_SECONDS and (heard is None or heard < snapshot.updated_at)


class WorkerThread(threading.Thread):
    """A worker at work. Ends when asked to, after the task in hand; anything that escapes it ends the
    process (runtime.py)."""

    def __init__(self, number: int, worker: Worker, clock: Clock, on_end: Callable[[], None]) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self._worker = worker
        self._clock = clock
        self._on_end = on_end
        self._stopping = threading.Event()
        self.beat_monotonic = clock.monotonic()
        """When it last was between two tasks."""

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.beat_monotonic = self._clock.monotonic()
                self._worker.work(timeout_seconds=0.5)
        finally:
            self._on_end()
