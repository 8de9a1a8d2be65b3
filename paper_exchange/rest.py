"""Alpaca's REST paths for crypto, over the engine (alpaca.md 2 and 7)."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from itertools import dropwhile, islice
from typing import Any

from aiohttp import web

from paper_exchange import sessions, views, wire
from paper_exchange.engine import Engine
from paper_exchange.faults import Fault
from paper_exchange.parameters import Query
from paper_exchange.values import STEP, Order, Refused, plain

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_PAGE, _MAX_PAGE = 50, 500
_ACTIVITIES = 100
_SETTINGS: Json = {
    "fractional_trading": True,
    "max_margin_multiplier": "4",
    "no_shorting": False,
    "trade_confirm_email": "all",
    "ptp_no_exception_entry": False,
    "max_options_trading_level": 0,
    "disable_overnight_trading": False,
    "dtbp_check": "both",
    "pdt_check": "both",
}
"""Of an account, until they are changed."""


class Dropped(Exception):
    """The connection is to be cut instead of answered."""


def refusal(error: Refused) -> web.Response:
    """In Alpaca's form: JSON with a message and a code (0: without), or plain text (None)."""
    if error.code is None:
        return web.Response(status=error.status, text=error.message)
    code = {"code": error.code} if error.code else {}
    return web.json_response({**code, "message": error.message, **error.more}, status=error.status)


class Trading:
    """Everything below /v2."""

    def __init__(self, engine: Engine, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._wake = wake
        self._settings = dict(_SETTINGS)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v2/account", self.account),
            web.get("/v2/account/configurations", self.configurations),
            web.patch("/v2/account/configurations", self.configure),
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
            web.get("/v2/positions/{name:.+}", self.position),
            web.delete("/v2/positions/{name:.+}", self.close),
        ]

    async def account(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(views.account(self._engine))

    async def configurations(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._configured())

    def _configured(self) -> Json:
        return self._settings | {"suspend_trade": self._engine.account.trade_suspended_by_user}

    async def configure(self, request: web.Request) -> web.StreamResponse:
        """Keep what is asked for; what is not among the settings, or of another kind, is refused."""
        asked, known = await read_json(request), self._configured()
        if not isinstance(asked, dict):
            raise Refused(400, 40010000, "request body format is invalid")
        for name, value in asked.items():
            if name not in known or not isinstance(value, type(known[name])):
                raise Refused(422, 42210000, f"invalid {name[:60]}")
        suspended = asked.pop("suspend_trade", known["suspend_trade"])
        self._engine.account.trade_suspended_by_user = suspended
        self._settings |= asked
        return await self.configurations(request)

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
        return web.json_response(sessions.clock(self._engine.now))

    async def calendar(self, request: web.Request) -> web.StreamResponse:
        query, today = Query(request.query), self._engine.now.date()
        start, end = query.day("start", today), query.day("end", today)
        return web.json_response(sessions.calendar(start, min(end, start + timedelta(days=3660))))

    # ---- orders ------------------------------------------------------------------------------------

    async def submit(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
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
        query = Query(request.query)
        status = query.choice("status", ("open", "closed", "all"), "open")
        newest_first = query.choice("direction", ("asc", "desc"), "desc") == "desc"
        limit = query.whole("limit", _PAGE, least=1, most=_MAX_PAGE, clip=True)
        smaller = self._engine.faults.peek("page_limit")
        if smaller is not None:
            limit = min(limit, int(smaller.args.get("n", 2)))
        known = self._engine.open_orders() if status == "open" else self._engine.orders.values()
        in_order = reversed(known) if newest_first else iter(known)
        fits = _order_filter(query, open_only=status == "open", closed_only=status == "closed")
        found: Iterator[Order] = (order for order in in_order if fits(order))
        cursor = query.text("before_order_id") or query.text("after_order_id")
        if cursor in self._engine.orders:
            found = _after(found, cursor)
        return web.json_response([self._engine.order_json(order) for order in islice(found, limit)])

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

    def _close(self, symbol: str, share: Decimal | None = None, qty: Decimal | None = None) -> Order:
        """Sell a position: all of it, `share` percent, or `qty` coins."""
        available = self._engine.available(symbol)
        if share is not None and share > 100:
            raise Refused(422, 42210000, "percentage must be between 0 and 100")
        if qty is None:
            qty = (available * (share or 100) / 100).quantize(STEP, rounding=ROUND_DOWN)
        body = {"symbol": symbol, "side": "sell", "type": "market", "time_in_force": "gtc"}
        return self._engine.submit({**body, "qty": plain(qty)}, manual=True)

    async def close(self, request: web.Request) -> web.StreamResponse:
        async def work() -> web.StreamResponse:
            symbol = self._position_symbol(request.match_info["name"])
            query = Query(request.query)
            order = self._close(symbol, query.amount("percentage"), query.amount("qty"))
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
        query = Query(request.query)
        wanted = {*(request.match_info.get("kind") or query.text("activity_types")).split(",")} - {""}
        after, until, day = query.time("after"), query.time("until"), query.time("date")
        newest_first = query.choice("direction", ("asc", "desc"), "desc") == "desc"
        size = query.whole("page_size", _ACTIVITIES, least=1, most=_ACTIVITIES, clip=True)
        rows = self._engine.activities
        found: Iterator[Json] = (
            row
            for row in (reversed(rows) if newest_first else iter(rows))
            if (not wanted or row["activity_type"] in wanted) and _is_between(row, after, until, day)
        )
        token = query.text("page_token")
        if token:
            found = _after_row(found, token)
        return web.json_response(list(islice(found, size)))


def _is_between(row: Json, after: datetime | None, until: datetime | None, day: datetime | None) -> bool:
    if after is None and until is None and day is None:
        return True
    at = datetime.fromisoformat(_row_time(row))
    if (after is not None and at <= after) or (until is not None and at >= until):
        return False
    return day is None or at.date() == day.date()


def _after_row(rows: Iterator[Json], token: str) -> Iterator[Json]:
    """The rows behind the one with this id; none if it is not among them."""
    return islice(dropwhile(lambda row: row["id"] != token, rows), 1, None)


def _after(orders: Iterator[Order], order_id: str) -> Iterator[Order]:
    return islice(dropwhile(lambda order: order.id != order_id, orders), 1, None)


def _order_filter(query: Query, *, open_only: bool, closed_only: bool) -> Callable[[Order], bool]:
    """Whether an order is one of those that a list asks for."""
    names = {name.replace("/", "") for name in query.words("symbols")}
    side = query.choice("side", ("buy", "sell", ""), "")
    after, until = query.time("after"), query.time("until")
    others = query.text("asset_class", "crypto") not in ("crypto", "all")

    def fits(order: Order) -> bool:
        if others or (open_only and not order.is_open) or (closed_only and order.is_open):
            return False
        if (names and order.symbol.replace("/", "") not in names) or (side and order.side != side):
            return False
        return (after is None or order.created_at > after) and (until is None or order.created_at < until)

    return fits


async def read_json(request: web.Request) -> object:
    """The body.

    Raises:
        Refused: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(await request.text())
    except (ValueError, RecursionError):
        raise Refused(400, 40010000, "request body format is invalid") from None


def _row_time(row: Json) -> str:
    return str(row.get("transaction_time") or row.get("created_at"))


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
