"""The rows as a table for people and as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.row import Row

WIDTH = 100
"""Columns of what the bench prints."""
_VERDICTS = {True: "[green]yes[/]", False: "[bold red]no[/]", None: "-"}


def show(rows: Sequence[Row], machine: Mapping[str, object], console: Console) -> None:
    """The figures, and below them a line each that says how they were made, and on what machine."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("part", no_wrap=True)
    table.add_column("what", overflow="fold", min_width=22)
    for name in ("ours\np50 / p99", "floor\np50 / p99", "ratio"):
        table.add_column(name, justify="right")
    table.add_column("goal", overflow="fold")
    table.add_column("met", justify="right")
    for row in rows:
        table.add_row(
            row.part,
            escape(f"{row.name}, {row.unit}" if row.unit else row.name),
            pair(row.ours, row.ours_p99),
            "" if row.floor is None else pair(row.floor, row.floor_p99),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            escape(row.goal),
            _VERDICTS[row.met],
        )
    console.print(table)
    for row in rows:
        if row.about:
            console.print(escape(f"{row.part}, {row.name}: {row.about}"))
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items())
    console.print(escape(f"machine: {said}"))


def pair(median: float, p99: float | None) -> str:
    return figure(median) if p99 is None else f"{figure(median)} / {figure(p99)}"


def figure(value: float) -> str:
    """Three digits that matter; whole numbers whole."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 if abs(value) < 10 else 1
    return f"{value:.{digits}f}" if abs(value) >= 0.1 else f"{value:.2g}"


def write_json(rows: Sequence[Row], machine: Mapping[str, object], file: Path) -> None:
    """Raises:
    OSError: the file cannot be written.
    """
    document = {"machine": dict(machine), "rows": [{**asdict(row), "ratio": row.ratio} for row in rows]}
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
