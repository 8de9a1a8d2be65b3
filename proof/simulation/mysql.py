"""The simulation on a real server: the product's own Store, with faults at its statements and commits."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, TypeVar

import mysql.connector

from dca.core.interfaces import Transaction as AnyTransaction
from dca.core.model import LIVE_STATES, Asset, Control, Cycle, Order, OrderState
from dca.database.rows import outward, value_from
from dca.database.store import Store, Transaction
from dca.runtime.settings import DatabaseSettings
from proof.simulation.hub import Process
from proof.simulation.stores import DEADLOCK, DOWN, LOST, SLOW, SWALLOWED, Listener, lag
from proof.simulation.tables import INSTALL_ID, Key, Tables
from proof.simulation.weather import Weather

R = TypeVar("R")

_LOST, _DEADLOCK, _REFUSED = 2013, 1213, 2003
_EMPTY = (
    *(
        "missing_positions",
        "job_runs",
        "incidents",
        "mails",
        "operator_actions",
        "dca_order_attempts",
        "dca_orders",
    ),
    *("dca_cycles", "dca_assets"),
)


def _raise(errno: int) -> None:
    raise mysql.connector.OperationalError(errno=errno, msg="a fault")


class MySqlDatabase:
    """The tables on a server, emptied at first."""

    def __init__(
        self, settings: DatabaseSettings, weather: Weather, rng: random.Random, listener: Listener
    ) -> None:
        self._settings = settings
        self._weather = weather
        self._rng = rng
        self._listener = listener
        self._mine = Store(settings)
        self._stores: list[_FaultyStore] = []
        self._known = Tables()
        _empty(self._mine)

    def tables(self) -> Tables:
        return self._mine.transaction(_read)

    def store(self, process: Process) -> "MySqlStore":
        store = MySqlStore(process, self, self._settings, self._weather, self._rng)
        self._stores.append(store.inner)
        return store

    def edit(self, work: Callable[[Any], Any]) -> None:
        """A person at a MySQL client."""
        self._mine.transaction(lambda tx: work(_Editing(tx)))
        self.told(None)

    def told(self, process: Process | None) -> None:
        """Something was committed: say what is different now."""
        tables = self.tables()
        changed: set[Key] = set()
        for kind, before, after in (
            ("asset", self._known.assets, tables.assets),
            ("cycle", self._known.cycles, tables.cycles),
            ("order", self._known.orders, tables.orders),
        ):
            changed |= {(kind, key) for key, row in after.items() if before.get(key) != row}
        self._known = tables
        if changed:
            self._listener.committed(process, changed, tables)

    def close(self) -> None:
        for store in (self._mine, *self._stores):
            store.close()


class MySqlStore:
    """A process's store; implements ports.Store."""

    def __init__(
        self,
        process: Process,
        database: MySqlDatabase,
        settings: DatabaseSettings,
        weather: Weather,
        rng: random.Random,
    ) -> None:
        self._process = process
        self._rng = rng
        self._weather = weather
        self.inner = _FaultyStore(settings, process, database, weather)

    def transaction(self, work: Callable[[AnyTransaction], R]) -> R:
        slow = self._weather.take(SLOW)
        self._process.reach("transaction", lag(self._rng) + (float(slow["seconds"]) if slow else 0.0))
        result = self.inner.transaction(work)
        self._process.pause(lag(self._rng))
        return result


class _FaultyStore(Store):
    def __init__(
        self, settings: DatabaseSettings, process: Process, database: MySqlDatabase, weather: Weather
    ) -> None:
        super().__init__(settings)
        self._process = process
        self._database = database
        self._weather = weather
        self._swallowed = False

    def _once(self, work: Callable[[Transaction], R]) -> R:
        if self._weather.lasts(DOWN, self._process.hub.seconds):
            self._process.pause(0.05)
            _raise(_REFUSED)
        with self._open():
            result = super()._once(lambda tx: self._watched(tx, work))
        self._database.told(self._process)
        self._process.crash_point("after commit")
        if self._swallowed:
            _raise(_LOST)
        return result

    @contextmanager
    def _open(self) -> Iterator[None]:
        self._process.in_transaction = True
        try:
            yield
        finally:
            self._process.in_transaction = False

    def _watched(self, tx: Transaction, work: Callable[[Transaction], R]) -> R:
        tx._cursor = _Cursor(tx._cursor, self._weather)
        result = work(tx)
        self._process.crash_point("before commit")
        fault = self._weather.statement("commit")
        if fault in {"lost", "deadlock"}:
            _raise(_LOST if fault == "lost" else _DEADLOCK)
        self._swallowed = fault == "swallowed" or self._weather.take(SWALLOWED) is not None
        return result


class _Cursor:
    """Passes statements on, unless something befalls one."""

    def __init__(self, cursor: Any, weather: Weather) -> None:
        self._cursor = cursor
        self._weather = weather

    def execute(self, sql: str, args: tuple[Any, ...] = ()) -> None:
        fault = self._weather.statement(sql.split(" WHERE", maxsplit=1)[0][:40])
        if fault == "lost" or self._weather.take(LOST) is not None:
            _raise(_LOST)
        if fault == "deadlock" or self._weather.take(DEADLOCK) is not None:
            _raise(_DEADLOCK)
        self._cursor.execute(sql, args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


class _Editing:
    """What a person does to rows, in SQL."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def insert_asset(self, values: dict[str, Any]) -> int:
        return self._tx.insert_asset(values)

    def edit_asset(self, asset_id: int, values: dict[str, Any]) -> None:
        self._update("dca_assets", asset_id, values)

    def edit_cycle(self, cycle_id: int, values: dict[str, Any]) -> None:
        self._update("dca_cycles", cycle_id, values)

    def _update(self, table: str, row_id: int, values: dict[str, Any]) -> None:
        assigned = ", ".join(f"{name} = %s" for name in values)
        self._tx._cursor.execute(
            f"UPDATE {table} SET {assigned} WHERE id = %s",
            (*(outward(value) for value in values.values()), row_id),
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)


def _empty(store: Store) -> None:
    """Empty tables that count from 1, and the installation that the simulation knows."""

    def work(tx: Transaction) -> None:
        for table in _EMPTY:
            tx._cursor.execute(f"DELETE FROM {table}")
        tx._cursor.execute(
            "UPDATE dca_control SET install_id = %s, epoch = 0, mode = 'run', mode_reason = NULL,"
            " mode_set_at = NULL, account_id = NULL, owner = NULL, owner_seen_at = NULL",
            (INSTALL_ID,),
        )

    store.transaction(work)
    store.run_script("".join(f"ALTER TABLE {table} AUTO_INCREMENT = 1;\n" for table in _EMPTY))


def _read(tx: Transaction) -> Tables:
    def rows(kind: Any, table: str) -> list[Any]:
        names = ", ".join(each.name for each in fields(kind))
        return [value_from(kind, row) for row in tx._rows(f"SELECT {names} FROM {table} ORDER BY id")]

    tables = Tables(control=rows(Control, "dca_control")[0])
    tables.assets = {row.id: row for row in rows(Asset, "dca_assets")}
    tables.cycles = {row.id: row for row in rows(Cycle, "dca_cycles")}
    tables.orders = {row.id: row for row in rows(Order, "dca_orders")}
    for row in tx._rows("SELECT order_id, attempt, sent_at, answer FROM dca_order_attempts ORDER BY 1, 2"):
        tables.attempts[row["order_id"], row["attempt"]] = (row["sent_at"], row["answer"])
    _index(tables)
    return tables


def _index(tables: Tables) -> None:
    for order in tables.orders.values():
        tables.by_client_id[order.client_order_id] = order.id
        of_cycle = tables.of_cycle.get(order.cycle_id, ())
        tables.of_cycle[order.cycle_id] = (*of_cycle, order.id)
        if order.state in LIVE_STATES:
            tables.live_order[order.asset_id] = order.id
        if order.state in LIVE_STATES or (order.state is OrderState.GHOST and order.closed_at is None):
            tables.open_orders[order.id] = None
    for cycle in tables.cycles.values():
        if cycle.status not in {"complete", "error"}:
            tables.live_cycle[cycle.asset_id] = cycle.id
