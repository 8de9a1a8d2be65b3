"""python -m proof.model: check the order protocol in every reachable state, and what must fail.

Exit code: 0 everything came out as expected, 1 something did not, 2 usage.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from dca.runtime.clock import SystemClock
from proof.model.rules import Rules
from proof.model.search import Result, Told, check
from proof.model.state import NONE, Row
from proof.model.variants import FAILS, GROUPS, HOLDS, VARIANTS, Variant, faults_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    variant: Variant
    rules: Rules
    result: Result
    seconds: float

    @property
    def as_expected(self) -> bool:
        return (HOLDS if self.result.failure is None else FAILS) == self.variant.expected


def main(arguments: Sequence[str]) -> int:
    given = _parser().parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    clock = SystemClock()
    runs = []
    for variant in [VARIANTS[given.variant]] if given.variant else VARIANTS.values():
        rules = variant.full if given.budget == "full" else variant.small
        began = clock.monotonic()
        result = check(rules)
        runs.append(Run(variant=variant, rules=rules, result=result, seconds=clock.monotonic() - began))
        console.print(_line(runs[-1]), soft_wrap=True)
    if not given.quiet:
        for run in runs:
            _print_trace(console, run)
    _print_table(console, runs)
    wrong = [run.variant.name for run in runs if not run.as_expected]
    if wrong:
        console.print(f"NOT AS EXPECTED: {', '.join(wrong)}")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m proof.model", description=__doc__)
    parser.add_argument(
        "--budget",
        choices=("small", "full"),
        default="small",
        help="how many faults: small takes seconds, full some minutes and half a gigabyte",
    )
    parser.add_argument("--variant", choices=sorted(VARIANTS), metavar="NAME", help="only this one")
    parser.add_argument("--quiet", action="store_true", help="no counterexamples, only the table")
    return parser


def _line(run: Run) -> str:
    return f"{run.variant.name}: {run.result.states:,} states, {_outcome(run)} ({run.seconds:.1f} s)"


def _outcome(run: Run) -> str:
    outcome = run.result.failure or "safe, always ends"
    return outcome if run.as_expected else f"{outcome} (NOT EXPECTED)"


def _print_table(console: Console, runs: list[Run]) -> None:
    table = Table(
        title="The order protocol, every reachable state",
        title_justify="left",
        padding=(0, 1, 0, 0),
        box=box.SIMPLE,
    )
    table.add_column("variant", no_wrap=True)
    table.add_column("what", ratio=1)
    table.add_column("result", max_width=21)
    for name in ("states", "steps", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    by_name = {run.variant.name: run for run in runs}
    for title, group in GROUPS.items():
        found = [by_name[variant.name] for variant in group if variant.name in by_name]
        if found:
            table.add_row("", f"[bold]{title}[/bold]")
        for run in found:
            table.add_row(*_cells(run))
        table.add_section()
    console.print(table)


def _cells(run: Run) -> tuple[str, ...]:
    return (
        run.variant.name,
        f"{run.variant.what}: {faults_of(run.rules)}",
        _outcome(run),
        f"{run.result.states:,}",
        str(len(run.result.trace) or ""),
        f"{run.seconds:.1f}",
    )


def _print_trace(console: Console, run: Run) -> None:
    if run.result.failure is None:
        return
    console.print(f"\n{run.variant.name} ({run.variant.what}): {run.result.failure}")
    for number, told in enumerate(run.result.trace, start=1):
        console.print(f"  {number:2}  {told.what:<62} {books(told)}".rstrip(), soft_wrap=True)


def books(told: Told) -> str:
    """Every order that is not over, in both books."""
    return "; ".join(f"{number} {_row(row)}" for number, row in told.orders)


def _row(row: Row) -> str:
    ledger = f"{row.state} {row.filled}" if row.filled else row.state
    if row.exchange == NONE:
        return f"{ledger} | -"
    filled = f" {row.exchange_filled}" if row.exchange_filled else ""
    return f"{ledger} | {row.exchange}{filled}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
