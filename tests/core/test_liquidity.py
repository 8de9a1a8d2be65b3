"""Walks through a book: worked examples, and the local exchange's own fills of the same book."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dca.core import liquidity
from dca.core.book import Level
from dca.core.model import Quote, Side
from paper_exchange.depth import Depth, SeededShape
from paper_exchange.engine import Engine
from paper_exchange.values import Quote as ExchangeQuote

D = Decimal
START = datetime(2026, 1, 2, tzinfo=UTC)
BIDS: list[Level] = [(D(59_990), D("0.3"))]
ASKS: list[Level] = [
    (D(60_010), D("0.05")),
    (D(60_030), D("0.10")),
    (D(60_100), D("0.40")),
    (D(60_200), D(1)),
]
QUOTE = Quote(symbol="BTC/USD", bid=D(59_990), ask=D(60_010), at=START, received_at=START)


def test_mid_and_spread() -> None:
    assert liquidity.mid(QUOTE) == 60_000
    assert f"{liquidity.spread_bps(QUOTE):.2f}" == "3.33"


@pytest.mark.parametrize(
    ("qty", "average", "bps", "times"),
    [
        ("0.008331944", "60010.00", "1.67", "66.0"),
        ("0.166638893", "60030.99", "5.16", "3.30"),
        ("0.333277787", "60065.49", "10.92", "1.65"),
        ("0.666555574", "60100.23", "16.71", "0.83"),
    ],
)
def test_the_price_of_a_quantity(qty: str, average: str, bps: str, times: str) -> None:
    """The table of execution.md, section 5: $500 to $40,000, with 30 bps of slippage allowed."""
    found = liquidity.walk(ASKS, D(qty), Side.BUY)
    assert found is not None
    assert f"{found.average_price:.2f}" == average
    assert f"{liquidity.slippage_bps(found.average_price, D(60_000), Side.BUY):.2f}" == bps
    bound = liquidity.worst_acceptable(D(60_000), D(30), Side.BUY)
    assert (bound, liquidity.reach(ASKS, bound, Side.BUY)) == (D(60_180), D("0.55"))
    digits = len(times.partition(".")[2])
    assert f"{D('0.55') / D(qty):.{digits}f}" in {times, str(round(D(times), 1))}


def test_the_level_that_completes_a_quantity_is_counted() -> None:
    """A loop that leaves before it counts that level never finds a price."""
    found = liquidity.walk(BIDS, D("0.3"), Side.SELL)
    assert found == liquidity.Walk(average_price=D(59_990), worst_price=D(59_990))
    assert liquidity.walk(BIDS, D("0.300000001"), Side.SELL) is None
    assert liquidity.walk([], D("0.1"), Side.SELL) is None


def test_a_take_profit_on_one_good_bid_with_little_behind_it() -> None:
    """execution.md, section 6: the best bid is the take-profit price, and the whole would sell for less."""
    bids = [(D(60_600), D("0.002")), (D(60_500), D("0.01"))]
    found = liquidity.walk(bids, D("0.008312"), Side.SELL)
    assert found is not None
    assert (f"{found.average_price:.2f}", found.worst_price) == ("60524.06", D(60_500))


def test_averages_are_rounded_against_the_taker() -> None:
    thirds = [(D(1), D(1)), (D(2), D(2))]
    bought, sold = (liquidity.walk(thirds, D(3), side) for side in (Side.BUY, Side.SELL))
    assert bought is not None and bought.average_price == D("1.6666666667")
    assert sold is not None and sold.average_price == D("1.6666666666")


def test_a_sale_slips_downward() -> None:
    assert liquidity.slippage_bps(D(99), D(100), Side.SELL) == 100
    assert liquidity.slippage_bps(D(101), D(100), Side.SELL) == -100
    assert liquidity.slippage_bps(D(99), D(100), Side.BUY) == -100
    assert liquidity.worst_acceptable(D(100), D(30), Side.SELL) == D("99.7")


@pytest.mark.parametrize(("side", "bound"), [(Side.BUY, "60030"), (Side.SELL, "59990")])
def test_what_stands_at_the_limit_itself_is_reached(side: Side, bound: str) -> None:
    levels = ASKS if side is Side.BUY else BIDS
    assert liquidity.reach(levels, D(bound), side) == (D("0.15") if side is Side.BUY else D("0.3"))
    beyond = D(bound) - 1 if side is Side.BUY else D(bound) + 1
    assert liquidity.reach(levels, beyond, side) == (D("0.05") if side is Side.BUY else 0)


def as_the_exchange_fills(seeds: range) -> int:
    """Orders of random size on books of these seeds; returns how many took more than one level."""
    deep = 0
    for seed in seeds:
        rng = random.Random(seed)
        engine = Engine(
            seed=seed, now=START, cash=D(10**9), partial_percent=0, depth=Depth(SeededShape(seed))
        )
        price = D(str(round(rng.uniform(0.01, 90_000), 4)))
        quote = ExchangeQuote("ETH/USD", price, (price * D("1.0004")).quantize(D("1e-9")), START)
        engine.set_quote(quote)
        _, asks = engine.book("ETH/USD")
        qty = D(str(round(float(sum(size for _, size in asks)) * rng.uniform(0.01, 0.7), 6)))
        if qty * price < 11:
            continue
        expected = liquidity.walk(asks, qty, Side.BUY)
        order = engine.submit(
            {"symbol": "ETH/USD", "side": "buy", "type": "market", "time_in_force": "gtc", "qty": str(qty)}
        )
        engine.advance(START + timedelta(seconds=0.1))
        assert expected is not None and order.average is not None and order.status == "filled", seed
        assert abs(order.average - expected.average_price) <= D("1e-8"), seed
        last = [each.price for each in engine.executions if each.order_id == order.id][-1]
        assert last == expected.worst_price, seed
        deep += expected.worst_price != asks[0][0]
    return deep


def test_a_walk_costs_what_the_exchange_takes() -> None:
    assert as_the_exchange_fills(range(200)) > 100


@pytest.mark.slow
def test_ten_thousand_walks_cost_what_the_exchange_takes() -> None:
    assert as_the_exchange_fills(range(10_000)) > 5_000
