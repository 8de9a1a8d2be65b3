"""An exchange that is as quick as it can be and knows exactly when it sent a quote and received an order.

It speaks as much of Alpaca's REST and of both websockets as main_app asks for, from one event loop, and
does nothing by itself: prices and fills come when the bench says so. All times are CLOCK_MONOTONIC's.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgpack
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Upgrade
from websockets.http11 import Response as UpgradeResponse

from bench import orders_http
from bench.orders_http import Request, Response
from dca.core import ledger
from dca.core.model import ZERO, Side, plain

KEY_ID, SECRET_KEY = "PKBENCHBENCHBENCHBEN", "bench-secret-bench-secret-bench-secret-0"
_MINUTE_NS = 60_000_000_000
Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Order:
    """An order as the exchange has it. `received_ns`: when the POST was whole."""

    id: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    qty: Decimal
    limit_price: str | None
    received_ns: int
    created_at: datetime
    status: str = "new"
    price: Decimal | None = None
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Exchange:
    """One account. `symbols` are its pairs; `delay_seconds` is how long every REST answer takes."""

    def __init__(self, symbols: list[str], *, delay_seconds: float = 0.0, rate_limit: int = 0) -> None:
        """`rate_limit`: requests to the trading host within a minute; 0 for none, and no headers then."""
        self.prices: dict[str, float] = dict.fromkeys(symbols, 100.0)
        self._quoted_at = dict.fromkeys(symbols, datetime.now(UTC))
        self.coins: dict[str, Decimal] = dict.fromkeys(symbols, ZERO)
        self.orders: dict[str, Order] = {}
        self.posted: asyncio.Queue[Order] = asyncio.Queue()
        self.requests: list[tuple[int, str]] = []
        """When each request to the trading host arrived, and what it was."""
        self.refused = 0
        self.mute = False
        """Fills are not told on the order stream."""
        self.refuse_stream = False
        """The order stream cannot be opened."""
        self.delay_seconds = delay_seconds
        self.urls: dict[str, str] = {}
        self.subscribed: set[str] = set()
        self._rate_limit = rate_limit
        self._fills: list[tuple[datetime, Json]] = []
        self._order_stream: ServerConnection | None = None
        self._quote_stream: ServerConnection | None = None
        self._servers: list[asyncio.Server | Server] = []

    # ---- sockets -----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Listen; afterwards `urls` holds, under the names of the paper exchange's first line."""
        rest, port = await orders_http.serve(self._answer)
        orders = await serve(_until_closed(self._serve_orders), "127.0.0.1", 0, process_request=self._admit)
        quotes = await serve(_until_closed(self._serve_quotes), "127.0.0.1", 0, compression=None)
        self._servers = [rest, orders, quotes]
        ports = [next(iter(each.sockets)).getsockname()[1] for each in (orders, quotes)]
        self.urls = {
            "trading": f"http://127.0.0.1:{port}",
            "data": f"http://127.0.0.1:{port}",
            "trading_stream": f"ws://127.0.0.1:{ports[0]}/stream",
            "data_stream": f"ws://127.0.0.1:{ports[1]}/v1beta3/crypto/us",
            "key_id": KEY_ID,
            "secret_key": SECRET_KEY,
        }

    def close(self) -> None:
        for server in self._servers:
            server.close()

    def _admit(self, _connection: ServerConnection, _request: Upgrade) -> UpgradeResponse | None:
        if not self.refuse_stream:
            return None
        return UpgradeResponse(429, "Too Many Requests", Headers({"Content-Length": "0"}), b"")

    async def _serve_orders(self, connection: ServerConnection) -> None:
        async for frame in connection:
            asked = json.loads(frame)
            if asked["action"] == "listen":
                self._order_stream = connection
                answer = {"stream": "listening", "data": asked["data"]}
            else:
                status = {"status": "authorized", "action": "authenticate"}
                answer = {"stream": "authorization", "data": status}
            await connection.send(json.dumps(answer).encode())

    async def _serve_quotes(self, connection: ServerConnection) -> None:
        await connection.send(msgpack.packb([{"T": "success", "msg": "connected"}]))
        async for frame in connection:
            asked = msgpack.unpackb(frame)
            answer: Json = {"T": "success", "msg": "authenticated"}
            if asked["action"] != "auth":
                change = set(asked["quotes"])
                more = asked["action"] == "subscribe"
                self.subscribed = self.subscribed | change if more else self.subscribed - change
                answer = {"T": "subscription", "quotes": sorted(self.subscribed)}
            await connection.send(msgpack.packb([answer]))
            self._quote_stream = connection

    def drop_order_stream(self) -> None:
        """It breaks, without a word."""
        if self._order_stream is not None:
            self._order_stream.transport.abort()

    # ---- quotes ------------------------------------------------------------------------------------

    def quote(self, symbol: str, price: float) -> int:
        """Quote a pair at a price, bid and ask, and send it now; returns when."""
        self.prices[symbol], self._quoted_at[symbol] = price, datetime.now(UTC)
        packed = _frame(msgpack.packb([_quote(symbol, price)], datetime=True))
        sent_ns = time.monotonic_ns()
        self._write_quotes(packed)
        return sent_ns

    def repeat(self, symbols: list[str]) -> None:
        """Send these pairs' prices once more, one quote a frame."""
        self._quoted_at.update(dict.fromkeys(symbols, datetime.now(UTC)))
        frames = [_frame(msgpack.packb([_quote(each, self.prices[each])], datetime=True)) for each in symbols]
        self._write_quotes(b"".join(frames))

    def _write_quotes(self, packed: bytes) -> None:
        assert self._quote_stream is not None, "nobody listens to quotes"
        self._quote_stream.transport.write(packed)

    # ---- orders ------------------------------------------------------------------------------------

    def fill(self, order: Order, price: Decimal) -> int:
        """Fill an order whole, and say so on the order stream; returns when that was sent."""
        order.status, order.price, order.updated_at = "filled", price, datetime.now(UTC)
        bought = order.side == Side.BUY
        change = order.qty - ledger.coin_fee(order.qty) if bought else -order.qty
        self.coins[order.symbol] += change
        fill = {"id": f"fill-{order.id}", "order_id": order.id, "side": order.side, "symbol": order.symbol}
        listed = {**fill, "qty": plain(order.qty), "price": plain(price)}
        self._fills.append((order.updated_at, listed))
        update = {"event": "fill", "timestamp": _stamp(order.updated_at), "order": as_json(order)}
        packed = _frame(json.dumps({"stream": "trade_updates", "data": update}).encode())
        sent_ns = time.monotonic_ns()
        if not self.mute and self._order_stream is not None and not self._order_stream.transport.is_closing():
            self._order_stream.transport.write(packed)
        return sent_ns

    # ---- REST --------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> tuple[Response, float]:
        if request.path.startswith("/v1beta3"):
            return _as_response(self._latest_quotes(request)), self.delay_seconds
        left = self._count(request)
        if left < 0:
            self.refused += 1
            body = b'{"code": 42910000, "message": "rate limit exceeded"}'
            return Response(status=429, body=body, headers=self._limits(0)), self.delay_seconds
        status, found = self._route(request)
        body = b"" if found is None else json.dumps(found).encode()
        return Response(status=status, body=body, headers=self._limits(left)), self.delay_seconds

    def _count(self, request: Request) -> int:
        """How many more requests the last minute has room for; below 0 for one too many."""
        self.requests.append((request.received_ns, f"{request.method} {request.path}"))
        return self._rate_limit - self.within_a_minute() if self._rate_limit else 0

    def within_a_minute(self) -> int:
        """Requests to the trading host in the last minute."""
        since = time.monotonic_ns() - _MINUTE_NS
        return sum(at_ns > since for at_ns, _ in self.requests)

    def _limits(self, left: int) -> tuple[tuple[str, str], ...]:
        if not self._rate_limit:
            return ()
        values = {"Limit": self._rate_limit, "Remaining": left, "Reset": int(time.time()) + 60}
        return tuple((f"X-RateLimit-{name}", str(value)) for name, value in values.items())

    def _route(self, request: Request) -> tuple[int, Any]:
        path = request.path.removeprefix("/v2")
        if request.method == "POST" and path == "/orders":
            return 200, self._take_order(request)
        if request.method == "DELETE":
            return 204, None
        if path == "/orders:by_client_order_id":
            found = self.orders.get(request.query["client_order_id"])
            return (404, _NOT_FOUND) if found is None else (200, as_json(found))
        if path == "/orders":
            still_open = request.query.get("status") == "open"
            return 200, [as_json(each) for each in self.orders.values() if still_open and each.price is None]
        if path == "/account/activities/FILL":
            return 200, self._listed_fills(request.query)
        if path.startswith("/positions"):
            return self._positions(path.removeprefix("/positions").removeprefix("/"))
        return 200, self._facts()[path]

    def _listed_fills(self, query: dict[str, str]) -> list[Json]:
        """A page of the activity list (alpaca.md 2.5)."""
        after = (
            datetime.fromisoformat(query["after"]) if "after" in query else datetime.min.replace(tzinfo=UTC)
        )
        found = [fill for at, fill in self._fills if at > after]
        if query.get("direction") == "desc":
            found.reverse()
        ids = [fill["id"] for fill in found]
        first = ids.index(query["page_token"]) + 1 if query.get("page_token") in ids else 0
        return found[first : first + int(query.get("page_size", 100))]

    def _facts(self) -> dict[str, Any]:
        return {
            "/account": _ACCOUNT,
            "/clock": {"timestamp": _stamp(datetime.now(UTC)), "is_open": True},
            "/assets": [{**_ASSET, "symbol": symbol} for symbol in self.prices],
        }

    def _take_order(self, request: Request) -> Json:
        body = json.loads(request.body)
        order = Order(
            id=f"00000000-0000-4000-8000-{len(self.orders) + 1:012d}",
            client_order_id=body["client_order_id"],
            symbol=body["symbol"],
            side=body["side"],
            type=body["type"],
            qty=Decimal(body["qty"]),
            limit_price=body.get("limit_price"),
            received_ns=request.received_ns,
            created_at=datetime.now(UTC),
        )
        assert order.client_order_id not in self.orders, "the same order twice"
        self.orders[order.client_order_id] = order
        self.posted.put_nowait(order)
        return as_json(order)

    def _positions(self, name: str) -> tuple[int, Any]:
        held = {
            symbol.replace("/", ""): {"symbol": symbol.replace("/", ""), "qty": plain(qty)}
            for symbol, qty in self.coins.items()
            if qty and (not name or symbol.replace("/", "") == name)
        }
        if not name:
            return 200, list(held.values())
        return (200, {**held[name], "qty_available": held[name]["qty"]}) if held else (404, _NOT_FOUND)

    def _latest_quotes(self, request: Request) -> Json:
        found = {}
        for symbol in request.query["symbols"].split(","):
            price, at = self.prices[symbol], _stamp(self._quoted_at[symbol])
            found[symbol] = {"bp": price, "ap": price, "bs": 1.0, "as": 1.0, "t": at}
        return {"quotes": found}


_NOT_FOUND = {"code": 40410000, "message": "not found"}
_ACCOUNT = {
    "id": "bench0000-0000-4000-8000-000000000000",
    "status": "ACTIVE",
    "crypto_status": "ACTIVE",
    "trading_blocked": False,
    "account_blocked": False,
    "trade_suspended_by_user": False,
    "non_marginable_buying_power": "1000000",
}
_ASSET = {
    "class": "crypto",
    "status": "active",
    "tradable": True,
    "min_order_size": "0.01",
    "min_trade_increment": "0.000000001",
    "price_increment": "0.0001",
}


_ABSENT = (
    *("expired_at", "canceled_at", "failed_at", "replaced_at", "replaced_by", "replaces", "notional"),
    *("legs", "trail_percent", "trail_price", "hwm", "subtag", "source", "stop_price"),
)


def as_json(order: Order) -> Json:
    """With all the fields that Alpaca's have: they are read too."""
    created, updated = _stamp(order.created_at), _stamp(order.updated_at)
    filled = order.price is not None
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": created,
        "updated_at": updated,
        "submitted_at": created,
        "filled_at": updated if filled else None,
        **dict.fromkeys(_ABSENT),
        "asset_id": order.id,
        "symbol": order.symbol,
        "asset_class": "crypto",
        "qty": plain(order.qty),
        "filled_qty": plain(order.qty) if filled else "0",
        "filled_avg_price": None if order.price is None else plain(order.price),
        "order_class": "",
        "order_type": order.type,
        "type": order.type,
        "side": order.side,
        "time_in_force": "gtc",
        "limit_price": order.limit_price,
        "status": order.status,
        "extended_hours": False,
    }


def _quote(symbol: str, price: float) -> Json:
    sizes = {"bs": 1.0, "as": 1.0, "t": datetime.now(UTC)}
    return {"T": "q", "S": symbol, "bp": price, "ap": price, **sizes}


def _until_closed(
    handler: Callable[[ServerConnection], Awaitable[None]],
) -> Callable[[ServerConnection], Awaitable[None]]:
    """A handler that ends quietly with its connection, however that ends: clients are killed here."""

    async def handle(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await handler(connection)

    return handle


def _frame(payload: bytes) -> bytes:
    """A whole binary websocket frame of a server (RFC 6455, 5.2)."""
    size = len(payload)
    head = bytes([0x82, size]) if size < 126 else b"\x82\x7e" + size.to_bytes(2, "big")
    return head + payload


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _as_response(found: Json) -> Response:
    return Response(body=json.dumps(found).encode())
