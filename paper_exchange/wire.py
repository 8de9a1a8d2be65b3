"""What the exchange knows, in Alpaca's JSON (alpaca.md 2.1 to 2.6). Pure."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from paper_exchange.values import Account, Execution, Order, Pair, plain

Json = dict[str, Any]


def stamp(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, trailing zeros of the fraction trimmed, as Alpaca writes it."""
    if at is None:
        return None
    text = at.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{at.microsecond:06d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def order(one: Order, asset_id: str) -> Json:
    intent = "buy_to_open" if one.side == "buy" else "sell_to_close"
    return {
        "id": one.id,
        "client_order_id": one.client_order_id,
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.updated_at),
        "submitted_at": stamp(one.created_at),
        "filled_at": stamp(one.filled_at),
        "expired_at": stamp(one.expired_at),
        "canceled_at": stamp(one.canceled_at),
        "failed_at": stamp(one.failed_at),
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": asset_id,
        "symbol": one.symbol,
        "asset_class": "crypto",
        "notional": _text(one.notional),
        "qty": None if one.notional is not None else plain(one.qty),
        "filled_qty": plain(one.filled_qty),
        "filled_avg_price": _text(one.average),
        "order_class": "",
        "order_type": one.type,
        "type": one.type,
        "side": one.side,
        "position_intent": intent,
        "time_in_force": one.time_in_force,
        "limit_price": _text(one.limit_price),
        "stop_price": _text(one.stop_price),
        "status": one.status,
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "subtag": None,
        "source": None,
        "expires_at": stamp(one.expires_at),
    }


def asset(pair: Pair) -> Json:
    return {
        "id": pair.id,
        "class": "crypto",
        "exchange": "CRYPTO",
        "symbol": pair.symbol,
        "name": pair.name,
        "status": pair.status,
        "tradable": pair.tradable,
        "marginable": False,
        "maintenance_margin_requirement": 100,
        "margin_requirement_long": "100",
        "margin_requirement_short": "100",
        "shortable": False,
        "easy_to_borrow": False,
        "fractionable": True,
        "attributes": ["fractional_eh_enabled"],
        "min_order_size": plain(pair.min_order_size),
        "min_trade_increment": "0.000000001",
        "price_increment": plain(pair.price_increment),
    }


def position(pair: Pair, qty: Decimal, available: Decimal, average: Decimal, price: Decimal) -> Json:
    value, cost = qty * price, qty * average
    ratio = (value - cost) / cost if cost else Decimal(0)
    return {
        "asset_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{pair.symbol}.position")),
        "symbol": pair.position_symbol,
        "exchange": "CRYPTO",
        "asset_class": "crypto",
        "asset_marginable": False,
        "qty": plain(qty),
        "avg_entry_price": plain(average),
        "side": "long",
        "market_value": plain(round(value, 6)),
        "cost_basis": plain(round(cost, 6)),
        "unrealized_pl": plain(round(value - cost, 6)),
        "unrealized_plpc": plain(round(ratio, 9)),
        "unrealized_intraday_pl": plain(round(value - cost, 6)),
        "unrealized_intraday_plpc": plain(round(ratio, 9)),
        "current_price": plain(price),
        "lastday_price": plain(price),
        "change_today": "0",
        "qty_available": plain(available),
    }


def account(one: Account, coins_value: Decimal, reserved: Decimal, created_at: datetime) -> Json:
    equity = one.cash + coins_value
    free = one.cash - reserved
    money = {name: plain(round(equity, 2)) for name in ("equity", "last_equity", "portfolio_value")}
    return {
        "id": one.id,
        "account_number": "PA" + one.id.replace("-", "")[:10].upper(),
        "status": one.status,
        "crypto_status": one.crypto_status,
        "crypto_tier": 1,
        "currency": "USD",
        "cash": plain(one.cash),
        **money,
        "position_market_value": plain(round(coins_value, 2)),
        "long_market_value": plain(round(coins_value, 2)),
        "short_market_value": "0",
        "buying_power": plain(round(free * 2, 2)),
        "regt_buying_power": plain(round(free * 2, 2)),
        "effective_buying_power": plain(round(free * 2, 2)),
        "non_marginable_buying_power": plain(free),
        "options_buying_power": plain(free),
        "initial_margin": "0",
        "maintenance_margin": "0",
        "last_maintenance_margin": "0",
        "sma": "0",
        "multiplier": "2",
        "accrued_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
        "pending_reg_taf_fees": "0",
        "intraday_adjustments": "0",
        "trading_blocked": one.trading_blocked,
        "transfers_blocked": False,
        "account_blocked": one.account_blocked,
        "trade_suspended_by_user": one.trade_suspended_by_user,
        "shorting_enabled": False,
        "balance_asof": created_at.date().isoformat(),
        "created_at": stamp(created_at),
        "bod_dtbp": "0",
        "options_approved_level": 0,
        "options_trading_level": 0,
        "admin_configurations": {},
        "user_configurations": None,
    }


def fill_activity(one: Execution) -> Json:
    done = one.leaves_qty == 0
    return {
        "id": f"{one.at:%Y%m%d%H%M%S%f}"[:17] + f"::{one.id}",
        "activity_type": "FILL",
        "transaction_time": stamp(one.at),
        "type": "fill" if done else "partial_fill",
        "price": plain(one.price),
        "qty": plain(one.qty),
        "side": one.side,
        "symbol": one.symbol,
        "leaves_qty": plain(one.leaves_qty),
        "order_id": one.order_id,
        "cum_qty": plain(one.cum_qty),
        "order_status": "filled" if done else "partially_filled",
        "swap_rate": "1",
    }


def fee_activity(one: Execution, row_id: str, position_symbol: str) -> Json:
    """A CFEE row: no order id, no time of the trade (alpaca.md 4)."""
    row: Json = {"id": row_id, "activity_type": "CFEE", "status": "executed", "currency": "USD"}
    if one.side == "sell":
        return row | {
            "net_amount": plain(-one.fee_usd),
            "description": "Coin Pair Transaction Fee (USD)",
        }
    return row | {
        "net_amount": "0",
        "description": "Coin Pair Transaction Fee (Non USD)",
        "symbol": position_symbol,
        "qty": plain(-one.fee_qty),
        "price": plain(one.price),
    }


def execution_entry(one: Execution) -> Json:
    """An execution for the journal."""
    return {
        "execution_id": one.id,
        "order_id": one.order_id,
        "client_order_id": one.client_order_id,
        "symbol": one.symbol,
        "side": one.side,
        "qty": plain(one.qty),
        "price": plain(one.price),
        "fee_qty": plain(one.fee_qty),
        "fee_usd": plain(one.fee_usd),
        "liquidity": one.liquidity,
        "cum_qty": plain(one.cum_qty),
    }


def event_id(at: datetime, number: int, chance: int) -> str:
    """26 characters that sort by time, as a ULID's; `chance` has 120 bits."""
    return f"01{int(at.timestamp() * 1000):011X}{number:07X}{chance >> 96:06X}"


def update(
    order_json: Json,
    event: str,
    event_id: str,
    execution_id: str | None,
    at: datetime,
    cancel_requested_at: datetime | None,
) -> Json:
    """The data of a trade update (alpaca.md 5)."""
    data: Json = {
        "at": stamp(at),
        "event_id": event_id,
        "event": event,
        "timestamp": stamp(at),
        "order": {**order_json, "cancel_requested_at": stamp(cancel_requested_at)},
    }
    return data if execution_id is None else {**data, "execution_id": execution_id}


def fill_of_update(one: Execution, held: Decimal) -> Json:
    """What a trade update adds for a fill."""
    return {"price": plain(one.price), "qty": plain(one.qty), "position_qty": plain(held)}
