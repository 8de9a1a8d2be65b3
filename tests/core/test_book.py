"""The book that is rebuilt from the stream's messages."""

import math
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dca.core.book import Book, BookMessage, Level
from dca.core.model import Quote, Side
from paper_exchange.book_messages import BookMessages
from paper_exchange.depth import Depth, SeededShape
from paper_exchange.engine import Engine
from paper_exchange.values import Quote as ExchangeQuote

D = Decimal
NOW = datetime(2026, 1, 2, tzinfo=UTC)
SYMBOL = "BTC/USD"


def message(
    bids: dict[float, float], asks: dict[float, float], *, is_whole: bool = False, at: datetime = NOW
) -> BookMessage:
    return BookMessage(
        symbol=SYMBOL, at=at, bids=list(bids.items()), asks=list(asks.items()), is_whole=is_whole
    )


def quote(bid: str = "100", ask: str = "101", age_seconds: float = 0.0) -> Quote:
    came_at = NOW - timedelta(seconds=age_seconds)
    return Quote(symbol=SYMBOL, bid=D(bid), ask=D(ask), at=NOW, received_at=came_at)


def a_book() -> Book:
    book = Book(SYMBOL)
    book.apply(message({100.0: 2.0, 99.0: 3.0}, {101.0: 1.0, 102.0: 4.0}, is_whole=True))
    return book


def sides(book: Book) -> tuple[list[Level], list[Level]]:
    return list(book.taken_by(Side.SELL)), list(book.taken_by(Side.BUY))


def test_changes_set_and_remove_levels() -> None:
    book = a_book()
    book.apply(message({100.0: 0.0, 99.0: 3.5, 98.0: 1.0}, {100.5: 0.25, 77.0: 0.0}))
    assert sides(book) == (
        [(D(99), D("3.5")), (D(98), D(1))],
        [(D("100.5"), D("0.25")), (D(101), D(1)), (D(102), D(4))],
    )


def test_a_whole_book_replaces_what_was_there() -> None:
    book = a_book()
    book.apply(message({50.0: 1.0}, {51.0: 1.0}, is_whole=True, at=NOW + timedelta(seconds=1)))
    assert sides(book) == ([(D(50), D(1))], [(D(51), D(1))])
    assert book.at == NOW + timedelta(seconds=1)


def test_changes_before_the_whole_book_are_of_no_use() -> None:
    book = Book(SYMBOL)
    book.apply(message({100.0: 2.0}, {101.0: 1.0}))
    assert sides(book) == ([], [])
    assert book.problem(quote(), NOW) == "the whole book has not come yet"


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, -1.0])
def test_a_message_with_an_odd_number_makes_the_book_useless_until_the_next_whole_one(odd: float) -> None:
    for bids, asks in (({odd: 1.0}, {}), ({}, {odd: 1.0}), ({100.0: odd}, {}), ({}, {101.0: odd})):
        book = a_book()
        book.apply(message(bids, asks))
        assert book.problem(quote(), NOW) == "the whole book has not come yet"
        book.apply(message({100.0: 1.0}, {101.0: 1.0}))
        assert not book.is_complete
        book.apply(message({100.0: 1.0}, {101.0: 1.0}, is_whole=True))
        assert book.problem(quote(), NOW) is None


def test_a_price_of_zero_is_odd() -> None:
    book = a_book()
    book.apply(message({0.0: 1.0}, {}))
    assert not book.is_complete


def test_numbers_are_as_the_stream_wrote_them() -> None:
    book = Book(SYMBOL)
    book.apply(message({0.1: 0.3}, {0.2: 1e-9}, is_whole=True))
    assert sides(book) == ([(D("0.1"), D("0.3"))], [(D("0.2"), D("1e-9"))])


def test_an_empty_side_and_a_crossed_book_cannot_be_used() -> None:
    book = a_book()
    book.apply(message({}, {101.0: 0.0, 102.0: 0.0}))
    assert book.problem(quote(), NOW) == "there are no asks in it"
    book.apply(message({100.0: 0.0, 99.0: 0.0}, {101.0: 1.0}))
    assert book.problem(quote(), NOW) == "there are no bids in it"
    book.apply(message({101.0: 1.0}, {}))
    assert book.problem(quote(), NOW) == "its bid is not below its ask"


@pytest.mark.parametrize(
    ("bid", "ask", "agrees"),
    [
        ("100", "101", True),
        ("100.01", "101", True),  # a basis point of 100
        ("100.011", "101", False),
        ("99.98", "101", False),
        ("100", "101.0102", False),
        ("100", "100.98", False),
    ],
)
def test_a_book_that_differs_from_a_quote_of_two_seconds_has_missed_a_change(
    bid: str, ask: str, agrees: bool
) -> None:
    book = a_book()
    assert book.problem(quote(bid, ask, age_seconds=1.9), NOW) is None, "the book may be on its way"
    told = book.problem(quote(bid, ask, age_seconds=2.0), NOW)
    assert told == (None if agrees else "its best prices differ from the quote that came 2 s ago")


def test_a_book_joined_anywhere_in_the_stream_is_the_exchanges() -> None:
    """From the first whole book on; before that it says that it cannot be used."""
    engine, told, truth = the_exchanges_messages()
    assert sum(each.is_whole for each in told) > 3
    for start in range(len(told)):
        book = Book(SYMBOL)
        seen_whole = False
        for number in range(start, len(told)):
            book.apply(told[number])
            seen_whole = seen_whole or told[number].is_whole
            assert book.is_complete is seen_whole
            if seen_whole:
                assert sides(book) == truth[number]
    assert engine is not None


def the_exchanges_messages() -> tuple[Engine, list[BookMessage], list[tuple[list[Level], list[Level]]]]:
    """A walk of prices with trades, and now and then the whole book again; what the exchange's book was."""
    rng = random.Random(3)
    engine = Engine(seed=3, now=NOW, cash=D(10**9), partial_percent=0, depth=Depth(SeededShape(3)))
    messages, told, truth = BookMessages(engine), [], []
    price = 60_000.0
    for step in range(60):
        price *= 1 + rng.gauss(0, 0.0005)
        engine.advance(NOW + timedelta(seconds=step))
        bid = D(str(round(price, 2)))
        engine.set_quote(ExchangeQuote(SYMBOL, bid, bid + D("6"), engine.now))
        if step % 7 == 3:
            body = {"symbol": SYMBOL, "side": "buy", "type": "market", "time_in_force": "gtc", "qty": "0.2"}
            engine.submit(body)
        if step % 13 == 12:
            messages.forget()
        raw = messages.next(SYMBOL)
        if raw is not None:
            told.append(as_message(raw))
            bids, asks = engine.book(SYMBOL)
            truth.append((as_floats(bids), as_floats(asks)))
    return engine, told, truth


def as_message(raw: dict[str, Any]) -> BookMessage:
    bids, asks = ([(level["p"], level["s"]) for level in raw[side]] for side in ("b", "a"))
    return BookMessage(symbol=raw["S"], at=raw["t"], bids=bids, asks=asks, is_whole=raw.get("r", False))


def as_floats(levels: list[Level]) -> list[Level]:
    """As they come out of the stream's floats."""
    return [(D(repr(float(price))), D(repr(float(size)))) for price, size in levels]
