"""A quote stream that is never the bottleneck: prepared frames, written as fast as the socket takes them.

A process of its own. It prints {"url": ...}, then answers each line of JSON on its standard input with one:
  {"do": "accept", "symbols": [...]}   wait until the next client has subscribed to all of these
  {"do": "blast", "symbols": [...], "per_frame": 10, "seconds": 2.0, "prepared": 60000}
        quotes that cross nothing, at full rate; answers {"quotes": n, "seconds": s} once all are taken
  {"do": "cross", "symbols": [...]}    one quote each that crosses a level
Between commands it answers the client's pings. It ends with its standard input.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgpack
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from bench import quotes_wire

_READ_BYTES = 65_536
_SEND_BUFFER_BYTES = 262_144
PATIENCE_SECONDS = 60
Json = dict[str, Any]


class Gone(Exception):
    """The client is gone."""


class Client:
    """One connection, from its handshake on. `subscribed`: the pairs it asked for."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.socket = connection
        self.subscribed: set[str] = set()
        self._protocol = ServerProtocol()
        self._pongs = 0
        self._heard = b""

    def read(self) -> None:
        """Take what has come, and answer it.

        Raises:
            Gone
        """
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise Gone
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._protocol.send_response(self._protocol.accept(event))
                self._say([{"T": "success", "msg": "connected"}])
            elif isinstance(event, Frame):
                self._hear(event)
        self._flush()

    def _hear(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._pongs += 1
        elif frame.opcode in (Opcode.BINARY, Opcode.CONT):  # alpaca-py's subscription comes in two frames
            self._heard += bytes(frame.data)
            if frame.fin:
                asked, self._heard = msgpack.unpackb(self._heard), b""
                self._answer(asked)

    def _answer(self, asked: Json) -> None:
        if asked["action"] == "auth":
            self._say([{"T": "success", "msg": "authenticated"}])
        else:
            change = set(asked["quotes"])
            more = asked["action"] == "subscribe"
            self.subscribed = self.subscribed | change if more else self.subscribed - change
            self._say([{"T": "subscription", "quotes": sorted(self.subscribed)}])

    def _say(self, messages: list[Json]) -> None:
        self._protocol.send_binary(msgpack.packb(messages))

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.socket.sendall(data)
            else:  # how the protocol says that the connection is at its end
                self.socket.shutdown(socket.SHUT_WR)

    def blast(self, pieces: Sequence[bytes], seconds: float) -> tuple[int, float]:
        """Write the pieces again and again for so long; returns how many were, and the seconds until the
        client had read the last of them: a ping behind it was answered."""
        began, written = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            self.socket.sendall(pieces[written % len(pieces)])
            self._read_waiting()
            written += 1
        before = self._pongs
        self._protocol.send_ping(b"all")
        self._flush()
        while self._pongs == before:
            self.read()
        return written, time.monotonic() - began

    def _read_waiting(self) -> None:
        if select.select([self.socket], [], [], 0)[0]:
            self.read()


class Sender:
    """Listens, and does what it is told."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_SECONDS)
        self._client: Client | None = None
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}/v1beta3/crypto/us"

    def run(self) -> None:
        """Until standard input ends."""
        _print({"url": self.url})
        for line in self._lines():
            told = json.loads(line)
            try:
                _print(getattr(self, told.pop("do"))(**told))
            except (Gone, OSError) as error:
                self._client = None
                _print({"problem": f"no client, or none that reads: {error}"})

    def _lines(self) -> Iterator[str]:
        while True:
            sockets = [] if self._client is None else [self._client.socket]
            ready, _, _ = select.select([sys.stdin, *sockets], [], [])
            if sys.stdin in ready:
                line = sys.stdin.readline()
                if not line:
                    return
                yield line
            elif self._client is not None:
                try:
                    self._client.read()
                except (Gone, OSError):
                    self._client = None

    def accept(self, symbols: list[str]) -> Json:
        self._client = Client(self._listener.accept()[0])
        while not self._client.subscribed >= set(symbols):
            self._client.read()
        return {"subscribed": len(self._client.subscribed)}

    def blast(self, symbols: list[str], per_frame: int, seconds: float, prepared: int) -> Json:
        quotes = quotes_wire.wandering(symbols, quotes_wire.now_ns())
        pieces = list(quotes_wire.frames(quotes, per_frame, prepared))
        written, taken = self._connected.blast(pieces, seconds)
        return {"quotes": written * per_frame * quotes_wire.FRAMES_IN_A_PIECE, "seconds": taken}

    def cross(self, symbols: list[str]) -> Json:
        now = quotes_wire.now_ns()
        quotes = [quotes_wire.quote(symbol, quotes_wire.CROSSING, now) for symbol in symbols]
        self._connected.socket.sendall(b"".join(quotes_wire.frame([each]) for each in quotes))
        return {"quotes": len(symbols)}

    @property
    def _connected(self) -> Client:
        if self._client is None:
            raise Gone
        return self._client


def _print(answer: Json) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    Sender().run()
