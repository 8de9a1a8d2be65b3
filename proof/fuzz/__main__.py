"""./bot fuzz: seeded hostile input for every door; exit code 1 if anything was not taken as promised."""

import argparse
import logging
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from integration.problems import Refused
from proof.fuzz import runner
from proof.fuzz.kinds import DOORS, opened, shares
from proof.fuzz.runner import Result
from proof.fuzz.verdicts import Finding, Verdict

MOST_MEMORY = 4 << 30
"""Bytes of address space: an input that wants more raises MemoryError, which is a finding."""
MOST_TOLD = 20
"""Findings of a kind that are printed whole; the rest are counted."""
_NAMES = ", ".join(DOORS)


class _Formatting(logging.Handler):
    """Makes a line of every record, as a file's handler does, and keeps none."""

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)


def main(arguments: list[str] | None = None, console: Console | None = None) -> int:
    """Run; returns 0 for nothing found, 1 for something, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="./bot fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=2000, metavar="N", help="of all kinds (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed, the same inputs")
    parser.add_argument("--only", choices=DOORS, metavar="KIND", help=f"one of: {_NAMES}")
    parser.add_argument("--at", type=int, metavar="I", help="only the input of this number; needs --only")
    given = parser.parse_args(arguments)
    if given.at is not None and given.only is None:
        parser.error("--at needs --only KIND")
    if given.inputs < 1 or (given.at or 0) < 0:
        parser.error("--inputs is at least 1, --at at least 0")
    names = [given.only] if given.only else list(DOORS)
    wanted: dict[str, Iterable[int]] = {
        name: range(count) for name, count in shares(given.inputs, names).items()
    }
    if given.at is not None:
        wanted = {given.only: [given.at]}
    out = console or Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 100)
    try:
        return _run(given.seed, wanted, out, shown=given.at is not None)
    except Refused as problem:
        out.print(f"fuzz: {problem} (--only KIND leaves the database out)", markup=False)
        return 2


def prepare() -> None:
    """For a process of our own. Lines of the log are made and not shown; memory has an end."""
    log = logging.getLogger("dca")
    log.handlers, log.propagate = [_Formatting()], False
    log.setLevel(logging.INFO)
    logging.getLogger("dotenv").setLevel(logging.ERROR)  # it tells the number of each line it cannot read
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY or most > MOST_MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, most))


def _run(seed: int, wanted: dict[str, Iterable[int]], out: Console, *, shown: bool) -> int:
    result = Result()
    begun = time.monotonic()
    told: Counter[str] = Counter()

    def tell(found: Finding) -> None:
        told[found.kind] += 1
        if told[found.kind] <= MOST_TOLD:
            lines = (f"FOUND {found.kind} {found.index}: {found.problem}", found.shown, found.command)
            out.print("\n    ".join(lines), markup=False)

    for name, indexes in wanted.items():
        with opened(name) as kind:
            tally = runner.run(kind, seed, indexes, result, tell)
            if shown:
                out.print(f"input: {kind.shown}", markup=False)
            line = f"{name}: {tally.inputs:,} inputs in {tally.seconds:.1f} s, {tally.escaped} escaped"
            out.print(line, markup=False)
    out.print(table(result))
    seconds = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    out.print(
        f"fuzz: seed {seed}, {result.inputs:,} inputs in {seconds:.1f} s, "
        f"{len(result.findings)} not taken as promised, {peak} MB at the most"
    )
    return 1 if result.findings else 0


def table(result: Result) -> Table:
    """The figures by kind."""
    found = Table(title="Hostile input")
    found.add_column("kind", no_wrap=True)
    found.add_column("what", no_wrap=True)
    for name in ("inputs", "refused", "accepted", "escaped", "a second"):
        found.add_column(name, justify="right")
    for tally in result.tallies:
        counts = (tally.inputs, tally.counts[Verdict.REFUSED], tally.counts[Verdict.ACCEPTED], tally.escaped)
        speed = round(tally.inputs / tally.seconds) if tally.seconds else 0
        found.add_row(tally.kind, DOORS[tally.kind].what, *(f"{each:,}" for each in (*counts, speed)))
    return found


if __name__ == "__main__":
    prepare()
    sys.exit(main())
