"""What the exchange sends when all is well (alpaca.md 2 to 7), and the values of ours that belong to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dca.core import ledger
from dca.core.model import (
    Asset,
    Cycle,
    CycleStatus,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Side,
    TradingRules,
)

Json = dict[str, Any]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SYMBOL = "BTC/USD"
KEY_ID, SECRET_KEY = "PKFUZZ0KEY0ID", "fuzz-secret-key-7d1f"
EXCHANGE_ID = "0c5f7b52-7f0c-4c9a-9d77-3f0a1f0f2b11"
BUY_ID, SELL_ID = "dca-abcd1234-12-1-b", "dca-abcd1234-12-2-tp"

RULES = TradingRules(
    symbol=SYMBOL,
    tradable=True,
    min_order_size=Decimal("0.01"),
    qty_increment=Decimal("0.000000001"),
    price_increment=Decimal("0.000000001"),
)
ASSET = Asset(
    id=1,
    asset_symbol=SYMBOL,
    is_enabled=True,
    base_order_amount=Decimal(20),
    safety_order_amount=Decimal(30),
    max_safety_orders=3,
    safety_order_deviation=Decimal("1.5"),
    take_profit_percent=Decimal(1),
    cooldown_period=300,
    buy_order_price_deviation_percent=Decimal(2),
)
WATCHING = Cycle(id=12, asset_id=1, status=CycleStatus.WATCHING)


def order_row(purpose: Purpose, seq: int, name: str, **changes: Any) -> Order:
    """A row of dca_orders: 0.2 coins, a limit buy at 100 or a market sell, sent and not answered yet."""
    sell = purpose.side is Side.SELL
    values: dict[str, Any] = {
        "id": seq,
        "asset_id": 1,
        "cycle_id": 12,
        "seq": seq,
        "purpose": purpose,
        "level": 0,
        "client_order_id": name,
        "symbol": SYMBOL,
        "side": purpose.side,
        "order_type": OrderType.MARKET if sell else OrderType.LIMIT,
        "time_in_force": "gtc",
        "qty": Decimal("0.2"),
        "limit_price": None if sell else Decimal(100),
        "state": OrderState.SENT,
        "trigger_price": None,
        "quote_price": Decimal(100),
        "quote_age_ms": 0,
        "base_order_amount": Decimal(20),
        "safety_order_amount": Decimal(30),
        "max_safety_orders": 3,
        "take_profit_percent": Decimal(1),
        "min_order_size": Decimal("0.01"),
        "qty_increment": Decimal("0.000000001"),
        "epoch": 1,
        "created_at": NOW,
        "last_sent_at": NOW,
    }
    return Order(**{**values, **changes})


BUY = order_row(Purpose.BASE, 1, BUY_ID)
BOUGHT = order_row(
    Purpose.BASE,
    1,
    BUY_ID,
    state=OrderState.DONE,
    exchange_order_id="bought",
    exchange_status="filled",
    filled_qty=Decimal("0.2"),
    filled_avg_price=Decimal(100),
    filled_value=Decimal(20),
    fee_qty=Decimal("0.0005"),
    closed_at=NOW - timedelta(hours=1),
)
SELL = order_row(Purpose.TAKE_PROFIT, 2, SELL_ID, qty=Decimal("0.1995"))
SENT = order_row(Purpose.BASE, 1, BUY_ID, state=OrderState.ACKED, exchange_order_id=EXCHANGE_ID)
BUYING = replace(WATCHING, status=CycleStatus.BUYING)
HOLDING = ledger.with_totals(WATCHING, [BOUGHT])
SELLING = replace(HOLDING, status=CycleStatus.SELLING)


def order(name: str = BUY_ID, status: str = "new", filled: str = "0", price: str | None = None) -> Json:
    """An order object as REST and the order stream send it."""
    sell = name == SELL_ID
    at = "2026-01-02T03:04:05.123456789Z"
    return {
        "id": EXCHANGE_ID,
        "client_order_id": name,
        "created_at": at,
        "updated_at": at,
        "submitted_at": at,
        "filled_at": at if status == "filled" else None,
        "asset_id": "276e2673-764b-4ab6-a611-caf665ca6340",
        "symbol": SYMBOL,
        "asset_class": "crypto",
        "notional": None,
        "qty": "0.1995" if sell else "0.2",
        "filled_qty": filled,
        "filled_avg_price": price,
        "order_type": "market" if sell else "limit",
        "type": "market" if sell else "limit",
        "side": "sell" if sell else "buy",
        "time_in_force": "gtc",
        "limit_price": None if sell else "100",
        "status": status,
        "legs": None,
        "expires_at": None,
    }


ORDERS: tuple[Json, ...] = (
    order(),
    order(status="partially_filled", filled="0.05", price="99.5"),
    order(status="filled", filled="0.2", price="99.5"),
    order(status="canceled", filled="0.1", price="100"),
    order(status="canceled"),
    order(SELL_ID, "filled", "0.1995", "101.25"),
    order(SELL_ID, "partially_filled", "0.05", "101.25"),
)
ACCOUNT: Json = {
    "id": "f1d2c3b4-0000-4000-8000-1234567890ab",
    "account_number": "PA123456",
    "status": "ACTIVE",
    "crypto_status": "ACTIVE",
    "currency": "USD",
    "cash": "100000",
    "non_marginable_buying_power": "99000.5",
    "trading_blocked": False,
    "account_blocked": False,
    "trade_suspended_by_user": False,
    "admin_configurations": {},
    "user_configurations": None,
}
POSITION: Json = {
    "asset_id": "276e2673-764b-4ab6-a611-caf665ca6340",
    "symbol": "BTCUSD",
    "asset_class": "crypto",
    "qty": "0.1995",
    "qty_available": "0.1995",
    "avg_entry_price": "100",
    "side": "long",
}
PAIR: Json = {
    "id": "276e2673-764b-4ab6-a611-caf665ca6340",
    "class": "crypto",
    "symbol": SYMBOL,
    "status": "active",
    "tradable": True,
    "min_order_size": "0.00001",
    "min_trade_increment": "0.000000001",
    "price_increment": "0.000000001",
}
CLOCK: Json = {"timestamp": "2026-01-01T22:04:05.389152169-05:00", "is_open": False}
QUOTES: Json = {
    "quotes": {SYMBOL: {"t": "2026-01-02T03:04:04.5Z", "bp": 99.9, "bs": 1, "ap": 100.1, "as": 2}}
}
CHARGE = {
    "id": "20260102000000000::00000000-0000-4000-8000-000000000009",
    "activity_type": "CFEE",
    "created_at": "2026-01-02T03:10:00Z",
    "net_amount": "0",
    "description": "Coin Pair Transaction Fee (Non USD)",
    "symbol": "BTCUSD",
    "qty": "-0.0000005",
    "price": "100",
    "status": "executed",
}
FILL: Json = {
    "id": "20260102030405123::5f0e8c1e-0000-4000-8000-000000000001",
    "activity_type": "FILL",
    "transaction_time": "2026-01-02T03:04:05.123456Z",
    "type": "fill",
    "price": "99.5",
    "qty": "0.2",
    "side": "buy",
    "symbol": SYMBOL,
    "leaves_qty": "0",
    "order_id": EXCHANGE_ID,
    "cum_qty": "0.2",
    "order_status": "filled",
}
ERRORS: tuple[Json, ...] = (
    {"code": 40010001, "message": "client_order_id must be unique"},
    {"code": 40310000, "message": "insufficient balance for USD (requested: 20, available: 3.5)"},
    {"code": 40410000, "message": "order not found"},
    {"code": 42210000, "message": "limit price increment"},
    {"code": 42910000, "message": "rate limit exceeded"},
    {"message": "forbidden."},
    {"code": 1020, "message": "Access denied"},
    {"error": {"code": 403, "status": "PERMISSION_DENIED"}},
)
