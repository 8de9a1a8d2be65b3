"""Where the streams put what they heard, and the workers take it from.

Order updates and tasks are kept all and in order; of quotes only the newest of each pair: deciding on an
old one would be wrong, and remembering them all is how memory runs out (F16, F17).

Any worker takes whatever waits longest, but never anything of a pair that another one has in hand: events of
one pair never overlap, and a slow answer for one pair holds up no other.
"""

import threading
from collections import deque
from dataclasses import dataclass

from dca.core.charges import Charged
from dca.core.model import Execution, Order, Quote, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Ask the exchange what became of this order."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmFee:
    """Book what these executions, as far as they are listed by now, or what was charged, make of this closed
    order's fee: a matter of cents, for when there is time, one after the other."""

    order: Order
    executions: tuple[Execution, ...] = ()
    charged: Charged | None = None


Task = Snapshot | Settle | ConfirmFee
Item = Task | Quote


class Inbox:
    """All workers' one. Any thread may put and take; who took an item says when it is `done`."""

    def __init__(self) -> None:
        self._updates: deque[Task] = deque()
        self._settles: deque[Task] = deque()
        self.quotes: dict[str, Quote] = {}
        """Those that wait; only to be looked at from outside."""
        self._settles_first = False
        self._later: deque[Task] = deque()
        self._in_hand: set[str] = set()
        self._is_confirming = False
        self._lock = threading.Lock()
        self._bells: list[threading.Condition] = []

    def put_quote(self, quote: Quote) -> None:
        with self._lock:
            known = self.quotes.get(quote.symbol)
            if known is None or known.at <= quote.at:
                self.quotes[quote.symbol] = quote
                self._ring(quote)

    def forget_older(self, quote: Quote) -> None:
        """This one reaches nothing: an older one of its pair that waits would be decided on too late."""
        with self._lock:
            known = self.quotes.get(quote.symbol)
            if known is not None and known.at < quote.at:
                del self.quotes[quote.symbol]

    def put(self, task: Task) -> None:
        """A task that waits already is not put twice."""
        with self._lock:
            queue = self._queue_of(task)
            if isinstance(task, Snapshot) or task not in queue:
                queue.append(task)
                self._ring(task)

    def take(self, timeout_seconds: float) -> Item | None:
        """The oldest order update; else, in turns, an order to settle and the quote whose pair has waited
        longest; always of a pair that nobody has in hand. None after the time-out."""
        with self._lock:
            item = self._next()
            if item is None:
                bell = threading.Condition(self._lock)
                self._bells.append(bell)
                if not bell.wait(timeout_seconds) and bell in self._bells:
                    self._bells.remove(bell)
                item = self._next()
            if item is not None:
                self._in_hand.add(pair_of(item))
                self._is_confirming |= isinstance(item, ConfirmFee)
            return item

    def done(self, item: Item) -> None:
        """The pair's next item may be taken: the caller's next `take` does."""
        with self._lock:
            self._in_hand.discard(pair_of(item))
            self._is_confirming &= not isinstance(item, ConfirmFee)

    def is_empty(self) -> bool:
        with self._lock:
            return not any((self._updates, self._settles, self.quotes, self._later))

    def _queue_of(self, task: Task) -> deque[Task]:
        match task:
            case ConfirmFee():
                return self._later
            case Settle():
                return self._settles
        return self._updates

    def _next(self) -> Item | None:
        """Settling waits for the exchange: slow answers about some orders must not keep every worker from
        deciding about other pairs."""
        found = self._from(self._updates)
        if found is not None:
            return found
        self._settles_first = not self._settles_first
        if self._settles_first:
            return self._from(self._settles) or self._quote() or self._from(self._later)
        return self._quote() or self._from(self._settles) or self._from(self._later)

    def _from(self, tasks: deque[Task]) -> Task | None:
        for index, task in enumerate(tasks):
            if self._is_free(task):
                del tasks[index]
                return task
        return None

    def _quote(self) -> Quote | None:
        # A newer quote keeps its pair's place.
        symbol = next((each for each in self.quotes if _pair(each) not in self._in_hand), None)
        return None if symbol is None else self.quotes.pop(symbol)

    def _ring(self, item: Item) -> None:
        """Wake the worker that came to rest last: its connections are the most likely to be open still."""
        if self._bells and self._is_free(item):
            self._bells.pop().notify()

    def _is_free(self, item: Item) -> bool:
        """Fees come dozens at a time: all workers at once would keep database and processor from an order."""
        if self._is_confirming and isinstance(item, ConfirmFee):
            return False
        return pair_of(item) not in self._in_hand


def symbol_of(item: Item) -> str:
    """Which pair an item is about, as it came."""
    return item.symbol if isinstance(item, Quote | Snapshot) else item.order.symbol


def pair_of(item: Item) -> str:
    """Likewise, by one name for each pair."""
    return _pair(symbol_of(item))


def _pair(symbol: str) -> str:
    return symbol.replace("/", "")  # the exchange writes a pair both ways
