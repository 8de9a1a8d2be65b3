"""Where prices come from: a seeded random walk, or nothing but what the admin sets. Pure."""

import math
import random
from decimal import ROUND_DOWN, Decimal

from paper_exchange.engine import Engine
from paper_exchange.values import Quote

SPREAD_BPS = Decimal(2)


def around(engine: Engine, symbol: str, price: Decimal, half: Decimal) -> Quote:
    """A quote around a price, in the pair's steps."""
    step = engine.pairs[symbol].price_increment
    bid = max((price - half).quantize(step, rounding=ROUND_DOWN), step)
    ask = max((price + half).quantize(step, rounding=ROUND_DOWN), bid + step)
    return Quote(symbol=symbol, bid=bid, ask=ask, at=engine.now)


def half_spread(price: Decimal, step: Decimal, spread_bps: Decimal = SPREAD_BPS) -> Decimal:
    """Half of the larger of two price steps and some hundredths of a percent."""
    return max(2 * step, price * spread_bps / 10_000) / 2


class Walk:
    """Log prices that wander, jump now and then, and are drawn back to an anchor.

    `volatility_percent` is the standard deviation of one second's move; 0 keeps prices still. A price
    that a person sets becomes the new anchor.
    """

    def __init__(self, engine: Engine, *, seed: int, volatility_percent: float) -> None:
        self._engine = engine
        self._random = random.Random(seed + 1)  # noqa: S311 - a market, not a secret
        self._volatility = volatility_percent / 100
        self._anchors = {symbol: pair.start_price for symbol, pair in engine.pairs.items()}
        self._prices = dict(self._anchors)
        self._held: set[str] = set()
        for symbol in engine.pairs:
            self._publish(symbol)

    def set_price(self, symbol: str, price: Decimal) -> None:
        self._prices[symbol] = self._anchors[symbol] = price
        self._publish(symbol)

    def set_quote(self, symbol: str, bid: Decimal, ask: Decimal) -> None:
        self._prices[symbol] = self._anchors[symbol] = (bid + ask) / 2
        self._engine.set_quote(Quote(symbol=symbol, bid=bid, ask=ask, at=self._engine.now))

    def price(self, symbol: str) -> Decimal:
        return self._prices[symbol]

    def hold(self, symbols: list[str], *, held: bool) -> None:
        """Freeze generated prices, or let them go."""
        self._held = self._held | set(symbols) if held else self._held - set(symbols)

    def tick(self, seconds: float) -> None:
        """Move every price by what `seconds` bring, and quote it anew (still prices too)."""
        for symbol in self._prices:
            if self._volatility and symbol not in self._held:
                self._move(symbol, seconds)
            self._publish(symbol)

    def _move(self, symbol: str, seconds: float) -> None:
        deviation = math.log(self._prices[symbol] / self._anchors[symbol])
        move = self._random.gauss(0, self._volatility * math.sqrt(seconds)) - 0.03 * deviation * seconds
        if self._random.random() < 0.01 * seconds:
            move += self._random.choice((-1, 1)) * 4 * self._volatility
        self._prices[symbol] *= Decimal(math.exp(move)).quantize(Decimal("1e-12"))

    def _publish(self, symbol: str) -> None:
        price = self._prices[symbol]
        step = self._engine.pairs[symbol].price_increment
        self._engine.set_quote(around(self._engine, symbol, price, half_spread(price, step)))
