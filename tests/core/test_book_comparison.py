"""What is concluded from the ledger's rows beside the account's positions and orders, and what is not."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dca.core import invariants, order_cleanup
from dca.core.model import CycleStatus, Execution, OrderState, OrderType, Position, Purpose, Side
from dca.core.operations import MissingPosition
from dca.core.order_cleanup import Books, breaks, is_beyond_doubt, is_gone, missing_coins, verdict
from tests.builders import NOW, SYMBOL, D, asset, cycle, done, holding, order, rules, snapshot

BASE = done(filled="0.2")
TP = Purpose.TAKE_PROFIT


def position(qty: str) -> Position:
    return Position(symbol=SYMBOL, qty=D(qty), qty_available=D(qty))


def books(qty: str = "0.1995", **changes: Any) -> Books:
    """A cycle that holds 0.1995 coins, and an account that holds so many."""
    values: dict[str, Any] = {
        "asset": asset(),
        "cycle": holding(),
        "orders": (BASE,),
        "ghosts": (),
        "position": position(qty),
        "rules": rules(),
    }
    return Books(**{**values, **changes})


LOST = snapshot(order(seq=9), "filled", "0.1", "100")
DIFFERENT = invariants.Violation(number="I06", about="an order", words="it is another one")


# ---- coins that are not there -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("qty", "gone"), [("0", True), ("0.0099", True), ("0.00999", True), ("0.01", False), ("0.1995", False)]
)
def test_gone_is_what_leaves_nothing_to_be_sold(qty: str, gone: bool) -> None:
    assert is_gone(books(qty)) is gone


@pytest.mark.parametrize(
    "explained",
    [
        {"forgotten": (LOST,)},
        {"differences": (DIFFERENT,)},
        {"orders": ()},
        {"asset": asset(asset_symbol="ETH/USD")},
        {"cycle": cycle()},
    ],
    ids=[
        "a sale that is not in the ledger",
        "orders that differ",
        "no orders",
        "another pair",
        "nothing held",
    ],
)
def test_what_may_be_explained_otherwise_is_not_gone(explained: dict[str, Any]) -> None:
    assert is_gone(books("0"))
    assert not is_gone(books("0", **explained))


def test_missing_coins_are_told_with_what_may_explain_them() -> None:
    plain = missing_coins(books("0"))
    assert (plain.number, plain.about) == ("I09", "position")
    assert plain.words == "the account holds 0, the ledger 0.1995: 0.1995 are missing"
    assert missing_coins(books("0"), others=2).words == (
        f"{plain.words}; of 2 more the account shows too little, so its list may be wrong"
    )
    sales = [Execution(id=f"e{n}", exchange_order_id="x-7", qty=D("0.1"), price=D(99 + n)) for n in (1, 2)]
    told = missing_coins(books("0"), sales, others=2).words
    assert told == (f"{plain.words}; 0.2 were sold past the bot, last at 100 by the exchange's order x-7")


def test_every_pair_of_which_too_little_is_there_is_short() -> None:
    assets = [asset(id=n, asset_symbol=name) for n, name in ((1, SYMBOL), (2, "ETH/USD"), (3, "SOL/USD"))]
    held = {n: holding(asset_id=n) for n in (1, 2, 3)}
    of_pairs = {each.asset_symbol: rules() for each in assets}
    there = {"ETHUSD": position("0.1995")}
    assert order_cleanup.short_of_coins(assets, held, there, of_pairs) == {1, 3}
    assert order_cleanup.short_of_coins(assets, {1: held[1], 2: held[2]}, {}, of_pairs) == {1, 2}
    assert order_cleanup.short_of_coins(assets, held, {}, {SYMBOL: rules()}) == {1}


def seen(looks: int, minutes: float) -> MissingPosition:
    ended = NOW + timedelta(minutes=minutes)
    return MissingPosition(cycle_id=12, first_seen_at=NOW, last_seen_at=ended, looks=looks)


@pytest.mark.parametrize(
    ("looks", "minutes", "beyond"), [(4, 15, True), (3, 20, False), (4, 14.9, False), (5, 15, True)]
)
def test_four_runs_over_a_quarter_of_an_hour_are_beyond_doubt(
    looks: int, minutes: float, beyond: bool
) -> None:
    assert is_beyond_doubt(seen(looks, minutes)) is beyond


# ---- breaks -----------------------------------------------------------------------------------------------


def test_agreeing_books_have_no_break() -> None:
    assert breaks(books()) == []
    assert breaks(books("5")) == [], "more coins than ours are the operator's"


def test_each_break_has_its_number_and_names_what_it_is_about() -> None:
    late = holding(CycleStatus.COMPLETE, id=11, completed_at=NOW)
    ghost = order(seq=5, state=OrderState.GHOST)
    found = breaks(
        books("0", forgotten=(LOST,), leftovers=(late,), ghosts=(ghost,), differences=(DIFFERENT,))
    )
    assert [(each.number, each.about) for each in found] == [
        ("I06", "an order"),
        ("I09", "position"),
        ("I30", LOST.client_order_id),
        ("I14", "cycle 11 late"),
        ("I06", ghost.client_order_id),
    ]
    ended = replace(ghost, closed_at=NOW)
    assert breaks(books(ghosts=(ended,))) == [], "it is open no more"


def test_rows_that_make_no_sense_are_the_only_break() -> None:
    odd = breaks(books("0", orders=(), forgotten=(LOST,)))
    assert [each.number for each in odd] == ["I07"]
    assert "no order of it is known" in odd[0].words


def test_a_changed_pair_is_told_of_a_live_cycle_only() -> None:
    other = asset(asset_symbol="ETH/USD")
    told = order_cleanup.unreadable(other, holding(), [BASE])
    assert told is not None and told.words.startswith("asset_symbol was changed")
    ended = holding(CycleStatus.COMPLETE, completed_at=NOW)
    assert order_cleanup.unreadable(other, ended, [BASE]) is None
    strange = replace(BASE, side=Side.read("hold"))
    told = order_cleanup.unreadable(other, holding(), [strange])
    assert told is not None and "'hold'" in told.words, "an unknown word comes first"


def test_an_ended_cycle_is_not_begun_again_by_its_orders() -> None:
    ended = holding(CycleStatus.COMPLETE, completed_at=NOW, quantity=D(5))
    seen = verdict(asset(), ended, [BASE, done(TP, 2, filled="0.1995", price="101")], NOW)
    assert (seen.is_sick, seen.booking.cycle.status, seen.booking.cycle.quantity) == (
        True,
        CycleStatus.COMPLETE,
        D(0),
    )


@pytest.mark.parametrize("kind", [OrderType.MARKET, OrderType.LIMIT])
def test_every_sale_that_does_not_end_is_stuck(kind: OrderType) -> None:
    limit = timedelta(seconds=75)
    sale = order(TP, state=OrderState.ACKED, order_type=kind, created_at=NOW - limit)
    assert order_cleanup.stuck_sells([sale], NOW, limit) == []
    late = replace(sale, created_at=NOW - limit - timedelta(seconds=1))
    buy = order(state=OrderState.ACKED, created_at=late.created_at)
    unanswered = replace(late, state=OrderState.SENT)
    assert order_cleanup.stuck_sells([late, buy, unanswered], NOW, limit) == [late]


# ---- invariants, where a mistake would be seen by nothing else ---------------------------------------------


def numbers(of: Any, *orders: Any) -> list[str]:
    return [each.number for each in invariants.of_cycle(of, list(orders)) if each.number in invariants.PAST]


def sold(qty: str, seq: int = 2, **changes: Any) -> Any:
    return done(TP, seq, filled=qty, price="101", qty=D(qty), **changes)


def test_I08_what_is_held_is_net_of_fees() -> None:
    """0.2 less 0.0005: the tolerance is what fees may explain, and no more."""
    held = holding(quantity=D(0))
    most = D("0.1995") + D("0.0001") + D("0.001")
    assert numbers(held, BASE, sold(str(most))) == []
    assert numbers(held, BASE, sold(str(most + D("0.0002")))) == ["I08"]


def test_I11_a_buy_of_less_than_a_dollar_counts() -> None:
    small = [done(Purpose.BASE, seq, filled="0.007", price="100") for seq in range(1, 4)]
    rest = done(Purpose.BASE, 4, filled="0.19", price="100")
    assert numbers(cycle(), *small, rest) == ["I11"]


def test_I12_only_orders_of_that_level_are_named() -> None:
    twice = [done(Purpose.SAFETY, seq, filled="0.1", level=1) for seq in (2, 3)]
    other = done(Purpose.SAFETY, 4, filled="0.1", level=2)
    found = [each for each in invariants.of_cycle(holding(), [BASE, *twice, other]) if each.number == "I12"]
    assert [each.about for each in found] == ["cycle 12 level 1"]
    assert "filled by 2 orders" in found[0].words and other.client_order_id not in found[0].words


def test_I12_every_level_is_looked_at() -> None:
    levels = [
        done(Purpose.SAFETY, seq, filled="0.05", level=level) for seq, level in ((2, 1), (3, 2), (4, 2))
    ]
    found = [each.about for each in invariants.of_cycle(holding(), [BASE, *levels]) if each.number == "I12"]
    assert found == ["cycle 12 level 2"]


def test_what_an_operator_has_to_decide_counts_for_no_limit() -> None:
    """I31 tells it: twice is no help."""
    ghost = done(Purpose.SAFETY, 2, filled="0.1", level=1, state=OrderState.GHOST)
    changed = done(Purpose.SAFETY, 3, filled="0.1", level=1, difference="another price")
    fine = done(Purpose.SAFETY, 4, filled="0.1", level=1)
    assert numbers(holding(), BASE, ghost, changed, fine) == []


def test_many_orders_are_named_in_part() -> None:
    many = [done(Purpose.SAFETY, seq, filled="0.01", level=1) for seq in range(2, 30)]
    found = [each for each in invariants.of_cycle(holding(), [BASE, *many]) if each.about.endswith("level 1")]
    assert "…" in found[0].words
    few = [each for each in invariants.of_cycle(holding(), [BASE, *many[:2]]) if each.number == "I12"]
    assert "…" not in few[0].words


def test_accepting_and_editing_are_about_these_numbers() -> None:
    assert {"I08", "I11", "I12"} == invariants.PAST
    assert {"I05", "I06", "I07", "I13", "I14"} == invariants.EDITED
    assert set(invariants.RULES) >= invariants.PAST | invariants.EDITED | {"I01", "I09", "I30", "I31"}


@pytest.mark.parametrize(("more", "found"), [("0", []), ("0.05", ["I05"]), ("0.2", ["I05"])])
def test_I05_the_ledger_is_never_ahead(more: str, found: list[str]) -> None:
    """Compared with what is filled, not with what was ordered."""
    ours = done(filled="0.2")
    listed = snapshot(ours, "filled", str(Decimal("0.2") - Decimal(more)), "100")
    assert [each.number for each in invariants.of_order(ours, listed)][:1] == found
