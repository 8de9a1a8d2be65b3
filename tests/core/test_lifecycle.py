"""The table of moves, exhausted; and what each thing that happens to a cycle's orders makes of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca.core import lifecycle
from dca.core.errors import BrokenRule, IllegalTransition
from dca.core.lifecycle import Booking, Event, after, back_off, book
from dca.core.model import Cycle, CycleStatus, Order, OrderState, Purpose, Side
from tests.builders import NOW, D, cycle, done, holding, order

LATER = NOW + timedelta(minutes=3)
NO = None

# Written out from the picture in the design, not from the code: a row for each status, a column for each
# event. "NO" is a move that must not exist.
EVENTS = (
    "buy placed",
    "buy closed",
    "sell placed",
    "sell closed, some left",
    "sold out",
    "cooldown over",
    "break proven",
    "sold outside",
)
MOVES: dict[str, tuple[str | None, ...]] = {
    "watching": ("buying", NO, "selling", NO, NO, NO, "error", "complete"),
    "buying": (NO, "watching", NO, NO, NO, NO, "error", NO),
    "selling": (NO, NO, NO, "watching", "complete", NO, "error", NO),
    "cooldown": (NO, NO, NO, NO, NO, "watching", "error", NO),
    "complete": (NO, NO, NO, NO, NO, NO, NO, NO),
    "error": (NO, NO, NO, NO, NO, NO, NO, NO),
}


def test_the_table_has_every_status_and_every_event() -> None:
    assert set(MOVES) == {status.value for status in CycleStatus}
    assert set(EVENTS) == {event.value for event in Event}


@pytest.mark.parametrize("event", list(Event), ids=lambda event: event.name)
@pytest.mark.parametrize("status", list(CycleStatus), ids=lambda status: status.name)
def test_every_status_meets_every_event(status: CycleStatus, event: Event) -> None:
    expected = MOVES[status.value][EVENTS.index(event.value)]
    if expected is None:
        with pytest.raises(IllegalTransition, match=status.value):
            after(status, event)
    else:
        assert after(status, event) is CycleStatus(expected)


def test_ended_cycles_stay_ended() -> None:
    ended = {CycleStatus.COMPLETE, CycleStatus.ERROR}
    assert not ended & {status for status, _ in lifecycle.TRANSITIONS}


@pytest.mark.parametrize(
    ("side", "seconds"),
    [
        (Side.BUY, [300, 600, 1200, 2400, 3600, 3600]),
        (Side.SELL, [10, 20, 40, 80, 160, 300, 300]),
    ],
)
def test_back_off_doubles_up_to_a_limit(side: Side, seconds: list[int]) -> None:
    assert [back_off(side, n).total_seconds() for n in range(1, len(seconds) + 1)] == seconds
    assert back_off(side, 10_000).total_seconds() == seconds[-1]


def test_a_refusal_is_remembered_and_counted() -> None:
    once = lifecycle.refused(cycle(), Side.BUY, "x" * 900, NOW)
    assert (once.refusals, once.next_buy_at) == (1, NOW + timedelta(minutes=5))
    assert once.problem == "x" * 500
    twice = lifecycle.refused(once, Side.BUY, "no", NOW)
    assert (twice.refusals, twice.next_buy_at, twice.problem) == (2, NOW + timedelta(minutes=10), "no")
    assert twice.status is CycleStatus.WATCHING


def test_placing_is_a_move() -> None:
    assert lifecycle.placed(cycle(), Side.BUY).status is CycleStatus.BUYING
    assert lifecycle.placed(holding(), Side.SELL).status is CycleStatus.SELLING
    with pytest.raises(IllegalTransition):
        lifecycle.placed(cycle(CycleStatus.BUYING), Side.BUY)
    with pytest.raises(IllegalTransition):
        lifecycle.placed(holding(CycleStatus.BUYING), Side.SELL)


def test_cooldown_over_is_a_move() -> None:
    assert lifecycle.cooldown_over(cycle(CycleStatus.COOLDOWN)).status is CycleStatus.WATCHING
    with pytest.raises(IllegalTransition):
        lifecycle.cooldown_over(cycle())


def test_a_proven_break_ends_the_cycle() -> None:
    broken = lifecycle.proven_broken(holding(), "the coins are gone", LATER)
    assert (broken.status, broken.completed_at) == (CycleStatus.ERROR, LATER)
    assert broken.problem == "the coins are gone"


# ---- book(): what the orders make of their cycle ----

BASE = done(filled="0.2", price="100")
TP = Purpose.TAKE_PROFIT


def booked(status: CycleStatus, *orders: Order, start: Cycle | None = None, now: datetime = LATER) -> Booking:
    return book(replace(start or cycle(), status=status), orders, now)


def test_while_an_order_is_live_only_the_numbers_move() -> None:
    partial = done(filled="0.1", state=OrderState.ACKED, exchange_status="partially_filled", closed_at=None)
    result = booked(CycleStatus.BUYING, partial).cycle
    assert result.status is CycleStatus.BUYING
    assert result.quantity == D("0.09975")
    assert result.average_purchase_price == D(100)


@pytest.mark.parametrize("state", [OrderState.SENT, OrderState.ACKED, OrderState.CANCEL_REQUESTED])
def test_every_live_state_keeps_the_cycle_in_flight(state: OrderState) -> None:
    assert booked(CycleStatus.BUYING, order(state=state)).cycle.status is CycleStatus.BUYING
    sale = order(TP, 2, state=state)
    assert booked(CycleStatus.SELLING, BASE, sale).cycle.status is CycleStatus.SELLING


def test_a_filled_buy_is_closed() -> None:
    start = cycle(refusals=3, next_buy_at=LATER, problem="was refused")
    result = booked(CycleStatus.BUYING, BASE, start=start).cycle
    assert result.status is CycleStatus.WATCHING
    assert result.quantity == D("0.1995")
    assert result.average_purchase_price == D(100)
    assert result.last_order_fill_price == D(100)
    assert result.latest_order_id == "x-1"
    assert result.safety_orders == 0
    assert (result.refusals, result.next_buy_at, result.problem) == (0, None, None)


def test_a_filled_safety_order_counts_and_moves_the_average() -> None:
    safety = done(Purpose.SAFETY, 2, filled="0.2", price="90")
    result = booked(CycleStatus.BUYING, BASE, safety).cycle
    assert result.status is CycleStatus.WATCHING
    assert result.safety_orders == 1
    assert result.average_purchase_price == D(95)
    assert result.last_order_fill_price == D(90)
    assert result.quantity == D("0.399")


def test_F14_a_buy_partly_filled_and_then_canceled_keeps_its_part() -> None:
    part = done(Purpose.SAFETY, 2, filled="0.05", price="90", cancel_requested_at=NOW)
    result = booked(CycleStatus.BUYING, BASE, part).cycle
    assert result.status is CycleStatus.WATCHING
    assert result.quantity == D("0.249375")
    assert result.safety_orders == 1, "a level with any fill is used"
    assert result.last_order_fill_price == D(90)


def test_a_buy_canceled_at_our_request_leaves_no_trace() -> None:
    unfilled = done(Purpose.SAFETY, 2, cancel_requested_at=NOW)
    result = booked(CycleStatus.BUYING, BASE, unfilled).cycle
    assert (result.status, result.safety_orders) == (CycleStatus.WATCHING, 0)
    assert (result.refusals, result.next_buy_at) == (0, None)
    assert result.last_order_fill_price == D(100)


@pytest.mark.parametrize("status", ["canceled", "expired", "rejected"])
def test_a_buy_closed_unfilled_by_others_is_not_repeated_at_once(status: str) -> None:
    result = booked(CycleStatus.BUYING, done(exchange_status=status)).cycle
    assert (result.status, result.quantity) == (CycleStatus.WATCHING, D(0))
    assert (result.refusals, result.next_buy_at) == (1, LATER + timedelta(minutes=5))
    assert result.problem is not None and status in result.problem


def test_a_sell_closed_unfilled_by_others_waits_less() -> None:
    result = booked(CycleStatus.SELLING, BASE, done(TP, 2)).cycle
    assert (result.status, result.quantity) == (CycleStatus.WATCHING, D("0.1995"))
    assert (result.next_buy_at, result.next_sell_at) == (None, LATER + timedelta(seconds=10))


@pytest.mark.parametrize("state", [OrderState.REJECTED, OrderState.VOID])
def test_a_buy_that_never_was_frees_the_cycle(state: OrderState) -> None:
    """Its refusal was counted by whoever heard it: not once more here."""
    result = booked(CycleStatus.BUYING, order(state=state, closed_at=NOW)).cycle
    assert (result.status, result.refusals) == (CycleStatus.WATCHING, 0)
    sold = booked(CycleStatus.SELLING, BASE, order(TP, 2, state=state, closed_at=NOW)).cycle
    assert (sold.status, sold.quantity) == (CycleStatus.WATCHING, D("0.1995"))


def test_a_sell_that_left_some_goes_on_watching() -> None:
    result = booked(CycleStatus.SELLING, BASE, done(TP, 2, filled="0.1", price="102"))
    assert result.sold_at_price is None
    assert result.cycle.status is CycleStatus.WATCHING
    assert result.cycle.quantity == D("0.0995")
    assert result.cycle.average_purchase_price == D(100)
    assert result.cycle.completed_at is None


def test_sold_out_completes_the_cycle() -> None:
    result = booked(CycleStatus.SELLING, BASE, done(TP, 2, filled="0.1995", price="102"))
    assert result.cycle.status is CycleStatus.COMPLETE
    assert result.cycle.completed_at == LATER
    assert result.cycle.quantity == 0
    assert result.cycle.sold_proceeds == D("20.349")
    assert result.sold_at_price == D(102)


def test_what_is_too_little_to_be_sold_is_dust() -> None:
    """min_order_size of the sell is 0.01: one step below it is dust, the step itself is not."""
    dust = booked(CycleStatus.SELLING, BASE, done(TP, 2, filled="0.1896", price="102"))
    assert (dust.cycle.status, dust.cycle.quantity) == (CycleStatus.COMPLETE, D("0.0099"))
    some = booked(CycleStatus.SELLING, BASE, done(TP, 2, filled="0.1895", price="102"))
    assert (some.cycle.status, some.cycle.quantity) == (CycleStatus.WATCHING, D("0.01"))
    assert some.sold_at_price is None


def test_the_price_of_a_sale_in_parts_is_their_average_rounded_down() -> None:
    first = done(TP, 2, filled="0.1", price="102")
    rest = done(TP, 3, filled="0.0995", price="103")
    result = booked(CycleStatus.SELLING, BASE, first, rest)
    exact = (D("0.1") * 102 + D("0.0995") * 103) / D("0.1995")
    assert result.sold_at_price is not None
    assert result.sold_at_price <= exact < result.sold_at_price + D("1e-10")


def test_an_unfilled_sell_completes_nothing_even_when_little_is_held() -> None:
    little = done(filled="0.005", price="100")
    result = booked(CycleStatus.SELLING, little, done(TP, 2, cancel_requested_at=NOW))
    assert (result.cycle.status, result.sold_at_price) == (CycleStatus.WATCHING, None)
    wanted = booked(CycleStatus.SELLING, little, done(TP, 2), start=cycle(exit_requested_at=NOW)).cycle
    assert wanted.exit_requested_at is None, "nothing is left that could be sold"


def test_a_sale_that_turned_up_ends_its_cycle_although_another_was_tried_after_it() -> None:
    ghost = replace(done(TP, 2, filled="0.1995", price="102"), state=OrderState.GHOST)
    given_up = replace(done(TP, 3), state=OrderState.VOID)
    result = booked(CycleStatus.WATCHING, BASE, ghost, given_up)
    assert (result.cycle.status, result.sold_at_price) == (CycleStatus.COMPLETE, D(102))


def test_a_fill_after_the_buy_was_booked_as_canceled_still_counts() -> None:
    """F35: the cycle watches already, and stays watching."""
    late = done(filled="0.2", price="100", cancel_requested_at=NOW)
    result = booked(CycleStatus.WATCHING, late).cycle
    assert (result.status, result.quantity) == (CycleStatus.WATCHING, D("0.1995"))


def test_a_fill_after_the_end_is_booked_and_found() -> None:
    sold = done(TP, 3, filled="0.1995", price="102")
    late = done(Purpose.SAFETY, 2, filled="0.1", price="90", cancel_requested_at=NOW)
    ended = cycle(completed_at=NOW)
    result = booked(CycleStatus.COMPLETE, BASE, late, sold, start=ended)
    assert (result.cycle.status, result.sold_at_price) == (CycleStatus.COMPLETE, None)
    assert result.cycle.completed_at == NOW
    assert result.cycle.quantity == D("0.09975")
    assert lifecycle.left_behind(result.cycle, [BASE, late, sold]) == D("0.09975")


def test_dust_is_not_left_behind_and_nor_is_what_a_live_cycle_holds() -> None:
    orders = [BASE]
    dust = replace(cycle(CycleStatus.COMPLETE), quantity=D("0.0099"))
    assert lifecycle.left_behind(dust, orders) is None
    assert lifecycle.left_behind(replace(dust, quantity=D("0.01")), orders) == D("0.01")
    assert lifecycle.left_behind(holding(), orders) is None
    assert lifecycle.left_behind(replace(dust, status=CycleStatus.ERROR, quantity=D(1)), []) is None


# ---- the rules of a cycle ----

BROKEN = [
    ("quantity is negative", holding(quantity=D("-0.1"))),
    ("quantity is not what was bought", holding(quantity=D("0.2"))),
    ("without an average price", holding(average_purchase_price=D(0))),
    ("held in cooldown", holding(CycleStatus.COOLDOWN)),
    ("completed_at does not fit", cycle(completed_at=NOW)),
    ("completed_at does not fit", cycle(CycleStatus.ERROR)),
    ("safety orders is negative", cycle(safety_orders=-1)),
    ("complete without a sale", cycle(CycleStatus.COMPLETE, completed_at=NOW)),
]


@pytest.mark.parametrize(("rule", "broken"), BROKEN, ids=[rule for rule, _ in BROKEN])
def test_a_broken_rule_is_named_and_never_written(rule: str, broken: Cycle) -> None:
    assert any(rule in violation for violation in broken.violations())
    with pytest.raises(BrokenRule, match=rule):
        lifecycle.checked(broken)


def test_possible_cycles_break_no_rule() -> None:
    for possible in (cycle(), holding(), cycle(CycleStatus.COOLDOWN), holding(CycleStatus.SELLING)):
        assert lifecycle.checked(possible) is possible


fills = st.tuples(
    st.sampled_from([Purpose.BASE, Purpose.SAFETY, TP]),
    st.decimals(min_value=0, max_value=D("0.2"), places=4),
    st.decimals(min_value=D("0.01"), max_value=100, places=2),
    st.sampled_from([None, NOW]),
)


@given(st.lists(fills, min_size=1, max_size=6))
def test_closed_orders_never_leave_a_cycle_in_flight(
    parts: list[tuple[Purpose, Decimal, Decimal, datetime | None]],
) -> None:
    """Whatever was filled: watching, or complete with a sale and nothing left to sell."""
    orders: list[Order] = []
    held = D(0)
    for seq, (purpose, qty, price, canceled_at) in enumerate(parts, start=1):
        filled = min(qty, held) if purpose is TP else qty
        made = done(purpose, seq, filled=str(filled), price=str(price), cancel_requested_at=canceled_at)
        held += -filled if purpose is TP else made.filled_qty - made.fee_qty
        orders.append(made)
    status = CycleStatus.SELLING if parts[-1][0] is TP else CycleStatus.BUYING
    result = booked(status, *orders)
    assert result.cycle.violations() == []
    assert result.cycle.quantity == held
    if result.cycle.status is CycleStatus.COMPLETE:
        assert result.sold_at_price is not None
        assert held < D("0.01") and result.cycle.sold_qty > 0
    else:
        assert result.cycle.status is CycleStatus.WATCHING and result.sold_at_price is None


def test_dust_below_what_can_be_sold_is_not_left_behind() -> None:
    """Where the smallest sell is no multiple of the increment, rounding down decides, as in booking."""
    coarse: dict[str, Any] = {"min_order_size": D("0.00015"), "qty_increment": D("0.0001")}
    bought = done(filled="0.00116", fee_qty=D(0), **coarse)
    sold = done(TP, 2, filled="0.001", price="101", **coarse)
    result = booked(CycleStatus.SELLING, bought, sold).cycle
    assert result.status is CycleStatus.COMPLETE
    assert lifecycle.left_behind(result, [bought, sold]) is None


def test_a_cooldown_ends_whatever_was_written_into_its_row() -> None:
    """Found by the fuzzer: an edited derived column made it a broken rule, and main_app died of it."""
    edited = cycle(CycleStatus.COOLDOWN, bought_qty=D(5), bought_cost=D(-1))
    ended = lifecycle.cooldown_over(edited, [])
    assert (ended.status, ended.bought_qty, ended.bought_cost) == (CycleStatus.WATCHING, D(0), D(0))


def test_times_that_a_wrong_clock_wrote_are_put_right() -> None:
    """Found by the simulation: a clock that was an hour ahead for a moment cost an hour (F62)."""
    hour = timedelta(hours=1)
    cooling = cycle(CycleStatus.COOLDOWN, cooldown_started_at=NOW + hour)
    assert lifecycle.healed(cooling, [], NOW).cycle.cooldown_started_at == NOW
    waiting = cycle(next_buy_at=NOW + 2 * hour, next_sell_at=NOW + hour)
    healed = lifecycle.healed(waiting, [], NOW).cycle
    assert (healed.next_buy_at, healed.next_sell_at) == (None, None)
    usual = cycle(next_buy_at=NOW + hour, next_sell_at=NOW + timedelta(minutes=5))
    assert lifecycle.healed(usual, [], NOW).cycle == usual
    begun = cycle(CycleStatus.COOLDOWN, cooldown_started_at=NOW + timedelta(seconds=30))
    assert lifecycle.healed(begun, [], NOW).cycle == begun
