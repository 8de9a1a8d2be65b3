"""Bars and trades of market data, and time frames to gather them in (alpaca.md 7). Pure."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from paper_exchange.wire import stamp

Json = dict[str, Any]
_CHICAGO = ZoneInfo("America/Chicago")
_FRAME = re.compile(r"([0-9]{1,2})(Min|T|Hour|H|Day|D|Week|W|Month|M)")
_SIZES = {"M": range(1, 60), "H": range(1, 24), "D": (1,), "W": (1,), "Month": (1, 2, 3, 4, 6, 12)}


@dataclass(frozen=True, slots=True)
class Public:
    """A trade among other people. `taker_side` is "B" or "S"."""

    at: datetime
    price: float
    size: float
    taker_side: str

    def json(self) -> Json:
        number = int(self.at.timestamp() * 1_000_000) * 1000
        return {"t": stamp(self.at), "p": self.price, "s": self.size, "i": number, "tks": self.taker_side}


@dataclass(frozen=True, slots=True)
class Bar:
    """Prices from quotes' middles, volume from trades. `value` is the trades' worth in the quote currency."""

    at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    value: float = 0.0
    count: int = 0

    def json(self) -> Json:
        average = round(self.value / self.volume, 9) if self.volume else 0.0
        prices = {"o": self.open, "h": self.high, "l": self.low, "c": self.close}
        return {"t": stamp(self.at), **prices, "v": round(self.volume, 9), "n": self.count, "vw": average}

    def quoted(self, price: float) -> "Bar":
        return replace(self, high=max(self.high, price), low=min(self.low, price), close=price)

    def traded(self, trade: Public) -> "Bar":
        value = self.value + trade.price * trade.size
        return replace(self, volume=self.volume + trade.size, value=value, count=self.count + 1)


def merged(bars: Iterable[Bar], at: datetime) -> Bar:
    """One bar over at least one, in any order."""
    parts = sorted(bars, key=lambda bar: bar.at)
    return Bar(
        at,
        parts[0].open,
        max(bar.high for bar in parts),
        min(bar.low for bar in parts),
        parts[-1].close,
        sum(bar.volume for bar in parts),
        sum(bar.value for bar in parts),
        sum(bar.count for bar in parts),
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """A time frame: `begin` gives the beginning of the one that a moment lies in. Minutes and hours count
    from midnight UTC, longer ones begin at midnight in Chicago, as Alpaca's do."""

    begin: Callable[[datetime], datetime]
    of_hours: bool
    longest: timedelta

    def gather(self, bars: Iterable[Bar]) -> Iterator[Bar]:
        """Bars of this frame from smaller ones that come in order, either way."""
        for at, parts in groupby(bars, key=lambda bar: self.begin(bar.at)):
            yield merged(parts, at)


def frame(text: str) -> Frame | None:
    """The frame of a name such as 5Min, 1Hour, 1Day, 1Week or 3Month; None if there is none."""
    found = _FRAME.fullmatch(text)
    if found is None:
        return None
    number, unit = int(found[1]), found[2]
    kind = "Month" if unit in ("M", "Month") else unit.replace("T", "M")[0]
    if number not in _SIZES[kind]:
        return None
    if kind in ("M", "H"):
        size = timedelta(minutes=number) if kind == "M" else timedelta(hours=number)
        return Frame(lambda at: _of_day(at, size), kind == "H", size)
    if kind == "Month":
        return Frame(lambda at: _months(at, number), True, timedelta(days=31 * number + 1))
    days = 1 if kind == "D" else 7
    return Frame(lambda at: _days(at, days), True, timedelta(days=days, hours=1))


def _of_day(at: datetime, size: timedelta) -> datetime:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // size * size


def _days(at: datetime, days: int) -> datetime:
    local = at.astimezone(_CHICAGO).replace(hour=0, minute=0, second=0, microsecond=0)
    return (local - timedelta(days=local.weekday() if days == 7 else 0)).astimezone(UTC)


def _months(at: datetime, number: int) -> datetime:
    local = at.astimezone(_CHICAGO).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return local.replace(month=(local.month - 1) // number * number + 1).astimezone(UTC)
