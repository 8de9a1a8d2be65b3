"""Alpaca's two streams as far as a feed needs them, sending exactly what a test says."""

import json
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from dca.runtime.settings import ExchangeSettings, Venue


def frame(quotes: Sequence[tuple[str, float, float]], seconds: int = 1_767_322_800) -> bytes:
    """A frame of quotes: pair, bid, ask."""
    at = msgpack.Timestamp(seconds, 0)
    messages = [
        {"T": "q", "S": symbol, "bp": bid, "bs": 1.0, "ap": ask, "as": 1.0, "t": at}
        for symbol, bid, ask in quotes
    ]
    packed: bytes = msgpack.packb(messages)
    return packed


class QuoteServer:
    """A context; `send` puts frames on the quote stream."""

    def __init__(self) -> None:
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._server: Server = serve(self._serve, "127.0.0.1", 0, compression=None)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "QuoteServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frames.put(None)
        self._server.shutdown()
        self._thread.join(5)

    @property
    def settings(self) -> ExchangeSettings:
        port = self._server.socket.getsockname()[1]
        return ExchangeSettings(
            key_id="key",
            secret_key="secret",
            trading_url=f"http://127.0.0.1:{port}",
            data_url=f"http://127.0.0.1:{port}",
            trading_stream_url=f"ws://127.0.0.1:{port}/stream",
            data_stream_url=f"ws://127.0.0.1:{port}/quotes",
            venue=Venue.LOCAL,
        )

    def send(self, data: bytes) -> None:
        self._frames.put(data)

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        talk = self._orders if connection.request.path == "/stream" else self._quotes
        with suppress(ConnectionClosed):
            talk(connection)

    def _orders(self, connection: ServerConnection) -> None:
        for answer in ({"status": "authorized"}, {"streams": ["trade_updates"]}):
            connection.recv()
            connection.send(json.dumps({"stream": "answer", "data": answer}))
        for _ in connection:
            pass

    def _quotes(self, connection: ServerConnection) -> None:
        def answer(**content: Any) -> None:
            connection.send(msgpack.packb([content]))

        answer(T="success", msg="connected")
        connection.recv()
        answer(T="success", msg="authenticated")
        wanted = msgpack.unpackb(connection.recv())
        answer(T="subscription", quotes=wanted["quotes"])
        while (data := self._frames.get()) is not None:
            connection.send(data)
