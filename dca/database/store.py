"""The database: plain SQL behind the Store that the trader asks for. The only user of mysql.connector.

A transaction function may run more than once: after a deadlock, a lock wait that was too long, or a
lost connection whose commit may or may not have happened. It is safe to, because every one of them
reads anew, under lock, and writes absolute values under ids that follow from the row (design.md 8).
"""

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, TypeVar

import mysql.connector
from mysql.connector import errorcode

from dca.core.errors import BrokenRule, DatabaseUnavailable, LostRace, OtherSchema, OurBug, RowGone
from dca.core.ledger import unknown_word
from dca.core.model import Asset, Control, Cycle, CycleStatus, LockKind, Order
from dca.database.connections import Connections, is_lost, opened, remedy
from dca.database.operations_tables import Journal
from dca.database.operator_writes import Editing
from dca.database.report_queries import Reports
from dca.database.rows import COUNTING, OPEN, SELLABLE, asset_from, columns, control_from, value_from
from dca.database.snapshot_queries import Looks
from dca.runtime.settings import DatabaseSettings

R = TypeVar("R")

SCHEMA_VERSION = 14
"""The newest file of sql/migrations that this code needs."""

_TRIES = 5
_SCRIPT_SECONDS = 4 * 3600
"""How long one statement of a migration may take."""
_RERUN = {errorcode.ER_LOCK_DEADLOCK, errorcode.ER_LOCK_WAIT_TIMEOUT, 1020, 1317}
# A table, column, key or rule that is there already, or is not there to be dropped. A statement that alters a
# table does all of it or nothing.
_DONE_BEFORE = frozenset({1050, 1060, 1061, 1091, 1826, 3821, 3822})
# 1020: MariaDB 11.6+ (innodb_snapshot_isolation). CHECK failed: MariaDB 4025, MySQL 3819.
_CHECK_FAILED = {4025, 3819}
_NO_CONTROL = (
    "the row of dca_control is gone: put it back from a backup, or INSERT INTO dca_control (id, install_id)"
    " VALUES (1, '...') with the eight letters that follow dca- in the newest client_order_id of dca_orders"
)
# Beside another reason than the one they were written with, these are of a lock that was cleared by hand.
_OF_THE_LOCK = (
    "IF(lock_checksum = CRC32(lock_reason), lock_kind, NULL) AS lock_kind,"
    " IF(lock_checksum = CRC32(lock_reason), locked_at, NULL) AS locked_at"
)
_ASSET = f"{', '.join(columns(Asset, but=frozenset({'lock_kind', 'locked_at'})))}, {_OF_THE_LOCK}"
_CYCLE = ", ".join(columns(Cycle))
_ORDER = ", ".join(columns(Order))
_NEW_ORDER = columns(Order, but=frozenset({"id"}))
_OF_ORDER = columns(Order, but=frozenset({"id", "version"}))
_OF_CYCLE = columns(Cycle, but=frozenset({"id", "version", "asset_id"}))
_MARKS = ", ".join(["%s"] * len(_NEW_ORDER))


class Transaction(Journal, Editing, Reports, Looks):
    """What can be read and written inside one transaction. Lock order: control, cycle, orders."""

    def control(self) -> Control:
        """The installation's row, held still (but shared) until the end of the transaction."""
        names = ", ".join(columns(Control))
        rows = self._rows(f"SELECT {names} FROM dca_control LOCK IN SHARE MODE")
        if not rows:
            raise DatabaseUnavailable(_NO_CONTROL)
        return control_from(rows[0])

    def asset(self, asset_id: int) -> Asset | None:
        rows = self._rows(f"SELECT {_ASSET} FROM dca_assets WHERE id = %s", asset_id)
        return asset_from(rows[0]) if rows else None

    def live_cycle(self, asset_id: int) -> Cycle | None:
        """The asset's live cycle, locked."""
        rows = self._rows(f"SELECT {_CYCLE} FROM dca_cycles WHERE live_asset_id = %s FOR UPDATE", asset_id)
        return value_from(Cycle, rows[0]) if rows else None

    def cycle(self, cycle_id: int) -> Cycle:
        """Any cycle, locked.

        Raises:
            RowGone: there is none of that id.
        """
        rows = self._rows(f"SELECT {_CYCLE} FROM dca_cycles WHERE id = %s FOR UPDATE", cycle_id)
        if not rows:
            raise RowGone(f"cycle {cycle_id} is not in the database any more")
        return value_from(Cycle, rows[0])

    def orders(self, cycle_id: int) -> list[Order]:
        """All orders of a locked cycle, oldest first."""
        rows = self._rows(
            f"SELECT {_ORDER} FROM dca_orders WHERE cycle_id = %s ORDER BY seq FOR UPDATE", cycle_id
        )
        return [value_from(Order, row) for row in rows]

    def counting_orders(self, cycle_id: int, also: str | None = None) -> list[Order]:
        """The orders that make a locked cycle what it is, oldest first: those that may fill or have, its
        last, and the last that the exchange knows; and the one of its that has the client order id `also`.

        A base order that nobody fills makes 288 others a day.
        """
        rows = self._rows(
            f"SELECT {_ORDER} FROM ({COUNTING}) AS counting JOIN dca_orders USING (id)"
            " ORDER BY seq FOR UPDATE",
            *(cycle_id, cycle_id, cycle_id, also, cycle_id),
        )
        return [value_from(Order, row) for row in rows]

    def cycle_of_order(self, client_order_id: str) -> int | None:
        """Which cycle an order of ours belongs to; None for an id that the ledger does not know."""
        rows = self._rows("SELECT cycle_id FROM dca_orders WHERE client_order_id = %s", client_order_id)
        return int(rows[0]["cycle_id"]) if rows else None

    def insert_order(self, order: Order) -> Order:
        """Write an order before it is sent, with its first attempt; returns it with its id.

        Raises:
            LostRace: the asset has a live order already, or the id is used.
        """
        names = ", ".join(_NEW_ORDER)
        values = [getattr(order, name) for name in _NEW_ORDER]
        self._write(f"INSERT INTO dca_orders ({names}) VALUES ({_MARKS})", values)
        order_id = int(self._cursor.lastrowid)
        self.insert_attempt(order_id, 1, order.last_sent_at)
        rows = self._rows(f"SELECT {_ORDER} FROM dca_orders WHERE id = %s", order_id)
        return value_from(Order, rows[0])

    def update_order(self, order: Order) -> None:
        self._update("dca_orders", order, _OF_ORDER)

    def insert_cycle(
        self, asset_id: int, status: CycleStatus, cooldown_started_at: datetime | None = None
    ) -> None:
        """Begin an asset's next cycle.

        Raises:
            LostRace: the asset has a live cycle already.
        """
        self._write(
            "INSERT INTO dca_cycles (asset_id, status, cooldown_started_at) VALUES (%s, %s, %s)",
            [asset_id, status, cooldown_started_at],
        )

    def update_cycle(self, cycle: Cycle) -> None:
        self._update("dca_cycles", cycle, _OF_CYCLE, SELLABLE if cycle.status is CycleStatus.COMPLETE else "")

    def _update(self, table: str, value: Cycle | Order, names: tuple[str, ...], more: str = "") -> None:
        """Write a row that was read under lock; the version says that it still is the one read. A row with a
        word that is not known stays as it is: a person has to put that right first."""
        if unknown_word(value) is not None:
            return
        assigned = ", ".join(f"{name} = %s" for name in names)
        changed = self._write(
            # From the last version that the table takes, which a person wrote, it goes on at the first.
            f"UPDATE {table} SET {assigned}{more}, version = IF(version < 2000000000, version + 1, 0)"
            " WHERE id = %s AND version = %s",
            [*(getattr(value, name) for name in names), value.id, value.version],
        )
        if changed != 1:
            raise OurBug(f"{table} row {value.id} is not at version {value.version} any more")

    def insert_attempt(self, order_id: int, attempt: int, sent_at: datetime) -> None:
        self._write(
            "INSERT INTO dca_order_attempts (order_id, attempt, sent_at) VALUES (%s, %s, %s)",
            [order_id, attempt, sent_at],
        )

    def answer_attempt(self, order_id: int, attempt: int, answer: str) -> None:
        self._write(
            "UPDATE dca_order_attempts SET answer = %s WHERE order_id = %s AND attempt = %s"
            " AND answer IS NULL",
            [answer, order_id, attempt],
        )

    def expire_attempts(self, order_id: int, sent_before: datetime) -> None:
        """Note that attempts sent before then can no longer land."""
        self._write(
            "UPDATE dca_order_attempts SET answer = 'expired'"
            " WHERE order_id = %s AND answer IS NULL AND sent_at < %s",
            [order_id, sent_before],
        )

    def attempts(self, order_id: int) -> tuple[int, int]:
        """How often an order was sent, and how many of those are unanswered."""
        row = self._rows(
            "SELECT COUNT(*) AS sent, COALESCE(SUM(answer IS NULL), 0) AS unanswered"
            " FROM dca_order_attempts WHERE order_id = %s",
            order_id,
        )[0]
        return int(row["sent"]), int(row["unanswered"])

    def set_last_sell_price(self, asset_id: int, price: Decimal | None) -> None:
        """With it goes a lock_kind that got past the rules: they would refuse the whole row."""
        self._write(
            "UPDATE dca_assets SET last_sell_price = %s,"
            " lock_kind = IF(CAST(lock_kind AS BINARY) IN ('break', 'crash'), lock_kind, NULL) WHERE id = %s",
            [price, asset_id],
        )

    def lock_asset(self, asset_id: int, reason: str, now: datetime, kind: LockKind = LockKind.BREAK) -> bool:
        """Stop trading an asset; False if it was stopped before."""
        return bool(
            self._write(
                "UPDATE dca_assets SET lock_reason = %s, lock_kind = %s, locked_at = %s,"
                " lock_checksum = CRC32(lock_reason) WHERE id = %s AND lock_reason IS NULL",
                [reason[:500], kind, now, asset_id],
            )
        )

    def unlock_asset(self, asset_id: int) -> bool:
        """Trade an asset again; False if it was not stopped."""
        return bool(
            self._write(
                "UPDATE dca_assets SET lock_reason = NULL, lock_kind = NULL, locked_at = NULL,"
                " lock_checksum = NULL WHERE id = %s AND lock_reason IS NOT NULL",
                [asset_id],
            )
        )

    def next_epoch(self, account_id: str, made_at: datetime | None = None) -> Control:
        """Count a start of main_app, and bind the database to the account on the first one."""
        self._write(
            "UPDATE dca_control SET epoch = epoch + 1, account_id = COALESCE(account_id, %s),"
            " account_made_at = COALESCE(account_made_at, %s)",
            [account_id, made_at],
        )
        return self.control()

    def assets(self) -> list[Asset]:
        return [asset_from(row) for row in self._rows(f"SELECT {_ASSET} FROM dca_assets ORDER BY id")]

    def live_cycles(self) -> list[Cycle]:
        """Not locked: for looking, not for writing."""
        sql = f"SELECT {_CYCLE} FROM dca_cycles WHERE live_asset_id IS NOT NULL"
        return [value_from(Cycle, row) for row in self._rows(sql)]

    def open_orders(self) -> list[Order]:
        """Orders that may still fill, as far as we know. Not locked."""
        return [value_from(Order, row) for row in self._rows(f"SELECT {_ORDER} FROM dca_orders WHERE {OPEN}")]


class Store:
    """Transactions, each on a connection to itself: of its own, or of those that a process shares.

    One store is for one thread. `goes_first`: where connections are few, it does not wait behind others.
    """

    def __init__(
        self, settings: DatabaseSettings, connections: Connections | None = None, *, goes_first: bool = False
    ) -> None:
        self._settings = settings
        self._connections = connections or Connections(settings)
        self._goes_first = goes_first

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def transaction(self, work: Callable[[Transaction], R]) -> R:
        """Run `work` in a transaction and commit; what it raises is raised here, rolled back.

        Raises:
            DatabaseUnavailable: no answer; the outcome of a commit may be unknown.
            LostRace: a unique key was taken by somebody else.
        """
        for attempt in range(1, _TRIES + 1):
            try:
                return self._once(work)
            except mysql.connector.Error as error:
                if is_lost(error):
                    self._connections.close()  # those that rest are as dead
                # A server that is gone is not waited for; a lock that was lost is fought for.
                self._give_up_or_rerun(error, last=attempt >= (2 if is_lost(error) else _TRIES))
        raise AssertionError("unreachable")

    def _once(self, work: Callable[[Transaction], R]) -> R:
        link = self._connections.take(goes_first=self._goes_first)
        finished = False
        try:
            link.cursor.execute("START TRANSACTION")
            result = work(Transaction(link.cursor))
            link.cursor.execute("COMMIT")  # the C extension's commit() raises errors of its own class (2013)
            finished = True
            return result
        finally:
            if finished:
                self._connections.give_back(link)
            else:
                # Closing rolls back for certain; a ROLLBACK on a sick connection would not.
                self._connections.drop(link)

    def _give_up_or_rerun(self, error: mysql.connector.Error, *, last: bool) -> None:
        code = error.errno
        if code == errorcode.ER_DUP_ENTRY:
            raise LostRace(error.msg) from error
        if code in _CHECK_FAILED:
            raise BrokenRule(error.msg) from error
        if code in _RERUN or is_lost(error):
            if last:
                words = f"database: {error.msg}{remedy(error, self._settings)}"
                raise DatabaseUnavailable(words) from error
            return
        if isinstance(error, mysql.connector.IntegrityError | mysql.connector.DataError):
            raise OurBug(f"database: {error}") from error
        # No right, no table, read only, disk full: nothing is known and nothing was changed (F76, F83).
        raise DatabaseUnavailable(f"database: {error.msg}{remedy(error, self._settings)}") from error

    def close(self) -> None:
        """Drop the connection, if none is in use; the next transaction opens another."""
        self._connections.close()

    def run_script(self, sql: str, *, again: bool = False) -> None:
        """Run a file of statements, each ending at a line's end, one by one and each for itself, on a
        connection of its own: an index on years of orders takes minutes. `again`: an earlier run may have
        broken off; what a statement makes and finds there, or drops and does not find, counts as done.

        Raises:
            DatabaseUnavailable: with the server's words; what ran before stays.
        """
        try:
            with (
                closing(opened(self._settings, read_timeout=_SCRIPT_SECONDS)) as connection,
                connection.cursor() as cursor,
            ):
                # A backup may hold a table.
                cursor.execute(f"SET SESSION lock_wait_timeout = {_SCRIPT_SECONDS}")
                for statement in sql.split(";\n"):
                    if _has_code(statement):
                        _execute(cursor, statement, _DONE_BEFORE if again else frozenset())
        except mysql.connector.Error as error:
            words = f"database {self._settings.name}: {error.msg}{remedy(error, self._settings)}"
            raise DatabaseUnavailable(words) from error

    def schema_version(self) -> int:
        """The newest migration that was applied; 0 for a database without a record of any."""
        return self.transaction(_schema_version)

    def check_schema(self) -> None:
        """Make sure that the database is there and as this code needs it.

        Raises:
            OtherSchema: with what to do.
            DatabaseUnavailable: if it does not answer.
        """
        version = self.schema_version()
        if version < SCHEMA_VERSION:
            have = "no tables of ours" if version == 0 else f"schema version {version}"
            raise OtherSchema(
                f"the database {self._settings.name} has {have}, this program needs {SCHEMA_VERSION}: "
                "run ./bot migrate (an empty database also takes sql/schema.sql)"
            )
        if version > SCHEMA_VERSION:
            raise OtherSchema(
                f"the database {self._settings.name} has schema version {version}, newer than this "
                f"program's {SCHEMA_VERSION}: update the program"
            )


def has_c_extension() -> bool:
    """Whether the connector's fast half was loaded; without it everything works, slower."""
    return bool(mysql.connector.HAVE_CEXT)


def _execute(cursor: Any, statement: str, done_before: frozenset[int]) -> None:
    try:
        cursor.execute(statement)
    except mysql.connector.Error as error:
        if error.errno not in done_before:
            raise


def _has_code(statement: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines())


def _schema_version(transaction: Transaction) -> int:
    tables = transaction._rows("SHOW TABLES LIKE 'schema_migrations'")
    if not tables:
        return 0
    return int(
        transaction._rows("SELECT COALESCE(MAX(version), 0) AS version FROM schema_migrations")[0]["version"]
    )
