"""Plants the faults one by one and has the layers look; several benches at once."""

import queue
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from proof.bite.bench import Bench, copy_tree
from proof.bite.fault import Fault, diff
from proof.bite.judging import Finding, Outcome, Run, Verdict, finding, needed
from proof.bite.layers import TESTS, Layer, clean_tests, durations, layers_of, seconds_of

A = TypeVar("A")
R = TypeVar("R")
LINES_OF_A_FAILURE = 40


class CleanTreeIsRed(Exception):
    """A layer finds fault with the source as it is: it can judge nothing. The message has its last lines."""


@contextmanager
def benches(root: Path, jobs: int) -> Iterator["Benches"]:
    """So many copies of the tree under a temporary folder, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bite-") as name:
        made = []
        for number in range(1, jobs + 1):
            folder = Path(name) / str(number)
            folder.mkdir()
            made.append(Bench(folder))
        try:
            for bench in made:
                copy_tree(root, bench.tree)
                bench.start()  # here, in the main thread: a server ends with the thread that started it
            yield Benches(made)
        finally:
            for bench in made:
                bench.stop()


class Benches:
    """Whoever has something to run takes a free one, and gives it back."""

    def __init__(self, made: Sequence[Bench]) -> None:
        self._free: queue.SimpleQueue[Bench] = queue.SimpleQueue()
        self.all = made
        self.count = len(made)
        self.tree = made[0].tree
        """The first one's; clean while nothing is planted."""
        for bench in made:
            self._free.put(bench)

    def each(self, work: Callable[[Bench, A], R], items: Sequence[A]) -> Iterator[R]:
        """Do something for every item, as benches get free; results as they come."""

        def with_a_bench(item: A) -> R:
            bench = self._free.get()
            try:
                return work(bench, item)
            finally:
                self._free.put(bench)

        with ThreadPoolExecutor(self.count) as pool:
            waiting = [pool.submit(with_a_bench, item) for item in items]
            try:
                for done in as_completed(waiting):
                    yield done.result()
            finally:
                for each in waiting:
                    each.cancel()
                for bench in self.all:  # at Ctrl-C nobody waits for what is run just now
                    bench.halt()


def clean_runs(at: Benches, faults: Sequence[Fault], wanted: frozenset[str]) -> dict[Layer, float]:
    """Run every layer that will be used on the tree as it is; returns how long each takes there.

    Raises:
        CleanTreeIsRed: one of them does not end with 0.
    """
    used = dict.fromkeys(layer for fault in faults for layer in layers_of(fault, wanted))
    whole = [layer for layer in used if layer.name != TESTS]
    tests = clean_tests(faults, at.count) if TESTS in wanted else []
    seconds: dict[Layer, float] = {}
    told: dict[str, float] = {}
    start_seconds = 0.0
    for run in at.each(_clean_run, [*tests, *whole]):
        if run.code != 0:
            raise CleanTreeIsRed(_told(run))
        if run.layer in used:
            seconds[run.layer] = run.seconds
        else:
            mine = durations(run.output)
            told |= mine
            start_seconds = max(start_seconds, run.seconds - sum(mine.values()))
    for fault in faults:
        for layer in layers_of(fault, wanted & {TESTS}):
            seconds[layer] = start_seconds + seconds_of(fault.tests, told)
    return seconds


def _clean_run(bench: Bench, layer: Layer) -> Run:
    """On a busy machine a test that measures time may fail: red is what is red twice."""
    run = bench.run(layer)
    return run if run.code == 0 else bench.run(layer)


def outcomes(
    at: Benches, faults: Sequence[Fault], wanted: frozenset[str], clean: dict[Layer, float]
) -> Iterator[Outcome]:
    """What becomes of each fault, as it is known."""
    return at.each(lambda bench, fault: _outcome(bench, fault, wanted, clean), faults)


def _outcome(bench: Bench, fault: Fault, wanted: frozenset[str], clean: dict[Layer, float]) -> Outcome:
    """The quickest layer first; no further one than is needed to be sure."""
    layers = layers_of(fault, wanted)
    least = needed(fault, layers)
    found: list[Finding] = []
    with bench.with_fault(fault):
        for layer in layers:
            found.append(finding(bench.run(layer), clean[layer]))
            if sum(each.verdict is Verdict.CAUGHT for each in found) >= least:
                break
    return Outcome(fault=fault, findings=tuple(found), needed=least, diff=diff(fault, bench.tree))


def _told(run: Run) -> str:
    how = "hangs" if run.code is None else f"ends with {run.code}"
    lines = run.output.strip().splitlines()[-LINES_OF_A_FAILURE:]
    return "\n".join([f"the clean tree is red: {' '.join(run.layer.command)} {how}", "", *lines])
