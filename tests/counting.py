"""A rig whose statements, commits and requests are written down, in the order in which they happen."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from dca.database.connections import Connections, Link
from dca.database.store import Store
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import DatabaseSettings
from dca.trading.trader import Trader
from tests.rig import LIMITS, Rig

_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE) (\w+)")
_CONDITION = re.compile(r"\bWHERE (\w+)")
_LOCK = re.compile(r"\b(FOR UPDATE|LOCK IN SHARE MODE)\b")
BEGIN, COMMIT = "START TRANSACTION", "COMMIT"
REQUEST = "-> "
_FREE = {"reserve"}
"""Calls of a broker that ask nobody."""


@dataclass(slots=True)
class Journal:
    """What was asked of database and exchange: a line each; requests begin with an arrow."""

    lines: list[str] = field(default_factory=list)

    def clear(self) -> None:
        self.lines.clear()

    def statements(self) -> list[str]:
        return [each for each in self.lines if not each.startswith((BEGIN, COMMIT, REQUEST))]

    def commits(self) -> int:
        return self.lines.count(COMMIT)

    def requests(self) -> list[str]:
        return [each.removeprefix(REQUEST) for each in self.lines if each.startswith(REQUEST)]

    def until(self, request: str) -> "Journal":
        """What came before a request."""
        return Journal(lines=self.lines[: self.lines.index(REQUEST + request)])

    def by_count(self) -> str:
        """Each line once, with how often it came."""
        return "\n".join(f"{count:5} {line}" for line, count in Counter(self.lines).most_common())

    def __str__(self) -> str:
        return "\n".join(self.lines)


def shape(sql: str) -> str:
    """The words of a statement that tell it from others: verb, table, first condition, lock."""
    if sql in {BEGIN, COMMIT}:
        return sql
    found = (pattern.search(sql) for pattern in (_TABLE, _CONDITION, _LOCK))
    return " ".join([sql.split(maxsplit=1)[0], *(each[1] for each in found if each is not None)])


class _Cursor:
    """A cursor that writes down what it executes."""

    def __init__(self, cursor: Any, journal: Journal) -> None:
        self._cursor = cursor
        self._journal = journal

    def execute(self, sql: str, *args: Any) -> Any:
        self._journal.lines.append(shape(sql))
        return self._cursor.execute(sql, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


class RecordingConnections(Connections):
    """The real ones, with cursors that are listened to."""

    def __init__(self, settings: DatabaseSettings, journal: Journal) -> None:
        super().__init__(settings)
        self._journal = journal

    def _opened(self) -> Link:
        link = super()._opened()
        return Link(link.connection, _Cursor(link.cursor, self._journal))


class RecordingExchange:
    """An exchange that is listened to."""

    def __init__(self, exchange: Any, journal: Journal) -> None:
        self._exchange = exchange
        self._journal = journal

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._exchange, name)
        if not callable(attribute) or name in _FREE:
            return attribute

        def asked(*args: Any, **options: Any) -> Any:
            self._journal.lines.append(REQUEST + name)
            return attribute(*args, **options)

        return asked


class CountedRig(Rig):
    """A rig whose trader is listened to. What the rig asks for itself is not counted."""

    def __init__(self, database: DatabaseSettings) -> None:
        super().__init__(database)
        self.journal = Journal()
        self.counted_store = Store(database, RecordingConnections(database, self.journal))
        self.counted_exchange: Any = RecordingExchange(self.exchange, self.journal)
        self.trader = Trader(
            self.counted_store, self.counted_exchange, self.desk, self.clock, Troubles(), LIMITS
        )

    def close(self) -> None:
        self.counted_store.close()
        super().close()
