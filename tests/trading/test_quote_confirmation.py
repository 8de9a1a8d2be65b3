"""The exchange is asked again before a market sale, and before a cooldown ends early."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import pytest

from dca.core.book import Book, BookMessage
from dca.core.errors import ExchangeUnavailable
from dca.core.model import OrderType, Purpose, Quote
from dca.core.selling import OnMissingBook, Selling, TakeProfitBy
from dca.core.strategy import Action, CancelBuy, EndCooldown, Place
from dca.runtime.log_lines import Troubles
from dca.trading.quote_confirmation import PAUSE_SECONDS, SecondLook
from dca.trading.watchlist import Desk
from tests.builders import D
from tests.fake_exchange import FakeClock, FakeExchange
from tests.rig import SYMBOL


class Asked(FakeExchange):
    """Counts how often it is asked, and quotes a bid and an ask of their own."""

    bid, ask = D(100), D(101)
    asked = 0
    knows_the_pair = True
    book: Book | None = None

    def latest_quotes(self, symbols: list[str], received_at: datetime) -> dict[str, Quote]:
        self.asked += 1
        if self.down:
            raise ExchangeUnavailable("503")
        if not self.knows_the_pair:
            return {}
        return {
            each: Quote(symbol=each, bid=self.bid, ask=self.ask, at=received_at, received_at=received_at)
            for each in symbols
        }

    def latest_books(self, symbols: list[str]) -> dict[str, Book]:
        return {} if self.book is None else dict.fromkeys(symbols, self.book)


class Looker:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.exchange = Asked(clock=self.clock)
        self.troubles, self.desk = Troubles(), Desk("install", 1)
        self.bad_because: str | None = None
        self.look = SecondLook(self.exchange, self.clock, self.troubles, self.problem_of, self.desk)

    def problem_of(self, quote: Quote, now: datetime) -> str | None:
        return self.bad_because or (None if quote.at <= now else "of the future")

    def sells_at(self, price: str) -> bool:
        return self.look.confirms_bid(SYMBOL, Decimal(price))

    def restarts_at(self, price: str) -> bool:
        return self.look.confirms_ask(SYMBOL, Decimal(price))


@pytest.fixture
def looker() -> Looker:
    return Looker()


@pytest.mark.parametrize(("price", "confirmed"), [("99", True), ("100", True), ("100.5", False)])
def test_a_sale_is_confirmed_by_what_buyers_pay(looker: Looker, price: str, confirmed: bool) -> None:
    """By the ask, which is always higher, a sale at 100.50 would look good, and bring 100."""
    assert looker.sells_at(price) is confirmed


@pytest.mark.parametrize(("price", "confirmed"), [("102", True), ("101", True), ("100.5", False)])
def test_the_end_of_a_cooldown_is_confirmed_by_what_sellers_ask(
    looker: Looker, price: str, confirmed: bool
) -> None:
    assert looker.restarts_at(price) is confirmed


@pytest.mark.parametrize("ask", [Looker.sells_at, Looker.restarts_at])
def test_a_price_that_is_not_confirmed_is_asked_for_again_after_a_pause(
    looker: Looker, ask: Callable[[Looker, str], bool]
) -> None:
    looker.exchange.bid, looker.exchange.ask = D(50), D(200)
    assert not ask(looker, "100")
    looker.exchange.bid = looker.exchange.ask = D(100)
    looker.clock.pass_seconds(PAUSE_SECONDS - 0.1)
    assert not ask(looker, "100")
    assert looker.exchange.asked == 1
    looker.clock.pass_seconds(0.1)
    assert ask(looker, "100")
    assert ask(looker, "100"), "what was confirmed needs no pause"
    assert looker.exchange.asked == 3


def test_one_pair_s_pause_is_none_of_another(looker: Looker) -> None:
    looker.exchange.bid = D(50)
    assert not looker.sells_at("100")
    assert looker.look.confirms_bid("ETH/USD", D(50))


def test_why_it_was_not_confirmed_is_told_until_it_is(looker: Looker) -> None:
    looker.exchange.bid = D(50)
    looker.sells_at("100")
    assert looker.troubles.names() == [f"sell {SYMBOL} not confirmed"]
    assert looker.desk.held_back[SYMBOL] == "not confirmed: the exchange's own bid is 50, not 100"
    looker.exchange.bid = D(100)
    looker.clock.pass_seconds(PAUSE_SECONDS)
    looker.sells_at("100")
    assert looker.troubles.names() == []


def test_why_a_cooldown_goes_on_is_told_as_such(looker: Looker) -> None:
    assert not looker.restarts_at("50")
    assert looker.troubles.names() == [f"cooldown {SYMBOL} not confirmed"]


def test_a_quote_that_may_not_decide_confirms_nothing(looker: Looker) -> None:
    looker.bad_because = "16 s old"
    assert not looker.sells_at("100")
    assert looker.desk.held_back[SYMBOL] == "not confirmed: the exchange's own quote: 16 s old"
    assert looker.look.newest(SYMBOL) is None


def test_without_a_quote_nothing_is_confirmed_and_silence_is_no_answer(looker: Looker) -> None:
    looker.exchange.knows_the_pair = False
    assert not looker.sells_at("100")
    assert looker.look.newest(SYMBOL) is None
    looker.clock.pass_seconds(PAUSE_SECONDS)
    looker.exchange.down = True
    with pytest.raises(ExchangeUnavailable):
        looker.sells_at("100")
    assert looker.look.newest(SYMBOL) is None


def test_the_newest_quote_is_the_exchange_s(looker: Looker) -> None:
    newest = looker.look.newest(SYMBOL)
    assert newest is not None
    assert (newest.symbol, newest.bid, newest.ask) == (SYMBOL, D(100), D(101))


# ---- which actions are looked at twice --------------------------------------------------------------------


def sale(purpose: Purpose = Purpose.TAKE_PROFIT, at: str = "100", qty: str = "2") -> Place:
    return Place(
        purpose=purpose,
        level=0,
        order_type=OrderType.MARKET,
        qty=D(qty),
        limit_price=None,
        trigger_price=D(at),
        quote_price=D(at),
        reason="",
    )


@pytest.mark.parametrize(
    ("action", "confirmed"),
    [
        (sale(at="100"), True),
        (sale(at="100.5"), False),
        (EndCooldown(early_at=D(101), reason=""), True),
        (EndCooldown(early_at=D("100.5"), reason=""), False),
    ],
)
def test_a_take_profit_and_an_early_restart_are_looked_at_twice(
    looker: Looker, action: Action, confirmed: bool
) -> None:
    assert looker.look.confirms(SYMBOL, action) is confirmed
    assert looker.exchange.asked == 1


@pytest.mark.parametrize(
    "action",
    [
        sale(Purpose.EXIT, at="500"),
        sale(Purpose.SAFETY, at="1"),
        sale(Purpose.BASE, at="1"),
        EndCooldown(early_at=None, reason=""),
        CancelBuy(reason=""),
    ],
)
def test_what_risks_nothing_is_not_asked_about(looker: Looker, action: Action) -> None:
    assert looker.look.confirms(SYMBOL, action)
    assert looker.exchange.asked == 0


# ---- by the order book ------------------------------------------------------------------------------------


def by_book(looker: Looker, *bids: tuple[float, float], asks: float = 200.0, age_seconds: float = 0) -> None:
    looker.desk.selling = Selling(by=TakeProfitBy.BOOK)
    looker.exchange.book = Book(SYMBOL)
    looker.exchange.book.apply(
        BookMessage(symbol=SYMBOL, at=looker.clock.now(), bids=bids, asks=[(asks, 9.0)], is_whole=True)
    )
    looker.clock.pass_seconds(age_seconds)


@pytest.mark.parametrize(
    ("bids", "why"),
    [
        ([(100.0, 2.0)], None),
        ([(101.0, 1.0), (99.0, 5.0)], None),
        ([(100.0, 1.0), (99.0, 5.0)], "2 would sell for 99.5, not 100"),
        ([(500.0, 1.9)], "its bids hold less than 2"),
    ],
)
def test_by_the_book_the_average_of_all_counts(
    looker: Looker, bids: list[tuple[float, float]], why: str | None
) -> None:
    by_book(looker, *bids, asks=600.0)
    looker.exchange.bid = D(1)  # which is not asked for
    assert looker.look.confirms(SYMBOL, sale()) is (why is None)
    assert looker.desk.held_back.get(SYMBOL) == (why and f"not confirmed: order book: {why}")
    assert looker.troubles.names() == ([] if why is None else [f"sell {SYMBOL} not confirmed"])


@pytest.mark.parametrize("book", ["none", "old"])
def test_without_a_book_the_operator_says_whether_the_bid_decides(looker: Looker, book: str) -> None:
    by_book(looker, (100.0, 2.0), age_seconds=16)
    if book == "none":
        looker.exchange.book = None
    assert not looker.look.confirms(SYMBOL, sale())
    why = "the exchange has no book of it" if book == "none" else "it is 16 s old"
    assert looker.desk.held_back[SYMBOL] == f"not confirmed: order book: {why}"
    looker.desk.selling = Selling(by=TakeProfitBy.BOOK, on_missing_book=OnMissingBook.IGNORE)
    for bid, confirmed in (("99", False), ("100", True)):
        looker.clock.pass_seconds(PAUSE_SECONDS)
        looker.exchange.bid = D(bid)
        assert looker.look.confirms(SYMBOL, sale()) is confirmed


def test_a_book_that_is_there_decides_whatever_is_said_of_missing_ones(looker: Looker) -> None:
    by_book(looker, (99.0, 5.0))
    looker.desk.selling = Selling(by=TakeProfitBy.BOOK, on_missing_book=OnMissingBook.IGNORE)
    assert not looker.look.confirms(SYMBOL, sale()), "although the best bid says 100"
