"""A connection to whichever address of a name answers (RFC 8305, "happy eyeballs").

A name may have several addresses, and the first may lead nowhere: IPv6 behind a router that drops it.
Whatever connects gives it a moment here and goes on with the next one; which one was silent is remembered for
the life of the process.
"""

import errno
import os
import selectors
import socket
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile, zip_longest
from time import monotonic

NEXT_SECONDS = 0.25
"""How long an address has to itself until the next one is tried beside it."""

Address = tuple[int, tuple[str, int] | tuple[str, int, int, int]]
"""Family, and what a socket of it connects to."""

_silent_at: dict[Address, float] = {}


def of(host: str, port: int) -> list[Address]:
    """A name's addresses, families in turns; those that were silent come last.

    Raises:
        OSError: the name cannot be looked up.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"{host[:60]!r} is no name of a server") from error
    addresses: list[Address] = list(dict.fromkeys((int(family), where) for family, *_, where in found))  # type: ignore[misc]
    families = dict.fromkeys(family for family, _ in addresses)
    columns = [[each for each in addresses if each[0] == family] for family in families]
    in_turns = [each for row in zip_longest(*columns) for each in row if each is not None]
    return sorted(in_turns, key=lambda each: _silent_at.get(each, 0.0))


def connect(host: str, port: int, seconds: float) -> socket.socket:
    """A socket connected to a name, within so many seconds after its look-up; its time limit is the same.

    Raises:
        OSError: no address took the connection; TimeoutError if one of them was silent to the end.
    """
    return connect_to_one(of(host, port), seconds)


def connect_to_one(addresses: Sequence[Address], seconds: float) -> socket.socket:
    """Likewise, to one of these: the first that answers."""
    with _Race(addresses, monotonic() + seconds) as race:
        winner = race.run()
    winner.settimeout(seconds)
    return winner


def peer(connected: socket.socket) -> Address | None:
    """The address that a socket is connected to; None if it is no more."""
    with suppress(OSError):
        return int(connected.family), connected.getpeername()
    return None


def was_silent(address: Address | None) -> None:
    """It took a connection and said nothing, or not even that: others are tried first from now on."""
    if address is not None:
        _silent_at[address] = monotonic()


class _Race:
    """Connects to each address a moment after the one before, or at once when that one was refused."""

    def __init__(self, addresses: Sequence[Address], until: float) -> None:
        self._waiting = list(addresses)
        self._until = until
        self._next_at = 0.0
        self._running: dict[socket.socket, Address] = {}
        self._selector = selectors.DefaultSelector()
        self._error: OSError = OSError("the name has no address")

    def __enter__(self) -> "_Race":
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for loser in self._running:
            loser.close()

    def run(self) -> socket.socket:
        while self._waiting or self._running:
            now = monotonic()
            if now >= self._until:
                raise TimeoutError("timed out")
            if self._waiting and (now >= self._next_at or not self._running):
                self._next_at = now + NEXT_SECONDS
                self._begin(self._waiting.pop(0))
            wake_at = min(self._until, self._next_at) if self._waiting else self._until
            for key, _ in self._selector.select(max(0.0, wake_at - monotonic())):
                assert isinstance(key.fileobj, socket.socket)
                if self._has_won(key.fileobj):
                    return key.fileobj
        raise self._error

    def _begin(self, address: Address) -> None:
        family, where = address
        try:
            made = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # a kernel without IPv6
            self._lost(error)
            return
        made.setblocking(False)
        code = made.connect_ex(where)
        if code not in {0, errno.EINPROGRESS}:
            made.close()
            self._lost(OSError(code, os.strerror(code)))
            return
        self._running[made] = address
        self._selector.register(made, selectors.EVENT_WRITE)

    def _has_won(self, ended: socket.socket) -> bool:
        self._selector.unregister(ended)
        earlier = list(takewhile(lambda each: each is not ended, self._running))
        address = self._running.pop(ended)
        code = ended.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code != 0:
            ended.close()
            self._lost(OSError(code, os.strerror(code)))
            return False
        _silent_at.pop(address, None)
        for each in earlier:
            was_silent(self._running[each])
        return True

    def _lost(self, error: OSError) -> None:
        self._error = error
        self._next_at = 0.0
