"""A sheet of rows whose cells come in pairs: beside each other where the screen is wide enough, otherwise one
above the other, so that it fits 80 columns. Nothing is ever cut."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dca.operator import formatting

Cell = str | Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The heads of two columns; an empty `bottom` has no column of its own where there is room."""

    top: str
    bottom: str = ""
    is_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A pair of cells for each pair of heads."""

    cells: Sequence[tuple[Cell, Cell]]
    style: str | None = None


@dataclass(slots=True, kw_only=True)
class Sheet:
    """Heads and rows."""

    pairs: Sequence[Pair]
    rows: list[Row] = field(default_factory=list)

    def add(self, *cells: tuple[Cell, Cell], style: str | None = None) -> None:
        self.rows.append(Row(cells=cells, style=style))

    def beside(self) -> Table:
        """One line a row."""
        made = formatting.table([], [])
        for pair in self.pairs:
            for head in filter(None, (pair.top, pair.bottom)):
                _column(made, head, pair)
        for row in self.rows:
            cells = zip(self.pairs, row.cells, strict=True)
            flat = [[top, bottom] if pair.bottom else [top] for pair, (top, bottom) in cells]
            made.add_row(*(each for pair in flat for each in pair), style=row.style)
        return made

    def stacked(self) -> Table:
        """Two lines a row."""
        made = formatting.table([], [])
        for pair in self.pairs:
            _column(made, f"{pair.top}\n{pair.bottom}", pair)
        for row in self.rows:
            made.add_row(*(_above(top, bottom) for top, bottom in row.cells), style=row.style)
        return made

    def show(self, console: Console, *narrower: Table) -> None:
        """Print it between empty lines; `narrower`: what comes after two lines a row."""
        formatting.show(console, self.beside(), self.stacked(), *narrower)


def _column(made: Table, head: str, pair: Pair) -> None:
    made.add_column(head, no_wrap=True, vertical="top", justify="left" if pair.is_text else "right")


def _above(top: Cell, bottom: Cell) -> Text:
    return Text("\n").join(_text(each) for each in (top, bottom))


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)
