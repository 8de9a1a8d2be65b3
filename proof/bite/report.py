"""What a person sees of it."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from proof.bite.fault import Fault
from proof.bite.judging import LAYERS_OF_THE_WORST, Finding, Outcome, Verdict

WIDTH = 100
LONGEST_SHOWN = 40


def console() -> Console:
    """As wide as a terminal's line, also where there is no terminal."""
    made = Console(highlight=False, soft_wrap=False)
    made.width = min(made.width, WIDTH) if made.is_terminal else WIDTH
    return made


def listed(console: Console, faults: Sequence[Fault]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("fault", "F", "file", "what it would cost"):
        table.add_column(name, overflow="fold")
    for fault in faults:
        star = " *" if fault.is_top else ""
        table.add_row(f"{fault.name}{star}", fault.number, fault.file, escape(fault.costs))
    console.print(table)
    tops = sum(fault.is_top for fault in faults)
    console.print(f"{len(faults)} faults; {tops} (*) have to be caught by {LAYERS_OF_THE_WORST} layers")


def progress(console: Console, outcome: Outcome, number: int, of: int) -> None:
    how = "; ".join(_shown(each) for each in outcome.findings)
    word = "caught  " if outcome.is_caught else "SURVIVED"
    style = "" if outcome.is_caught else "bold red"
    line = f"{number:>3}/{of} {word} {outcome.fault.number:<4} {outcome.fault.name}: {how}"
    console.print(escape(line), style=style, no_wrap=True, overflow="ellipsis", crop=True)


def _shown(found: Finding) -> str:
    if found.verdict is Verdict.MISSED:
        return f"{found.layer} noticed nothing"
    return f"{found.layer} {found.where or found.verdict.value}"


def table(console: Console, outcomes: Sequence[Outcome]) -> None:
    shown = Table(box=None, pad_edge=False)
    shown.add_column("fault", overflow="fold")
    shown.add_column("F")
    shown.add_column("caught by", overflow="fold")
    shown.add_column("s", justify="right")
    for outcome in outcomes:
        by = ", ".join(f"{each.layer}: {_short(each.where)}" for each in outcome.caught_by) or "nothing"
        star = " *" if outcome.fault.is_top else ""
        style = "" if outcome.is_caught else "bold red"
        name, number = f"{outcome.fault.name}{star}", outcome.fault.number
        shown.add_row(name, number, escape(by), f"{outcome.seconds:.1f}", style=style)
    console.print(shown)


def _short(where: str) -> str:
    """The test's own name is enough; of a seed, its number and what was violated."""
    return where.partition("[")[0].rpartition("/")[2] if "::" in where else where[:LONGEST_SHOWN]


def survivors(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Each with what was changed and the command that does it again."""
    for outcome in outcomes:
        fault = outcome.fault
        console.print(f"\nSURVIVED: {fault.name} ({fault.number}): {escape(fault.costs)}", style="bold")
        for found in outcome.findings:
            console.print(f"  {escape(_shown(found))}")
        console.print(escape(outcome.diff), soft_wrap=True)
        console.print(f"again:  ./bot bite --only {fault.name}")
