"""Alpaca's JSON, turned into values. Pure; REST and streams send the same shapes (alpaca.md 2 to 7).

A tolerant reader: unknown fields and unknown statuses pass, a missing or senseless one that matters
raises ValueError, which the caller turns into "not known".
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from dca.model import Account, Execution, Position, Quote, Snapshot, TradingRules

Json = Mapping[str, Any]

_SMALLEST_STEP = Decimal("1e-9")
"""Alpaca takes nine decimals (alpaca.md 3)."""


def number(value: Any) -> Decimal:
    """A finite number from JSON text or number.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"not a number: {value!r}")
    try:
        result = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"not a number: {value!r}") from error
    if not result.is_finite():
        raise ValueError(f"not a finite number: {value!r}")
    return result


def text(raw: Json, name: str) -> str:
    value = _object(raw).get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing in {str(raw)[:200]}")
    return value


def moment(value: Any) -> datetime:
    """An aware UTC time from RFC 3339; nanoseconds are cut to microseconds."""
    if not isinstance(value, str):
        raise ValueError(f"not a time: {value!r}")
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        raise ValueError(f"a time without a zone: {value!r}")
    return parsed.astimezone(UTC)


def _object(raw: Any) -> Json:
    if not isinstance(raw, Mapping):
        raise ValueError(f"not an object: {str(raw)[:200]}")
    return raw


def _optional_number(raw: Json, name: str) -> Decimal | None:
    value = raw.get(name)
    return None if value is None or value == "" else number(value)


def _optional_moment(raw: Json, name: str) -> datetime | None:
    value = raw.get(name)
    return None if value is None or value == "" else moment(value)


def snapshot(raw: Json) -> Snapshot:
    """An order object."""
    raw = _object(raw)
    filled_qty = _optional_number(raw, "filled_qty") or Decimal(0)
    if filled_qty < 0:
        raise ValueError(f"negative filled_qty: {filled_qty}")
    return Snapshot(
        exchange_order_id=text(raw, "id"),
        client_order_id=text(raw, "client_order_id"),
        symbol=text(raw, "symbol"),
        side=text(raw, "side"),
        status=text(raw, "status"),
        qty=_optional_number(raw, "qty"),
        limit_price=_optional_number(raw, "limit_price"),
        filled_qty=filled_qty,
        filled_avg_price=_optional_number(raw, "filled_avg_price"),
        created_at=_optional_moment(raw, "created_at"),
        updated_at=_optional_moment(raw, "updated_at"),
    )


def trading_rules(raw: Json) -> TradingRules:
    """An asset object. `price_increment` is never finer than what an order may carry."""
    return TradingRules(
        symbol=text(raw, "symbol"),
        tradable=raw.get("tradable") is True and raw.get("status") == "active",
        min_order_size=number(raw.get("min_order_size")),
        qty_increment=max(number(raw.get("min_trade_increment")), _SMALLEST_STEP),
        price_increment=max(number(raw.get("price_increment")), _SMALLEST_STEP),
    )


def position(raw: Json, symbol: str) -> Position:
    """A position object; `symbol` is ours, with the slash that positions leave out."""
    qty = number(_object(raw).get("qty"))
    return Position(
        symbol=symbol, qty=qty, qty_available=_or_default(_optional_number(raw, "qty_available"), qty)
    )


def _or_default(value: Decimal | None, default: Decimal) -> Decimal:
    return default if value is None else value


def account(raw: Json) -> Account:
    return Account(
        id=text(raw, "id"),
        status=text(raw, "status"),
        crypto_status=str(raw.get("crypto_status") or ""),
        trading_blocked=raw.get("trading_blocked") is True,
        account_blocked=raw.get("account_blocked") is True,
        trade_suspended_by_user=raw.get("trade_suspended_by_user") is True,
        non_marginable_buying_power=number(raw.get("non_marginable_buying_power")),
    )


def execution(raw: Json) -> Execution:
    """A FILL activity."""
    return Execution(
        id=text(raw, "id"),
        exchange_order_id=text(raw, "order_id"),
        qty=number(raw.get("qty")),
        price=number(raw.get("price")),
    )


def stream_quote(raw: Json, received_at: datetime) -> Quote:
    """A `q` message of the market-data stream; `t` is a datetime by then.

    Raises:
        ValueError: a price that is no finite number (F26); the rest is for the strategy's gate to judge.
    """
    at = _object(raw).get("t")
    if not isinstance(at, datetime):
        raise ValueError(f"a quote without a time: {str(raw)[:200]}")
    return Quote(
        symbol=text(raw, "S"),
        bid=number(raw.get("bp")),
        ask=number(raw.get("ap")),
        at=at,
        received_at=received_at,
    )


def rest_quote(symbol: str, raw: Json, received_at: datetime) -> Quote:
    """One of the latest quotes that REST gives; `t` is text there."""
    return Quote(
        symbol=symbol,
        bid=number(_object(raw).get("bp")),
        ask=number(raw.get("ap")),
        at=moment(raw.get("t")),
        received_at=received_at,
    )
