"""What an order has to be to be taken: Alpaca's checks and its words for each refusal (alpaca.md 2.7, 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any

from paper_exchange.parameters import LARGEST
from paper_exchange.values import MAX_COST, MIN_COST, STEP, Account, Order, Pair, Quote, Refused, plain

_CODE = 42210000


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request for an order that has the right form."""

    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    client_order_id: str | None


def _amount(body: Mapping[str, Any], name: str) -> Decimal | None:
    """A positive amount: coins and prices cut to nine decimals, as Alpaca does; dollars with two at most."""
    value = body.get(name)
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise Refused(422, _CODE, f"invalid {name}") from None
    if not amount.is_finite() or amount <= 0:
        raise Refused(422, _CODE, f"{name} must be > 0")
    if amount >= LARGEST:
        raise Refused(422, _CODE, f"{name} is too large")
    if name != "notional":
        amount = amount.quantize(STEP, rounding=ROUND_DOWN)
        if not amount:
            raise Refused(422, _CODE, f"{name} must be > 0")
    elif amount != round(amount, 2):
        raise Refused(422, _CODE, f"{name} value must be limited to 2 decimal places")
    return amount


def _word(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(422, _CODE, f"{name} is required")
    return value


def read_ticket(body: object) -> Ticket:
    """Check a request's form.

    Raises:
        Refused: 422 with Alpaca's words.
    """
    if not isinstance(body, dict):
        raise Refused(400, 40010000, "request body format is invalid")
    kind, tif = _word(body, "type"), _word(body, "time_in_force")
    ticket = Ticket(
        symbol=_word(body, "symbol"),
        side=_word(body, "side"),
        type=kind,
        time_in_force=tif,
        qty=_amount(body, "qty"),
        notional=_amount(body, "notional"),
        limit_price=_amount(body, "limit_price"),
        stop_price=_amount(body, "stop_price"),
        client_order_id=body.get("client_order_id"),
    )
    if ticket.qty is None and ticket.notional is None:
        raise Refused(422, 40010001, "qty or notional is required")
    if ticket.qty is not None and ticket.notional is not None:
        raise Refused(422, 40010001, "only one of qty or notional is accepted")
    if ticket.side not in {"buy", "sell"}:
        raise Refused(422, _CODE, "invalid side")
    _check_kind(ticket, body)
    return ticket


def _check_kind(ticket: Ticket, body: Mapping[str, Any]) -> None:
    if ticket.type not in {"market", "limit", "stop_limit"}:
        raise Refused(422, 40010001, "invalid order type for crypto order")
    if ticket.time_in_force not in {"gtc", "ioc"}:
        raise Refused(422, _CODE, "invalid crypto time_in_force")
    if body.get("order_class") not in (None, "", "simple"):
        raise Refused(
            422, _CODE, f"crypto orders not allowed for advanced order_class: {body['order_class']}"
        )
    if ticket.type != "market" and ticket.limit_price is None:
        raise Refused(422, _CODE, f"{ticket.type} orders require limit price")
    if ticket.type == "market" and (ticket.limit_price is not None or ticket.stop_price is not None):
        raise Refused(422, 40010001, "market orders require no stop or limit price")
    if ticket.type == "stop_limit" and ticket.stop_price is None:
        raise Refused(422, _CODE, "stop limit orders require both stop and limit price")
    if ticket.client_order_id is not None and len(str(ticket.client_order_id)) > 128:
        raise Refused(422, 40010001, "client_order_id must be no more than 128 characters")


def check_account(account: Account) -> None:
    if account.trading_blocked or account.account_blocked or account.trade_suspended_by_user:
        raise Refused(403, 40310000, "trading is suspended for this account")
    if account.crypto_status != "ACTIVE":
        raise Refused(403, 40310000, "crypto trading is not enabled for this account")


def check_pair(pair: Pair | None, symbol: str) -> Pair:
    if pair is None:
        raise Refused(422, _CODE, f'asset "{symbol}" not found')
    if not pair.tradable or pair.status != "active":
        raise Refused(422, _CODE, f"asset {pair.symbol} is not active")
    return pair


def quantity(ticket: Ticket, quote: Quote) -> Decimal:
    """Coins asked for; a dollar amount is turned at the price it would trade at."""
    if ticket.qty is not None:
        return ticket.qty
    assert ticket.notional is not None
    return (ticket.notional / price_of(ticket, quote)).quantize(STEP, rounding="ROUND_DOWN")


def price_of(ticket: Ticket, quote: Quote) -> Decimal:
    if ticket.limit_price is not None:
        return ticket.limit_price
    return quote.ask if ticket.side == "buy" else quote.bid


def check_size(ticket: Ticket, pair: Pair, quote: Quote) -> None:
    """The cost floor holds for buys only, the smallest quantity for all (alpaca.md 3)."""
    qty = quantity(ticket, quote)
    cost = qty * price_of(ticket, quote)
    if ticket.side == "buy" and cost < MIN_COST:
        raise Refused(403, 40310000, f"cost basis must be >= minimal amount of order {MIN_COST}")
    if qty < pair.min_order_size and ticket.side == "sell":
        raise Refused(403, 40310000, f"qty must be >= {plain(pair.min_order_size)}")
    if cost > MAX_COST:
        raise Refused(403, 40310000, f"notional must be <= {MAX_COST}")


def check_balance(coin: str, asked: Decimal, available: Decimal, balance: Decimal) -> None:
    if asked > available:
        words = f"insufficient balance for {coin} (requested: {plain(asked)}, available: {plain(available)})"
        raise Refused(403, 40310000, words, available=plain(available), balance=plain(balance), symbol=coin)


def check_wash(ticket: Ticket, others: Sequence[Order]) -> None:
    """Refuse to trade against oneself: `others` are open orders of the other side."""
    for order in others:
        limit = order.limit_price
        crosses = ticket.type == "market" or order.type == "market"
        if not crosses and ticket.limit_price is not None and limit is not None:
            buy, sell = (ticket.limit_price, limit) if ticket.side == "buy" else (limit, ticket.limit_price)
            crosses = buy >= sell
        if crosses:
            words = "potential wash trade detected. use complex orders"
            reason = "opposite side market/stop order exists"
            raise Refused(403, 40310000, words, existing_order_id=order.id, reject_reason=reason)
