"""Which fills an order gets now, and at which prices. Pure."""

from collections.abc import Iterator
from decimal import Decimal

from paper_exchange.depth import COLLAR
from paper_exchange.values import STEP, ZERO, Order, Quote
from recordings.values import Level


def is_marketable(order: Order, quote: Quote) -> bool:
    """Whether the quote reaches the order's limit, and its stop before it."""
    buys = order.side == "buy"
    if order.type == "stop_limit" and order.stop_price is not None and not order.filled_qty:
        reached = quote.ask >= order.stop_price if buys else quote.bid <= order.stop_price
        if not reached:
            return False
    bound = order.limit_price if order.limit_price is not None else order.collar_price
    if bound is None:
        return True
    return quote.ask <= bound if buys else quote.bid >= bound


def collar_price(order: Order, quote: Quote) -> Decimal | None:
    """The worst price of a market order that finds this quote when it arrives; None for others."""
    if order.limit_price is not None:
        return None
    if order.side == "buy":
        return (quote.ask * (1 + COLLAR)).quantize(STEP)
    return (quote.bid * (1 - COLLAR)).quantize(STEP)


def fills(order: Order, offers: list[Level], qty: Decimal) -> Iterator[Level]:
    """The prices and quantities at which up to `qty` coins are had from these offers, best first."""
    bound = order.limit_price if order.limit_price is not None else order.collar_price
    left = qty
    for price, size in offers:
        beyond = bound is not None and (price > bound if order.side == "buy" else price < bound)
        if beyond or left <= 0:
            return
        taken = min(size, left)
        left -= taken
        yield price, taken


def joined(levels: list[Level], own: list[Order], side: str) -> list[Level]:
    """A side of the book with the account's resting orders of it at their prices. One better than the best is
    not shown: the quote is made by others."""
    sizes = dict(levels)
    for order in own:
        price = order.limit_price
        if order.side != side or price is None or not levels:
            continue
        if price <= levels[0][0] if side == "buy" else price >= levels[0][0]:
            sizes[price] = sizes.get(price, ZERO) + order.remaining
    return sorted(sizes.items(), reverse=side == "buy")
