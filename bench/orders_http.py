"""As much of an HTTP/1.1 server as a client of this bench asks for: kept-alive connections, JSON bodies.

Small on purpose: what a web framework spends on a request would be measured as the bot's.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

_REASONS = {200: "OK", 204: "No Content", 404: "Not Found", 422: "Unprocessable", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`received_ns`: CLOCK_MONOTONIC when its last byte had been read."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], tuple[Response, float]]
"""Returns the answer, and after how many seconds it is to be sent."""


class _Connection(asyncio.Protocol):
    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        received_ns = time.monotonic_ns()
        self._buffer += data
        while (request := self._next(received_ns)) is not None:
            response, delay_seconds = self._handler(request)
            if delay_seconds:
                asyncio.get_running_loop().call_later(delay_seconds, self._send, response)
            else:
                self._send(response)

    def _next(self, received_ns: int) -> Request | None:
        """Take a request out of the buffer; None as long as it is not whole."""
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        length = 0
        for line in lines:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        method, target, _ = first.split(" ")
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return Request(
            method=method, path=parts.path, query=query, body=rest[:length], received_ns=received_ns
        )

    def _send(self, response: Response) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        head = f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Status')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in response.headers)
        head += f"Content-Type: application/json\r\nContent-Length: {len(response.body)}\r\n\r\n"
        self._transport.write(head.encode("latin-1") + response.body)


async def serve(handler: Handler) -> tuple[asyncio.Server, int]:
    """Listen on a free port of the loopback; returns the server and its port."""
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(handler), "127.0.0.1", 0)
    return server, int(server.sockets[0].getsockname()[1])
