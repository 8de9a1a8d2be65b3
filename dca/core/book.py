"""The order book of a pair: what others offer at which price, rebuilt from a stream's messages. No I/O.

Alpaca's stream has no sequence numbers and no heartbeat: a dropped change shows only in that the book's best
prices differ from the quotes, which come on a channel of their own.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from dca.core.model import Quote, Side

BEST_PRICES_AGREE_WITHIN = 0.0001
"""One basis point, as a share of the price."""
DISAGREEMENT_LIMIT = timedelta(seconds=2)
"""A quote that came less than this ago may be ahead of the book."""

Level = tuple[Decimal, Decimal]
"""Price in dollars and size in coins."""
RawLevel = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookMessage:
    """A message of the stream: a whole book, or levels that changed. A size of 0 removes a level."""

    symbol: str
    at: datetime
    bids: Sequence[RawLevel]
    asks: Sequence[RawLevel]
    is_whole: bool = False

    @property
    def is_sane(self) -> bool:
        """Whether every price is finite and positive, and no size is negative or endless."""
        return all(0 < price < math.inf and 0 <= size < math.inf for price, size in (*self.bids, *self.asks))


@dataclass(slots=True)
class Book:
    """A pair's book. Prices and sizes stay floats until a decision asks for levels: most changes are never
    looked at. Nothing is sorted on arrival."""

    symbol: str
    at: datetime | None = None
    """The exchange's time of the last message."""
    is_complete: bool = False
    """Whether the whole book has been seen, and no odd message since."""
    _bids: dict[float, float] = field(default_factory=dict)
    _asks: dict[float, float] = field(default_factory=dict)

    def apply(self, message: BookMessage) -> None:
        """Take a message in. Changes before the first whole book, and odd messages, leave it incomplete."""
        if not message.is_sane:
            self.reset()
        elif message.is_whole or self.is_complete:
            if message.is_whole:
                self.reset()
                self.is_complete = True
            self.at = message.at
            _change(self._bids, message.bids)
            _change(self._asks, message.asks)

    def reset(self) -> None:
        """Forget everything, as when the stream was cut: the next whole book begins anew."""
        self._bids.clear()
        self._asks.clear()
        self.is_complete = False

    def problem(self, quote: Quote, now: datetime) -> str | None:
        """Why the book cannot be used beside the newest quote of the pair; None if it can."""
        if not self.is_complete:
            return "the whole book has not come yet"
        if (problem := self._shape_problem()) is not None:
            return problem
        age = now - quote.received_at
        if age >= DISAGREEMENT_LIMIT and not self.agrees(quote):
            return f"its best prices differ from the quote that came {age.total_seconds():.0f} s ago"
        return None

    def problem_alone(self, now: datetime, max_age_seconds: Decimal) -> str | None:
        """Why a whole book that was asked for cannot be used, with no quote beside it; None if it can."""
        if self.at is None or not self.is_complete:
            return "a price or size in it is not possible"
        age_seconds = (now - self.at).total_seconds()
        if abs(age_seconds) > max_age_seconds:
            return f"it is {age_seconds:.0f} s old"
        return self._shape_problem()

    def _shape_problem(self) -> str | None:
        if not self._bids or not self._asks:
            return f"there are no {'asks' if self._bids else 'bids'} in it"
        return "its bid is not below its ask" if max(self._bids) >= min(self._asks) else None

    def agrees(self, quote: Quote) -> bool:
        """Whether the best prices are within a basis point of the quote's."""
        if not self._bids or not self._asks:
            return False
        pairs = ((max(self._bids), float(quote.bid)), (min(self._asks), float(quote.ask)))
        return all(abs(mine - theirs) <= BEST_PRICES_AGREE_WITHIN * theirs for mine, theirs in pairs)

    def taken_by(self, side: Side) -> Iterator[Level]:
        """The levels that a taker of this side finds, best first: asks for a buy."""
        levels = self._asks if side is Side.BUY else self._bids
        for price in sorted(levels, reverse=side is Side.SELL):
            yield Decimal(repr(price)), Decimal(repr(levels[price]))


def _change(levels: dict[float, float], changes: Sequence[RawLevel]) -> None:
    for price, size in changes:
        if size:
            levels[price] = size
        else:
            levels.pop(price, None)
