"""The invariants as functions: what each of them takes for a violation."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dca.core import invariants
from dca.core.invariants import PAST, RULES, Violation, of_asset, of_cycle, of_order
from dca.core.ledger import Totals, with_totals
from dca.core.model import Cycle, CycleStatus, Order, OrderState, Purpose
from tests.builders import NOW, D, asset, cycle, done, holding, order, snapshot

SAFETY, BASE, SELL = Purpose.SAFETY, Purpose.BASE, Purpose.TAKE_PROFIT


def found(of: Cycle, *orders: Order) -> list[str]:
    """The numbers, of a row that has its orders' totals."""
    return [each.number for each in of_cycle(with_totals(of, orders), orders)]


def bought(seq: int = 1, purpose: Purpose = BASE, **changes: Any) -> Order:
    return done(purpose, seq, filled="0.2", **changes)


# ---- one cycle ---------------------------------------------------------------------------------------------


def test_what_is_right() -> None:
    assert found(cycle(), bought()) == []
    assert found(cycle(CycleStatus.BUYING), bought(), order(SAFETY, 2)) == []
    assert found(cycle(CycleStatus.SELLING), bought(), order(SELL, 2, qty=D("0.1995"))) == []
    over = cycle(CycleStatus.COMPLETE, completed_at=NOW)
    assert found(over, bought(), done(SELL, 2, filled="0.1995", price="103")) == []


def test_a_cycle_without_orders_is_not_judged() -> None:
    assert of_cycle(holding(CycleStatus.COMPLETE, completed_at=None), []) == []


def test_I01_two_live_orders() -> None:
    assert found(cycle(CycleStatus.BUYING), order(BASE, 1, qty=D("0.19")), order(BASE, 2, qty=D("0.01"))) == [
        "I01"
    ]
    two = [order(BASE, 1), order(BASE, 1, cycle_id=13)]
    assert [each.number for each in of_asset(asset(), [cycle()], two)] == ["I01"]


@pytest.mark.parametrize("name", Totals.__slots__)
def test_I07_every_derived_column(name: str) -> None:
    orders = [bought(), bought(2, SAFETY), done(SELL, 3, filled="0.1")]
    right = with_totals(cycle(), orders)
    wrong: object = "other" if name == "latest_order_id" else getattr(right, name) + 1
    violations = of_cycle(replace(right, **{name: wrong}), orders)  # type: ignore[arg-type]
    assert [each.number for each in violations] == ["I07"]
    assert f"{name} is " in violations[0].words and "its orders make " in violations[0].words


@pytest.mark.parametrize(
    ("sold", "offered", "is_wrong"),
    [("0.1995", "0", False), ("0.1", "0.0995", False), ("0.203", "0", True), ("0.1", "0.103", True)],
)
def test_I08_never_more_sold_or_offered_than_bought(sold: str, offered: str, is_wrong: bool) -> None:
    orders = [bought(), done(SELL, 2, filled=sold, qty=D(sold))]
    status = CycleStatus.WATCHING
    if offered != "0":
        orders.append(order(SELL, 3, qty=D(offered)))
        status = CycleStatus.SELLING
    assert found(cycle(status), *orders) == ["I08"] * is_wrong


def test_I11_an_order_costs_what_its_row_allows_and_a_percent() -> None:
    assert found(cycle(), bought(base_order_amount=D("19.81"))) == []
    assert found(cycle(), bought(base_order_amount=D("19.80"))) == ["I11"]
    assert found(cycle(), bought(), bought(2, SAFETY, safety_order_amount=D("19.8"))) == ["I11"]


def test_I11_what_may_still_be_bought_counts() -> None:
    live = order(base_order_amount=D(10), state=OrderState.ACKED, filled_qty=D("0.05"), filled_value=D(5))
    live = replace(live, filled_avg_price=D(100))
    assert found(cycle(CycleStatus.BUYING), live) == ["I11"]
    assert found(cycle(), replace(live, state=OrderState.DONE)) == []


def test_I11_two_base_orders_and_one_topped_up() -> None:
    """All base orders of a cycle come to one at the most, however often a fall made it too small."""
    assert found(cycle(), bought(), bought(2)) == ["I11"]
    assert found(cycle(), done(filled="0.01"), done(BASE, 2, filled="0.19")) == []
    assert found(cycle(), done(filled="0.1"), done(BASE, 2, filled="0.105")) == ["I11"]
    parts = [done(BASE, seq, filled="0.05") for seq in range(1, 6)]
    assert found(cycle(), *parts[:4]) == [] and found(cycle(), *parts) == ["I11"]
    lowered_later = done(filled="0.3", qty=D("0.4"), base_order_amount=D(40))
    assert found(cycle(), lowered_later, done(BASE, 2, filled="0.105")) == ["I11"]
    assert found(cycle(), lowered_later, done(BASE, 2, filled="0.1")) == []


def test_I11_the_smallest_buy_tops_up_a_small_amount_once() -> None:
    smallest: dict[str, Any] = {"base_order_amount": D("10.5")}
    first, second = done(filled="0.015", **smallest), done(BASE, 2, filled="0.105", **smallest)
    assert found(cycle(), first, second) == []
    assert found(cycle(), first, second, done(BASE, 3, filled="0.015", **smallest)) == ["I11"]
    assert found(cycle(), done(filled="0.12", **smallest)) == ["I11"], "not topped up"


def test_I12_a_level_is_bought_by_one_order() -> None:
    first, canceled = bought(2, SAFETY), done(SAFETY, 3, level=1)
    assert found(cycle(), bought(), first, canceled) == []
    assert found(cycle(), bought(), first, bought(3, SAFETY, level=1)) == ["I12"]


def test_I12_no_more_safety_orders_than_its_row_allows() -> None:
    three = [bought(1 + level, SAFETY, level=level) for level in (1, 2, 3)]
    assert found(cycle(), bought(), *three) == []
    assert found(cycle(), bought(), *three[:2], replace(three[2], max_safety_orders=2)) == ["I12"]
    lowered_later = [replace(three[0], max_safety_orders=1), *three[1:]]
    assert found(cycle(), bought(), *lowered_later) == []


def test_I12_what_was_adopted_stands_for_safety_orders() -> None:
    adopted = bought(2, Purpose.ADOPTED, level=2)
    assert found(cycle(), bought(), adopted, bought(3, SAFETY, level=3)) == []
    assert found(cycle(), bought(), adopted, bought(3, SAFETY, level=3, max_safety_orders=2)) == ["I12"]
    assert found(cycle(), bought(), bought(2, SAFETY, max_safety_orders=1), replace(adopted, seq=3)) == []


def test_I13_one_live_cycle_of_an_enabled_asset() -> None:
    assert of_asset(asset(), [cycle()], []) == []
    assert of_asset(asset(is_enabled=False), [], []) == []
    assert [each.number for each in of_asset(asset(), [], [])] == ["I13"]
    assert [each.number for each in of_asset(asset(is_enabled=False), [cycle(), cycle(id=13)], [])] == ["I13"]


@pytest.mark.parametrize(
    ("status", "live"),
    [
        (CycleStatus.WATCHING, BASE),
        (CycleStatus.WATCHING, SELL),
        (CycleStatus.COOLDOWN, BASE),
        (CycleStatus.BUYING, None),
        (CycleStatus.BUYING, SELL),
        (CycleStatus.SELLING, None),
        (CycleStatus.SELLING, BASE),
        (CycleStatus.COMPLETE, SELL),
        (CycleStatus.ERROR, SAFETY),
    ],
)
def test_I14_the_status_says_what_the_orders_say(status: CycleStatus, live: Purpose | None) -> None:
    over = status in {CycleStatus.COMPLETE, CycleStatus.ERROR}
    orders = [bought(), done(SELL, 2, filled="0.1995")]
    orders += [] if live is None else [order(live, 3, qty=D("0.0000001"))]
    assert found(cycle(status, completed_at=NOW if over else None), *orders) == ["I14"]


def test_I14_a_complete_cycle_has_sold_and_holds_nothing_to_sell() -> None:
    over = cycle(CycleStatus.COMPLETE, completed_at=NOW)
    assert found(over, bought(), done(SELL, 2, filled="0.1895")) == ["I14"]
    assert found(over, bought(), done(SELL, 2, filled="0.1896")) == []
    assert found(over, done()) == ["I14"]
    assert found(cycle(CycleStatus.ERROR, completed_at=NOW), bought()) == [], "its coins are gone"
    assert found(replace(over, completed_at=None), bought(), done(SELL, 2, filled="0.1995")) == ["I14"]
    assert found(cycle(CycleStatus.COOLDOWN), bought()) == ["I14"]


# ---- an order in both books --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "numbers"),
    [
        ({}, []),
        ({"filled_qty": D("0.1")}, ["I05"]),
        ({"filled_qty": D("0.3")}, ["I06"]),
        ({"filled_avg_price": D("100.0001")}, []),
        ({"filled_avg_price": D("100.001")}, ["I06"]),
        ({"status": "new"}, ["I06"]),
        ({"qty": D("0.3")}, ["I06"]),
        ({"filled_avg_price": None}, []),
    ],
)
def test_I05_I06_of_an_order_that_has_ended(changes: dict[str, Any], numbers: list[str]) -> None:
    here = bought()
    there = replace(snapshot(here, "filled", "0.2", "100"), **changes)
    assert [each.number for each in of_order(here, there)] == numbers


def test_an_order_that_is_live_or_given_up_is_settled_instead() -> None:
    for state in set(OrderState) - {OrderState.DONE}:
        here = bought(state=state)
        assert of_order(here, snapshot(here, "new", "0.1", "90")) == []


def test_I30_which_orders_a_list_must_have() -> None:
    since, before = NOW - timedelta(days=2), NOW + timedelta(seconds=1)
    assert invariants.listed_by_now([bought()], since, None, before) == [bought()]
    old = NOW - timedelta(days=2)
    for other in (
        bought(created_at=old),
        bought(closed_at=before),
        bought(exchange_order_id=None),
        bought(purpose=Purpose.ADOPTED),
        bought(state=OrderState.VOID),
        order(),
    ):
        assert invariants.listed_by_now([other], since, None, before) == []


# ---- words -------------------------------------------------------------------------------------------------


def test_a_reason_has_the_first_ones_words_and_all_numbers() -> None:
    first = Violation(number="I12", about="a", words="x" * 600)
    reason = invariants.reason([first, replace(first, number="I11"), replace(first, about="b")])
    assert reason.endswith("x (I12, I11)") and len(reason) <= 500
    assert invariants.numbers(reason) == ["I12", "I11"]
    assert invariants.numbers("somebody wrote I12 here") == []


def test_every_number_has_its_rule_and_no_other() -> None:
    wanted = ["I01", *(f"I{number:02}" for number in (5, 6, 7, 8, 9, 11, 12, 13, 14)), "I30", "I31"]
    assert list(RULES) == wanted, "faults.md, part C: what runs in production too"
    assert set(RULES) > PAST


def test_what_the_operator_accepted_is_not_told_again() -> None:
    seen = Violation(number="I12", about="a", words="w", at=NOW)
    here = replace(seen, at=None)
    later = NOW + timedelta(seconds=1)
    assert invariants.not_accepted([seen, here], None) == [seen, here]
    assert invariants.not_accepted([seen, here], NOW) == [seen, here]
    assert invariants.not_accepted([seen, here], later) == [here]
