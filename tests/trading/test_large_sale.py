"""A cycle that is worth more than the exchange takes in one order is sold in several (alpaca.md 3)."""

import random
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from dca.core import strategy
from dca.core.model import Cycle, CycleStatus, Mode, Order, Purpose, Side
from dca.core.strategy import MAX_SELL_DOLLARS, Place, decide
from proof.simulation.acts import Acts
from proof.simulation.run import PRICES, heal
from proof.simulation.world import World, quiet_logging
from tests.builders import NOW, D, asset, holding, quote, rules
from tests.caring import check, edit
from tests.operator.test_holding import bot
from tests.rig import SYMBOL, Rig

LARGEST = Decimal(200_000)


def large(rig: Rig, dollars: int = 150_000) -> None:
    edit(rig, f"UPDATE dca_assets SET base_order_amount = {dollars}, safety_order_amount = {dollars}")
    rig.exchange.largest = LARGEST
    rig.look()
    for price in ("100", "98.9", "97.9"):
        rig.quote(price)
        rig.trader.books.book(rig.exchange.fill(rig.last_id(), price=price))


def sold_out(rig: Rig, price: str) -> list[Order]:
    """Quotes at a price, and each order fills, until nothing is sold any more."""
    for _ in range(10):
        count = len(rig.exchange.posts)
        rig.look()
        rig.quote(price)
        if len(rig.exchange.posts) == count:
            break
        rig.trader.books.book(rig.exchange.fill(rig.last_id(), price=price))
        if rig.cycle().id == 2:
            break
    return [order for order in rig.orders(1) if order.side is Side.SELL]


def test_it_is_sold_in_even_parts_and_is_one_complete_cycle(rig: Rig) -> None:
    large(rig)
    held = rig.cycle().quantity
    sales = sold_out(rig, "101.5")
    assert len(sales) == 3 and {each.purpose for each in sales} == {Purpose.TAKE_PROFIT}
    assert all(each.filled_qty * Decimal("101.5") <= MAX_SELL_DOLLARS for each in sales)
    assert max(each.qty for each in sales) - min(each.qty for each in sales) < Decimal("1e-8")
    assert sum(each.filled_qty for each in sales) == held.quantize(Decimal("1e-9"), rounding="ROUND_DOWN")
    ended = rig.store.transaction(lambda tx: tx.cycle(1))
    assert (ended.status, rig.cycle().status) == (CycleStatus.COMPLETE, CycleStatus.COOLDOWN)
    assert ended.net_profit > 0
    assert rig.asset().last_sell_price == Decimal("101.5")
    assert check(rig).changed == 0
    assert rig.violations() == []


def test_the_rest_waits_for_its_price_and_buys_no_base_order(rig: Rig) -> None:
    large(rig)
    rig.quote("101.5")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="101.5"))
    assert rig.cycle().status is CycleStatus.WATCHING and rig.cycle().quantity > 0
    rig.look()
    rig.quote("99")
    assert len(rig.exchange.posts) == 4, "neither sold below its price nor bought"
    assert len(sold_out(rig, "101.5")) == 3


def test_what_the_operator_wants_sold_is_sold_in_parts_too(rig: Rig, tmp_path: Path) -> None:
    large(rig)
    code, said = bot(rig, tmp_path, "sell BTC/USD --yes")
    assert code == 0 and "in 3 orders" in said
    sales = sold_out(rig, "95")
    assert len(sales) == 3 and {each.purpose for each in sales} == {Purpose.EXIT}
    assert rig.cycle().status is CycleStatus.COOLDOWN


def test_a_part_is_bounded_by_the_position_and_not_enlarged_to_it(rig: Rig) -> None:
    large(rig)
    rig.exchange.held[SYMBOL] -= Decimal("0.5")  # less than fees may explain
    rig.quote("101.5")
    sale = rig.orders()[-1]
    assert sale.side is Side.SELL and sale.qty * Decimal("101.5") <= MAX_SELL_DOLLARS


def parts(cycle: Cycle, bid: str) -> list[Decimal]:
    """The sales of one cycle at one bid, each filled whole."""
    found: list[Decimal] = []
    while True:
        action = decide(asset(), cycle, quote(bid), rules(), NOW, Mode.RUN)
        if not isinstance(action, Place) or action.purpose.side is not Side.SELL:
            return found
        found.append(action.qty)
        left = cycle.quantity - action.qty
        cycle = holding(bought=str(left + cycle.buy_fee_qty), fee=str(cycle.buy_fee_qty))


@pytest.mark.parametrize(
    ("coins", "bid", "orders"),
    [("1", "103", 1), ("1800", "103", 1), ("1850", "103", 2), ("20000", "103", 11), ("1900.0001", "101", 2)],
)
def test_how_many_orders(coins: str, bid: str, orders: int) -> None:
    found = parts(holding(bought=coins, fee="0"), bid)
    assert len(found) == orders and sum(found) == D(coins)
    assert all(qty * D(bid) <= MAX_SELL_DOLLARS for qty in found)
    assert min(found) >= rules().min_order_size


def test_a_smallest_order_that_is_larger_than_the_largest_is_sold_all_the_same() -> None:
    """Nonsense of the exchange's; a part that it would not take is no remedy."""
    odd = rules(min_order_size=D(5000))
    action = decide(asset(), holding(bought="9000", fee="0"), quote("103"), odd, NOW, Mode.RUN)
    assert isinstance(action, Place) and action.qty == 9000


def test_simulated_with_faults_it_ends_with_the_money_counted() -> None:
    quiet_logging()
    row = {
        "asset_symbol": "BTC/USD",
        "is_enabled": True,
        "base_order_amount": Decimal(150_000),
        "safety_order_amount": Decimal(150_000),
        "max_safety_orders": 2,
        "safety_order_deviation": Decimal("0.5"),
        "take_profit_percent": Decimal(1),
        "cooldown_period": 5,
        "buy_order_price_deviation_percent": Decimal(3),
    }
    several = 0
    for seed in range(1, 7):
        world = World(seed, [row], {"BTC/USD": PRICES["BTC/USD"]})
        try:
            dice = random.Random(seed)
            for kind in ("submit.drop_before", "submit.accept_then_drop", "submit.gateway_page"):
                world.hub.at(dice.uniform(1, 200), partial(world.weather.arm, kind))
            world.begin()
            world.run(300)
            if not world.violations:
                heal(world, Acts(world))
            assert world.violations == []
            orders = world.tables().orders.values()
            sales = [each.cycle_id for each in orders if each.side is Side.SELL and each.filled_qty > 0]
            several += sum(sales.count(each) > 1 for each in set(sales))
        finally:
            world.close()
    assert several >= 3
    assert strategy.MAX_SELL_DOLLARS < LARGEST
