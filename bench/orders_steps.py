"""Where the time from a quote to its order goes, step by step: `python -m bench.orders_steps [SAMPLES]`.

From the notes of bench.orders_probe. Each step has two times: what the program does before it enters the
library, and what passes in there (server, disk and kernel included).
"""

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import orders_latency, orders_seed
from bench.ground import Ground
from bench.orders_latency import Span
from bench.orders_probe import Note
from bench.orders_seed import NO_SALE, SALE, Seed
from bench.row import median

_WARM = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Medians over all samples, in microseconds."""

    name: str
    before: float
    inside: float


Door = tuple[str, int, int]
"""What was passed, from when to when."""


async def measured(ground: Ground, samples: int, *, sells: bool) -> tuple[list[Step], list[Step]]:
    """Run main_app and the floor with the stop-watch through so many orders, one after the other in turns."""
    name = f"steps_{'sells' if sells else 'buys'}"
    seed = Seed(symbols=orders_seed.symbols(60), take_profit_percent=SALE if sells else NO_SALE)
    action = orders_latency.sell if sells else orders_latency.buy
    files = ground.folder / f"{name}_ours", ground.folder / f"{name}_floor"
    spans: tuple[list[Span], list[Span]] = ([], [])
    async with orders_latency.both(ground, name, seed, files) as sides:
        for number in range(samples + _WARM):
            for side, found in zip(sides, spans, strict=True):
                if number % _WARM == 0:
                    side.eye.forget_the_hour()
                span = await action(side, seed.symbols[number % len(seed.symbols)], "steps")
                if number >= _WARM:  # the first ones open connections
                    found.append(span)
    return steps(spans[0], read(files[0])), steps(spans[1], read(files[1]))


def read(file: Path) -> list[Note]:
    return [tuple(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def steps(spans: Sequence[Span], notes: Iterable[Note]) -> list[Step]:
    """Of those samples that went the most frequent way: the same doors in the same order."""
    ordered = sorted(notes)
    ways: dict[tuple[str, ...], list[list[int]]] = {}
    for sent_ns, received_ns in spans:
        doors = _doors([note for note in ordered if sent_ns <= note[0] <= received_ns], received_ns)
        names, times, last_ns = tuple(door[0] for door in doors), [], sent_ns
        for _, start_ns, end_ns in doors:
            times += [start_ns - last_ns, end_ns - start_ns]
            last_ns = end_ns
        ways.setdefault(names, []).append([*times, received_ns - sent_ns])
    names, samples = max(ways.items(), key=lambda way: len(way[1]))
    medians = [median([each / 1000 for each in column]) for column in zip(*samples, strict=True)]
    found = [
        Step(name=name, before=medians[2 * index], inside=medians[2 * index + 1])
        for index, name in enumerate(names)
    ]
    return [*found, Step(name=f"all, {len(samples)} of {len(spans)} orders", before=0, inside=medians[-1])]


def _doors(notes: Sequence[Note], received_ns: int) -> list[Door]:
    """The doors that the quote passes: the feed's, the hand-over, the worker's, and last the POST."""
    feed = next((note[1] for note in notes if note[2] == "frame"), 0)
    worker = next((note[1] for note in notes if note[2] in ("sql", "http")), feed)
    doors: list[Door] = []
    for at, thread, what, which in notes:
        if thread == feed and what in ("frame", "frame done") and len(doors) < 2:
            _pass(doors, "quote decoded", what, at)
        elif worker != feed and thread == feed and what == "notify" and len(doors) == 1:
            doors.append(("handed to a worker", at, 0))
        elif worker != feed and thread == worker and what == "wait done" and doors and not doors[-1][2]:
            doors[-1] = (doors[-1][0], doors[-1][1], at)
        elif thread == worker and what.partition(" ")[0] in ("sql", "fetch", "http"):
            _pass(doors, which, what, at)
    if doors and not doors[-1][2]:
        doors[-1] = (doors[-1][0], doors[-1][1], received_ns)
    return doors


def _pass(doors: list[Door], name: str, what: str, at: int) -> None:
    """Enter a door or leave it; fetching belongs to its statement."""
    if what == "fetch":
        return
    if what.endswith(" done"):
        if doors:
            doors[-1] = (doors[-1][0], doors[-1][1], at)
    else:
        doors.append((name.partition("?")[0].removeprefix("/v2").split("/C")[0], at, 0))


async def tables(ground: Ground, samples: int) -> None:
    """Print the steps of both programs side by side, for buys and for sells."""
    for sells in (False, True):
        ours, floor = await measured(ground, samples, sells=sells)
        floors = {step.name: step for step in floor[:-1]}
        print(f"\n{'take-profit sell' if sells else 'safety buy'}: medians in microseconds")
        print("     main_app            floor")
        print(" before   inside    before   inside")
        for step in ours[:-1]:
            other = floors.get(step.name)
            beside = "" if other is None else f"{other.before:10.0f} {other.inside:8.0f}"
            print(f"{step.before:7.0f} {step.inside:8.0f}{beside:19}  {step.name}")
        print(f"        {ours[-1].inside:8.0f}{floor[-1].inside:19.0f}  {ours[-1].name}")


if __name__ == "__main__":
    with Ground() as ground:
        asyncio.run(tables(ground, int(sys.argv[1]) if len(sys.argv) > 1 else 120))
