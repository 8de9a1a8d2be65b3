"""What is played for the request budget: markets without a fault, busy and calm."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.budget_count import Minute, minutes
from bench.budget_gate import CountingGate
from bench.budget_world import STILL, FairWorld, Mood

PAIRS = 60
START_SECONDS = 300.0
HOUR_SECONDS = 3600.0
BUSY = Mood(tide=0.02, tide_seconds=1500.0, spread_seconds=300.0, ripple=0.0004)
"""Prices of all pairs go 2 % up and 2 % down from their middle together every 25 minutes, and each a little
by itself: some 600 orders within the hour."""
_THIN_SECONDS, _HALT_SECONDS = 900.0, 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A world, and from when to when it is counted."""

    world: FairWorld
    begins: float
    ends: float

    @property
    def gate(self) -> CountingGate:
        return self.world.gate

    def minutes(self) -> list[Minute]:
        return minutes(self.gate.requests, self.begins, self.ends)


def busy_hour(seconds: float = HOUR_SECONDS) -> Scene:
    """After a start: an hour of tides. All the time one pair finds no seller for some minutes, so that its
    buy goes stale, and one is halted."""
    world = FairWorld(1, PAIRS, BUSY)
    symbols = list(world.market.prices)
    for number, at in enumerate(range(400, int(START_SECONDS + seconds), 450)):
        _thin(world, symbols[number % PAIRS], float(at))
        _halt(world, symbols[-1 - number % PAIRS], float(at))
    return _played(world, START_SECONDS, START_SECONDS + seconds)


def _thin(world: FairWorld, symbol: str, at: float) -> None:
    def begin() -> None:
        fault = world.engine.faults.add("fill.none", 1_000_000, {}, symbol)
        world.hub.after(_THIN_SECONDS, lambda: world.engine.faults.remove(fault))

    world.hub.at(at, begin)


def _halt(world: FairWorld, symbol: str, at: float) -> None:
    def turn(tradable: bool) -> Callable[[], None]:
        return lambda: setattr(world.engine.pairs[symbol], "tradable", tradable)

    world.hub.at(at, turn(False))
    world.hub.at(at + _HALT_SECONDS, turn(True))


def calm() -> Scene:
    """Nothing moves: every pair holds coins and waits. Two runs of the checker."""
    return _played(FairWorld(1, PAIRS, STILL, quote_seconds=10.0), START_SECONDS - 60, START_SECONDS + 360)


def resting() -> Scene:
    """Every pair has a buy in the book that nobody fills, and nobody cancels."""
    world = FairWorld(1, PAIRS, STILL, quote_seconds=10.0)
    world.let_buys_rest()
    world.engine.faults.add("fill.none", 1_000_000_000, {}, None)
    return _played(world, START_SECONDS - 60, START_SECONDS + 360)


def stale() -> Scene:
    """The same, and five minutes later all of them are too old within the same minute."""
    world = FairWorld(1, PAIRS, STILL, quote_seconds=10.0)
    world.engine.faults.add("fill.none", 1_000_000_000, {}, None)
    return _played(world, START_SECONDS, START_SECONDS + 480)


def _played(world: FairWorld, begins: float, ends: float) -> Scene:
    try:
        world.begin()
        world.run(ends)
    finally:
        world.close()
    if world.violations:
        raise AssertionError(f"the simulation found: {world.violations[0]}")
    return Scene(world=world, begins=begins, ends=ends)


def jump(percent: int) -> Scene:
    """Every pair waits with coins in hand, and from one quote to the next all prices are others."""
    world = FairWorld(1, PAIRS, STILL)
    world.hub.at(START_SECONDS + 120, lambda: world.tidal.jump_all(percent))
    return _played(world, START_SECONDS + 60, START_SECONDS + 240)
