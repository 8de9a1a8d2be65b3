"""What the feed makes of quotes: those that reach nothing end here, those that may matter are passed on."""

import time
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Any

import msgpack
import pytest

from dca.core.model import Quote
from dca.core.quote_filter import NEVER, Tripwire
from dca.exchange.streams import AGAIN_SECONDS, STILL_SECONDS, Feed, StreamLost
from dca.runtime.clock import SystemClock
from dca.runtime.log_lines import Troubles
from dca.trading.inbox import Inbox
from tests.operating import NO_EXCHANGE
from tests.taking import taken


class Hearing:
    """A feed that was never started, with one pair's levels at 90 and 110."""

    def __init__(self) -> None:
        self.inbox, self.troubles = Inbox(), Troubles()
        self.tripwires = {"BTC/USD": Tripwire(90.0, 110.0, NEVER)}
        self.feed = Feed(NO_EXCHANGE, self.inbox, self.tripwires, SystemClock(), self.troubles, lambda: None)

    def hears(self, *messages: Any) -> None:
        self.feed._take_quote_frame(msgpack.packb(list(messages), datetime=True))

    def passed_on(self) -> Quote | None:
        item = taken(self.inbox)
        assert item is None or isinstance(item, Quote)
        return item


@pytest.fixture
def hearing() -> Hearing:
    return Hearing()


def quote(bid: object, ask: object, symbol: str = "BTC/USD") -> dict[str, Any]:
    return {"T": "q", "S": symbol, "bp": bid, "bs": 1.0, "ap": ask, "as": 1.0, "t": datetime.now(UTC)}


def test_only_a_quote_that_reaches_a_level_is_passed_on(hearing: Hearing) -> None:
    for bid, ask in ((99.0, 101.0), (109.99, 110.01), (89.0, 90.01)):
        hearing.hears(quote(bid, ask))
        assert hearing.passed_on() is None
    assert hearing.feed.quotes.last_message_at is not None, "heard all the same"
    for bid, ask in ((89.0, 90.0), (110.0, 111.0)):
        hearing.hears(quote(99.0, 101.0), quote(bid, ask))
        found = hearing.passed_on()
        assert found is not None and (float(found.bid), float(found.ask)) == (bid, ask)


def test_a_quote_after_the_time_to_wake_is_passed_on(hearing: Hearing) -> None:
    hearing.tripwires["BTC/USD"] = Tripwire(-inf, inf, datetime.now(UTC) - timedelta(seconds=1))
    hearing.hears(quote(99.0, 101.0))
    assert hearing.passed_on() is not None


def test_a_pair_without_levels_is_passed_on(hearing: Hearing) -> None:
    hearing.hears(quote(99.0, 101.0, "ETH/USD"))
    assert hearing.passed_on() is not None


@pytest.mark.parametrize("price", [nan, None, "99.0", [], {}, True], ids=repr)
def test_an_odd_price_is_no_reason_to_be_deaf(hearing: Hearing, price: object) -> None:
    """Told, or passed on to whoever decides."""
    hearing.hears(quote(price, 101.0), quote(99.0, price))
    told = "stream invalid quote" in hearing.troubles.names()
    assert told or hearing.passed_on() is not None
    hearing.hears(quote(110.0, 111.0))
    assert hearing.passed_on() is not None


@pytest.mark.parametrize("message", [None, 7, "q", [], {}, {"S": []}, {"S": "BTC/USD", "ap": 100, "bp": 100}])
def test_what_is_no_quote_is_never_taken_for_a_quiet_one(hearing: Hearing, message: object) -> None:
    try:
        hearing.hears(message)
    except StreamLost as lost:  # it is opened anew
        assert "not a message" in str(lost)
    else:
        assert "stream unknown message on the quote stream" in hearing.troubles.names()


def test_after_levels_have_changed_the_newest_quote_is_looked_at_again(hearing: Hearing) -> None:
    hearing.hears(quote(99.0, 101.0))
    hearing.feed.look_again("BTC/USD")
    assert hearing.passed_on() is None, "the levels are as they were"
    hearing.tripwires["BTC/USD"] = Tripwire(101.0, 110.0, NEVER)
    hearing.feed.look_again("BTC/USD")
    found = hearing.passed_on()
    assert found is not None and float(found.ask) == 101.0


def test_a_quiet_quote_takes_back_an_older_one_that_waits(hearing: Hearing) -> None:
    """Its price is gone: an order at it would rest."""
    older = datetime.now(UTC) - timedelta(seconds=1)
    hearing.hears({**quote(89.0, 90.0), "t": older})
    hearing.hears(quote(99.0, 101.0))
    assert hearing.passed_on() is None


def test_levels_that_change_while_a_quote_is_compared_are_not_missed() -> None:
    """Who changes them looks at the newest quote: it has to be known before it is compared."""
    hearing = Hearing()

    class Changing(dict[str, Tripwire]):
        def __getitem__(self, symbol: str) -> Tripwire:
            before = super().__getitem__(symbol)
            self[symbol] = Tripwire(101.0, 110.0, NEVER)
            hearing.feed.look_again(symbol)
            return before

    hearing.feed._tripwires = Changing(hearing.tripwires)
    hearing.hears(quote(99.0, 101.0))
    found = hearing.passed_on()
    assert found is not None and float(found.ask) == 101.0


def test_standing_still_for_an_order_makes_nobody_deaf(hearing: Hearing) -> None:
    """A pair that stays beyond its level is passed on with each of its quotes."""
    beyond, started = quote(89.0, 90.0), time.monotonic()
    hearing.hears(beyond)
    assert time.monotonic() - started >= STILL_SECONDS
    for _ in range(1000):
        hearing.hears(beyond)
        assert hearing.passed_on() is not None
    assert time.monotonic() - started < 1000 * STILL_SECONDS


def test_an_old_quote_is_not_looked_at_again(hearing: Hearing) -> None:
    hearing.hears({**quote(99.0, 101.0), "t": datetime.now(UTC) - timedelta(seconds=AGAIN_SECONDS + 1)})
    hearing.tripwires["BTC/USD"] = Tripwire(101.0, 110.0, NEVER)
    hearing.feed.look_again("BTC/USD")
    assert hearing.passed_on() is None


def test_a_quote_whose_time_makes_no_sense_is_not_looked_at_again(hearing: Hearing) -> None:
    hearing.hears({**quote(99.0, 101.0), "t": "yesterday"})
    hearing.tripwires["BTC/USD"] = Tripwire(101.0, 110.0, NEVER)
    hearing.feed.look_again("BTC/USD")
    hearing.feed.look_again("ETH/USD")
    assert hearing.passed_on() is None
