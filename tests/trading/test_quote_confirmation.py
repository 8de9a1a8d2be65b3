"""The exchange is asked again before a market sale, and before a cooldown ends early."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import pytest

from dca.core.errors import ExchangeUnavailable
from dca.core.model import Quote
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


class Looker:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.exchange = Asked(clock=self.clock)
        self.troubles, self.desk = Troubles(), Desk("install", 1)
        self.bad_because: str | None = None
        self.look = SecondLook(
            self.exchange, self.clock, self.troubles, lambda *_: self.bad_because, self.desk
        )

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
