"""Takes from the inbox and trades."""

import threading
from contextlib import suppress
from datetime import datetime, timedelta

from dca.core.errors import LostRace, RowGone, Unavailable
from dca.core.interfaces import Clock, Feed
from dca.core.model import Order, Quote, Snapshot
from dca.runtime.crash_counter import Failures
from dca.runtime.log_lines import Troubles, warn
from dca.runtime.settings import Settings
from dca.trading.bookkeeper import Settled
from dca.trading.inbox import ConfirmFee, Inbox, Item, Settle, symbol_of
from dca.trading.trader import Limits, Trader

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


class Rests:
    """Pairs whose quotes all workers leave alone for a moment. An answer about one pair says nothing of
    another: the data host may be silent for those that would sell while the trading host answers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self._failing = False

    def failed(self, symbol: str | None) -> None:
        """Something did not answer; about a quote of this pair, if one is named."""
        with self._lock:
            self._failing = True
            if symbol is not None:
                self._until[symbol] = self._clock.monotonic() + REST_SECONDS

    def answered(self, symbol: str) -> bool:
        """Something answered about a pair; True if with that nothing is known any more not to answer."""
        if not self._failing:
            return False
        with self._lock:
            self._until.pop(symbol, None)
            now = self._clock.monotonic()
            self._failing = any(until > now for until in self._until.values())
            return not self._failing

    def is_resting(self, symbol: str) -> bool:
        return self._failing and self._clock.monotonic() < self._until.get(symbol, 0.0)

    def until(self, symbol: str) -> datetime | None:
        """Until when a pair rests; None if it does not."""
        seconds = self._until.get(symbol, 0.0) - self._clock.monotonic()
        return self._clock.now() + timedelta(seconds=seconds) if seconds > 0 else None


class Worker:
    """Takes from the inbox and trades, in plain blocking code. For one thread."""

    def __init__(
        self,
        trader: Trader,
        inbox: Inbox,
        feed: Feed,
        rests: Rests,
        troubles: Troubles,
        failures: Failures,
        clock: Clock,
    ) -> None:
        self._trader = trader
        self._inbox = inbox
        self._feed = feed
        self._rests = rests
        self._troubles = troubles
        self._failures = failures
        self._clock = clock

    def work(self, timeout_seconds: float) -> bool:
        """Wait for an item and handle it; False if none came."""
        item = self._inbox.take(timeout_seconds)
        if item is None:
            return False
        try:
            self._take(item)
        finally:
            self._inbox.done(item)
        return True

    def _take(self, item: Item) -> None:
        """Handle one item. Where something does not answer nothing was decided, and nothing is lost: a
        later quote decides, and settling finds what an order update said."""
        survived = False
        try:
            answered = self._handle(item)
            survived = True
        except (LostRace, RowGone) as error:
            # The rows are others than were read: the next item finds them as they are.
            warn("worker", "looks again", symbol=symbol_of(item), why=str(error))
            with suppress(Unavailable):
                self._trader.books.look(symbol_of(item))
            survived = True
            return
        except Unavailable as error:
            if isinstance(item, Quote):
                self._trader.held_back(item.symbol, str(error))
            self._rests.failed(item.symbol if isinstance(item, Quote) else None)
            self._troubles.begins(
                "worker", type(error).__name__, str(error), self._clock.now(), symbol=symbol_of(item)
            )
            survived = True
            return
        finally:
            if not survived:
                self._failures.note(symbol_of(item))
        if answered and self._rests.answered(symbol_of(item)):
            self._recovered()

    def _recovered(self) -> None:
        for name in ("ExchangeUnavailable", "DatabaseUnavailable", "RequestRefused", "RateLimited"):
            self._troubles.ends("worker", name, self._clock.now())

    def _handle(self, item: Item) -> bool:
        """Whether database or exchange had to answer, and did."""
        match item:
            case Quote():
                return not self._rests.is_resting(item.symbol) and self._trader.on_quote(item)
            case Snapshot():
                self._booked(self._trader.books.book(item))
            case Settle(order=order):
                settled = self._trader.settle(order)
                self._booked(settled.order)
                if self._stream_missed(order, settled):
                    why = f"{order.client_order_id} changed, and the stream did not say so"
                    self._feed.reconnect(self._feed.orders, why)
            case ConfirmFee(order=order, executions=executions, charged=charged):
                self._trader.books.confirm_fee(order, executions, charged)
                self._feed.look_again(order.symbol)
        return True

    def _booked(self, order: Order | None) -> None:
        """What was booked may have put a level where the newest quote is already."""
        if order is not None:
            self._feed.look_again(order.symbol)

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

    def __init__(self, number: int, worker: Worker, clock: Clock) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self._worker = worker
        self._clock = clock
        self._stopping = threading.Event()
        self.beat_monotonic = clock.monotonic()
        """When it last was between two tasks."""

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            self.beat_monotonic = self._clock.monotonic()
            self._worker.work(timeout_seconds=0.5)
