"""Has tests that run a mutant's function look at it, and the simulation; several benches at once."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proof.bite.bench import Bench
from proof.bite.runner import Benches, benches
from proof.mutation.forker import Forker
from proof.mutation.mutant import Mutant
from proof.mutation.reach import FILES, Reach, Selection
from proof.mutation.results import Result, Verdict

_WARNING = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # packages are imported before pytest starts
_PYTEST = ("pytest", "-q", "--no-header", "--tb=line", "-p", "no:xdist", *_WARNING)
_RECORD = (*_PYTEST, "-m", "not slow", "-p", "proof.mutation.recorder", "--record", ",".join(FILES))
_PROVE = ("proof.simulation", "--quiet", "--jobs", "1", "--seeds")
RECORDING_LIMIT_SECONDS, SIMULATION_LIMIT_SECONDS = 300.0, 180.0
LEAST_LIMIT_SECONDS, TIMES_CLEAN = 60.0, 8.0
"""Tests that take so many times as long as when they were recorded hang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Copies of the tree, each with a database server and a process that forks."""

    benches: Benches
    forkers: Mapping[Path, Forker]

    @property
    def tree(self) -> Path:
        return self.benches.tree

    def run(self, bench: Bench, command: tuple[str, ...], limit_seconds: float) -> tuple[int | None, str]:
        """Exit code, None if it hung, and output."""
        output = bench.folder / "output"
        code = self.forkers[bench.tree].run(command, limit_seconds, output)
        return code, output.read_text(encoding="utf-8", errors="replace")


@contextmanager
def places(root: Path, jobs: int) -> Iterator[Places]:
    with benches(root, jobs) as made, ExitStack() as stack:
        forkers = {}
        for bench in made.all:
            temporary = bench.folder / "tmp"
            temporary.mkdir()
            forkers[bench.tree] = stack.enter_context(Forker(bench.tree, bench.environment(temporary)))
        yield Places(benches=made, forkers=forkers)


def record(at: Places, reach: Reach, files: Sequence[str], until: float) -> None:
    """See what tests run that are new or have changed, for the mutants of these files. A file of tests that
    hangs, and a test that is red, judge nothing."""

    def look(bench: Bench, name: str) -> tuple[str, Mapping[str, Any] | None]:
        told = bench.folder / "recorded"
        told.unlink(missing_ok=True)
        if time.monotonic() >= until:
            return name, None
        at.run(bench, (*_RECORD, "--record-to", str(told), name), RECORDING_LIMIT_SECONDS)
        return name, json.loads(told.read_text(encoding="utf-8")) if told.is_file() else {
            "tests": {},
            "failed": [name],
        }

    for name, recorded in at.benches.each(look, reach.unknown(files)):
        if recorded is not None:
            reach.add(name, recorded)
            for test in recorded["failed"]:
                print(f"mutate: {test} fails here on the clean tree: it judges nothing", flush=True)


def results(
    at: Places, reach: Reach, to_do: Sequence[Mutant], *, seeds: int, until: float
) -> Iterator[tuple[Mutant, Result]]:
    """As they come, up to a time (monotonic) after which none is begun."""

    def look(bench: Bench, mutant: Mutant) -> tuple[Mutant, Result | None]:
        known = time.monotonic() < until
        return mutant, _judged(at, bench, mutant, reach.of(mutant), seeds) if known else None

    for mutant, result in at.benches.each(look, to_do):
        if result is not None:
            yield mutant, result


def _judged(at: Places, bench: Bench, mutant: Mutant, selection: Selection, seeds: int) -> Result | None:
    """None: nothing is known."""
    began = time.monotonic()
    limit = max(LEAST_LIMIT_SECONDS, selection.seconds * TIMES_CLEAN)
    layers = [
        ((*_PYTEST, "-x", *selection.nearest), limit) if selection.nearest else None,
        ((*_PROVE, str(seeds)), SIMULATION_LIMIT_SECONDS) if seeds else None,
        ((*_PYTEST, "-x", *selection.others), limit) if selection.others else None,
    ]
    by = ""
    with bench.with_text(mutant.file, mutant.source):
        for command, limit_seconds in filter(None, layers):
            code, output = at.run(bench, command, limit_seconds)
            if code is not None and (code < 0 or "ERROR: not found:" in output):
                return None  # ended from outside, or a test that is not there any more
            if code != 0:
                by = _who(command[0], code, output)
                break
    return Result(
        id=mutant.id,
        function_digest=mutant.function_digest,
        verdict=Verdict.KILLED if by else Verdict.SURVIVED,
        by=by,
        seconds=round(time.monotonic() - began, 1),
        tests_digest=selection.digest,
    )


def _who(layer: str, code: int | None, output: str) -> str:
    """The test, seed or layer that noticed."""
    if code is None:
        return f"{layer} hangs"
    for line in output.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            return line.split(" ", 1)[1].partition(" - ")[0][:160]
    return f"{layer} ends with {code}"
