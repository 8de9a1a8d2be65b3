"""Seven lives of a cycle, each the same every time: crashes and single faults are tried on them, place by
place."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from dca.core.selling import AT_MARKET, Selling, TakeProfitOrder
from paper_exchange.depth import Depth, SeededShape
from proof.simulation.acts import Acts
from proof.simulation.market import Mood
from proof.simulation.oracle import Violation
from proof.simulation.plan import Step
from proof.simulation.run import heal
from proof.simulation.stores import MemoryDatabase
from proof.simulation.world import AssetRow, DatabaseMaker, World

SYMBOL = "BTC/USD"
ROUND_SECONDS = 45.0
"""Long enough for each caretaker to have come by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """`prices`: (second, price) as the market moves; `steps`: what else happens."""

    name: str
    prices: tuple[tuple[float, str], ...]
    steps: tuple[Step, ...] = ()
    seconds: float
    safety_orders: int = 2
    selling: Selling = AT_MARKET
    level_dollars: float | None = None
    """Of an order book with depth; None: any size is filled at the best price."""


def _fault(at: float, kind: str, **args: object) -> Step:
    return Step(at=at, kind=kind, symbol=SYMBOL, args=dict(args))


LIFECYCLES: tuple[Lifecycle, ...] = (
    Lifecycle(name="happy", prices=((0, "100"), (7, "98.6"), (13, "102")), seconds=30),
    Lifecycle(
        name="partial",
        prices=((0, "100"), (9, "98.6"), (17, "102")),
        steps=(_fault(0.5, "fill.partial", count=1), _fault(8, "fill.partial", count=1)),
        seconds=34,
    ),
    Lifecycle(
        name="cancel",
        prices=((0, "100"), (5, "101"), (34, "104")),
        steps=(_fault(0.5, "fill.none", seconds=16),),
        seconds=46,
    ),
    Lifecycle(
        name="reject",
        prices=((0, "100"), (7, "102")),
        steps=(_fault(6, "submit.reject", count=1),),
        seconds=30,
    ),
    Lifecycle(
        name="take-profit while a safety buy is live",
        prices=((0, "100"), (7, "98.6"), (11, "103")),
        steps=(_fault(6, "fill.none", seconds=9),),
        seconds=30,
    ),
    Lifecycle(
        name="gap through levels",
        prices=((0, "100"), (7, "94"), (19, "98.5")),
        seconds=36,
        safety_orders=3,
    ),
    Lifecycle(
        name="sold in parts on a thin book",
        prices=((0, "100"), (9, "101.045"), (22, "102")),
        seconds=40,
        safety_orders=0,
        selling=Selling(order=TakeProfitOrder.LIMIT_IOC),
        level_dollars=8.0,
    ),
)
BY_NAME = {each.name: each for each in LIFECYCLES}


@dataclass(slots=True)
class Passed:
    """What a lifecycle went through: the places where something can happen, and what was found."""

    boundaries: list[str]
    calls: list[str]
    statements: list[str]
    crashed_at: list[int] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    cycles: int = 0
    lines: list[str] = field(default_factory=list)
    recovered_by: int = 0
    """Boundaries passed when the first restart had been up for a while."""


Setting = Callable[[World], None]


def live(
    life: Lifecycle,
    prepare: Setting,
    database: DatabaseMaker = MemoryDatabase,
    *,
    and_heal: bool = True,
) -> Passed:
    """Live it, with what `prepare` arms at numbered places; then heal and count the money."""
    depth = None if life.level_dollars is None else Depth(SeededShape(1, life.level_dollars))
    world = World(
        1,
        [_asset(life)],
        {SYMBOL: Decimal(100)},
        database,
        partial_percent=0,
        selling=life.selling,
        depth=depth,
    )
    world.settings = replace(world.settings, stale_order_limit=timedelta(seconds=12))
    world.market.mood = Mood.STILL
    world.restart_after = lambda: 2.0
    acts = Acts(world)
    try:
        for at, price in life.prices:
            world.hub.at(at, _moving(world, Decimal(price)))
        for step in life.steps:
            world.hub.at(step.at, acts.doing(step))
        prepare(world)
        world.weather.counting = True
        world.begin()
        world.run(life.seconds)
        world.weather.counting = False
        passed = Passed(
            boundaries=world.weather.boundaries,
            calls=world.weather.calls,
            statements=world.weather.statements,
        )
        if and_heal and not world.violations:
            heal(world, acts, ROUND_SECONDS)
    finally:
        world.close()
    passed.violations = list(world.violations)
    passed.lines = list(world.log.lines)
    passed.cycles = sum(each.status == "complete" for each in world.tables().cycles.values())
    return passed


def _moving(world: World, price: Decimal) -> Callable[[], None]:
    def move() -> None:
        world.market.prices[SYMBOL] = price

    return move


def _asset(life: Lifecycle) -> AssetRow:
    return {
        "asset_symbol": SYMBOL,
        "is_enabled": True,
        "base_order_amount": Decimal(20),
        "safety_order_amount": Decimal(20),
        "max_safety_orders": life.safety_orders,
        "safety_order_deviation": Decimal(1),
        "take_profit_percent": Decimal(1),
        "cooldown_period": 5,
        "buy_order_price_deviation_percent": Decimal(2),
    }
