"""One seed: faults on, with class S after every step; then faults off, and class Q and T."""

import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from dca.core.model import CycleStatus
from dca.core.selling import AT_MARKET, OnMissingBook, Selling, TakeProfitBy, TakeProfitOrder
from paper_exchange.depth import Depth, SeededShape
from proof.simulation.acts import Acts
from proof.simulation.market import Mood
from proof.simulation.oracle import Violation
from proof.simulation.plan import FAULTS_SECONDS, Step, draw
from proof.simulation.rest import audit
from proof.simulation.stores import MemoryDatabase
from proof.simulation.world import AssetRow, DatabaseMaker, World

PRICES = {"BTC/USD": Decimal(100), "ETH/USD": Decimal("3.7"), "DOGE/USD": Decimal("0.02")}
THIN_SHARE = 0.33
LARGE = 150_000
"""Dollars: two buys of it are more than the exchange takes in one order."""
SETTLE_SECONDS = 240.0
CHECKED_TWICE_SECONDS = 100.0
CYCLE_SECONDS = 900.0


@dataclass(slots=True)
class Outcome:
    """What a seed came to."""

    seed: int
    steps: list[Step]
    violations: list[Violation]
    happened: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    cycles: int = 0
    orders: int = 0
    virtual_seconds: float = 0.0
    lines: list[str] = field(default_factory=list)


def assets_of(rng: random.Random) -> list[AssetRow]:
    """One to three rows of dca_assets."""
    symbols = rng.sample(list(PRICES), rng.choice((1, 2, 3)))
    return [
        {
            "asset_symbol": symbol,
            "is_enabled": True,
            "base_order_amount": Decimal(rng.choice((15, 15, 20, 20, 50, 50, LARGE))),
            "safety_order_amount": Decimal(rng.choice((15, 15, 15, 30, 30, 30, LARGE))),
            "max_safety_orders": rng.randint(0, 4),
            "safety_order_deviation": Decimal(str(rng.choice((0.5, 1.0, 2.0)))),
            "take_profit_percent": Decimal(str(rng.choice((0.6, 1.0, 2.0)))),
            "cooldown_period": rng.choice((5, 30, 90)),
            "buy_order_price_deviation_percent": Decimal(str(rng.choice((0.5, 3.0)))),
        }
        for symbol in symbols
    ]


def world_of(seed: int, database: DatabaseMaker = MemoryDatabase) -> World:
    rng = random.Random(f"assets {seed}")  # noqa: S311 - reproducible, not secret
    assets = assets_of(rng)
    prices = {row["asset_symbol"]: PRICES[row["asset_symbol"]] for row in assets}
    selling, depth = execution_of(seed, assets)
    partial_percent = rng.choice((0, 10, 40))
    return World(
        seed, assets, prices, database, partial_percent=partial_percent, selling=selling, depth=depth
    )


def execution_of(seed: int, assets: list[AssetRow]) -> tuple[Selling, Depth | None]:
    """In a third of the seeds an order book with depth, often a thin one, and any way to take profits."""
    worst = max(
        row["base_order_amount"] + row["max_safety_orders"] * row["safety_order_amount"] for row in assets
    )
    rng = random.Random(f"execution {seed}")  # noqa: S311 - reproducible, not secret
    if rng.random() > THIN_SHARE:
        return AT_MARKET, None
    selling = Selling(
        by=rng.choice(list(TakeProfitBy)),
        order=rng.choice(list(TakeProfitOrder)),
        max_slippage_bps=Decimal(rng.choice((0, 0, 10, 100))),
        on_missing_book=rng.choice(list(OnMissingBook)),
    )
    return selling, Depth(SeededShape(seed, level_dollars=float(worst) * rng.choice((0.5, 1.0, 4.0))))


def run_seed(seed: int, steps: list[Step] | None = None, database: DatabaseMaker = MemoryDatabase) -> Outcome:
    """Run a seed, with its own steps or with these of them."""
    world = world_of(seed, database)
    if steps is None:
        steps = draw(seed, list(world.market.prices))
    try:
        acts = Acts(world)
        for step in steps:
            world.hub.at(step.at, acts.doing(step))
        world.weather.counting = True
        world.begin()
        world.run(FAULTS_SECONDS)
        world.weather.counting = False
        if not world.violations:
            heal(world, acts)
    finally:
        world.close()
    return _outcome(world, steps)


def _outcome(world: World, steps: list[Step]) -> Outcome:
    tables = world.tables()
    return Outcome(
        seed=world.seed,
        steps=steps,
        violations=list(world.violations),
        happened=world.weather.happened,
        told=world.log.told,
        cycles=sum(each.status is CycleStatus.COMPLETE for each in tables.cycles.values()),
        orders=len(tables.orders),
        virtual_seconds=world.hub.seconds,
        lines=list(world.log.lines),
    )


def heal(world: World, acts: Acts, round_seconds: float = CHECKED_TWICE_SECONDS) -> None:
    """Faults off: everything has to come to rest, agree, trade again, and end with the money counted.

    `round_seconds`: how long the caretakers get to find what is wrong.
    """
    acts.put_right()
    world.market.mood = Mood.STILL
    if not world.run(SETTLE_SECONDS, lambda: not world.in_flight()) and not world.violations:
        world.oracle.broken("I20", f"still in flight after {SETTLE_SECONDS:.0f} s without faults")
    world.person.accept_all(world.hub.now())
    world.run(round_seconds)
    _audit(world)
    if not world.violations:
        _trade_again(world)
    if not world.violations:
        _sell_out(world, round_seconds)


def _audit(world: World) -> None:
    world.run(SETTLE_SECONDS, world.at_rest)
    if world.violations:
        return
    world.engine.advance(world.hub.now())
    edited = world.person.edited_assets or world.person.wished or world.person.edited_cycles
    ends = world.oracle.cooldown_ends
    stepped = world.weather.happened["clock.step"] > 0
    for number, text in audit(world.tables(), world.engine, ends, edited=edited, clock_stepped=stepped):
        world.oracle.broken(number, f"at rest: {text}")


def _trade_again(world: World) -> None:
    """I21: every asset completes a cycle once the price rises, and none stays locked without a reason."""
    before = _complete(world)
    world.market.mood = Mood.RISE

    def all_traded() -> bool:
        now = _complete(world)
        return all(now[each] > before[each] for each in world.tables().assets)

    if not world.run(CYCLE_SECONDS, all_traded) and not world.violations:
        now = _complete(world)
        stuck = [each for key, each in world.tables().assets.items() if now[key] <= before[key]]
        for asset in stuck:
            why = asset.lock_reason or _live(world, asset.id)
            world.oracle.broken("I21", f"{asset.asset_symbol} completed no cycle in a rising market: {why}")


def _live(world: World, asset_id: int) -> str:
    tables = world.tables()
    number = tables.live_cycle.get(asset_id)
    return "no live cycle" if number is None else str(tables.cycles[number])


def _complete(world: World) -> Counter[int]:
    cycles = world.tables().cycles.values()
    return Counter(each.asset_id for each in cycles if each.status is CycleStatus.COMPLETE)


def _sell_out(world: World, round_seconds: float) -> None:
    """No more buys: what is held is sold, and the money adds up."""
    world.person.disable_all()

    def flat() -> bool:
        if world.in_flight():
            return False
        tables = world.tables()
        live = [tables.cycles[number] for number in tables.live_cycle.values()]
        return all(not _sellable(world, cycle.asset_id, cycle.quantity) for cycle in live)

    if not world.run(CYCLE_SECONDS, flat) and not world.violations:
        world.oracle.broken("I21", "not everything was sold in a rising market")
    world.market.mood = Mood.STILL
    world.run(round_seconds)
    _audit(world)


def _sellable(world: World, asset_id: int, quantity: Decimal) -> bool:
    symbol = world.tables().assets[asset_id].asset_symbol
    return quantity >= world.engine.pairs[symbol].min_order_size
