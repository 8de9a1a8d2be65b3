"""All at once: sixty pairs reach their price in the same second, and every answer takes its time."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

from bench import orders_programs, orders_seed
from bench.ground import Ground
from bench.orders_exchange import Exchange, Order
from bench.orders_seed import NO_SALE, SALE, Seed

PAIRS = 60
ANSWER_SECONDS = 0.2
RATE_LIMIT = 200
"""Requests a minute that Alpaca takes of an account (alpaca.md 2.7)."""
LIMITS = {"MAX_ORDERS_PER_MINUTE": "4", "MAX_ORDERS_PER_HOUR": "60", "MAX_REQUESTS_PER_MINUTE": "130"}
"""The bot's own, as they are by default."""
_AGAIN_SECONDS = 0.25
_FILL_SECONDS = 0.01
_REST_SECONDS = 3.0
"""After the start, so that its requests are answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """`seconds`: from the first quote to each POST, in order. `most_in_a_minute`: requests to the trading
    host within any minute. `refused`: of these, answered with 429."""

    seconds: list[float]
    most_in_a_minute: int
    refused: int
    requests: dict[str, int]


async def burst(ground: Ground, *, sells: bool, patience_seconds: float, after_seconds: float) -> Burst:
    """Let all pairs reach their safety order's price, or their take-profit, and count; requests until
    `after_seconds` after the last POST."""
    seed = Seed(symbols=orders_seed.symbols(PAIRS), take_profit_percent=SALE if sells else NO_SALE)
    async with _trading(ground, "burst_sells" if sells else "burst_buys", seed) as exchange:
        await asyncio.sleep(_REST_SECONDS)
        before = len(exchange.requests)
        started_ns = time.monotonic_ns()
        orders = await _all_posts(exchange, 104.0 if sells else 98.9, patience_seconds)
        await asyncio.sleep(after_seconds)
        after = exchange.requests[before:]
    kinds = [what.replace("/v2/", "").split("/C")[0] for _, what in after]
    return Burst(
        seconds=[(order.received_ns - started_ns) / 1e9 for order in orders],
        most_in_a_minute=_most_in_a_minute([at for at, _ in exchange.requests]),
        refused=exchange.refused,
        requests={kind: kinds.count(kind) for kind in sorted(set(kinds))},
    )


@asynccontextmanager
async def _trading(ground: Ground, name: str, seed: Seed) -> AsyncIterator[Exchange]:
    database = ground.database(name)
    exchange = Exchange(seed.symbols, delay_seconds=ANSWER_SECONDS, rate_limit=RATE_LIMIT)
    exchange.coins.update(orders_seed.plant(database, seed))
    await exchange.open()
    try:
        async with orders_programs.main_app(ground.bot_env(database, exchange.urls, **LIMITS), exchange):
            yield exchange
    finally:
        exchange.close()


async def _all_posts(exchange: Exchange, price: float, patience_seconds: float) -> list[Order]:
    """Quote the price of every pair at once, and again until its order is there; each is filled as soon as
    it is answered."""
    waiting, orders = set(exchange.prices), []
    deadline = time.monotonic() + patience_seconds
    for symbol in exchange.prices:
        exchange.quote(symbol, price)
    while waiting and time.monotonic() < deadline:
        try:
            async with asyncio.timeout(_AGAIN_SECONDS):
                order = await exchange.posted.get()
        except TimeoutError:
            exchange.repeat(sorted(waiting))
            continue
        waiting.discard(order.symbol)
        orders.append(order)
        asyncio.get_running_loop().call_later(
            ANSWER_SECONDS + _FILL_SECONDS, exchange.fill, order, Decimal(repr(price))
        )
    return orders


def _most_in_a_minute(times_ns: list[int]) -> int:
    return max(sum(at <= other < at + 60_000_000_000 for other in times_ns) for at in times_ns)
