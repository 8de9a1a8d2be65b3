"""An exchange in memory for the rows' sake: it takes every order, and its own book says what was bought.

Independent of the paper exchange, which has a market; here the dice say what becomes of an order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from dca.core.book import Book
from dca.core.charges import Charge
from dca.core.model import (
    Accepted,
    Account,
    Duplicate,
    Execution,
    Order,
    Position,
    Quote,
    Side,
    Snapshot,
    SubmitOutcome,
    TradingRules,
)
from dca.exchange.streams import StreamState
from proof.fuzz.samples import NOW, RULES


class Watchmaker:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self._now = NOW

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - NOW).total_seconds() + 10_000.0

    def pass_seconds(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass
class Exchange:
    """Implements ports.MainBroker. `posts` are the orders that came, with what was open then."""

    clock_: Watchmaker
    symbols: tuple[str, ...]
    orders: dict[str, Snapshot] = field(default_factory=dict)
    held: dict[str, Decimal] = field(default_factory=dict)
    posts: list[Order] = field(default_factory=list)
    price: Decimal = Decimal(100)

    def know(self, order: Order) -> None:
        """Take an order in that was sent before."""
        at = self.clock_.now()
        self.orders[order.client_order_id] = Snapshot(
            exchange_order_id=order.exchange_order_id or f"x-{order.client_order_id}",
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side.value,
            status="new",
            qty=order.qty,
            limit_price=order.limit_price,
            filled_qty=Decimal(0),
            filled_avg_price=None,
            created_at=at,
            updated_at=at,
        )

    def end(self, name: str, status: str, filled: Decimal, price: Decimal) -> None:
        """Fill an order up to `filled`; `status` as the exchange calls it then."""
        order = self.orders[name]
        part = filled - order.filled_qty
        self.orders[name] = replace(
            order,
            status=status,
            filled_qty=filled,
            filled_avg_price=price if filled else None,
            updated_at=self.clock_.now(),
        )
        coins = part * Decimal("0.9975") if order.side == "buy" else -part
        self.held[order.symbol] = self.held.get(order.symbol, Decimal(0)) + coins

    def live(self, symbol: str | None = None) -> list[Snapshot]:
        return [
            order
            for order in self.orders.values()
            if not order.is_closed and (symbol is None or order.symbol == symbol)
        ]

    def reserve(self, side: Side) -> None:
        """There is always room."""

    def submit(self, order: Order) -> SubmitOutcome:
        if order.client_order_id in self.orders:
            return Duplicate()
        self.posts.append(order)
        self.know(order)
        return Accepted(snapshot=self.orders[order.client_order_id])

    def order(self, client_order_id: str) -> Snapshot | None:
        return self.orders.get(client_order_id)

    def open_orders(self) -> list[Snapshot]:
        return self.live()

    def closed_orders(
        self,
        submitted_after: datetime,  # noqa: ARG002
        submitted_before: datetime | None = None,  # noqa: ARG002
    ) -> list[Snapshot]:
        return [order for order in self.orders.values() if order.is_closed]

    def cancel(self, exchange_order_id: str) -> None:
        for order in self.live():
            if order.exchange_order_id == exchange_order_id:
                price = order.filled_avg_price or Decimal(100)
                self.end(order.client_order_id, "canceled", order.filled_qty, price)

    def position(self, symbol: str) -> Position:
        qty = self.held.get(symbol, Decimal(0))
        tied = sum((o.qty or Decimal(0) for o in self.live(symbol) if o.side == "sell"), Decimal(0))
        return Position(symbol=symbol, qty=qty, qty_available=max(qty - tied, Decimal(0)))

    def positions(self) -> dict[str, Position]:
        return {symbol.replace("/", ""): self.position(symbol) for symbol, qty in self.held.items() if qty}

    def sales(self, symbol: str, after: datetime) -> list[Execution]:  # noqa: ARG002
        return []

    def fills_and_fees(self, orders: Sequence[Order]) -> tuple[list[Execution], list[Charge]]:  # noqa: ARG002
        return [], []

    def executions(self, orders: Sequence[Order]) -> list[Execution]:  # noqa: ARG002
        return []

    def account(self) -> Account:
        return Account(
            id="account",
            status="ACTIVE",
            crypto_status="ACTIVE",
            trading_blocked=False,
            account_blocked=False,
            trade_suspended_by_user=False,
            non_marginable_buying_power=Decimal(100_000),
        )

    def trading_rules(self) -> dict[str, TradingRules]:
        return {symbol: replace(RULES, symbol=symbol) for symbol in self.symbols}

    def clock(self) -> datetime:
        return self.clock_.now()

    def latest_quotes(self, symbols: list[str], received_at: datetime) -> dict[str, Quote]:
        """As the last one that came on the stream."""
        at, price = self.clock_.now(), self.price
        return {
            symbol: Quote(symbol=symbol, bid=price, ask=price, at=at, received_at=received_at)
            for symbol in symbols
        }

    def latest_books(self, symbols: list[str]) -> dict[str, Book]:
        """Empty ones."""
        return {symbol: Book(symbol) for symbol in symbols}

    def latest_quote_times(self, symbols: Iterable[str]) -> dict[str, datetime]:
        return dict.fromkeys(symbols, self.clock_.now())


class Ears:
    """Implements ports.Feed: connected, and heard of everything just now."""

    def __init__(self) -> None:
        self.orders = StreamState(name="order stream", connected=False)
        self.quotes = StreamState(name="quote stream", connected=False)
        self.symbols: set[str] = set()

    def set_symbols(self, symbols: set[str]) -> None:
        self.symbols = set(symbols)

    def reconnect(self, stream: object, why: str) -> None:
        """It is always open."""

    def look_again(self, symbol: str) -> None:
        """It brings no quotes of its own."""

    def newest(self, symbol: str) -> Quote | None:
        """It has heard none."""

    def newest_at(self) -> datetime | None:
        """Nor that."""
