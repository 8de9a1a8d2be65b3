"""The bot's tables, read from outside, and the rows that an operator would insert."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import mysql.connector

from demo.problems import DemoProblem
from demo.rows import TABLES, Row
from demo.strategy_values import Values

# The form of the README's INSERT, its values apart.
_INSERT = """
INSERT INTO dca_assets (
    asset_symbol, is_enabled, base_order_amount, safety_order_amount,
    max_safety_orders, safety_order_deviation, take_profit_percent,
    cooldown_period, buy_order_price_deviation_percent
) VALUES (
    %s, TRUE, %s, %s,
    %s, %s, %s,
    %s, %s
)"""


class Tables:
    """A connection that always reads what is committed now."""

    def __init__(self, *, socket: str, user: str, password: str, database: str) -> None:
        try:
            self._connection: Any = mysql.connector.connect(
                unix_socket=socket,
                user=user,
                password=password,
                database=database,
                autocommit=True,
                time_zone="+00:00",
                use_pure=True,
                connection_timeout=10,
            )
        except mysql.connector.Error as error:
            raise DemoProblem(f"the database does not answer: {error}") from error

    def close(self) -> None:
        self._connection.close()

    def insert_asset(self, symbol: str, values: Values) -> None:
        amounts = (values.base_order_amount, values.safety_order_amount)
        steps = (values.max_safety_orders, values.safety_order_deviation, values.take_profit_percent)
        pauses = (values.cooldown_period, values.buy_order_price_deviation_percent)
        self._run(_INSERT, (symbol, *amounts, *steps, *pauses))

    def disable_assets(self) -> None:
        """What an operator does to let a bot come to rest: no new buys."""
        self._run("UPDATE dca_assets SET is_enabled = FALSE")

    def read(self) -> dict[str, list[Row]]:
        """All tables, in one snapshot, each row as JSON would have it."""
        self._run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        try:
            return {name: self._rows(name) for name in TABLES}
        finally:
            self._run("COMMIT")

    def _rows(self, table: str) -> list[Row]:
        key = "order_id, attempt" if table == "dca_order_attempts" else "id"
        cursor = self._execute(f"SELECT * FROM {table} ORDER BY {key}")  # noqa: S608 - names of ours
        names: Sequence[str] = cursor.column_names
        rows: list[Row] = [dict(zip(names, map(_plain, values), strict=True)) for values in cursor.fetchall()]
        cursor.close()
        return rows

    def _run(self, statement: str, values: Sequence[Any] = ()) -> None:
        self._execute(statement, values).close()

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        try:
            cursor = self._connection.cursor()
            cursor.execute(statement, values)
        except mysql.connector.Error as error:
            raise DemoProblem(f"the database refused: {error}") from error
        return cursor


def _plain(value: object) -> object:
    """A value as a line of JSON has it: decimals as strings, times as ISO 8601 in UTC."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return value.decode()
    return value
