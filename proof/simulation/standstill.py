"""I32: a sale that is due and does not come about for minutes is told of, whatever the cause.

Judged by the exchange's own prices and the committed rows: what main_app hears and thinks is what is tested.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from dca.core.model import HUNDRED, Asset, Cycle, CycleStatus, Mode
from paper_exchange.engine import Engine
from proof.simulation.hub import Hub
from proof.simulation.oracle import Oracle
from proof.simulation.scripts import MainApp
from proof.simulation.tables import Tables

LOOK_SECONDS = 5.0
PATIENCE_SECONDS = 100.0
"""So long it must have been due without a break before main_app has to know of it."""
CLEARLY = Decimal("1.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    main: int
    cycle: int
    since: float


class World(Protocol):
    """What is looked at."""

    hub: Hub
    engine: Engine
    oracle: Oracle

    def tables(self) -> Tables: ...

    def living(self) -> list[MainApp]: ...


class Standstill:
    """Looks every few seconds, as long as faults are on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: dict[int, _Due] = {}
        self.seen = 0
        """How often something was due for so long."""

    def looking(self) -> Callable[[], None]:
        def look() -> None:
            for asset in self._world.tables().assets.values():
                self._look_at(asset)
            self._world.hub.after(LOOK_SECONDS, look)

        return look

    def _look_at(self, asset: Asset) -> None:
        world = self._world
        tables, living = world.tables(), world.living()
        number = tables.live_cycle.get(asset.id)
        cycle = None if number is None else tables.cycles[number]
        main = living[0] if len(living) == 1 else None
        if (
            cycle is None
            or main is None
            or not self._is_due(asset, cycle)
            or not _hears(main, world.hub.seconds)
        ):
            self._due.pop(asset.id, None)
            return
        before = self._due.get(asset.id)
        if before is None or (before.main, before.cycle) != (id(main), cycle.id):
            self._due[asset.id] = _Due(main=id(main), cycle=cycle.id, since=world.hub.seconds)
            return
        if world.hub.seconds - before.since >= PATIENCE_SECONDS:
            self.seen += 1
            if asset.asset_symbol not in {each.symbol for each in main.delays()}:
                text = f"{asset.asset_symbol} is to be sold for {PATIENCE_SECONDS:.0f} s, and nobody is told"
                world.oracle.broken("I32", text)

    def _is_due(self, asset: Asset, cycle: Cycle) -> bool:
        """The bid is clearly above the take-profit, and nothing keeps it from selling that is told anyhow."""
        world = self._world
        rules, quote = world.engine.pairs[asset.asset_symbol], world.engine.quotes[asset.asset_symbol]
        if cycle.status is not CycleStatus.WATCHING or cycle.quantity < rules.min_order_size:
            return False
        if asset.lock_reason is not None or world.tables().control.mode is Mode.HALT:
            return False
        if (
            cycle.next_sell_at is not None
            or cycle.exit_requested_at is not None
            or cycle.id in world.oracle.edited
        ):
            return False
        level = cycle.average_purchase_price * (1 + asset.take_profit_percent / HUNDRED)
        return quote.bid > level * CLEARLY


def _hears(main: MainApp, seconds: float) -> bool:
    """A stream that is silent is told of by itself."""
    return main.feed is not None and main.feed.hears_quotes() and main.process.stopped_until <= seconds
