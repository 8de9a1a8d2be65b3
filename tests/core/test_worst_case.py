"""One sum for what a cycle costs at the most: bounded, whatever prices and smallest orders do, and the same
on every screen."""

import io
import random
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from dca.core import ledger, strategy
from dca.core.model import (
    Asset,
    Cycle,
    CycleStatus,
    Mode,
    Order,
    Purpose,
    Quote,
    TradingRules,
    round_up,
)
from dca.core.strategy import Place, worst_case
from dca.operator.asset_settings import ladder_table
from dca.operator.asset_settings.assets import _record
from dca.operator.asset_settings.ladder_table import PairOnExchange
from dca.operator.setup import doctor_checks
from dca.operator.views import status_rows
from tests.builders import NOW, D, asset, done, holding
from tests.looking import books, overview
from tests.operator.test_doctor import account

FINE = D("1e-9")


def rules_at(price: Decimal, least_dollars: str = "1") -> TradingRules:
    """The exchange's smallest order is worth about a dollar, whatever the price (alpaca.md 2.2)."""
    least = round_up(D(least_dollars) / price, FINE)
    return TradingRules(
        symbol="BTC/USD", tradable=True, min_order_size=least, qty_increment=FINE, price_increment=FINE
    )


def fall(of: Asset, price: Decimal, factor: str, parts: random.Random | None = None) -> tuple[Cycle, int]:
    """The price falls until nothing is left of it. Each buy is filled, or a part of it where `parts` says so.
    Returns the cycle and how many base orders it had."""
    cycle, orders = Cycle(id=1, asset_id=1, status=CycleStatus.WATCHING), list[Order]()
    while price > D("0.00001"):
        quote = Quote(symbol="BTC/USD", bid=price, ask=price, at=NOW, received_at=NOW)
        action = strategy.decide(of, cycle, quote, rules_at(price), NOW, Mode.RUN)
        if isinstance(action, Place) and action.limit_price is not None:
            share = D(1) if parts is None else D(parts.choice(("0.02", "0.06", "0.5", "1", "1")))
            filled = (action.qty * share).quantize(FINE)
            limit, seq = str(action.limit_price), len(orders) + 1
            bought = done(action.purpose, seq=seq, filled=str(filled), price=limit, level=action.level)
            orders.append(bought)
            cycle = ledger.with_totals(cycle, orders)
        price *= D(factor)
    return cycle, sum(order.purpose is Purpose.BASE for order in orders)


@pytest.mark.parametrize("factor", ["0.9", "0.5", "0.04"])
@pytest.mark.parametrize(
    "settings",
    [
        {"base_order_amount": D("10.5"), "max_safety_orders": 0},
        {"base_order_amount": D(20), "max_safety_orders": 0},
        {"base_order_amount": D(200), "max_safety_orders": 2},
        {},
    ],
)
def test_a_fall_without_end_costs_no_more_than_the_ladder(settings: dict[str, object], factor: str) -> None:
    """A base order that has become too small to be sold is not bought again with each tenth of the price."""
    of = asset(**settings)
    cycle, base_orders = fall(of, D(80), factor)
    assert 0 < cycle.bought_cost <= worst_case(of)
    assert base_orders == 1


@pytest.mark.parametrize("base", ["10.5", "11.99", "12", "20", "500"])
def test_whatever_part_of_a_buy_is_filled_the_sum_holds(base: str) -> None:
    for seed in range(60):
        parts = random.Random(seed)
        of = asset(base_order_amount=D(base), max_safety_orders=seed % 4)
        cycle, _ = fall(of, D(80), parts.choice(("0.97", "0.6", "0.1")), parts)
        assert cycle.bought_cost <= worst_case(of), seed


def test_a_first_part_too_small_to_be_sold_is_still_topped_up() -> None:
    """Of the smallest base order there is; else the cycle would wait for ever."""
    of = asset(base_order_amount=D("10.50"), max_safety_orders=0)
    part = holding(bought="0.005", fee="0", average="100", safety_orders=0)
    assert strategy.top_up_amount(of, part) == strategy.MIN_BUY_DOLLARS
    assert part.bought_cost + strategy.MIN_BUY_DOLLARS <= worst_case(of)


# ---- a live cycle ------------------------------------------------------------------------------------------

BOUGHT = holding(safety_orders=0)
FULL = replace(BOUGHT, bought_cost=D(110), safety_orders=3)
ADOPTED = replace(BOUGHT, quantity=D(5), bought_qty=D(5), bought_cost=D(500), safety_orders=1)


@pytest.mark.parametrize(
    ("cycle", "to_come", "worst"),
    [
        (None, 110, 110),
        (Cycle(id=1, asset_id=1, status=CycleStatus.COOLDOWN), 110, 110),
        (BOUGHT, 90, 110),
        (FULL, 0, 110),
        (replace(BOUGHT, bought_cost=D(5)), 15 + 90, 110),
        (ADOPTED, 60, 560),
        (replace(ADOPTED, safety_orders=9), 0, 500),
        (replace(FULL, sold_proceeds=D(50), sell_fee=D(1)), 0, 110),
    ],
)
def test_what_may_still_come_and_the_whole(cycle: Cycle | None, to_come: int, worst: int) -> None:
    """$20 and three times $30."""
    assert strategy.still_to_come(asset(), cycle) == to_come
    assert worst_case(asset(), cycle) == worst


def test_coins_that_were_adopted_are_in_every_screens_sum() -> None:
    """status, assets, set and doctor."""
    made = books(assets=[asset()], cycles={1: ADOPTED})
    assert status_rows.rows(overview(of=made))[0].worst_case == 560
    assert _record(asset(), ADOPTED)["worst_case"] == "560"
    told = Console(file=io.StringIO(), width=200)
    ladder_table.show_worst_case(told, asset(), ADOPTED, PairOnExchange(buying_power=D(1000)), [])
    assert isinstance(told.file, io.StringIO)
    assert told.file.getvalue().startswith(
        "Worst case of a cycle: $560.00 (spent 500.00 + still to come 60.00)"
    )
    assert "6.00 % of the account's buying power" in told.file.getvalue()
    line = doctor_checks.of_spending([asset()], {1: ADOPTED}, account("60"))
    assert line.fact.startswith("560.00 at worst, 500.00 of it spent")
    assert line.remedy is None, "and what is spent is asked of nobody again"
    assert "0.01 are missing" in (
        doctor_checks.of_spending([asset()], {1: ADOPTED}, account("59.99")).remedy or ""
    )
