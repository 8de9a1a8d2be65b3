"""Alpaca's JSON, turned into values. Pure; REST and streams send the same shapes (alpaca.md 2 to 7).

A tolerant reader: unknown fields and statuses pass; a missing or invalid field that matters raises
ValueError, which the caller turns into "not known".
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from dca.core.book import Book, BookMessage, RawLevel
from dca.core.charges import Charge
from dca.core.model import (
    CLOSED_AT_EXCHANGE,
    ZERO,
    Account,
    Execution,
    Position,
    Quote,
    Snapshot,
    TradingRules,
)

Json = Mapping[str, Any]

_SMALLEST_STEP = Decimal("1e-9")
"""Alpaca takes nine decimals (alpaca.md 3)."""
_SMALLEST, _LARGEST = -40, 12
"""Limit as a power of ten: amounts below 1e13 coins or dollars fit the ledger's columns exactly."""
_PRICES = (Decimal("1e-10"), Decimal("1e10"))
"""Range of the price columns: the lower bound inclusive, the upper exclusive."""
_MOST_DOLLARS = Decimal("1e12")
_LONGEST_NUMBER, _LONGEST_TEXT, _LONGEST_ID, _LONGEST_STATUS = 64, 200, 64, 32
_YEARS = range(1970, 2200)
_NO_TIME = "0001-01-01T00:00:00Z"
"""The zero time of a server written in Go, which means no time."""


def number(value: Any) -> Decimal:
    """A finite number from JSON text or number, of a size that money and coins can have.

    Raises:
        ValueError: for anything else. What is larger or longer would not fit a column, or would fill the
        memory when printed (1e999999999).
    """
    digits = str(value)
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f"not a number: {digits[:_LONGEST_NUMBER]}...")
    try:
        result = Decimal(digits)
    except InvalidOperation as error:
        raise ValueError(f"not a number: {value!r}") from error
    if not result.is_finite():
        raise ValueError(f"not a finite number: {value!r}")
    if not result:
        return ZERO
    if not _SMALLEST <= result.adjusted() <= _LARGEST:  # abs() and < would round, and raise, themselves
        raise ValueError(f"amount out of range: {value!r}")
    return result


def text(raw: Json, name: str, longest: int = _LONGEST_TEXT) -> str:
    """A text that can be stored and printed: no control characters, no lone surrogates."""
    value = _object(raw).get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing in {_brief(raw)}")
    if len(value) > longest or not value.isprintable():
        raise ValueError(f"{name} is invalid: {value[:_LONGEST_TEXT]!r}")
    return value


def _identifier(raw: Json, name: str) -> str:
    """An id assigned by the exchange."""
    value = text(raw, name, _LONGEST_ID)
    if not value.isascii():
        raise ValueError(f"{name} is invalid: {value!r}")
    return value


def moment(value: Any) -> datetime:
    """An aware UTC time from RFC 3339; nanoseconds are cut to microseconds."""
    if not isinstance(value, str):
        raise ValueError(f"not a time: {_brief(value)}")
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        raise ValueError(f"time without a time zone: {value!r}")
    if parsed.year not in _YEARS:
        raise ValueError(f"invalid time: {value!r}")
    return parsed.astimezone(UTC)


def _brief(raw: Any) -> str:
    return str(raw)[:200]


def _object(raw: Any) -> Json:
    if not isinstance(raw, Mapping):
        raise ValueError(f"not an object: {_brief(raw)}")
    return raw


def listed(raw: Any) -> list[Json]:
    """A list of objects. Anything else, such as an error's body, raises: it is not an empty list."""
    if not isinstance(raw, list):
        raise ValueError(f"not a list: {_brief(raw)}")
    return [_object(each) for each in raw]


def _optional_number(raw: Json, name: str) -> Decimal | None:
    value = raw.get(name)
    return None if value is None or value == "" else number(value)


def _optional_moment(raw: Json, name: str) -> datetime | None:
    value = raw.get(name)
    return None if value is None or value in ("", _NO_TIME) else moment(value)


def _optional_amount(raw: Json, name: str) -> Decimal | None:
    value = _optional_number(raw, name)
    if value is not None and value < 0:
        raise ValueError(f"negative {name}: {value}")
    return value


def _filled(raw: Json, status: str) -> tuple[Decimal, Decimal | None]:
    """Filled quantity and average price; 0 and None while the order is open and the fields are missing.

    A missing quantity is not 0 for an order that has ended: 0 would be booked, and the order bought again.
    """
    said, price = _optional_amount(raw, "filled_qty"), _optional_amount(raw, "filled_avg_price")
    qty = ZERO if said is None else said
    if (said is None and status in CLOSED_AT_EXCHANGE) or (not qty and status == "filled"):
        raise ValueError(f"{status}, and filled_qty is {raw.get('filled_qty')!r}")
    if qty and price:
        _trade(qty, price)
    return qty, price


def _trade(qty: Decimal, price: Decimal) -> None:
    least, limit = _PRICES
    if qty <= 0 or not least <= price < limit or qty * price >= _MOST_DOLLARS:
        raise ValueError(f"invalid trade: {qty} at {price}")


def snapshot(raw: Json) -> Snapshot:
    """An order object."""
    # An unknown status may have any length; such an order may still fill.
    status = text(raw, "status")[:_LONGEST_STATUS]
    filled_qty, filled_avg_price = _filled(raw, status)
    return Snapshot(
        exchange_order_id=_identifier(raw, "id"),
        client_order_id=text(raw, "client_order_id"),
        symbol=text(raw, "symbol"),
        side=text(raw, "side"),
        status=status,
        qty=_optional_amount(raw, "qty"),
        limit_price=_optional_amount(raw, "limit_price"),
        filled_qty=filled_qty,
        filled_avg_price=filled_avg_price,
        created_at=_optional_moment(raw, "created_at"),
        updated_at=_optional_moment(raw, "updated_at"),
    )


def snapshot_of(raw: Json, client_order_id: str) -> Snapshot:
    """The order object, which must be the one asked for."""
    found = snapshot(raw)
    if found.client_order_id != client_order_id:
        raise ValueError(f"asked for {client_order_id}, got {found.client_order_id}")
    return found


def trading_rules(raw: Json) -> TradingRules:
    """An asset object. Sizes and increments are never finer than an order's decimals, so no quantity rounds
    to 0."""
    return TradingRules(
        symbol=text(raw, "symbol"),
        tradable=raw.get("tradable") is True and raw.get("status") == "active",
        min_order_size=max(number(raw.get("min_order_size")), _SMALLEST_STEP),
        qty_increment=max(number(raw.get("min_trade_increment")), _SMALLEST_STEP),
        price_increment=max(number(raw.get("price_increment")), _SMALLEST_STEP),
    )


def snapshots(raws: list[Any]) -> list[Snapshot]:
    """The valid order objects. An invalid order of someone else must not hide ours; one of ours that is
    missing from the list is looked up individually."""
    found = []
    for raw in raws:
        with suppress(ValueError, RecursionError):
            found.append(snapshot(raw))
    return found


def position(raw: Json, symbol: str) -> Position:
    """A position object. `symbol` is our form, with the slash that positions omit."""
    if text(raw, "symbol").replace("/", "") != symbol.replace("/", ""):
        raise ValueError(f"asked for {symbol}, got {text(raw, 'symbol')}")
    qty = number(raw.get("qty"))
    return Position(
        symbol=symbol, qty=qty, qty_available=_or_default(_optional_number(raw, "qty_available"), qty)
    )


def positions(raws: Any) -> dict[str, Position]:
    """A list of position objects, by symbol without its slash."""
    found = [position(raw, text(raw, "symbol").replace("/", "")) for raw in listed(raws)]
    by_symbol = {each.symbol: each for each in found}
    if len(by_symbol) != len(found):
        raise ValueError(f"a position is listed twice: {_brief(sorted(each.symbol for each in found))}")
    return by_symbol


def _or_default(value: Decimal | None, default: Decimal) -> Decimal:
    return default if value is None else value


def _flag(raw: Json, name: str) -> bool:
    """A boolean; a missing one is False, an invalid one raises."""
    value = raw.get(name)
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{name} is neither true nor false: {_brief(value)}")
    return value is True


def account(raw: Json) -> Account:
    return Account(
        id=text(raw, "id"),
        status=text(raw, "status"),
        crypto_status=text(raw, "crypto_status") if raw.get("crypto_status") else "",
        trading_blocked=_flag(raw, "trading_blocked"),
        account_blocked=_flag(raw, "account_blocked"),
        trade_suspended_by_user=_flag(raw, "trade_suspended_by_user"),
        non_marginable_buying_power=number(raw.get("non_marginable_buying_power")),
        made_at=_optional_moment(raw, "created_at"),
    )


def execution(raw: Json) -> Execution:
    """A FILL activity."""
    qty, price = number(_object(raw).get("qty")), number(raw.get("price"))
    _trade(qty, price)
    return Execution(id=text(raw, "id"), exchange_order_id=text(raw, "order_id"), qty=qty, price=price)


def charge(raw: Json) -> Charge | None:
    """A row of the fee list (alpaca.md 4): coins in `qty`, or dollars in `net_amount`; None for one that does
    not belong to a coin trade or lacks fields."""
    with suppress(ValueError):
        at = _optional_moment(_object(raw), "created_at") or moment(f"{text(raw, 'date')}T23:59:59Z")
        coins, dollars = _optional_number(raw, "qty"), _optional_number(raw, "net_amount")
        if raw.get("symbol") and coins:
            return Charge(symbol=text(raw, "symbol").replace("/", ""), amount=-coins, at=at)
        if not raw.get("symbol") and dollars and "coin" in str(raw.get("description")).lower():
            return Charge(symbol=None, amount=-dollars, at=at)
    return None


def is_sale(raw: Json, symbol: str) -> bool:
    """Whether a FILL activity is a sale of this pair.

    Raises:
        ValueError: its fields do not tell.
    """
    return text(_object(raw), "side") != "buy" and text(raw, "symbol").replace("/", "") == symbol.replace(
        "/", ""
    )


def stream_quote(raw: Json, received_at: datetime) -> Quote:
    """A `q` message of the market-data stream, with `t` already a datetime.

    Raises:
        ValueError: a price that is not a finite number (F26); the strategy's quote check judges the rest.
    """
    at = _object(raw).get("t")
    if not isinstance(at, datetime):
        raise ValueError(f"a quote without a time: {_brief(raw)}")
    return Quote(
        symbol=text(raw, "S"),
        bid=number(raw.get("bp")),
        ask=number(raw.get("ap")),
        at=at,
        received_at=received_at,
    )


def rest_quote(symbol: str, raw: Json, received_at: datetime) -> Quote:
    """A latest quote from REST, where `t` is text."""
    return Quote(
        symbol=symbol,
        bid=number(_object(raw).get("bp")),
        ask=number(raw.get("ap")),
        at=moment(raw.get("t")),
        received_at=received_at,
    )


def rest_book(symbol: str, raw: Json) -> Book:
    """A latest order book from REST, without levels of size 0 (alpaca.md 7)."""
    book = Book(symbol)
    book.apply(
        BookMessage(
            symbol=symbol,
            at=moment(_object(raw).get("t")),
            bids=_levels(raw.get("b")),
            asks=_levels(raw.get("a")),
            is_whole=True,
        )
    )
    return book


def _levels(raw: Any) -> list[RawLevel]:
    """One side of an order book; a missing side is empty."""
    return [(float(number(each.get("p"))), float(number(each.get("s")))) for each in listed(raw or [])]
