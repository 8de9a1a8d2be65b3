"""Prices: a seeded walk that reaches take-profits and safety orders every few minutes, or recorded ones."""

import random
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum

from paper_exchange.engine import Engine
from paper_exchange.market import around
from paper_exchange.values import Quote

HALF_SPREAD_SHARE = Decimal("0.0002")


class Mood(Enum):
    WALK = "walk"
    STILL = "still"
    RISE = "rise"


class Market:
    """One price per pair; `quote` moves it on and tells the engine."""

    def __init__(self, engine: Engine, prices: dict[str, Decimal], rng: random.Random) -> None:
        self._engine = engine
        self._rng = rng
        self.prices = dict(prices)
        self.mood = Mood.WALK
        self.recorded: Mapping[str, Iterator[Decimal]] = {}
        """By pair: prices instead of the walk; the last one stays."""
        for symbol in prices:
            self._set(symbol)

    def quote(self, symbol: str) -> Quote:
        price = self.prices[symbol]
        if symbol in self.recorded:
            price = next(self.recorded[symbol], price)
        elif self.mood is Mood.WALK:
            move = Decimal(str(round(self._rng.gauss(0.0, 0.4), 3)))
            price *= 1 + max(min(move, Decimal(2)), Decimal(-2)) / 100
        elif self.mood is Mood.RISE:
            price *= Decimal("1.004")
        self.prices[symbol] = price.quantize(Decimal("1e-9"))
        return self._set(symbol)

    def jump(self, symbol: str, percent: float) -> None:
        self.prices[symbol] = (self.prices[symbol] * (1 + Decimal(str(percent)) / 100)).quantize(
            Decimal("1e-9")
        )

    def _set(self, symbol: str) -> Quote:
        price = self.prices[symbol]
        quote = around(self._engine, symbol, price, price * HALF_SPREAD_SHARE)
        self._engine.set_quote(quote)
        return quote
