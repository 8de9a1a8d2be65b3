"""What the runs of the layers say about a fault. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from proof.bite.fault import Fault
from proof.bite.layers import Layer

FAR_BELOW = 4
"""A layer whose clean run took more than one of so many parts of its limit says nothing by hanging."""
LAYERS_OF_THE_WORST = 2
LONGEST_WHERE = 160

_WHERE = re.compile(r"^(?:FAILED|ERROR) (seed .*|\S+)", re.MULTILINE)


class Verdict(StrEnum):
    CAUGHT = "caught"
    MISSED = "missed"
    UNCLEAR = "unclear"
    """The layer could not judge: it ended with neither 0 nor 1, or was too slow to tell a hang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A layer's run on a tree. `code` None: it hung, and was ended."""

    layer: Layer
    code: int | None
    seconds: float
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One layer's answer; `where` says which test, or how."""

    layer: str
    verdict: Verdict
    where: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a fault. `needed`: by how many layers it has to be caught; `diff`: what was changed."""

    fault: Fault
    findings: tuple[Finding, ...]
    needed: int
    diff: str = ""

    @property
    def caught_by(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.verdict is Verdict.CAUGHT]

    @property
    def seconds(self) -> float:
        return sum(finding.seconds for finding in self.findings)

    @property
    def is_caught(self) -> bool:
        return len(self.caught_by) >= self.needed


def needed(fault: Fault, layers: Sequence[Layer]) -> int:
    """By how many layers a fault has to be caught, where so many are run."""
    return min(LAYERS_OF_THE_WORST if fault.is_top else 1, len(layers))


def finding(run: Run, clean_seconds: float) -> Finding:
    """What a run on the tree with the fault says, seeing how long the layer takes on a clean one."""
    verdict, where = Verdict.MISSED, ""
    if run.code is None:
        told = clean_seconds * FAR_BELOW < run.layer.limit_seconds
        verdict = Verdict.CAUGHT if told else Verdict.UNCLEAR
        where = f"hangs: {run.layer.limit_seconds:g} s, clean {clean_seconds:.1f} s"
    elif run.code == 1:
        verdict, where = Verdict.CAUGHT, _where(run.output)
    elif run.code != 0:
        verdict, where = Verdict.UNCLEAR, f"exit code {run.code}: {_last_line(run.output)}"
    return Finding(layer=run.layer.name, verdict=verdict, where=where, seconds=run.seconds)


def _where(output: str) -> str:
    """The first test or seed that failed; of other programs the last line."""
    found = _WHERE.search(output)
    return found.group(1)[:LONGEST_WHERE] if found is not None else _last_line(output)


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:LONGEST_WHERE] if lines else ""
