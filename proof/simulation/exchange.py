"""The paper exchange's engine as the processes see it: in Alpaca's JSON, through dca.exchange.parsing, with
answers that get lost, come late, or are wrong."""

import json
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from dca.core.book import Book
from dca.core.charges import Charge
from dca.core.errors import ExchangeUnavailable, RequestRefused
from dca.core.model import (
    ZERO,
    Accepted,
    Account,
    DefiniteReject,
    Execution,
    Order,
    Position,
    Quote,
    Side,
    Snapshot,
    SubmitOutcome,
    TradingRules,
    Unknown,
)
from dca.exchange import parsing, refusals
from paper_exchange import views
from paper_exchange import wire as exchange_wire
from paper_exchange.engine import Engine
from paper_exchange.values import Order as EngineOrder
from paper_exchange.values import Refused
from proof.simulation.bodies import GATEWAY_PAGE, body_of, changes
from proof.simulation.hub import Hub, Process
from proof.simulation.weather import Weather

R = TypeVar("R")

TIMEOUT_SECONDS = 10.0
READ_FAULTS = ("drop_before", "timeout", "garbage", "refused")
SUBMIT_FAULTS = (
    *("drop_before", "accept_then_drop", "timeout", "timeout_after", "late", "garbage", "reject"),
    *("gateway_page", "changed"),
)
CANCEL_FAULTS = ("drop_before", "accept_then_drop", "timeout")
OUTAGE = "rest.down"
SLOW, SLOW_SECONDS = "rest.slow", 3.0
"""There and back: an answer takes six seconds, longer than a sale may take from its claim to the wire."""
UNSEEN = "positions.unseen"
"""Of all pairs, or of the one that is named behind it."""
ORDERS_OF_A_PAGE, FILLS_OF_A_PAGE = 500, 100
"""As dca/exchange/rest_client.py asks for them."""


class Witness(Protocol):
    """Sees every request that may change something, before the engine does, and what came of it."""

    def posting(self, process: Process, order: Order) -> None: ...
    def accepted(self, order: EngineOrder) -> None: ...
    def canceling(self, process: Process, order_id: str) -> None: ...


class Gate(Protocol):
    """Counts requests before they go out, as the request budget does, and may refuse. `broker`: a session."""

    def reserve(self, broker: "SimBroker", side: Side) -> None: ...
    def passes(self, broker: "SimBroker", call: str) -> None: ...


def faults_of(call: str) -> tuple[str, ...]:
    """What can befall a call."""
    if call == "submit":
        return SUBMIT_FAULTS
    if call == "cancel":
        return CANCEL_FAULTS
    return (*READ_FAULTS, "not_found", "stale") if call == "order" else READ_FAULTS


class Exchange:
    """The engine, kept going in virtual time."""

    def __init__(
        self, hub: Hub, engine: Engine, weather: Weather, rng: random.Random, witness: Witness
    ) -> None:
        self.hub = hub
        self.engine = engine
        self.weather = weather
        self.rng = rng
        self.witness = witness
        self.hidden_until: dict[str, float] = {}
        """Orders that look-ups do not find yet, by our id."""
        self.gate: Gate | None = None

    def lag(self) -> float:
        """How long a request takes to get there, in seconds."""
        if self.weather.lasts(SLOW, self.hub.seconds):
            return SLOW_SECONDS
        return self.rng.uniform(0.5, 3.0) if self.rng.random() < 0.01 else self.rng.uniform(0.01, 0.12)

    def catch_up(self) -> None:
        """Let the engine do what is due, and have it woken for what is not."""
        self.engine.advance(self.hub.now())
        due = self.engine.next_due()
        if due is not None:
            self.hub.after(max((due - self.hub.now()).total_seconds(), 0.001), self._due)

    def _due(self) -> None:
        self.engine.advance(self.hub.now())

    def take_order(self, order: Order, *, request: dict[str, Any], changed: bool = False) -> EngineOrder:
        """`changed`: the exchange makes it another price or quantity.

        Raises:
            Refused: in Alpaca's words.
        """
        self.engine.advance(self.hub.now())
        body = body_of(order) | (changes(order, self.rng) if changed else {})
        try:
            taken = self.engine.submit(body)
        except Refused as error:
            request["answer"] = error.status
            raise
        request["answer"] = 200
        self.witness.accepted(taken)
        self._befall(taken)
        self.catch_up()
        return taken

    def _befall(self, order: EngineOrder) -> None:
        """What may happen to a new order at once: a person cancels it, the venue ends it, or nothing more is
        heard of it for a while."""
        if self.weather.take("person.cancels", order.symbol) is not None:
            self.hub.after(0.01, lambda: self._cancel_by_hand(order))
        outage = self.weather.take("submit.then_outage", order.symbol)
        if outage is not None:
            self.weather.last_until(OUTAGE, self.hub.seconds + float(outage["seconds"]))
        if self.weather.take("expire", order.symbol) is not None:
            order.expires_at = self.engine.now

    def _cancel_by_hand(self, order: EngineOrder) -> None:
        if order.is_open:
            self.engine.cancel(order.id)
            self.catch_up()

    def written_request(self, method: str, **content: Any) -> dict[str, Any]:
        """A request in the journal, as the REST server writes it."""
        self.engine.advance(self.hub.now())
        self.engine.write("request", method=method, answer=None, fault=None, **content)
        return self.engine.journal[-1]


class SimBroker:
    """Implements ports.MainBroker for one process."""

    def __init__(self, process: Process, exchange: Exchange) -> None:
        self.process = self._process = process
        self._exchange = exchange
        self._engine = exchange.engine
        self._weather = exchange.weather

    # ---- orders ----------------------------------------------------------------------------------------

    def reserve(self, side: Side) -> None:
        """Requests are counted where somebody wants them to be (bench/budget.py)."""
        if self._exchange.gate is not None:
            self._exchange.gate.reserve(self, side)

    def submit(self, order: Order) -> SubmitOutcome:
        exchange, fault = self._exchange, self._begin("submit", order.symbol)
        exchange.witness.posting(self._process, order)
        if fault in {"drop_before", "timeout", "outage"}:
            return self._lost(fault)
        request = exchange.written_request(
            "POST", path="/v2/orders", client_order_id=order.client_order_id, order_id=None
        )
        if fault == "late":
            self._land_later(order, request)
            return self._lost("timeout")
        if fault == "reject":
            self._end("submit")
            return DefiniteReject(code=40310000, message="insufficient balance (a fault)")
        outcome = self._taken(order, request, changed=fault == "changed")
        if self._weather.lasts(OUTAGE, exchange.hub.seconds):
            return self._lost("outage")
        if fault in {"accept_then_drop", "timeout_after", "garbage"}:
            return self._lost("timeout" if fault == "timeout_after" else fault)
        self._end("submit")
        return refusals.outcome(403, GATEWAY_PAGE) if fault == "gateway_page" else outcome

    def _taken(self, order: Order, request: dict[str, Any], *, changed: bool) -> SubmitOutcome:
        exchange = self._exchange
        try:
            taken = exchange.take_order(order, request=request, changed=changed)
        except Refused as error:
            body = json.dumps({"code": error.code, "message": error.message})
            return refusals.outcome(error.status, body)
        slow = self._weather.take("get.not_found")
        if slow is not None:
            exchange.hidden_until[taken.client_order_id] = exchange.hub.seconds + float(slow["seconds"])
        return Accepted(snapshot=parsing.snapshot(self._engine.order_json(taken)))

    def _land_later(self, order: Order, request: dict[str, Any]) -> None:
        """The request sits in some queue on the way, for less than the quiet period (faults.md A3)."""
        exchange = self._exchange
        seconds = exchange.rng.uniform(0.5, 17.0)
        exchange.hub.after(seconds, lambda: self._land(order, request))

    def _land(self, order: Order, request: dict[str, Any]) -> None:
        try:
            self._exchange.take_order(order, request=request)
        except Refused:
            self._weather.happened["a late POST was refused"] += 1
        else:
            self._weather.happened["a late POST landed"] += 1

    def _lost(self, fault: str) -> Unknown:
        self._process.reach("no answer", TIMEOUT_SECONDS if fault == "timeout" else 0.05)
        return Unknown(reason=f"a fault: {fault}")

    def cancel(self, exchange_order_id: str) -> None:
        exchange, fault = self._exchange, self._begin("cancel", None)
        exchange.witness.canceling(self._process, exchange_order_id)
        if fault not in {"drop_before", "timeout", "outage"}:
            request = exchange.written_request(
                "DELETE", path="/v2/orders", client_order_id=None, order_id=exchange_order_id
            )
            try:
                self._engine.cancel(exchange_order_id)
                request["answer"] = 204
            except Refused as error:  # 404 and 422 are no proof of anything either
                request["answer"] = error.status
            exchange.catch_up()
        if fault is not None:
            raise self._unavailable("cancel", fault)
        self._end("cancel")

    # ---- reading -----------------------------------------------------------------------------------------

    def order(self, client_order_id: str) -> Snapshot | None:
        return self._read("order", lambda fault: self._order(client_order_id, fault))

    def _order(self, client_order_id: str, fault: str | None) -> Snapshot | None:
        exchange = self._exchange
        found = self._engine.by_client_id.get(client_order_id)
        hidden = exchange.hidden_until.get(client_order_id, 0.0) > exchange.hub.seconds
        if found is None or hidden or fault == "not_found":
            return None
        seconds = 3.0 if fault == "stale" else 0.0
        stale = self._weather.take("get.stale")
        if stale is not None:
            seconds = float(stale["seconds"])
        return parsing.snapshot(views.order_as_of(self._engine, found, seconds))

    def open_orders(self) -> list[Snapshot]:
        return self._read("open_orders", lambda _: self._snapshots(self._engine.open_orders()))

    def closed_orders(
        self, submitted_after: datetime, submitted_before: datetime | None = None
    ) -> list[Snapshot]:
        def read(_: str | None) -> list[Snapshot]:
            orders = self._engine.orders.values()
            found = [each for each in orders if not each.is_open and each.created_at > submitted_after]
            if submitted_before is not None:
                found = [each for each in found if each.created_at < submitted_before]
            self._further_pages("closed_orders", len(found) // ORDERS_OF_A_PAGE)
            return self._snapshots(found)

        return self._read("closed_orders", read)

    def _snapshots(self, orders: list[EngineOrder]) -> list[Snapshot]:
        return [parsing.snapshot(self._engine.order_json(order)) for order in orders]

    def position(self, symbol: str) -> Position:
        return self._read("position", lambda _: self._position(symbol))

    def _position(self, symbol: str) -> Position:
        if self._engine.held(symbol) <= 0 or self._is_unseen(symbol):
            return Position(symbol=symbol, qty=ZERO, qty_available=ZERO)
        return parsing.position(views.position(self._engine, symbol), symbol)

    def _is_unseen(self, symbol: str) -> bool:
        now = self._exchange.hub.seconds
        return self._weather.lasts(UNSEEN, now) or self._weather.lasts(f"{UNSEEN} {symbol}", now)

    def positions(self) -> dict[str, Position]:
        def read(_: str | None) -> dict[str, Position]:
            coins = self._engine.account.coins.items()
            held = (symbol for symbol, qty in coins if qty > 0 and not self._is_unseen(symbol))
            return {symbol.replace("/", ""): self._position(symbol) for symbol in held}

        return self._read("positions", read)

    def executions(self, orders: Sequence[Order]) -> list[Execution]:
        return self._read("executions", lambda _: self._fills_and_fees(orders, "FILL")[0])

    def fills_and_fees(self, orders: Sequence[Order]) -> tuple[list[Execution], list[Charge]]:
        return self._read("executions", lambda _: self._fills_and_fees(orders, "FILL", "CFEE"))

    def _fills_and_fees(self, orders: Sequence[Order], *types: str) -> tuple[list[Execution], list[Charge]]:
        wanted = {order.exchange_order_id for order in orders}
        rows = [row for row in self._engine.activities if row["activity_type"] in types]
        mine = [index for index, row in enumerate(rows) if row.get("order_id") in wanted]
        back = len(rows) - (mine[0] if mine else len(rows))
        self._further_pages("executions", max(back - 1, 0) // FILLS_OF_A_PAGE)
        fees = (parsing.charge(row) for row in rows[len(rows) - back :] if row["activity_type"] == "CFEE")
        return [parsing.execution(rows[index]) for index in mine], [fee for fee in fees if fee is not None]

    def sales(self, symbol: str, after: datetime) -> list[Execution]:
        def read(_: str | None) -> list[Execution]:
            rows = [row for row in self._engine.activities if row["activity_type"] == "FILL"]
            recent = [row for row in rows if parsing.moment(row["transaction_time"]) > after]
            self._further_pages("sales", len(recent) // FILLS_OF_A_PAGE)
            return [parsing.execution(row) for row in reversed(recent) if parsing.is_sale(row, symbol)]

        return self._read("sales", read)

    def account(self) -> Account:
        return self._read("account", lambda _: parsing.account(views.account(self._engine)))

    def clock(self) -> datetime:
        return self._read("clock", lambda _: self._exchange.hub.now())

    def trading_rules(self) -> dict[str, TradingRules]:
        def read(_: str | None) -> dict[str, TradingRules]:
            pairs = [self._engine.pairs[symbol] for symbol in self._engine.quotes]
            found = [parsing.trading_rules(exchange_wire.asset(pair)) for pair in pairs]
            return {rules.symbol: rules for rules in found}

        return self._read("trading_rules", read)

    def latest_quotes(self, symbols: list[str], received_at: datetime) -> dict[str, Quote]:
        def read(_: str | None) -> dict[str, Quote]:
            return {symbol: self._quote(symbol, received_at) for symbol in symbols}

        return self._read("latest_quotes", read)

    def _quote(self, symbol: str, received_at: datetime) -> Quote:
        quote = self._engine.quotes[symbol]
        return Quote(symbol=symbol, bid=quote.bid, ask=quote.ask, at=quote.at, received_at=received_at)

    def latest_books(self, symbols: list[str]) -> dict[str, Book]:
        def read(_: str | None) -> dict[str, Book]:
            return {symbol: parsing.rest_book(symbol, self._book(symbol)) for symbol in symbols}

        return self._read("latest_books", read)

    def _book(self, symbol: str) -> parsing.Json:
        sides = zip(("b", "a"), self._engine.book(symbol), strict=True)
        levels = {name: [{"p": float(p), "s": float(s)} for p, s in side] for name, side in sides}
        return {"t": self._engine.quotes[symbol].at.isoformat(), **levels}

    def latest_quote_times(self, symbols: list[str]) -> dict[str, datetime]:
        return self._read("latest_quotes", lambda _: {each: self._engine.quotes[each].at for each in symbols})

    def _read(self, call: str, answer: Callable[[str | None], R]) -> R:
        fault = self._begin(call, None)
        if fault is not None and fault not in {"not_found", "stale"}:
            raise self._unavailable(call, fault)
        self._engine.advance(self._exchange.hub.now())
        result = answer(fault)
        self._end(call)
        return result

    # ---- the way there and back ----------------------------------------------------------------------

    def _begin(self, call: str, symbol: str | None) -> str | None:
        """The request goes out. Returns what befalls it."""
        if self._exchange.gate is not None:
            self._exchange.gate.passes(self, call)
        if self._process.in_transaction:
            raise AssertionError(f"I29: {call} while a transaction is open")
        self._process.reach(f"before {call}", self._exchange.lag())
        scripted = self._weather.call(call)
        if scripted is not None:
            return scripted
        if self._weather.lasts(OUTAGE, self._exchange.hub.seconds):
            return "outage"
        for fault in faults_of(call):
            name = f"{call}.{fault}" if call in {"submit", "cancel"} else f"get.{fault}"
            if fault not in {"not_found", "stale"} and self._weather.take(name, symbol) is not None:
                return fault
        return None

    def _further_pages(self, call: str, count: int) -> None:
        """Requests that a long list takes, after the first."""
        for _ in range(count):
            if self._exchange.gate is not None:
                self._exchange.gate.passes(self, call)

    def _end(self, call: str) -> None:
        """The answer arrives."""
        self._process.reach(f"after {call}", self._exchange.lag())

    def _unavailable(self, call: str, fault: str) -> ExchangeUnavailable:
        self._process.reach(f"no answer to {call}", TIMEOUT_SECONDS if fault == "timeout" else 0.05)
        if fault == "refused":
            return RequestRefused(429, f"{call}: a fault")
        return ExchangeUnavailable(f"{call}: a fault: {fault}")
