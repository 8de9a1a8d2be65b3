"""A week of main_app in virtual time: does anything of it grow with the number of orders, days or faults?

    python -m bench.budget_week [DAYS]

The bot's own objects are walked, a step at a time, from its loop, workers and desk: how many objects they
reach, and how long each of their containers is. The exchange, the tables and the oracle remember all, and
are left out.
"""

import gc
import sys
import types
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from bench.budget_world import FairWorld, Mood
from bench.table import WIDTH
from dca.operator.session import Screen
from proof.simulation.scripts import MainApp

PAIRS = 6
DAY_SECONDS = 86_400.0
QUOTE_SECONDS, TICK_SECONDS = 60.0, 10.0
"""Slower than life: what is remembered of an order or a fault does not depend on them."""
TIDES = Mood(tide=0.02, tide_seconds=3600.0, spread_seconds=600.0, ripple=0.002)
FAULT_SECONDS, THIN_SECONDS = 600.0, 1200.0
FAULTS = (
    *("submit.timeout", "submit.timeout_after", "submit.accept_then_drop", "submit.drop_before"),
    *("submit.reject", "submit.late", "cancel.drop_before", "get.drop_before", "get.timeout"),
    *("get.refused", "get.not_found", "ws.drop", "ws.dup", "ws.late", "md.old", "db.lost", "db.deadlock"),
)
_ARGUMENTS = {
    "get.not_found": {"seconds": 5.0},
    "ws.late": {"seconds": 3.0},
    "md.old": {"seconds": 60.0},
}
_OURS = ("dca.", "proof.simulation.feed")
_CONTAINERS = (dict, list, set, deque)
_NOT_FOLLOWED = (type, types.ModuleType, types.FunctionType, types.FrameType, types.CodeType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """main_app at a moment: objects within its reach, and the lengths of its containers by name."""

    days: float
    orders: int
    objects: int
    lengths: dict[str, int]


class Week:
    """A world in which something goes wrong again and again, and nobody restarts main_app."""

    def __init__(self, seed: int = 1, fault_seconds: float = FAULT_SECONDS) -> None:
        self.world = FairWorld(seed, PAIRS, TIDES, quote_seconds=QUOTE_SECONDS)
        self._faults, self._fault_seconds = cycle(FAULTS), fault_seconds
        self.world.begin()
        self.world.living()[0].tick_seconds = TICK_SECONDS
        self.world.hub.after(self._fault_seconds, self._misfortune)

    def _misfortune(self) -> None:
        """The next fault, at the next occasion; and both streams are lost for a moment."""
        name = next(self._faults)
        self.world.weather.arm(name, 1, None, **_ARGUMENTS.get(name, {}))
        feed = self.world.living()[0].feed
        if feed is not None and name.startswith(("ws.", "md.")):
            feed.lose(feed.orders, 2.0)
            feed.lose(feed.quotes, 2.0)
        if name.startswith("cancel."):  # so that there is something to cancel
            engine = self.world.engine
            thin = engine.faults.add("fill.none", 1_000_000, {}, None)
            self.world.hub.after(THIN_SECONDS, lambda: engine.faults.remove(thin))
        self.world.hub.after(self._fault_seconds, self._misfortune)

    def sample(self, days: float) -> Sample:
        """Let time pass until then, and look.

        Raises:
            AssertionError: main_app died, or an invariant is broken.
        """
        self.world.run(days * DAY_SECONDS - self.world.hub.seconds)
        assert not self.world.violations, self.world.violations[0]
        assert self.world.starts == 1
        main = self.world.living()[0]
        return Sample(
            days=days,
            orders=len(self.world.tables().orders),
            objects=sum(1 for _ in reached(main)),
            lengths=dict(sorted(_lengths(main))),
        )

    def close(self) -> None:
        self.world.close()


def reached(main: MainApp) -> Iterator[object]:
    """Every object that main_app's own ones hold, each once."""
    waiting: list[object] = [main._loop, main.feed, *main.workers]
    seen = {id(each) for each in waiting}
    while waiting:
        found = waiting.pop()
        yield found
        for other in gc.get_referents(found):
            if id(other) not in seen and _is_its_own(other):
                seen.add(id(other))
                waiting.append(other)


def _is_its_own(found: object) -> bool:
    if isinstance(found, _NOT_FOLLOWED):
        return False
    module = type(found).__module__
    return not module.startswith(("proof.", "paper_exchange", "bench.")) or module.startswith(_OURS)


def _lengths(main: MainApp) -> Iterator[tuple[str, int]]:
    """Containers that are attributes of objects of ours: Class.name, and the longest of that name."""
    longest: dict[str, int] = {}
    for each in reached(main):
        if type(each).__module__.startswith(_OURS):
            for name in _attributes(each):
                value = getattr(each, name, None)
                if isinstance(value, _CONTAINERS):
                    full = f"{type(each).__name__}.{name}"
                    longest[full] = max(longest.get(full, 0), len(value))
    yield from longest.items()


def _attributes(found: object) -> Sequence[str]:
    slots = [name for kind in type(found).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*slots, *getattr(found, "__dict__", ())]


def grown(before: Sample, after: Sample, spare: int = 5) -> dict[str, tuple[int, int]]:
    """Containers that are longer by more than comes and goes with open orders."""
    return {
        name: (before.lengths.get(name, 0), length)
        for name, length in after.lengths.items()
        if length > before.lengths.get(name, 0) + spare
    }


def main(arguments: Sequence[str]) -> int:
    """Print a line per day; 1 if anything has grown since the second."""
    screen = Screen(width=WIDTH, highlight=False)
    days = int(arguments[0]) if arguments else 7
    week, samples = Week(), []
    try:
        for day in range(1, days + 1):
            samples.append(week.sample(float(day)))
            now = samples[-1]
            screen.print(f"day {day}: {now.orders} orders so far, {now.objects} objects of main_app's own")
    finally:
        week.close()
    screen.print(", ".join(f"{name} {length}" for name, length in samples[-1].lengths.items()))
    longer = grown(samples[min(1, len(samples) - 1)], samples[-1])
    for name, (before, after) in longer.items():
        screen.print(f"grown: {name} from {before} to {after}")
    return 1 if longer else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
