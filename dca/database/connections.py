"""Connections to the database server, each with our session, and a process's budget of them."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import mysql.connector
from mysql.connector import errorcode

from dca.core.errors import DatabaseUnavailable
from dca.runtime import addresses
from dca.runtime.hosts import is_loopback
from dca.runtime.settings import DatabaseSettings

_SECONDS, _SECONDS_IF_OTHERS = 5, 2
"""How long one address of the server may take to answer: the last one, and those before it."""
_LOST = {-1, 1040, 1053, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 3024, 4031}
# -1 is what the C extension makes of a connection that was killed on the server.
_FULL = {1040, 1203, errorcode.ER_USER_LIMIT_REACHED}
"""The server, all of the user's programs, or this user alone: as many connections as are allowed."""
WAIT_SECONDS = 10.0
_AGAIN_SECONDS = 0.2
_FEWER_SECONDS = 60.0
"""How long a process makes do with fewer connections after the server has refused one more."""
_RESTED_SECONDS = 50.0
"""The server ends a connection that rested for 60 s: one that rested nearly as long is made anew."""
_NOBODY_THERE = {errorcode.CR_CONNECTION_ERROR, errorcode.CR_CONN_HOST_ERROR}
_REMEDIES = {
    1044: ": check DB_NAME in .env, and what its user may do there",
    1045: ": check DB_USER and DB_PASSWORD in .env",
    1049: ": check DB_NAME in .env (./bot install makes it)",
    1054: ": ./bot doctor says which columns are gone",
    1146: ": ./bot doctor says what is gone",
}
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


def remedy(error: mysql.connector.Error, settings: DatabaseSettings) -> str:
    """What to do about an error, to be put behind its words; "" where that is not known."""
    if error.errno in _NOBODY_THERE:
        if settings.socket or is_loopback(settings.host):
            return ": is the server running? It is started with  sudo systemctl start mariadb  (or mysql)"
        return ": does the server run there, and listen to the network? See DB_HOST and DB_PORT in .env"
    return _REMEDIES.get(error.errno, "")


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


@dataclass(slots=True)
class Link:
    """A connection with its cursor: making one pings the server, which costs as much as a statement."""

    connection: Any
    cursor: Any
    used_at: float = 0.0

    def close(self) -> None:
        with suppress(mysql.connector.Error):  # it may be lost already
            self.connection.close()


@dataclass(slots=True, eq=False)
class _Waiting:
    """A thread that waits for a place; whoever frees one hands it over."""

    goes_first: bool
    served: threading.Event = field(default_factory=threading.Event)
    place: Link | None = None


class Connections:
    """At most so many at a time, for any number of threads; a transaction has one to itself.

    A free place holds an open connection or none. The one that was used last is used next. Who finds no place
    waits, those that go first before all others.
    """

    def __init__(self, settings: DatabaseSettings, wait_seconds: float = WAIT_SECONDS) -> None:
        """`wait_seconds`: how long a transaction waits for one."""
        self._settings = settings
        self._wait_seconds = wait_seconds
        self._free: list[Link | None] = [None]
        self._places = self._most = 1
        self._more_from = 0.0
        self._queue: list[_Waiting] = []
        self._lock = threading.Lock()

    def allow(self, most: int) -> None:
        """Open up to so many; one at first."""
        with self._lock:
            self._most = most
            self._grow()

    def take(self, *, goes_first: bool = False) -> Link:
        """A connection to give back. Opens one where none rests.

        Raises:
            DatabaseUnavailable: none was free in time.
            mysql.connector.Error: it could not be opened.
        """
        until = monotonic() + self._wait_seconds
        while True:
            link = self._place(goes_first, until)
            if link is not None and monotonic() - link.used_at < _RESTED_SECONDS:
                return link
            if link is not None:
                link.close()
            try:
                return self._opened()
            except mysql.connector.Error as error:
                if error.errno in _FULL and self._does_with_fewer():
                    continue  # waits for one of those that are open
                self._hand_over(None)
                if error.errno not in _FULL:
                    raise
                if monotonic() >= until:
                    raise DatabaseUnavailable(f"database: {error.msg}") from error
            time.sleep(_AGAIN_SECONDS)

    def give_back(self, link: Link) -> None:
        """To whoever waits, or to rest."""
        link.used_at = monotonic()
        self._hand_over(link)

    def drop(self, link: Link) -> None:
        """Give a connection back that may be sick; what it had not committed is rolled back by the server."""
        link.close()
        self._hand_over(None)

    def close(self) -> None:
        """Close all that rest."""
        with self._lock:
            resting = [link for link in self._free if link is not None]
            self._free = [None] * len(self._free)
        for link in resting:
            link.close()

    def _opened(self) -> Link:
        connection = opened(self._settings)
        return Link(connection, connection.cursor())

    def _place(self, goes_first: bool, until: float) -> Link | None:
        with self._lock:
            self._grow()
            if self._free:
                return self._free.pop()
            waiting = _Waiting(goes_first)
            ahead = sum(each.goes_first for each in self._queue) if goes_first else len(self._queue)
            self._queue.insert(ahead, waiting)
        waiting.served.wait(max(0.0, until - monotonic()))
        with self._lock:
            if waiting not in self._queue:
                return waiting.place
            self._queue.remove(waiting)
            raise DatabaseUnavailable(
                f"database: none of {self._places} connections was free within {self._wait_seconds:g} s"
            )

    def _hand_over(self, place: Link | None) -> None:
        with self._lock:
            if self._queue:
                first = self._queue.pop(0)
                first.place = place
                first.served.set()
            elif place is None:
                self._free.insert(0, None)
            else:
                self._free.append(place)

    def _does_with_fewer(self) -> bool:
        """Give up the place in hand for a while; not the only one."""
        with self._lock:
            if self._places == 1:
                return False
            self._places -= 1
            self._more_from = monotonic() + _FEWER_SECONDS
            return True

    def _grow(self) -> None:
        if self._places < self._most and monotonic() >= self._more_from:
            self._free[:0] = [None] * (self._most - self._places)
            self._places = self._most
