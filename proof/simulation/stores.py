"""A process's way to the database: where it can be slow, be lost, or swallow the answer to a commit."""

import random
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol, TypeVar

from dca.core.errors import DatabaseUnavailable
from dca.core.interfaces import Transaction as AnyTransaction
from proof.simulation.database import Transaction
from proof.simulation.hub import Process
from proof.simulation.tables import Key, Tables
from proof.simulation.weather import Weather

R = TypeVar("R")

DOWN, SLOW = "db.down", "db.slow"
LOST, DEADLOCK, SWALLOWED = "db.lost", "db.deadlock", "db.swallow_commit_ok"
_TRIES = 5


class Listener(Protocol):
    """Hears what was committed, at once."""

    def committed(self, process: Process | None, changed: set[Key], tables: Tables) -> None: ...


class _Lost(Exception):
    """The connection died. Stands for what mysql.connector raises."""


class _Deadlock(Exception):
    pass


def lag(rng: random.Random) -> float:
    """How long the database takes, in seconds."""
    return rng.uniform(0.2, 1.0) if rng.random() < 0.005 else rng.uniform(0.0005, 0.003)


class MemoryDatabase:
    """Tables in memory for any number of processes."""

    def __init__(self, weather: Weather, rng: random.Random, listener: Listener) -> None:
        self._tables = Tables()
        self._weather = weather
        self._rng = rng
        self._listener = listener

    def tables(self) -> Tables:
        return self._tables

    def store(self, process: Process) -> "MemoryStore":
        return MemoryStore(process, self._tables, self._weather, self._rng, self._listener)

    def edit(self, work: Callable[[Any], Any]) -> None:
        """A person at a MySQL client: one transaction, which nothing disturbs."""
        transaction = Transaction(self._tables, lambda _: None)
        with ExitStack() as undo:
            undo.callback(transaction.roll_back)
            work(transaction)
            undo.pop_all()
        self._listener.committed(None, transaction.changed, self._tables)

    def close(self) -> None:
        """Nothing to close."""


class MemoryStore:
    """Implements ports.Store with store.Store's promises: runs again after a loss, gives up as that does."""

    def __init__(
        self, process: Process, tables: Tables, weather: Weather, rng: random.Random, listener: Listener
    ) -> None:
        self._process = process
        self._tables = tables
        self._weather = weather
        self._rng = rng
        self._listener = listener

    def transaction(self, work: Callable[[AnyTransaction], R]) -> R:
        slow = self._weather.take(SLOW)
        self._process.reach("transaction", lag(self._rng) + (float(slow["seconds"]) if slow else 0.0))
        for attempt in range(1, _TRIES + 1):
            try:
                result = self._once(work)
            except (_Lost, _Deadlock) as error:
                if attempt >= (2 if isinstance(error, _Lost) else _TRIES):
                    raise DatabaseUnavailable("database: a fault") from error
            else:
                self._process.pause(lag(self._rng))
                return result
        raise AssertionError("unreachable")

    def _once(self, work: Callable[[AnyTransaction], R]) -> R:
        if self._weather.lasts(DOWN, self._process.hub.seconds):
            self._process.pause(0.05)
            raise _Lost
        transaction = Transaction(self._tables, self._before_statement)
        self._process.in_transaction = True
        with ExitStack() as undo:
            undo.callback(transaction.roll_back)
            try:
                result = work(transaction)
                self._process.crash_point("before commit")
                swallowed = self._before_commit()
            finally:
                self._process.in_transaction = False
            undo.pop_all()
        if transaction.changed:
            self._listener.committed(self._process, transaction.changed, self._tables)
        self._process.crash_point("after commit")
        if swallowed:
            raise _Lost
        return result

    def _before_statement(self, name: str) -> None:
        fault = self._weather.statement(name)
        if fault == "lost" or self._weather.take(LOST) is not None:
            raise _Lost
        if fault == "deadlock" or self._weather.take(DEADLOCK) is not None:
            raise _Deadlock

    def _before_commit(self) -> bool:
        """Whether the commit happens and its answer gets lost."""
        fault = self._weather.statement("commit")
        if fault == "lost":
            raise _Lost
        if fault == "deadlock":
            raise _Deadlock
        return fault == "swallowed" or self._weather.take(SWALLOWED) is not None
