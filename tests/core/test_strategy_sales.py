"""Sales that are more than one order, and what an operator's wish does while a buy is open."""

import pytest

from dca.core import strategy
from dca.core.model import CycleStatus, Mode, round_down
from dca.core.strategy import CancelBuy, Place, decide, levels
from tests.builders import NOW, D, asset, cycle, holding, quote, rules


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
