"""An exchange in memory, as small as the races need: orders fill when told to, answers get lost on request.

Independent of paper_exchange: the trader's races are about the order of events, and here a test holds every
one of them in its hand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dca.caretakers.exchange_lists import Span
from dca.core.book import Book, BookMessage
from dca.core.charges import Charge
from dca.core.errors import ExchangeUnavailable, RateLimited
from dca.core.ledger import coin_fee, dollar_fee
from dca.core.model import (
    Accepted,
    Account,
    DefiniteReject,
    Duplicate,
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

FEE = Decimal("0.0025")


class Crash(BaseException):
    """The process dies here: nothing may catch it."""


class FakeClock:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def pass_seconds(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass
class FakeExchange:
    """Implements ports.Broker. `on_submit` runs between acceptance and answer."""

    clock: FakeClock
    orders: dict[str, Snapshot] = field(default_factory=dict)
    posts: list[str] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    lists: list[Span] = field(default_factory=list)
    """Asked for closed orders."""
    held: dict[str, Decimal] = field(default_factory=dict)
    tied_up: Decimal = Decimal(0)
    fee: Decimal = FEE
    account_made_at: datetime | None = None
    largest: Decimal | None = None
    """Dollars that one order may be worth."""
    executions_of: dict[str, list[Execution]] = field(default_factory=dict)
    charged: list[Charge] = field(default_factory=list)
    """Its list of fees: a row for each fill."""
    lose_answer: bool = False
    lose_request: bool = False
    reject: DefiniteReject | None = None
    refuse_what_it_took: DefiniteReject | None = None
    changes: dict[str, Decimal | str] = field(default_factory=dict)
    """What it makes otherwise of the orders that it takes: `qty`, `limit_price`, `side`, `symbol`."""
    hidden_until: datetime | None = None
    down: bool = False
    price: Decimal = Decimal(100)
    best_ask: Decimal | None = None
    """Of its latest quote; None: there is no spread."""
    bids: Sequence[tuple[float, float]] | None = None
    """Prices and sizes of its order book; None: it has none. Its ask stands at 1,000,000."""
    quoted_at: datetime | None = None
    """When its latest quote was made; None: just now."""
    limited: bool = False
    on_submit: Callable[[Snapshot], None] | None = None
    on_positions: Callable[[int], None] | None = None
    position_reads: int = 0
    rules: dict[str, TradingRules] = field(default_factory=dict)

    def reserve(self, side: Side) -> None:
        if self.limited:
            raise RateLimited("too many requests")

    def submit(self, order: Order) -> SubmitOutcome:
        self.posts.append(order.client_order_id)
        if self.lose_request:
            return Unknown(reason="lost on the way")
        if order.client_order_id in self.orders:
            return Duplicate()
        if self.reject is not None:
            return self.reject
        if order.side == "sell" and order.qty > self.held.get(order.symbol, Decimal(0)):
            return DefiniteReject(code=40310000, message="insufficient balance")
        if self.largest is not None and order.qty * (order.limit_price or self.price) > self.largest:
            return DefiniteReject(code=40310000, message=f"notional must be <= {self.largest}")
        now = self.clock.now()
        snapshot = Snapshot(
            exchange_order_id=f"x-{len(self.orders) + 1}",
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side.value,
            status="new",
            qty=order.qty,
            limit_price=order.limit_price,
            filled_qty=Decimal(0),
            filled_avg_price=None,
            created_at=now,
            updated_at=now,
        )
        snapshot = replace(snapshot, **self.changes)  # type: ignore[arg-type]
        self.orders[order.client_order_id] = snapshot
        if self.on_submit is not None:
            self.on_submit(snapshot)
        if self.refuse_what_it_took is not None:
            return self.refuse_what_it_took
        return Unknown(reason="answer lost") if self.lose_answer else Accepted(snapshot=snapshot)

    def fill(self, client_order_id: str, qty: str | None = None, price: str = "100") -> Snapshot:
        """Fill up to `qty` in all (default: everything); returns what the stream would say."""
        order = self.orders[client_order_id]
        assert order.qty is not None
        total = Decimal(qty) if qty else order.qty
        part = total - order.filled_qty
        status = "filled" if total == order.qty else "partially_filled"
        filled = replace(
            order,
            filled_qty=total,
            filled_avg_price=Decimal(price),
            status=status,
            updated_at=self.clock.now(),
        )
        self.orders[client_order_id] = filled
        coins = self.held.get(order.symbol, Decimal(0))
        self.held[order.symbol] = coins + part * (1 - self.fee) if order.side == "buy" else coins - part
        is_buy = order.side == "buy"
        self.charged.append(
            Charge(
                symbol=order.symbol.replace("/", "") if is_buy else None,
                amount=coin_fee(part, self.fee) if is_buy else dollar_fee(part * Decimal(price), self.fee),
                at=self.clock.now(),
            )
        )
        executions = self.executions_of.setdefault(order.exchange_order_id, [])
        name = f"{order.exchange_order_id}-{len(executions)}"
        executions.append(
            Execution(id=name, exchange_order_id=order.exchange_order_id, qty=part, price=Decimal(price))
        )
        return filled

    def end(self, client_order_id: str, status: str = "canceled") -> Snapshot:
        ended = replace(self.orders[client_order_id], status=status, updated_at=self.clock.now())
        self.orders[client_order_id] = ended
        return ended

    def order(self, client_order_id: str) -> Snapshot | None:
        self._answer()
        return None if self._is_hidden() else self.orders.get(client_order_id)

    def _is_hidden(self) -> bool:
        return self.hidden_until is not None and self.clock.now() < self.hidden_until

    def open_orders(self) -> list[Snapshot]:
        self._answer()
        return [order for order in self.orders.values() if not (order.is_closed or self._is_hidden())]

    def cancel(self, exchange_order_id: str) -> None:
        self._answer()
        self.cancels.append(exchange_order_id)

    def closed_orders(
        self, submitted_after: datetime, submitted_before: datetime | None = None
    ) -> list[Snapshot]:
        self._answer()
        self.lists.append((submitted_after, submitted_before))
        return [
            order
            for order in self.orders.values()
            if order.is_closed and order.created_at is not None and order.created_at > submitted_after
            if submitted_before is None or order.created_at < submitted_before
        ]

    def positions(self) -> dict[str, Position]:
        self._answer()
        self.position_reads += 1
        if self.on_positions is not None:
            self.on_positions(self.position_reads)
        found = {symbol: self.position(symbol) for symbol in self.held}
        return {symbol.replace("/", ""): each for symbol, each in found.items() if each.qty}

    def account(self) -> Account:
        self._answer()
        return Account(
            id="account",
            status="ACTIVE",
            crypto_status="ACTIVE",
            trading_blocked=False,
            account_blocked=False,
            trade_suspended_by_user=False,
            non_marginable_buying_power=Decimal(1000),
            made_at=self.account_made_at,
        )

    def trading_rules(self) -> dict[str, TradingRules]:
        self._answer()
        return dict(self.rules)

    def latest_quotes(self, symbols: list[str], received_at: datetime) -> dict[str, Quote]:
        self._answer()
        bid, ask, at = self.price, self.best_ask or self.price, self.quoted_at or received_at
        return {
            symbol: Quote(symbol=symbol, bid=bid, ask=ask, at=at, received_at=received_at)
            for symbol in symbols
        }

    def latest_books(self, symbols: list[str]) -> dict[str, Book]:
        self._answer()
        if self.bids is None:
            return {}
        at = self.quoted_at or self.clock.now()
        message = BookMessage(symbol=symbols[0], at=at, bids=self.bids, asks=[(1e6, 1.0)], is_whole=True)
        book = Book(symbols[0])
        book.apply(message)
        return {symbols[0]: book}

    def latest_quote_times(self, symbols: list[str]) -> dict[str, datetime]:
        self._answer()
        return dict.fromkeys(symbols, self.quoted_at or self.clock.now())

    def position(self, symbol: str) -> Position:
        self._answer()
        qty = self.held.get(symbol, Decimal(0))
        return Position(symbol=symbol, qty=qty, qty_available=qty - self.tied_up)

    def executions(self, orders: Sequence[Order]) -> list[Execution]:
        self._answer()
        return [
            each for order in orders for each in self.executions_of.get(order.exchange_order_id or "", [])
        ]

    def fills_and_fees(self, orders: Sequence[Order]) -> tuple[list[Execution], list[Charge]]:
        return self.executions(orders), self.charged

    def sales(self, symbol: str, after: datetime) -> list[Execution]:
        self._answer()
        sells = [order for order in self.orders.values() if (order.symbol, order.side) == (symbol, "sell")]
        return [
            each
            for order in sells
            if order.updated_at is not None and order.updated_at > after
            for each in self.executions_of.get(order.exchange_order_id, [])
        ]

    def _answer(self) -> None:
        if self.down:
            raise ExchangeUnavailable("down")
