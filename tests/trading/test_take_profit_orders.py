"""Take-profits on thin books: by what the whole quantity would sell for, and with a limit that is never below
break-even."""

from dataclasses import replace
from decimal import Decimal

import pytest

from dca.core.model import CycleStatus, OrderType, Purpose, Side
from dca.core.selling import OnMissingBook, Selling, TakeProfitBy, TakeProfitOrder
from tests.caring import check, edit
from tests.rig import SYMBOL, Rig

D = Decimal
BY_BOOK = Selling(by=TakeProfitBy.BOOK)
LIMIT = Selling(order=TakeProfitOrder.LIMIT_IOC)
TARGET = "102"
"""Bought at 100, with a take-profit of 2 %."""


def holding(rig: Rig, selling: Selling) -> Decimal:
    """0.2 coins less the fee, bought at 100."""
    rig.bought("100")
    rig.desk.selling = selling
    rig.look()
    return rig.cycle().quantity


def sales(rig: Rig) -> list[tuple[str, str, Decimal | None]]:
    return [
        (each.order_type.value, each.time_in_force, each.limit_price)
        for each in rig.orders(1)
        if each.side is Side.SELL
    ]


def test_by_default_the_best_bid_decides_and_all_is_sold_at_market(rig: Rig) -> None:
    holding(rig, Selling())
    rig.exchange.bids = [(102.0, 0.001), (50.0, 10.0)]
    rig.quote(TARGET)
    assert sales(rig) == [("market", "gtc", None)]


# ---- by the book ------------------------------------------------------------------------------------------


def test_one_good_bid_with_little_behind_it_sells_nothing(rig: Rig) -> None:
    holding(rig, BY_BOOK)
    rig.exchange.bids = [(102.0, 0.1), (101.9, 10.0)]
    rig.quote(TARGET)
    assert sales(rig) == []
    assert rig.desk.held_back[SYMBOL].startswith("not confirmed: order book: 0.1995 would sell for 101.95012")
    rig.exchange.bids = [(102.0, 0.1995), (1.0, 10.0)]
    rig.quote(TARGET)
    assert sales(rig) == [], "a pair is asked for again after a pause"
    rig.clock.pass_seconds(2)
    rig.quote(TARGET)
    assert sales(rig) == [("market", "gtc", None)]


def test_the_average_counts_not_the_worst_bid(rig: Rig) -> None:
    holding(rig, BY_BOOK)
    rig.exchange.bids = [(103.0, 0.1), (101.5, 10.0)]
    rig.quote("103")
    assert len(sales(rig)) == 1


def test_a_book_that_holds_less_than_the_cycle_sells_nothing(rig: Rig) -> None:
    holding(rig, BY_BOOK)
    rig.exchange.bids = [(110.0, 0.1)]
    rig.quote("110")
    assert sales(rig) == []
    assert rig.desk.held_back[SYMBOL] == "not confirmed: order book: its bids hold less than 0.1995"


@pytest.mark.parametrize(
    ("bids", "why"),
    [
        (None, "the exchange has no book of it"),
        ([], "there are no bids in it"),
        ([(float("nan"), 1.0)], "a price or size in it is not possible"),
        ([(2e6, 1.0)], "its bid is not below its ask"),
    ],
)
def test_without_a_usable_book_the_operator_says_what_happens(
    rig: Rig, bids: list[tuple[float, float]] | None, why: str
) -> None:
    holding(rig, BY_BOOK)
    rig.exchange.bids = bids
    rig.quote(TARGET)
    assert (sales(rig), rig.desk.held_back[SYMBOL]) == ([], f"not confirmed: order book: {why}")
    rig.desk.selling = replace(BY_BOOK, on_missing_book=OnMissingBook.IGNORE)
    rig.clock.pass_seconds(2)
    rig.quote(TARGET, exchange_price="101")
    assert sales(rig) == [], "the exchange's own quote is asked for then"
    rig.clock.pass_seconds(2)
    rig.quote(TARGET)
    assert sales(rig) == [("market", "gtc", None)]


def test_an_old_book_decides_nothing(rig: Rig) -> None:
    holding(rig, BY_BOOK)
    rig.exchange.bids = [(102.0, 10.0)]
    rig.exchange.quoted_at = rig.clock.now()
    rig.clock.pass_seconds(15.5)
    rig.quote(TARGET)
    assert (sales(rig), rig.desk.held_back[SYMBOL]) == ([], "not confirmed: order book: it is 16 s old")


def test_the_operators_sale_asks_for_no_book(rig: Rig) -> None:
    """What reduces risk is never delayed."""
    holding(rig, replace(BY_BOOK, order=TakeProfitOrder.LIMIT_IOC))
    edit(rig, "UPDATE dca_cycles SET exit_requested_at = UTC_TIMESTAMP(6)")
    rig.look()
    rig.exchange.bids = [(1.0, 0.001)]
    rig.quote("90")
    assert sales(rig) == [("market", "gtc", None)]
    assert rig.orders(1)[-1].purpose is Purpose.EXIT


# ---- by a limit order -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slippage_bps", "limit"),
    [("0", "102"), ("50", "101.49"), ("1000", "100.551378447")],
)
def test_the_limit_is_the_take_profit_less_slippage_and_never_below_break_even(
    rig: Rig, slippage_bps: str, limit: str
) -> None:
    """Bought for $20, 0.1995 are left: 20 and the fee of 0.06 are break-even."""
    holding(rig, replace(LIMIT, max_slippage_bps=D(slippage_bps)))
    rig.quote(TARGET)
    assert sales(rig) == [("limit", "ioc", D(limit))]
    order = rig.orders(1)[-1]
    assert (order.order_type, order.trigger_price) == (OrderType.LIMIT, D(TARGET))
    assert rig.exchange.orders[order.client_order_id].limit_price == D(limit)


def test_a_take_profit_below_break_even_is_due_at_break_even(rig: Rig) -> None:
    edit(rig, "UPDATE dca_assets SET take_profit_percent = 0.3")
    rig.look()
    holding(rig, LIMIT)
    rig.quote("100.55")
    assert sales(rig) == [], "it would sell at a loss after fees"
    rig.quote("100.56")
    assert sales(rig) == [("limit", "ioc", D("100.551378447"))]


def test_what_the_book_did_not_take_is_sold_two_seconds_later_at_the_soonest(rig: Rig) -> None:
    held = holding(rig, LIMIT)
    rig.quote(TARGET)
    name = rig.last_id()
    rig.exchange.fill(name, qty="0.05", price="102.1")
    rig.trader.books.book(rig.exchange.end(name))
    cycle = rig.cycle()
    assert (cycle.status, cycle.quantity) == (CycleStatus.WATCHING, held - D("0.05"))
    assert (cycle.refusals, cycle.problem) == (0, None)
    rig.look()
    rig.quote(TARGET)
    rig.clock.pass_seconds(1.9)
    rig.quote(TARGET)
    assert len(sales(rig)) == 1
    rig.clock.pass_seconds(0.1)
    rig.quote(TARGET)
    assert len(sales(rig)) == 2
    assert rig.orders(1)[-1].qty == held - D("0.05")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="102"))
    ended = rig.store.transaction(lambda tx: tx.cycle(1))
    assert (ended.status, ended.net_profit > 0) == (CycleStatus.COMPLETE, True)
    assert check(rig).changed == 0 and rig.violations() == []


def test_a_limit_order_that_found_nothing_is_a_refusal_that_waits_longer_each_time(rig: Rig) -> None:
    holding(rig, LIMIT)
    rig.quote(TARGET)
    rig.trader.books.book(rig.exchange.end(rig.last_id()))
    cycle = rig.cycle()
    assert (cycle.status, cycle.refusals) == (CycleStatus.WATCHING, 1)
    assert cycle.problem == "the exchange closed it unfilled: canceled"
    rig.look()
    rig.clock.pass_seconds(9)
    rig.quote(TARGET)
    assert len(sales(rig)) == 1
    rig.clock.pass_seconds(1)
    rig.quote(TARGET)
    assert len(sales(rig)) == 2


def test_a_rest_too_small_to_be_sold_ends_the_cycle(rig: Rig) -> None:
    held = holding(rig, LIMIT)
    rig.quote(TARGET)
    name = rig.last_id()
    rig.exchange.fill(name, qty=str(held - D("0.005")), price="102")
    rig.trader.books.book(rig.exchange.end(name))
    ended = rig.store.transaction(lambda tx: tx.cycle(1))
    assert (ended.status, rig.cycle().status) == (CycleStatus.COMPLETE, CycleStatus.COOLDOWN)


def test_break_even_counts_what_was_earned_already(rig: Rig) -> None:
    """After a good part of it was sold above, the rest may be sold for less and lose nothing."""
    holding(rig, replace(LIMIT, max_slippage_bps=D(500)))
    rig.quote("110")
    name = rig.last_id()
    rig.exchange.fill(name, qty="0.1", price="110")
    rig.trader.books.book(rig.exchange.end(name))
    rig.look()
    rig.clock.pass_seconds(2)
    rig.quote(TARGET)
    limit = sales(rig)[-1][2]
    assert limit == D("96.9"), "the take-profit less 5 %; 90.9 would be break-even"
