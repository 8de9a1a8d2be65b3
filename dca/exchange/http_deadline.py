"""urllib3 connections with one time limit for the whole response, to whichever server address answers.

urllib3 and requests restart the read timeout with every piece that arrives, so a server that sends a byte now
and then can hold them forever (F15). They also wait for each address of a name in turn (addresses.py).
"""

import http.client
import io
import socket
from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import Any, Protocol, cast

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.response import HTTPResponse

from dca.runtime import addresses


class _Raw(Protocol):
    def readinto(self, buffer: Any, /) -> int | None: ...
    def close(self) -> None: ...


class _Until(io.RawIOBase):
    """Reads a socket until a deadline of the monotonic clock, then raises TimeoutError."""

    def __init__(self, raw: _Raw, source: socket.socket, until: float) -> None:
        self._raw = raw
        self._socket = source
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """A response that must arrive completely, first line to last byte, before the deadline."""

    def __init__(self, source: socket.socket, *args: Any, until: float, **kwargs: Any) -> None:
        super().__init__(source, *args, **kwargs)
        self.fp = io.BufferedReader(_Until(cast(_Raw, self.fp.detach()), source, until))


class _Connection(HTTPConnection):
    """A connection whose read timeout applies to the whole response."""

    _addresses: Sequence[addresses.Address] = ()
    _address: addresses.Address | None = None

    def _new_conn(self) -> socket.socket:
        """Connect, raising urllib3's own errors."""
        assert self.timeout is not None
        try:
            self._addresses = addresses.of(self._dns_host, self.port)
            made = addresses.connect_to_one(self._addresses, self.timeout)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out.") from error
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error
        self._address = addresses.peer(made)
        for option in self.socket_options or ():
            made.setsockopt(*option)
        return made

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        assert self.timeout is not None
        self.response_class = partial(_Answer, until=monotonic() + self.timeout)  # type: ignore[assignment]
        try:
            return super().getresponse()
        except TimeoutError:
            addresses.was_silent(self._address)
            raise


class _SecureConnection(_Connection, HTTPSConnection):
    def connect(self) -> None:
        """Connect; if the address goes silent during the TLS handshake, try the next one, once. No request
        has been sent by then."""
        try:
            super().connect()
        except TimeoutError:
            addresses.was_silent(self._address)
            self.close()
            if len(self._addresses) < 2:
                raise
            super().connect()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}
"""For urllib3.PoolManager.pool_classes_by_scheme."""
