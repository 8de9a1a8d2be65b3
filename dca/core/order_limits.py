"""The order-rate fuse: what no strategy wants and no market asks for is a bug of ours, and waits here (F54).

Pure. What it judges comes from the ledger's rows in the transaction of a claim (order_rate.py). However fast
a market falls, each step down a ladder is wanted once: an order that filled is never counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from dca.core.model import ZERO, Asset, Order, Purpose, Side, plain

NAME = "order-rate fuse"
"""How the reason begins of a pause or a kill switch that it made."""
SELLS_FACTOR = 4
"""A sell is never kept back for what is bought, and not before an asset has had so many times its limit."""
ASSETS_BEYOND_DOUBT = 3
"""So many assets held back at once: it is no pair's odd market, it is the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuse:
    """How many orders of one asset may be placed in vain within a minute, and within an hour."""

    per_minute: int
    per_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """How many orders of an asset were placed before the one that is to be judged, since the kill switch was
    last turned: all of them, or those in vain."""

    in_a_minute: int
    in_an_hour: int


def reached(fuse: Fuse, side: Side, placed: Placed) -> bool:
    """Whether so many orders are too many, if they were placed in vain."""
    factor = SELLS_FACTOR if side is Side.SELL else 1
    of_the_hour = side is Side.BUY and placed.in_an_hour >= fuse.per_hour
    return of_the_hour or placed.in_a_minute >= fuse.per_minute * factor


def blown(fuse: Fuse, symbol: str, side: Side, in_vain: Placed) -> str | None:
    """Say why one more order would be too many; None if it would not. In vain are orders of which nothing was
    filled: an order that rests is canceled after minutes, and one that is refused is followed by a pause."""
    if not reached(fuse, side, in_vain):
        return None
    many, span = f"{in_vain.in_a_minute} orders of {symbol}", f"MAX_ORDERS_PER_MINUTE={fuse.per_minute}"
    when = "a minute"
    if in_vain.in_a_minute < fuse.per_minute * (SELLS_FACTOR if side is Side.SELL else 1):
        many, span = f"{in_vain.in_an_hour} orders of {symbol}", f"MAX_ORDERS_PER_HOUR={fuse.per_hour}"
        when = "an hour"
    return f"{many} within {when} of which nothing was filled, and one more wanted ({span})"


def contradiction(
    asset: Asset, orders: Sequence[Order], purpose: Purpose, level: int, min_order_size: Decimal
) -> str | None:
    """Say why the orders of a cycle speak against one more buy of this purpose and level; None if they do
    not. They are added up here anew, without the sums that the decision was made from."""
    filled = [order for order in orders if order.filled_qty > 0]
    if purpose is Purpose.SAFETY:
        safeties = [order for order in filled if order.purpose is Purpose.SAFETY]
        same = next((order.client_order_id for order in safeties if order.level == level), None)
        if same is not None:
            return f"safety order {level} is wanted, and {same} has bought it"
        used = len(safeties) + sum(order.level for order in filled if order.purpose is Purpose.ADOPTED)
        if used >= asset.max_safety_orders:
            return f"safety order {level} is wanted, and {used} of {asset.max_safety_orders} are bought"
    if purpose is Purpose.BASE:
        bought = sum((each.filled_qty - each.fee_qty for each in filled if each.side is Side.BUY), ZERO)
        held = bought - sum((each.filled_qty for each in filled if each.side is Side.SELL), ZERO)
        if held >= min_order_size:
            return f"a base order is wanted, and the cycle's orders hold {plain(held)}"
    return None
