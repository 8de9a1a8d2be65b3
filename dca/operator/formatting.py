"""How numbers, times and tables look on the operator's screen, and as JSON."""

import json
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Any

from rich.box import Box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dca.core.model import cents, plain

NONE = "-"
_BOX = Box("    \n    \n ── \n    \n ── \n    \n    \n    \n")
"""A line below the head and between sections, and nothing else."""


def dollars(amount: Decimal | None) -> str:
    """With two digits and thousands apart; the sign is only shown when it is a minus."""
    return NONE if amount is None else f"{cents(amount):,.2f}"


def round_dollars(amount: Decimal | None, *, cents_below: int = 10_000) -> str:
    """As `dollars`; without cents from there up, for narrow columns."""
    return f"{amount:,.0f}" if amount is not None and abs(amount) >= cents_below else dollars(amount)


def coins(qty: Decimal | None) -> str:
    """Nine digits or nine decimals, cut off, without zeros at the end."""
    if qty is None:
        return NONE
    decimals = min(9, max(0, 8 - qty.adjusted()))
    return plain(qty.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN) + 0)


def price(value: Decimal | None) -> str:
    """Dollars per coin: two decimals from $100 up, else about six digits."""
    if value is None:
        return NONE
    digits = 2 if value == 0 else max(2, min(9, 5 - value.adjusted()) if abs(value) < 100 else 2)
    return f"{value:,.{digits}f}"


def percent(value: Decimal | None, digits: int = 2) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"


def when(at: datetime | None, now: datetime, *, seconds: bool = False) -> str:
    """A UTC time for a narrow column: of another year only the day."""
    if at is None:
        return NONE
    if at.year != now.year:
        return f"{at:%Y-%m-%d}"
    return f"{at:%m-%d %H:%M:%S}" if seconds else f"{at:%m-%d %H:%M}"


def span(length: timedelta | None) -> str:
    """How long something took: the two largest units."""
    if length is None:
        return NONE
    seconds = max(0, int(length.total_seconds()))
    for unit, size, smaller, smaller_size in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}{seconds % size // smaller_size:02}{smaller}"
    return f"{seconds // 60}m{seconds % 60:02}s" if seconds >= 60 else f"{seconds}s"


def table(left: Sequence[str], right: Sequence[str], *, after: Sequence[str] = ()) -> Table:
    """An empty table: columns of text, of numbers (right-aligned), and of text again."""
    made = Table(box=_BOX, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in left:
        made.add_column(name, no_wrap=True, vertical="bottom")
    for name in right:
        made.add_column(name, justify="right", no_wrap=True, vertical="bottom")
    for name in after:
        made.add_column(name, vertical="bottom")
    return made


def fits(console: Console, made: Table) -> bool:
    """Whether a table is narrow enough; one that is not gives up the second space between its columns."""
    if _width(console, made) > console.width:
        made.padding = (0, 0, 0, 0)
    return _width(console, made) <= console.width


def _width(console: Console, made: Table) -> int:
    unbounded = console.options.update(max_width=10_000)
    return console.measure(made, options=unbounded).maximum


def whole(console: Console, made: Table) -> Table:
    """The table so that no cell of it is ever cut: on a screen that is too narrow its lines run over."""
    made.width = max(_width(console, made), made.width or 0)
    return made


def show(console: Console, *tables: Table) -> None:
    """Print the first table that fits the screen, or else the last one, between empty lines."""
    made = next((each for each in tables if fits(console, each)), tables[-1])
    console.print()
    console.print(whole(console, made), crop=False)
    console.print()


def tell(console: Console, text: str, style: str | None = None) -> None:
    """Print words that may hold brackets: nothing in them is markup."""
    console.print(escape(text), style=style)


def fact(console: Console, name: str, text: str) -> None:
    """Print a name and what is to be said of it, each in a column of its own."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, min_width=13)
    grid.add_column(overflow="fold")
    grid.add_row(Text(name), Text(text))
    console.print(grid)


def complain(text: str) -> None:
    """Print words to standard error: on a terminal broken between words, else in one line."""
    on_a_terminal = sys.stderr.isatty()
    screen = Console(stderr=True, highlight=False, color_system=None)
    screen.print(text, markup=False, emoji=False, soft_wrap=not on_a_terminal)


def plain_value(value: Any) -> Any:
    """A value as JSON has it: numbers that must stay exact are text, times ISO with Z."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple):
        return [record(each) if is_dataclass(each) else plain_value(each) for each in value]
    return value


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def record(value: Any, **more: Any) -> dict[str, Any]:
    """A dataclass as a JSON object, with `more` beside its fields."""
    whole = {field.name: getattr(value, field.name) for field in fields(value)} | more
    return {name: plain_value(each) for name, each in whole.items()}


def print_json(content: Any) -> None:
    print(json.dumps(content, indent=1))
