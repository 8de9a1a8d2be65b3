"""./bot export: cycles, orders and fills as CSV files, however many there are."""

import argparse
import csv
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

from dca.core.errors import StartRefused
from dca.core.interfaces import Clock
from dca.core.report_rows import CycleReport, FillReport, OrderReport
from dca.database.store import Store, Transaction
from dca.operator import formatting
from dca.operator.session import Command, Tools

PAGE = 1000
PROGRESS_SECONDS = 1.0
STANDARD_OUTPUT = Path("-")

Row = CycleReport | OrderReport | FillReport


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """A kind of rows: its type, and how a page of it is read after an id."""

    cls: type[Row]
    page: Callable[[Transaction, int, int], Sequence[Row]]


KINDS = {
    "cycles": What(cls=CycleReport, page=lambda tx, last_id, limit: tx.cycles_after(last_id, limit)),
    "orders": What(cls=OrderReport, page=lambda tx, last_id, limit: tx.orders_after(last_id, limit)),
    "fills": What(cls=FillReport, page=lambda tx, last_id, limit: tx.fills_after(last_id, limit)),
}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--csv",
        metavar="PATH",
        nargs="?",
        type=Path,
        default=None,
        help="a file that ends in .csv, - for standard output, or a folder for one file of each kind "
        "(default: a folder export-DATE here)",
    )
    parser.add_argument(
        "--what", choices=list(KINDS), help="one kind of rows (default: all in a folder, else cycles)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")


def _export(given: argparse.Namespace, tools: Tools) -> int:
    if given.csv == STANDARD_OUTPUT:
        return _print(tools, given.what or "cycles")
    given.csv = given.csv or Path(f"export-{tools.clock.now():%Y-%m-%d}")
    targets = targets_of(given.csv, given.what)
    try:
        for path in targets.values():
            if path.exists() and not given.force:
                raise StartRefused(f"{path} is there already: give --force to overwrite it, or another name")
        next(iter(targets.values())).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, path in targets.items():
            count = write(path, KINDS[name].cls, _rows(tools, name), force=given.force)
            formatting.tell(tools.console, f"{count:,} {name} -> {path}")
    except FileExistsError as error:
        raise StartRefused(f"{error.filename} is there already: give --force to overwrite it") from error
    except OSError as error:
        raise StartRefused(f"{error.filename or given.csv}: {error.strerror}") from error
    return 0


def _print(tools: Tools, what: str) -> int:
    """The rows and nothing else on standard output; a reader who has had enough may leave."""
    sys.stdout.reconfigure(newline="")  # type: ignore[union-attr]
    try:
        _write_rows(sys.stdout, KINDS[what].cls, _rows(tools, what))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def targets_of(path: Path, what: str | None) -> dict[str, Path]:
    """Which kind of rows goes to which file."""
    if path.suffix.lower() == ".csv" and not path.is_dir():
        return {what or "cycles": path}
    return {name: path / f"{name}.csv" for name in ([what] if what else KINDS)}


def _rows(tools: Tools, name: str) -> Iterator[Row]:
    """All rows by id, a page at a time, with a word on standard error every second."""
    return _told(_paged(tools.store, KINDS[name]), name, tools.clock)


def _paged(store: Store, what: What) -> Iterator[Row]:
    last_id = 0
    while True:
        page = _page(store, what, last_id)
        yield from page
        if len(page) < PAGE:
            return
        last_id = page[-1].id


def _page(store: Store, what: What, after: int) -> Sequence[Row]:
    return store.transaction(lambda tx: what.page(tx, after, PAGE))


def _told(rows: Iterator[Row], name: str, clock: Clock) -> Iterator[Row]:
    told_at = clock.monotonic()
    for count, row in enumerate(rows, start=1):
        yield row
        if count % PAGE == 0 and clock.monotonic() - told_at >= PROGRESS_SECONDS:
            told_at = clock.monotonic()
            print(f"  {name}: {count:,} so far", file=sys.stderr)


def write(path: Path, cls: type[Row], rows: Iterator[Row], *, force: bool) -> int:
    """Write a file whole or not at all, readable by its owner only; returns how many rows it has.

    Raises:
        FileExistsError: it is there, and `force` was not given.
        OSError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    if not force:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # the name is taken from here on
    done = False
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", newline="") as file:
            count = _write_rows(file, cls, rows)
        part.replace(path)
        done = True
    finally:
        if not done:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            if not force:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
    return count


def _write_rows(file: IO[str], cls: type[Row], rows: Iterator[Row]) -> int:
    names = [field.name for field in fields(cls)]
    writer = csv.writer(file)  # CR LF: with it, a lone CR or LF in a cell is quoted
    writer.writerow(names)
    count = 0
    for row in rows:
        writer.writerow([cell(_value(row, name)) for name in names])
        count += 1
    return count


def _value(row: Row, name: str) -> Any:
    """A column of a row. A cycle that has not ended has no profit yet, only costs."""
    if name == "net_profit" and isinstance(row, CycleReport) and row.completed_at is None:
        return None
    return getattr(row, name)


def cell(value: Any) -> Any:
    """A value as text: numbers exact, times ISO in UTC, nothing as an empty cell.

    Text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    if isinstance(value, str):
        return (
            f"'{value}" if value.lstrip()[:1] in {"=", "+", "-", "@"} or value[:1] in {"\t", "\r"} else value
        )
    plain = formatting.plain_value(value)
    return "" if plain is None else plain


COMMAND = Command(help="cycles, orders and fills as CSV", add_arguments=_arguments, run=_export)
