"""Fills that the order stream does not tell: how long until they are in the ledger all the same."""

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal

from bench import orders_latency
from bench.orders_exchange import Order
from bench.orders_latency import Side

_APART_SECONDS = 0.25
"""Between two fills: twenty of them are spread over a whole round of settling."""
_PATIENCE_SECONDS = 30.0


async def mute(side: Side, symbols: Sequence[str]) -> list[float]:
    """The stream is open and says nothing. Returns seconds from each fill to its row."""
    side.exchange.mute = True
    try:
        return await _fill(side, await _orders(side, symbols))
    finally:
        side.exchange.mute = False


async def refused(side: Side, symbols: Sequence[str]) -> list[float]:
    """The stream breaks, and cannot be opened again. Returns seconds from each fill to its row."""
    side.exchange.refuse_stream = True
    side.exchange.drop_order_stream()
    try:
        return await _fill(side, await _orders(side, symbols))
    finally:
        side.exchange.refuse_stream = False


async def _orders(side: Side, symbols: Sequence[str]) -> list[Order]:
    """A safety order of each pair, answered and not filled."""
    found = []
    for symbol in symbols:
        price = orders_latency.next_level(side, symbol)
        _, order = await orders_latency.order_on(side, symbol, price)
        await side.eye.see(order, orders_latency.STATE, "acked", _PATIENCE_SECONDS)
        found.append(order)
    return found


async def _fill(side: Side, orders: Sequence[Order]) -> list[float]:
    filled: dict[str, tuple[Order, float]] = {}
    booked: list[float] = []
    started, waiting = time.monotonic(), list(orders)
    while waiting or filled:
        now = time.monotonic()
        if now > started + _PATIENCE_SECONDS:
            raise TimeoutError(f"not booked: {', '.join(filled)}")
        if waiting and now - started >= _APART_SECONDS * (len(orders) - len(waiting)):
            order = waiting.pop()
            side.exchange.fill(order, Decimal(repr(side.exchange.prices[order.symbol])))
            filled[order.client_order_id] = order, now
        for name, (order, at) in list(filled.items()):
            if side.eye.row(order)[orders_latency.FILLED] == order.qty:
                booked.append(time.monotonic() - at)
                del filled[name]
        await asyncio.sleep(0.01)
    return booked
