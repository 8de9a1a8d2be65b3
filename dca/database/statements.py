"""Running a statement inside a transaction, for the parts of store.Transaction."""

from typing import Any

from dca.database.rows import outward


class Statements:
    """The cursor of an open transaction."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def _rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        self._cursor.execute(sql, tuple(outward(arg) for arg in args))
        rows, names = self._cursor.fetchall(), self._cursor.column_names
        return [dict(zip(names, row, strict=True)) for row in rows]  # a dictionary cursor names each row anew

    def _write(self, sql: str, args: list[Any]) -> int:
        """Run a statement that changes rows; returns how many it changed."""
        self._cursor.execute(sql, tuple(outward(arg) for arg in args))
        return int(self._cursor.rowcount)
