"""What a violation says: the operator decides by it, and the mail has nothing else."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dca.core import invariants
from dca.core.invariants import of_asset, of_cycle, of_order
from dca.core.ledger import with_totals
from dca.core.model import Cycle, CycleStatus, Order, OrderState, Purpose
from tests.builders import NOW, D, asset, cycle, done, holding, order, snapshot

SAFETY, SELL = Purpose.SAFETY, Purpose.TAKE_PROFIT
MOMENT = timedelta(microseconds=1)
LATER = NOW + timedelta(minutes=1)
BASE = done(filled="0.2")


def told(of: Cycle, *orders: Order) -> list[tuple[str, str, str, Any]]:
    """Number, subject, words and time, of a row that has its orders' totals."""
    found = of_cycle(with_totals(of, orders), orders)
    return [(each.number, each.about, each.words, each.at) for each in found]


def name(seq: int) -> str:
    return f"dca-abcd1234-12-{seq}-x"


# ---- an asset and its cycle -------------------------------------------------------------------------------


def test_I13_names_the_live_cycles() -> None:
    [none] = of_asset(asset(), [], [])
    assert (none.about, none.words) == ("live cycles", "BTC/USD has 0 live cycles: none")
    [two] = of_asset(asset(), [cycle(), cycle(CycleStatus.COOLDOWN, id=13)], [])
    assert two.words == "BTC/USD has 2 live cycles: cycle 12 (watching), cycle 13 (cooldown)"


def test_I01_names_whose_orders_are_live() -> None:
    live = [order(qty=D("0.1")), order(SAFETY, 2, qty=D("0.1"))]
    named = f"{name(1)} sent 0 of 0.1, {name(2)} sent 0 of 0.1"
    [of_pair] = of_asset(asset(), [cycle()], live)
    assert (of_pair.about, of_pair.words) == ("asset BTC/USD", f"asset BTC/USD has 2 live orders: {named}")
    first = told(cycle(CycleStatus.BUYING), *live)[0]
    assert first == ("I01", "cycle 12", f"cycle 12 has 2 live orders: {named}", None)


def test_I07_has_the_numbers_of_both_sides() -> None:
    right = with_totals(cycle(), [BASE])
    [found] = of_cycle(replace(right, quantity=D(7), safety_orders=2, latest_order_id=None), [BASE])
    assert (found.about, found.at) == ("cycle 12", None)
    assert found.words == (
        "cycle 12: quantity is 7, its orders make 0.1995; safety_orders is 2, its orders make 0; "
        f"latest_order_id is None, its orders make x-1 ({name(1)} done 0.2 of 0.2)"
    )


def test_I08_has_what_was_bought_sold_and_offered() -> None:
    sold = done(SELL, 2, filled="0.1", closed_at=LATER)
    offered = order(SELL, 3, qty=D("0.12"), filled_qty=D("0.01"), state=OrderState.ACKED)
    found = told(cycle(CycleStatus.SELLING), BASE, sold, offered)
    assert found[0][:2] == ("I08", "cycle 12")
    assert found[0][2] == (
        "cycle 12 bought 0.1995 net of fees, sold 0.11 and offers 0.11: 0.0205 too many "
        f"({name(2)} done 0.1 of 0.2, {name(3)} acked 0.01 of 0.12)"
    )
    assert found[0][3] == LATER


def test_I08_an_order_that_sold_nothing_takes_no_part() -> None:
    sold = done(SELL, 2, filled="0.203", closed_at=NOW)
    canceled = done(SELL, 3, closed_at=LATER)
    [found] = told(cycle(), BASE, sold, canceled)
    assert found[0] == "I08" and name(3) not in found[2] and found[3] == NOW


def test_I08_what_was_ordered_and_not_filled_is_not_held() -> None:
    found = told(cycle(), done(filled="0.1"), done(SELL, 2, filled="0.12"))
    assert [each[0] for each in found] == ["I08"]


def test_I11_a_base_order_that_bought_nothing_is_no_part_of_what_is_topped_up() -> None:
    smallest: dict[str, Any] = {"base_order_amount": D("10.5")}
    found = told(cycle(), done(**smallest), done(Purpose.BASE, 2, filled="0.12", **smallest))
    assert [each[:2] for each in found] == [("I11", "cycle 12 base orders")]


def test_I11_allows_each_order_its_own_amount_and_a_percent() -> None:
    at_most = done(filled="0.2", price="101", safety_order_amount=D(15))
    assert told(cycle(), at_most) == []
    part: dict[str, Any] = {"filled_qty": D("0.05"), "filled_value": D(5), "filled_avg_price": D(100)}
    assert told(cycle(CycleStatus.BUYING), order(state=OrderState.ACKED, **part)) == []


def test_I11_has_what_was_spent_and_allowed_of_what() -> None:
    low = replace(BASE, base_order_amount=D(15), closed_at=LATER)
    assert told(cycle(), low) == [
        (
            "I11",
            "cycle 12 base orders",
            f"cycle 12 spent 20.00 dollars for base orders, 15.00 are allowed ({name(1)} done 0.2 of 0.2)",
            LATER,
        )
    ]
    step = done(SAFETY, 2, filled="0.2", level=3, safety_order_amount=D(15))
    [found] = told(cycle(), BASE, step)
    assert found[1] == "cycle 12 safety order 3"
    assert "spent 20.00 dollars for safety order 3, 15.00 are allowed" in found[2]


def test_I12_has_the_level_and_the_order_that_is_one_too_many() -> None:
    one, other = (
        done(SAFETY, seq, filled="0.2", level=1, closed_at=at) for seq, at in ((2, NOW), (3, LATER))
    )
    [twice] = told(cycle(), BASE, one, other)
    assert twice[1:] == (
        "cycle 12 level 1",
        f"level 1 of cycle 12 was filled by 2 orders ({name(2)} done 0.2 of 0.2, {name(3)} done 0.2 of 0.2)",
        LATER,
    )
    many = replace(other, level=2, max_safety_orders=1)
    [over] = told(cycle(), BASE, replace(one, closed_at=LATER), replace(many, closed_at=NOW))
    assert over[1] == f"cycle 12 {name(3)}"
    assert over[2].startswith(f"cycle 12: {name(3)} is safety order 2, 1 were allowed ({name(2)} ")
    assert over[3] == NOW, "of the order that was one too many"


def test_I14_says_what_the_status_is_and_what_it_is_not() -> None:
    [without] = told(cycle(CycleStatus.BUYING), BASE)
    assert without == ("I14", "cycle 12", "cycle 12 is buying with no live order", None)
    live = order(SAFETY, 2, qty=D("0.1"))
    [beside] = told(cycle(), BASE, live)
    assert beside[2] == f"cycle 12 is watching with {name(2)} sent 0 of 0.1"
    [ended] = told(cycle(completed_at=NOW), BASE)
    assert ended[1:3] == ("cycle 12", f"cycle 12 is watching and completed_at is {NOW}")
    [resting] = told(cycle(CycleStatus.COOLDOWN), BASE)
    assert resting[1:3] == ("cycle 12", "cycle 12 rests and holds 0.1995")


def test_I14_of_a_complete_cycle() -> None:
    over = cycle(CycleStatus.COMPLETE, completed_at=NOW)
    late, unsold = told(over, BASE)
    assert late[:3] == ("I14", "cycle 12 late", "cycle 12 had ended when 0.1995 more was filled")
    assert unsold[:2] == ("I14", "cycle 12")
    assert unsold[2] == f"cycle 12 is complete and no order of it sold anything ({name(1)} done 0.2 of 0.2)"
    adopted = [replace(each, min_order_size=D(0)) for each in (BASE, done(SELL, 2, filled="0.1"))]
    assert told(over, *adopted) == [], "no rule is known by which it could be sold"


# ---- an order ---------------------------------------------------------------------------------------------


def test_I31_says_what_an_order_did_and_why_it_is_undecided() -> None:
    ghost = replace(BASE, state=OrderState.GHOST)
    found = invariants.undecided(ghost)
    assert (found.number, found.about, found.at) == ("I31", name(1), None)
    assert found.words == (
        f"order {name(1)} was given up and turned up after all; buy filled 0.2 at 100, booked in cycle 12"
    )
    other = order(SELL, 2, difference="quantity is 3, not 2")
    assert invariants.undecided(other).words == (
        f"the exchange has order {name(2)} otherwise than it was sent: quantity is 3, not 2; "
        "sell filled 0, booked in cycle 12"
    )


def test_I05_I06_have_both_books() -> None:
    here = replace(BASE, closed_at=LATER)

    def against(status: str = "filled", filled: str = "0.2", price: str | None = "100") -> list[str]:
        found = of_order(here, snapshot(here, status, filled, price))
        assert {(each.about, each.at) for each in found} == {(name(1), LATER)}
        return [f"{each.number} {each.words}" for each in found]

    both = f"order {name(1)}: the ledger has"
    assert against(filled="0.1") == [f"I05 {both} 0.2 filled, the exchange 0.1"]
    assert against(price="101") == [f"I06 {both} an average price of 100, the exchange 101"]
    assert against("new") == [f"I06 {both} it as filled, ended, the exchange it open: new"]
    part = replace(here, filled_qty=D("0.1"))
    [more] = of_order(part, snapshot(part, "filled", "0.2", "100"))
    assert more.words == f"{both} 0.1 filled, the exchange 0.2"
    [another] = of_order(here, replace(snapshot(here, "filled", "0.2", "100"), symbol="ETH/USD"))
    assert another.words == f"the exchange's order {name(1)}: symbol is ETH/USD, not BTC/USD"
    assert (another.number, another.about, another.at) == ("I06", name(1), LATER)


def test_a_known_difference_is_told_by_I31_and_another_order_is_told_all_the_same() -> None:
    known = replace(BASE, difference="quantity is 0.3, not 0.2")
    there = snapshot(known, "filled", "0.2", "100", qty=D("0.3"))
    assert of_order(known, there) == []
    assert [each.number for each in of_order(known, replace(there, side="sell"))] == ["I06"]


@pytest.mark.parametrize(
    ("ours", "theirs", "is_same"),
    [
        ("100", "100.0001", True),
        ("100", "100.00011", False),
        ("0.00001", "0.000010001", True),
        ("0.00001", "0.0000100011", False),
        (None, "0", True),
        (None, "1", False),
        ("1", None, False),
        (None, None, True),
    ],
)
def test_prices_may_differ_by_rounding(ours: str | None, theirs: str | None, is_same: bool) -> None:
    here = done(filled_avg_price=None if ours is None else D(ours))
    assert (of_order(here, snapshot(here, "canceled", "0", theirs)) == []) is is_same


def test_I30_says_what_the_exchange_had_accepted() -> None:
    found = invariants.denied(replace(BASE, filled_qty=D("0.1"), closed_at=LATER))
    assert (found.number, found.about, found.at) == ("I30", name(1), LATER)
    assert found.words == (
        f"order {name(1)} was accepted by the exchange as x-1, buy filled 0.1 of 0.2, "
        "and is unknown there now"
    )


def test_which_orders_a_list_must_have_to_the_moment() -> None:
    """The clocks may differ by ten minutes."""
    ten = timedelta(minutes=10)
    ended = NOW + MOMENT
    found = invariants.listed_by_now
    assert found([BASE], NOW - ten - MOMENT, NOW + ten + MOMENT, ended) == [BASE]
    assert found([BASE], NOW - ten, None, ended) == []
    assert found([BASE], NOW - ten - MOMENT, NOW + ten, ended) == []
    assert found([BASE], NOW - ten - MOMENT, None, NOW) == []
    assert found([replace(BASE, closed_at=None)], NOW - ten - MOMENT, None, ended) == []
    outside = done(Purpose.OUTSIDE, 2, filled="0.1")
    assert found([outside], NOW - ten - MOMENT, None, ended) == []


# ---- many -------------------------------------------------------------------------------------------------


def test_the_newest_four_of_many_orders_are_named() -> None:
    live = [order(SAFETY, seq, qty=D(1)) for seq in range(1, 6)]
    [four] = of_asset(asset(), [cycle()], live[:4])
    assert four.words.endswith(f": {', '.join(f'{name(seq)} sent 0 of 1' for seq in range(1, 5))}")
    [five] = of_asset(asset(), [cycle()], live)
    assert five.words.endswith(f": …, {', '.join(f'{name(seq)} sent 0 of 1' for seq in range(2, 6))}")


def test_a_cycle_that_holds_what_its_orders_say_breaks_nothing() -> None:
    assert told(holding(), BASE) == []
