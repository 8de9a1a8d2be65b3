"""Both websockets: trade updates (alpaca.md 5) and market data (alpaca.md 6)."""

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgpack
from aiohttp import WSMsgType, web

from paper_exchange.bars import Bar, Public
from paper_exchange.book_messages import BookMessages
from paper_exchange.engine import Engine
from paper_exchange.faults import Faults
from paper_exchange.values import Quote

Json = dict[str, Any]
AUTH_SECONDS = 10
_OLD_FORM = (
    "this authentication format is being deprecated. Please use the format: "
    '{"action": "auth", "key": "x", "secret": "x"}'
)
_CHANNEL_OF = {
    "q": "quotes",
    "t": "trades",
    "o": "orderbooks",
    "b": "bars",
    "u": "updatedBars",
    "d": "dailyBars",
}
CHANNELS = ("trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars")


class Hub:
    """One stream endpoint: at most one connection, and the faults that befall it."""

    def __init__(self, engine: Engine, keys: tuple[str, str], name: str, prefix: str) -> None:
        self._engine = engine
        self._keys = keys
        self._name = name
        self._prefix = prefix
        self.socket: web.WebSocketResponse | None = None
        self.request: web.Request | None = None
        self._frozen: list[Any] = []

    @property
    def _faults(self) -> Faults:
        return self._engine.faults

    def may_send(self) -> bool:
        """Whether the connection is not mute just now."""
        kinds = (f"{self._prefix}.mute", f"{self._prefix}.half_open")
        return all(self._faults.peek(kind) is None for kind in kinds)

    async def open(self, request: web.Request) -> web.WebSocketResponse:
        half_open = self._faults.peek(f"{self._prefix}.half_open") is not None
        socket = web.WebSocketResponse(autoping=not half_open, heartbeat=None)
        await socket.prepare(request)
        self._engine.write("stream", stream=self._name, event="open")
        return socket

    def closed(self) -> None:
        self._engine.write("stream", stream=self._name, event="close")

    def abort(self, code: int) -> None:
        """Close with a code; 1006 is a connection that just breaks."""
        socket, request = self.socket, self.request
        if socket is None or request is None:
            return
        if code == 1006:
            if request.transport is not None:
                request.transport.abort()
        else:
            self._task = asyncio.get_running_loop().create_task(socket.close(code=code))

    def freeze(self) -> None:
        """From now on pings of the connected client find no pong: stop reading its socket."""
        if self.request is not None and self.request.transport is not None:
            transport: Any = self.request.transport
            transport.pause_reading()
            self._frozen.append(transport)

    def thaw(self) -> None:
        """Let go of frozen connections, as the real server does in the end."""
        for transport in self._frozen:
            transport.abort()
        self._frozen.clear()

    def is_key(self, key: object, secret: object) -> bool:
        return (key, secret) == self._keys and not self._engine.account.revoked


class TradeUpdates(Hub):
    """/stream: JSON in binary frames, one connection an account, nothing is replayed."""

    def __init__(self, engine: Engine, keys: tuple[str, str]) -> None:
        super().__init__(engine, keys, "trading", "ws")
        self._listening = False
        self._held_back: list[Json] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        refusal = self._faults.take("ws.refuse")
        if refusal is not None or self.socket is not None:
            self._engine.write("stream", stream=self._name, event="refused")
            return web.Response(status=429 if refusal is None else int(refusal.args.get("status", 429)))
        socket = await self.open(request)
        self.socket, self.request, self._listening = socket, request, False
        authorized = False
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    authorized = await self._answer(socket, message.data, authorized=authorized)
        finally:
            self.socket = self.request = None
            self._listening = False
            self.closed()
        return socket

    async def _answer(self, socket: web.WebSocketResponse, data: str | bytes, *, authorized: bool) -> bool:
        if not self.may_send():
            return authorized
        try:
            asked = json.loads(data)
        except (ValueError, RecursionError):
            return authorized
        if not isinstance(asked, dict):
            return authorized
        action = asked.get("action")
        if action in ("auth", "authenticate"):
            return await self._authorize(socket, asked)
        if action == "listen":
            if not authorized:
                await self._send(socket, "authorization", {"status": "unauthorized", "action": "listen"})
                return False
            streams = _words(_object(asked.get("data")).get("streams"))
            self._listening = "trade_updates" in streams
            await self._send(socket, "listening", {"streams": streams})
        return authorized

    async def _authorize(self, socket: web.WebSocketResponse, asked: Json) -> bool:
        old = asked.get("action") == "authenticate"
        given = _object(asked.get("data")) if old else asked
        names = ("key_id", "secret_key") if old else ("key", "secret")
        good = self.is_key(given.get(names[0]), given.get(names[1]))
        answer: Json = {"status": "authorized" if good else "unauthorized", "action": "authenticate"}
        if old and good:
            answer["message"] = _OLD_FORM
        await self._send(socket, "authorization", answer)
        return good

    async def _send(self, socket: web.WebSocketResponse, stream: str, data: Json) -> None:
        with suppress(ConnectionResetError):  # a client that was killed
            await socket.send_bytes(json.dumps({"stream": stream, "data": data}).encode())

    async def publish(self, update: Json) -> None:
        """Send an update, unless a fault loses, doubles or delays it."""
        if self._faults.take("ws.drop") is not None or not self.may_send():
            return
        if self._faults.take("ws.reorder") is not None:
            self._held_back.append(update)
            return
        times = 2 if self._faults.take("ws.dup") is not None else 1
        updates = [update] * times + self._held_back
        self._held_back = []
        for each in updates:
            if self.socket is not None and self._listening and not self.socket.closed:
                await self._send(self.socket, "trade_updates", each)


class MarketData(Hub):
    """/v1beta3/crypto/us: arrays of messages, msgpack when asked for, else text."""

    def __init__(self, engine: Engine, keys: tuple[str, str]) -> None:
        super().__init__(engine, keys, "data", "md")
        self._subscribed: dict[str, set[str]] = {}
        self._books = BookMessages(engine)
        self._packed = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        socket = await self.open(request)
        packed = "msgpack" in request.headers.get("Content-Type", "")
        await _send(socket, packed, [{"T": "success", "msg": "connected"}])
        try:
            if await self._authenticated(socket, request, packed):
                await self._serve(socket, packed)
        finally:
            if self.socket is socket:
                self.socket = self.request = None
            self.closed()
        return socket

    async def _authenticated(self, socket: web.WebSocketResponse, request: web.Request, packed: bool) -> bool:
        headers = request.headers
        if self.is_key(headers.get("APCA-API-KEY-ID"), headers.get("APCA-API-SECRET-KEY")):
            return await self._welcome(socket, request, packed)
        try:
            async with asyncio.timeout(AUTH_SECONDS):
                message = await socket.receive()
        except TimeoutError:
            await self._refuse(socket, packed, 404, "auth timeout")
            return False
        asked = _read(message.data, packed)
        if asked is None:
            await self._refuse(socket, packed, 400, "invalid syntax")
            return False
        if asked.get("action") != "auth":
            await self._refuse(socket, packed, 401, "not authenticated")
            return False
        if not self.is_key(asked.get("key"), asked.get("secret")):
            await self._refuse(socket, packed, 402, "auth failed")
            return False
        return await self._welcome(socket, request, packed)

    async def _welcome(self, socket: web.WebSocketResponse, request: web.Request, packed: bool) -> bool:
        if self.socket is not None:
            self._engine.write("stream", stream=self._name, event="refused")
            await self._refuse(socket, packed, 406, "connection limit exceeded")
            return False
        self.socket, self.request, self._packed = socket, request, packed
        self._subscribed = {channel: set() for channel in CHANNELS}
        self._books.forget()
        await _send(socket, packed, [{"T": "success", "msg": "authenticated"}])
        return True

    async def _refuse(self, socket: web.WebSocketResponse, packed: bool, code: int, text: str) -> None:
        await _send(socket, packed, [{"T": "error", "code": code, "msg": text}])
        await socket.close()

    async def _serve(self, socket: web.WebSocketResponse, packed: bool) -> None:
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            asked = _read(message.data, packed)
            action = None if asked is None else asked.get("action")
            if asked is None or action not in ("subscribe", "unsubscribe", "auth") or not _is_sane(asked):
                await _send(socket, packed, [{"T": "error", "code": 400, "msg": "invalid syntax"}])
            elif action == "auth":
                await _send(socket, packed, [{"T": "error", "code": 403, "msg": "already authenticated"}])
            else:
                self._subscribe(asked, add=action == "subscribe")
                current = {name: sorted(symbols) for name, symbols in self._subscribed.items()}
                await _send(socket, packed, [{"T": "subscription", **current}])
                await self._send_books(socket, packed)

    def _subscribe(self, asked: Json, *, add: bool) -> None:
        for channel in CHANNELS:
            symbols = set(_words(asked.get(channel)))
            now = self._subscribed[channel]
            self._subscribed[channel] = now | symbols if add else now - symbols
        if not add:
            self._books.forget(
                {symbol for symbol in self._engine.quotes if not self.wants("orderbooks", symbol)}
            )

    async def _send_books(self, socket: web.WebSocketResponse, packed: bool) -> None:
        """The whole book of each pair that was not subscribed before."""
        new = [symbol for symbol in self._engine.quotes if self.wants("orderbooks", symbol)]
        books = [book for symbol in new if (book := self.book_message(symbol)) is not None]
        if books and self.may_send():
            await _send(socket, packed, books)

    def book_message(self, symbol: str) -> Json | None:
        """What the connected client has to be told of a book, if it subscribed to it and anything changed."""
        return self._books.next(symbol) if self.wants("orderbooks", symbol) else None

    def wants(self, channel: str, symbol: str) -> bool:
        """Whether the connected client subscribed to this."""
        return bool({symbol, "*"} & self._subscribed.get(channel, set()))

    async def publish(self, messages: Iterable[Json]) -> None:
        """Send what the connected client subscribed to, in one frame."""
        socket = self.socket
        if socket is None or socket.closed or not self.may_send():
            return
        wanted = [m for m in messages if self.wants(_CHANNEL_OF[m["T"]], m["S"])]
        if wanted:
            await _send(socket, self._packed, wanted)


def quote_message(quote: Quote) -> Json:
    """A quote for the wire; `T` comes first because one client needs it there (alpaca.md 6)."""
    return {
        "T": "q",
        "S": quote.symbol,
        "bp": float(quote.bid),
        "bs": float(quote.bid_size),
        "ap": float(quote.ask),
        "as": float(quote.ask_size),
        "t": quote.at,
    }


def bar_message(kind: str, symbol: str, bar: Bar) -> Json:
    """A bar: "b" of a minute that is complete, "u" the same again, "d" of the day so far."""
    return {"T": kind, "S": symbol, **bar.json(), "t": bar.at}


def trade_message(symbol: str, trade: Public) -> Json:
    """A trade among other people; `tks` is the taker's side."""
    return {"T": "t", "S": symbol, **trade.json(), "t": trade.at}


def spoiled(quote: Quote, kind: str) -> Json:
    """A quote that must decide nothing (fault md.bad_quote)."""
    message = quote_message(quote)
    changes: dict[str, Json] = {
        "zero": {"bp": 0.0, "ap": 0.0},
        "nan": {"bp": float("nan"), "ap": float("nan")},
        "negative": {"bp": -1.0},
        "crossed": {"bp": message["ap"] * 1.05},
        "spike": {"bp": message["bp"] * 3, "ap": message["ap"] * 30},
        "stale": {"t": quote.at - timedelta(minutes=10)},
    }
    return message | changes.get(kind, changes["zero"])


def _object(value: object) -> Json:
    """What should be an object; an empty one where it is something else."""
    return value if isinstance(value, dict) else {}


def _is_sane(asked: Json) -> bool:
    """Whether every channel of a subscription is a list of words."""
    lists = [asked[channel] for channel in CHANNELS if asked.get(channel) is not None]
    return all(isinstance(each, list) and len(_words(each)) == len(each) for each in lists)


def _words(value: object) -> list[str]:
    """The words of what should be a list of them."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _read(data: object, packed: bool) -> Json | None:
    try:
        if isinstance(data, bytes) and packed:
            asked = msgpack.unpackb(data)
        elif isinstance(data, str | bytes):
            asked = json.loads(data)
        else:
            return None
    except (ValueError, RecursionError, msgpack.UnpackException):
        return None
    return asked if isinstance(asked, dict) else None


async def _send(socket: web.WebSocketResponse, packed: bool, messages: list[Json]) -> None:
    with suppress(ConnectionResetError):  # a client that was killed
        if packed:
            await socket.send_bytes(msgpack.packb(messages, datetime=True))
        else:
            await socket.send_str(json.dumps(messages, default=_as_text))


def _as_text(value: object) -> str:
    assert isinstance(value, datetime)
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
