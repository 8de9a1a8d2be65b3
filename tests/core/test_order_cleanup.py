"""What the cron scripts conclude: which orders go, which cooldowns end, what is missing, gone or too much."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dca.core import order_cleanup
from dca.core.invariants import Violation
from dca.core.model import (
    Cycle,
    CycleStatus,
    Order,
    OrderState,
    Position,
    Purpose,
    Side,
)
from dca.core.operations import MissingPosition
from dca.core.order_cleanup import GONE_FOR, Books
from tests.builders import NOW, SYMBOL, D, asset, cycle, done, holding, order, rules, snapshot

LATER = NOW + timedelta(minutes=5)
LIMIT = timedelta(minutes=5)
MOMENT = timedelta(microseconds=1)
TP = Purpose.TAKE_PROFIT
BASE = done(filled="0.2")


# ---- orders that have to go -----------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(OrderState))
@pytest.mark.parametrize("purpose", [Purpose.BASE, TP])
def test_what_is_open_at_the_exchange_for_too_long_goes(purpose: Purpose, state: OrderState) -> None:
    """An order without an answer has to be settled first."""
    found = order(purpose, state=state)
    choose = order_cleanup.stale_buys if purpose is Purpose.BASE else order_cleanup.stuck_sells
    other = order_cleanup.stuck_sells if purpose is Purpose.BASE else order_cleanup.stale_buys
    is_open = state in {OrderState.ACKED, OrderState.CANCEL_REQUESTED}
    assert choose([found], LATER + MOMENT, LIMIT) == [found] * is_open
    assert choose([found], LATER, LIMIT) == [], "not yet"
    assert other([found], LATER + MOMENT, LIMIT) == [], "of the other side"


def test_open_orders_that_the_ledger_does_not_know_are_sorted_by_whose_they_are() -> None:
    known, ours, foreign = (
        replace(snapshot(order()), client_order_id=name)
        for name in ("dca-abcd1234-1-1-b", "dca-abcd1234-9-1-b", "by-hand")
    )
    found = order_cleanup.strangers([known, ours, foreign], "dca-abcd1234-", {known.client_order_id})
    assert (found.orphans, found.foreign) == ((ours,), (foreign,))


# ---- cooldowns ------------------------------------------------------------------------------------------


def test_a_cooldown_ends_to_the_moment() -> None:
    resting = cycle(CycleStatus.COOLDOWN, cooldown_started_at=NOW)
    assert order_cleanup.cooldown_is_over(asset(), resting, LATER - MOMENT) is None
    assert order_cleanup.cooldown_is_over(asset(), resting, LATER) == "its time is up"
    nothing_sold = replace(resting, cooldown_started_at=None)
    assert order_cleanup.cooldown_is_over(asset(), nothing_sold, NOW) == "there is no sale behind it"
    watching = replace(resting, status=CycleStatus.WATCHING)
    assert order_cleanup.cooldown_is_over(asset(), watching, LATER) is None


# ---- both books -----------------------------------------------------------------------------------------


def books(there: str = "0.1995", **changes: Any) -> Books:
    default = Books(
        asset=asset(),
        cycle=holding(),
        orders=(BASE,),
        ghosts=(),
        position=Position(symbol=SYMBOL, qty=D(there), qty_available=D(there)),
        rules=rules(),
    )
    return replace(default, **changes)


TOLD = Violation(number="I06", about="an order", words="differs")
LOST = snapshot(order(), "filled", "0.1", "100")
OTHER_PAIR = done(filled="0.2", symbol="ETH/USD")


def test_both_books_alike_break_nothing() -> None:
    assert order_cleanup.breaks(books()) == []
    assert not order_cleanup.is_gone(books())


@pytest.mark.parametrize(
    ("there", "is_short", "is_gone"),
    [
        ("0.1984", False, False),  # 0.0001 of 0.2 bought by a higher rate, and ten steps of 0.0001
        ("0.19839", True, False),
        ("0.01", True, False),
        ("0.0101", True, False),
        ("0.0099", True, True),
        ("0.0100999", True, False),
        ("0", True, True),
    ],
)
def test_what_the_account_lacks(there: str, is_short: bool, is_gone: bool) -> None:
    assert order_cleanup.is_gone(books(there)) is is_gone
    numbers = [each.number for each in order_cleanup.breaks(books(there))]
    assert numbers == ["I09"] * is_short
    position = {"BTCUSD": books(there).position}
    short = order_cleanup.short_of_coins([asset()], {1: holding()}, position, {SYMBOL: rules()})
    assert short == ({1} if is_short else set())


def test_what_fees_or_the_smallest_order_explain_is_not_gone() -> None:
    dust = holding(bought="0.009", fee="0")
    assert not order_cleanup.is_gone(books("0", cycle=dust)), "too little to be sold anyway"
    as_fees_may_be = holding(bought="0.002", fee="0.000999")
    coarse = rules(min_order_size=D("0.001"))
    assert not order_cleanup.is_gone(books("0", cycle=as_fees_may_be, rules=coarse))


def test_every_pair_that_is_short_is_found_and_only_those_that_can_be_judged() -> None:
    eth, sol, new = (
        asset(id=n, asset_symbol=f"{name}/USD") for n, name in ((2, "ETH"), (3, "SOL"), (4, "X"))
    )
    cycles = {each.id: replace(holding(), asset_id=each.id) for each in (asset(), eth, sol)}
    there = {"ETHUSD": Position(symbol="ETH/USD", qty=D("0.1995"), qty_available=D(0))}
    every_rule = {name: rules(symbol=name) for name in (SYMBOL, "ETH/USD", "SOL/USD", "X/USD")}
    assets = [new, eth, asset(), sol]
    assert order_cleanup.short_of_coins(assets, cycles, there, every_rule) == {1, 3}
    del every_rule[SYMBOL]
    assert order_cleanup.short_of_coins(assets, cycles, there, every_rule) == {3}


def test_all_that_the_books_disagree_in_is_told_the_most_telling_first() -> None:
    late = cycle(CycleStatus.COMPLETE, id=11, quantity=D("0.05"), completed_at=NOW)
    up = replace(done(Purpose.SAFETY, 2), state=OrderState.GHOST, closed_at=None)
    ended = replace(up, closed_at=NOW)
    found = order_cleanup.breaks(
        books("0", differences=(TOLD,), forgotten=(LOST,), leftovers=(late,), ghosts=(ended, up))
    )
    assert [(each.number, each.about) for each in found] == [
        ("I06", "an order"),
        ("I09", "position"),
        ("I30", LOST.client_order_id),
        ("I14", "cycle 11 late"),
        ("I06", up.client_order_id),
    ]
    assert found[2].words == (
        f"order {LOST.client_order_id} carries our id, buy filled 0.1, "
        "and is not in the ledger (an older backup?)"
    )
    assert found[4].words == f"order {up.client_order_id} was given up and is open at the exchange"


def test_each_order_that_the_ledger_forgot_is_told() -> None:
    other = replace(LOST, client_order_id="dca-abcd1234-9-9-tp")
    found = order_cleanup.breaks(books(forgotten=(LOST, other)))
    assert [each.about for each in found] == [LOST.client_order_id, other.client_order_id]


def test_what_is_in_flight() -> None:
    assert order_cleanup.in_flight([BASE, order(TP, 2)])
    assert not order_cleanup.in_flight([BASE, done(TP, 2)])


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"refusals": 3, "next_buy_at": NOW, "problem": "no", "version": 9}, True),
        ({"id": 13}, False),
        ({"status": CycleStatus.SELLING}, False),
        ({"bought_qty": D("0.3")}, False),
        ({"buy_fee_qty": D("0.0006")}, False),
        ({"sold_qty": D("0.1")}, False),
    ],
)
def test_two_looks_that_saw_the_same_coins(changes: dict[str, Any], is_same: bool) -> None:
    assert order_cleanup.holds_the_same(holding(), replace(holding(), **changes)) is is_same
    assert not order_cleanup.holds_the_same(holding(), None)


def test_what_is_more_than_the_ledger_has() -> None:
    assert order_cleanup.surplus(books("0.2095")) == D("0.01")
    assert order_cleanup.surplus(books("0.2094")) == 0
    assert order_cleanup.surplus(books("0")) == 0


# ---- evidence that coins are gone -----------------------------------------------------------------------


def test_evidence_counts_runs_that_follow_each_other() -> None:
    first = order_cleanup.missing_again(None, holding(), NOW)
    assert first == MissingPosition(cycle_id=12, first_seen_at=NOW, last_seen_at=NOW, looks=1)
    at_the_last_moment = NOW + GONE_FOR
    second = order_cleanup.missing_again(first, holding(), at_the_last_moment)
    assert second == replace(first, last_seen_at=at_the_last_moment, looks=2)
    assert order_cleanup.missing_again(first, holding(), NOW).looks == 2
    for at in (at_the_last_moment + MOMENT, NOW - MOMENT):
        anew = order_cleanup.missing_again(first, holding(), at)
        assert anew == replace(first, first_seen_at=at, last_seen_at=at)


# ---- a cycle and its own orders -------------------------------------------------------------------------


def judged(of: Cycle, *orders: Order) -> order_cleanup.Verdict:
    return order_cleanup.verdict(asset(), of, orders, LATER)


def test_a_row_that_says_what_its_orders_say_is_well() -> None:
    right = holding(latest_order_id="x-1")
    result = judged(right, BASE)
    assert (result.before, result.orders, result.booking.cycle) == (right, (BASE,), right)
    assert not result.is_sick and result.violations == ()


def test_a_live_row_is_made_what_its_orders_say() -> None:
    result = judged(holding(CycleStatus.BUYING, quantity=D(7)), BASE)
    assert result.is_sick and result.violations == ()
    assert (result.booking.cycle.status, result.booking.cycle.quantity) == (
        CycleStatus.WATCHING,
        D("0.1995"),
    )


def test_an_ended_row_gets_its_totals_and_keeps_its_status() -> None:
    ended = holding(CycleStatus.ERROR, completed_at=NOW, quantity=D(7))
    result = judged(ended, BASE)
    assert result.is_sick and result.violations == ()
    assert result.booking.cycle == replace(ended, quantity=D("0.1995"), latest_order_id="x-1")
    assert judged(ended).booking.cycle == ended, "older than the ledger"


def test_what_is_wrong_even_then_is_told() -> None:
    ended = holding(CycleStatus.COMPLETE, completed_at=NOW)
    assert [each.number for each in judged(ended, BASE).violations] == ["I14", "I14"]
    twice = order(Purpose.SAFETY, 2), order(Purpose.SAFETY, 3, level=2)
    assert [each.number for each in judged(holding(), BASE, *twice).violations] == ["I01"]


@pytest.mark.parametrize(
    ("of", "orders"),
    [
        (holding(), []),
        (holding(), [OTHER_PAIR]),
        (holding(), [replace(BASE, side=Side.read("hold"))]),
        (holding(CycleStatus.read("resting")), [BASE]),
        (holding(CycleStatus.ERROR, completed_at=NOW), [replace(BASE, side=Side.read("hold"))]),
    ],
    ids=["no order of it", "another pair", "an unknown word", "an unknown status", "one that has ended"],
)
def test_what_cannot_be_explained_is_left_as_it_is(of: Cycle, orders: list[Order]) -> None:
    result = judged(of, *orders)
    assert not result.is_sick
    assert [(each.number, each.about) for each in result.violations] == [("I07", "cycle 12")]


def test_an_ended_cycle_of_another_pair_is_nobodys_concern() -> None:
    ended = holding(CycleStatus.ERROR, completed_at=NOW)
    assert order_cleanup.unreadable(asset(), ended, [OTHER_PAIR]) is None
    assert order_cleanup.unreadable(asset(), ended, []) is None


# ---- assets without a cycle -----------------------------------------------------------------------------


def test_an_enabled_asset_without_a_lock_needs_a_cycle() -> None:
    off, locked = asset(id=2, is_enabled=False), asset(id=3, lock_reason="by hand")
    second = asset(id=4)
    assert order_cleanup.missing_cycles([asset(), off, locked, second], []) == [asset(), second]
    assert order_cleanup.missing_cycles([asset(), second], [cycle()]) == [second]
