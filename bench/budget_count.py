"""Sums of requests: per minute, per script, and how much room they left."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.budget_gate import LIMIT, MAIN_APP, WINDOW_SECONDS, Request
from bench.row import median
from dca.exchange import request_budget
from dca.exchange.request_budget import ALL_OF_MAIN_APP, Kind

ORDERS = frozenset({"submit", "cancel"})
"""What no program that places and cancels the same orders can do without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """The requests to the trading host within one minute, ending at a second."""

    ends_at: float
    requests: tuple[Request, ...]

    @property
    def orders(self) -> int:
        return sum(each.call in ORDERS for each in self.requests)

    @property
    def of_main_app(self) -> int:
        return sum(each.script == MAIN_APP for each in self.requests)

    def left_for(self, kind: Kind) -> int:
        """How many more requests of a kind main_app could have sent at its end."""
        own = request_budget.main_app(ALL_OF_MAIN_APP)[kind] - self.of_main_app
        return max(min(own, LIMIT - len(self.requests)), 0)


def minutes(requests: Iterable[Request], begins: float, ends: float) -> list[Minute]:
    """Every minute that ends at a full second of the time given."""
    trading = [each for each in requests if each.is_trading]
    times = [each.seconds for each in trading]
    found = []
    for second in range(int(begins + WINDOW_SECONDS), int(ends) + 1):
        first, last = bisect_right(times, second - WINDOW_SECONDS), bisect_right(times, second)
        found.append(Minute(ends_at=float(second), requests=tuple(trading[first:last])))
    return found


def worst(found: Sequence[Minute]) -> Minute:
    return max(found, key=lambda minute: len(minute.requests))


def median_count(found: Sequence[Minute]) -> float:
    return median([len(minute.requests) for minute in found])


def least_left(found: Sequence[Minute], kind: Kind) -> int:
    return min(minute.left_for(kind) for minute in found)


def spenders(requests: Iterable[Request]) -> Counter[tuple[str, str]]:
    """By script and call."""
    return Counter((each.script, each.call) for each in requests)


def summed_up(requests: Iterable[Request], most: int = 6) -> str:
    """The largest spenders in a line."""
    counted = spenders(requests).most_common(most)
    return ", ".join(f"{script} {call} {count}" for (script, call), count in counted)
