"""Both books as plain rows: what the exchange wrote down, and what the bot's tables say.

A row is what a line of JSON gives: decimals as strings, times as ISO 8601 in UTC. `num` and `when` turn
them into numbers and times, so that a book read from the database and one read from an export are the same.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
ZERO = Decimal(0)
TABLES = ("dca_assets", "dca_cycles", "dca_orders", "dca_order_attempts", "dca_control")


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """All that an audit looks at.

    `cooldown_ends`: when the bot said that a fallen price ended a cooldown, and at which ask.
    `observations`: how rows of dca_orders looked while it ran. `state`: the exchange's, at the end.
    """

    journal: Sequence[Row]
    assets: Sequence[Row]
    cycles: Sequence[Row]
    orders: Sequence[Row]
    attempts: Sequence[Row] = ()
    control: Sequence[Row] = ()
    cooldown_ends: Sequence[Row] = ()
    observations: Sequence[Row] = ()
    state: Row = field(default_factory=dict)


def num(row: Row, name: str) -> Decimal:
    """A number of a row; an absent one counts as 0."""
    value = row.get(name)
    return ZERO if value is None or value == "" else Decimal(str(value))


def when(row: Row, name: str) -> datetime | None:
    """A time of a row, aware; None if it has none."""
    value = row.get(name)
    if not value:
        return None
    found = datetime.fromisoformat(str(value))
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def flag(row: Row, name: str) -> bool:
    return str(row.get(name)).lower() in {"1", "true"}


_FILES = {
    "journal": "journal.jsonl",
    "assets": "dca_assets.jsonl",
    "cycles": "dca_cycles.jsonl",
    "orders": "dca_orders.jsonl",
    "attempts": "dca_order_attempts.jsonl",
    "control": "dca_control.jsonl",
    "cooldown_ends": "cooldown_ends.jsonl",
    "observations": "observations.jsonl",
}
_STATE = "exchange_state.json"


def export(books: Books, folder: Path) -> None:
    """Write the books as files: one JSON object a line."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in _FILES.items():
        write_lines(folder / file, getattr(books, name))
    (folder / _STATE).write_text(json.dumps(books.state, indent=1) + "\n", encoding="utf-8")


def write_lines(path: Path, rows: Iterable[Row]) -> None:
    lines = (json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


def load(folder: Path) -> Books:
    """Read books that `export` wrote.

    Raises:
        OSError, ValueError: a file is missing or no JSON.
    """
    rows = {
        name: [json.loads(line) for line in (folder / file).read_text(encoding="utf-8").splitlines()]
        for name, file in _FILES.items()
        if (folder / file).exists() or name in {"journal", "assets", "cycles", "orders"}
    }
    state = json.loads((folder / _STATE).read_text(encoding="utf-8")) if (folder / _STATE).exists() else {}
    return Books(**rows, state=state)
