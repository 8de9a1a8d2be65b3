"""Where the streams put what they heard, and the workers take it from.

Order updates and tasks are kept all and in order; of quotes only the newest of each pair: deciding on an
old one would be wrong, and remembering them all is how memory runs out (F16, F17).
"""

import threading
import zlib
from collections import deque
from dataclasses import dataclass

from dca.model import Order, Quote, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Ask the exchange what became of this order."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmFee:
    """Ask the exchange for the executions of this closed order."""

    order: Order


Task = Snapshot | Settle | ConfirmFee


class Inbox:
    """One worker's. Any thread may put, one takes."""

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()
        self._quotes: dict[str, Quote] = {}
        self._ready = threading.Condition()

    def put_quote(self, quote: Quote) -> None:
        with self._ready:
            self._quotes[quote.symbol] = quote
            self._ready.notify()

    def put(self, task: Task) -> None:
        """A task that waits already is not put twice."""
        with self._ready:
            if isinstance(task, Snapshot) or task not in self._tasks:
                self._tasks.append(task)
                self._ready.notify()

    def take(self, timeout_seconds: float) -> Task | Quote | None:
        """The oldest task, else a quote, else None after the time-out."""
        with self._ready:
            if not self._tasks and not self._quotes:
                self._ready.wait(timeout_seconds)
            if self._tasks:
                return self._tasks.popleft()
            if self._quotes:
                # The pair that has waited longest; a newer quote keeps its pair's place.
                return self._quotes.pop(next(iter(self._quotes)))
            return None

    def is_empty(self) -> bool:
        with self._ready:
            return not self._tasks and not self._quotes


class Inboxes:
    """One inbox a worker; a pair always belongs to the same one."""

    def __init__(self, workers: int) -> None:
        self.all = [Inbox() for _ in range(workers)]

    def of(self, symbol: str) -> Inbox:
        name = symbol.replace("/", "")  # the exchange writes a pair both ways
        return self.all[zlib.crc32(name.encode()) % len(self.all)]
