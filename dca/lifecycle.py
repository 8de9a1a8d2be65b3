"""A cycle's six statuses: the one table of moves, and a function for each thing that can happen.

Pure. Every function returns the cycle as it is afterwards; none of them decides whether to trade.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from dca import ledger
from dca.errors import BrokenRule, IllegalTransition
from dca.model import (
    ENDED,
    IN_FLIGHT,
    PRICE_STEP,
    Cycle,
    CycleStatus,
    Order,
    OrderState,
    Side,
    round_down,
)


class Event(StrEnum):
    BUY_PLACED = "buy placed"
    BUY_CLOSED = "buy closed"
    SELL_PLACED = "sell placed"
    SELL_CLOSED = "sell closed, some left"
    SOLD_OUT = "sold out"
    COOLDOWN_OVER = "cooldown over"
    BREAK_PROVEN = "break proven"


_S, _E = CycleStatus, Event
TRANSITIONS: dict[tuple[CycleStatus, Event], CycleStatus] = {
    (_S.WATCHING, _E.BUY_PLACED): _S.BUYING,
    (_S.BUYING, _E.BUY_CLOSED): _S.WATCHING,
    (_S.WATCHING, _E.SELL_PLACED): _S.SELLING,
    (_S.SELLING, _E.SELL_CLOSED): _S.WATCHING,
    (_S.SELLING, _E.SOLD_OUT): _S.COMPLETE,
    (_S.COOLDOWN, _E.COOLDOWN_OVER): _S.WATCHING,
    # No order of the cycle may be live then (trader); its coins are gone or given to the operator.
    (_S.WATCHING, _E.BREAK_PROVEN): _S.ERROR,
    (_S.BUYING, _E.BREAK_PROVEN): _S.ERROR,
    (_S.SELLING, _E.BREAK_PROVEN): _S.ERROR,
    (_S.COOLDOWN, _E.BREAK_PROVEN): _S.ERROR,
}

_BACK_OFF_SECONDS = {Side.BUY: (300, 3600), Side.SELL: (10, 300)}


def after(status: CycleStatus, event: Event) -> CycleStatus:
    """The status after an event.

    Raises:
        IllegalTransition: if the table has no such pair.
    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise IllegalTransition(f"a cycle that is {status} cannot take '{event}'") from None


def checked(cycle: Cycle) -> Cycle:
    """The same cycle, if it breaks no rule.

    Raises:
        BrokenRule: naming every rule it breaks.
    """
    violations = cycle.violations()
    if violations:
        raise BrokenRule(f"cycle {cycle.id}: {'; '.join(violations)}")
    return cycle


def back_off(side: Side, refusals: int) -> timedelta:
    """How long to leave an order alone after the n-th refusal in a row: doubling up to a limit.

    Buys 5 minutes to an hour, sells 10 seconds to 5 minutes (design.md 6).
    """
    first, most = _BACK_OFF_SECONDS[side]
    doublings = min(max(refusals - 1, 0), 10)
    return timedelta(seconds=min(first * 2**doublings, most))


def placed(cycle: Cycle, side: Side) -> Cycle:
    """The claim: an order of this side is about to be sent."""
    event = Event.BUY_PLACED if side is Side.BUY else Event.SELL_PLACED
    return checked(replace(cycle, status=after(cycle.status, event)))


def cooldown_over(cycle: Cycle) -> Cycle:
    return checked(replace(cycle, status=after(cycle.status, Event.COOLDOWN_OVER)))


def refused(cycle: Cycle, side: Side, reason: str, now: datetime) -> Cycle:
    """A definite no to the wish to trade: remember why, and let that side wait before the next try. A
    refused buy must not keep the take-profit waiting."""
    refusals = cycle.refusals + 1
    again_at = now + back_off(side, refusals)
    return replace(
        cycle,
        refusals=refusals,
        next_buy_at=again_at if side is Side.BUY else cycle.next_buy_at,
        next_sell_at=again_at if side is Side.SELL else cycle.next_sell_at,
        problem=reason[:500],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What a change of a cycle's orders leads to. `sold_at_price` is set when it sold out, and then
    the next cycle is born in cooldown in the same transaction."""

    cycle: Cycle
    sold_at_price: Decimal | None = None


def book(cycle: Cycle, orders: Sequence[Order], now: datetime) -> Booking:
    """Bring a cycle up to date with its orders, and move it on if none of them is live any more.

    Raises:
        BrokenRule, IllegalTransition: our bug.
    """
    current = ledger.with_totals(cycle, orders)
    if cycle.status not in IN_FLIGHT or any(order.is_live for order in orders):
        return Booking(cycle=checked(current))
    last = max(orders, key=lambda order: order.seq)
    current = _after_closing(current, last, now)
    if last.side is Side.BUY:
        return Booking(cycle=checked(replace(current, status=after(current.status, Event.BUY_CLOSED))))
    if current.sold_qty > 0 and round_down(current.quantity, last.qty_increment) < last.min_order_size:
        return _sold_out(current, now)
    return Booking(cycle=checked(replace(current, status=after(current.status, Event.SELL_CLOSED))))


def _after_closing(cycle: Cycle, order: Order, now: datetime) -> Cycle:
    if order.filled_qty > 0:
        return replace(cycle, refusals=0, next_buy_at=None, next_sell_at=None, problem=None)
    if order.state is OrderState.DONE and not order.cancel_was_ours:
        # Canceled in the dashboard, expired or rejected by the venue: do not place it again at once (F58).
        return refused(cycle, order.side, f"the exchange closed it unfilled: {order.exchange_status}", now)
    return cycle


def _sold_out(cycle: Cycle, now: datetime) -> Booking:
    complete = replace(cycle, status=after(cycle.status, Event.SOLD_OUT), completed_at=now)
    price = round_down(cycle.sold_proceeds / cycle.sold_qty, PRICE_STEP)
    return Booking(cycle=checked(complete), sold_at_price=price)


def proven_broken(cycle: Cycle, reason: str, now: datetime) -> Cycle:
    """End a cycle whose coins are provably not there; the caller has checked that no order is live."""
    status = after(cycle.status, Event.BREAK_PROVEN)
    return checked(replace(cycle, status=status, completed_at=now, problem=reason[:500]))


def left_behind(cycle: Cycle, orders: Sequence[Order]) -> Decimal | None:
    """Coins that an ended cycle holds and that could be sold (a fill that came too late); else None."""
    if cycle.status not in ENDED or not orders:
        return None
    last = max(orders, key=lambda order: order.seq)
    sellable = round_down(cycle.quantity, last.qty_increment) >= last.min_order_size > 0
    return cycle.quantity if sellable else None
