"""What many tests need: a fresh database on a real server, MariaDB or MySQL.

The server is the one that DCA_TEST_DB_SOCKET, DCA_TEST_DB_USER and DCA_TEST_DB_PASSWORD name (a user that
may create databases and change global variables: a server for tests); without them a private one is
started for the session: a MySQL if DCA_MYSQL names one (docs/development.md), else MariaDB.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mysql.connector
import pytest
from hypothesis import settings as hypothesis_settings

from dca.core.model import CycleStatus
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from launcher import mysql as mysql_programs
from launcher.database import PrivateServer
from tests.rig import INSERT, Rig

SCHEMA = Path(__file__).resolve().parent.parent / "sql" / "schema.sql"

for number in (signal.SIGINT, signal.SIGHUP):
    # A run in the background, or under nohup, ignores them, and so would every process that a test starts.
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

hypothesis_settings.register_profile(
    "suite", derandomize=True, deadline=None, max_examples=100, database=None
)
hypothesis_settings.load_profile("suite")


def connected(database: DatabaseSettings) -> Any:
    """A connection of a person's client: the server's defaults, nothing of ours."""
    return mysql.connector.connect(
        unix_socket=database.socket,
        user=database.user,
        password=database.password,
        database=database.name or None,
        autocommit=True,
    )


@dataclass(frozen=True)
class Blueprint:
    """What makes the whole schema at once, with the rows that its migrations leave: statement by statement
    they take ten times as long, and most tests want a database of their own."""

    statements: tuple[str, ...]


@dataclass(frozen=True)
class Server:
    """A server for tests, as an administrator of it."""

    settings: DatabaseSettings
    process: "subprocess.Popen[bytes] | None" = None
    """Where it is ours."""

    def run(self, *statements: str) -> list[Any]:
        """Run statements for themselves; returns the rows of the last one."""
        rows: list[Any] = []
        connection = connected(self.settings)
        with contextlib.closing(connection), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                rows = cursor.fetchall() if cursor.with_rows else []
        return rows

    @property
    def is_mysql(self) -> bool:
        return "mariadb" not in str(self.run("SELECT VERSION()")[0][0]).lower()

    def create(self) -> DatabaseSettings:
        """An empty database."""
        name = f"dca_test_{secrets.token_hex(4)}"
        self.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return replace(self.settings, name=name)

    def copy(self, blueprint: "Blueprint") -> DatabaseSettings:
        """A database with the whole schema, and an installation id of its own."""
        made = self.create()
        with contextlib.closing(connected(made)) as connection, connection.cursor() as cursor:
            cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
            for statement in blueprint.statements:
                cursor.execute(statement)
            cursor.execute("UPDATE dca_control SET install_id = %s", (secrets.token_hex(4),))
        return made

    def drop(self, database: DatabaseSettings) -> None:
        self.run(f"DROP DATABASE {database.name}")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    path = os.environ.get("DCA_TEST_DB_SOCKET")
    shared = "PYTEST_XDIST_WORKER" in os.environ  # some tests turn the server's own switches
    if path and not shared:
        user, password = os.environ["DCA_TEST_DB_USER"], os.environ["DCA_TEST_DB_PASSWORD"]
        given = DatabaseSettings(
            host="localhost", port=3306, user=user, password=password, name="", socket=path
        )
        yield Server(given)
        return
    make = mysql_server if os.environ.get(mysql_programs.VARIABLE) else private_server
    with tempfile.TemporaryDirectory(prefix="dca-db-") as folder, make(Path(folder)) as server:
        yield server


@pytest.fixture
def empty_database(server: Server) -> Iterator[DatabaseSettings]:
    """A database without a table."""
    made = server.create()
    yield made
    server.drop(made)


@pytest.fixture
def other_database(server: Server) -> Iterator[DatabaseSettings]:
    """A second one, to compare."""
    made = server.create()
    yield made
    server.drop(made)


@pytest.fixture(scope="session")
def blueprint(server: Server) -> Iterator[Blueprint]:
    """Of the tables that sql/schema.sql makes."""
    original = server.create()
    with Store(original) as store:
        store.run_script(SCHEMA.read_text())
    name = original.name
    tables = [table for (table,) in server.run(f"USE {name}", "SHOW TABLES")]
    assert server.run(f"USE {name}", "SHOW TRIGGERS") == [], "they would have to be copied too"
    made = [server.run(f"SHOW CREATE TABLE {name}.{table}")[0][1] for table in tables]
    filled = [table for table in tables if server.run(f"SELECT COUNT(*) FROM {name}.{table}") != [(0,)]]
    rows = [f"INSERT INTO {table} SELECT * FROM {name}.{table}" for table in filled]
    yield Blueprint((*made, *rows))
    server.drop(original)


@pytest.fixture
def database(server: Server, blueprint: Blueprint) -> Iterator[DatabaseSettings]:
    """A database with the whole schema and no asset."""
    made = server.copy(blueprint)
    yield made
    server.drop(made)


@pytest.fixture
def store(database: DatabaseSettings) -> Iterator[Store]:
    with Store(database) as store:
        yield store


@pytest.fixture
def ready(store: Store) -> Store:
    """A store with two assets, each with a cycle that watches."""
    store.run_script(INSERT + INSERT.replace("BTC/USD", "ETH/USD"))
    store.transaction(lambda tx: tx.insert_cycle(1, CycleStatus.WATCHING))
    store.transaction(lambda tx: tx.insert_cycle(2, CycleStatus.WATCHING))
    return store


@contextlib.contextmanager
def mysql_server(folder: Path) -> Iterator[Server]:
    """A MySQL as it comes: its binary log is on."""
    options = ("--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0")
    with PrivateServer(folder / "db", options=options) as server:
        password = secrets.token_hex(8)
        server.create_user("dca_test", password)
        yield Server(
            DatabaseSettings(
                host="127.0.0.1",
                port=server.port,
                user="dca_test",
                password=password,
                name="",
                socket=str(server.socket),
            )
        )


# launcher.database.PrivateServer does the same for the demo and may take the place of what follows.


@contextlib.contextmanager
def private_server(folder: Path) -> Iterator[Server]:
    """A server of its own in a folder, gone at the end."""
    me, data, path, port = getpass.getuser(), folder / "data", folder / "s", _free_port()
    with (folder / "log").open("wb") as log:
        subprocess.run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                f"--user={me}",
                f"--datadir={data}",
                f"--tmpdir={data.parent}",  # two installations at once collide in /tmp
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            stdout=log,
            stderr=log,
            check=True,
        )
        process = subprocess.Popen(
            [
                _program("mariadbd"),
                "--no-defaults",
                *(["--user=root"] if os.geteuid() == 0 else []),
                f"--datadir={data}",
                f"--tmpdir={folder}",  # a server that starts clears its tmpdir of others' temporary tables
                f"--socket={path}",
                f"--port={port}",
                "--bind-address=127.0.0.1",
                "--innodb-rollback-on-timeout=ON",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=32M",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            yield replace(_with_a_user(path, port, process, folder / "log"), process=process)
        finally:
            process.terminate()
            process.wait(30)


def _with_a_user(path: Path, port: int, process: "subprocess.Popen[bytes]", log: Path) -> Server:
    """Wait until the server answers, and make the user that the tests work as."""
    root = DatabaseSettings(host="127.0.0.1", port=port, user="root", password="", name="", socket=str(path))
    deadline = time.monotonic() + 30
    while True:
        try:
            Server(root).run("SELECT 1")
            break
        except mysql.connector.Error as error:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"{error}\n{log.read_text()}"
            time.sleep(0.05)
    password = secrets.token_hex(8)
    for host in ("localhost", "127.0.0.1"):
        Server(root).run(
            f"CREATE USER 'dca_test'@'{host}' IDENTIFIED BY '{password}'",
            f"GRANT ALL ON *.* TO 'dca_test'@'{host}'",
        )
    return Server(replace(root, user="dca_test", password=password))


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    assert found is not None, f"{name} is not installed: apt-get install mariadb-server"
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def rig(database: DatabaseSettings) -> Iterator[Rig]:
    """A main app's inside on a database of its own, with a fake exchange."""
    rig = Rig(database)
    yield rig
    rig.close()
