"""What a run says: a line now and then, the table of figures at the end, every violation."""

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from demo.audit import Violation
from proof.chaos.kinds import totals
from proof.chaos.watch import Recovery


@dataclass(slots=True, kw_only=True)
class Figures:
    """Everything that is told at the end."""

    seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    troubles: Mapping[str, int] = field(default_factory=dict)
    duties: Mapping[str, int] = field(default_factory=dict)
    passed_over: Mapping[str, int] = field(default_factory=dict)
    runs: Mapping[str, int] = field(default_factory=dict)
    recoveries: Sequence[Recovery] = ()
    trading_part: float = 0.0
    checks: int = 0
    cycles: int = 0
    errors: int = 0
    orders: int = 0
    executions: int = 0
    requests: int = 0
    again: Mapping[str, float | None] = field(default_factory=dict)
    rest_seconds: float = 0.0


class Terminal:
    """Lines of at most 100 columns, in colors where there are any."""

    def __init__(self) -> None:
        width = Console().width if sys.stdout.isatty() else 100
        self._console = Console(width=min(max(width, 60), 100), highlight=False)

    def line(self, text: str = "", style: str | None = None) -> None:
        self._console.print(text, style=style, markup=False, soft_wrap=True)
        sys.stdout.flush()  # somebody may be reading a file

    def violation(self, found: Violation) -> None:
        self.line(str(found), "bold red")

    def figures(self, figures: Figures) -> None:
        table = Table(title="chaos: what happened", title_justify="left", show_header=False)
        for name, text in _rows(figures):
            table.add_row(name, text)
        self._console.print(table)


def _rows(figures: Figures) -> list[tuple[str, str]]:
    sums = totals(figures.counts)
    rows = [
        ("time under faults", f"{figures.seconds:.0f} s"),
        ("kill -9", f"{sums.get('kill -9', 0)} ({_only(figures.counts, 'kill.')})"),
        (
            "database restarts",
            f"{sums.get('restarts', 0)} (of them kill -9: {figures.counts.get('kill.database', 0)})",
        ),
        ("SIGSTOP", f"{sums.get('pauses', 0)} ({_only(figures.counts, 'pause.')})"),
        ("network faults", f"{sums.get('network', 0)} ({_only(figures.counts, 'net.')})"),
        ("exchange faults", _only(figures.counts, "exchange.")),
        ("", _all(figures.troubles)),
        ("clock, disk, mail, read only", _all(_others(figures.counts))),
        ("a person's acts", _only(figures.counts, "person.")),
        ("a person's duties", _all(figures.duties)),
        ("runs of caretakers", _all(figures.runs)),
        ("part of the time that it traded", f"{figures.trading_part:.0%}"),
        *_recovery_rows(figures.recoveries),
        ("cycles complete, in error", f"{figures.cycles}, {figures.errors}"),
        ("orders, executions", f"{figures.orders}, {figures.executions}"),
        ("requests that the exchange saw", str(figures.requests)),
        ("looks at class S while it ran", str(figures.checks)),
        ("until each asset traded again", _again(figures.again)),
        ("until all was at rest", f"{figures.rest_seconds:.0f} s"),
    ]
    if figures.passed_over:
        rows.append(("not possible when drawn", _all(figures.passed_over)))
    return [(name, text) for name, text in rows if text]


def _recovery_rows(recoveries: Sequence[Recovery]) -> list[tuple[str, str]]:
    done = [each for each in recoveries if each.seconds is not None]
    alone = [each for each in done if not each.disturbed and not each.left_down]
    down = [each for each in done if each.left_down]
    rows = [
        ("back to trading after kill -9", _spread(done)),
        ("  with nothing else wrong", _spread(alone)),
        ("  left down, a person started it", _spread(down) if down else "never"),
    ]
    never = len(recoveries) - len(done)
    if never:
        rows.append(("  not back at the end", str(never)))
    return rows


def _spread(recoveries: Sequence[Recovery]) -> str:
    seconds = sorted(each.seconds for each in recoveries if each.seconds is not None)
    if not seconds:
        return "none"
    late = seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]
    return (
        f"median {statistics.median(seconds):.1f} s, 99 % within {late:.1f} s, worst {seconds[-1]:.1f} s "
        f"({len(seconds)} times)"
    )


def _only(counts: Mapping[str, int], prefix: str) -> str:
    return _all({kind.removeprefix(prefix): n for kind, n in counts.items() if kind.startswith(prefix)})


def _others(counts: Mapping[str, int]) -> dict[str, int]:
    known = ("kill.", "restart.", "pause.", "net.", "exchange.", "person.")
    return {kind: n for kind, n in counts.items() if not kind.startswith(known)}


def _all(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))


def _again(took: Mapping[str, float | None]) -> str:
    return ", ".join(f"{s} {'never' if t is None else f'{t:.0f} s'}" for s, t in took.items())
