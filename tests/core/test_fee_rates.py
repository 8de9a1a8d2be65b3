"""The fee of the account's tier: what the position shows is believed both ways, and for later orders too."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from dca.core import fees, ledger
from dca.core.errors import ExchangeUnavailable
from dca.core.fees import Shown
from dca.core.model import ZERO, Execution, FeeSource, LockKind, Order, Purpose
from tests.builders import NOW, D, done
from tests.caring import check, edit
from tests.rig import SYMBOL, Rig

TAKER, LOWER, LOWEST = D("0.0025"), D("0.0018"), D("0.0010")
LATER = NOW + timedelta(minutes=5)


def bought(*quantities: str, rate: Decimal = TAKER) -> list[Order]:
    """A base order and safety orders, filled, with the fee assumed."""
    purposes = [Purpose.BASE, *[Purpose.SAFETY] * (len(quantities) - 1)]
    return [
        done(purpose, seq=seq, filled=qty, fee_qty=ledger.coin_fee(D(qty), rate), fee_rate=rate)
        for seq, (purpose, qty) in enumerate(zip(purposes, quantities, strict=True), start=1)
    ]


def held(orders: list[Order], rate: str) -> Decimal:
    """What is there of them at such a rate."""
    return sum((each.filled_qty - ledger.coin_fee(each.filled_qty, D(rate)) for each in orders), ZERO)


def fees_after(orders: list[Order], shown: Shown | None) -> Decimal:
    assert shown is not None
    after = {each.seq: each for each in (*orders, *shown.changed)}
    return sum((each.fee_qty for each in after.values()), ZERO)


@pytest.mark.parametrize("assumed", [TAKER, LOWEST], ids=["from above", "from below"])
@pytest.mark.parametrize("rate", ["0.0022", "0.0018", "0.0013"])
@pytest.mark.parametrize("quantities", [("0.2",), ("0.2", "0.31", "0.000123457")])
def test_the_rate_is_read_off_the_position_both_ways(
    quantities: tuple[str, ...], rate: str, assumed: Decimal
) -> None:
    orders = bought(*quantities, rate=assumed)
    there = held(orders, rate)
    shown = fees.shown_by(orders, there, assumed, LATER)
    assert shown is not None
    between = assumed == TAKER and D("0.0015") <= D(rate)
    assert shown.rate == (assumed if between else D(rate)), "a maker's part in it may explain it"
    assert fees_after(orders, shown) == sum((each.filled_qty for each in orders), ZERO) - there
    assert {each.fee_rate for each in shown.changed} == {D(rate)}
    assert {each.fee_source for each in shown.changed} == {FeeSource.ASSUMED}, "its executions are asked for"


def test_fees_of_single_executions_are_rounded_up_and_the_last_order_has_the_rest() -> None:
    orders = bought("0.2", "0.3")
    there = held(orders, "0.0010") - 7 * D("1e-9")
    shown = fees.shown_by(orders, there, TAKER, LATER)
    assert shown is not None and shown.rate == LOWEST
    assert [each.fee_qty for each in shown.changed] == [D("0.0002"), D("0.0003") + 7 * D("1e-9")]


def test_what_was_sold_since_is_not_there() -> None:
    orders = bought("0.2")
    sold = done(Purpose.TAKE_PROFIT, seq=2, filled="0.05")
    shown = fees.shown_by([*orders, sold], held(orders, "0.0018") - D("0.05"), TAKER, LATER)
    assert shown is not None and shown.changed[0].fee_rate == LOWER


def test_what_the_operator_brought_had_no_fee() -> None:
    orders = [*bought("0.2"), done(Purpose.ADOPTED, seq=2, filled="1", fee_qty=ZERO, fee_rate=TAKER)]
    there = held(orders[:1], "0.0018") + 1
    shown = fees.shown_by(orders, there, TAKER, LATER)
    assert shown is not None and [each.seq for each in shown.changed] == [1]
    assert fees.shown_by(orders[1:], D(1), TAKER, LATER) is None


@pytest.mark.parametrize(
    ("there", "why"),
    [
        ("0.1995", "what is assumed"),
        ("0.2", "no fee at all: it is taken some seconds late, or those are the operator's coins"),
        ("0.19971", "no tier's"),
        ("0.5", "the operator's own coins"),
        ("0.1994", "more than any tier's: missing"),
        ("0", "gone"),
    ],
)
def test_what_is_no_fee_of_a_tier_says_nothing(there: str, why: str) -> None:
    assert fees.shown_by(bought("0.2"), D(there), TAKER, LATER) is None, why


def test_a_fee_that_is_still_to_come_is_no_lower_rate_of_all() -> None:
    """Five buys, and the last one's fee not taken yet, look like a rate of 20 instead of 25."""
    orders = bought("0.2", "0.2", "0.2", "0.2", "0.2")
    there = held(orders, "0.0025") + orders[-1].fee_qty
    soon = NOW + fees.SETTLED - timedelta(seconds=1)
    assert fees.shown_by(orders, there, TAKER, soon) is None
    assert fees.shown_by(orders, there, TAKER, LATER) is not None, "by now it would have been taken"
    short = held(bought("0.2", "0.2", rate=LOWEST), "0.0025")
    assert fees.shown_by(bought("0.2", "0.2", rate=LOWEST), short, LOWEST, soon) is not None, (
        "higher: at once"
    )


def test_a_makers_rate_is_the_orders_own_and_is_assumed_of_no_other() -> None:
    """At 15 it may have rested at the lowest tier, or been taken at the fifth."""
    orders = bought("0.2")
    shown = fees.shown_by(orders, held(orders, "0.0015"), TAKER, LATER)
    assert shown is not None
    assert (shown.rate, shown.changed[0].fee_rate) == (TAKER, D("0.0015"))
    assert fees.shown_by(list(shown.changed), held(orders, "0.0015"), TAKER, LATER) is None, "nothing new"


def fills(order: Order, *quantities: str) -> list[Execution]:
    name = str(order.exchange_order_id)
    return [
        Execution(id=f"{name}-{number}", exchange_order_id=name, qty=D(qty), price=D(100))
        for number, qty in enumerate(quantities)
    ]


def test_what_single_fills_cannot_mix_is_another_tier() -> None:
    """One fill pays one rate: 18 is no mixture of 25 and 15."""
    orders = bought("0.2")
    there = held(orders, "0.0018")
    assert fees.shown_by(orders, there, TAKER, LATER, fills(orders[0], "0.2")).rate == LOWER  # type: ignore[union-attr]
    mixed = fees.shown_by(orders, held(orders, "0.0020"), TAKER, LATER, fills(orders[0], "0.1", "0.1"))
    assert mixed is not None and mixed.rate == TAKER, "half at 25 and half at 15"
    known = fees.shown_by(orders, held(orders, "0.0015"), TAKER, LATER, fills(orders[0], "0.2"))
    assert known is not None and known.rate == TAKER, "it may have rested"


def test_a_mixture_of_the_known_tier_is_read_off_single_fills() -> None:
    orders = bought("0.2", "0.3")
    parts = [*fills(orders[0], "0.15", "0.05"), *fills(orders[1], "0.3")]
    fee = D("0.000375") + D("0.000075") + D("0.00075")
    there = D("0.5") - fee
    assert fees.shown_by(orders, there, TAKER, LATER) is None, "no one rate makes it"
    assert fees.shown_by(orders, there, TAKER, LATER, parts[1:]) is None, "not all fills are listed"
    shown = fees.shown_by(orders, there, TAKER, LATER, parts)
    assert shown is not None and shown.rate == TAKER
    assert fees_after(orders, shown) == fee
    assert {each.fee_source for each in shown.changed} == {FeeSource.POSITION}
    assert fees.shown_by(orders, there + D("0.00001"), TAKER, LATER, parts) is None, "somebody's coins"


def test_a_fill_whose_fee_is_still_to_come_is_no_maker_s() -> None:
    """Of 0.15 and 0.1 the first one's fee at 25 is that of both at 15."""
    orders = bought("0.25", "0.1")
    parts = [*fills(orders[0], "0.15", "0.1"), *fills(orders[1], "0.1")]
    there = D("0.35") - D("0.000375") - D("0.00025")
    soon = NOW + fees.SETTLED - timedelta(seconds=1)
    assert fees.shown_by(orders, there, TAKER, soon, parts) is None
    assert fees.shown_by(orders, there, TAKER, LATER, parts) is not None


@pytest.mark.parametrize(("count", "is_told"), [(fees.MOST_SUMS - 1, True), (fees.MOST_SUMS, False)])
def test_of_too_many_fills_any_number_would_be_a_mixture(count: int, *, is_told: bool) -> None:
    orders = bought(str(count))
    shown = fees.shown_by(
        orders, D(count) - D("0.0015") * count - D("0.007"), TAKER, LATER, fills(orders[0], *["1"] * count)
    )
    assert (shown is not None) == is_told, "seven of them were taken"


def test_fees_of_executions_follow_the_rate_of_the_order() -> None:
    assert ledger.coin_fee(D(1), LOWEST) == D("0.001")
    assert ledger.dollar_fee(D(1000), LOWEST) == D(1)


# ---- in the bot --------------------------------------------------------------------------------------------


def assumed(rig: Rig) -> Decimal:
    return rig.store.transaction(lambda tx: tx.control()).fee_rate


def round_trip(rig: Rig) -> None:
    """Bought at 100, sold at 103, and the cooldown over."""
    rig.look()
    rig.bought()
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    rig.clock.pass_seconds(301)


@pytest.mark.parametrize("rate", ["0.0013", "0.0010"])
def test_at_a_lower_tier_all_coins_are_sold_and_the_profit_is_true(rig: Rig, rate: str) -> None:
    rig.exchange.fee = D(rate)
    round_trip(rig)
    buy, sell = rig.orders()
    assert rig.exchange.held[SYMBOL] == 0
    assert sell.qty == D("0.2") * (1 - D(rate))
    assert sell.fee_usd == ledger.dollar_fee(sell.filled_value, D(rate))
    assert buy.fee_qty == D("0.2") * D(rate)
    assert assumed(rig) == D(rate)
    rig.look()
    rig.quote("100")
    assert rig.orders(rig.cycle().id)[0].fee_rate == D(rate), "later orders, too"
    assert rig.violations() == []


def test_what_a_makers_part_may_explain_is_sold_and_assumed_of_nothing_else(rig: Rig) -> None:
    """15 is the fifth tier's, or the lowest's where the buy rested."""
    rig.exchange.fee = D("0.0015")
    round_trip(rig)
    assert rig.exchange.held[SYMBOL] == 0
    assert (assumed(rig), rig.orders()[1].fee_rate) == (TAKER, TAKER)


def bought_in_parts(rig: Rig) -> None:
    """A quarter is taken, the rest rests."""
    rig.look()
    rig.quote("100")
    rig.exchange.fee = TAKER
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), "0.05"))
    rig.exchange.fee = D("0.0015")
    rig.trader.books.book(rig.exchange.fill(rig.last_id()))


def sell(rig: Rig) -> None:
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))


def test_a_buy_that_was_taken_and_rested_leaves_no_coins_over(rig: Rig) -> None:
    bought_in_parts(rig)
    sell(rig)
    assert (rig.exchange.held[SYMBOL], rig.orders()[1].qty) == (ZERO, D("0.19965"))
    assert assumed(rig) == TAKER
    assert rig.violations() == []


def test_the_checker_books_a_mixture_too(rig: Rig) -> None:
    """Of all assets together it asks for one list."""
    bought_in_parts(rig)
    asked: list[int] = []
    answer = rig.exchange.executions

    def executions(orders: Sequence[Order]) -> list[Execution]:
        asked.append(len(orders))
        return answer(orders)

    rig.exchange.executions = executions  # type: ignore[method-assign]
    assert check(rig).changed == 1
    assert asked == [1]
    assert rig.cycle().quantity == D("0.19965")
    assert check(rig).changed == 0


def test_a_list_of_fills_that_is_slow_holds_a_sale_back_once(rig: Rig) -> None:
    bought_in_parts(rig)
    asked: list[int] = []

    def down(orders: Sequence[Order]) -> list[Execution]:
        asked.append(1)
        rig.clock.pass_seconds(16 * len(orders))
        raise ExchangeUnavailable("down")

    rig.exchange.executions = down  # type: ignore[method-assign]
    rig.quote("103")
    assert len(rig.orders()) == 1, "the quote has grown old"
    sell(rig)
    assert (len(asked), rig.orders()[1].qty) == (1, D("0.1995"))


def test_back_at_a_higher_tier_nothing_is_missing(rig: Rig) -> None:
    rig.exchange.fee = LOWEST
    round_trip(rig)
    rig.exchange.fee = TAKER
    rig.look()
    rig.bought()
    assert rig.cycle().quantity == D("0.1998"), "as assumed"
    check(rig)
    assert (rig.asset().lock_reason, rig.cycle().quantity) == (None, D("0.1995")), "as the position shows"
    assert assumed(rig) == TAKER
    rig.look()
    rig.quote("103")
    assert rig.orders(2)[-1].qty == D("0.1995")
    assert rig.violations() == []


def test_a_higher_fee_that_only_the_sale_sees_is_no_reason_to_hold_it_back(rig: Rig) -> None:
    rig.exchange.fee = LOWEST
    round_trip(rig)
    rig.exchange.fee = TAKER
    round_trip(rig)
    assert [each.filled_qty for each in rig.orders(2)] == [D("0.2"), D("0.1995")]
    assert (assumed(rig), rig.exchange.held[SYMBOL]) == (TAKER, ZERO)


def test_coins_of_the_operator_are_not_taken_for_a_lower_fee(rig: Rig) -> None:
    rig.deposit("0.00017")
    round_trip(rig)
    assert rig.orders()[1].qty == D("0.1995")
    assert (assumed(rig), rig.exchange.held[SYMBOL]) == (TAKER, D("0.00017"))


def test_the_checker_books_a_lower_fee_without_a_sale(rig: Rig) -> None:
    rig.exchange.fee = LOWER
    rig.bought()
    assert check(rig, dry_run=True).changed == 1
    assert rig.cycle().quantity == D("0.1995")
    assert check(rig).changed == 1
    assert (rig.cycle().quantity, assumed(rig)) == (D("0.2") * (1 - LOWER), LOWER), "one fill pays one rate"
    assert check(rig).changed == 0


def test_the_executions_come_after_the_position_and_change_no_rate(rig: Rig) -> None:
    rig.exchange.fee = LOWER
    rig.bought()
    check(rig)
    buy = rig.orders()[0]
    rig.trader.books.confirm_fee(buy, rig.exchange.executions_of[str(buy.exchange_order_id)])
    after = rig.orders()[0]
    assert (after.fee_source, after.fee_rate, after.fee_qty) == (FeeSource.EXECUTIONS, LOWER, D("0.00036"))


def test_more_than_any_fee_is_missing_and_locks(rig: Rig) -> None:
    rig.exchange.fee = D("0.0040")
    rig.bought()
    check(rig)
    assert rig.asset().lock_kind is LockKind.BREAK


def test_nothing_is_booked_over_a_live_order(rig: Rig) -> None:
    rig.exchange.fee = LOWER
    rig.bought()
    rig.quote("98")
    before = rig.orders()[0]
    check(rig)
    assert rig.orders()[0] == before
    edit(rig, "UPDATE dca_assets SET is_enabled = 0")
    assert replace(before, fee_rate=LOWER) != before


def test_a_newer_order_may_have_another_rate_than_the_older_ones() -> None:
    """The tier changed between them: what is booked of the older ones holds."""
    orders = bought("0.2", "0.3")
    there = held(orders[:1], "0.0025") + held(orders[1:], "0.0010")
    shown = fees.shown_by(orders, there, TAKER, NOW)
    assert shown is not None and [(each.seq, each.fee_rate) for each in shown.changed] == [(2, LOWEST)]
