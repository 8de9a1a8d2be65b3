"""Sales that are more than one order, and what an operator's wish does while a buy is open."""

from datetime import timedelta

import pytest

from dca.core import lifecycle, strategy
from dca.core.model import CycleStatus, Mode, OrderType, Purpose, round_down
from dca.core.selling import Selling, TakeProfitOrder
from dca.core.strategy import CancelBuy, Place, decide, levels
from tests.builders import NOW, D, asset, cycle, done, holding, quote, rules


def sale_of(quantity: str, bid: str, ask: str) -> Place:
    """A sale of so many coins that were bought at 1."""
    held = holding(bought=quantity, fee="0", average="1")
    placed = decide(asset(), held, quote(bid, ask), rules(), NOW, Mode.RUN)
    assert isinstance(placed, Place)
    return placed


@pytest.mark.parametrize(
    ("quantity", "bid", "ask", "parts"),
    [
        ("1900", "100", "101", 1),  # 190,000 dollars are one order; by the ask they would be two
        ("1900.1", "100", "100", 2),
        ("3800", "100", "101", 2),
        ("3800.1", "100", "100", 3),
    ],
)
def test_a_sale_is_split_by_what_the_bid_makes_it_worth(
    quantity: str, bid: str, ask: str, parts: int
) -> None:
    sale = sale_of(quantity, bid, ask)
    assert sale.qty == round_down(D(quantity) / parts, D("0.0001"))
    begins = f"bid {bid} reached 1.01, 1 % above average 1"
    more = f"; it takes {parts} orders, as one may be worth 200000 dollars"
    assert sale.reason == (begins if parts == 1 else begins + more)


def test_a_wish_to_sell_cancels_an_open_buy_also_when_nothing_can_be_sold_yet() -> None:
    for held in (cycle, holding):
        buying = held(CycleStatus.BUYING, exit_requested_at=NOW)
        assert levels(asset(), buying, rules(), NOW, Mode.RUN).bid_at_least == 0
        decision = decide(asset(), buying, quote("50"), rules(), NOW, Mode.RUN)
        assert isinstance(decision, CancelBuy)
    nothing = cycle(exit_requested_at=NOW)
    assert levels(asset(), nothing, rules(), NOW, Mode.RUN).bid_at_least is None


def test_what_is_still_to_come_of_a_cycle() -> None:
    """Base $20 and three safety orders of $30; nothing is topped up once a base order can be sold."""
    assert strategy.still_to_come(asset(), None) == 110
    assert strategy.still_to_come(asset(), cycle()) == 110
    assert strategy.still_to_come(asset(), holding()) == 90
    assert strategy.still_to_come(asset(), holding(bought="0.01", fee="0")) == 109


# ---- take-profits by limit orders (docs/execution.md) -----------------------------------------------------

IOC_SALES = Selling(order=TakeProfitOrder.LIMIT_IOC)


def test_only_a_take_profit_has_a_limit() -> None:
    taken = decide(asset(), holding(), quote("101.5"), rules(), NOW, Mode.RUN, IOC_SALES)
    assert isinstance(taken, Place)
    assert (taken.order_type, taken.time_in_force, taken.limit_price) == (OrderType.LIMIT, "ioc", D(101))
    wanted = holding(exit_requested_at=NOW)
    exits = decide(asset(), wanted, quote("50"), rules(), NOW, Mode.RUN, IOC_SALES)
    assert isinstance(exits, Place)
    assert (exits.order_type, exits.time_in_force, exits.limit_price) == (OrderType.MARKET, "gtc", None)


@pytest.mark.parametrize(
    ("filled", "time_in_force", "seconds"),
    [("0.1", "ioc", 2), ("0.1895", "ioc", 2), ("0.1896", "ioc", None), ("0.1", "gtc", None)],
)
def test_the_rest_of_a_limit_sale_waits_two_seconds_if_it_can_be_sold(
    filled: str, time_in_force: str, seconds: int | None
) -> None:
    orders = [done(filled="0.2"), done(Purpose.TAKE_PROFIT, 2, filled=filled, time_in_force=time_in_force)]
    after = lifecycle.book(holding(CycleStatus.SELLING), orders, NOW).cycle
    assert after.next_sell_at == (None if seconds is None else NOW + timedelta(seconds=seconds))
    assert (after.refusals, after.problem) == (0, None)
