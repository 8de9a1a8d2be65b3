"""No statement grows with history: each one that the product sends runs on two databases, of which the second
has four times the past, and has to read as many rows in both; and its plan is by an index."""

import ast
import contextlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench import history_fill
from dca.core.model import CycleStatus, OrderState
from dca.core.operations import Result
from dca.database import store as store_module
from dca.database.store import Store, Transaction
from dca.runtime.settings import DatabaseSettings
from tests.builders import order
from tests.conftest import SCHEMA, Server, connected
from tests.every_statement import ASLEEP, CALLS, OTHERS, SYMBOLS, Call, World, finding
from tests.rig import INSERT

SMALL, LARGE = 1_500, 6_000
"""Cycles; with 158 s between their ends, 2.7 and 11 days."""
READS_ALL = {
    "profits": "./bot profit adds up all completed cycles, in portions by id",
    "profit_since": "the digest's sums, once a day; the one over all time reads all completed cycles",
}
"""Statements that may read more when there is more, and why."""
WALKS = {
    "first_run_at": "the first entry of the primary key",
    "cycle_reports": "the newest, up to the limit",
    "order_reports": "the newest, up to the limit",
    "actions": "the newest, up to the limit",
    "last_sent_mail": "the newest entry of the index",
    "columns": "the server's own catalog, which MySQL has in tables of its own",
}
"""Statements that read a whole index by its plan, and stop after a few rows: the counters prove it."""
SMALL_TABLES = {"dca_assets", "dca_control", "missing_positions", "schema_migrations", "COLUMNS"}
"""A row per pair, per installation, per missing position, per migration, per column: read as a whole."""
SENDERS = {"_rows", "_write"}
"""What store_statements.py has for it."""
COUNTERS = (
    "Handler_read_first",
    "Handler_read_key",
    "Handler_read_last",
    "Handler_read_next",
    "Handler_read_prev",
    "Handler_read_rnd",
    "Handler_read_rnd_next",
    "Sort_rows",
)
OF_HISTORY = {
    "dca_cycles",
    "dca_orders",
    "dca_order_attempts",
    "job_runs",
    "incidents",
    "mails",
    "operator_actions",
}


# ---- two databases with the same present ----


class _Undo(Exception):
    """Nothing of a call stays."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One that was sent: by which line of which file, and how many rows the server touched for it."""

    sql: str
    args: tuple[Any, ...]
    place: tuple[str, int]
    reads: dict[str, int]


@dataclass
class Recorder:
    """A cursor that notes what goes through it, and what it costs the server."""

    cursor: Any
    sent: list[Statement] = field(default_factory=list)

    def execute(self, sql: str, args: tuple[Any, ...] = ()) -> None:
        self._rows: list[Any] = []
        before = self._counters()
        self.cursor.execute(sql, args)
        self.rowcount, self.lastrowid = self.cursor.rowcount, self.cursor.lastrowid
        if self.cursor.with_rows:
            self._rows, self.column_names = self.cursor.fetchall(), self.cursor.column_names
        after = self._counters()
        reads = {name: after[name] - before[name] for name in COUNTERS}
        self.sent.append(Statement(sql, args, _place(), reads))

    def fetchall(self) -> list[Any]:
        return self._rows

    def _counters(self) -> dict[str, int]:
        names = ", ".join(f"'{name}'" for name in COUNTERS)
        self.cursor.execute(f"SHOW SESSION STATUS WHERE Variable_name IN ({names})")
        return {name: int(value) for name, value in self.cursor.fetchall()}


def _place() -> tuple[str, int]:
    """The line of dca/store*.py from which a statement was sent."""
    frame = sys._getframe(2)
    while frame.f_back is not None and Path(frame.f_code.co_filename).name == "statements.py":
        frame = frame.f_back
    return Path(frame.f_code.co_filename).name, frame.f_lineno


@dataclass(frozen=True)
class Books:
    """A database with a past and with a present that is the same whatever the past."""

    settings: DatabaseSettings
    store: Store
    world: World

    def statements(self, call: Call) -> list[Statement]:
        """What a call sends, twice: the server now and then reads something for itself. Nothing stays."""
        first, second = self._sent(call), self._sent(call)
        return [
            replace(a, reads={name: min(a.reads[name], b.reads[name]) for name in COUNTERS})
            for a, b in zip(first, second, strict=True)
        ]

    def _sent(self, call: Call) -> list[Statement]:
        sent: list[Statement] = []

        def work(tx: Transaction) -> None:
            recorder = Recorder(tx._cursor, sent)
            call(Transaction(recorder), self.world)
            raise _Undo

        with contextlib.suppress(_Undo):
            self.store.transaction(work)
        return sent

    def plan(self, statement: Statement) -> list[dict[str, Any]]:
        def work(tx: Transaction) -> list[dict[str, Any]]:
            return tx._rows(f"EXPLAIN FORMAT=TRADITIONAL {statement.sql}", *statement.args)

        return self.store.transaction(work)


def filled(settings: DatabaseSettings, cycles: int, now: datetime) -> Books:
    store = Store(settings)
    store.run_script(SCHEMA.read_text())
    store.run_script("".join(INSERT.replace("BTC/USD", symbol) for symbol in SYMBOLS))
    connection = connected(settings)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute("SET timestamp = %s", [now.timestamp()])  # both pasts end at the same moment
        for statement in history_fill.statements(history_fill.Past(cycles=cycles), SYMBOLS[:2]):
            cursor.execute(statement)
        cursor.execute(f"UPDATE dca_cycles SET asset_id = {ASLEEP} WHERE id = 1")
        cursor.execute(f"UPDATE dca_orders SET asset_id = {ASLEEP}, symbol = 'SOL/USD' WHERE cycle_id = 1")
    present = store.transaction(lambda tx: _present(tx, now))
    connection = connected(settings)
    with contextlib.closing(connection), connection.cursor() as cursor:
        for table in OF_HISTORY:
            cursor.execute(f"ANALYZE TABLE {table}")
            cursor.fetchall()
    return Books(settings, store, present)


def _present(tx: Transaction, now: datetime) -> World:
    """Two live cycles, an order in flight, one whose fee is assumed, a run, a mail and an incident."""
    ended = tx.order_reports("BTC/USD", 1)[0]
    known = tx.known_orders([ended.client_order_id])[0]
    tx.insert_cycle(1, CycleStatus.WATCHING)
    tx.insert_cycle(2, CycleStatus.WATCHING)
    cycle = tx.live_cycle(1)
    assert cycle is not None
    name = f"dca-abcd1234-{cycle.id}"
    live = tx.insert_order(
        order(id=0, cycle_id=cycle.id, client_order_id=name, created_at=now, last_sent_at=now)
    )
    ghost = replace(live, seq=2, client_order_id=f"{name}-2", state=OrderState.GHOST)
    tx.insert_order(ghost)
    tx.end_run(tx.begin_run("watchdog", now), Result.DONE, now, checked=1, changed=0, details=None)
    tx.insert_mail("a name", "a subject", "a body", now)
    tx.insert_incident(replace(finding(), name="open"), now)
    return World(now=now, cycle=cycle, order=live, ended=known)


@pytest.fixture(scope="module")
def both(server: Server) -> Iterator[tuple[Books, Books]]:
    made = [server.create(), server.create()]
    now = datetime.now(UTC)
    small, large = filled(made[0], SMALL, now), filled(made[1], LARGE, now)
    yield small, large
    for books in (small, large):
        books.store.close()
        server.drop(books.settings)


# ---- the statements ----


def test_every_method_of_a_transaction_is_in_the_collection() -> None:
    methods = {name for name, _ in inspect.getmembers(Transaction, inspect.isfunction) if name[0] != "_"}
    assert methods == set(CALLS) - set(OTHERS)


def test_every_line_that_sends_a_statement_was_reached(both: tuple[Books, Books]) -> None:
    """A branch that sends another statement is a statement of its own."""
    reached = {each.place for call in CALLS.values() for each in both[0].statements(call)}
    lines = list(_sending_lines())
    assert len(lines) > 60
    assert [
        (name, span.start) for name, span in lines if not any((name, line) in reached for line in span)
    ] == []


def test_nobody_else_sends_statements() -> None:
    database = Path(store_module.__file__).parent
    others = [file for file in database.parent.rglob("*.py") if database not in file.parents]
    assert len(others) > 50
    sending = [
        (file.name, word)
        for file in others
        for word in ("._rows(", "._write(", ".execute(")
        if word in file.read_text()
    ]
    assert sending == []


def _sending_lines() -> Iterator[tuple[str, range]]:
    """Of every call that sends a statement: the file and the lines."""
    for file in sorted(Path(store_module.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in SENDERS
            ):
                yield file.name, range(node.lineno, (node.end_lineno or node.lineno) + 1)


def grown(both: tuple[Books, Books]) -> dict[str, list[str]]:
    """Of the calls, those that read more rows where there is more past: which statements, and the counts."""
    found = {}
    for name, call in CALLS.items():
        small, large = (books.statements(call) for books in both)
        assert [each.sql for each in small] == [each.sql for each in large] or name in READS_ALL, name
        worse = [
            f"{b.sql}\n{a.reads}\n{b.reads}" for a, b in zip(small, large, strict=False) if a.reads != b.reads
        ]
        if worse:
            found[name] = worse
    return found


def test_no_statement_reads_more_when_there_is_more_history(both: tuple[Books, Books]) -> None:
    found = grown(both)
    assert {name: what for name, what in found.items() if name not in READS_ALL} == {}


def test_every_plan_uses_an_index(both: tuple[Books, Books]) -> None:
    large = both[1]
    scans = [
        f"{name}: {row['type']} of {row['table']}: {statement.sql}"
        for name, call in CALLS.items()
        if name not in READS_ALL
        for statement in large.statements(call)
        if statement.sql.split()[0] in {"SELECT", "UPDATE", "DELETE"}
        for row in large.plan(statement)
        if _is_scan(row) and not (row["type"] == "index" and name in WALKS)
    ]
    assert scans == []


def _is_scan(row: dict[str, Any]) -> bool:
    """A derived table or a union has what its own rows of the plan let into it."""
    table = row["table"] or ""
    return (
        row["type"] in {"ALL", "index"}
        and table not in SMALL_TABLES
        and not table.startswith(("<derived", "<union"))
    )


MISSED = {
    ("dca_cycles", "end_of_cycle"): {"error_cycles", "cycles_without_mail"},
    ("dca_cycles", "leftover_of_asset"): {"leftover_cycles"},
    ("dca_orders", "fee_source_of_order"): {"orders_with_open_fees"},
    ("dca_orders", "state_of_order"): {"open_orders", "given_up_orders"},
    ("dca_orders", "time_of_order"): {"orders_placed"},
    ("dca_orders", "undecided_order"): {"undecided_orders"},
    ("dca_orders", "order_that_counts"): {"counting_orders", "orders_of_cycles"},
    ("job_runs", "time_of_run"): {"run_starts_since"},
    ("incidents", "end_of_incident"): {"incidents_ended_since"},
    ("mails", "name_of_mail"): {"newest_mails", "last_mail"},
    ("mails", "unsent"): {"unsent_mails", "last_sent_mail"},
    ("operator_actions", "action_on_asset"): {"last_action_at"},
}


@pytest.mark.parametrize(("table", "index"), MISSED)
def test_a_missing_index_is_noticed(
    both: tuple[Books, Books], server: Server, table: str, index: str
) -> None:
    """The counts can go wrong: without the index, more history is more work."""
    if server.is_mysql and index == "time_of_run":
        pytest.skip("MySQL skips from job to job in another index, as quickly")
    row = server.run(f"SHOW CREATE TABLE {both[0].settings.name}.{table}")[0][1]
    (definition,) = [line.strip(" ,") for line in row.splitlines() if f"KEY `{index}`" in line]
    for books in both:
        server.run(f"ALTER TABLE {books.settings.name}.{table} DROP KEY {index}")
    try:
        wanted = {name: CALLS[name] for name in MISSED[table, index]}
        assert {name for name in wanted if _reads(both[0], name) != _reads(both[1], name)} == set(wanted)
    finally:
        for books in both:
            server.run(f"ALTER TABLE {books.settings.name}.{table} ADD {definition}")


def _reads(books: Books, name: str) -> list[dict[str, int]]:
    return [each.reads for each in books.statements(CALLS[name])]
