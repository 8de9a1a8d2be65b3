"""The exchange's sockets: which paths there are, and what stands before each of them."""

import secrets
import time
from collections import deque

from aiohttp import web

from paper_exchange.admin import Admin
from paper_exchange.data import MarketDataRest
from paper_exchange.rest import Dropped, Handler, Trading, refusal
from paper_exchange.server import Server, utc_now
from paper_exchange.values import Refused

_HOSTS = {"127.0.0.1", "localhost"}


@web.middleware
async def no_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page from elsewhere reaches this machine's ports as well: under a name of its own that it has pointed
    here (Host), or across origins (Origin). Programs send neither."""
    host = request.headers.get("Host", "").rpartition(":")
    if "Origin" in request.headers or (host[0] or host[2]) not in _HOSTS:
        return web.Response(status=403, text="Not for browsers: http://127.0.0.1 without an Origin only")
    return await handler(request)


class TooMany(Refused):
    """The budget of a minute is used up."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__(429, 42910000, "rate limit exceeded")
        self.headers = headers


def _refusal(error: Refused) -> web.Response:
    answer = refusal(error)
    if isinstance(error, TooMany):
        answer.headers.update(error.headers)
    return answer


def _is_data(request: web.Request) -> bool:
    return request.path.lstrip("/").startswith("v1beta3")


class Site:
    """A server's sockets. `urls` says where, once they are open."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._engine = server.engine
        self._token = secrets.token_urlsafe(12)
        self._requests: dict[bool, deque[float]] = {False: deque(), True: deque()}
        """Times of requests to the data host (True) and to the trading host, which have a budget each."""
        self.urls: dict[str, str] = {}

    async def open(self) -> None:
        """Listen; afterwards `urls` holds."""
        main = web.Application(middlewares=[no_browsers, self._guard])
        main.add_routes(Trading(self._engine, self._server.wake).routes())
        main.add_routes(MarketDataRest(self._engine, self._server.history).routes())
        main.add_routes([web.get(path, self._server.updates.handle) for path in ("/stream", "/stream/")])
        main.add_routes([web.get("/v1beta3/crypto/us", self._server.market_data.handle)])
        port = await _listen(main, self._server.options.port)
        admin = web.Application(middlewares=[no_browsers])
        admin.add_routes(Admin(self._server).routes(self._token))
        admin_port = await _listen(admin, 0)
        host = f"127.0.0.1:{port}"
        self.urls = {
            "trading": f"http://{host}",
            "data": f"http://{host}",
            "trading_stream": f"ws://{host}/stream",
            "data_stream": f"ws://{host}/v1beta3/crypto/us",
            "admin": f"http://127.0.0.1:{admin_port}/{self._token}",
            "key_id": self._server.keys[0],
            "secret_key": self._server.keys[1],
        }

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keys, rate limit and faults of reading, before any path; Alpaca's error bodies after."""
        self._engine.advance(utc_now())
        if request.path in ("/stream", "/stream/", "/v1beta3/crypto/us"):
            return await handler(request)
        try:
            self._check_keys(request)
            headers = self._count_request(_is_data(request))
            response = self._fault_of_reading(request) or await handler(request)
            if not response.prepared:
                response.headers.update(headers)
            return response
        except Refused as error:
            return _refusal(error)
        except Dropped:
            if request.transport is not None:
                request.transport.abort()
            raise
        except web.HTTPNotFound:
            if request.path.startswith("//"):  # a base URL that ended with a slash
                return await self._resolve_again(request)
            return refusal(Refused(404, 40410000, "endpoint not found"))

    async def _resolve_again(self, request: web.Request) -> web.StreamResponse:
        again = request.clone(rel_url=request.raw_path[1:])
        match = await request.app.router.resolve(again)
        match.add_app(request.app)
        again._match_info = match
        return await self._guard(again, match.handler)

    def _check_keys(self, request: web.Request) -> None:
        """The data host needs no keys for crypto, but takes no wrong ones."""
        given = (request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY"))
        if _is_data(request) and given == (None, None):
            return
        if given != self._server.keys or self._engine.account.revoked:
            raise Refused(401, 40110000, "request is not authorized")

    def _count_request(self, of_data: bool) -> dict[str, str]:
        """Alpaca's limit is per minute, key and host; the headers say how much is left (alpaca.md 2.7).

        Raises:
            TooMany: nothing is left, or a fault says so.
        """
        now, taken = time.monotonic(), self._requests[of_data]
        while taken and now - taken[0] > 60:
            taken.popleft()
        limit = self._server.options.rate_limit_per_minute
        too_many = (limit and len(taken) >= limit) or self._engine.faults.take("rate_limit") is not None
        if not too_many:
            taken.append(now)
            self._server.requests_taken += 1
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(0 if too_many else max(0, limit - len(taken))),
            "X-RateLimit-Reset": str(int(time.time()) + 60),
        }
        if too_many:
            raise TooMany(headers)
        return headers

    def _fault_of_reading(self, request: web.Request) -> web.Response | None:
        fault = self._engine.faults.take("get.error") if request.method == "GET" else None
        if fault is None:
            return None
        return web.Response(status=int(fault.args.get("code", 500)), text="")


async def _listen(app: web.Application, port: int) -> int:
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    sockets = site._server.sockets  # type: ignore[union-attr]
    return int(sockets[0].getsockname()[1])
