"""Cycles whose status, times or words were written over by hand, or by a wrong clock: what they become."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dca.core import lifecycle
from dca.core.lifecycle import CLOCK_TOLERANCE, book
from dca.core.model import CycleStatus, Order, OrderState, Purpose, Side
from tests.builders import NOW, D, asset, cycle, done, holding, order, rules

LATER = NOW + timedelta(minutes=3)
SECOND = timedelta(microseconds=1)
TP = Purpose.TAKE_PROFIT
BASE = done(filled="0.2")
LIVE_BUY = order(Purpose.SAFETY, 2, state=OrderState.ACKED)
LIVE_SALE = order(TP, 2, state=OrderState.ACKED)
STATUSES = [CycleStatus.WATCHING, CycleStatus.BUYING, CycleStatus.SELLING]
ENDS = [CycleStatus.COMPLETE, CycleStatus.ERROR]


# ---- a status that was written over -----------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("live", "becomes"), [(LIVE_BUY, CycleStatus.BUYING), (LIVE_SALE, CycleStatus.SELLING)]
)
def test_a_live_order_says_what_its_cycle_does(
    status: CycleStatus, live: Order, becomes: CycleStatus
) -> None:
    written = holding(status)
    assert lifecycle.with_its_order(written, live) == replace(written, status=becomes)
    healed = lifecycle.healed(written, [BASE, live], NOW).cycle
    assert (healed.status, healed.quantity) == (becomes, D("0.1995"))


@pytest.mark.parametrize("status", STATUSES)
def test_an_order_that_has_ended_says_nothing_of_its_cycle(status: CycleStatus) -> None:
    written = holding(status)
    assert lifecycle.with_its_order(written, done(TP, 2)) == written


@pytest.mark.parametrize("status", ENDS)
def test_an_ended_cycle_stays_ended_whatever_an_order_of_it_does(status: CycleStatus) -> None:
    ended = holding(status, completed_at=NOW)
    assert lifecycle.with_its_order(ended, LIVE_SALE) == ended


def test_a_cycle_that_holds_coins_does_not_cool_down() -> None:
    written = holding(CycleStatus.COOLDOWN, cooldown_started_at=NOW)
    assert book(written, [BASE], LATER).cycle.status is CycleStatus.WATCHING
    empty = cycle(CycleStatus.COOLDOWN, cooldown_started_at=NOW)
    assert book(empty, [], LATER).cycle.status is CycleStatus.COOLDOWN


@pytest.mark.parametrize("status", [CycleStatus.BUYING, CycleStatus.SELLING])
def test_in_flight_without_any_order_is_watching(status: CycleStatus) -> None:
    healed = lifecycle.healed(holding(status, exit_requested_at=NOW), [], LATER)
    assert (healed.cycle.status, healed.cycle.quantity, healed.sold_at_price) == (
        CycleStatus.WATCHING,
        D(0),
        None,
    )


def test_in_flight_whose_orders_have_ended_goes_on_as_after_their_end() -> None:
    sold = done(TP, 2, filled="0.1995", price="102")
    healed = lifecycle.healed(holding(CycleStatus.SELLING), [BASE, sold], LATER)
    assert (healed.cycle.status, healed.sold_at_price) == (CycleStatus.COMPLETE, D(102))


def test_mending_counts_no_refusal_and_forgets_none() -> None:
    """What the orders' end meant was counted when it was booked."""
    closed = done(TP, 2)  # by others, unfilled
    before = holding(CycleStatus.SELLING, refusals=3, problem="said before")
    healed = lifecycle.healed(before, [BASE, closed], LATER).cycle
    assert (healed.status, healed.refusals, healed.problem) == (CycleStatus.WATCHING, 3, "said before")


def test_a_cycle_with_an_order_of_unknown_words_is_left_as_it_is() -> None:
    strange = replace(BASE, side=Side.read("hold"))
    written = holding(CycleStatus.BUYING)
    assert book(written, [strange], LATER).cycle == written
    told = lifecycle.unexplained(written, [strange])
    assert told is not None and "side of order dca-abcd1234-12-1-x is 'hold'" in told
    of_the_cycle = holding(CycleStatus.read("resting"))
    assert "status of cycle 12 is 'resting'" in (lifecycle.unexplained(of_the_cycle, [BASE]) or "")


def test_another_pair_is_told_by_the_orders() -> None:
    assert lifecycle.other_symbol(asset(), [BASE]) is None
    told = lifecycle.other_symbol(asset(asset_symbol="ETH/USD"), [BASE])
    assert told is not None and "BTC/USD" in told


# ---- what a sale has left ---------------------------------------------------------------------------------


def test_a_buy_that_closes_completes_nothing_although_something_was_sold() -> None:
    """The exchange's smallest order has grown meanwhile, and what is left is too little for it now."""
    part = done(TP, 2, filled="0.1", price="102")
    buy = done(Purpose.SAFETY, 3, cancel_requested_at=NOW, min_order_size=D(1))
    result = book(holding(CycleStatus.BUYING), [BASE, part, buy], LATER)
    assert (result.cycle.status, result.sold_at_price) == (CycleStatus.WATCHING, None)


def test_a_wish_to_sell_outlives_a_sale_that_left_something_to_sell() -> None:
    part = done(TP, 2, filled="0.1", price="102")
    result = book(holding(CycleStatus.SELLING, exit_requested_at=NOW), [BASE, part], LATER)
    assert result.cycle.exit_requested_at == NOW


def test_a_fill_ends_both_pauses_and_the_problem() -> None:
    waiting = cycle(
        CycleStatus.BUYING, refusals=2, next_buy_at=LATER, next_sell_at=LATER, problem="was refused"
    )
    after = book(waiting, [BASE], LATER).cycle
    assert (after.refusals, after.next_buy_at, after.next_sell_at, after.problem) == (0, None, None, None)


GHOST = replace(done(TP, 2, filled="0.1995", price="102"), state=OrderState.GHOST)


def test_a_sale_that_turned_up_ends_a_cycle_that_watches() -> None:
    assert book(holding(), [BASE, GHOST], LATER).cycle.status is CycleStatus.COMPLETE


@pytest.mark.parametrize(
    ("start", "orders"),
    [
        (holding(), [BASE, replace(GHOST, filled_qty=D("0.1"), filled_value=D("10.2"))]),
        (
            cycle(CycleStatus.COOLDOWN),
            [replace(done(filled="0.2"), state=OrderState.GHOST, fee_qty=D("0.2"))],
        ),
        (holding(), [replace(BASE, state=OrderState.GHOST)]),
        (cycle(), [replace(done(filled="0.002"), state=OrderState.GHOST)]),
        (cycle(CycleStatus.COOLDOWN), [BASE, GHOST]),
        (cycle(), []),
    ],
    ids=["some is left", "a buy, cooling down", "a buy", "a buy of too little", "cooling down", "no order"],
)
def test_anything_else_that_turned_up_ends_none(start: Any, orders: list[Order]) -> None:
    result = book(start, orders, LATER)
    assert result.cycle.status is start.status and result.sold_at_price is None


def test_a_sale_outside_leaves_the_smallest_that_can_be_sold() -> None:
    sold = done(Purpose.OUTSIDE, 2, filled="0.1895", price="102")
    left = lifecycle.sold_outside(holding(), [BASE, sold], rules(), LATER)
    assert (left.status, left.quantity) == (CycleStatus.WATCHING, D("0.01"))
    all_but_dust = done(Purpose.OUTSIDE, 2, filled="0.1896", price="102")
    gone = lifecycle.sold_outside(holding(exit_requested_at=NOW), [BASE, all_but_dust], rules(), LATER)
    assert (gone.status, gone.completed_at, gone.exit_requested_at) == (CycleStatus.COMPLETE, LATER, None)


def left(quantity: str, *orders: Order) -> Decimal | None:
    return lifecycle.left_behind(
        holding(CycleStatus.COMPLETE, completed_at=NOW, quantity=D(quantity)), orders
    )


def test_what_is_left_behind_is_judged_by_the_last_order() -> None:
    coarse = done(TP, 2, filled="0.1", min_order_size=D("0.15"))
    assert left("0.0995", BASE, coarse) is None
    assert left("0.0995", coarse, BASE) is None, "whatever their order in the list"
    assert left("0.0995", BASE, replace(coarse, min_order_size=D("0.01"))) == D("0.0995")
    assert left("0.0995", replace(BASE, min_order_size=D(0))) is None, "adopted: no rule is known"


def test_the_operators_wish_ends_the_pause_of_sales() -> None:
    wanted = lifecycle.exit_requested(holding(next_sell_at=LATER, next_buy_at=LATER), NOW)
    assert (wanted.exit_requested_at, wanted.next_sell_at, wanted.next_buy_at) == (NOW, None, LATER)


def test_a_long_reason_is_cut_to_its_column() -> None:
    broken = lifecycle.proven_broken(holding(), "x" * 600, NOW)
    assert broken.problem == "x" * 500


# ---- times of a wrong clock -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "longest"),
    [
        ("next_buy_at", timedelta(hours=1)),
        ("next_sell_at", timedelta(minutes=5)),
        ("cooldown_started_at", timedelta(0)),
    ],
)
def test_a_minute_ahead_is_a_clock_that_is_being_set_and_no_more(column: str, longest: timedelta) -> None:
    latest = NOW + longest + timedelta(minutes=1)
    status = CycleStatus.COOLDOWN if column == "cooldown_started_at" else CycleStatus.WATCHING
    kept = lifecycle.healed(cycle(status, **{column: latest}), [], NOW).cycle
    assert getattr(kept, column) == latest
    mended = lifecycle.healed(cycle(status, **{column: latest + SECOND}), [], NOW).cycle
    assert getattr(mended, column) == (NOW if column == "cooldown_started_at" else None)
    assert timedelta(minutes=1) == CLOCK_TOLERANCE
