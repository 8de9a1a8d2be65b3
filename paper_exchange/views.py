"""The engine in Alpaca's JSON where more than one noun is needed: positions, the account, the past. Pure."""

from datetime import timedelta
from decimal import Decimal

from paper_exchange import wire
from paper_exchange.engine import Engine, Json
from paper_exchange.values import STEP, ZERO, Order


def average_entry(engine: Engine, symbol: str) -> Decimal:
    """What the coins held cost on average, fees left out; anew once a position was closed (alpaca.md 2.4)."""
    return engine.account.averages.get(symbol, engine.quotes[symbol].bid).quantize(STEP)


def positions(engine: Engine) -> list[Json]:
    return [position(engine, symbol) for symbol, qty in engine.account.coins.items() if qty > 0]


def position(engine: Engine, symbol: str) -> Json:
    pair, quote = engine.pairs[symbol], engine.quotes[symbol]
    qty, available = engine.held(symbol), engine.available(symbol)
    lag = engine.faults.peek("positions.lag", symbol)
    if lag is not None:
        since = engine.now - timedelta(seconds=float(lag.args.get("seconds", 5)))
        qty = available = engine.held_at(symbol, since)
    return wire.position(pair, qty, available, average_entry(engine, symbol), quote.bid)


def account(engine: Engine) -> Json:
    value = sum((qty * engine.quotes[s].bid for s, qty in engine.account.coins.items()), ZERO)
    return wire.account(engine.account, value, engine.reserved_cash(), engine.started_at)


def order_as_of(engine: Engine, order: Order, seconds_ago: float) -> Json:
    """An order as it was some seconds ago, but never before it was (fault get.stale)."""
    if not seconds_ago:
        return engine.order_json(order)
    then = wire.stamp(engine.now - timedelta(seconds=seconds_ago)) or ""
    states = [e for e in engine.journal if e["kind"] == "order" and e["order"]["id"] == order.id]
    before = [entry for entry in states if entry["at"] <= then] or states[:1]
    found: Json = before[-1]["order"]
    return found
