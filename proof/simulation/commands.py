"""What ./bot prove does with its options."""

import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from dca.runtime.settings import DatabaseSettings
from launcher.output import SetUpProblem
from proof.simulation import enumeration, reach, shrink
from proof.simulation.enumeration import Case
from proof.simulation.mysql import MySqlDatabase
from proof.simulation.oracle import Oracle
from proof.simulation.plan import Step, draw
from proof.simulation.replay import Replayed, replay
from proof.simulation.run import Outcome, run_seed, world_of
from proof.simulation.servers import databases
from proof.simulation.stores import MemoryDatabase
from proof.simulation.weather import Weather
from proof.simulation.world import quiet_logging
from recordings.values import BadFile

T = TypeVar("T")
R = TypeVar("R")

FOUND, NOTHING, USAGE = 1, 0, 2
SWEEP_SAMPLE = 23
"""Every so many-th case of the sweep: a prime, so that it goes through all faults and places."""
_MOST_SHOWN = 10
_NEWS_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    crash_points: bool
    pairs: bool
    sweep: bool
    replay: list[str] | None
    export: str | None
    seeds: int
    first: int
    minutes: float | None
    quick: bool
    jobs: int
    seed: int | None
    steps: str | None
    minimise: bool
    at: str | None
    log: int
    mysql: bool
    quiet: bool


@dataclass(slots=True)
class Tally:
    """What a run of many came to."""

    runs: int = 0
    cycles: int = 0
    orders: int = 0
    virtual_seconds: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def run(options: Options) -> int:
    """Returns 0 if nothing was found, 1 if something was, 2 for options that make no sense."""
    console = Console(width=110, highlight=False, soft_wrap=True)
    quiet_logging()
    try:
        with databases() if options.mysql else nullcontext() as made:
            _server.append(made)
            return _chosen_work(options, console)
    except ValueError as error:
        console.print(f"prove: {error}", markup=False)
        return USAGE
    except SetUpProblem as error:
        console.print(f"prove: {error}", markup=False)
        return FOUND


_server: list[Callable[[], DatabaseSettings] | None] = []
"""Makes this process's database, once there is a server; forked processes inherit it."""
_mine: dict[int, DatabaseSettings] = {}
"""The database that each process made, by its pid."""


def _database(weather: Weather, rng: random.Random, oracle: Oracle) -> MemoryDatabase | MySqlDatabase:
    """The tables of a run: in memory, or on the server."""
    make = _server[-1] if _server else None
    if make is None:
        return MemoryDatabase(weather, rng, oracle)
    if os.getpid() not in _mine:
        _mine[os.getpid()] = make()
    return MySqlDatabase(_mine[os.getpid()], weather, rng, oracle)


def _chosen_work(options: Options, console: Console) -> int:
    """Raises:
    ValueError: a case that is none.
    """
    if options.seed is not None:
        return _one_seed(options, console)
    if options.at is not None:
        return _one_case(options, console)
    if options.replay is not None:
        return _replays(options, console)
    if options.crash_points or options.pairs or options.sweep:
        return _places(options, console)
    return _many_seeds(options, console)


def _replays(options: Options, console: Console) -> int:
    """Raises:
    ValueError: a file that cannot be read.
    """
    paths = [Path(name) for name in options.replay or ()]
    tally = Tally()
    for path, done in _spread(_replayed, paths, options.jobs, console, tally, options.quiet):
        tally.runs += 1
        console.print(f"{done.digest}  {len(done.orders):>5} orders  {path.name}", markup=False)
        for violation in done.violations:
            tally.failures.append(violation)
            console.print(f"FAILED {path.name}: {violation}", markup=False)
        if options.export:
            folder = Path(options.export)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{path.name}.jsonl").write_text("\n".join((*done.orders, "")), encoding="utf-8")
    console.print(f"prove: {tally.runs} recordings, {len(tally.failures)} violations", markup=False)
    return FOUND if tally.failures else NOTHING


def _replayed(path: Path) -> tuple[Path, Replayed]:
    quiet_logging()
    try:
        return path, replay(path, _database)
    except BadFile as error:
        raise ValueError(str(error)) from error


# ---- many -----------------------------------------------------------------------------------------------


def _many_seeds(options: Options, console: Console) -> int:
    started = time.monotonic()
    tally = Tally()
    until = None if options.minutes is None else started + options.minutes * 60
    seeds: Iterable[int] = count(options.first)
    if until is None:
        seeds = range(options.first, options.first + options.seeds)
    for outcome in _spread(_seed_outcome, _until(seeds, until), options.jobs, console, tally, options.quiet):
        _add(tally, outcome)
        if outcome.violations:
            _failed(tally, console, f"seed {outcome.seed}: {outcome.violations[0]}", f"--seed {outcome.seed}")
    seconds = time.monotonic() - started
    rate = tally.runs / seconds / options.jobs
    console.print(
        f"prove: {tally.runs} seeds from {options.first}, {tally.cycles} cycles, {tally.orders} orders, "
        f"{tally.virtual_seconds / 3600:.0f} h of virtual time, {sum(tally.happened.values())} faults, "
        f"{len(tally.failures)} violations; {seconds:.0f} s, {rate:.1f} seeds/s per process",
        markup=False,
    )
    missing = reach.missing(tally.happened, tally.told) if tally.runs >= reach.ENOUGH_SEEDS else []
    for each in missing:
        console.print(f"prove: came fewer than {reach.LEAST} times: {each}", markup=False)
    return FOUND if tally.failures or missing else NOTHING


def _places(options: Options, console: Console) -> int:
    """Crash points, pairs and the sweep, one after the other."""
    result = NOTHING
    every, sample = (enumeration.FIFTH, SWEEP_SAMPLE) if options.quick else (1, 1)
    kinds: list[tuple[str, Iterator[Case]]] = []
    if options.crash_points:
        kinds.append(("crash points", enumeration.crash_points(every=every)))
    if options.pairs:
        kinds.append(("pairs of crashes", enumeration.crash_pairs()))
    if options.sweep:
        kinds.append(("single faults", enumeration.single_faults(every=sample)))
    for name, cases in kinds:
        started, tally = time.monotonic(), Tally()
        for case, found in _spread(_case_outcome, cases, options.jobs, console, tally, options.quiet):
            tally.runs += 1
            if found:
                _failed(tally, console, f"{case}: {found}", f"--at {str(case)!r}")
        seconds = time.monotonic() - started
        console.print(
            f"prove: {tally.runs} {name}, {len(tally.failures)} violations; {seconds:.0f} s", markup=False
        )
        result = FOUND if tally.failures else result
    return result


def _until(seeds: Iterable[int], until: float | None) -> Iterator[int]:
    for seed in seeds:
        if until is not None and time.monotonic() > until:
            return
        yield seed


def _add(tally: Tally, outcome: Outcome) -> None:
    tally.runs += 1
    tally.cycles += outcome.cycles
    tally.orders += outcome.orders
    tally.virtual_seconds += outcome.virtual_seconds
    tally.happened.update(outcome.happened)
    tally.told.update(outcome.told)


def _failed(tally: Tally, console: Console, what: str, again: str) -> None:
    tally.failures.append(what)
    if len(tally.failures) <= _MOST_SHOWN:
        console.print(f"FAILED {what}\n  again with: ./bot prove {again}", markup=False)


def _spread(
    work: Callable[[T], R], items: Iterable[T], jobs: int, console: Console, tally: Tally, quiet: bool
) -> Iterator[R]:
    """Have items worked on by so many processes; news now and then."""
    told = time.monotonic()
    if jobs <= 1:
        results: Iterable[R] = map(work, items)
        pool = None
    else:
        pool = multiprocessing.get_context("fork").Pool(jobs)
        results = pool.imap_unordered(work, _paced(items, pool), chunksize=2)
    try:
        for result in results:
            yield result
            if not quiet and time.monotonic() - told > _NEWS_SECONDS:
                told = time.monotonic()
                console.print(f"  {tally.runs} runs, {len(tally.failures)} violations", markup=False)
    finally:
        if pool is not None:
            pool.terminate()
            pool.join()


def _paced(items: Iterable[T], pool: Any) -> Iterator[T]:
    """imap takes items as fast as they come: an endless stream has to wait for the workers."""
    for item in items:
        while pool._taskqueue.qsize() > 8:
            time.sleep(0.01)
        yield item


def _seed_outcome(seed: int) -> Outcome:
    quiet_logging()
    outcome = run_seed(seed, None, _database)
    outcome.lines = []
    return outcome


def _case_outcome(case: Case) -> tuple[Case, str]:
    quiet_logging()
    passed = enumeration.run_case(case, _database)
    return case, str(passed.violations[0]) if passed.violations else ""


# ---- one ------------------------------------------------------------------------------------------------


def _one_seed(options: Options, console: Console) -> int:
    assert options.seed is not None
    seed = options.seed
    steps = _chosen(seed, options.steps)
    outcome = run_seed(seed, steps, _database)
    if options.minimise and outcome.violations:
        outcome = shrink.shrink(outcome, lambda fewer: run_seed(seed, fewer, _database))
    for line in outcome.lines[-options.log :] if options.log else []:
        console.print(line, markup=False)
    numbered = _all_steps(seed)
    for step in outcome.steps:
        console.print(f"  step {numbered.index(step) + 1:2}  {step}", markup=False)
    for violation in outcome.violations:
        console.print(f"FAILED seed {seed}: {violation}", markup=False)
    if outcome.violations:
        kept = ",".join(str(numbered.index(step) + 1) for step in outcome.steps)
        console.print(f"  again with: ./bot prove --seed {seed} --steps {kept or '0'}", markup=False)
        return FOUND
    console.print(
        f"prove: seed {seed}: {len(outcome.steps)} steps, {outcome.cycles} cycles, {outcome.orders} orders, "
        "nothing found",
        markup=False,
    )
    return NOTHING


def _all_steps(seed: int) -> list[Step]:
    world = world_of(seed)
    symbols = list(world.market.prices)
    world.close()
    return draw(seed, symbols)


def _chosen(seed: int, numbers: str | None) -> list[Step]:
    steps = _all_steps(seed)
    if numbers is None:
        return steps
    wanted = {int(number) for number in numbers.split(",")}
    return [step for number, step in enumerate(steps, start=1) if number in wanted]


def _one_case(options: Options, console: Console) -> int:
    assert options.at is not None
    case = Case.parse(options.at)
    passed = enumeration.run_case(case, _database)
    for line in passed.lines[-options.log :] if options.log else []:
        console.print(line, markup=False)
    for violation in passed.violations:
        console.print(f"FAILED {case}: {violation}", markup=False)
    if not passed.violations:
        console.print(f"prove: {case}: nothing found", markup=False)
    return FOUND if passed.violations else NOTHING
