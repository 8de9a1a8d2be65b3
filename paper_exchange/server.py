"""The engine behind Alpaca's REST and both websockets, on loopback ports of its own. A thin shell."""

import asyncio
import secrets
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web

from paper_exchange.admin import Admin
from paper_exchange.data import MarketDataRest, MarketHistory
from paper_exchange.engine import Engine
from paper_exchange.market import Walk
from paper_exchange.replay import Point, Recording
from paper_exchange.rest import Dropped, Handler, Trading, refusal
from paper_exchange.streams import (
    MarketData,
    TradeUpdates,
    bar_message,
    book_message,
    quote_message,
    spoiled,
    trade_message,
)
from paper_exchange.values import Quote, Refused

Json = dict[str, Any]
_BATCH_SECONDS = 0.005
_HOSTS = {"127.0.0.1", "localhost"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run: `volatility_percent` per second, `speed` in market seconds per second."""

    seed: int = 1
    port: int = 0
    cash: Decimal = Decimal(100_000)
    market: str = "walk"
    volatility_percent: float = 0.02
    ticks_per_second: float = 4.0
    replay: Path | None = None
    symbol: str = "BTC/USD"
    speed: float = 60.0
    paused: bool = False
    fee_delay_seconds: float = 5.0
    partial_percent: int = 10
    rate_limit_per_minute: int = 200
    pairs: int = 0


@web.middleware
async def no_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page from elsewhere reaches this machine's ports as well: under a name of its own that it has pointed
    here (Host), or across origins (Origin). Programs send neither."""
    host = request.headers.get("Host", "").rpartition(":")
    if "Origin" in request.headers or (host[0] or host[2]) not in _HOSTS:
        return web.Response(status=403, text="Not for browsers: http://127.0.0.1 without an Origin only")
    return await handler(request)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Server:
    """Runs until canceled. `urls` says where."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.keys = ("PK" + secrets.token_hex(9).upper(), secrets.token_urlsafe(30))
        self._token = secrets.token_urlsafe(12)
        self.engine = Engine(
            seed=options.seed,
            now=utc_now(),
            cash=options.cash,
            partial_percent=options.partial_percent,
            fee_delay=timedelta(seconds=options.fee_delay_seconds),
            pairs=options.pairs,
        )
        volatility = options.volatility_percent if options.market == "walk" else 0.0
        self.recording: Recording | None = None
        if options.replay is not None:
            step = self.engine.pairs[options.symbol].price_increment
            self.recording = Recording(options.replay, step)
        self.walk = Walk(self.engine, seed=options.seed, volatility_percent=volatility)
        self.history = MarketHistory()
        self.updates = TradeUpdates(self.engine, self.keys)
        self.market_data = MarketData(self.engine, self.keys)
        self.started = asyncio.Event()
        if not options.paused:
            self.started.set()
        self._wake = asyncio.Event()
        self._outbox: deque[Json] = deque()
        self._requests: deque[float] = deque()
        self.requests_taken = 0
        self._replayed = {"done": False, "points_played": 0, "bars_played": 0, "market_time": None}
        self.engine.on_update = self._outbox.append
        self._trades_told = 0
        self.quotes_published = 0
        self.urls: dict[str, str] = {}

    # ---- sockets -----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Listen; afterwards `urls` holds."""
        main = web.Application(middlewares=[no_browsers, self._guard])
        main.add_routes(Trading(self.engine, self.wake).routes())
        main.add_routes(MarketDataRest(self.engine, self.history).routes())
        main.add_routes([web.get("/stream", self.updates.handle)])
        main.add_routes([web.get("/v1beta3/crypto/us", self.market_data.handle)])
        port = await _listen(main, self._options.port)
        admin = web.Application(middlewares=[no_browsers])
        admin.add_routes(Admin(self).routes(self._token))
        admin_port = await _listen(admin, 0)
        host = f"127.0.0.1:{port}"
        self.urls = {
            "trading": f"http://{host}",
            "data": f"http://{host}",
            "trading_stream": f"ws://{host}/stream",
            "data_stream": f"ws://{host}/v1beta3/crypto/us",
            "admin": f"http://127.0.0.1:{admin_port}/{self._token}",
            "key_id": self.keys[0],
            "secret_key": self.keys[1],
        }

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keys, rate limit and faults of reading, before any path; Alpaca's error bodies after."""
        self.engine.advance(utc_now())
        if request.path in ("/stream", "/v1beta3/crypto/us"):
            return await handler(request)
        try:
            self._check_keys(request)
            headers = self._count_request()
            response = self._fault_of_reading(request) or await handler(request)
            if not response.prepared:
                response.headers.update(headers)
            return response
        except Refused as error:
            return refusal(error)
        except Dropped:
            if request.transport is not None:
                request.transport.abort()
            raise
        except web.HTTPNotFound:
            if request.path.startswith("//"):  # a base URL that ended with a slash
                return await self._resolve_again(request)
            return web.Response(status=404, text="Not Found")

    async def _resolve_again(self, request: web.Request) -> web.StreamResponse:
        again = request.clone(rel_url=request.raw_path[1:])
        match = await request.app.router.resolve(again)
        match.add_app(request.app)
        again._match_info = match
        return await self._guard(again, match.handler)

    def _check_keys(self, request: web.Request) -> None:
        if request.path.startswith("/v1beta3"):
            return
        given = (request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY"))
        if given != self.keys or self.engine.account.revoked:
            raise Refused(401, 40110000, "request is not authorized")

    def _count_request(self) -> dict[str, str]:
        """Alpaca's limit is per minute and key; the headers say how much is left (alpaca.md 2.7)."""
        now = time.monotonic()
        while self._requests and now - self._requests[0] > 60:
            self._requests.popleft()
        limit = self._options.rate_limit_per_minute
        if (limit and len(self._requests) >= limit) or self.engine.faults.take("rate_limit") is not None:
            raise Refused(429, 42910000, "rate limit exceeded")
        self._requests.append(now)
        self.requests_taken += 1
        reset = int(time.time()) + 60
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - len(self._requests))),
            "X-RateLimit-Reset": str(reset),
        }

    def _fault_of_reading(self, request: web.Request) -> web.Response | None:
        fault = self.engine.faults.take("get.error") if request.method == "GET" else None
        if fault is None:
            return None
        return web.Response(status=int(fault.args.get("code", 500)), text="")

    def begin_fault(self, name: str, args: Json) -> None:
        """Faults that befall a connection that is open already."""
        hub = self.updates if name.startswith("ws.") else self.market_data
        if name.endswith(".half_open"):
            hub.freeze()
        elif name in ("ws.close", "md.close"):
            self.engine.faults.take(name)
            hub.abort(int(args.get("code", 1006)))
        elif name.startswith(("asset.", "account.")):
            self.engine.faults.take(name)
            self._shut(name, str(args.get("symbol", "")))

    def _shut(self, name: str, symbol: str) -> None:
        """A pair or the account is closed from now on."""
        if name == "account.block":
            self.engine.account.trading_blocked = True
        elif name == "account.revoke":
            self.engine.account.revoked = True
        else:
            pair = self.engine.pairs[symbol]
            pair.tradable = False
            pair.status = "inactive" if name == "asset.delist" else pair.status

    # ---- time --------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something changed: look at once when the next thing is due."""
        self._wake.set()

    async def run(self) -> None:
        """Keep time going and publish what happens."""
        prices = self._replay() if self.recording is not None else self._walk()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_time())
            group.create_task(prices)

    async def _keep_time(self) -> None:
        while True:
            self.engine.advance(utc_now())
            await self._flush()
            due = self.engine.next_due()
            pause = 0.05 if due is None else max(0.001, min(0.05, (due - utc_now()).total_seconds()))
            self._wake.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _flush(self) -> None:
        while self._outbox:
            await self.updates.publish(self._outbox.popleft())

    async def _walk(self) -> None:
        pause = 1 / self._options.ticks_per_second
        while True:
            await asyncio.sleep(pause)
            self.engine.advance(utc_now())
            self.walk.tick(pause)
            await self._publish_quotes(self.engine.quotes.values())
            await self._flush()

    async def _publish_quotes(self, quotes: Any) -> None:
        messages = [trade_message(one) for one in self.engine.executions[self._trades_told :]]
        self._trades_told = len(self.engine.executions)
        for quote in quotes:
            bar = self.history.add(quote)
            if bar is not None:
                messages.append(bar_message(quote.symbol, bar))
            if self.market_data.wants("orderbooks", quote.symbol):
                messages.append(book_message(quote))
            bad = self.engine.faults.take("md.bad_quote", quote.symbol)
            late = self.engine.faults.peek("md.backlog")
            message = quote_message(quote)
            if bad is not None:
                message = spoiled(quote, str(bad.args.get("kind", "zero")))
            if late is not None:
                message["t"] -= timedelta(seconds=float(late.args.get("seconds", 30)))
            messages.append(message)
            self.quotes_published += 1
        await self.market_data.publish(messages)

    def publish_quote(self, symbol: str) -> None:
        """Send a pair's quote now, outside the ticks."""
        self._task = asyncio.get_running_loop().create_task(
            self._publish_quotes([self.engine.quotes[symbol]])
        )

    # ---- replay ------------------------------------------------------------------------------------

    def replay_state(self) -> Json | None:
        if self.recording is None:
            return None
        return {**self._replayed, "skipped": self.recording.skipped, "problem": self.recording.first_skipped}

    async def _replay(self) -> None:
        """Play every point at the asked pace; a pace too fast for one by one is sent in frames."""
        assert self.recording is not None
        await self.started.wait()
        begun, market_seconds = time.monotonic(), 0.0
        batch: list[Quote] = []
        for point in self.recording.points():
            market_seconds += point.seconds
            ahead = market_seconds / self._options.speed - (time.monotonic() - begun)
            if ahead > 0 or len(batch) >= 50:
                await self._publish_batch(batch)
                await asyncio.sleep(max(0.0, ahead))
            batch.append(self._play(point))
        await self._publish_batch(batch)
        self._replayed["done"] = True
        while True:
            await asyncio.sleep(1)
            quote = self.engine.quotes[self._options.symbol]
            self.walk.set_quote(quote.symbol, quote.bid, quote.ask)
            await self._publish_quotes([self.engine.quotes[quote.symbol]])

    def _play(self, point: Point) -> Quote:
        now = utc_now()
        quote = Quote(symbol=self._options.symbol, bid=point.bid, ask=point.ask, at=now)
        self.engine.advance(now)
        self.engine.set_quote(quote)
        self._replayed["points_played"] += 1  # type: ignore[operator]
        self._replayed["bars_played"] = point.bar
        self._replayed["market_time"] = point.at.isoformat()  # type: ignore[assignment]
        return quote

    async def _publish_batch(self, batch: list[Quote]) -> None:
        if batch:
            await self._publish_quotes(list(batch))
            batch.clear()
        await self._flush()


async def _listen(app: web.Application, port: int) -> int:
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    sockets = site._server.sockets  # type: ignore[union-attr]
    return int(sockets[0].getsockname()[1])
