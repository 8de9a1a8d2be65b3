"""What the test prints: each scenario as it is played, and the summary."""

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rich.console import Console
from rich.table import Table

from integration.options import LOUD, NORMAL

WIDTH = 100
_LABEL = 14
_WHY = 120
"""The summary tells no more; the rest stands above it."""


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "FAILED"
    SKIPPED = "skipped"


STYLES = {Verdict.PASSED: "green", Verdict.FAILED: "bold red", Verdict.SKIPPED: "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a scenario ended. `seconds`: how long it took; `why`: what was not seen, or why it was left out."""

    number: int
    name: str
    verdict: Verdict
    seconds: float
    sights: int
    why: str = ""


class Report:
    """Lines of at most a hundred columns; colors only where a terminal reads them."""

    def __init__(self, loudness: int) -> None:
        self._loudness = loudness
        self._sights = 0
        tty = sys.stdout.isatty()
        self._console = Console(
            width=None if tty else WIDTH, highlight=False, color_system="auto" if tty else None
        )

    def line(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style, markup=False, emoji=False, soft_wrap=True)
        sys.stdout.flush()

    def stage(self, text: str) -> None:
        """Something about set-up or clean-up."""
        if self._loudness >= NORMAL:
            self._entry("stage", text, "dim")

    def announce(self, text: str) -> None:
        """Something that has to be read, however quiet."""
        self.line(textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False), "yellow")

    def begin(self, number: int, name: str, prerequisite: str, action: str, expects: Sequence[str]) -> None:
        self._sights = 0
        if self._loudness < NORMAL:
            return
        self.line("")
        self.line(f"{number:2}  {name}", "bold")
        self._entry("prerequisite", prerequisite)
        self._entry("action", action)
        for place, text in enumerate(expects, start=1):
            self._entry("expects" if place == 1 else "", f"{place}. {text}")

    def does(self, text: str) -> None:
        if self._loudness >= NORMAL:
            self._entry("does", text, "cyan")

    def saw(self, text: str) -> None:
        self._sights += 1
        if self._loudness >= NORMAL:
            self._entry("saw", text)

    def said(self, text: str) -> None:
        """A line that a script printed."""
        if self._loudness >= LOUD:
            self._entry("", f"| {text}", "dim")

    def end(
        self, number: int, name: str, verdict: Verdict, seconds: float, why: str, details: Sequence[str]
    ) -> Outcome:
        if self._loudness >= NORMAL:
            self._entry(
                "verdict", f"{verdict} in {seconds:.1f} s{f': {why}' if why else ''}", STYLES[verdict]
            )
        elif verdict is not Verdict.PASSED:
            self.line(
                textwrap.fill(f"{number:2}  {name}: {verdict}: {why}", WIDTH, subsequent_indent="    "),
                STYLES[verdict],
            )
        for detail in details:
            self._entry("", detail, "dim")
        return Outcome(
            number=number, name=name, verdict=verdict, seconds=seconds, sights=self._sights, why=why
        )

    def summary(self, outcomes: Sequence[Outcome], planned: int, where: str, seconds: float) -> None:
        """`planned`: how many were to be played; fewer were when the run was interrupted."""
        table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
        table.add_column("#", justify="right")
        table.add_column("scenario", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        table.add_column("s", justify="right")
        table.add_column("seen", justify="right")
        table.add_column("why")
        for each in outcomes:
            style = STYLES[each.verdict]
            table.add_row(
                str(each.number),
                each.name,
                f"[{style}]{each.verdict}[/]",
                f"{each.seconds:.1f}",
                str(each.sights),
                textwrap.shorten(each.why, _WHY, placeholder=" ...").replace("[", "\\["),
            )
        self.line("")
        self._console.print(table)
        counts = {verdict: sum(each.verdict is verdict for each in outcomes) for verdict in Verdict}
        told = ", ".join(f"{count} {verdict.lower()}" for verdict, count in counts.items() if count)
        missing = planned - len(outcomes)
        told += f", {missing} not played" if missing else ""
        bad = counts[Verdict.FAILED] > 0 or missing > 0
        self.line(f"integration test on {where}: {told} in {seconds:.0f} s", "bold red" if bad else "green")

    def _entry(self, label: str, text: str, style: str = "") -> None:
        wrapped = textwrap.fill(
            text,
            WIDTH,
            initial_indent=f"    {label:<{_LABEL}}",
            subsequent_indent=" " * (4 + _LABEL),
            break_on_hyphens=False,
        )
        self.line(wrapped, style)
