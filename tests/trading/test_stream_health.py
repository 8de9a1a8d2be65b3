"""Late quotes, a pair that is mute, a clock that is wrong: told apart by what the exchange itself says."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from dca.alerts.heartbeat_conditions import findings
from dca.core.errors import ExchangeUnavailable
from dca.core.interfaces import Stream
from dca.core.model import Quote
from dca.exchange import clock_offset
from dca.exchange.clock_offset import ClockReading
from dca.exchange.streams import StreamState
from dca.runtime.heartbeat import Beat
from dca.runtime.log_lines import Troubles
from dca.trading.inbox import Inbox
from dca.trading.main_loop import AGAIN_SECONDS, CLOCK_SECONDS, MainLoop
from dca.trading.stream_health import PAIRS_SECONDS, SILENT_SECONDS, Hearing
from dca.trading.watchlist import Desk
from tests.alerts.test_conditions import beat
from tests.builders import D, asset, cycle, rules
from tests.fake_exchange import FakeClock

PAIRS = ("BTC/USD", "ETH/USD")


@dataclass
class Exchange:
    """Its own clock, and its newest quotes. `answers_after`: seconds there and back."""

    clock_: FakeClock
    behind: float = 0.0
    answers_after: float = 0.0
    asked: list[list[str]] = field(default_factory=list)
    compared: int = 0
    down: bool = False

    def now(self) -> datetime:
        return self.clock_.now() - timedelta(seconds=self.behind)

    def clock(self) -> datetime:
        if self.down:
            raise ExchangeUnavailable("down")
        self.compared += 1
        self.clock_.pass_seconds(self.answers_after / 2)
        theirs = self.now()
        self.clock_.pass_seconds(self.answers_after / 2)
        return theirs

    def latest_quote_times(self, symbols: list[str]) -> dict[str, datetime]:
        self.asked.append(symbols)
        return dict.fromkeys(symbols, self.now())


class Ears:
    """A feed that is told what it heard."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.orders = StreamState(name="order stream")
        self.quotes = StreamState(name="quote stream", connected=True, connected_at=clock.now())
        self.heard: dict[str, Quote] = {}
        self.reconnects: list[str] = []

    def hears(self, symbol: str, at: datetime) -> None:
        now = self.clock.now()
        self.quotes.last_message_at = now
        self.heard[symbol] = Quote(symbol=symbol, bid=D(1), ask=D(1), at=at, received_at=now)

    def newest(self, symbol: str) -> Quote | None:
        return self.heard.get(symbol)

    def newest_at(self) -> datetime | None:
        return max((quote.at for quote in self.heard.values()), default=None)

    def reconnect(self, stream: Stream, why: str) -> None:
        self.reconnects.append(why)

    def set_symbols(self, symbols: set[str]) -> None: ...
    def look_again(self, symbol: str) -> None: ...


class Scene:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.exchange = Exchange(self.clock)
        self.ears = Ears(self.clock)
        self.troubles = Troubles()
        self.desk = Desk("abcd1234", 1)
        self.desk.rules = {symbol: rules(symbol=symbol) for symbol in PAIRS}
        for number, symbol in enumerate(PAIRS, 1):
            made = asset(id=number, asset_symbol=symbol)
            self.desk.put(made, cycle(asset_id=number), (), self.clock.now())
        self.hearing = Hearing(cast(Any, self.exchange), self.desk, self.ears, self.clock, self.troubles)

    def passes(self, seconds: float, *, lag: float = 0.0, pairs: tuple[str, ...] = PAIRS) -> None:
        """Quotes every other second, `lag` seconds after the exchange made them."""
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            self.clock.pass_seconds(2)
            for symbol in pairs:
                self.ears.hears(symbol, self.exchange.now() - timedelta(seconds=lag))
            self.hearing.probe()

    def names(self) -> list[str]:
        reading = self.desk.clock_reading
        shown: Beat = beat(
            started_at=self.clock.now() - timedelta(hours=1),
            last_quote_at=self.clock.now(),
            last_settle_at=self.clock.now(),
            troubles=tuple(self.troubles.names()),
            quote_lag_seconds=self.desk.quote_lag_seconds,
            clock_ahead_seconds=None if reading is None else reading.ahead_seconds,
        )
        found = findings(shown, self.clock.now(), has_cycles=True)
        return [each.name for each in found]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_quotes_in_time_cost_nothing(scene: Scene) -> None:
    scene.passes(600, lag=0.3)
    assert scene.desk.quote_lag_seconds == pytest.approx(0.3)
    assert (scene.exchange.asked, scene.exchange.compared, scene.ears.reconnects) == ([], 0, [])


def test_a_stream_that_is_late_is_opened_anew(scene: Scene) -> None:
    scene.passes(12, lag=20)
    assert scene.ears.reconnects == [], "a moment is no reason"
    scene.passes(10, lag=20)
    assert scene.ears.reconnects == ["its quotes come 20 s late"]
    assert scene.desk.quote_lag_seconds == 20
    assert scene.names() == ["quotes late"]
    scene.passes(4)
    assert scene.names() == []


def test_what_is_late_at_the_exchange_too_is_not_the_stream_s_fault(scene: Scene) -> None:
    scene.exchange.latest_quote_times = lambda symbols: dict.fromkeys(  # type: ignore[method-assign]
        symbols, scene.exchange.now() - timedelta(seconds=18)
    )
    scene.passes(60, lag=20)
    assert scene.ears.reconnects == [] and scene.names() == ["quotes late"]


@pytest.mark.parametrize("ahead", [20, -20])
def test_a_clock_that_drifts_is_found_by_its_quotes(scene: Scene, ahead: float) -> None:
    """Long before the next hour: and the stream, which is right, is left alone."""
    scene.exchange.behind = ahead
    scene.passes(30)
    reading = scene.desk.clock_reading
    assert reading is not None and reading.is_wrong and round(reading.ahead_seconds) == ahead
    assert scene.names() == ["clock wrong"]
    assert scene.ears.reconnects == []
    scene.exchange.behind = 0
    scene.hearing.compare_clock()
    assert not scene.desk.clock_reading or not scene.desk.clock_reading.is_wrong
    scene.passes(4)
    assert scene.names() == []


@pytest.mark.parametrize(
    ("trip", "behind", "is_wrong"),
    [(30, 0, False), (12, 4, False), (6, 20, True), (0, 6, True), (8, -7, False)],
)
def test_a_slow_answer_is_no_wrong_clock(scene: Scene, trip: float, behind: float, *, is_wrong: bool) -> None:
    """Compared against the middle of the round trip; half of it is doubt."""
    scene.exchange.answers_after, scene.exchange.behind = trip, behind
    reading = clock_offset.read(cast(Any, scene.exchange), scene.clock)
    assert reading.ahead_seconds == pytest.approx(behind)
    assert reading.doubt_seconds == pytest.approx(trip / 2)
    assert reading.is_wrong is is_wrong


def test_words_for_a_wrong_clock() -> None:
    assert ClockReading(ahead_seconds=7.4).words == "this machine's clock is 7 s ahead of the exchange's"
    assert "behind" in ClockReading(ahead_seconds=-7).words


def test_a_pair_that_is_mute_while_the_others_are_not(scene: Scene) -> None:
    scene.passes(10)
    scene.passes(PAIRS_SECONDS * 2 + 4, pairs=("BTC/USD",))
    assert scene.ears.reconnects == [] and scene.names() == [], "once is no proof: it may be new"
    scene.passes(PAIRS_SECONDS * 2, pairs=("BTC/USD",))
    assert scene.exchange.asked[0] == ["ETH/USD"], "only the silent one is asked for"
    assert scene.ears.reconnects == ["no quotes of ETH/USD"], "once in ten minutes"
    assert scene.names() == ["pairs without quotes"]
    scene.passes(PAIRS_SECONDS * 2)
    assert scene.names() == []


def test_a_pair_that_is_quiet_at_the_exchange_too_is_not_mute(scene: Scene) -> None:
    scene.passes(10)
    last = scene.ears.heard["ETH/USD"].at
    scene.exchange.latest_quote_times = lambda symbols: dict.fromkeys(symbols, last)  # type: ignore[method-assign]
    scene.passes(300, pairs=("BTC/USD",))
    assert scene.ears.reconnects == [] and scene.names() == []


def test_a_stream_that_is_silent_is_compared_with_the_exchange(scene: Scene) -> None:
    scene.passes(4)
    scene.clock.pass_seconds(SILENT_SECONDS - 1)
    scene.hearing.probe()
    assert scene.exchange.asked == []
    scene.clock.pass_seconds(1)
    scene.hearing.probe()
    assert scene.ears.reconnects == [f"no quotes for {SILENT_SECONDS:.0f} s"]


def test_a_new_connection_is_not_judged_by_what_came_before_it(scene: Scene) -> None:
    scene.passes(20, lag=20)
    scene.ears.reconnects.clear()
    scene.clock.pass_seconds(1)
    scene.ears.quotes.connected_at = scene.clock.now()
    scene.hearing.probe()
    assert scene.desk.quote_lag_seconds is None
    scene.clock.pass_seconds(10)
    scene.hearing.probe()
    assert scene.ears.reconnects == []


def test_with_nothing_to_hear_nothing_is_asked(scene: Scene) -> None:
    scene.desk.forget_others(set())
    scene.clock.pass_seconds(600)
    scene.hearing.probe()
    assert scene.exchange.asked == [] and scene.ears.reconnects == []


def test_the_loop_compares_the_clock_every_hour_and_every_minute_while_it_is_wrong(scene: Scene) -> None:
    loop = MainLoop(
        store=cast(Any, None),
        broker=cast(Any, scene.exchange),
        desk=scene.desk,
        inbox=Inbox(),
        feed=scene.ears,
        clock=scene.clock,
        troubles=scene.troubles,
        quiet_period=timedelta(seconds=120),
        before_each=lambda: None,
        stop=lambda _: None,
    )
    other = ("refresh", "settle", "fees", "late fees", "rules", "silence")
    loop.regularly = lambda name, seconds, work: (  # type: ignore[method-assign]
        None if name in other else MainLoop.regularly(loop, name, seconds, work)
    )
    loop.tick()
    scene.clock.pass_seconds(CLOCK_SECONDS - 1)
    loop.tick()
    assert scene.exchange.compared == 0, "the start has done so"
    scene.exchange.behind = 30
    scene.clock.pass_seconds(1)
    loop.tick()
    assert scene.exchange.compared >= 1 and scene.troubles.names() == ["clock wrong"]
    scene.exchange.behind, compared = 0, scene.exchange.compared
    scene.clock.pass_seconds(AGAIN_SECONDS)
    loop.tick()
    assert scene.exchange.compared == compared + 1 and scene.troubles.names() == []


def test_what_was_wrong_with_quotes_ends_with_the_pairs(scene: Scene) -> None:
    scene.passes(10)
    scene.passes(PAIRS_SECONDS * 5, pairs=("BTC/USD",))
    scene.passes(20, lag=20, pairs=("BTC/USD",))
    assert scene.troubles.names() == ["stream no quotes of ETH/USD", "stream quotes late"]
    scene.desk.forget_others({"BTC/USD"})
    scene.hearing.probe()
    assert scene.troubles.names() == ["stream quotes late"]
    scene.desk.forget_others(set())
    scene.hearing.probe()
    assert scene.troubles.names() == []
