"""What an order would find in a book: the price of a quantity, the quantity at a price. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from dca.core.book import Level
from dca.core.model import PRICE_STEP, ZERO, Quote, Side

BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What a quantity costs: its average price, rounded against the taker, and the last level's price."""

    average_price: Decimal
    worst_price: Decimal


def walk(levels: Iterable[Level], qty: Decimal, side: Side) -> Walk | None:
    """Take `qty` from levels, best first, the one that completes it included; None if they hold less."""
    left, value = qty, ZERO
    for price, size in levels:
        taken = min(size, left)
        value += taken * price
        left -= taken
        if left <= 0:
            rounding = ROUND_UP if side is Side.BUY else ROUND_DOWN
            average = (value / qty).quantize(PRICE_STEP, rounding=rounding)
            return Walk(average_price=average, worst_price=price)
    return None


def reach(levels: Iterable[Level], limit_price: Decimal, side: Side) -> Decimal:
    """Coins to be had at the limit price or better, from levels that are best first."""
    found = ZERO
    for price, size in levels:
        if price > limit_price if side is Side.BUY else price < limit_price:
            break
        found += size
    return found


def mid(quote: Quote) -> Decimal:
    """The middle of bid and ask."""
    return (quote.bid + quote.ask) / 2


def spread_bps(quote: Quote) -> Decimal:
    """The spread in basis points of the mid."""
    return (quote.ask - quote.bid) / mid(quote) * BPS


def slippage_bps(price: Decimal, mid_price: Decimal, side: Side) -> Decimal:
    """How much worse than the mid a price is for a taker, in basis points of the mid; below 0: better."""
    worse = price - mid_price if side is Side.BUY else mid_price - price
    return worse / mid_price * BPS


def worst_acceptable(mid_price: Decimal, max_slippage_bps: Decimal, side: Side) -> Decimal:
    """The price so many basis points from the mid, on the taker's worse side."""
    share = max_slippage_bps / BPS
    return mid_price * (1 + share if side is Side.BUY else 1 - share)
