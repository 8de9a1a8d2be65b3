"""Tick to order and fill to ledger: main_app and the floor in turn, on one database server."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import mysql.connector

from bench import orders_programs, orders_seed
from bench.ground import Ground
from bench.orders_exchange import Exchange, Order
from bench.orders_seed import DEVIATION_PERCENT, Seed
from dca.runtime.settings import DatabaseSettings

BACKGROUND_PER_SECOND = 5000
_GAP_SECONDS = 0.025
"""Between a sample's last write and the next quote: the program is idle again."""
_LOOK_SECONDS = 0.0002
STATE, FILLED = range(2)
"""Where what is in `Eye.row`."""
_PATIENCE_SECONDS = 10.0
_FALL = 1 - float(DEVIATION_PERCENT) / 100 - 0.001


Span = tuple[int, int]
"""When a quote was sent, and when its POST had arrived."""


class Eye:
    """Sees what is committed, through a connection of its own, some five thousand times a second."""

    def __init__(self, database: DatabaseSettings) -> None:
        self._connection: Any = mysql.connector.connect(
            unix_socket=database.socket,
            user=database.user,
            password=database.password,
            database=database.name,
            autocommit=True,
        )
        self._cursor: Any = self._connection.cursor()

    def close(self) -> None:
        self._connection.close()

    def row(self, order: Order) -> tuple[Any, ...]:
        """State and filled quantity of an order, as committed."""
        self._cursor.execute(
            "SELECT state, filled_qty FROM dca_orders WHERE client_order_id = %s",
            (order.client_order_id,),
        )
        return tuple(self._cursor.fetchone() or (None, None))

    async def see(self, order: Order, column: int, value: object, patience_seconds: float) -> int:
        """Look until a column of `row` says so; returns when that was seen.

        Raises:
            TimeoutError: it never did.
        """
        return await asyncio.to_thread(self._see, order, column, value, patience_seconds)

    def _see(self, order: Order, column: int, value: object, patience_seconds: float) -> int:
        deadline = time.monotonic() + patience_seconds
        while self.row(order)[column] != value:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{order.client_order_id}: {self.row(order)}, not {value}")
            time.sleep(_LOOK_SECONDS)
        return time.monotonic_ns()

    def forget_the_hour(self) -> None:
        """Date back what has ended: the order-rate fuse counts the orders of an hour, and in an hour there
        are not as many as in a bench."""
        self._cursor.execute(
            "UPDATE dca_orders SET created_at = created_at - INTERVAL 2 HOUR"
            " WHERE state = 'done' AND created_at > UTC_TIMESTAMP() - INTERVAL 1 HOUR"
        )


@dataclass(slots=True, kw_only=True)
class Side:
    """One of the two programs, with an exchange and a database of its own. Samples are in ms."""

    exchange: Exchange
    eye: Eye
    fills: bool
    """Whether it listens to fills: the floor does not."""
    samples: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, start_ns: int, end_ns: int) -> None:
        self.samples.setdefault(name, []).append((end_ns - start_ns) / 1e6)


@asynccontextmanager
async def trading(
    ground: Ground, name: str, seed: Seed, *, is_floor: bool = False, probe: Path | None = None
) -> AsyncIterator[Side]:
    """main_app (with a stop-watch that writes to `probe`) or the floor, ready to trade."""
    database = ground.database(name)
    exchange = Exchange(seed.symbols)
    exchange.coins.update(orders_seed.plant(database, seed))
    await exchange.open()
    program = (
        orders_programs.floor(database, exchange, ground.folder, probe)
        if is_floor
        else orders_programs.main_app(ground.bot_env(database, exchange.urls), exchange, probe)
    )
    eye = Eye(database)
    try:
        async with program:
            yield Side(exchange=exchange, eye=eye, fills=not is_floor)
    finally:
        eye.close()
        exchange.close()


@asynccontextmanager
async def both(
    ground: Ground, name: str, seed: Seed, probes: tuple[Path, Path] | None = None
) -> AsyncIterator[tuple[Side, Side]]:
    """main_app and the floor, ready to trade the same pairs; with `probes` under the stop-watch."""
    first, second = probes or (None, None)
    async with (
        trading(ground, f"{name}_ours", seed, probe=first) as ours,
        trading(ground, f"{name}_floor", seed, is_floor=True, probe=second) as floor,
    ):
        yield ours, floor


async def order_on(side: Side, symbol: str, price: float) -> tuple[int, Order]:
    """Quote a price that has to bring an order; returns when it was sent, and the order."""
    sent_ns = side.exchange.quote(symbol, price)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        return sent_ns, await side.exchange.posted.get()


async def filled(side: Side, order: Order, price: float) -> None:
    """Have an order filled, and wait until that is booked and the program idle."""
    if not side.fills:
        await side.eye.see(order, FILLED, order.qty, _PATIENCE_SECONDS) if order.side == "buy" else None
    else:
        await side.eye.see(order, STATE, "acked", _PATIENCE_SECONDS)  # the POST's answer is booked
        await asyncio.sleep(_GAP_SECONDS)
        sent_ns = side.exchange.fill(order, Decimal(repr(price)))
        side.note("fill", sent_ns, await side.eye.see(order, FILLED, order.qty, _PATIENCE_SECONDS))
    await asyncio.sleep(_GAP_SECONDS)


def next_level(side: Side, symbol: str) -> float:
    """A price just below the next safety order's."""
    return round(side.exchange.prices[symbol] * _FALL, 4)


async def buy(side: Side, symbol: str, sample: str) -> Span:
    """One level down: a safety order."""
    price = next_level(side, symbol)
    sent_ns, order = await order_on(side, symbol, price)
    assert (order.symbol, order.side) == (symbol, "buy"), order
    side.note(sample, sent_ns, order.received_ns)
    await filled(side, order, price)
    return sent_ns, order.received_ns


async def sell(side: Side, symbol: str, sample: str) -> Span:
    """Up to the take-profit; then down again, where main_app buys the next base order."""
    low = side.exchange.prices[symbol]
    high = round(low * 1.04, 4)
    sent_ns, order = await order_on(side, symbol, high)
    assert (order.symbol, order.side) == (symbol, "sell"), order
    side.note(sample, sent_ns, order.received_ns)
    side.exchange.prices[symbol] = low
    await filled(side, order, high)
    if side.fills:
        _, base = await order_on(side, symbol, low)
        await filled(side, base, low)
    return sent_ns, order.received_ns


@contextlib.contextmanager
def background(exchange: Exchange, per_second: int) -> Iterator[None]:
    """Quotes of all pairs in turn at their prices of now, one a frame, while inside."""
    task = asyncio.get_running_loop().create_task(_repeat(exchange, per_second))
    try:
        yield
    finally:
        task.cancel()


async def _repeat(exchange: Exchange, per_second: int) -> None:
    symbols, started, sent = list(exchange.prices), time.monotonic(), 0
    while True:
        await asyncio.sleep(0.002)
        due = int((time.monotonic() - started) * per_second)
        due = min(due, sent + per_second // 50)  # what was missed is not made up for in one burst
        exchange.repeat([symbols[number % len(symbols)] for number in range(sent, due)])
        sent = due
        if due < int((time.monotonic() - started) * per_second):
            started = time.monotonic() - sent / per_second
