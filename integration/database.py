"""Where the test's rows are: a server for --local, and what has to be known of a database before its use."""

import os
import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import mysql.connector

from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from integration.problems import Refused
from launcher.database import PrivateServer
from launcher.output import SetUpProblem

SUFFIX = "_test"
INSTALLATION = "it"
"""How an installation's id begins while the test has the database. A bot's own is hexadecimal, so orders of
tests, also of earlier ones, are told from a bot's by their ids."""
_USER = "dca_integration"
_FAST = ("--innodb-flush-log-at-trx-commit=0",)
_OURS = (
    *("dca_order_attempts", "dca_orders", "dca_cycles", "dca_assets"),
    *("missing_positions", "job_runs", "incidents", "mails", "operator_actions"),
)
"""The tables whose rows are the test's, in the order in which they can be emptied."""


def _rows(settings: DatabaseSettings, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement for itself.

    Raises:
        Refused: with the server's words.
    """
    where = (
        {"unix_socket": settings.socket}
        if settings.socket
        else {"host": settings.host, "port": settings.port}
    )
    try:
        connection: Any = mysql.connector.connect(
            **where,
            user=settings.user,
            password=settings.password,
            database=settings.name or None,
            autocommit=True,
            connection_timeout=5,
        )
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(statement)
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.with_rows else []
            return rows
    except mysql.connector.Error as error:
        raise Refused(f"database {settings.name}: {error.msg}") from error


class LocalDatabase:
    """An empty database with a name of its own: on the server for tests that the environment names
    (DCA_TEST_DB_SOCKET, as ./bot test sets it), else on a private one."""

    def __init__(self) -> None:
        """Raises:
        Refused: there is no server and none can be started.
        """
        self._server: PrivateServer | None = None
        server = _given_server() or self._private_server()
        self.settings = replace(server, name=f"dca_integration_{secrets.token_hex(4)}{SUFFIX}")
        try:
            _rows(server, f"CREATE DATABASE {self.settings.name} CHARACTER SET utf8mb4")
        except Refused:
            self._stop_server()
            raise

    @property
    def is_private(self) -> bool:
        return self._server is not None

    def _private_server(self) -> DatabaseSettings:
        server, password = PrivateServer(options=_FAST), secrets.token_hex(16)
        try:
            server.start()
            server.create_user(_USER, password)
        except SetUpProblem as error:
            server.stop()
            raise Refused(f"no database server: {error}") from error
        self._server = server
        return DatabaseSettings(
            host="localhost",
            port=server.port,
            user=_USER,
            password=password,
            name="",
            socket=str(server.socket),
        )

    def drop(self, *, keep: bool) -> None:
        """Raises:
        Refused: the server does not do it.
        """
        try:
            if not keep:
                _rows(replace(self.settings, name=""), f"DROP DATABASE {self.settings.name}")
        finally:
            self._stop_server()

    def _stop_server(self) -> None:
        if self._server is not None:
            self._server.stop()


def _given_server() -> DatabaseSettings | None:
    socket = os.environ.get("DCA_TEST_DB_SOCKET")
    if not socket:
        return None
    return DatabaseSettings(
        host="localhost",
        port=3306,
        user=os.environ.get("DCA_TEST_DB_USER", ""),
        password=os.environ.get("DCA_TEST_DB_PASSWORD", ""),
        name="",
        socket=socket,
    )


def check_name(settings: DatabaseSettings, *, any_database: bool) -> None:
    """Raises:
    Refused: it may be the database of a bot that trades.
    """
    if not settings.name.endswith(SUFFIX) and not any_database:
        raise Refused(
            f"the database is {settings.name}: the test drops all rows, so it takes one whose name ends in "
            f"{SUFFIX} (set DB_NAME={settings.name}{SUFFIX}), or an empty one with --any-database"
        )


def check_unused(settings: DatabaseSettings) -> None:
    """Raises:
    Refused: another program is connected to it: main_app, most likely.
    """
    sessions = _rows(
        settings,
        "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
    )
    if sessions:
        raise Refused(
            f"{len(sessions)} other connections use the database {settings.name}: stop main_app.py (and the "
            "caretakers' cron lines) that work on it"
        )


def prepare(settings: DatabaseSettings, schema: Path, tell: Callable[[str], None]) -> None:
    """Bring an empty database up, or make sure that it is as this code needs it; drop old rows.

    Raises:
        Refused: there are rows, and the name does not say that they are a test's.
        StartRefused: its schema is another version's.
    """
    tables = {str(row[0]) for row in _rows(settings, "SHOW TABLES")}
    with Store(settings) as store:
        if not tables:
            store.run_script(schema.read_text(encoding="utf-8"))
            tell(f"database {settings.name} was empty: {schema.name} run in it")
        store.check_schema()
    rows = sum(int(_rows(settings, f"SELECT COUNT(*) FROM {table}")[0][0]) for table in _OURS)  # noqa: S608
    if rows and not settings.name.endswith(SUFFIX):
        raise Refused(
            f"the database {settings.name} has {rows} rows, which the test would drop: use an empty one"
        )
    _empty(settings, f"{INSTALLATION}{secrets.token_hex(3)}")
    if rows:
        tell(f"database {settings.name}: {rows} rows of an earlier run dropped")


def empty(settings: DatabaseSettings) -> None:
    """Drop all rows, and leave the installation as a new one."""
    _empty(settings, secrets.token_hex(4))


def _empty(settings: DatabaseSettings, install_id: str) -> None:
    """A new id: to the old one belong orders at the exchange that this ledger does not know any more."""
    script = [f"DELETE FROM {table}" for table in _OURS]  # noqa: S608
    script.append(f"UPDATE dca_control SET install_id = '{install_id}'")  # noqa: S608
    if settings.name.endswith(SUFFIX):
        script.append("UPDATE dca_control SET account_id = NULL, mode = 'run', mode_reason = NULL")
    with Store(settings) as store:
        store.run_script(";\n".join(script))
