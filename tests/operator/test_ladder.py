"""The ladder that the operator is shown: it is what the bot buys, and its numbers are the ledger's."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca.core import ledger
from dca.core.model import CycleStatus, Side, round_down
from dca.core.strategy import LEAST_BASE_BUDGET, worst_case
from dca.operator.asset_settings.ladder import (
    Ladder,
    build,
    fee_percent,
    nameless_rules,
    spread_percent,
    warnings,
)
from tests.builders import NOW, D, asset, quote, rules
from tests.rig import RULES, Rig

FINE = nameless_rules("BTC/USD")


def shown(price: Decimal) -> str:
    return f"{price:f}"


@pytest.mark.parametrize("first_price", ["100", "63999.876543211", "7.77"])
def test_the_bot_buys_the_ladder_and_sells_where_it_says(rig: Rig, first_price: str) -> None:
    """The price touches each step exactly; one tick above it nothing happens."""
    tick = RULES.price_increment
    rules_now = rules(qty_increment=D("1e-9"), price_increment=tick, min_order_size=D("0.0000001"))
    rig.desk.rules = {"BTC/USD": rules_now}
    ladder = build(rig.asset(), rules_now, D(first_price), NOW)
    assert len(ladder.steps) == 4 and ladder.missing == 0
    for number, step in enumerate(ladder.steps, start=1):
        if number > 1:
            rig.quote(shown(step.price + tick))
            assert len(rig.orders()) == number - 1, f"step {step.level} was bought too early"
        rig.quote(shown(step.price))
        order = rig.orders()[-1]
        assert (order.seq, order.level, order.side) == (number, step.level, Side.BUY)
        assert (order.qty, order.limit_price) == (step.qty, step.price)
        rig.trader.books.book(rig.exchange.fill(order.client_order_id, price=shown(step.price)))
        cycle = rig.cycle()
        assert (cycle.quantity, cycle.average_purchase_price) == (step.held, step.average_price)
        assert cycle.bought_cost == step.spent
    last = ladder.steps[-1]
    rig.quote(shown(last.price / 2))
    assert len(rig.orders()) == 4, "no more than max_safety_orders"
    rig.quote(shown(last.take_profit_price - D("1e-6")))
    assert rig.cycle().status is CycleStatus.WATCHING
    rig.quote(shown(last.take_profit_price + D("1e-9")))
    assert rig.orders()[-1].side is Side.SELL


settings_of_assets = st.builds(
    lambda base, safety, count, deviation, profit: asset(
        base_order_amount=base,
        safety_order_amount=safety,
        max_safety_orders=count,
        safety_order_deviation=deviation,
        take_profit_percent=profit,
    ),
    st.decimals("10.5", 5000, places=2),
    st.decimals("10.5", 5000, places=2),
    st.integers(0, 12),
    st.decimals("0.05", 40, places=2),
    st.decimals("0.01", 30, places=2),
)


@given(settings_of_assets, st.decimals("0.01", 90000, places=4))
def test_what_holds_for_every_ladder(settings: object, first_price: Decimal) -> None:
    ladder = build(settings, FINE, first_price, NOW)  # type: ignore[arg-type]
    assert ladder.missing == 0
    assert ladder.steps[-1].spent <= worst_case(ladder.asset)
    left = worst_case(ladder.asset) - ladder.steps[-1].spent
    small = max(LEAST_BASE_BUDGET - ladder.asset.base_order_amount, D(0))
    assert left - small < D("0.01") * len(ladder.steps)
    assert [step.level for step in ladder.steps] == list(range(ladder.asset.max_safety_orders + 1))
    for before, step in zip(ladder.steps, ladder.steps[1:], strict=False):
        assert step.price < before.price
        assert step.price <= before.price * (1 - ladder.asset.safety_order_deviation / 100)
        assert step.spent == before.spent + step.cost
    for step in ladder.steps:
        assert step.average_price >= step.price and step.take_profit_price > step.average_price
        assert step.held < sum((each.qty for each in ladder.steps[: step.level + 1]), D(0))


@given(st.decimals("10.5", 100000, places=4), st.decimals("0.0001", 1000, places=9))
def test_break_even_is_the_first_price_that_brings_the_money_back(cost: Decimal, qty: Decimal) -> None:
    def left(price: Decimal) -> Decimal:
        proceeds = price * qty
        return proceeds - ledger.dollar_fee(proceeds) - cost

    price = ledger.break_even_price(cost, qty)
    cents = D("0.01") / qty  # what one cent of rounding in the fee is worth
    assert 0 <= left(price) <= D("1e-10") * qty + D("0.01")
    assert left(price - D("1e-9") - cents) < 0


def test_a_ladder_by_hand() -> None:
    """$20 and $30 at 10 %: 0.2 coins at 100, 0.3333 at 90; 0.25 % of both stays with the exchange."""
    settings = asset(max_safety_orders=1, safety_order_deviation=D(10))
    base, safety = build(settings, rules(), D(100), NOW).steps
    assert (base.price, base.qty, base.cost, base.held) == (D(100), D("0.2"), D(20), D("0.1995"))
    assert (base.take_profit_price, base.rise_percent, base.drop_percent) == (D(101), D(1), D(0))
    # 0.1995 coins at p: p * 0.1995 * 0.9975 = 20, with the fee a whole cent: 20.06 / 0.1995
    assert base.break_even_price == D("100.5513784462")
    assert (safety.price, safety.qty, safety.drop_percent) == (D(90), D("0.3333"), D(10))
    assert (safety.cost, safety.spent) == (D("29.997"), D("49.997"))
    assert safety.held == D("0.5333") - D("0.0005") - D("0.00083325")
    assert safety.average_price == D("93.7502343897")
    assert safety.break_even_price > safety.average_price
    assert round_down(safety.held, D("0.0001")) == D("0.5319"), "what can be sold of it"
    assert safety.break_even_price == ledger.break_even_price(D("49.997"), D("0.5319"))


def test_a_disabled_or_locked_asset_has_the_same_ladder() -> None:
    ladder = build(asset(), rules(), D(100), NOW)
    for changed in (asset(is_enabled=False), asset(lock_reason="the books disagree")):
        assert build(changed, rules(tradable=False), D(100), NOW).steps == ladder.steps


def said(ladder: Ladder, **more: object) -> str:
    return "\n".join(warnings(ladder, more.get("quote"), more.get("power")))  # type: ignore[arg-type]


def test_a_good_ladder_has_no_warning() -> None:
    ladder = build(asset(take_profit_percent=D("0.71")), rules(), D(100), NOW)
    assert said(ladder, quote=quote("99.8", "100"), power=D(110)) == ""


def test_the_worst_case_is_held_against_the_buying_power() -> None:
    ladder = build(asset(), rules(), D(100), NOW)
    assert worst_case(ladder.asset) == 20 + 3 * 30
    assert "worst case of $110.00" in said(ladder, power=D("109.99"))


@pytest.mark.parametrize(
    ("percent", "says"),
    [
        ("0.5", "lose money"),
        ("0.5018", "lose money"),
        ("0.5019", "almost no profit is left"),
        ("0.7", "almost no profit is left"),
    ],
)
def test_a_take_profit_that_the_fees_eat_up(percent: str, says: str) -> None:
    """0.25 % of the coins and 0.25 % of the dollars: 1 / 0.9975 ** 2 = 1.00501882; the spread is 0.2004 %."""
    ladder = build(asset(take_profit_percent=D(percent)), rules(), D(100), NOW)
    assert says in said(ladder, quote=quote("99.8", "100"))
    assert abs(fee_percent() - D("0.50188")) < D("0.00001")
    assert abs(spread_percent(quote("99.8", "100")) - D("0.2004")) < D("0.0001")


def test_a_take_profit_at_the_fees_really_wins_nothing() -> None:
    """The warning's bound against the ledger: a whale's ladder, where cents do not matter."""
    settings = asset(take_profit_percent=round_down(fee_percent(), D("1e-4")), base_order_amount=D(200_000))
    (step,) = build(settings, FINE, D(100), NOW).steps[:1]
    assert step.take_profit_price < step.break_even_price < step.take_profit_price * D("1.00001")


def test_a_drop_that_is_hardly_meant() -> None:
    deep = asset(max_safety_orders=9, safety_order_deviation=D(25))
    assert "safety order 9 waits for a drop of 92.5 %" in said(build(deep, FINE, D(100), NOW))
    assert said(build(asset(max_safety_orders=8, safety_order_deviation=D(25)), FINE, D(100), NOW)) == ""


def test_steps_that_never_come() -> None:
    """Half the price at each step: the price is below its smallest step long before the thousandth."""
    ladder = build(asset(max_safety_orders=1000, safety_order_deviation=D(50)), FINE, D(100), NOW)
    assert len(ladder.steps) + ladder.missing == 1001
    assert f"{ladder.missing} of 1000 safety orders can never be bought" in said(ladder)


def test_an_order_below_the_smallest() -> None:
    ladder = build(asset(), rules(min_order_size=D("0.3")), D(100), NOW)
    assert ladder.steps == () and ladder.missing == 4
    assert "below the exchange's minimum order" in said(ladder)
