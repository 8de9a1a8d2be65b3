"""An order as it travels: what the bot sends, and what an exchange may make of it."""

import random
from decimal import Decimal
from typing import Any

from dca.core.model import Order, plain
from paper_exchange.values import STEP

GATEWAY_PAGE = "<html><head><title>403 Forbidden</title></head><body>Request blocked.</body></html>"
"""What some gateway before the exchange says of a request that it has passed on."""


def body_of(order: Order) -> dict[str, Any]:
    """As dca/exchange/rest_client.py sends it."""
    body: dict[str, Any] = {
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.order_type.value,
        "time_in_force": order.time_in_force,
        "qty": plain(order.qty),
        "client_order_id": order.client_order_id,
    }
    if order.limit_price is not None:
        body["limit_price"] = plain(order.limit_price)
    return body


def changes(order: Order, rng: random.Random) -> dict[str, str]:
    """Another price or quantity. Never more than is offered: what is not there to be sold is refused."""
    less = {"qty": plain(order.qty - STEP)}
    if order.limit_price is None:
        return less
    prices = [order.limit_price * factor for factor in (Decimal("0.98"), Decimal("1.02"))]
    limits = [{"limit_price": plain(price.quantize(STEP))} for price in prices]
    return rng.choice([less, {"qty": plain(order.qty + STEP)}, *limits])
