"""Feeds inputs to the kinds, counts how they end, and keeps what was not taken as promised."""

import random
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from proof.fuzz.verdicts import BrokenPromise, Finding, Kind, Net, Tally, Verdict, dice_of

SLOW_SECONDS = 3.0
"""Processor time after which an input counts as one that hangs the program."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Result:
    tallies: list[Tally] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        return sum(tally.inputs for tally in self.tallies)


def run(
    kind: Kind, seed: int, indexes: Iterable[int], result: Result, tell: Callable[[Finding], None]
) -> Tally:
    """Feed these inputs of a kind; `tell` hears of a finding at once."""
    tally = Tally(kind=kind.name)
    result.tallies.append(tally)
    begun = time.monotonic()
    for index in indexes:
        tally.inputs += 1
        problem = _one(kind, dice_of(seed, kind.name, index), tally)
        if problem is not None:
            found = Finding(seed=seed, kind=kind.name, index=index, problem=problem, shown=kind.shown)
            tally.escaped += 1
            result.findings.append(found)
            tell(found)
    tally.seconds = time.monotonic() - begun
    return tally


def _one(kind: Kind, dice: random.Random, tally: Tally) -> str | None:
    """One input; returns what was wrong."""
    begun = time.process_time()
    verdict = None
    with Net() as net:
        verdict = kind.trial(dice)
    if net.caught is not None:
        return describe(net.caught)
    seconds = time.process_time() - begun
    if seconds > SLOW_SECONDS:
        return f"took {seconds:.1f} s of processor time"
    assert isinstance(verdict, Verdict)
    tally.counts[verdict] += 1
    return None


def describe(error: Exception) -> str:
    """A finding in one line: what must not be, or what escaped and from where."""
    if isinstance(error, BrokenPromise):
        return str(error)
    ours = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(ROOT) and "venv" not in Path(frame.filename).parts
    ]
    product = [frame for frame in ours if "proof" not in Path(frame.filename).parts] or ours
    where = f" at {Path(product[-1].filename).relative_to(ROOT)}:{product[-1].lineno}" if product else ""
    return f"escaped: {type(error).__name__}{where}: {ascii(str(error))[:200]}"
