"""The bench's exchange, with the floor and with the real main_app.py on it."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from bench import orders_dead, orders_latency, orders_programs, orders_seed
from bench.orders_exchange import Exchange
from bench.orders_http import Request
from bench.orders_latency import STATE, Eye, Side
from bench.orders_seed import NO_SALE, SALE, Seed
from dca.runtime.settings import DatabaseSettings, ExchangeSettings, Venue
from tests.processes import BotProcess

SYMBOLS = orders_seed.symbols(3)


def main_app(
    folder: Path, database: DatabaseSettings, exchange: Exchange
) -> AbstractAsyncContextManager[int]:
    urls = exchange.urls
    settings = ExchangeSettings(
        key_id=urls["key_id"],
        secret_key=urls["secret_key"],
        trading_url=urls["trading"],
        data_url=urls["data"],
        trading_stream_url=urls["trading_stream"],
        data_stream_url=urls["data_stream"],
        venue=Venue.LOCAL,
    )
    return orders_programs.main_app(BotProcess(folder, settings, database).environment(), exchange)


async def opened(database: DatabaseSettings, seed: Seed) -> Exchange:
    exchange = Exchange(seed.symbols)
    exchange.coins.update(orders_seed.plant(database, seed))
    await exchange.open()
    return exchange


@pytest.mark.parametrize("sells", [False, True], ids=["buys", "sells"])
def test_the_floor_writes_before_it_posts_and_goes_on(
    database: DatabaseSettings, tmp_path: Path, *, sells: bool
) -> None:
    """Two rounds: what the first one leaves behind does not keep the second one from trading."""

    async def trade() -> None:
        exchange = await opened(
            database, Seed(symbols=SYMBOLS, take_profit_percent=SALE if sells else NO_SALE)
        )
        side = Side(exchange=exchange, eye=Eye(database), fills=False)
        action = orders_latency.sell if sells else orders_latency.buy
        async with orders_programs.floor(database, exchange, tmp_path):
            for symbol in SYMBOLS * 2:
                await action(side, symbol, "test")
        assert len(side.samples["test"]) == 6
        assert all(0 < sample < 10_000 for sample in side.samples["test"])
        posts = [what for _, what in exchange.requests if what.startswith("POST")]
        assert (len(posts), len(exchange.requests)) == (6, 12 if sells else 6)
        side.eye.close()
        exchange.close()

    asyncio.run(trade())


def test_main_app_trades_on_it_and_books_what_the_stream_does_not_tell(
    database: DatabaseSettings, tmp_path: Path
) -> None:
    """A buy costs one request before it is filled; its row is committed when the POST arrives."""

    async def trade() -> None:
        exchange = await opened(database, Seed(symbols=SYMBOLS, take_profit_percent=NO_SALE))
        side = Side(exchange=exchange, eye=Eye(database), fills=True)
        async with main_app(tmp_path, database, exchange):
            before = len(exchange.requests)
            price = orders_latency.next_level(side, SYMBOLS[0])
            _, order = await orders_latency.order_on(side, SYMBOLS[0], price)
            assert side.eye.row(order)[STATE] in ("sent", "acked")
            assert [what for _, what in exchange.requests[before:]] == ["POST /v2/orders"]
            await orders_latency.filled(side, order, price)
            assert len(side.samples["fill"]) == 1
            seconds = await orders_dead.mute(side, SYMBOLS[1:])
            assert len(seconds) == 2 and max(seconds) < 12
        side.eye.close()
        exchange.close()

    asyncio.run(trade())


def test_an_exchange_that_refuses_too_many_requests() -> None:
    """Its headers say what is left, as Alpaca's do, and at the limit it answers 429."""
    exchange = Exchange(SYMBOLS, rate_limit=3)

    def ask() -> tuple[int, str]:
        request = Request(
            method="GET", path="/v2/account", query={}, body=b"", received_ns=time.monotonic_ns()
        )
        response, _ = exchange._answer(request)
        return response.status, dict(response.headers)["X-RateLimit-Remaining"]

    assert [ask() for _ in range(4)] == [(200, "2"), (200, "1"), (200, "0"), (429, "0")]
    assert exchange.refused == 1
