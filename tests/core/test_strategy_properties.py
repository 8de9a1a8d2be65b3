"""What must hold for any numbers that the strategy is asked about."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from dca.core.model import Asset, Cycle, CycleStatus, Mode, Purpose, Quote, Side, TradingRules
from dca.core.strategy import MAX_SELL_DOLLARS, MIN_BUY_DOLLARS, Place, decide, levels
from tests.builders import NOW, D, asset, cycle, quote, rules
from tests.core.test_strategy import NOTHING, shown


def decimals(least: str, most: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(min_value=D(least), max_value=D(most), places=places)


amounts = decimals("10.5", "200000", 2)
percents = decimals("0.01", "99", 4)
prices = st.one_of(decimals("0.000001", "0.01", 9), decimals("0.01", "100", 6), decimals("100", "200000", 2))
increments = st.sampled_from([D("1e-9"), D("0.000001"), D("0.0001"), D("0.01")])

mostly_true = st.sampled_from([True] * 7 + [False])

assets = st.builds(
    asset,
    is_enabled=mostly_true,
    base_order_amount=amounts,
    safety_order_amount=amounts,
    max_safety_orders=st.sampled_from([5, 3, 1, 0]),
    safety_order_deviation=percents,
    take_profit_percent=percents,
    cooldown_period=st.integers(0, 600),
    buy_order_price_deviation_percent=decimals("0", "99", 4),
    last_sell_price=st.none() | prices,
    lock_reason=st.sampled_from([None] * 7 + ["break"]),
)
cooldown_starts = st.none() | st.integers(0, 900).map(lambda seconds: NOW - timedelta(seconds=seconds))
Scene = tuple[Asset, Cycle, Quote, TradingRules, Mode]


@st.composite
def cycles(draw: st.DrawFn, average: Decimal) -> Cycle:
    """Mostly one that watches; holds nothing, next to nothing, or something."""
    watching = [CycleStatus.WATCHING] * 10
    found = cycle(
        draw(st.sampled_from([*watching, *CycleStatus])),
        cooldown_started_at=draw(cooldown_starts),
        next_buy_at=draw(st.sampled_from([None, None, None, NOW, NOW + timedelta(seconds=1)])),
        next_sell_at=draw(st.sampled_from([None, None, None, NOW, NOW + timedelta(seconds=1)])),
    )
    bought = draw(
        st.just(D(0)) | decimals("0.000000001", "1", 9) | decimals("1", "10", 9) | decimals("10", "9999", 9)
    )
    if not bought or found.status is CycleStatus.COOLDOWN:
        return found
    return replace(
        found,
        quantity=bought,
        bought_qty=bought,
        bought_cost=bought * average,
        average_purchase_price=average,
        last_order_fill_price=draw(st.sampled_from([average, average * D("0.9"), average * D("1.1")])),
        safety_orders=draw(st.integers(0, 3)),
    )


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """An asset, a cycle of it, and a quote at or near one of the prices that matter."""
    row, average = draw(assets), draw(prices)
    held = draw(cycles(average))
    near = [average, average * (1 + row.take_profit_percent / 100)]
    if held.last_order_fill_price is not None:
        near.append(held.last_order_fill_price * (1 - row.safety_order_deviation / 100))
    bid = draw(st.sampled_from(near)) * draw(st.sampled_from([D(1), D("0.9999"), D("1.0001"), D("0.8")]))
    spread = draw(st.sampled_from([D(1), D("1.0001"), D("1.02")]))
    increment = draw(increments)
    known = rules(
        tradable=draw(mostly_true),
        min_order_size=increment * draw(st.sampled_from([1, 5, 1000])),
        qty_increment=increment,
        price_increment=draw(increments),
    )
    mode = draw(st.sampled_from([*[Mode.RUN] * 9, *Mode]))
    return row, held, quote(str(bid), str(bid * spread)), known, mode


def kind(scene: Scene) -> str:
    row, held, seen, known, mode = scene
    words = shown(decide(row, held, seen, known, NOW, mode)).split()
    return " ".join(words[:2]) if words[0] == "buy" else words[0]


@pytest.mark.parametrize("wanted", ["buy base", "buy safety", "sell", "end", NOTHING])
def test_the_scenes_reach_every_kind_of_action(wanted: str) -> None:
    """Or the properties below would say nothing."""
    without_shrinking = settings(max_examples=5000, phases=[Phase.generate])
    found = find(scenes(), lambda scene: kind(scene) == wanted, settings=without_shrinking)
    assert kind(found) == wanted


@settings(max_examples=300)
@given(scenes())
def test_no_level_reached_no_action(scene: Scene) -> None:
    row, held, seen, known, mode = scene
    if not levels(row, held, known, NOW, mode).reached(seen, NOW):
        assert decide(row, held, seen, known, NOW, mode) is None


@settings(max_examples=300)
@given(scenes())
def test_what_every_order_keeps(scene: Scene) -> None:
    """Computed with fractions, so that nothing here rounds."""
    row, held, seen, known, mode = scene
    action = decide(row, held, seen, known, NOW, mode)
    if not isinstance(action, Place):
        return
    assert held.status is CycleStatus.WATCHING
    assert row.lock_reason is None and mode is not Mode.HALT
    waits_until = held.next_buy_at if action.purpose.side is Side.BUY else held.next_sell_at
    assert waits_until is None or waits_until <= NOW
    assert action.qty > 0 and Fraction(action.qty) % Fraction(known.qty_increment) == 0
    if action.purpose.side is Side.SELL:
        assert known.min_order_size <= action.qty <= held.quantity
        if held.quantity * seen.bid <= MAX_SELL_DOLLARS:
            assert held.quantity < action.qty + known.qty_increment
        elif held.quantity >= 2 * known.min_order_size:
            assert action.qty * 2 <= held.quantity
        if action.qty * seen.bid > MAX_SELL_DOLLARS:
            assert action.qty < 2 * known.min_order_size, "only if the smallest order is above the largest"
        wanted = Fraction(held.average_purchase_price) * (1 + Fraction(row.take_profit_percent) / 100)
        assert Fraction(seen.bid) >= wanted
        return
    assert row.is_enabled and mode is Mode.RUN and known.tradable
    assert action.limit_price is not None and 0 < action.limit_price <= seen.ask
    assert Fraction(action.limit_price) % Fraction(known.price_increment) == 0
    assert action.qty >= known.min_order_size
    cost = Fraction(action.qty) * Fraction(action.limit_price)
    if action.purpose is Purpose.BASE:
        assert held.quantity < known.min_order_size
        assert cost <= max(Fraction(row.base_order_amount - held.bought_cost), Fraction(MIN_BUY_DOLLARS))
        return
    assert cost <= Fraction(row.safety_order_amount)
    assert action.level == held.safety_orders + 1 <= row.max_safety_orders
    assert held.last_order_fill_price is not None
    fall = 1 - Fraction(row.safety_order_deviation) / 100
    assert Fraction(seen.ask) <= Fraction(held.last_order_fill_price) * fall
