"""What is known of an order, merged; and what a cycle's orders add up to.

Pure. Snapshots of an order may come late, twice, out of order and from four directions; merging takes
the furthest of what was seen, so that any order and any number of them ends in the same row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from dca.core.model import (
    CLOSED_AT_EXCHANGE,
    GIVEN_UP_STATES,
    HIGHEST_FEE_RATE,
    PRICE_STEP,
    ZERO,
    Cycle,
    Execution,
    FeeSource,
    Order,
    OrderState,
    Purpose,
    Side,
    Snapshot,
    Word,
    plain,
    round_up,
)

TAKER_FEE_RATE = HIGHEST_FEE_RATE
"""Assumed while the account has shown no other (fees.py)."""
COIN_FEE_STEP = Decimal("1e-9")
DOLLAR_FEE_STEP = Decimal("0.01")
LEDGER_STEP = Decimal("1e-15")
"""What the ledger's columns can hold (DECIMAL(30, 15)); the server would round a longer value half up."""

CLOCK_TOLERANCE = timedelta(minutes=10)
"""The clocks may differ by seconds; an order that is older than ours by more is another order."""

LONGEST_DIFFERENCE = 300
"""Letters that the column takes."""
_WORDS = {Cycle: ("status",), Order: ("purpose", "side", "order_type", "state", "fee_source")}
"""The columns whose values are words: without them nothing can be concluded from a row."""

ANY_PREFIX = "dca-"
"""How the ids of all installations begin: after a restored backup the ledger has orders of an earlier one."""

_TAILS = {
    Purpose.BASE: "b",
    Purpose.TAKE_PROFIT: "tp",
    Purpose.EXIT: "x",
    Purpose.ADOPTED: "in",
    Purpose.OUTSIDE: "out",
}

_STATUSES_IN_ORDER = (
    "pending_new",
    "accepted",
    "new",
    "partially_filled",
    "pending_cancel",
    "replaced",
    "rejected",
    "expired",
    "canceled",
    "filled",
)
_STATUS_RANK = {status: rank for rank, status in enumerate(_STATUSES_IN_ORDER, start=1)}


def client_order_id(install_id: str, cycle_id: int, seq: int, purpose: Purpose, level: int) -> str:
    """Our id for an order: a function of its row, so that running again cannot invent a second one."""
    tail = f"s{level}" if purpose is Purpose.SAFETY else _TAILS[purpose]
    return f"{id_prefix(install_id)}{cycle_id}-{seq}-{tail}"


def id_prefix(install_id: str) -> str:
    """How the client order ids of this installation begin."""
    return f"{ANY_PREFIX}{install_id}-"


def coin_fee(qty: Decimal, rate: Decimal = TAKER_FEE_RATE) -> Decimal:
    """Coins taken from one buy execution: rounded up to 1e-9 (alpaca.md 4)."""
    return min(round_up(qty * rate, COIN_FEE_STEP), qty)


def dollar_fee(value: Decimal, rate: Decimal = TAKER_FEE_RATE) -> Decimal:
    """Dollars taken from one sell execution: rounded up to a cent (alpaca.md 4)."""
    return round_up(value * rate, DOLLAR_FEE_STEP)


def break_even_price(cost: Decimal, qty: Decimal) -> Decimal:
    """The price at which selling `qty` coins brings back `cost` dollars after the fee, rounded up.

    The exact inverse of dollar_fee: the fee f of the proceeds cost + f is the smallest that covers itself.
    """
    fee = round_up(cost * TAKER_FEE_RATE / (1 - TAKER_FEE_RATE), DOLLAR_FEE_STEP)
    return round_up((cost + fee) / qty, PRICE_STEP)


def unknown_word(row: Cycle | Order) -> str | None:
    """Say which column of a row holds a word that this program does not know, or what nothing can be computed
    with; None for a row like others."""
    for name in _WORDS[type(row)]:
        word: Word = getattr(row, name)
        if not word.is_known:
            whose = f"order {row.client_order_id}" if isinstance(row, Order) else f"cycle {row.id}"
            return f"{name} of {whose} is {word.value!r}, which is none of {', '.join(type(word))}"
    return _nonsense(row) if isinstance(row, Order) else None


def _nonsense(order: Order) -> str | None:
    if order.side is not order.purpose.side:
        side, purpose = order.side.value, order.purpose.value
        return f"side of order {order.client_order_id} is {side!r}, and its purpose {purpose!r}"
    if order.qty_increment <= 0:
        return f"qty_increment of order {order.client_order_id} is {plain(order.qty_increment)!r}, no step"
    return None


def is_incomplete(snapshot: Snapshot) -> bool:
    """Whether it reports a fill without a price (F61): to be asked for again, not to be booked."""
    return snapshot.filled_qty > 0 and not snapshot.filled_avg_price


def mismatch(order: Order, snapshot: Snapshot) -> str | None:
    """Say how the exchange's order differs from the one we wrote down; None if it is the same."""
    return stranger(order, snapshot) or difference(order, snapshot)


def stranger(order: Order, snapshot: Snapshot) -> str | None:
    """Say why what the exchange has under our id is no order of ours, or cannot be; None if it is ours.

    A recreated database could meet an old order of the same id (F50).
    """
    most = max(order.qty, snapshot.qty or ZERO)
    if snapshot.filled_qty > most:
        return f"{plain(snapshot.filled_qty)} of {plain(most)} are filled"
    return _another(order, snapshot)


def _another(order: Order, snapshot: Snapshot) -> str | None:
    if snapshot.symbol.replace("/", "") != order.symbol.replace("/", ""):
        return f"symbol is {snapshot.symbol}, not {order.symbol}"
    if snapshot.side != order.side:
        return f"side is {snapshot.side}, not {order.side}"
    if is_older(order, snapshot):
        return f"it was made at {snapshot.created_at}, before we wrote ours down at {order.created_at}"
    return None


def is_older(order: Order, snapshot: Snapshot) -> bool:
    """Whether the exchange's order was made well before ours was written down."""
    return snapshot.created_at is not None and snapshot.created_at < order.created_at - CLOCK_TOLERANCE


def difference(order: Order, snapshot: Snapshot) -> str | None:
    """Say how an order of ours came back otherwise than it was sent; None if it did not. What it fills is
    ours all the same.

    The limit price may have been rounded to a tick by the exchange (not established: alpaca.md 2.2), so it
    only has to be near.
    """
    if snapshot.qty is not None and snapshot.qty != order.qty:
        return f"quantity is {plain(snapshot.qty)}, not {plain(order.qty)}"
    if snapshot.limit_price is not None and not _is_near(snapshot.limit_price, order.limit_price):
        sent = "none" if order.limit_price is None else plain(order.limit_price)
        return f"limit price is {plain(snapshot.limit_price)}, not {sent}"
    return None


def is_taken(order: Order, snapshot: Snapshot) -> bool:
    """Whether an id that we sent without an answer yet is that of another order (F50)."""
    unanswered = order.state is OrderState.SENT and order.exchange_order_id is None
    return unanswered and _another(order, snapshot) is not None


def with_difference(order: Order, words: str, now: datetime) -> Order:
    """An order that is not what was sent. It was not wanted like that: what is open of it has to go."""
    unwanted = order.state is OrderState.ACKED
    return replace(
        order,
        difference=order.difference or words[:LONGEST_DIFFERENCE],
        state=OrderState.CANCEL_REQUESTED if unwanted else order.state,
        cancel_requested_at=now if unwanted else order.cancel_requested_at,
    )


def _is_near(price: Decimal, ours: Decimal | None) -> bool:
    return ours is not None and abs(price - ours) * 100 <= ours


def merge(order: Order, snapshot: Snapshot, now: datetime) -> Order:
    """The order with all that the snapshot adds; the same order when it adds nothing.

    filled_qty only grows, a closed status stays closed, and an order that was given up and turns up
    becomes a ghost: booked like any other, and never a reason to place anything.
    """
    if unknown_word(order) is not None:
        return order
    merged = replace(
        order,
        exchange_order_id=order.exchange_order_id or snapshot.exchange_order_id,
        exchange_status=_further_status(order.exchange_status, snapshot.status),
    )
    if snapshot.filled_qty > order.filled_qty:
        merged = _with_fill(merged, snapshot)
    closed = merged.exchange_status in CLOSED_AT_EXCHANGE
    # An order that we gave up was closed in our book only; the exchange's may be open.
    closed_at = None if order.state in GIVEN_UP_STATES - {OrderState.GHOST} else order.closed_at
    return replace(
        merged,
        state=_state_after(order.state, closed=closed),
        closed_at=closed_at or (now if closed else None),
        not_found_at=None,
    )


def _further_status(known: str | None, seen: str) -> str:
    if known is None:
        return seen
    return max(known, seen, key=lambda status: (_STATUS_RANK.get(status, 0), status))


def _state_after(state: OrderState, *, closed: bool) -> OrderState:
    if state in GIVEN_UP_STATES:
        return OrderState.GHOST
    if closed or state is OrderState.DONE:
        return OrderState.DONE
    return OrderState.CANCEL_REQUESTED if state is OrderState.CANCEL_REQUESTED else OrderState.ACKED


def _with_fill(order: Order, snapshot: Snapshot) -> Order:
    """Book the larger fill, with the fee assumed on the whole until its executions are known."""
    assert snapshot.filled_avg_price is not None
    rounding = ROUND_UP if order.side is Side.BUY else ROUND_DOWN
    value = (snapshot.filled_qty * snapshot.filled_avg_price).quantize(LEDGER_STEP, rounding=rounding)
    return replace(
        order,
        filled_qty=snapshot.filled_qty,
        filled_avg_price=snapshot.filled_avg_price.quantize(LEDGER_STEP, rounding=rounding),
        filled_value=value,
        fee_qty=coin_fee(snapshot.filled_qty, order.fee_rate) if order.side is Side.BUY else ZERO,
        fee_usd=dollar_fee(value, order.fee_rate) if order.side is Side.SELL else ZERO,
        fee_source=FeeSource.ASSUMED,
        decided_at=None,  # of what it filled now nobody knew
    )


def with_executions(order: Order, executions: Iterable[Execution]) -> Order | None:
    """The order with value and fee as its single executions make them: exact to the cent.

    None while the executions do not add up to what is filled (the activity rows come late).
    """
    mine = {execution.id: execution for execution in executions}.values()
    if order.filled_qty == 0 or sum((e.qty for e in mine), ZERO) != order.filled_qty:
        return None
    rounding = ROUND_UP if order.side is Side.BUY else ROUND_DOWN
    value = sum((e.qty * e.price for e in mine), ZERO)
    coins = sum((coin_fee(e.qty, order.fee_rate) for e in mine), ZERO)
    dollars = sum((dollar_fee(e.qty * e.price, order.fee_rate) for e in mine), ZERO)
    return replace(
        order,
        filled_value=value.quantize(LEDGER_STEP, rounding=rounding),
        fee_qty=coins if order.side is Side.BUY else ZERO,
        fee_usd=dollars if order.side is Side.SELL else ZERO,
        fee_source=FeeSource.EXECUTIONS,
    )


def with_shortage_as_fee(orders: Sequence[Order], shortage: Decimal) -> Order | None:
    """The last filled buy with a fee larger by the coins that the position proves to be missing (F06).

    None if no buy has that many coins.
    """
    buys = [order for order in orders if order.side is Side.BUY and order.filled_qty > 0]
    if not buys:
        return None
    last = max(buys, key=lambda order: order.seq)
    if last.fee_qty + shortage > last.filled_qty:
        return None
    return replace(last, fee_qty=last.fee_qty + shortage, fee_source=FeeSource.POSITION)


def shortage_tolerance(cycle: Cycle, qty_increment: Decimal) -> Decimal:
    """Coins by which the position may be below the ledger and still be explained by fees: rounding of
    single executions, a higher tier again than the assumed one, or a rate a little above the highest."""
    highest = max(cycle.bought_qty * TAKER_FEE_RATE - cycle.buy_fee_qty, ZERO)
    return highest + cycle.bought_qty * Decimal("0.0005") + 10 * qty_increment


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a cycle's orders add up to, under the names of dca_cycles' derived columns."""

    quantity: Decimal
    average_purchase_price: Decimal
    safety_orders: int
    latest_order_id: str | None
    last_order_fill_price: Decimal | None
    bought_qty: Decimal
    bought_cost: Decimal
    buy_fee_qty: Decimal
    sold_qty: Decimal
    sold_proceeds: Decimal
    sell_fee: Decimal


def totals(orders: Sequence[Order]) -> Totals:
    """Add up a cycle's orders. The average is rounded up: no profit that is not there."""
    by_seq = sorted(orders, key=lambda order: order.seq)
    buys = [order for order in by_seq if order.side is Side.BUY and order.filled_qty > 0]
    sells = [order for order in by_seq if order.side is Side.SELL and order.filled_qty > 0]
    known = [order.exchange_order_id for order in by_seq if order.exchange_order_id]
    bought = sum((order.filled_qty for order in buys), ZERO)
    cost = sum((order.filled_value for order in buys), ZERO)
    coin_fees = sum((order.fee_qty for order in buys), ZERO)
    sold = sum((order.filled_qty for order in sells), ZERO)
    last_price = buys[-1].filled_avg_price if buys else None
    return Totals(
        # Negative only if the true fee was below the assumed one and the difference was sold as well.
        quantity=max(bought - coin_fees - sold, ZERO),
        average_purchase_price=round_up(cost / bought, PRICE_STEP) if bought else ZERO,
        safety_orders=sum(_safety_orders(order) for order in buys),
        latest_order_id=known[-1] if known else None,
        last_order_fill_price=None if last_price is None else round_up(last_price, PRICE_STEP),
        bought_qty=bought,
        bought_cost=cost,
        buy_fee_qty=coin_fees,
        sold_qty=sold,
        sold_proceeds=sum((order.filled_value for order in sells), ZERO),
        sell_fee=sum((order.fee_usd for order in sells), ZERO),
    )


def _safety_orders(buy: Order) -> int:
    """How many safety orders a buy stands for: what was adopted stands for as many as the operator said."""
    if buy.purpose is Purpose.ADOPTED:
        return buy.level
    return 1 if buy.purpose is Purpose.SAFETY else 0


def with_totals(cycle: Cycle, orders: Sequence[Order]) -> Cycle:
    """The cycle with its derived columns computed anew: never incremented. As it is, if a word of an order is
    not known: a buy among others that is not seen as one would be coins that are gone."""
    if any(unknown_word(order) is not None for order in orders):
        return cycle
    derived = totals(orders)
    return replace(cycle, **{name: getattr(derived, name) for name in Totals.__slots__})
