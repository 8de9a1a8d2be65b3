"""What the demo prints: lines as they come, and at the end the table of cycles."""

import sys
from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from demo.numbers import money, price
from demo.results import Result, of_ended, of_open, total
from demo.rows import Books
from demo.view import Fact
from launcher.output import wrapped

STYLES = {"good": "green", "bad": "red", "buy": "cyan", "sell": "magenta", "market": "yellow"}
LEAST_WIDTH = 80
"""Of the table: what is narrower lets its lines run over."""
_HEADS = ("asset", "cycle", "safety", "bought for", "average", "sold at", "fees", "net profit")


class Terminal:
    """Plain lines; on a terminal with colors, and broken between words."""

    def __init__(self) -> None:
        self._tty = sys.stdout.isatty()
        self._console = Console(
            width=None if self._tty else LEAST_WIDTH,
            highlight=False,
            color_system="auto" if self._tty else None,
        )

    def line(self, text: str = "", kind: str = "", *, indent: int = 2) -> None:
        """Print a line; `indent`: of what does not fit into it."""
        if self._tty:
            text = wrapped(text, self._console.width, indent)
        self._console.print(text, style=STYLES.get(kind), markup=False, emoji=False, soft_wrap=True)
        sys.stdout.flush()

    def fact(self, fact: Fact) -> None:
        self.line(str(fact), fact.kind, indent=len(str(fact)) - len(fact.text))

    def cycles(self, books: Books) -> None:
        """Every cycle that bought something: those that have ended, those that are open, at what they would
        bring now, and what all come to; with the fees as the exchange took them."""
        ended, still_open = of_ended(books), of_open(books)
        if not ended and not still_open:
            return
        made = table(ended, still_open)
        self._console.print(made, width=max(self._console.width, LEAST_WIDTH), crop=False)
        if still_open:
            self.line("Open cycles are valued at the bid, after the fee of a sale.")


def table(ended: Sequence[Result], still_open: Sequence[Result]) -> Table:
    """At most 80 columns wide, whatever the prices."""
    made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in _HEADS:
        made.add_column(name, justify="left" if name == "asset" else "right", no_wrap=True)
    for result in (*ended, *still_open):
        is_open = result in still_open
        made.add_row(
            result.symbol,
            result.cycle,
            str(result.safety_orders),
            money(result.bought_for),
            _price(result.average),
            "open" if is_open else _price(result.sold_at),
            money(result.fees),
            money(result.profit),
        )
    _add_total(made, "complete" if still_open else "total", ended)
    if still_open:
        _add_total(made, "open", still_open)
        _add_total(made, "total", [*ended, *still_open])
    return made


def _price(value: Decimal | None) -> str:
    return "-" if value is None else price(value)


def _add_total(made: Table, name: str, results: Sequence[Result]) -> None:
    found = total(results)
    amounts = (money(found.bought_for), "", "", money(found.fees), money(found.profit))
    made.add_row(name, "", "", *amounts, style="bold")
