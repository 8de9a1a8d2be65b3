"""The request budget per minute, and which requests have priority when it runs short (F28).

Alpaca allows 200 requests a minute per account (alpaca.md 2.7) and answers 429 beyond that. An order answered
with 429 has an unknown outcome, so it is better not to send it. Nothing waits here: a thread waiting to buy
could not sell in the meantime. A request over the budget raises, and is retried later.
"""

import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum

from dca.core.errors import RateLimited
from dca.core.interfaces import Clock
from dca.core.model import Side


class Kind(Enum):
    """What a request is for, highest priority first. Each kind leaves a reserve for the kinds above it."""

    EXIT = "sells and cancels"
    LOOK_UP = "look-ups"
    ORDINARY = "buys and reading"

    @classmethod
    def of(cls, side: Side) -> "Kind":
        """An order's."""
        return cls.EXIT if side is Side.SELL else cls.ORDINARY


ALL_OF_MAIN_APP = 130
"""Default requests within any minute. With three caretakers and one command at an eighth each: 194."""
_SHARE_PERCENT = {Kind.EXIT: 100, Kind.LOOK_UP: 80, Kind.ORDINARY: 60}


def main_app(per_minute: int) -> dict[Kind, int]:
    """For each kind, the total requests within a minute up to which it is sent, over all threads of
    main_app."""
    return {kind: per_minute * percent // 100 for kind, percent in _SHARE_PERCENT.items()}


def others(per_minute: int) -> dict[Kind, int]:
    """The same for one run of a caretaker or a command, given main_app's `per_minute`."""
    return dict.fromkeys(Kind, per_minute // 8)


_WINDOW_SECONDS = 60.0
_LEFT_PERCENT = {Kind.EXIT: -1, Kind.LOOK_UP: 15, Kind.ORDINARY: 30}
"""A kind is not sent while the exchange reports no more than this left of its limit, whoever used it."""
_LONGEST_SECONDS, _SHORTEST_SECONDS, _FIRST_SECONDS = 60.0, 1.0, 2.0


class Pace:
    """Counts the requests of one process to the trading host; for any number of threads."""

    def __init__(self, clock: Clock, most: Mapping[Kind, int]) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._sent: deque[float] = deque()
        self._refusals = 0
        self._refused_until = 0.0
        self._left = self._limit = 0
        self._left_until = 0.0

    def take(self, kind: Kind) -> float:
        """Count a request about to be sent; returns a token for `give_back`.

        Raises:
            RateLimited: it must not be sent now.
        """
        with self._lock:
            now = self._clock.monotonic()
            while self._sent and self._sent[0] <= now - _WINDOW_SECONDS:
                self._sent.popleft()
            reason = self._why_not(kind, now)
            if reason is not None:
                raise RateLimited(f"{kind.value} wait: {reason}")
            self._sent.append(now)
            return now

    def give_back(self, taken: float) -> None:
        """Take back a counted request that was not sent."""
        with self._lock, suppress(ValueError):  # too long ago to count
            self._sent.remove(taken)

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the exchange's rate-limit headers; their names may have any case (requests' own mapping)."""
        with self._lock:
            now = self._clock.monotonic()
            reset = self._seconds_to_reset(headers)
            left, limit = _number(headers, "X-RateLimit-Remaining"), _number(headers, "X-RateLimit-Limit")
            if left is not None and limit and reset is not None:  # a limit of 0 is none
                self._left, self._limit, self._left_until = left, limit, now + reset
            if status == 429:
                self._refusals += now >= self._refused_until  # several threads may get a 429 at once
                grown = _FIRST_SECONDS * 2 ** min(self._refusals - 1, 10)
                pause = _number(headers, "Retry-After") or reset or grown
                pause = min(max(pause, _SHORTEST_SECONDS), _LONGEST_SECONDS)
                self._refused_until = max(self._refused_until, now + pause)
            elif now >= self._refused_until:
                self._refusals = 0

    def _why_not(self, kind: Kind, now: float) -> str | None:
        if len(self._sent) >= self._most[kind]:
            return f"{len(self._sent)} requests within a minute"
        if kind is Kind.ORDINARY and now < self._refused_until:
            return f"the exchange answered 429; for {self._refused_until - now:.0f} s more"
        if now < self._left_until and self._left * 100 <= self._limit * _LEFT_PERCENT[kind]:
            return f"the exchange allows {self._left} more of {self._limit} requests"
        return None

    def _seconds_to_reset(self, headers: Mapping[str, str]) -> float | None:
        """When the limit resets, on our clock, which may differ from the exchange's: at most its one-minute
        window."""
        at = _number(headers, "X-RateLimit-Reset")
        if at is None:
            return None
        return min(max(at - self._clock.now().timestamp(), 0.0), _LONGEST_SECONDS)


def _number(headers: Mapping[str, str], name: str) -> int | None:
    """A whole number that is not negative; None for anything else."""
    text = headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None
