"""Values with sensible defaults: a test says only what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dca.core.model import (
    Asset,
    Cycle,
    CycleStatus,
    FeeSource,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Quote,
    Side,
    Snapshot,
    TradingRules,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SYMBOL = "BTC/USD"
D = Decimal


def asset(**changes: Any) -> Asset:
    """$20 base and safety orders, three of them at 1.5 %; take-profit 1 %; 300 s, or 2 % below the sale."""
    default = Asset(
        id=1,
        asset_symbol=SYMBOL,
        is_enabled=True,
        base_order_amount=D(20),
        safety_order_amount=D(30),
        max_safety_orders=3,
        safety_order_deviation=D("1.5"),
        take_profit_percent=D(1),
        cooldown_period=300,
        buy_order_price_deviation_percent=D(2),
    )
    return replace(default, **changes)


def rules(**changes: Any) -> TradingRules:
    default = TradingRules(
        symbol=SYMBOL,
        tradable=True,
        min_order_size=D("0.01"),
        qty_increment=D("0.0001"),
        price_increment=D("0.01"),
    )
    return replace(default, **changes)


def cycle(status: CycleStatus = CycleStatus.WATCHING, **changes: Any) -> Cycle:
    """A cycle that holds nothing."""
    return replace(Cycle(id=12, asset_id=1, status=status), **changes)


def holding(
    status: CycleStatus = CycleStatus.WATCHING,
    *,
    bought: str = "0.2",
    fee: str = "0.0005",
    average: str = "100",
    last_fill: str | None = None,
    **changes: Any,
) -> Cycle:
    """A cycle that bought 0.2 coins at 100 and holds 0.1995 of them, the fee being taken in coin."""
    default = Cycle(
        id=12,
        asset_id=1,
        status=status,
        quantity=D(bought) - D(fee),
        average_purchase_price=D(average),
        last_order_fill_price=D(last_fill or average),
        bought_qty=D(bought),
        bought_cost=D(bought) * D(average),
        buy_fee_qty=D(fee),
    )
    return replace(default, **changes)


def quote(bid: str, ask: str | None = None, *, age_seconds: float = 0, symbol: str = SYMBOL) -> Quote:
    at = NOW - timedelta(seconds=age_seconds)
    return Quote(symbol=symbol, bid=D(bid), ask=D(bid if ask is None else ask), at=at, received_at=NOW)


def order(purpose: Purpose = Purpose.BASE, seq: int = 1, **changes: Any) -> Order:
    """An order for 0.2 coins, a buy at 100, sent and not answered yet."""
    sell = purpose.side is Side.SELL
    default = Order(
        id=seq,
        asset_id=1,
        cycle_id=12,
        seq=seq,
        purpose=purpose,
        level=1 if purpose is Purpose.SAFETY else 0,
        client_order_id=f"dca-abcd1234-12-{seq}-x",
        symbol=SYMBOL,
        side=purpose.side,
        order_type=OrderType.MARKET if sell else OrderType.LIMIT,
        time_in_force="gtc",
        qty=D("0.2"),
        limit_price=None if sell else D(100),
        state=OrderState.SENT,
        trigger_price=None,
        quote_price=D(100),
        quote_age_ms=0,
        base_order_amount=D(20),
        safety_order_amount=D(30),
        max_safety_orders=3,
        take_profit_percent=D(1),
        min_order_size=D("0.01"),
        qty_increment=D("0.0001"),
        epoch=1,
        created_at=NOW,
        last_sent_at=NOW,
    )
    return replace(default, **changes)


def ours(**changes: Any) -> Order:
    """An order of the first asset's cycle, as it is before it is written."""
    return order(**{"id": 0, "cycle_id": 1, "asset_id": 1, **changes})


def done(
    purpose: Purpose = Purpose.BASE, seq: int = 1, filled: str = "0", price: str = "100", **changes: Any
) -> Order:
    """An order that has ended, with what was filled of it; the fee is exactly 0.25 %."""
    qty, value = D(filled), D(filled) * D(price)
    buy = purpose.side is Side.BUY
    values: dict[str, Any] = {
        "state": OrderState.DONE,
        "exchange_order_id": f"x-{seq}",
        "exchange_status": "filled" if qty == D("0.2") else "canceled",
        "filled_qty": qty,
        "filled_avg_price": D(price) if qty else None,
        "filled_value": value,
        "fee_qty": qty * D("0.0025") if buy else D(0),
        "fee_usd": D(0) if buy else value * D("0.0025"),
        "fee_source": FeeSource.ASSUMED,
        "closed_at": NOW,
    }
    return order(purpose, seq, **{**values, **changes})


def snapshot(
    of: Order, status: str = "new", filled: str = "0", price: str | None = None, **changes: Any
) -> Snapshot:
    """What the exchange says of one of our orders."""
    default = Snapshot(
        exchange_order_id="x-1",
        client_order_id=of.client_order_id,
        symbol=of.symbol,
        side=of.side.value,
        status=status,
        qty=of.qty,
        limit_price=of.limit_price,
        filled_qty=D(filled),
        filled_avg_price=None if price is None else D(price),
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(default, **changes)
