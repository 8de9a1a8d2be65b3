"""Other people's resting orders around a quote: how much can be had at which price.

Pure: a function of the seed, the time and what was taken. Levels stand at fixed prices, so that a quote that
moves uncovers some and covers others, as in a real book. Sizes are like Alpaca's, where ten levels of BTC/USD
held $17,185 in December 2022.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from itertools import islice
from pathlib import Path
from typing import Protocol

from paper_exchange.values import STEP, ZERO, Quote
from recordings.recording import Recording
from recordings.values import BadFile, Book, Level

LEVELS = 20
"""A side."""
COLLAR = Decimal("0.02")
"""A market order is a limit this far from the best price (alpaca.md 3)."""
REFILL_HALF_LIFE_SECONDS = 15.0
BACK_AGAIN = Decimal("0.25")
"""The share of a level that has to be there before it is offered again: not a coin at a time."""
LEVEL_DOLLARS = 1_700.0
"""The median of a level, of the pairs that trade most."""
_SPREAD_OF_SIZES = 0.9
"""The standard deviation of the logarithm of sizes."""
_FORGOTTEN = 20 * REFILL_HALF_LIFE_SECONDS
_ALL = Decimal(100)
_LIQUID = {"BTC/USD": (3.0, 1.0), "ETH/USD": (4.0, 0.8), "SOL/USD": (6.0, 0.5)}
_OTHERS = (10.0, 0.25)
"""Basis points between levels, and dollars in them as a part of LEVEL_DOLLARS."""


class Shape(Protocol):
    """What others offer when nobody has taken anything."""

    def side(self, quote: Quote, side: str) -> Iterator[Level]:
        """Levels that a taker of this side finds, best first: asks for "buy"."""


@dataclass(slots=True)
class _Place:
    """Where a level stands, how often its size changes, and the size until then."""

    price: Decimal
    rhythm_seconds: float
    turn: int = -1
    size: Decimal = ZERO


class SeededShape:
    """Made up: sizes and places of levels follow from the seed. Each size changes every few seconds, in a
    rhythm of its own."""

    def __init__(self, seed: int, level_dollars: float = LEVEL_DOLLARS) -> None:
        self._seed = seed
        self._level_dollars = level_dollars
        self._places: dict[tuple[str, int], _Place] = {}

    def side(self, quote: Quote, side: str) -> Iterator[Level]:
        gap_bps, share = _LIQUID.get(quote.symbol, _OTHERS)
        best, step = (quote.ask, 1) if side == "buy" else (quote.bid, -1)
        growth = math.log1p(gap_bps / 10_000)
        number = math.floor(math.log(best) / growth)
        seconds = quote.at.timestamp()
        dollars = self._level_dollars * share
        yield best, self._level(quote.symbol, number, growth, seconds, dollars).size
        for _ in range(LEVELS):
            number += step
            level = self._level(quote.symbol, number, growth, seconds, dollars)
            yield level.price, level.size

    def _level(self, symbol: str, number: int, growth: float, seconds: float, dollars: float) -> _Place:
        place = self._places.get((symbol, number))
        if place is None:
            if len(self._places) > 100_000:
                self._places.clear()
            jitter = self._uniform(symbol, number, 0)
            price = max(Decimal(math.exp((number + jitter) * growth)).quantize(STEP), STEP)
            place = _Place(price, 4.0 + 16.0 * self._uniform(symbol, number, 1))
            self._places[symbol, number] = place
        turn = int(seconds / place.rhythm_seconds)
        if turn != place.turn:
            uniform = self._uniform(symbol, number, turn + 2)
            normal = math.log(uniform / (1 - uniform)) / 1.702  # the logistic curve, which is near the normal
            coins = Decimal(dollars * math.exp(_SPREAD_OF_SIZES * normal)) / place.price
            place.turn, place.size = turn, max(coins.quantize(STEP, rounding=ROUND_DOWN), STEP)
        return place

    def _uniform(self, symbol: str, number: int, turn: int) -> float:
        """Between 0 and 1, both excluded; the same for the same words."""
        mixed = self._seed
        for part in (*symbol.encode(), number, turn):
            mixed = _mixed(mixed ^ (part & _MASK))
        return ((mixed >> 11) + 0.5) / (1 << 53)


class RecordedShape:
    """Recorded books, one after the other and again from the first. Distances from the best price in percent
    and sizes in dollars are kept, so that they fit any pair at any price.

    Raises:
        BadFile: it is no file of books.
    """

    def __init__(self, path: Path) -> None:
        recording = Recording(path)
        books = [moment for moment in recording.moments() if isinstance(moment, Book)]
        if not books:
            raise BadFile(f"{path}: --depth wants recorded order books, and these are {recording}")
        self._books = books
        self._span = max((books[-1].at - books[0].at).total_seconds(), 1.0)
        self._place = 0
        self._begun: datetime | None = None

    def side(self, quote: Quote, side: str) -> Iterator[Level]:
        book = self._at(quote.at)
        levels, best = (book.asks, quote.ask) if side == "buy" else (book.bids, quote.bid)
        first = levels[0][0]
        for price, size in levels:
            moved = (best * price / first).quantize(STEP)
            coins = (size * price / moved).quantize(STEP, rounding=ROUND_DOWN)
            if coins > 0:
                yield moved, coins

    def _at(self, now: datetime) -> Book:
        """The book of this moment of the recording."""
        self._begun = self._begun or now
        into = (now - self._begun).total_seconds() % self._span
        at = self._books[0].at + timedelta(seconds=into)
        if self._books[self._place].at > at:
            self._place = 0
        while self._place + 1 < len(self._books) and self._books[self._place + 1].at <= at:
            self._place += 1
        return self._books[self._place]


@dataclass(slots=True)
class _Taken:
    """Coins taken from a level, as of `at`; half of them are back a half-life later."""

    qty: Decimal
    at: datetime


class Depth:
    """The levels of all pairs, less what the account's fills have taken."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._taken: dict[tuple[str, str, Decimal], _Taken] = {}

    def offers(self, quote: Quote, side: str, percent: Decimal = _ALL) -> list[Level]:
        """What a taker of this side finds now, best first, at most LEVELS; `percent` of the usual."""
        return list(islice(self._present(quote, side, percent), LEVELS))

    def quoted(self, quote: Quote, percent: Decimal = _ALL) -> Quote:
        """The quote as the book has it: where its best level was used up, the next one is the best."""
        bid, ask = (next(self._present(quote, side, percent), None) for side in ("sell", "buy"))
        if bid is not None:
            quote = replace(quote, bid=bid[0], bid_size=bid[1])
        return quote if ask is None else replace(quote, ask=ask[0], ask_size=ask[1])

    def _present(self, quote: Quote, side: str, percent: Decimal) -> Iterator[Level]:
        for price, size in self._shape.side(quote, side):
            usual = size if percent == _ALL else (size * percent / 100).quantize(STEP, rounding=ROUND_DOWN)
            left = usual - self._missing((quote.symbol, side, price), quote.at) if self._taken else usual
            if left > 0 and left >= usual * BACK_AGAIN:
                yield price, left

    def take(self, symbol: str, side: str, price: Decimal, qty: Decimal, now: datetime) -> None:
        """Coins were taken from a level: they are missing there until others have come."""
        key = (symbol, side, price)
        self._taken[key] = _Taken(self._missing(key, now) + qty, now)
        if len(self._taken) > 5_000:
            old = now - timedelta(seconds=_FORGOTTEN)
            self._taken = {key: taken for key, taken in self._taken.items() if taken.at > old}

    def _missing(self, key: tuple[str, str, Decimal], now: datetime) -> Decimal:
        taken = self._taken.get(key)
        if taken is None:
            return ZERO
        seconds = max((now - taken.at).total_seconds(), 0.0)
        share = Decimal(0.5 ** (seconds / REFILL_HALF_LIFE_SECONDS)).quantize(STEP)
        return (taken.qty * share).quantize(STEP)


_MASK = (1 << 64) - 1


def _mixed(value: int) -> int:
    """A well-spread number of 64 bits for each other (the finalizer of SplitMix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
