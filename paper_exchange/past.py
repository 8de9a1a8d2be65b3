"""A past that a pair had before the exchange began, as far back as is asked for: made of the seed, day by day
as each is asked for, and ending at the price that the exchange began with. Pure."""

import math
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from paper_exchange.bars import Bar, Public, merged

FIRST = datetime(2021, 1, 1, tzinfo=UTC)
"""Alpaca's crypto data begin in 2021."""
_DAILY = 0.025
"""Standard deviation of a day's move, in log prices."""
_STEP = _DAILY / math.sqrt(1440)
_WITH_TRADES = 0.33
"""Of all minutes (alpaca.md 6)."""
_DOLLARS = 400.0
"""A trade's usual worth."""


@dataclass(frozen=True, slots=True)
class Day:
    minutes: list[Bar]
    trades: list[Public]


def trade_size(chance: random.Random, price: float) -> float:
    return max(round(chance.expovariate(1.0) * _DOLLARS / price, 9), 1e-9)


class Past:
    """One pair's past up to the minute of `began`, where its price was `price`."""

    def __init__(self, *, seed: int, symbol: str, price: float, began: datetime) -> None:
        self._name = f"{seed}:{symbol}"
        self.end = began.astimezone(UTC).replace(second=0, microsecond=0)
        self._last = math.log(price)
        self._opens: list[float] = []
        """Log prices at midnight: of the day of the beginning, the day before, ..."""
        self.day = lru_cache(maxsize=16)(self._day)
        self._hours: dict[date, list[Bar]] = {}

    def _chance(self, day: date, what: str) -> random.Random:
        return random.Random(f"{self._name}:{day}:{what}")  # noqa: S311 - a market, not a secret

    def _open(self, days_before: int) -> float:
        while len(self._opens) <= days_before:
            day = self.end.date() - timedelta(days=len(self._opens))
            later = self._opens[-1] if self._opens else self._last
            share = 1.0 if self._opens else self._length(day) / 1440
            move = self._chance(day, "day").gauss(0, _DAILY * math.sqrt(share))
            self._opens.append(later - move)
        return self._opens[days_before]

    def _length(self, day: date) -> int:
        """Minutes of a day before the beginning."""
        return 1440 if day < self.end.date() else self.end.hour * 60 + self.end.minute

    def _path(self, day: date, chance: random.Random) -> list[float]:
        """Log prices from the day's beginning to its end, a minute apart: a walk between two fixed points."""
        days_before, length = (self.end.date() - day).days, self._length(day)
        first = self._open(days_before)
        last = self._open(days_before - 1) if days_before else self._last
        walked = [0.0]
        for _ in range(length):
            walked.append(walked[-1] + chance.gauss(0, _STEP))
        lean = (last - first - walked[-1]) / max(length, 1)
        return [first + each + lean * number for number, each in enumerate(walked)]

    def _day(self, day: date) -> Day:
        chance = self._chance(day, "minutes")
        prices = [float(f"{math.exp(each):.10g}") for each in self._path(day, chance)]
        found = Day([], [])
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        for number in range(len(prices) - 1):
            first, last = prices[number], prices[number + 1]
            high = float(f"{max(first, last) * (1 + _STEP * chance.random()):.10g}")
            low = float(f"{min(first, last) * (1 - _STEP * chance.random()):.10g}")
            bar = Bar(at + timedelta(minutes=number), first, high, low, last)
            if chance.random() < _WITH_TRADES:
                for trade in self._trades(bar, chance):
                    bar = bar.traded(trade)
                    found.trades.append(trade)
            found.minutes.append(bar)
        return found

    def _trades(self, bar: Bar, chance: random.Random) -> list[Public]:
        times = sorted(chance.randrange(60_000_000) for _ in range(1 + int(chance.expovariate(1.5))))
        return [
            Public(
                bar.at + timedelta(microseconds=each),
                float(f"{chance.uniform(bar.low, bar.high):.10g}"),
                trade_size(chance, bar.close),
                chance.choice("BS"),
            )
            for each in times
        ]

    def hours(self, day: date) -> list[Bar]:
        """The day's bars of an hour; kept, since years are made of them."""
        if day not in self._hours:
            minutes = self.day(day).minutes
            parts = [minutes[number : number + 60] for number in range(0, len(minutes), 60)]
            self._hours[day] = [merged(part, part[0].at) for part in parts]
        return self._hours[day]
