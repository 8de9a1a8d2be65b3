"""The exchange itself: orders, matching, balances, fees. Pure and deterministic.

Time comes in with every call; randomness comes from the seed. What happened goes out as events (for the
streams) and into the journal (the truth that others are checked against).
"""

import random
import uuid
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Any

from paper_exchange import matching, rules, wire
from paper_exchange.depth import COLLAR, Depth
from paper_exchange.faults import Faults
from paper_exchange.pairs import all_pairs, follow_price
from paper_exchange.rules import Ticket
from paper_exchange.values import (
    MAKER,
    STEP,
    TAKER,
    ZERO,
    Account,
    Execution,
    Order,
    Pair,
    Quote,
    Refused,
    coin_fee,
    dollar_fee,
    plain,
)
from recordings.values import Level

Json = dict[str, Any]
Listener = Callable[[Json], None]

_LIFE = timedelta(days=90)
_CANCEL_TAKES = timedelta(milliseconds=30)


def _nobody_listens(_: Json) -> None:
    """Until somebody does."""


class Engine:
    """One account on one exchange. `on_update` hears order updates in Alpaca's shape, as they happen."""

    def __init__(
        self,
        *,
        seed: int,
        now: datetime,
        cash: Decimal = Decimal(100_000),
        partial_percent: int = 10,
        latency: timedelta = timedelta(milliseconds=25),
        fee_delay: timedelta = timedelta(seconds=5),
        pairs: int = 0,
        depth: Depth | None = None,
        account_id: str | None = None,
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a market, not a secret
        self._partial_percent = partial_percent
        self._latency = latency
        self._fee_delay = fee_delay
        self._depth = depth
        self.now = now
        self.started_at = now
        self.start_cash = cash
        self.account = Account(id=self._uuid() if account_id is None else account_id, cash=cash)
        self.pairs = all_pairs(pairs)
        self.quotes: dict[str, Quote] = {}
        self.orders: dict[str, Order] = {}
        self._open: dict[str, Order] = {}
        self.by_client_id: dict[str, Order] = {}
        self.executions: list[Execution] = []
        self.activities: list[Json] = []
        self._fee_rows_due: list[tuple[datetime, Json]] = []
        self._fees_due: list[tuple[datetime, str, Decimal]] = []
        self._coins_before: deque[tuple[datetime, str, Decimal]] = deque(maxlen=1000)
        self.faults = Faults()
        self.journal: list[Json] = []
        self.on_update: Listener = _nobody_listens
        self.write("start", start_cash=plain(cash), seed=seed, symbols=sorted(self.pairs))

    # ---- journal and identities --------------------------------------------------------------------

    def write(self, kind: str, **content: Any) -> None:
        """Add to the journal."""
        entry = {"seq": len(self.journal) + 1, "at": wire.stamp(self.now), "kind": kind, **content}
        self.journal.append(entry)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    # ---- reading -----------------------------------------------------------------------------------

    def pair(self, name: str) -> Pair | None:
        """A pair by symbol with or without slash, or by id."""
        if name in self.pairs:
            return self.pairs[name]
        for pair in self.pairs.values():
            if name in (pair.position_symbol, pair.id):
                return pair
        return None

    def order_json(self, order: Order) -> Json:
        return wire.order(order, self.pairs[order.symbol].id)

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        for order in [each for each in self._open.values() if not each.is_open]:
            del self._open[order.id]
        return [order for order in self._open.values() if symbol in (None, order.symbol)]

    def held(self, symbol: str) -> Decimal:
        return self.account.coins.get(symbol, ZERO)

    def available(self, symbol: str) -> Decimal:
        """Coins that no open sell holds."""
        asked = (o.remaining for o in self.open_orders(symbol) if o.side == "sell")
        return self.held(symbol) - sum(asked, ZERO)

    def reserved_cash(self) -> Decimal:
        """Dollars that open buys hold."""
        total = ZERO
        for order in self.open_orders():
            if order.side == "buy":
                quote = self.quotes[order.symbol]
                total += order.remaining * (order.limit_price or order.collar_price or quote.ask)
        return total

    # ---- orders ------------------------------------------------------------------------------------

    def submit(self, body: object, *, manual: bool = False) -> Order:
        """Take an order, or raise Refused in Alpaca's words. It is matched when its latency has passed."""
        ticket = rules.read_ticket(body)
        pair = rules.check_pair(self.pair(ticket.symbol), ticket.symbol)
        rules.check_account(self.account)
        client_id = str(ticket.client_order_id) if ticket.client_order_id else self._uuid()
        if client_id in self.by_client_id:
            raise Refused(422, 40010001, "client_order_id must be unique")
        refusal = self.faults.take("reject", pair.symbol)
        if refusal is not None:
            code = int(refusal.args.get("code", 40310000))
            raise Refused(code // 100_000, code, str(refusal.args.get("msg", "rejected")))
        quote = self.quotes[pair.symbol]
        rules.check_size(ticket, pair, quote)
        self._check_funds(ticket, pair, quote)
        rules.check_wash(ticket, [o for o in self.open_orders(pair.symbol) if o.side != ticket.side])
        return self._accept(ticket, pair, quote, client_id, manual)

    def _check_funds(self, ticket: Ticket, pair: Pair, quote: Quote) -> None:
        qty = rules.quantity(ticket, quote)
        if ticket.side == "sell":
            coin = pair.symbol.split("/")[0]
            rules.check_balance(coin, qty, self.available(pair.symbol), self.held(pair.symbol))
        else:
            cost = qty * rules.price_of(ticket, quote)
            if self._depth is not None and ticket.limit_price is None:
                cost *= 1 + COLLAR
            rules.check_balance("USD", cost, self.account.cash - self.reserved_cash(), self.account.cash)

    def _accept(self, ticket: Ticket, pair: Pair, quote: Quote, client_id: str, manual: bool) -> Order:
        order = Order(
            id=self._uuid(),
            client_order_id=client_id,
            symbol=pair.symbol,
            side=ticket.side,
            type=ticket.type,
            time_in_force=ticket.time_in_force,
            qty=rules.quantity(ticket, quote),
            notional=ticket.notional,
            limit_price=ticket.limit_price,
            stop_price=ticket.stop_price,
            status="pending_new",
            created_at=self.now,
            updated_at=self.now,
            expires_at=(self.now + _LIFE).replace(hour=21, minute=0, second=0, microsecond=0),
            manual=manual,
            work_at=self.now + self._latency,
        )
        self.orders[order.id] = self._open[order.id] = order
        self.by_client_id[client_id] = order
        self._tell(order, "pending_new")
        return order

    def cancel(self, order_id: str) -> Order:
        """Ask for a cancellation: the order is pending_cancel first, and may still fill (alpaca.md 2.3)."""
        order = self.orders.get(order_id)
        if order is None:
            raise Refused(404, 40410000, f"order not found for {order_id}")
        if not order.is_open:
            raise Refused(422, 42210000, f'order is already in "{order.status}" state')
        if order.status != "pending_cancel":
            order.cancel_requested_at = self.now
            if self.faults.take("cancel.stuck", order.symbol) is None:
                order.cancel_at = self.now + _CANCEL_TAKES
            racing = self.faults.take("fill.on_cancel", order.symbol)
            if racing is not None:
                part = racing.args.get("n")
                qty = order.remaining if part is None else min(Decimal(str(part)), order.remaining)
                self._execute(order, qty, order.limit_price or self._price(order), order.resting_rate)
                if not order.is_open:
                    return order
            order.status = "pending_cancel"
            self._tell(order, "pending_cancel")
        return order

    # ---- market ------------------------------------------------------------------------------------

    def set_quote(self, quote: Quote) -> None:
        """The market moved: resting orders may fill."""
        self.now = max(self.now, quote.at)
        if self._depth is not None and quote.is_sane:
            quote = self._depth.quoted(quote, self.faults.thinness(quote.symbol))
        self.quotes[quote.symbol] = quote
        follow_price(self.pairs[quote.symbol], quote.ask)
        for order in self.open_orders(quote.symbol):
            self._work(order)

    def advance(self, now: datetime) -> None:
        """Time passed: new orders reach the book, cancellations take effect, late rows appear."""
        self.now = max(self.now, now)
        for order in self.open_orders():
            self._work(order)
        due = [row for at, row in self._fee_rows_due if at <= self.now]
        self._fee_rows_due = [(at, row) for at, row in self._fee_rows_due if at > self.now]
        for row in due:
            dated = {**row, "created_at": wire.stamp(self.now), "date": self.now.date().isoformat()}
            self.activities.append(dated)
            self.write("fee_row", **row)
        for at, symbol, qty in [late for late in self._fees_due if late[0] <= self.now]:
            self._fees_due.remove((at, symbol, qty))
            self._set_coins(symbol, self.held(symbol) - qty)

    def next_due(self) -> datetime | None:
        """When something would happen by itself."""
        times = [o.work_at for o in self.open_orders() if o.status == "pending_new"]
        times += [o.cancel_at for o in self.open_orders() if o.cancel_at is not None]
        return min(times, default=None)

    def _work(self, order: Order) -> None:
        if order.status == "pending_new" and self.now >= order.work_at:
            order.status = "new"
            self._tell(order, "new")
            if self._depth is not None:
                order.collar_price = matching.collar_price(order, self.quotes[order.symbol])
            self._match(order, TAKER)
            if order.is_open and order.time_in_force == "ioc":
                self._end(order, "canceled")
            order.resting = True
        elif order.resting and order.is_open:
            self._match(order, order.resting_rate)
        if order.is_open and order.cancel_at is not None and self.now >= order.cancel_at:
            self._end(order, "canceled")
        if order.is_open and self.now >= order.expires_at:
            self._end(order, "expired")

    def _price(self, order: Order) -> Decimal:
        quote = self.quotes[order.symbol]
        return quote.ask if order.side == "buy" else quote.bid

    def _match(self, order: Order, rate: Decimal) -> None:
        """Fill what is marketable: what the book has of it, or without depth in full size but for one in ten
        (alpaca.md 3)."""
        quote = self.quotes[order.symbol]
        if not quote.is_sane or not matching.is_marketable(order, quote):
            return
        if self.faults.peek("fill.none", order.symbol) is not None:
            return
        # A limit that rested is met at its own price; one that was marketable on arrival at the market's.
        rested = order.limit_price if rate == MAKER else None
        if self._depth is None:
            self._execute(order, self._size(order), rested or self._price(order), rate)
            return
        offers = self._depth.offers(quote, order.side, self.faults.thinness(order.symbol))
        for price, qty in list(matching.fills(order, offers, self._size(order))):
            self._depth.take(order.symbol, order.side, price, qty, quote.at)
            self._execute(order, qty, rested or price, rate)

    def book(self, symbol: str) -> tuple[list[Level], list[Level]]:
        """Bids and asks as the public sees them, best first, with the account's own resting orders."""
        quote = self.quotes[symbol]
        if self._depth is None:
            return [(quote.bid, quote.bid_size)], [(quote.ask, quote.ask_size)]
        thin = self.faults.thinness(symbol)
        own = [order for order in self.open_orders(symbol) if order.resting]
        bids, asks = (self._depth.offers(quote, side, thin) for side in ("sell", "buy"))
        return matching.joined(bids, own, "buy"), matching.joined(asks, own, "sell")

    def _size(self, order: Order) -> Decimal:
        forced = self.faults.take("fill.partial", order.symbol)
        if forced is not None:
            half = (order.remaining / 2).quantize(STEP, rounding=ROUND_UP)
            return min(Decimal(str(forced.args.get("n", half))), order.remaining)
        if self._random.randrange(100) >= self._partial_percent:
            return order.remaining
        share = Decimal(self._random.randrange(10, 91)) / 100
        part = (order.remaining * share).quantize(STEP, rounding=ROUND_DOWN)
        return part if part > 0 else order.remaining

    def _execute(self, order: Order, qty: Decimal, price: Decimal, rate: Decimal) -> None:
        """One fill: coins, cash and the fee change hands at once; the fee's row comes later."""
        rate = self._fee_rate(rate)
        order.filled_qty += qty
        order.filled_value += qty * price
        order.filled_at = self.now
        account = self.account
        fee_qty = coin_fee(qty, rate) if order.side == "buy" else ZERO
        fee_usd = dollar_fee(qty * price, rate) if order.side == "sell" else ZERO
        if order.side == "buy":
            account.buys(order.symbol, qty, price)
            self._set_coins(order.symbol, self.held(order.symbol) + qty - self._due_now(order, fee_qty))
        else:
            self._set_coins(order.symbol, self.held(order.symbol) - qty)
            account.cash += qty * price - fee_usd
        done = order.remaining == 0
        if order.is_open:
            order.status = "filled" if done else ("pending_cancel" if order.cancel_at else "partially_filled")
        execution = Execution(
            id=self._uuid(),
            order_id=order.id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            qty=qty,
            price=price,
            fee_qty=fee_qty,
            fee_usd=fee_usd,
            liquidity="maker" if rate == MAKER else "taker",
            cum_qty=order.filled_qty,
            leaves_qty=order.remaining,
            at=self.now,
        )
        self._record(order, execution, "fill" if done else "partial_fill")

    def _due_now(self, order: Order, fee_qty: Decimal) -> Decimal:
        """The part of a coin fee that is taken with the fill; the fault takes all of it later."""
        late = self.faults.take("fee.deferred", order.symbol)
        if late is None:
            return fee_qty
        at = self.now + timedelta(seconds=float(late.args.get("seconds", 2)))
        self._fees_due.append((at, order.symbol, fee_qty))
        return ZERO

    def held_at(self, symbol: str, moment: datetime) -> Decimal:
        """Coins held at a moment of the recent past."""
        later = (before for at, name, before in self._coins_before if name == symbol and at >= moment)
        return next(later, self.held(symbol))

    def _set_coins(self, symbol: str, qty: Decimal) -> None:
        self._coins_before.append((self.now, symbol, self.held(symbol)))
        self.account.coins[symbol] = qty

    def _fee_rate(self, rate: Decimal) -> Decimal:
        other = self.faults.take("fee.immediate")
        return rate if other is None else Decimal(str(other.args.get("bps", 25))) / 10_000

    def _record(self, order: Order, execution: Execution, event: str) -> None:
        self.executions.append(execution)
        self.activities.append(wire.fill_activity(execution))
        self.write("execution", **wire.execution_entry(execution))
        row_id = f"{self.now:%Y%m%d}000000000::{self._uuid()}"
        row = wire.fee_activity(execution, row_id, self.pairs[order.symbol].position_symbol)
        self._fee_rows_due.append((self.now + self._fee_delay, row))
        self._tell(order, event, execution)

    def _end(self, order: Order, status: str) -> None:
        order.status = status
        if status == "canceled":
            order.canceled_at = self.now
        else:
            order.expired_at = self.now
        self._tell(order, status)
        late = self.faults.take("fill.after_terminal", order.symbol)
        if late is not None:
            part = min(Decimal(str(late.args.get("n", order.remaining))), order.remaining)
            self._execute(order, part, order.limit_price or self._price(order), TAKER)

    def _tell(self, order: Order, event: str, execution: Execution | None = None) -> None:
        """Publish an update and write the order down as it now is."""
        order.updated_at = self.now
        as_json = self.order_json(order)
        self.write("order", order=as_json, manual=order.manual)
        event_id = wire.event_id(self.now, len(self.journal), self._random.getrandbits(120))
        name = execution.id if execution else None if event == "pending_new" else self._uuid()
        update = wire.update(as_json, event, event_id, name, self.now, order.cancel_requested_at)
        if execution is not None:
            update |= wire.fill_of_update(execution, self.held(order.symbol))
        self.on_update(update)

    # ---- a person --------------------------------------------------------------------------------------

    def deposit(self, symbol: str, qty: Decimal) -> None:
        """Coins that the user brings."""
        self._set_coins(symbol, self.held(symbol) + qty)
        self.write("deposit", symbol=symbol, qty=plain(qty))
