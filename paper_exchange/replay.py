"""Recorded prices as quotes, at the pace of the recording.

Bars become quotes by one rule: open, then low and high (high and low if the bar closed below its open), then
close; each is the middle of a quote whose spread is the larger of two price steps and two hundredths of a
percent. So is the price of a trade. Recorded quotes and books are taken as they are. Quotes carry the clock's
time, not the file's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from paper_exchange.market import SPREAD_BPS, half_spread
from recordings import recording
from recordings.values import BadFile, Bar, BestQuote, Book, Kind, LeftOut, Moment, Trade

__all__ = ["BadFile", "Point", "Recording"]

HOLE_BARS = 5
"""A hole longer than this many bars passes like one bar."""
LONGEST_BAR_SECONDS = 7 * 86_400.0
HOLE_SECONDS = 3600.0
"""Between quotes no more time passes than this."""
USUAL_BAR_SECONDS = 60.0

Pair = tuple[Decimal, Decimal]
"""Bid and ask."""


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of the recording: market time, bid, ask. `bar` counts bars; 0 in a quote file."""

    at: datetime
    bid: Decimal
    ask: Decimal
    seconds: float
    bar: int = 0


class Recording:
    """A file of bars, quotes, trades or books, read as it is played.

    Raises:
        BadFile: at the beginning, if the file is not what it should be. A bad line later is left out and
        counted.
    """

    def __init__(self, path: Path, price_step: Decimal, spread_bps: Decimal = SPREAD_BPS) -> None:
        self._recording = recording.Recording(path)
        self._step = price_step
        self._spread_bps = spread_bps
        self.kind = self._recording.kind

    def __str__(self) -> str:
        return str(self._recording)

    @property
    def left_out(self) -> LeftOut:
        """Of what was played so far."""
        return self._recording.left_out

    @property
    def skipped(self) -> int:
        return self._recording.left_out.count

    @property
    def first_skipped(self) -> str | None:
        return self._recording.left_out.first or None

    def points(self) -> Iterator[Point]:
        """All moments in order; `seconds` is the market time since the one before."""
        last: datetime | None = None
        usual = USUAL_BAR_SECONDS
        bar = 0
        for moment in self._recording.moments():
            gap = usual if last is None else (moment.at - last).total_seconds()
            if self.kind is Kind.BARS:
                usual = min(usual, gap) if last is not None and bar > 1 else gap if last else usual
                gap = min(usual if gap > HOLE_BARS * usual else gap, LONGEST_BAR_SECONDS)
                bar += 1
            else:
                gap = 0.0 if last is None else min(gap, HOLE_SECONDS)
            last = moment.at
            path = self._path(moment)
            for bid, ask in path:
                yield Point(at=moment.at, bid=bid, ask=ask, seconds=gap / len(path), bar=bar)

    def _path(self, moment: Moment) -> list[Pair]:
        match moment:
            case Bar(open=first, high=high, low=low, close=last):
                prices = (first, low, high, last) if last >= first else (first, high, low, last)
                return [self._around(price) for price in prices]
            case Trade(price=price):
                return [self._around(price)]
            case BestQuote(bid=bid, ask=ask):
                return [(bid, ask)]
            case Book(bids=bids, asks=asks):
                return [(bids[0][0], asks[0][0])]

    def _around(self, price: Decimal) -> Pair:
        half = half_spread(price, self._step, self._spread_bps)
        bid = (price - half).quantize(self._step)
        return max(bid, self._step), max((price + half).quantize(self._step), bid + self._step)
