"""A recording traded without faults: the same file gives the same orders, so two versions can be compared."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from dca.core.model import CycleStatus, Order, plain
from proof.simulation.run import PRICES
from proof.simulation.stores import MemoryDatabase
from proof.simulation.world import QUOTE_SECONDS, AssetRow, DatabaseMaker, World
from recordings.recording import Recording
from recordings.values import Bar, BestQuote, Book, Moment

SYMBOL = "BTC/USD"
MOST_PRICES = 40_000
"""Of a recording: its beginning. Each is a quote, two seconds after the one before."""
PARTIAL_PERCENT = 20
FEW, MANY = 3, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """`orders`: a line of JSON each, without times. `violations`: of the simulation's judge."""

    orders: tuple[str, ...]
    cycles: int
    violations: tuple[str, ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.orders).encode()).hexdigest()[:16]


def replay(path: Path, database: DatabaseMaker = MemoryDatabase) -> Replayed:
    """Trade a file of bars, quotes, trades or books with two ladders, a dense one and a wide one.

    Raises:
        BadFile: the file cannot be read.
    """
    prices = list(scaled(path))
    first = {SYMBOL: PRICES[SYMBOL], "ETH/USD": PRICES[SYMBOL]}
    rows = [_row(SYMBOL, FEW, "1.0", "0.8"), _row("ETH/USD", MANY, "0.3", "0.6")]
    world = World(1, rows, first, database, partial_percent=PARTIAL_PERCENT)
    world.market.recorded = {symbol: iter(prices) for symbol in first}
    try:
        world.begin()
        world.run(len(prices) * QUOTE_SECONDS)
    finally:
        world.close()
    tables = world.tables()
    ordered = sorted(tables.orders.values(), key=lambda each: (each.symbol, each.cycle_id, each.seq))
    return Replayed(
        orders=tuple(map(_line, ordered)),
        cycles=sum(cycle.status is CycleStatus.COMPLETE for cycle in tables.cycles.values()),
        violations=tuple(map(str, world.violations)),
    )


def scaled(path: Path) -> Iterator[Decimal]:
    """Prices of a recording as if the first were that of the simulation's pair; a bar gives four."""
    factor: Decimal | None = None
    count = 0
    for moment in Recording(path).moments():
        for price in _prices(moment):
            factor = PRICES[SYMBOL] / price if factor is None else factor
            yield (price * factor).quantize(Decimal("1e-9"))
            count += 1
            if count == MOST_PRICES:
                return


def _prices(moment: Moment) -> tuple[Decimal, ...]:
    if isinstance(moment, Bar):
        turns = (moment.low, moment.high) if moment.close >= moment.open else (moment.high, moment.low)
        return (moment.open, *turns, moment.close)
    if isinstance(moment, BestQuote):
        return ((moment.bid + moment.ask) / 2,)
    if isinstance(moment, Book):
        return ((moment.bids[0][0] + moment.asks[0][0]) / 2,)
    return (moment.price,)


def _row(symbol: str, safety_orders: int, deviation: str, profit: str) -> AssetRow:
    return {
        "asset_symbol": symbol,
        "is_enabled": True,
        "base_order_amount": Decimal(50),
        "safety_order_amount": Decimal(30),
        "max_safety_orders": safety_orders,
        "safety_order_deviation": Decimal(deviation),
        "take_profit_percent": Decimal(profit),
        "cooldown_period": 30,
        "buy_order_price_deviation_percent": Decimal("0.5"),
    }


def _line(order: Order) -> str:
    values = {
        "symbol": order.symbol,
        "cycle": order.cycle_id,
        "seq": order.seq,
        "purpose": order.purpose.value,
        "side": order.side.value,
        "qty": plain(order.qty),
        "limit_price": None if order.limit_price is None else plain(order.limit_price),
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": None if order.filled_avg_price is None else plain(order.filled_avg_price),
        "state": order.state.value,
    }
    return json.dumps(values)
