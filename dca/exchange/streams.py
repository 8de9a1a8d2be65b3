"""Keeps Alpaca's two streams open, and parses and forwards their messages. The only module with asyncio.

Protocol: alpaca.md 5 (orders) and 6 (quotes). Nothing is decided in this thread. A stream that is silent,
half open, refused or sends invalid data is closed and reopened with a growing delay; settling finds what was
missed in between (the exchange replays nothing).
"""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import certifi
import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from dca.core.errors import ExchangeUnavailable
from dca.core.interfaces import Clock, Sink, Stream
from dca.core.model import Quote
from dca.core.quote_filter import Tripwire, is_quiet
from dca.exchange import parsing as wire
from dca.exchange.reconnect_delay import Pauses
from dca.runtime import addresses
from dca.runtime.log_lines import Troubles, fact
from dca.runtime.settings import ExchangeSettings

ANSWER_SECONDS = 10
PING_SECONDS = 10
"""Seconds between pings. A dead peer is noticed after a missing pong, within twice this time."""
_SYMBOL_LIMIT = 405
_NONSENSE = (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""Exceptions raised by an invalid frame, including one with an extreme time or nesting."""
AGAIN_SECONDS = 10
"""A quote older than this is not compared again: by default it could not decide anything."""
STILL_SECONDS, STILL_AT_MOST_EVERY_SECONDS = 0.004, 0.1
"""Duty cycle: an order goes out about 3 ms after its quote; 24 of every 25 ms remain for receiving."""


class StreamLost(ExchangeUnavailable):
    """The stream must be reopened; the message says why."""


@dataclass(slots=True)
class StreamState:
    """A stream's state for the heartbeat. Written by the feed's thread, read by others."""

    name: str
    connected: bool = False
    connects: int = 0
    last_message_at: datetime | None = None
    connected_at: datetime | None = None


class _Connection(connect):
    """A connection that follows no redirect, which would send the keys to another host."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class Feed:
    """Alpaca's two streams, in their own thread from `start` to `stop`."""

    def __init__(
        self,
        settings: ExchangeSettings,
        sink: Sink,
        tripwires: Mapping[str, Tripwire],
        clock: Clock,
        troubles: Troubles,
        on_orders_connected: Callable[[], None],
        ping_seconds: float = PING_SECONDS,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`tripwires`: by pair, which quotes to forward; a pair without one forwards all. `trust`: the
        trusted certificates; by default the REST library's."""
        self._settings = settings
        self._sink = sink
        self._tripwires = tripwires
        self._newest: dict[str, dict[str, Any]] = {}
        self._asked_for: dict[str, tuple[dict[str, Any], Quote]] = {}
        self._still_from = 0.0
        self._clock = clock
        self._troubles = troubles
        self._on_orders_connected = on_orders_connected
        self._ping_seconds = ping_seconds
        self._trust = trust or ssl.create_default_context(cafile=certifi.where())
        self.orders = StreamState(name="order stream")
        self.quotes = StreamState(name="quote stream")
        self._symbols: frozenset[str] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._symbols_changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._open: dict[str, ClientConnection] = {}
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close both streams; waits at most a few seconds."""
        self._call(self._stopping.set)
        self._thread.join(timeout=5)

    def set_symbols(self, symbols: set[str]) -> None:
        """Set the pairs whose quotes are wanted; the running stream resubscribes."""
        if self._symbols != symbols:
            self._symbols = frozenset(symbols)
            self._call(self._symbols_changed.set)

    def look_again(self, symbol: str) -> None:
        """Compare a pair's newest quote with its levels again, after they changed: a quiet pair's next quote
        may be a minute away. Callable from any thread."""
        quote, tripwire, now = self.newest(symbol), self._tripwires.get(symbol), self._clock.now()
        if quote is None or tripwire is None or (now - quote.at).total_seconds() > AGAIN_SECONDS:
            return
        if not is_quiet(tripwire, float(quote.bid), float(quote.ask), now):
            self._sink.put_quote(quote)

    def newest(self, symbol: str) -> Quote | None:
        """A pair's newest quote. Its `received_at` is when this was first called for it."""
        message, known = self._newest.get(symbol), self._asked_for.get(symbol)
        if message is not None and (known is None or known[0] is not message):
            try:
                known = message, wire.stream_quote(message, self._clock.now())
            except ValueError:
                return None  # only its prices were compared before
            self._asked_for[symbol] = known
        return None if known is None else known[1]

    def newest_at(self) -> datetime | None:
        """The exchange's time of the newest quote received for any pair."""
        times = (message.get("t") for message in list(self._newest.values()))
        return max((at for at in times if isinstance(at, datetime)), default=None)

    def reconnect(self, stream: Stream, why: str) -> None:
        """Drop a connection that looks healthy but delivers nothing."""
        self._troubles.begins("stream", stream.name, why, self._clock.now())
        connection = self._open.get(stream.name)
        if connection is not None:
            # Not a closing handshake: the other side may be the one that does not answer.
            self._call(connection.transport.abort)

    def _call(self, function: Callable[[], object]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    def _run(self) -> None:
        asyncio.run(self._both())

    async def _both(self) -> None:
        self._loop = asyncio.get_running_loop()
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._keep(self.orders, self._hear_orders)),
            asyncio.create_task(self._keep(self.quotes, self._hear_quotes)),
        ]
        stopped: asyncio.Task[Any] = asyncio.create_task(self._stopping.wait())
        done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()  # an unexpected end of a stream ends the process: it must never go deaf silently

    async def _keep(self, state: StreamState, hear: Callable[[], Any]) -> None:
        """Open a stream and reopen it whenever it ends, until the feed stops."""
        pauses = Pauses()
        while True:
            opened = self._clock.monotonic()
            try:
                await hear()
                why = "the server closed it"
            except (OSError, WebSocketException, StreamLost, *_NONSENSE) as error:
                why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            finally:
                state.connected = False
            self._troubles.begins("stream", state.name, why, self._clock.now())
            await asyncio.sleep(pauses.after(self._clock.monotonic() - opened))

    @asynccontextmanager
    async def _connection(
        self, state: StreamState, url: str, headers: dict[str, str]
    ) -> AsyncIterator[ClientConnection]:
        parts = urlsplit(url)
        is_secure = parts.scheme == "wss"
        port = parts.port or (443 if is_secure else 80)
        wire = await asyncio.to_thread(addresses.connect, parts.hostname or "", port, ANSWER_SECONDS)
        address = addresses.peer(wire)
        opening = _Connection(
            url,
            sock=wire,
            ssl=self._trust if is_secure else None,
            proxy=None,
            additional_headers=headers,
            open_timeout=ANSWER_SECONDS,
            ping_interval=self._ping_seconds,
            ping_timeout=self._ping_seconds,
            close_timeout=2,
            compression=None,
        )
        try:
            opened = await opening
        except TimeoutError:
            addresses.was_silent(address)
            raise
        async with opened as connection:
            self._open[state.name] = connection
            try:
                yield connection
            finally:
                self._open.pop(state.name, None)

    def _is_open(self, state: StreamState) -> None:
        now = self._clock.now()
        state.connected, state.connected_at = True, now
        state.connects += 1
        self._troubles.ends("stream", state.name, now)
        if state.connects == 1:
            fact("stream", f"{state.name} open")

    async def _hear_orders(self) -> None:
        keys = {"key": self._settings.key_id, "secret": self._settings.secret_key}
        async with self._connection(self.orders, self._settings.trading_stream_url, {}) as connection:
            await connection.send(json.dumps({"action": "auth", **keys}))
            answer = await _next_json(connection)
            if answer.get("data", {}).get("status") != "authorized":
                raise StreamLost(f"not authorized: {str(answer)[:200]}")
            await connection.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
            answer = await _next_json(connection)
            if "trade_updates" not in answer.get("data", {}).get("streams", []):
                raise StreamLost(f"not subscribed: {str(answer)[:200]}")
            self._is_open(self.orders)
            self._on_orders_connected()
            async for frame in connection:
                self._take_order_frame(frame)

    def _take_order_frame(self, frame: str | bytes) -> None:
        """Parse and forward an update. An invalid one is logged once; settling finds what it contained."""
        now = self._clock.now()
        self.orders.last_message_at = now
        try:
            message = json.loads(frame)
            if message["stream"] != "trade_updates":
                raise ValueError(f"unknown message {str(message)[:200]}")
            snapshot = wire.snapshot(message["data"]["order"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            self._troubles.begins("stream", "invalid order update", str(error)[:200], now)
            return
        self._sink.put(snapshot)

    async def _hear_quotes(self) -> None:
        headers = {"Content-Type": "application/msgpack"}
        keys = {"key": self._settings.key_id, "secret": self._settings.secret_key}
        async with self._connection(self.quotes, self._settings.data_stream_url, headers) as connection:
            _expect(await _next_messages(connection), "connected")
            await connection.send(msgpack.packb({"action": "auth", **keys}))
            _expect(await _next_messages(connection), "authenticated")
            self._symbols_changed.set()
            subscribing = asyncio.create_task(self._keep_subscribed(connection))
            self._is_open(self.quotes)
            try:
                async for frame in connection:
                    self._take_quote_frame(frame)
            finally:
                subscribing.cancel()

    async def _keep_subscribed(self, connection: ClientConnection) -> None:
        """Match the subscription to the wanted pairs, at the start and after each change."""
        subscribed: frozenset[str] = frozenset()
        while True:
            await self._symbols_changed.wait()
            self._symbols_changed.clear()
            wanted = self._symbols
            for action, symbols in (("subscribe", wanted - subscribed), ("unsubscribe", subscribed - wanted)):
                if symbols:
                    await connection.send(msgpack.packb({"action": action, "quotes": sorted(symbols)}))
            subscribed = wanted

    def _take_quote_frame(self, frame: str | bytes) -> None:
        """Handle quotes. The busiest lines of the program: a quote that reaches no level must cost almost
        nothing."""
        now = self._clock.now()
        tripwires, newest, waiting = self._tripwires, self._newest, self._sink.quotes
        for message in _messages(frame):
            try:
                symbol = message["S"]
                if message["T"] == "q":
                    newest[symbol] = (
                        message  # first: a thread that changes the levels now compares this quote again
                    )
                ask_at_most, bid_at_least, wake_at = tripwires[symbol]
                quiet = message["ap"] > ask_at_most and message["bp"] < bid_at_least and now < wake_at
            except (LookupError, TypeError):
                quiet = False  # not a quote, or an invalid one
            if quiet and message["T"] == "q":
                self.quotes.last_message_at = now
                if symbol in waiting:
                    self._forget_older(message, now)
            else:
                self._take_message(message, now)

    def _forget_older(self, message: dict[str, Any], now: datetime) -> None:
        with suppress(ValueError):
            self._sink.forget_older(wire.stream_quote(message, now))

    def _take_message(self, message: dict[str, Any], now: datetime) -> None:
        if not isinstance(message, dict):
            raise StreamLost(f"not a message: {str(message)[:200]}")
        kind = message.get("T")
        if kind == "q":
            self._take_quote(message, now)
        elif kind == "subscription":
            self._check_subscription(set(message.get("quotes", [])), now)
        elif kind == "error":
            self._take_error(message, now)
        else:
            what = str(message)[:200]
            self._troubles.begins("stream", "unknown message on the quote stream", what, now)

    def _take_error(self, message: dict[str, Any], now: datetime) -> None:
        why = f"error {message.get('code')}: {message.get('msg')}"
        if message.get("code") != _SYMBOL_LIMIT:
            raise StreamLost(why)
        # The pairs that were granted before stay; closing the stream would lose them too.
        self._troubles.begins("stream", "no quotes", why, now)

    def _take_quote(self, message: dict[str, Any], now: datetime) -> None:
        try:
            quote = wire.stream_quote(message, now)
        except ValueError as error:
            self._troubles.begins("stream", "invalid quote", str(error)[:200], now)
            return
        self.quotes.last_message_at = now
        self._sink.put_quote(quote)
        self._let_it_be_decided()

    def _let_it_be_decided(self) -> None:
        """Pause briefly: otherwise a worker would have to regain the interpreter from this thread after each
        of a dozen database answers. Quotes of these milliseconds wait in the socket."""
        now = self._clock.monotonic()
        if now >= self._still_from:
            self._still_from = now + STILL_AT_MOST_EVERY_SECONDS
            time.sleep(STILL_SECONDS)

    def _check_subscription(self, granted: set[str], now: datetime) -> None:
        """Check the server's list of subscriptions: a missing pair gets no quotes (F70)."""
        missing = sorted(self._symbols - granted)
        if missing:
            self._troubles.begins("stream", "no quotes", f"not subscribed: {', '.join(missing)}", now)
        else:
            self._troubles.ends("stream", "no quotes", now)


async def _next_json(connection: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(ANSWER_SECONDS):
        answer = json.loads(await connection.recv())
    if not isinstance(answer, dict):
        raise StreamLost(f"not an answer: {str(answer)[:200]}")
    return answer


async def _next_messages(connection: ClientConnection) -> list[dict[str, Any]]:
    async with asyncio.timeout(ANSWER_SECONDS):
        messages = _messages(await connection.recv())
    if not all(isinstance(message, dict) for message in messages):
        raise StreamLost(f"not an array of messages: {str(messages)[:200]}")
    return messages


def _messages(frame: str | bytes) -> list[Any]:
    """The messages of a quote-stream frame: always an array, in msgpack or text."""
    if isinstance(frame, str):
        messages = json.loads(frame)
    else:
        try:
            messages = msgpack.unpackb(frame, timestamp=3)
        except (msgpack.UnpackException, msgpack.ExtraData) as error:
            raise StreamLost(f"a frame that is not msgpack: {error}") from error
    if not isinstance(messages, list):
        raise StreamLost(f"not an array of messages: {str(messages)[:200]}")
    return messages


def _expect(messages: list[dict[str, Any]], answer: str) -> None:
    """The handshake's answer, or why there is none."""
    first = messages[0] if messages else {}
    if first.get("T") != "success" or first.get("msg") != answer:
        raise StreamLost(f"not {answer}: {str(first)[:200]}")
