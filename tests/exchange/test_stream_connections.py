"""The streams against the local exchange: every way they fail is noticed, told once, and survived."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dca.core.model import Quote, Snapshot
from dca.exchange.reconnect_delay import PAUSES_SECONDS, STEADY_SECONDS, Pauses
from dca.exchange.streams import PING_SECONDS, Feed
from dca.runtime.clock import SystemClock
from dca.runtime.log_lines import Troubles
from dca.trading.inbox import Inbox
from tests.processes import ExchangeProcess, eventually
from tests.taking import taken


class Listener:
    """A feed with one inbox, and all that came out of it."""

    def __init__(self, exchange: ExchangeProcess) -> None:
        self.troubles = Troubles()
        self.inbox = Inbox()
        self.connects = 0
        self.quotes: list[Quote] = []
        self.updates: list[Snapshot] = []
        self.feed = Feed(
            exchange.settings, self.inbox, {}, SystemClock(), self.troubles, self._connected, ping_seconds=1
        )
        self.feed.set_symbols({"BTC/USD"})
        self.feed.start()

    def _connected(self) -> None:
        self.connects += 1

    def hear(self) -> None:
        while (item := taken(self.inbox, 0.01)) is not None:
            if isinstance(item, Quote):
                self.quotes.append(item)
            elif isinstance(item, Snapshot):
                self.updates.append(item)

    def heard_quote(self, symbol: str) -> bool:
        self.hear()
        return any(quote.symbol == symbol for quote in self.quotes)

    def both_open(self) -> bool:
        return self.feed.orders.connected and self.feed.quotes.connected


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    yield exchange
    exchange.stop()


@pytest.fixture
def listener(exchange: ExchangeProcess) -> Iterator[Listener]:
    listener = Listener(exchange)
    eventually(listener.both_open)
    yield listener
    listener.feed.stop()


def test_quotes_and_updates_arrive_and_subscriptions_follow(
    listener: Listener, exchange: ExchangeProcess
) -> None:
    eventually(lambda: listener.heard_quote("BTC/USD"))
    assert not listener.heard_quote("ETH/USD")
    listener.feed.set_symbols({"ETH/USD"})
    eventually(lambda: listener.heard_quote("ETH/USD"))
    exchange.post("/orders", symbol="BTC/USD", side="buy", type="market", time_in_force="gtc", qty="0.01")

    def filled() -> bool:
        listener.hear()
        return any(update.status == "filled" for update in listener.updates)

    eventually(filled)
    assert listener.connects == 1


@pytest.mark.parametrize("code", [1000, 1006, 1012])
def test_closed_by_the_server(listener: Listener, exchange: ExchangeProcess, code: int) -> None:
    for stream in ("trading", "data"):
        exchange.post("/streams/close", stream=stream, code=code)
    eventually(lambda: listener.feed.orders.connects == 2 and listener.feed.quotes.connects == 2)
    eventually(listener.both_open)
    assert listener.connects == 2, "settling is asked for on every reconnect"
    assert listener.troubles.names() == []


@pytest.mark.parametrize("name", ["ws.half_open", "md.half_open"])
def test_a_half_open_socket_is_noticed_within_two_pings(
    listener: Listener, exchange: ExchangeProcess, name: str
) -> None:
    assert 2 * PING_SECONDS < 30, "what the product promises; here a ping takes a second"
    state = listener.feed.orders if name.startswith("ws") else listener.feed.quotes
    exchange.fault(name, seconds=600)
    eventually(lambda: not state.connected or state.connects > 1, seconds=6)
    exchange.clear_faults()
    eventually(listener.both_open, seconds=35)


def test_a_connection_that_brings_nothing_can_be_given_up(
    listener: Listener, exchange: ExchangeProcess
) -> None:
    listener.feed.reconnect(listener.feed.quotes, "silent")
    eventually(lambda: listener.feed.quotes.connects == 2)


def test_refused_while_another_client_is_connected(exchange: ExchangeProcess) -> None:
    first = Listener(exchange)
    try:
        eventually(first.both_open)
        second = Listener(exchange)
        try:
            eventually(lambda: len(second.troubles.names()) == 2)
            assert not second.both_open()
        finally:
            second.feed.stop()
    finally:
        first.feed.stop()


def test_the_pause_grows_with_every_failure_in_a_row_and_a_good_connection_makes_it_short_again() -> None:
    """Whatever happened before in its life: half a minute without quotes is long for a take-profit."""
    pauses = Pauses()
    grown = [pauses.after(0.5) for _ in range(10)]
    assert grown == [*PAUSES_SECONDS, 30, 30, 30, 30]
    assert pauses.after(STEADY_SECONDS) == 30, "not long enough to be a good one"
    for _ in range(10):
        assert pauses.after(STEADY_SECONDS + 1) == 1
    assert [pauses.after(0.5) for _ in range(3)] == [1, 2, 4]
