"""Recorded prices, line by line, as quotes.

Bars become quotes by one rule: open, then low and high (high and low if the bar closed below its open), then
close; each is the middle of a quote whose spread is the larger of two price steps and two hundredths of a
percent. Recorded quotes and books are taken as they are. Quotes carry the clock's time, not the file's.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO

from paper_exchange.market import SPREAD_BPS, half_spread

HOLE_BARS = 5
"""A hole longer than this many bars passes like one bar."""
LONGEST_BAR_SECONDS = 7 * 86_400.0
HOLE_SECONDS = 3600.0
"""Between quotes no more time passes than this."""
LONGEST_LINE = 65_536
"""Characters. A file without lines must not be read into memory whole."""
MOST_BAD_LINES = 10_000
"""In a row; a file that has more is none of prices, and nobody waits for its end."""
_POWERS = range(-12, 12)
"""Of ten: the prices that are ones."""
_BAD = (ValueError, KeyError, IndexError, TypeError, ArithmeticError, RecursionError)
"""What a line that makes no sense raises."""
_BROKEN = (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error)
"""What reading a damaged file raises (a gzip file that is cut off: EOFError)."""


class BadFile(Exception):
    """The file cannot be replayed; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of the recording: market time, bid, ask. `bar` counts bars; 0 in a quote file."""

    at: datetime
    bid: Decimal
    ask: Decimal
    seconds: float
    bar: int = 0


def _open(path: Path) -> IO[str]:
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8", newline="")
        return path.open("r", encoding="utf-8", newline="")
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error


def _texts(file: IO[str]) -> Iterator[str]:
    """The lines of a file; EOFError where one has no end."""
    while text := file.readline(LONGEST_LINE):
        if len(text) == LONGEST_LINE and not text.endswith("\n"):
            raise EOFError(f"a line of more than {LONGEST_LINE} characters")
        yield text


def _price(text: object) -> Decimal:
    try:
        price = Decimal(str(text))
    except InvalidOperation:
        raise ValueError(f"not a number: {_brief(text)}") from None
    if not price.is_finite() or price <= 0 or price.adjusted() not in _POWERS:
        raise ValueError(f"not a price: {_brief(text)}")
    return price


def _brief(text: object) -> str:
    return repr(text)[:80]


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


class Recording:
    """A file of bars, quotes or books, read as it is played: never whole.

    Raises:
        BadFile: at the beginning, if the file is not what it should be. A bad line later is left out and
        counted.
    """

    def __init__(self, path: Path, price_step: Decimal, spread_bps: Decimal = SPREAD_BPS) -> None:
        self._path = path
        self._step = price_step
        self._spread_bps = spread_bps
        self.skipped = 0
        self.first_skipped: str | None = None
        self.kind = self._look()

    def _look(self) -> str:
        with _open(self._path) as file:
            try:
                head = file.readline(LONGEST_LINE).strip()
            except _BROKEN as error:
                raise BadFile(f"{self._path}: cannot be read: {error}") from error
        if head.startswith("timestamp,open,high,low,close"):
            kind = "bars"
        elif head.startswith("ts,bid,"):
            kind = "quotes"
        elif head.startswith("{"):
            kind = "books"
        else:
            raise BadFile(f"{self._path} line 1: neither bars, quotes nor books: {head[:60]!r}")
        self.kind = kind
        if next(self.points(), None) is None:
            raise BadFile(
                f"{self._path}: no usable line; first problem: {self.first_skipped or 'it is empty'}"
            )
        self.skipped, self.first_skipped = 0, None
        return kind

    def points(self) -> Iterator[Point]:
        """All moments in order; `seconds` is the market time since the one before."""
        last: datetime | None = None
        usual = 60.0
        bar = 0
        for at, path in self._moments():
            gap = usual if last is None else (at - last).total_seconds()
            if self.kind == "bars":
                usual = min(usual, gap) if last is not None and bar > 1 else gap if last else usual
                gap = min(usual if gap > HOLE_BARS * usual else gap, LONGEST_BAR_SECONDS)
                bar += 1
            else:
                gap = 0.0 if last is None else min(gap, HOLE_SECONDS)
            last = at
            for bid, ask in path:
                yield Point(at=at, bid=bid, ask=ask, seconds=gap / len(path), bar=bar)

    def _moments(self) -> Iterator[tuple[datetime, list[tuple[Decimal, Decimal]]]]:
        """The lines that are good, in order; the others are counted, and so is an end that cannot be read."""
        last: datetime | None = None
        number = bad = 0
        try:
            for number, line in self._lines():
                try:
                    at, path = self._parse(line)
                    if last is not None and (at < last or (at == last and self.kind == "bars")):
                        raise ValueError(f"time goes back to {at}")
                except _BAD as error:
                    self._skip(f"line {number}: {error}")
                    bad += 1
                    if bad > MOST_BAD_LINES:
                        raise EOFError(f"more than {MOST_BAD_LINES} bad lines in a row") from error
                    continue
                last, bad = at, 0
                yield at, path
        except _BROKEN as error:
            self._skip(f"after line {number}: {error}")

    def _skip(self, why: str) -> None:
        self.skipped += 1
        self.first_skipped = self.first_skipped or why[:200]

    def _lines(self) -> Iterator[tuple[int, dict[str, str] | str]]:
        with _open(self._path) as file:
            if self.kind == "books":
                yield from enumerate(_texts(file), start=1)
            else:
                yield from enumerate(csv.DictReader(_texts(file)), start=2)

    def _parse(self, line: dict[str, str] | str) -> tuple[datetime, list[tuple[Decimal, Decimal]]]:
        if isinstance(line, str):
            book = json.loads(line)
            quote = (_price(book["bids"][0][0]), _price(book["asks"][0][0]))
            return _moment(book["ts"]), [_uncrossed(*quote)]
        if self.kind == "quotes":
            return _moment(line["ts"]), [_uncrossed(_price(line["bid"]), _price(line["ask"]))]
        prices = {name: _price(line[name]) for name in ("open", "high", "low", "close")}
        if not prices["low"] <= min(prices.values()) or not prices["high"] >= max(prices.values()):
            raise ValueError("low and high do not enclose the bar")
        rising = prices["close"] >= prices["open"]
        names = ("open", "low", "high", "close") if rising else ("open", "high", "low", "close")
        return _moment(line["timestamp"]), [self._around(prices[name]) for name in names]

    def _around(self, price: Decimal) -> tuple[Decimal, Decimal]:
        half = half_spread(price, self._step, self._spread_bps)
        bid = (price - half).quantize(self._step)
        return max(bid, self._step), max((price + half).quantize(self._step), bid + self._step)


def _uncrossed(bid: Decimal, ask: Decimal) -> tuple[Decimal, Decimal]:
    if bid > ask:
        raise ValueError(f"crossed: bid {bid} above ask {ask}")
    return bid, ask
