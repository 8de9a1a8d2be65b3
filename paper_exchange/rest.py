"""Alpaca's REST paths for crypto, over the engine (alpaca.md 2 and 7)."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web

from paper_exchange import views, wire
from paper_exchange.engine import Engine
from paper_exchange.faults import Fault
from paper_exchange.values import Order, Refused, plain

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_PAGE, _MAX_PAGE = 50, 500


class Dropped(Exception):
    """The connection is to be cut instead of answered."""


def refusal(error: Refused) -> web.Response:
    if error.code is None:
        return web.Response(status=error.status, text=error.message)
    return web.json_response(
        {"code": error.code, "message": error.message, **error.more}, status=error.status
    )


class Trading:
    """Everything below /v2."""

    def __init__(self, engine: Engine, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._wake = wake

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v2/account", self.account),
            web.get("/v2/account/configurations", self.configurations),
            web.patch("/v2/account/configurations", self.configurations),
            web.get("/v2/account/activities", self.activities),
            web.get("/v2/account/activities/{kind}", self.activities),
            web.get("/v2/assets", self.assets),
            web.get("/v2/assets/{name:.+}", self.asset),
            web.get("/v2/clock", self.clock),
            web.get("/v2/calendar", self.calendar),
            web.post("/v2/orders", self.submit),
            web.get("/v2/orders", self.orders),
            web.delete("/v2/orders", self.cancel_all),
            web.get("/v2/orders:by_client_order_id", self.by_client_id),
            web.get("/v2/orders/{id}", self.order),
            web.delete("/v2/orders/{id}", self.cancel),
            web.patch("/v2/orders/{id}", self.replace),
            web.get("/v2/positions", self.positions),
            web.delete("/v2/positions", self.close_all),
            web.get("/v2/positions/{name}", self.position),
            web.delete("/v2/positions/{name}", self.close),
        ]

    async def account(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(views.account(self._engine))

    async def configurations(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(
            {
                "fractional_trading": True,
                "max_margin_multiplier": "4",
                "no_shorting": False,
                "suspend_trade": self._engine.account.trade_suspended_by_user,
                "trade_confirm_email": "all",
                "ptp_no_exception_entry": False,
                "max_options_trading_level": None,
                "disable_overnight_trading": False,
                "dtbp_check": "both",
                "pdt_check": "both",
            }
        )

    async def assets(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("asset_class", "crypto") != "crypto":
            return web.json_response([])
        status = request.query.get("status")
        pairs = [p for p in self._engine.pairs.values() if status in (None, p.status)]
        return web.json_response([wire.asset(pair) for pair in pairs])

    async def asset(self, request: web.Request) -> web.StreamResponse:
        pair = self._engine.pair(request.match_info["name"])
        if pair is None:
            raise Refused(404, 40410000, f"asset not found for {request.match_info['name']}")
        return web.json_response(wire.asset(pair))

    async def clock(self, request: web.Request) -> web.StreamResponse:
        now = self._engine.now
        open_at = now.replace(hour=13, minute=30, second=0, microsecond=0) + timedelta(days=1)
        return web.json_response(
            {
                "timestamp": now.isoformat(),
                "is_open": False,
                "next_open": open_at.isoformat(),
                "next_close": (open_at + timedelta(hours=6.5)).isoformat(),
            }
        )

    async def calendar(self, request: web.Request) -> web.StreamResponse:
        start = datetime.fromisoformat(request.query.get("start", self._engine.now.date().isoformat()))
        end = datetime.fromisoformat(request.query.get("end", self._engine.now.date().isoformat()))
        days = [start + timedelta(days=n) for n in range(min((end - start).days + 1, 400))]
        hours = {"open": "09:30", "close": "16:00", "session_open": "0400", "session_close": "2000"}
        return web.json_response(
            [
                {"date": day.date().isoformat(), **hours, "settlement_date": day.date().isoformat()}
                for day in days
                if day.weekday() < 5
            ]
        )

    # ---- orders ------------------------------------------------------------------------------------

    async def submit(self, request: web.Request) -> web.StreamResponse:
        try:
            body = json.loads(await request.text())
        except ValueError:
            raise Refused(400, 40010000, "request body format is invalid") from None
        client_id = body.get("client_order_id") if isinstance(body, dict) else None
        return await self._journaled(request, client_id, lambda: self._submit(request, body))

    async def _submit(self, request: web.Request, body: object) -> web.StreamResponse:
        faults = self._engine.faults
        late = faults.take("post.delay")
        if late is not None:
            await asyncio.sleep(float(late.args.get("seconds", 5)))
        if faults.take("post.drop_before") is not None:
            raise Dropped("post.drop_before")
        bad = faults.take("post.status")
        if bad is not None and not bad.args.get("after_accept"):
            return _bad_answer(bad)
        order = self._engine.submit(body)
        if faults.take("ws.event_before_reply") is not None:
            await asyncio.sleep(0.3)
        self._wake()
        if faults.take("post.accept_then_drop") is not None:
            raise Dropped("post.accept_then_drop")
        if bad is not None:
            return _bad_answer(bad)
        return _odd_body(faults.take("post.body"), self._engine.order_json(order))

    async def _journaled(
        self, request: web.Request, client_id: object, answer: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Write a request that may change something into the journal, with its answer. The arrival counts."""
        engine = self._engine
        entry: Json = {
            "method": request.method,
            "path": request.path,
            "client_order_id": client_id,
            "order_id": request.match_info.get("id"),
            "answer": None,
            "fault": None,
        }
        engine.write("request", **entry)
        written = engine.journal[-1]
        try:
            response = await answer()
        except Refused as error:
            response = refusal(error)
        except Dropped as error:
            written["answer"], written["fault"] = "dropped", str(error)
            raise
        written["answer"] = response.status
        return response

    def _find(self, order_id: str) -> Order:
        order = self._engine.orders.get(order_id)
        if order is None:
            raise Refused(404, 40410000, f"order not found for {order_id}")
        return order

    async def order(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._engine.order_json(self._find(request.match_info["id"])))

    async def by_client_id(self, request: web.Request) -> web.StreamResponse:
        client_id = request.query.get("client_order_id", "")
        order = self._engine.by_client_id.get(client_id)
        hidden = self._engine.faults.peek("get.not_found_for")
        if hidden is not None and order is not None:
            age = (self._engine.now - order.created_at).total_seconds()
            if age < float(hidden.args.get("seconds", 30)):
                order = None
        if order is None:
            raise Refused(404, 40410000, f"order not found for {client_id}")
        stale = self._engine.faults.take("get.stale")
        seconds = float(stale.args.get("seconds", 5)) if stale is not None else 0.0
        return web.json_response(views.order_as_of(self._engine, order, seconds))

    async def orders(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        status = query.get("status", "open")
        if status not in ("open", "closed", "all"):
            raise Refused(422, 42210000, f"invalid status: {status}")
        found = [
            o for o in self._engine.orders.values() if status == "all" or o.is_open == (status == "open")
        ]
        if query.get("symbols"):
            names = {name.replace("/", "") for name in query["symbols"].split(",")}
            found = [o for o in found if o.symbol.replace("/", "") in names]
        if query.get("side"):
            found = [o for o in found if o.side == query["side"]]
        if query.get("after"):
            found = [o for o in found if o.created_at > _time(query["after"])]
        if query.get("until"):
            found = [o for o in found if o.created_at < _time(query["until"])]
        found.sort(key=lambda o: o.created_at, reverse=query.get("direction", "desc") == "desc")
        found = self._from_cursor(found, query.get("before_order_id"), query.get("after_order_id"))
        limit = min(int(query.get("limit", _PAGE)), _MAX_PAGE)
        smaller = self._engine.faults.peek("page_limit")
        if smaller is not None:
            limit = min(limit, int(smaller.args.get("n", 2)))
        return web.json_response([self._engine.order_json(o) for o in found[:limit]])

    @staticmethod
    def _from_cursor(found: list[Order], before: str | None, after: str | None) -> list[Order]:
        """Orders on one side of another one, in the order of the list."""
        ids = [order.id for order in found]
        for cursor in (before, after):
            if cursor in ids:
                return found[ids.index(cursor) + 1 :]
        return found

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        async def work() -> web.StreamResponse:
            self._engine.cancel(request.match_info["id"])
            self._wake()
            return web.Response(status=204)

        order = self._engine.orders.get(request.match_info["id"])
        return await self._journaled(request, order.client_order_id if order else None, work)

    async def cancel_all(self, request: web.Request) -> web.StreamResponse:
        async def work() -> web.StreamResponse:
            done = [self._engine.cancel(order.id) for order in self._engine.open_orders()]
            self._wake()
            return web.json_response([{"id": order.id, "status": 200} for order in done], status=207)

        return await self._journaled(request, None, work)

    async def replace(self, request: web.Request) -> web.StreamResponse:
        self._find(request.match_info["id"])
        raise Refused(422, 42210000, "replacing orders is not modeled here: cancel and submit anew")

    # ---- positions ---------------------------------------------------------------------------------

    async def positions(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(views.positions(self._engine))

    def _position_symbol(self, name: str) -> str:
        """Positions know no slash: with one, Alpaca answers in plain text (alpaca.md 2.4)."""
        if "/" in name:
            raise Refused(404, None, "Not Found")
        pair = self._engine.pair(name)
        if pair is None or self._engine.held(pair.symbol) <= 0:
            raise Refused(404, 40410000, "position does not exist")
        return pair.symbol

    async def position(self, request: web.Request) -> web.StreamResponse:
        symbol = self._position_symbol(request.match_info["name"])
        return web.json_response(views.position(self._engine, symbol))

    def _close(self, symbol: str, share: str | None = None, qty: str | None = None) -> Order:
        available = self._engine.available(symbol)
        if qty is None and share is not None:
            qty = plain((available * _number(share) / 100).quantize(available))
        body = {"symbol": symbol, "side": "sell", "type": "market", "time_in_force": "gtc"}
        return self._engine.submit({**body, "qty": qty or plain(available)}, manual=True)

    async def close(self, request: web.Request) -> web.StreamResponse:
        async def work() -> web.StreamResponse:
            symbol = self._position_symbol(request.match_info["name"])
            order = self._close(symbol, request.query.get("percentage"), request.query.get("qty"))
            self._wake()
            return web.json_response(self._engine.order_json(order))

        return await self._journaled(request, None, work)

    async def close_all(self, request: web.Request) -> web.StreamResponse:
        async def work() -> web.StreamResponse:
            if request.query.get("cancel_orders", "").lower() == "true":
                for order in self._engine.open_orders():
                    self._engine.cancel(order.id)
            symbols = [s for s in self._engine.account.coins if self._engine.available(s) > 0]
            orders = [self._close(symbol) for symbol in symbols]
            self._wake()
            return web.json_response(
                [
                    {"symbol": o.symbol.replace("/", ""), "status": 200, "body": self._engine.order_json(o)}
                    for o in orders
                ],
                status=207,
            )

        return await self._journaled(request, None, work)

    # ---- activities --------------------------------------------------------------------------------

    async def activities(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        kinds = request.match_info.get("kind") or query.get("activity_types") or ""
        wanted = set(kinds.split(",")) - {""}
        rows = [r for r in self._engine.activities if not wanted or r["activity_type"] in wanted]
        if query.get("after"):
            rows = [r for r in rows if _time(_row_time(r)) > _time(query["after"])]
        if query.get("until"):
            rows = [r for r in rows if _time(_row_time(r)) < _time(query["until"])]
        if query.get("direction", "desc") == "desc":
            rows = rows[::-1]
        token = query.get("page_token")
        ids = [row["id"] for row in rows]
        if token in ids:
            rows = rows[ids.index(token) + 1 :]
        return web.json_response(rows[: min(int(query.get("page_size", 100)), 100)])


def _row_time(row: Json) -> str:
    return str(row.get("transaction_time") or row.get("created_at"))


def _number(text: str) -> Decimal:
    return Decimal(text)


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise Refused(422, 42210000, f"invalid time: {text}") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _bad_answer(fault: Fault) -> web.Response:
    status = int(fault.args.get("code", 500))
    body = fault.args.get("body")
    if body is None and status == 429:
        return web.json_response({"code": 42910000, "message": "rate limit exceeded"}, status=429)
    return web.Response(status=status, text=str(body or ""), content_type="text/html")


def _odd_body(fault: Fault | None, order: Json) -> web.Response:
    kind = None if fault is None else fault.args.get("kind", "garbage")
    if kind == "garbage":
        return web.Response(text="<<<not json>>>")
    if kind == "empty":
        return web.Response(text="")
    if kind == "unknown_enum":
        order = order | {"status": "some_new_status"}
    return web.json_response(order)
