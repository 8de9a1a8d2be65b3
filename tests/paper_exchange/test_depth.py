"""The exchange's order book: levels, fills that walk them, the stream's messages, and money that adds up."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paper_exchange.book_messages import BookMessages
from paper_exchange.depth import COLLAR, Depth, RecordedShape, SeededShape
from paper_exchange.engine import Engine
from paper_exchange.values import Order, Quote, Refused
from recordings.values import BadFile, Level

D = Decimal
START = datetime(2026, 1, 2, tzinfo=UTC)
SYMBOL = "SOL/USD"


class FixedShape:
    """The levels that a test says, whatever the quote."""

    def __init__(self, bids: list[Level], asks: list[Level]) -> None:
        self._sides = {"sell": bids, "buy": asks}

    def side(self, quote: Quote, side: str) -> Iterator[Level]:
        yield from self._sides[side]


BIDS = [(D(100), D(2)), (D("99.5"), D(3)), (D("98.5"), D(10)), (D(97), D(50))]
ASKS = [(D(101), D(1)), (D("101.5"), D(4)), (D(102), D(5)), (D("103.5"), D(50))]


class Market:
    """An engine with this book and no chance in it."""

    def __init__(self) -> None:
        self.shape = FixedShape(BIDS, ASKS)
        self.engine = Engine(seed=1, now=START, partial_percent=0, depth=Depth(self.shape))
        self.quote()

    def quote(self, bid: str = "100", ask: str = "101") -> None:
        self.engine.set_quote(Quote(SYMBOL, D(bid), D(ask), self.engine.now))

    def wait(self, seconds: float = 0.1) -> None:
        self.engine.advance(self.engine.now + timedelta(seconds=seconds))

    def order(self, side: str, qty: str, **more: str) -> Order:
        body = {"symbol": SYMBOL, "side": side, "type": "market", "time_in_force": "gtc", "qty": qty, **more}
        order = self.engine.submit(body)
        self.wait()
        return order

    def fills(self, order: Order) -> list[tuple[str, str]]:
        made = [e for e in self.engine.executions if e.order_id == order.id]
        return [(f"{e.price.normalize():f}", f"{e.qty.normalize():f}") for e in made]


def test_a_market_order_walks_the_levels() -> None:
    market = Market()
    bought = market.order("buy", "6")
    assert market.fills(bought) == [("101", "1"), ("101.5", "4"), ("102", "1")]
    assert (bought.status, bought.average) == ("filled", D("101.500000000"))


def test_what_was_taken_is_missing_until_others_have_come() -> None:
    market = Market()
    market.order("buy", "1")
    assert market.fills(market.order("buy", "1")) == [("101.5", "1")]
    market.wait(14.9)
    market.quote()
    price, size = market.engine.book(SYMBOL)[1][0]
    assert price == D(101) and D("0.45") < size < D("0.55"), "half of it is back after a half-life"
    market.wait(900)
    market.quote()
    assert market.engine.book(SYMBOL)[1] == ASKS


def test_a_used_up_level_is_not_quoted() -> None:
    market = Market()
    market.order("buy", "1")
    market.quote()
    assert (market.engine.quotes[SYMBOL].ask, market.engine.quotes[SYMBOL].ask_size) == (D("101.5"), D(4))


def test_a_market_order_stops_at_the_collar_and_waits_there() -> None:
    market = Market()
    bought = market.order("buy", "30")
    assert market.fills(bought) == [("101", "1"), ("101.5", "4"), ("102", "5")], "103.5 is above 2 %"
    assert (bought.status, bought.remaining) == ("partially_filled", D(20))
    assert all(e.price <= D(101) * (1 + COLLAR) for e in market.engine.executions)


def test_ioc_cancels_its_rest_and_gtc_rests() -> None:
    market = Market()
    at_once = market.order("buy", "3", type="limit", limit_price="101", time_in_force="ioc")
    assert (at_once.status, at_once.filled_qty) == ("canceled", D(1))
    market.wait(900)
    market.quote()
    resting = market.order("buy", "3", type="limit", limit_price="101")
    assert (resting.status, resting.filled_qty) == ("partially_filled", D(1))
    market.wait(900)
    market.quote()
    assert resting.filled_qty == D(2), "the market came to it once more"
    assert {e.liquidity for e in market.engine.executions if e.order_id == resting.id} == {"taker", "maker"}


def test_a_resting_order_joins_the_book_and_is_filled_at_its_own_price() -> None:
    market = Market()
    resting = market.order("buy", "2", type="limit", limit_price="99")
    assert (D(99), D(2)) in market.engine.book(SYMBOL)[0]
    market.shape._sides = {"sell": [(D(97), D(1))], "buy": [(D("98.2"), D("1.5")), (D(99), D(1))]}
    market.quote("97", "98.2")
    assert market.fills(resting) == [("99", "1.5"), ("99", "0.5")]


def test_a_thin_market_has_a_part_of_the_usual() -> None:
    market = Market()
    market.engine.faults.add("book.thin", 1, {"percent": 10}, SYMBOL)
    market.quote()
    assert market.fills(market.order("buy", "1")) == [("101", "0.1"), ("101.5", "0.4"), ("102", "0.5")]


def test_a_market_buy_needs_the_money_of_its_collar() -> None:
    market = Market()
    market.engine.account.cash = D("103.01")
    with pytest.raises(Refused, match="insufficient balance for USD"):
        market.order("buy", "1")
    market.engine.account.cash = D("103.02")
    assert market.order("buy", "1").status == "filled"


@pytest.mark.parametrize("symbol", ["BTC/USD", "SOL/USD", "SHIB/USD", "YFI/USD"])
def test_seeded_levels_are_a_book_at_every_moment(symbol: str) -> None:
    dice = random.Random(7)
    engine = Engine(seed=3, now=START, depth=Depth(SeededShape(3)))
    price, at, seen = engine.pairs[symbol].start_price, START, set()
    for _ in range(300):
        price = (price * D(str(1 + dice.gauss(0, 0.002)))).quantize(D("1e-9"))
        at += timedelta(seconds=dice.choice((0.25, 5)))
        engine.set_quote(Quote(symbol, price, (price * D("1.0005")).quantize(D("1e-9")) + D("1e-9"), at))
        bids, asks = engine.book(symbol)
        assert len(bids) == len(asks) == 20
        assert bids == sorted(bids, reverse=True) and asks == sorted(asks) and bids[0][0] < asks[0][0]
        assert len({level for level, _ in [*bids, *asks]}) == 40
        assert all(size > 0 and level > 0 for level, size in [*bids, *asks])
        assert (bids[0][0], asks[0][0]) == (price, engine.quotes[symbol].ask)
        seen.add(tuple(bids))
    assert len(seen) > 290, "it lives"


def test_the_same_seed_and_orders_give_the_same_fills() -> None:
    def life(seed: int) -> list[tuple[str, str, str]]:
        engine = random_orders(seed, 300)
        return [(e.symbol, str(e.price), str(e.qty)) for e in engine.executions]

    assert life(4) == life(4)
    assert life(4) != life(5)


def random_orders(seed: int, count: int) -> Engine:
    """An account that trades at random on a seeded book."""
    dice = random.Random(seed)
    engine = Engine(seed=seed, now=START, cash=D(1_000_000), depth=Depth(SeededShape(seed)))
    symbols = ("BTC/USD", "SOL/USD", "SHIB/USD")
    prices = {symbol: engine.pairs[symbol].start_price for symbol in symbols}
    for symbol in engine.pairs:
        price = engine.pairs[symbol].start_price
        engine.set_quote(Quote(symbol, price, price + D("1e-9"), START))
    for _ in range(count):
        symbol = dice.choice(symbols)
        prices[symbol] = (prices[symbol] * D(str(1 + dice.gauss(0, 0.003)))).quantize(D("1e-9"))
        ask = (prices[symbol] * D("1.0004")).quantize(D("1e-9")) + D("1e-9")
        engine.advance(engine.now + timedelta(seconds=dice.choice((0.03, 0.5, 8))))
        engine.set_quote(Quote(symbol, prices[symbol], ask, engine.now))
        try_order(engine, dice, symbol, prices[symbol])
    return engine


def try_order(engine: Engine, dice: random.Random, symbol: str, price: Decimal) -> None:
    qty = (D(dice.choice((20, 200, 5_000, 60_000))) / price).quantize(D("1e-9"))
    body = {"symbol": symbol, "side": dice.choice(("buy", "sell")), "qty": str(qty), "type": "market"}
    if dice.random() < 0.5:
        limit = price * D(str(1 + dice.gauss(0, 0.002)))
        body |= {"type": "limit", "limit_price": str(limit.quantize(D("1e-9")))}
    try:
        engine.submit({**body, "time_in_force": dice.choice(("gtc", "ioc"))})
        if dice.random() < 0.3 and engine.open_orders():
            engine.cancel(dice.choice(engine.open_orders()).id)
    except Refused:
        return


def audit(engine: Engine) -> None:
    """Money and coins from the executions alone, to the last digit; and nothing beyond a limit."""
    cash, coins = engine.start_cash, dict.fromkeys(engine.pairs, D(0))
    filled: dict[str, Decimal] = {}
    for e in engine.executions:
        order = engine.orders[e.order_id]
        value, rate = e.qty * e.price, D("0.0015") if e.liquidity == "maker" else D("0.0025")
        filled[order.id] = filled.get(order.id, D(0)) + e.qty
        if e.side == "buy":
            fee = min((e.qty * rate).quantize(D("1e-9"), rounding="ROUND_UP"), e.qty)
            cash, coins[e.symbol] = cash - value, coins[e.symbol] + e.qty - fee
            assert order.limit_price is None or e.price <= order.limit_price
        else:
            fee = (value * rate).quantize(D("0.01"), rounding="ROUND_UP")
            cash, coins[e.symbol] = cash + value - fee, coins[e.symbol] - e.qty
            assert order.limit_price is None or e.price >= order.limit_price
        assert e.qty > 0
    assert cash == engine.account.cash
    assert {s: qty for s, qty in coins.items() if qty} == {s: q for s, q in engine.account.coins.items() if q}
    assert cash >= 0 and all(qty >= 0 for qty in coins.values())
    for order in engine.orders.values():
        assert filled.get(order.id, D(0)) == order.filled_qty <= order.qty


def test_money_and_coins_add_up_to_the_last_digit() -> None:
    engine = random_orders(1, 1_500)
    audit(engine)
    assert len(engine.executions) > 500


@pytest.mark.slow
@pytest.mark.parametrize("tenth", range(10))
def test_money_and_coins_add_up_after_a_million_orders(tenth: int) -> None:
    for life in range(50):
        audit(random_orders(1_000 * tenth + life, 2_000))


class Listener:
    """A client's copy of a book, from messages alone."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[float, float]] = {"b": {}, "a": {}}

    def hear(self, message: dict[str, Any] | None) -> None:
        for side in ("b", "a"):
            if message is None:
                continue
            if message.get("r"):
                self.sides[side] = {}
            for level in message[side]:
                self.sides[side][level["p"]] = level["s"]
                if level["s"] == 0:
                    del self.sides[side][level["p"]]

    def is_book_of(self, engine: Engine) -> bool:
        bids, asks = ({float(p): float(s) for p, s in side} for side in engine.book(SYMBOL))
        return (self.sides["b"], self.sides["a"]) == (bids, asks)


def moves(engine: Engine, count: int) -> Iterator[None]:
    dice, price = random.Random(1), D(150)
    for number in range(count):
        price = (price * D(str(1 + dice.gauss(0, 0.0004)))).quantize(D("1e-9"))
        engine.set_quote(Quote(SYMBOL, price, price * D("1.0004"), START + timedelta(seconds=number / 4)))
        yield


def test_a_book_rebuilt_from_the_stream_is_the_book_from_any_cut_on() -> None:
    engine = Engine(seed=1, now=START, depth=Depth(SeededShape(1)))
    messages, cut = BookMessages(engine), random.Random(2)
    listener, whole, changes = Listener(), 0, 0
    for _ in moves(engine, 400):
        if cut.random() < 0.02:
            messages.forget({SYMBOL})
            listener = Listener()
        message = messages.next(SYMBOL)
        assert message is None or list(message)[:2] == ["T", "S"]
        whole += bool(message and message.get("r"))
        changes += bool(message and not message.get("r"))
        listener.hear(message)
        assert listener.is_book_of(engine)
    assert whole > 3 and changes > 300


@pytest.mark.parametrize("fault", ["md.book_gap", "md.book_stale", "md.book_crossed", "md.book_empty"])
def test_a_fault_of_the_stream_spoils_the_copy_until_a_reset(fault: str) -> None:
    engine = Engine(seed=1, now=START, depth=Depth(SeededShape(1)))
    messages, listener = BookMessages(engine), Listener()
    for number, _ in enumerate(moves(engine, 21)):
        if number == 20:
            engine.faults.add(fault, 1, {}, SYMBOL)
        listener.hear(messages.next(SYMBOL))
    assert not listener.is_book_of(engine)
    engine.faults.clear()
    engine.faults.add("md.book_reset", 1, {}, SYMBOL)
    listener.hear(messages.next(SYMBOL))
    assert listener.is_book_of(engine)


def test_recorded_books_are_scaled_to_the_quote(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    lines = (
        '{"ts":"2026-01-01T00:00:00Z","bids":[["100","2"],["99","4"]],"asks":[["101","3"]]}',
        '{"ts":"2026-01-01T00:00:10Z","bids":[["100","7"]],"asks":[["101","3"]]}',
        '{"ts":"2026-01-01T00:00:20Z","bids":[["100","7"]],"asks":[["101","3"]]}',
    )
    path.write_text("\n".join(lines))
    depth = Depth(RecordedShape(path))

    def bids(seconds: int) -> list[Level]:
        return depth.offers(Quote(SYMBOL, D(10), D("10.1"), START + timedelta(seconds=seconds)), "sell")

    assert bids(0) == [(D(10), D(20)), (D("9.9"), D(40))]
    assert bids(12) == [(D(10), D(70))]
    assert bids(21) == bids(0), "from the first again"


def test_only_books_have_depth(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text("ts,bid,ask\n2026-01-01T00:00:00Z,1,2\n")
    with pytest.raises(BadFile, match="--depth wants recorded order books, and these are quotes"):
        RecordedShape(path)
