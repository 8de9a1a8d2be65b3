"""From a quote to its order and from a fill to its row: what the bot needs beyond the floor."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from bench import orders_burst, orders_dead, orders_latency, orders_seed
from bench.ground import Ground
from bench.orders_burst import Burst
from bench.orders_latency import BACKGROUND_PER_SECOND, Side, Span
from bench.orders_seed import NO_SALE, SALE, Seed
from bench.row import Row, median, percentile

P50_RATIO, P99_RATIO = 1.3, 2.0
P99_MS, FILL_P99_MS, DEAD_SECONDS, BURST_SECONDS = 12.0, 10.0, 12.0, 3.0
_CALM = 3.0
"""Where the floor's own p99 is so many times its median, the machine is too busy to judge a p99."""
_SETTLED_SECONDS = 0.3
_TURN = 10
"""Orders before it is the other program's turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How much is measured: samples a round and program, rounds, pairs for a dead stream; how long sixty
    orders are waited for, and how long requests are counted on after them."""

    samples: int
    rounds: int
    sell_rounds: int
    dead: int
    burst_seconds: float
    after_seconds: float


NORMAL = Length(samples=60, rounds=5, sell_rounds=3, dead=20, burst_seconds=20, after_seconds=10)
QUICK = Length(samples=20, rounds=1, sell_rounds=1, dead=3, burst_seconds=5, after_seconds=1)


def rows(ground: Ground, *, quick: bool) -> list[Row]:
    """All rows of this part."""
    return asyncio.run(_rows(ground, QUICK if quick else NORMAL, judged=not quick))


async def _rows(ground: Ground, length: Length, *, judged: bool) -> list[Row]:
    return [
        *await _buys(ground, length, judged=judged),
        await _sells(ground, length, judged=judged),
        await _burst(ground, length, judged=judged, sells=False),
        await _burst(ground, length, judged=judged, sells=True),
    ]


async def _buys(ground: Ground, length: Length, *, judged: bool) -> list[Row]:
    seed = Seed(symbols=orders_seed.symbols(60), take_profit_percent=NO_SALE)
    async with orders_latency.both(ground, "buys", seed) as sides:
        await _warm_up(sides, seed.symbols)
        for _ in range(length.rounds):
            for side, symbols in _turns(sides, seed.symbols[: length.samples]):
                await _round(side, orders_latency.buy, symbols, "quiet")
            for side, symbols in _turns(sides, seed.symbols[: length.samples]):
                with orders_latency.background(side.exchange, BACKGROUND_PER_SECOND):
                    await asyncio.sleep(_SETTLED_SECONDS)
                    await _round(side, orders_latency.buy, symbols, "busy")
        ours, floor = sides
        crowd = f"with {len(seed.symbols)} symbols at {BACKGROUND_PER_SECOND:,} quotes/s"
        found = [
            _latency("tick to order, safety buy, quiet", "quiet", ours, floor, judged=judged),
            _latency(f"tick to order, safety buy, {crowd}", "busy", ours, floor, judged=judged),
            _fills(ours.samples["fill"], calm=is_calm(floor.samples["quiet"]), judged=judged),
        ]
        for how in (orders_dead.mute, orders_dead.refused):
            found.append(_dead(how.__name__, await how(ours, seed.symbols[: length.dead]), judged=judged))
        return found


def _turns(sides: Sequence[Side], symbols: Sequence[str]) -> Iterator[tuple[Side, Sequence[str]]]:
    """main_app, the floor, main_app ...: what else the machine does in a second falls on both."""
    for first in range(0, len(symbols), _TURN):
        for side in sides:
            yield side, symbols[first : first + _TURN]


async def _warm_up(sides: Sequence[Side], symbols: Sequence[str]) -> None:
    """The first orders open connections, to the database and to the exchange."""
    for side in sides:
        await _round(side, orders_latency.buy, symbols[:16], "warm")
        side.samples.clear()


async def _round(
    side: Side, action: Callable[[Side, str, str], Awaitable[Span]], symbols: Sequence[str], sample: str
) -> None:
    side.eye.forget_the_hour()
    for symbol in symbols:
        await action(side, symbol, sample)


async def _sells(ground: Ground, length: Length, *, judged: bool) -> Row:
    seed = Seed(symbols=orders_seed.symbols(60), take_profit_percent=SALE)
    async with orders_latency.both(ground, "sells", seed) as sides:
        for side in sides:
            await _round(side, orders_latency.sell, seed.symbols[:8], "warm")
        for _ in range(length.sell_rounds):
            for side, symbols in _turns(sides, seed.symbols[: length.samples]):
                await _round(side, orders_latency.sell, symbols, "quiet")
    return _latency("tick to order, take-profit sell, quiet", "quiet", *sides, judged=judged)


def _latency(name: str, sample: str, ours: Side, floor: Side, *, judged: bool) -> Row:
    mine, least = ours.samples[sample], floor.samples[sample]
    return Row(
        part="orders",
        name=name,
        unit="ms",
        ours=median(mine),
        ours_p99=percentile(mine, 99),
        floor=median(least),
        floor_p99=percentile(least, 99),
        goal=f"p50 <= {P50_RATIO} and p99 <= {P99_RATIO:.0f} times the floor, p99 <= {P99_MS:.0f} ms",
        met=verdict(mine, least) if judged else None,
        about=f"quote sent to POST received, {len(mine)} orders of main_app and {len(least)} of the floor",
    )


def verdict(ours: Sequence[float], floor: Sequence[float]) -> bool | None:
    """Whether the goal is met. A p99 is judged only where the floor's own is one of a calm machine, and the
    milliseconds only where the floor itself needs less."""
    if median(ours) > P50_RATIO * median(floor):
        return False
    worst, floors_worst = percentile(ours, 99), percentile(floor, 99)
    if not is_calm(floor):
        return None
    return worst <= P99_RATIO * floors_worst and (worst <= P99_MS or floors_worst > P99_MS)


def is_calm(floor: Sequence[float]) -> bool:
    """Whether the machine left the floor alone."""
    return percentile(floor, 99) <= _CALM * median(floor)


def _fills(samples: Sequence[float], *, calm: bool, judged: bool) -> Row:
    worst = percentile(samples, 99)
    return Row(
        part="orders",
        name="fill to ledger",
        unit="ms",
        ours=median(samples),
        ours_p99=worst,
        goal=f"p99 < {FILL_P99_MS:.0f} ms",
        met=(worst < FILL_P99_MS or (False if calm else None)) if judged else None,
        about=f"fill sent to row committed, {len(samples)} buys; looked for every 0.2 ms: up to 0.5 ms late",
    )


def _dead(how: str, seconds: Sequence[float], *, judged: bool) -> Row:
    return Row(
        part="orders",
        name=f"fill to ledger, order stream {how}",
        unit="s",
        ours=median(seconds),
        ours_p99=max(seconds),
        goal=f"below {DEAD_SECONDS:.0f} s",
        met=max(seconds) < DEAD_SECONDS if judged else None,
        about=f"{len(seconds)} fills spread over one round of settling; the second figure is the longest",
    )


async def _burst(ground: Ground, length: Length, *, judged: bool, sells: bool) -> Row:
    burst = await orders_burst.burst(
        ground, sells=sells, patience_seconds=length.burst_seconds, after_seconds=length.after_seconds
    )
    return _burst_row(burst, length, judged=judged, sells=sells)


def _burst_row(burst: Burst, length: Length, *, judged: bool, sells: bool) -> Row:
    everything = len(burst.seconds) == orders_burst.PAIRS
    last = max(burst.seconds) if everything else length.burst_seconds
    in_time = sum(each <= BURST_SECONDS for each in burst.seconds)
    limit = orders_burst.RATE_LIMIT
    within = burst.most_in_a_minute <= limit and burst.refused == 0
    return Row(
        part="orders",
        name=f"all at once, {orders_burst.PAIRS} {'take-profit sells' if sells else 'safety buys'}",
        unit="s",
        ours=last,
        goal=f"last POST <= {BURST_SECONDS:.0f} s, <= {limit} requests a minute",
        met=everything and last <= BURST_SECONDS and within if judged else None,
        about=(
            f"answers take {orders_burst.ANSWER_SECONDS * 1000:.0f} ms; {in_time} POSTs within"
            f" {BURST_SECONDS:.0f} s, {len(burst.seconds)} in all; at most {burst.most_in_a_minute} requests"
            f" in a minute, {burst.refused} answered with 429; {burst.requests}"
        ),
    )
