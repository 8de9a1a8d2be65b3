"""Making the database and its user, which takes an administrator of the server."""

import mysql.connector

from dca.core.errors import DatabaseUnavailable
from dca.runtime.hosts import is_loopback
from dca.runtime.settings import DatabaseSettings

SOCKETS = ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")  # noqa: S108
"""Where distributions put the server's socket."""


def statements(database: DatabaseSettings, password: str | None = None) -> list[str]:
    """What makes the database and a user who may do everything in it, and nothing elsewhere.

    Without `password`, '...' stands in its place: for people to read.
    """
    accounts = [f"{_text(database.user)}@{_text(host)}" for host in _hosts_of_the_user(database)]
    made = ", ".join(f"{account} IDENTIFIED BY {_text(password or '...')}" for account in accounts)
    name = database.name.replace("`", "``")
    pattern = name.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
    return [
        f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4",
        f"CREATE USER IF NOT EXISTS {made}",
        f"GRANT ALL ON `{pattern}`.* TO {', '.join(accounts)}",
    ]


def make(database: DatabaseSettings, socket: str) -> None:
    """Run the statements as the server's root, through its local socket.

    Raises:
        DatabaseUnavailable: with the server's words.
    """
    try:
        connection = mysql.connector.connect(
            unix_socket=socket, user="root", password="", connection_timeout=5, autocommit=True
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION sql_mode = ''")
                for statement in statements(database, database.password):
                    cursor.execute(statement)
        finally:
            connection.close()
    except mysql.connector.Error as error:
        raise DatabaseUnavailable(f"database server at {socket}: {_words(error, database)}") from error


def _words(error: mysql.connector.Error, database: DatabaseSettings) -> str:
    """Of a statement that it does not understand, the server repeats a part."""
    return str(error.msg).replace(_text(database.password), "'...'").replace(database.password, "...")


def _hosts_of_the_user(database: DatabaseSettings) -> list[str]:
    """From where the user comes, as the server sees it. With skip-name-resolve, localhost is the socket
    only, and whoever connects to it over the network comes from 127.0.0.1."""
    if database.socket or is_loopback(database.host):
        return list(dict.fromkeys(["localhost", "127.0.0.1", database.host]))
    return ["%"]


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
