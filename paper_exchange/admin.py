"""The admin interface: what a test or a demo may do to the exchange, and read of it. JSON, loopback only."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from paper_exchange import views, wire
from paper_exchange.rest import refusal
from paper_exchange.server import Server
from paper_exchange.values import Refused, plain

Json = dict[str, Any]


def _bad(text: str) -> web.Response:
    return web.json_response({"message": text}, status=400)


class Admin:
    """Paths below the admin URL, whose last part is a random word: knowing it is the permission."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._engine = server.engine

    def routes(self, token: str) -> list[web.RouteDef]:
        base = f"/{token}"
        return [
            web.get(f"{base}/health", self.health),
            web.get(f"{base}/journal", self.journal),
            web.get(f"{base}/state", self.state),
            web.post(f"{base}/market", self.guarded(self.market)),
            web.post(f"{base}/market/hold", self.guarded(self.hold)),
            web.post(f"{base}/market/start", self.guarded(self.start)),
            web.post(f"{base}/faults", self.guarded(self.add_fault)),
            web.delete(f"{base}/faults", self.guarded(self.clear_faults)),
            web.post(f"{base}/orders", self.guarded(self.submit)),
            web.delete(f"{base}/orders/{{id}}", self.guarded(self.cancel)),
            web.post(f"{base}/positions", self.guarded(self.deposit)),
            web.post(f"{base}/account", self.guarded(self.account)),
            web.post(f"{base}/assets", self.guarded(self.asset)),
            web.post(f"{base}/streams/close", self.guarded(self.close_stream)),
        ]

    def guarded(self, handler: Any) -> Any:
        """Read the JSON body first; a body that makes no sense is answered with what is wrong."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                body = json.loads(await request.text() or "{}")
                result: web.StreamResponse = await handler(request, body)
            except Refused as error:
                return refusal(error)
            except (ValueError, KeyError, TypeError, InvalidOperation) as error:
                return _bad(f"{type(error).__name__}: {error}")
            self._server.wake()
            return result

        return answer

    async def health(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": True, "now": wire.stamp(self._engine.now)})

    async def journal(self, request: web.Request) -> web.StreamResponse:
        after = int(request.query.get("after", 0))
        limit = int(request.query.get("limit", 10_000))
        entries = self._engine.journal[after : after + limit]
        last = entries[-1]["seq"] if entries else after
        return web.json_response({"entries": entries, "last": last})

    async def state(self, request: web.Request) -> web.StreamResponse:
        engine = self._engine
        coins = {s: qty for s, qty in engine.account.coins.items() if qty}
        return web.json_response(
            {
                "now": wire.stamp(engine.now),
                "start_cash": plain(engine.start_cash),
                "cash": plain(engine.account.cash),
                "positions": {
                    s: {"qty": plain(qty), "qty_available": plain(engine.available(s))}
                    for s, qty in coins.items()
                },
                "quotes": {s: {"bid": plain(q.bid), "ask": plain(q.ask)} for s, q in engine.quotes.items()},
                "open_orders": [engine.order_json(order) for order in engine.open_orders()],
                "replay": self._server.replay_state(),
                "faults": engine.faults.waiting(),
                "requests_taken": self._server.requests_taken,
                "quotes_published": self._server.quotes_published,
            }
        )

    async def market(self, request: web.Request, body: Json) -> web.StreamResponse:
        """Set a price: `bid` and `ask`, or `price`, or `change_percent` from where it is."""
        symbol, walk = body["symbol"], self._server.walk
        if "bid" in body:
            walk.set_quote(symbol, Decimal(str(body["bid"])), Decimal(str(body["ask"])))
        elif "price" in body:
            walk.set_price(symbol, Decimal(str(body["price"])))
        else:
            change = 1 + Decimal(str(body["change_percent"])) / 100
            walk.set_price(symbol, walk.price(symbol) * change)
        self._server.publish_quote(symbol)
        quote = self._engine.quotes[symbol]
        return web.json_response({"symbol": symbol, "bid": plain(quote.bid), "ask": plain(quote.ask)})

    async def hold(self, request: web.Request, body: Json) -> web.StreamResponse:
        symbols = [body["symbol"]] if body.get("symbol") else list(self._engine.pairs)
        self._server.walk.hold(symbols, held=bool(body.get("held", True)))
        return web.json_response({"held": symbols})

    async def start(self, request: web.Request, body: Json) -> web.StreamResponse:
        self._server.started.set()
        return web.json_response({"started": True})

    async def add_fault(self, request: web.Request, body: Json) -> web.StreamResponse:
        args = dict(body.get("args") or {})
        name = body["name"]
        fault_id = self._engine.faults.add(name, int(body.get("count", 1)), args, body.get("symbol"))
        self._engine.write("fault", name=name, args=args)
        self._server.begin_fault(name, args)
        return web.json_response({"id": fault_id})

    async def clear_faults(self, request: web.Request, body: Json) -> web.StreamResponse:
        self._engine.faults.clear()
        self._server.updates.thaw()
        self._server.market_data.thaw()
        return web.json_response({})

    async def submit(self, request: web.Request, body: Json) -> web.StreamResponse:
        order = self._engine.submit(body, manual=True)
        return web.json_response(self._engine.order_json(order))

    async def cancel(self, request: web.Request, body: Json) -> web.StreamResponse:
        return web.json_response(self._engine.order_json(self._engine.cancel(request.match_info["id"])))

    async def deposit(self, request: web.Request, body: Json) -> web.StreamResponse:
        self._engine.deposit(body["symbol"], Decimal(str(body["qty"])))
        return web.json_response({})

    async def account(self, request: web.Request, body: Json) -> web.StreamResponse:
        for name, value in body.items():
            if not hasattr(self._engine.account, name):
                raise ValueError(f"no such field: {name}")
            setattr(self._engine.account, name, Decimal(str(value)) if name == "cash" else value)
        return web.json_response(views.account(self._engine))

    async def asset(self, request: web.Request, body: Json) -> web.StreamResponse:
        pair = self._engine.pairs[body.pop("symbol")]
        for name, value in body.items():
            if name not in ("tradable", "status", "min_order_size", "price_increment"):
                raise ValueError(f"no such field: {name}")
            setattr(pair, name, Decimal(str(value)) if name.endswith(("size", "increment")) else value)
        return web.json_response(wire.asset(pair))

    async def close_stream(self, request: web.Request, body: Json) -> web.StreamResponse:
        hub = self._server.updates if body["stream"] == "trading" else self._server.market_data
        hub.abort(int(body.get("code", 1006)))
        return web.json_response({})
