"""The trading idea, a row for each sentence about it."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from dca.core import strategy
from dca.core.model import Asset, Cycle, CycleStatus, Mode, OrderType, Purpose, Quote, TradingRules, plain
from dca.core.strategy import (
    Action,
    CancelBuy,
    EndCooldown,
    Place,
    asset_problems,
    decide,
    levels,
    quote_problem,
)
from tests.builders import NOW, D, asset, cycle, holding, quote, rules

NOTHING = "nothing"


@dataclass(frozen=True)
class Row:
    """One sentence: seen this, do that. The default asset and cycles are those of builders.py."""

    says: str
    cycle: Cycle
    quote: Quote
    expect: str
    asset: Asset = field(default_factory=asset)
    rules: TradingRules = field(default_factory=rules)
    mode: Mode = Mode.RUN


def shown(action: Action | None) -> str:
    """An action as the table writes it."""
    match action:
        case None:
            return NOTHING
        case CancelBuy():
            return "cancel the buy"
        case EndCooldown(early_at=price):
            return "end the cooldown" if price is None else "end the cooldown early"
        case Place(purpose=Purpose.TAKE_PROFIT, order_type=OrderType.MARKET, limit_price=None):
            return f"sell {plain(action.qty)}"
        case Place(purpose=Purpose.EXIT, order_type=OrderType.MARKET, limit_price=None, trigger_price=None):
            return f"sell {plain(action.qty)} as wanted"
        case Place(purpose=Purpose.BASE, order_type=OrderType.LIMIT, limit_price=Decimal() as limit):
            return f"buy base {plain(action.qty)} at {plain(limit)}"
        case Place(purpose=Purpose.SAFETY, order_type=OrderType.LIMIT, limit_price=Decimal() as limit):
            return f"buy safety {action.level} {plain(action.qty)} at {plain(limit)}"
    raise AssertionError(f"no such action: {action}")


S = CycleStatus
DISABLED = asset(is_enabled=False)
SOLD = asset(last_sell_price=D(100))
COOLING = cycle(S.COOLDOWN, cooldown_started_at=NOW - timedelta(seconds=299))
COOLED = cycle(S.COOLDOWN, cooldown_started_at=NOW - timedelta(seconds=300))
TOO_LITTLE = holding(bought="0.005", fee="0.0000125")
WANTED_SOLD = holding(exit_requested_at=NOW)
WAITS_TO_SELL = replace(WANTED_SOLD, next_sell_at=NOW + timedelta(seconds=1))
FAR = replace(holding(), safety_orders=1, last_order_fill_price=D(90))

TABLE = [
    # Base order: "placing an initial base order", a limit buy at the ask for base_order_amount dollars.
    Row("nothing held: buy", cycle(), quote("99.90", "100"), "buy base 0.2 at 100"),
    Row("the quantity is rounded down", cycle(), quote("2.99", "3"), "buy base 6.6666 at 3"),
    Row("the limit is rounded down to the tick", cycle(), quote("3.0", "3.009"), "buy base 6.6666 at 3"),
    Row("no order below the exchange's smallest", cycle(), quote("2000.1"), NOTHING),
    Row("the smallest itself is taken", cycle(), quote("2000"), "buy base 0.01 at 2000"),
    Row("a price below one tick buys nothing", cycle(), quote("0.001", "0.009"), NOTHING),
    # Safety order: the ask is safety_order_deviation percent below the last fill.
    Row("exactly at the trigger", holding(), quote("98.4", "98.5"), "buy safety 1 0.3045 at 98.5"),
    Row("one tick above the trigger", holding(), quote("98.4", "98.51"), NOTHING),
    Row("the bid alone decides no buy", holding(), quote("98.0", "98.6"), NOTHING),
    Row("a gap through three levels buys one", holding(), quote("90"), "buy safety 1 0.3333 at 90"),
    Row("the next trigger follows from the real fill", FAR, quote("88.65"), "buy safety 2 0.3384 at 88.65"),
    Row("and not from the level that was missed", FAR, quote("88.66"), NOTHING),
    Row(
        "the last fill counts, not the average",
        holding(average="95", last_fill="100"),
        quote("95.2"),
        "buy safety 1 0.3151 at 95.2",
    ),
    Row(
        "the ask is above the take-profit, the bid is not: that is no profit",
        holding(average="95", last_fill="100"),
        quote("95.5", "97"),
        "buy safety 1 0.3092 at 97",
    ),
    Row("the last one allowed", holding(safety_orders=2), quote("90"), "buy safety 3 0.3333 at 90"),
    Row("and none after it", holding(safety_orders=3), quote("90"), NOTHING),
    Row("max_safety_orders lowered below what was used", holding(safety_orders=5), quote("9"), NOTHING),
    Row("no safety orders wanted", holding(), quote("50"), NOTHING, asset=asset(max_safety_orders=0)),
    # Take-profit: the bid is take_profit_percent above the average: market sell of all that is held.
    Row("exactly at the take-profit", holding(), quote("101", "101.1"), "sell 0.1995"),
    Row("one tick below the take-profit", holding(), quote("100.99", "101"), NOTHING),
    Row("the ask alone decides no sell", holding(), quote("100.5", "101.5"), NOTHING),
    Row("far above: all of it, once", holding(), quote("500"), "sell 0.1995"),
    Row(
        "never more than is held: rounded down",
        holding(fee="0.00051234"),
        quote("101"),
        "sell 0.1994",
    ),
    Row("the average decides, not the last fill", holding(last_fill="90"), quote("91"), NOTHING),
    Row("between the triggers there is nothing to do", holding(), quote("99.5"), NOTHING),
    # Take-profit is met while a buy is live: that one has to go first.
    Row("a buy is in the way", holding(S.BUYING), quote("101"), "cancel the buy"),
    Row("a buy is live and no profit yet", holding(S.BUYING), quote("100.99"), NOTHING),
    Row("a buy is live: no second one", holding(S.BUYING), quote("50"), NOTHING),
    Row("the first buy is live: no second one", cycle(S.BUYING), quote("100"), NOTHING),
    Row("a sell is live: nothing", holding(S.SELLING), quote("150"), NOTHING),
    Row("a sell is live: no buy either", holding(S.SELLING), quote("50"), NOTHING),
    # Cooldown ends by time, or early by price.
    Row("one second to go", COOLING, quote("100"), NOTHING, asset=SOLD),
    Row("its time is up", COOLED, quote("500"), "end the cooldown", asset=SOLD),
    Row("a cooldown of no seconds", COOLING, quote("99"), "end the cooldown", asset=asset(cooldown_period=0)),
    Row("the price is 2 % below the sale", COOLING, quote("97", "98"), "end the cooldown early", asset=SOLD),
    Row("one tick above that", COOLING, quote("97", "98.01"), NOTHING, asset=SOLD),
    Row("never sold before: only time counts", COOLING, quote("1"), NOTHING),
    Row(
        "a cooldown without a sale has nothing to wait for", cycle(S.COOLDOWN), quote("9"), "end the cooldown"
    ),
    Row("a disabled asset cools down too", COOLED, quote("9"), "end the cooldown", asset=DISABLED),
    # The operator wants it sold: at any price, and nothing is bought meanwhile.
    Row("wanted sold: at any price", WANTED_SOLD, quote("50"), "sell 0.1995 as wanted"),
    Row("wanted sold: nothing is bought while the sale waits", WAITS_TO_SELL, quote("50"), NOTHING),
    Row(
        "wanted sold: the live buy goes first",
        replace(WANTED_SOLD, status=S.BUYING),
        quote("50"),
        "cancel the buy",
    ),
    Row("wanted sold, and nothing held: nothing", cycle(exit_requested_at=NOW), quote("50"), NOTHING),
    Row(
        "wanted sold, and only dust held: nothing",
        replace(TOO_LITTLE, exit_requested_at=NOW),
        quote("50"),
        NOTHING,
    ),
    # is_enabled = FALSE: no new buys of any kind; take-profit still sells.
    Row("disabled: no base order", cycle(), quote("100"), NOTHING, asset=DISABLED),
    Row("disabled: no safety order", holding(), quote("90"), NOTHING, asset=DISABLED),
    Row("disabled: no top-up", TOO_LITTLE, quote("90"), NOTHING, asset=DISABLED),
    Row("disabled: sells", holding(), quote("101"), "sell 0.1995", asset=DISABLED),
    Row(
        "disabled: still cancels for a sell",
        holding(S.BUYING),
        quote("101"),
        "cancel the buy",
        asset=DISABLED,
    ),
    # The exchange does not trade the pair now.
    Row("not tradable: no buy", cycle(), quote("100"), NOTHING, rules=rules(tradable=False)),
    # A base order of which too little was filled to be sold again is topped up by a new base order.
    Row("topped up to the amount", TOO_LITTLE, quote("100"), "buy base 0.195 at 100"),
    Row("at any price", TOO_LITTLE, quote("150"), "buy base 0.13 at 150"),
    Row("not sold, whatever the profit", TOO_LITTLE, quote("500"), "buy base 0.039 at 500"),
    Row(
        "a top-up is at least what the exchange takes",
        holding(bought="0.0009", fee="0", average="1000"),
        quote("1000"),
        "buy base 0.0105 at 1000",
        asset=asset(base_order_amount=D(11)),
    ),
    Row(
        "what a fall made too small is not bought again, but a step of the ladder",
        holding(bought="0.0099", fee="0", average="2000"),
        quote("1000"),
        "buy safety 1 0.03 at 1000",
    ),
    Row(
        "and then it waits",
        holding(bought="0.0099", fee="0", average="2000", safety_orders=3),
        quote("10"),
        NOTHING,
    ),
    Row("enough to be sold is enough", holding(bought="0.01", fee="0"), quote("101"), "sell 0.01"),
    # A refusal: the refused side waits, and only that one.
    Row("not yet again: buy", cycle(next_buy_at=NOW + timedelta(seconds=1)), quote("100"), NOTHING),
    Row("not yet again: sell", holding(next_sell_at=NOW + timedelta(seconds=1)), quote("101"), NOTHING),
    Row("now again", cycle(next_buy_at=NOW), quote("100"), "buy base 0.2 at 100"),
    Row(
        "a refused buy keeps no sell waiting",
        holding(next_buy_at=NOW + timedelta(hours=1)),
        quote("101"),
        "sell 0.1995",
    ),
    # A locked asset does nothing at all; nor does one of which the cycle has ended.
    Row("locked: no buy", cycle(), quote("100"), NOTHING, asset=asset(lock_reason="break")),
    Row("locked: no sell", holding(), quote("101"), NOTHING, asset=asset(lock_reason="break")),
    Row("locked: no end of cooldown", COOLED, quote("100"), NOTHING, asset=asset(lock_reason="break")),
    Row("complete", cycle(S.COMPLETE), quote("100"), NOTHING),
    Row("error", cycle(S.ERROR), quote("100"), NOTHING),
    # The kill switch.
    Row("exits only: no base order", cycle(), quote("100"), NOTHING, mode=Mode.EXITS_ONLY),
    Row("exits only: no safety order", holding(), quote("90"), NOTHING, mode=Mode.EXITS_ONLY),
    Row("exits only: sells", holding(), quote("101"), "sell 0.1995", mode=Mode.EXITS_ONLY),
    Row(
        "exits only: cancels for a sell",
        holding(S.BUYING),
        quote("101"),
        "cancel the buy",
        mode=Mode.EXITS_ONLY,
    ),
    Row("halt: no buy", cycle(), quote("100"), NOTHING, mode=Mode.HALT),
    Row("halt: no sell", holding(), quote("101"), NOTHING, mode=Mode.HALT),
    Row("halt: no cancel", holding(S.BUYING), quote("101"), NOTHING, mode=Mode.HALT),
    Row("halt: no end of cooldown", COOLED, quote("100"), NOTHING, mode=Mode.HALT),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.says)
def test_the_strategy(row: Row) -> None:
    action = decide(row.asset, row.cycle, row.quote, row.rules, NOW, row.mode)
    assert shown(action) == row.expect
    reached = levels(row.asset, row.cycle, row.rules, NOW, row.mode).reached(row.quote, NOW)
    assert reached or action is None, "a quote that reaches no level must lead to nothing"


def test_every_sentence_is_there_once() -> None:
    says = [row.says for row in TABLE]
    assert len(says) == len(set(says))


def test_an_order_says_what_decided_it() -> None:
    safety = decide(asset(), holding(), quote("98.4", "98.5"), rules(), NOW, Mode.RUN)
    assert isinstance(safety, Place)
    assert (safety.trigger_price, safety.quote_price) == (D("98.5"), D("98.5"))
    assert safety.reason == "ask 98.5 fell to 98.5, 1.5 % below last fill 100"
    sale = decide(asset(), holding(), quote("101.5", "102"), rules(), NOW, Mode.RUN)
    assert isinstance(sale, Place)
    assert (sale.trigger_price, sale.quote_price) == (D(101), D("101.5"))
    assert sale.reason == "bid 101.5 reached 101, 1 % above average 100"


@pytest.mark.parametrize(
    ("seen", "price", "reason"),
    [
        (cycle(), "100", "nothing is held, ask 100"),
        (TOO_LITTLE, "90", "the 0.0049875 held are too few to be sold"),
        (WANTED_SOLD, "50", "the operator wants it sold, bid 50"),
        (holding(), "101", "bid 101 reached 101, 1 % above average 100"),
    ],
)
def test_a_base_order_and_a_sale_say_why_and_are_no_step_of_the_ladder(
    seen: Cycle, price: str, reason: str
) -> None:
    placed = decide(asset(), seen, quote(price), rules(), NOW, Mode.RUN)
    assert isinstance(placed, Place)
    assert (placed.reason, placed.level) == (reason, 0)


@pytest.mark.parametrize(
    ("price", "words"),
    [
        ("63138.353432", "63138.353"),
        ("0.0000121604937165", "0.000012160493"),
        ("121604937.165", "121604937"),
        ("1216049371.65", "1216049371"),
        ("98.5", "98.5"),
    ],
)
def test_a_computed_price_is_told_with_as_many_digits_as_matter(price: str, words: str) -> None:
    assert strategy._rounded(D(price)) == words


def test_no_sell_is_below_the_smallest_that_the_exchange_takes() -> None:
    """Where the smallest order is no multiple of the increment."""
    coarse = rules(min_order_size=D("0.00015"), qty_increment=D("0.0001"))
    sale = decide(asset(), holding(bought="0.00016", fee="0"), quote("101"), coarse, NOW, Mode.RUN)
    assert not isinstance(sale, Place) or sale.qty >= coarse.min_order_size


GATE = [
    ("good", quote("100", "100.1"), None),
    ("no spread", quote("100", "100"), None),
    ("as old as allowed", quote("100", age_seconds=15), None),
    ("stale", quote("100", age_seconds=15.001), "15 s old"),
    ("from the future", quote("100", age_seconds=-15.001), "s old"),
    ("not a number", quote("NaN", "100"), "not a number"),
    ("not a number either", quote("100", "NaN"), "not a number"),
    ("signaling", quote("100", "sNaN"), "not a number"),
    ("infinite", quote("100", "Infinity"), "not a number"),
    ("minus infinite", quote("-Infinity", "100"), "not a number"),
    ("zero bid", quote("0", "100"), "not positive"),
    ("zero ask", quote("100", "0"), "not positive"),
    ("negative", quote("-100", "100"), "not positive"),
    ("crossed", quote("100.01", "100"), "crossed"),
    ("as wide as allowed", quote("100", "102"), None),
    ("wide", quote("100", "102.01"), "spread"),
]


@pytest.mark.parametrize(("quote_", "expect"), [row[1:] for row in GATE], ids=[row[0] for row in GATE])
def test_only_good_quotes_decide(quote_: Quote, expect: str | None) -> None:
    problem = quote_problem(quote_, NOW, max_age_seconds=D(15), max_spread_percent=D(2))
    assert (problem is None) if expect is None else (problem is not None and expect in problem)


PROBLEMS: list[tuple[str, Asset, TradingRules | None, list[str]]] = [
    ("fine", asset(), rules(), []),
    ("at the least", asset(base_order_amount=D("10.5"), safety_order_amount=D("10.5")), rules(), []),
    ("base too small", asset(base_order_amount=D("10.49")), rules(), ["base_order_amount"]),
    ("safety too small", asset(safety_order_amount=D(10)), rules(), ["safety_order_amount"]),
    (
        "the only safety order too small",
        asset(safety_order_amount=D(10), max_safety_orders=1),
        rules(),
        ["safety_order_amount"],
    ),
    ("safety not used", asset(safety_order_amount=D(0), max_safety_orders=0), rules(), []),
    ("at the most", asset(base_order_amount=D(200_000)), rules(), []),
    ("base too large", asset(base_order_amount=D("200000.01")), rules(), ["base_order_amount"]),
    ("safety too large", asset(safety_order_amount=D("200000.01")), rules(), ["safety_order_amount"]),
    ("not in dollars", asset(asset_symbol="ETH/BTC"), rules(), ["asset_symbol"]),
    ("in another dollar", asset(asset_symbol="BTC/USDT"), rules(), ["asset_symbol"]),
    ("unknown", asset(), None, ["asset_symbol"]),
    ("not tradable", asset(), rules(tradable=False), ["asset_symbol"]),
    (
        "all at once",
        asset(base_order_amount=D(1), safety_order_amount=D(1)),
        None,
        ["base_order_amount", "safety_order_amount", "asset_symbol"],
    ),
]


@pytest.mark.parametrize(
    ("row", "known", "columns"), [row[1:] for row in PROBLEMS], ids=[r[0] for r in PROBLEMS]
)
def test_a_row_that_makes_no_sense_is_named_by_column(
    row: Asset, known: TradingRules | None, columns: list[str]
) -> None:
    assert [problem.split(" is ")[0] for problem in asset_problems(row, known)] == columns
