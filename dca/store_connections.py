"""Connections to the database server, each with our session."""

from typing import Any

import mysql.connector
from mysql.connector import errorcode

from dca import addresses
from dca.settings import DatabaseSettings

_SECONDS, _SECONDS_IF_OTHERS = 5, 2
"""How long one address of the server may take to answer: the last one, and those before it."""
_LOST = {-1, 1040, 1053, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 3024, 4031}
# -1 is what the C extension makes of a connection that was killed on the server.
SESSION = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION time_zone = '+00:00', SESSION innodb_lock_wait_timeout = 5, SESSION lock_wait_timeout = 10,"
    # A client that fell silent inside a transaction must not keep its rows locked for hours.
    " SESSION wait_timeout = 60,"
    # Strict whatever the server's default is: a value that does not fit is an error, not a guess.
    " SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'",
)


def is_lost(error: mysql.connector.Error) -> bool:
    """Whether the server is out of reach, or ended the connection."""
    return error.errno in _LOST or isinstance(error, mysql.connector.InterfaceError)


def opened(settings: DatabaseSettings, read_timeout: int = 10) -> Any:
    """A connection; `read_timeout`: seconds that a statement may take.

    Raises:
        mysql.connector.Error: with the server's words.
    """
    if settings.socket:
        connection = _connected(settings, {"unix_socket": settings.socket}, _SECONDS, read_timeout)
    else:
        connection = _connected_to_one(settings, read_timeout)
    with connection.cursor() as cursor:
        for statement in SESSION:
            cursor.execute(statement)
    return connection


def _connected_to_one(settings: DatabaseSettings, read_timeout: int) -> Any:
    """To the first address that answers, one after the other: a server counts connections that are given up,
    and shuts out whoever makes a hundred of them, so that addresses are not raced here."""
    try:
        found = addresses.of(settings.host, settings.port)
    except OSError as error:
        words = f"no server {settings.host}: {error.strerror}"
        raise mysql.connector.InterfaceError(errno=errorcode.CR_UNKNOWN_HOST, msg=words) from error
    *others, last = found
    for address in others:
        try:
            return _connected(settings, _at(address), _SECONDS_IF_OTHERS, read_timeout)
        except mysql.connector.Error as error:
            if not is_lost(error):
                raise
            addresses.was_silent(address)
    return _connected(settings, _at(last), _SECONDS, read_timeout)


def _at(address: addresses.Address) -> dict[str, Any]:
    return {"host": address[1][0], "port": address[1][1]}


def _connected(settings: DatabaseSettings, where: dict[str, Any], seconds: int, read_timeout: int) -> Any:
    return mysql.connector.connect(
        **where,
        user=settings.user,
        password=settings.password,
        database=settings.name,
        charset="utf8mb4",
        collation="utf8mb4_general_ci",
        connection_timeout=seconds,
        read_timeout=read_timeout,
        write_timeout=10,
        autocommit=True,
    )
