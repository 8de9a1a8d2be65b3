"""The simulated machine without faults: many pairs, the suite's own settings, and cron's own times."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from bench.budget_gate import CountingGate
from dca.runtime import settings as settings_module
from dca.runtime.settings import Settings
from paper_exchange.engine import Engine
from paper_exchange.market import around
from paper_exchange.pairs import all_pairs, follow_price
from paper_exchange.values import Quote
from proof.simulation.market import HALF_SPREAD_SHARE, Market
from proof.simulation.world import AssetRow, World, quiet_logging

PERIODS = {"watchdog": 60.0, "order_manager": 60.0, "cooldown_manager": 60.0, "consistency_checker": 300.0}
"""crontab.example's: each begins on the minute."""
BOOT_SECONDS = 0.3
"""What a caretaker takes to come up."""
_ENVIRONMENT = {
    "APCA_API_KEY_ID": "simulated",
    "APCA_API_SECRET_KEY": "simulated",
    "APCA_API_BASE_URL": "http://127.0.0.1:1",
    "DB_HOST": "127.0.0.1",
    "DB_USER": "simulated",
    "DB_PASSWORD": "simulated",
    "DB_NAME": "simulated",
}
_PRICES = ("64000", "3100", "150", "0.12", "14", "410", "26", "8", "2.1", "0.000013")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """How a market moves; all shares are of the price.

    All pairs go up and down together: `tide` from the middle either way, within `tide_seconds`, each pair up
    to `spread_seconds` later than the first. `ripple` is a pair's own random step from quote to quote.
    """

    tide: float = 0.0
    tide_seconds: float = 900.0
    spread_seconds: float = 0.0
    ripple: float = 0.0


STILL = Mood()


class TidalMarket(Market):
    """A common tide, and for each pair a walk of its own that is drawn back to its middle."""

    def __init__(self, engine: Engine, prices: dict[str, Decimal], rng: random.Random, mood: Mood) -> None:
        super().__init__(engine, prices, rng)
        self.tides = mood
        self._of, self._random = engine, rng
        self._middle = dict(prices)
        self._own = dict.fromkeys(prices, 0.0)
        self._late = {symbol: rng.random() for symbol in prices}
        self._began = engine.now

    def jump_all(self, percent: int) -> None:
        """From the next quotes on, every pair is worth so much more."""
        for symbol, middle in self._middle.items():
            self._middle[symbol] = middle * (100 + percent) / 100

    def quote(self, symbol: str) -> Quote:
        mood = self.tides
        self._own[symbol] = self._own[symbol] * 0.999 + self._random.gauss(0.0, mood.ripple)
        seconds = (self._of.now - self._began).total_seconds() - self._late[symbol] * mood.spread_seconds
        swing = mood.tide * math.sin(2 * math.pi * seconds / mood.tide_seconds)
        factor = Decimal(repr(math.exp(swing + self._own[symbol])))
        self.prices[symbol] = price = (self._middle[symbol] * factor).quantize(Decimal("1e-9"))
        made = around(self._of, symbol, price, price * HALF_SPREAD_SHARE)
        self._of.set_quote(made)
        return made


class FairWorld(World):
    """No fault ever. `gate` counts the requests. `quote_seconds`: how often each pair is quoted."""

    def __init__(
        self, seed: int, pairs: int, mood: Mood, *, quote_seconds: float = 2.0, **columns: object
    ) -> None:
        prices = {f"C{number:02}/USD": Decimal(_PRICES[number % 10]) for number in range(1, pairs + 1)}
        super().__init__(seed, [asset(symbol, **columns) for symbol in prices], {})
        pattern = all_pairs()["BTC/USD"]
        for symbol, price in prices.items():
            pair = replace(pattern, symbol=symbol, name=symbol, id=f"id-{symbol}")
            follow_price(pair, price)
            self.engine.pairs[symbol] = pair
        rng = random.Random(f"tides {seed}")  # noqa: S311 - reproducible, not secret
        self.tidal = self.market = TidalMarket(self.engine, prices, rng, mood)
        self.settings = fair_settings()
        self.gate = self.exchange.gate = CountingGate(self.hub)
        self._quote_seconds = quote_seconds
        quiet_logging()

    def let_buys_rest(self) -> None:
        """A buy may be open for as long as it likes."""
        values = {name: getattr(self.settings, name) for name in self.settings.__slots__}
        self.settings = Settings(**{**values, "stale_order_limit": timedelta(days=30)})

    def begin(self) -> None:
        """Quotes, cron on the minute, and the first start."""
        pause = self._quote_seconds / len(self.market.prices)
        for number, symbol in enumerate(self.market.prices):
            self.hub.at(pause * number, self._quoting_every(symbol, self._quote_seconds))
        for name, seconds in PERIODS.items():
            self.hub.at(60.0 + BOOT_SECONDS, self._cron(name, seconds))
        self.start_main_app()

    def _quoting_every(self, symbol: str, seconds: float) -> Callable[[], None]:
        def tick() -> None:
            self.engine.advance(self.hub.now())
            quote = self.market.quote(symbol)
            self.oracle.quoted(symbol, quote.bid, quote.ask)
            for main in self.living():
                if main.feed is not None:
                    main.feed.send_quote(quote)
            self.hub.after(seconds, tick)

        return tick


def fair_settings() -> Settings:
    """The suite's settings as they are when nothing is said."""
    parsed = settings_module.parse(_ENVIRONMENT, env_file_mode=0o600)
    values = {name: getattr(parsed, name) for name in parsed.__slots__}
    return Settings(**{**values, "state_dir": Path("/nonexistent"), "log_dir": Path("/nonexistent")})


def asset(symbol: str, **columns: object) -> AssetRow:
    """The row of README.md's example."""
    return {
        "asset_symbol": symbol,
        "is_enabled": True,
        "base_order_amount": Decimal(20),
        "safety_order_amount": Decimal(20),
        "max_safety_orders": 5,
        "safety_order_deviation": Decimal("1.5"),
        "take_profit_percent": Decimal(1),
        "cooldown_period": 300,
        "buy_order_price_deviation_percent": Decimal(2),
        **columns,
    }
