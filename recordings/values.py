"""What a recording is made of. Prices are in the quote coin, sizes in coins, times aware UTC."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class BadFile(Exception):
    """The file cannot be used. The message is one line: it names the file and says what to do."""


class Kind(StrEnum):
    BARS = "bars"
    QUOTES = "quotes"
    TRADES = "trades"
    BOOKS = "books"


@dataclass(frozen=True, slots=True)
class Bar:
    """Prices over a span of time that begins at `at`."""

    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None = None


@dataclass(frozen=True, slots=True)
class BestQuote:
    """The best bid and ask. Sizes are None where the file has none."""

    at: datetime
    bid: Decimal
    ask: Decimal
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade between others."""

    at: datetime
    price: Decimal
    size: Decimal | None = None


Level = tuple[Decimal, Decimal]
"""Price and size."""


@dataclass(frozen=True, slots=True)
class Book:
    """An order book: levels best first, at least one on either side."""

    at: datetime
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


Moment = Bar | BestQuote | Trade | Book


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Lines that were not used. `first` says where the first of them is and why; empty if there is none."""

    count: int = 0
    first: str = ""

    def __str__(self) -> str:
        if not self.count:
            return "no line left out"
        lines = "1 line" if self.count == 1 else f"{self.count:,} lines"
        return f"{lines} left out, the first: {self.first}"
