"""A process of small TCP proxies whose connections can be cut, slowed and made deaf; and a post office.

`python -m proof.chaos.links '{"rest": 4711, ...}'` listens on a free port for each name and prints the
ports as one line of JSON. Each line on its standard input is a command, answered by a line:
`{"link", "mode", "delay"}`, `{"link", "upstream"}`, `{"link", "cut": true}`, `{"mail": "hang" | "take"}`.
Without a reader on its input it ends.
"""

import asyncio
import json
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any

CHUNK = 65_536
KEEPALIVE_SECONDS = 60.0
"""A connection that fell silent is found dead by the other side's TCP after so long. By default that takes
hours; a run of an hour would not see it."""


class Mode(StrEnum):
    """What a link does to bytes. A connection that was `half_open` or `deaf` once never speaks again."""

    PASS = "pass"  # noqa: S105 - no password
    REFUSE = "refuse"
    """New connections are reset."""
    SLOW = "slow"
    HALF_OPEN = "half_open"
    """Accepted and silent; nothing passes either way."""
    DEAF = "deaf"
    """What the bot says arrives; the answers do not."""


_SILENT = frozenset({Mode.HALF_OPEN, Mode.DEAF})


class Connection:
    """One client and its connection to the server behind."""

    def __init__(self, link: "Link", client: StreamWriter) -> None:
        self.link = link
        self.client = client
        self.server: StreamWriter | None = None
        self.silenced: Mode | None = None

    def abort(self) -> None:
        """Reset both sides."""
        for side in (self.client, self.server):
            if side is not None:
                side.transport.abort()

    def lets(self, *, to_server: bool) -> bool:
        """Whether bytes pass in that direction. Once silent is silent for ever."""
        if self.link.mode in _SILENT and self.silenced is not Mode.HALF_OPEN:
            self._silence(self.link.mode)
        if self.silenced is None:
            return True
        return self.silenced is Mode.DEAF and to_server

    def _silence(self, mode: Mode) -> None:
        if self.silenced is None:
            asyncio.get_running_loop().call_later(KEEPALIVE_SECONDS, self.abort)
        self.silenced = mode


class Link:
    """A proxy to one port of this machine."""

    def __init__(self, name: str, upstream: int) -> None:
        self.name = name
        self.upstream = upstream
        self.mode = Mode.PASS
        self.delay = 0.0
        self._connections: set[Connection] = set()

    async def listen(self) -> int:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    def set(self, mode: Mode, delay: float) -> None:
        self.mode, self.delay = mode, delay
        if mode is Mode.REFUSE:
            self.cut()
        for each in list(self._connections):
            each.lets(to_server=True)

    def cut(self) -> int:
        """Reset every connection there is; returns how many."""
        found = list(self._connections)
        for each in found:
            each.abort()
        return len(found)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        connection = Connection(self, writer)
        self._connections.add(connection)
        try:
            if self.mode is Mode.REFUSE:
                return
            await self._join(connection, reader)
        except OSError:
            return
        finally:
            connection.abort()
            self._connections.discard(connection)

    async def _join(self, connection: Connection, reader: StreamReader) -> None:
        if not connection.lets(to_server=True):  # accepted, and nobody is behind
            await reader.read(-1)
            return
        from_server, connection.server = await asyncio.open_connection("127.0.0.1", self.upstream)
        ways = (
            asyncio.create_task(self._pump(connection, reader, connection.server, to_server=True)),
            asyncio.create_task(self._pump(connection, from_server, connection.client, to_server=False)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if connection.silenced is Mode.HALF_OPEN:  # the other side does not hear of the end
                await asyncio.wait(ways, return_when=asyncio.ALL_COMPLETED)
        finally:
            for way in ways:
                way.cancel()

    async def _pump(
        self, connection: Connection, source: StreamReader, sink: StreamWriter, *, to_server: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(CHUNK):
                if self.mode is Mode.SLOW:
                    await asyncio.sleep(self.delay)
                if connection.lets(to_server=to_server):
                    sink.write(data)
                    await sink.drain()


class PostOffice:
    """An SMTP server that takes everything, or accepts connections and says nothing."""

    def __init__(self) -> None:
        self.hangs = False
        self.taken = 0

    async def listen(self) -> int:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, asyncio.LimitOverrunError, ValueError):
            if self.hangs:
                await reader.read(-1)
            else:
                await self._talk(reader, writer)
        writer.transport.abort()

    async def _talk(self, reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"220 chaos\r\n")
        in_data = False
        while line := await reader.readline():
            if in_data:
                in_data = line != b".\r\n"
                self.taken += not in_data
                answer = None if in_data else b"250 taken\r\n"
            else:
                word = line[:4].upper()
                in_data = word == b"DATA"
                answer = {b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(word, b"250 ok\r\n")
            if answer is not None:
                writer.write(answer)
                await writer.drain()


class Exchanger:
    """Carries out commands."""

    def __init__(self, upstreams: Mapping[str, int]) -> None:
        self.links = {name: Link(name, port) for name, port in upstreams.items()}
        self.post_office = PostOffice()

    async def listen(self) -> dict[str, int]:
        ports = {name: await link.listen() for name, link in self.links.items()}
        return {**ports, "mail": await self.post_office.listen()}

    def obey(self, command: Mapping[str, Any]) -> dict[str, Any]:
        if "mail" in command:
            self.post_office.hangs = command["mail"] == "hang"
            return {"taken": self.post_office.taken}
        link = self.links[command["link"]]
        if "upstream" in command:
            link.upstream = int(command["upstream"])
        if command.get("cut"):
            return {"cut": link.cut()}
        if "mode" in command:
            link.set(Mode(command["mode"]), float(command.get("delay", 0)))
        return {}


async def serve(upstreams: Mapping[str, int]) -> None:
    exchanger = Exchanger(upstreams)
    _say(await exchanger.listen())
    reader = StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        _say(exchanger.obey(json.loads(line)))


def _say(answer: Mapping[str, object]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
