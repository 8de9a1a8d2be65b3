"""A cycle's six statuses: the one table of moves, and a function for each thing that can happen.

Pure. Every function returns the cycle as it is afterwards; none of them decides whether to trade.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from dca.core import ledger
from dca.core.errors import BrokenRule, IllegalTransition
from dca.core.model import (
    ENDED,
    IN_FLIGHT,
    LIVE,
    PRICE_STEP,
    Asset,
    Cycle,
    CycleStatus,
    Order,
    OrderState,
    Side,
    TradingRules,
    plain,
    round_down,
)
from dca.core.selling import IOC


class Event(StrEnum):
    BUY_PLACED = "buy placed"
    BUY_CLOSED = "buy closed"
    SELL_PLACED = "sell placed"
    SELL_CLOSED = "sell closed, some left"
    SOLD_OUT = "sold out"
    COOLDOWN_OVER = "cooldown over"
    SOLD_OUTSIDE = "sold outside"
    BREAK_PROVEN = "break proven"


_S, _E = CycleStatus, Event
TRANSITIONS: dict[tuple[CycleStatus, Event], CycleStatus] = {
    (_S.WATCHING, _E.BUY_PLACED): _S.BUYING,
    (_S.BUYING, _E.BUY_CLOSED): _S.WATCHING,
    (_S.WATCHING, _E.SELL_PLACED): _S.SELLING,
    (_S.SELLING, _E.SELL_CLOSED): _S.WATCHING,
    (_S.SELLING, _E.SOLD_OUT): _S.COMPLETE,
    (_S.COOLDOWN, _E.COOLDOWN_OVER): _S.WATCHING,
    # The operator sold it elsewhere, and says so (./bot accept); or a sale that was given up was none.
    (_S.WATCHING, _E.SOLD_OUTSIDE): _S.COMPLETE,
    # No order of the cycle may be live then (trader); its coins are gone or given to the operator.
    (_S.WATCHING, _E.BREAK_PROVEN): _S.ERROR,
    (_S.BUYING, _E.BREAK_PROVEN): _S.ERROR,
    (_S.SELLING, _E.BREAK_PROVEN): _S.ERROR,
    (_S.COOLDOWN, _E.BREAK_PROVEN): _S.ERROR,
}

_MANY_REFUSALS = 1000
CLOCK_TOLERANCE = timedelta(seconds=60)
"""So much may a time of ours lie ahead of the clock: it is set right in small steps all the time."""
IOC_PAUSE = timedelta(seconds=2)
"""Before the rest of a sale that the book had too little for is tried again."""
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


def cooldown_over(cycle: Cycle, orders: Sequence[Order] = ()) -> Cycle:
    """Derived columns that were edited meanwhile are computed anew: they must not keep it from trading."""
    current = ledger.with_totals(cycle, orders)
    return checked(replace(current, status=after(cycle.status, Event.COOLDOWN_OVER)))


def refused(cycle: Cycle, side: Side, reason: str, now: datetime) -> Cycle:
    """A definite no to the wish to trade: remember why, and let that side wait before the next try. A
    refused buy must not keep the take-profit waiting."""
    refusals = min(cycle.refusals, _MANY_REFUSALS) + 1
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
    if unknown_word(cycle, orders) is not None:
        return Booking(cycle=cycle)
    current = _out_of_cooldown(ledger.with_totals(cycle, orders))
    if cycle.status in ENDED:
        # Also one that was ended by hand (F84): without a sale, or at 0000-00-00, which is read as None.
        return Booking(cycle=replace(current, completed_at=cycle.completed_at or now))
    if any(order.is_live for order in orders):
        return Booking(cycle=checked(current))
    if cycle.status not in IN_FLIGHT:
        return _watching_on(current, orders, now)
    last = max(orders, key=lambda order: order.seq)
    # What the order was counts, not what somebody wrote over the status while it was live (F84).
    current = replace(_after_closing(current, last, now), status=_in_flight(last))
    sellable = _is_sellable(current, last)
    if last.side is Side.SELL and current.sold_qty > 0 and not sellable:
        return _sold_out(current, Event.SOLD_OUT, now)
    event = Event.BUY_CLOSED if last.side is Side.BUY else Event.SELL_CLOSED
    wish = current.exit_requested_at if sellable else None  # fulfilled: there is nothing to sell
    watching = replace(current, status=after(current.status, event), exit_requested_at=wish)
    return Booking(cycle=checked(watching))


def _is_sellable(cycle: Cycle, order: Order) -> bool:
    """Whether what is held made an order that the exchange took, by its rules as they were at this one."""
    return round_down(cycle.quantity, order.qty_increment) >= order.min_order_size


def _watching_on(cycle: Cycle, orders: Sequence[Order], now: datetime) -> Booking:
    """A sale that was given up and turned up after all may have sold what the cycle held: it is over then,
    as after any sale."""
    filled = [order for order in orders if order.filled_qty > 0]
    last = max(filled, key=lambda order: order.seq, default=None)
    if last is None or (last.side, last.state) != (Side.SELL, OrderState.GHOST):
        return Booking(cycle=checked(cycle))
    if cycle.status is not CycleStatus.WATCHING or _is_sellable(cycle, last):
        return Booking(cycle=checked(cycle))
    return _sold_out(cycle, Event.SOLD_OUTSIDE, now)


def with_its_order(cycle: Cycle, order: Order) -> Cycle:
    """The cycle as a live order of it makes it, whatever was written over its status meanwhile: what is to
    end is a buy or a sale, not a cycle that watches (F84)."""
    if not order.is_live or cycle.status not in LIVE:
        return cycle
    return replace(cycle, status=_in_flight(order))


def _in_flight(order: Order) -> CycleStatus:
    return CycleStatus.BUYING if order.side is Side.BUY else CycleStatus.SELLING


def _out_of_cooldown(cycle: Cycle) -> Cycle:
    """Who holds coins does not cool down: somebody wrote that over the status (F84)."""
    if cycle.status is CycleStatus.COOLDOWN and cycle.quantity > 0:
        return replace(cycle, status=CycleStatus.WATCHING)
    return cycle


def _after_closing(cycle: Cycle, order: Order, now: datetime) -> Cycle:
    if order.filled_qty > 0:
        again_at = now + IOC_PAUSE if order.time_in_force == IOC and _is_sellable(cycle, order) else None
        return replace(cycle, refusals=0, next_buy_at=None, next_sell_at=again_at, problem=None)
    if order.state is OrderState.DONE and not order.cancel_was_ours:
        # Canceled in the dashboard, expired or rejected by the venue: do not place it again at once (F58).
        return refused(cycle, order.side, f"the exchange closed it unfilled: {order.exchange_status}", now)
    return cycle


def _sold_out(cycle: Cycle, event: Event, now: datetime) -> Booking:
    complete = replace(cycle, status=after(cycle.status, event), completed_at=now)
    price = round_down(cycle.sold_proceeds / cycle.sold_qty, PRICE_STEP)
    return Booking(cycle=checked(complete), sold_at_price=price)


def proven_broken(cycle: Cycle, reason: str, now: datetime) -> Cycle:
    """End a cycle whose coins are provably not there; the caller has checked that no order is live."""
    status = after(cycle.status, Event.BREAK_PROVEN)
    return checked(replace(cycle, status=status, completed_at=now, problem=reason[:500]))


def sold_outside(cycle: Cycle, orders: Sequence[Order], rules: TradingRules, now: datetime) -> Cycle:
    """The cycle after a sale outside the bot was booked: complete when nothing is left that could be sold.

    An ended cycle stays ended. The caller begins the next cycle if this one is complete now.
    """
    current = ledger.with_totals(cycle, orders)
    sellable = round_down(current.quantity, rules.qty_increment) >= rules.min_order_size
    if cycle.status in ENDED or sellable:
        return checked(current)
    status = after(current.status, Event.SOLD_OUTSIDE)
    return checked(replace(current, status=status, completed_at=now, exit_requested_at=None))


def exit_requested(cycle: Cycle, now: datetime) -> Cycle:
    """The operator wants it sold: whatever is held goes at the next good quote."""
    return replace(cycle, exit_requested_at=now, next_sell_at=None)


def other_symbol(asset: Asset, orders: Sequence[Order]) -> str | None:
    """Say that the row's pair was changed while its cycle has orders of another; None if it was not."""
    other = next((order for order in orders if order.symbol != asset.asset_symbol), None)
    if other is None:
        return None
    return f"asset_symbol was changed in a live cycle that holds {other.symbol}: change it back"


def unknown_word(cycle: Cycle, orders: Sequence[Order]) -> str | None:
    """Say which word of a cycle's rows is not known to this program; None if all are. Nothing is concluded
    from such rows, and nothing is written into them: a person has to put the word right."""
    rows: tuple[Cycle | Order, ...] = (cycle, *orders)
    return next(filter(None, map(ledger.unknown_word, rows)), None)


def unexplained(cycle: Cycle, orders: Sequence[Order]) -> str | None:
    """Say that a cycle claims coins that no order of it explains, or that its rows cannot be read; None
    otherwise. Guessing would sell coins that are not the cycle's (F42, F84)."""
    unknown = unknown_word(cycle, orders)
    if unknown is not None:
        return unknown
    if orders or cycle.quantity == 0:
        return None
    return f"cycle {cycle.id} says it holds {plain(cycle.quantity)}, and no order of it is known"


def healed(cycle: Cycle, orders: Sequence[Order], now: datetime) -> Booking:
    """The live cycle as its orders make it, whatever was edited by hand: derived columns and status.

    A live order is what makes a cycle buying or selling, so the status follows it; one that says buying or
    selling without any goes on as after that order's end (F23: never by age).
    """
    cycle = _in_possible_times(cycle, now)
    live = next((order for order in orders if order.is_live), None)
    if live is not None:
        return Booking(cycle=checked(ledger.with_totals(replace(cycle, status=_in_flight(live)), orders)))
    if cycle.status in IN_FLIGHT and not orders:
        watching = replace(ledger.with_totals(cycle, orders), status=CycleStatus.WATCHING)
        return Booking(cycle=checked(watching))
    booking = book(cycle, orders, now)
    return replace(booking, cycle=replace(booking.cycle, refusals=cycle.refusals, problem=cycle.problem))


def _in_possible_times(cycle: Cycle, now: datetime) -> Cycle:
    """Times that a wrong clock wrote must not keep a cycle waiting once it is right again (F62): a cooldown
    that begins in the future begins now, and no pause is longer than the longest."""

    def possible(at: datetime | None, side: Side) -> datetime | None:
        longest = timedelta(seconds=_BACK_OFF_SECONDS[side][1])
        return None if at is None or at > now + longest + CLOCK_TOLERANCE else at

    began = cycle.cooldown_started_at
    return replace(
        cycle,
        cooldown_started_at=now if began is not None and began > now + CLOCK_TOLERANCE else began,
        next_buy_at=possible(cycle.next_buy_at, Side.BUY),
        next_sell_at=possible(cycle.next_sell_at, Side.SELL),
    )


def left_behind(cycle: Cycle, orders: Sequence[Order]) -> Decimal | None:
    """Coins that an ended cycle holds and that could be sold (a fill that came too late); else None."""
    if cycle.status not in ENDED or not orders:
        return None
    last = max(orders, key=lambda order: order.seq)
    return cycle.quantity if _is_sellable(cycle, last) and last.min_order_size > 0 else None
