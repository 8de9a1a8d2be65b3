"""What the ledger takes from a snapshot, case by case: ids, statuses, fills and their fees, differences."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from dca.core import ledger
from dca.core.ledger import LONGEST_DIFFERENCE, client_order_id, is_taken, merge, with_difference
from dca.core.model import CycleStatus, FeeSource, Order, OrderState, Purpose, Side
from tests.builders import NOW, D, cycle, done, order, snapshot

LATER = NOW + timedelta(minutes=1)
TP = Purpose.TAKE_PROFIT


@pytest.mark.parametrize(
    ("purpose", "level", "tail"),
    [
        (Purpose.BASE, 0, "b"),
        (Purpose.SAFETY, 3, "s3"),
        (TP, 0, "tp"),
        (Purpose.EXIT, 0, "x"),
        (Purpose.ADOPTED, 2, "in"),
        (Purpose.OUTSIDE, 0, "out"),
    ],
)
def test_ids_are_what_they_have_always_been(purpose: Purpose, level: int, tail: str) -> None:
    """An order that was sent by an older version has to be found again."""
    assert client_order_id("abcd1234", 12, 7, purpose, level) == f"dca-abcd1234-12-7-{tail}"


# ---- statuses ---------------------------------------------------------------------------------------------

IN_ORDER = [
    *("something new", "pending_new", "accepted", "new", "partially_filled", "pending_cancel"),
    *("replaced", "rejected", "expired", "canceled", "filled"),
]


@pytest.mark.parametrize(("earlier", "later"), list(pairwise(IN_ORDER)))
def test_of_two_statuses_the_further_one_counts_whichever_comes_last(earlier: str, later: str) -> None:
    known = order(state=OrderState.ACKED, exchange_status=earlier)
    assert merge(known, snapshot(known, later), NOW).exchange_status == later
    known = replace(known, exchange_status=later)
    assert merge(known, snapshot(known, earlier), NOW).exchange_status == later


def test_the_first_status_is_taken_as_it_is() -> None:
    assert merge(order(), snapshot(order(), "something new"), NOW).exchange_status == "something new"


def test_an_order_keeps_the_exchanges_first_id() -> None:
    first = merge(order(), snapshot(order()), NOW)
    again = merge(first, snapshot(order(), "canceled", exchange_order_id="x-2"), NOW)
    assert (first.exchange_order_id, again.exchange_order_id) == ("x-1", "x-1")


def test_what_has_ended_stays_ended_whatever_a_status_says() -> None:
    """A status that was edited away, or lost with a restored backup."""
    ended = replace(done(), exchange_status=None)
    assert merge(ended, snapshot(ended, "new"), NOW).state is OrderState.DONE


def test_an_order_with_an_unknown_word_takes_nothing() -> None:
    strange = order(side=Side.read("hold"))
    assert merge(strange, snapshot(order(), "filled", "0.2", "100"), NOW) == strange


def test_an_unknown_word_names_its_row() -> None:
    assert (ledger.unknown_word(order(side=Side.read("hold"))) or "").startswith(
        "side of order dca-abcd1234-12-1-x is 'hold', which is none of buy, sell"
    )
    told = ledger.unknown_word(cycle(CycleStatus.read("resting"))) or ""
    assert told.startswith("status of cycle 12 is 'resting', which is none of watching, ")


# ---- fills ------------------------------------------------------------------------------------------------


def filled(purpose: Purpose) -> Order:
    """A third of a dollar cannot be written down: 0.3 coins at 100.00000000011111111111."""
    known = order(purpose, state=OrderState.ACKED, qty=D(1))
    return merge(known, snapshot(known, "partially_filled", "0.3", "100.00000000011111111111"), NOW)


def test_a_buy_costs_what_was_paid_rounded_up_and_its_fee_is_in_coins() -> None:
    bought = filled(Purpose.BASE)
    assert bought.filled_avg_price == D("100.000000000111112")
    assert bought.filled_value == D("30.000000000033334")
    assert (bought.fee_qty, bought.fee_usd) == (D("0.00075"), D(0))


def test_a_sale_brings_what_was_paid_rounded_down_and_its_fee_is_in_dollars() -> None:
    sold = filled(TP)
    assert sold.filled_avg_price == D("100.000000000111111")
    assert sold.filled_value == D("30.000000000033333")
    assert (sold.fee_qty, sold.fee_usd) == (D(0), D("0.08"))


def test_a_further_fill_makes_fee_and_decision_open_again() -> None:
    known = done(filled="0.1", state=OrderState.ACKED, exchange_status="partially_filled")
    known = replace(known, fee_source=FeeSource.EXECUTIONS, decided_at=NOW)
    more = merge(known, snapshot(known, "filled", "0.2", "100"), LATER)
    assert (more.fee_source, more.decided_at) == (FeeSource.ASSUMED, None)
    same = merge(known, snapshot(known, "canceled", "0.1", "100"), LATER)
    assert (same.fee_source, same.decided_at) == (FeeSource.EXECUTIONS, NOW)


# ---- differences ------------------------------------------------------------------------------------------


def test_more_filled_than_the_order_has_is_no_order_of_ours() -> None:
    known = order()
    assert ledger.stranger(known, snapshot(known, "filled", "0.2", "100")) is None
    assert ledger.stranger(known, snapshot(known, "filled", "0.3", "100")) == "0.3 of 0.2 are filled"
    larger = snapshot(known, "filled", "0.3", "100", qty=D("0.4"))
    assert ledger.stranger(known, larger) is None, "changed by the exchange, and filled within that"
    smaller = snapshot(known, "filled", "0.2", "100", qty=D("0.1"))
    assert ledger.stranger(known, smaller) is None
    unsaid = snapshot(known, "filled", "0.2", "100", qty=None)
    assert ledger.stranger(replace(known, filled_qty=D("0.1")), unsaid) is None


def test_a_limit_where_none_was_sent_is_told() -> None:
    sale = order(TP)
    assert ledger.difference(sale, snapshot(sale, limit_price=D(100))) == "limit price is 100, not none"


def test_an_id_is_taken_only_by_another_order_and_only_before_an_answer() -> None:
    other = snapshot(order(), side="sell")
    assert is_taken(order(), other)
    assert not is_taken(order(), snapshot(order())), "it is ours"
    assert not is_taken(order(exchange_order_id="x-1"), other), "answered already"
    assert not is_taken(order(state=OrderState.VOID), other)


def test_what_came_back_otherwise_has_to_go_if_it_is_open() -> None:
    opened = with_difference(order(state=OrderState.ACKED), "quantity is 3", NOW)
    assert (opened.state, opened.cancel_requested_at) == (OrderState.CANCEL_REQUESTED, NOW)
    ended = with_difference(done(cancel_requested_at=LATER), "quantity is 3", NOW)
    assert (ended.state, ended.cancel_requested_at) == (OrderState.DONE, LATER)


def test_the_first_difference_is_kept_and_cut_to_its_column() -> None:
    first = with_difference(order(), "x" * 400, NOW)
    assert first.difference == "x" * 300 == "x" * LONGEST_DIFFERENCE
    assert with_difference(first, "another", NOW).difference == first.difference
