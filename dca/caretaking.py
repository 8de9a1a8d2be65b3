"""What the cron scripts conclude from a look at the books. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from dca.model import Order, OrderState, Side


def stale_buys(orders: Iterable[Order], now: datetime, limit: timedelta) -> list[Order]:
    """Live buys that have been open longer than `limit`, the ones already asked to cancel among them.

    An order whose answer is not known yet (SENT) is no candidate: it has to be settled first.
    """
    known = {OrderState.ACKED, OrderState.CANCEL_REQUESTED}
    return [
        order
        for order in orders
        if order.side is Side.BUY and order.state in known and now - order.created_at > limit
    ]
