"""A level that is reached and not acted on for two minutes is an incident of its asset, whatever holds it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dca.alerts.conditions import findings
from dca.core.interfaces import Stream
from dca.core.model import CycleStatus, Position, Quote
from dca.core.operations import Finding, IncidentKind
from dca.database.store import Transaction
from dca.exchange.streams import StreamState
from dca.runtime import heartbeat
from dca.runtime.crash_counter import Failures
from dca.runtime.heartbeat import Beat, Delay, Heartbeat
from dca.runtime.log_lines import Troubles
from dca.trading.delays import Delays
from dca.trading.inbox import Inbox
from dca.trading.watchlist import Desk
from dca.trading.worker import Rests, Worker
from tests.alerts.test_conditions import beat, look
from tests.builders import NOW, asset, cycle, holding, rules
from tests.caring import edit
from tests.rig import SYMBOL, Rig

FEW_SECONDS, LONG_SECONDS = 110, 140
UP, DOWN = "103", "98"
"""Prices at which the rig's asset sells, and at which it buys a safety order."""


class Heard:
    """A feed that has heard one quote."""

    orders: Stream = StreamState(name="order stream")
    quotes: Stream = StreamState(name="quote stream")

    def __init__(self) -> None:
        self.quote: Quote | None = None

    def newest(self, symbol: str) -> Quote | None:
        return self.quote

    def newest_at(self) -> datetime | None:
        return None if self.quote is None else self.quote.at

    def set_symbols(self, symbols: set[str]) -> None: ...
    def reconnect(self, stream: Stream, why: str) -> None: ...
    def look_again(self, symbol: str) -> None: ...


class Scene:
    """The rig with a worker and the loop's look, a quote every other second."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.feed = Heard()
        self.inbox = Inbox()
        self.delays = Delays(rig.desk, self.feed, rig.clock, rig.troubles)
        failures = Failures(folder / "failures.json")
        rests = Rests(rig.clock)
        self.worker = Worker(rig.trader, self.inbox, self.feed, rests, Troubles(), failures, rig.clock)

    def quotes(self, price: str, seconds: float, *, age: float = 0.0, spread: str = "0") -> None:
        clock, bid = self.rig.clock, Decimal(price)
        until = clock.monotonic() + seconds
        while clock.monotonic() < until:
            now = clock.now()
            ask, at = bid * (1 + Decimal(spread)), now - timedelta(seconds=age)
            self.feed.quote = Quote(symbol=SYMBOL, bid=bid, ask=ask, at=at, received_at=now)
            self.inbox.put_quote(self.feed.quote)
            self.worker.work(0)
            clock.pass_seconds(2)
            self.delays.look()

    def found(self) -> list[Finding]:
        return [each for each in findings(look(beat=self.beat())) if each.kind is IncidentKind.MONEY]

    def beat(self) -> Beat:
        return beat(delays=tuple(self.delays.all()))


@pytest.fixture
def scene(rig: Rig, tmp_path: Path) -> Scene:
    return Scene(rig, tmp_path)


def wide(scene: Scene, seconds: float) -> None:
    scene.quotes(UP, seconds, spread="0.05")


def late(scene: Scene, seconds: float) -> None:
    scene.quotes(UP, seconds, age=20)


def never_confirmed(scene: Scene, seconds: float) -> None:
    scene.rig.exchange.price = Decimal(100)
    scene.quotes(UP, seconds)


def exchange_down(scene: Scene, seconds: float) -> None:
    scene.rig.exchange.down = True
    scene.quotes(UP, seconds)


def not_settled(scene: Scene, seconds: float) -> None:
    scene.rig.desk.settled = False
    scene.quotes(UP, seconds)


def slow_answers(scene: Scene, seconds: float) -> None:
    """Beyond what the newest quote may be old: in this scene the stream brings none meanwhile."""
    exchange, clock = scene.rig.exchange, scene.rig.clock
    position = exchange.position
    exchange.price = Decimal(UP)

    def slow(symbol: str) -> Position:
        clock.pass_seconds(16)
        return position(symbol)

    if exchange.position.__name__ != "slow":
        exchange.position = slow  # type: ignore[method-assign]
    scene.quotes(UP, seconds)


def slow_database(scene: Scene, seconds: float) -> None:
    rig, transaction = scene.rig, scene.rig.store.transaction
    rig.exchange.price = Decimal(UP)

    def slow(work: Callable[[Transaction], Any]) -> Any:
        rig.clock.pass_seconds(16)
        return transaction(work)

    if transaction.__name__ != "slow":
        rig.store.transaction = slow  # type: ignore[method-assign]
    scene.quotes(UP, seconds)


def no_requests_left(scene: Scene, seconds: float) -> None:
    scene.rig.exchange.limited = True
    scene.quotes(DOWN, seconds)


@pytest.mark.parametrize(
    ("cause", "action", "why"),
    [
        (late, "sale", "20 s old"),
        (wide, "sale", "spread above 2 %"),
        (never_confirmed, "sale", "the exchange's own bid is 100, not 102"),
        (exchange_down, "sale", "down"),
        (not_settled, "sale", "not every order in flight is settled"),
        (slow_answers, "sale", "before its order was claimed its quote was 16 s old"),
        (slow_database, "sale", "before its order was claimed its quote was"),
        (no_requests_left, "buy", "too many requests"),
    ],
)
def test_whatever_keeps_it_from_acting_is_told_after_two_minutes(
    scene: Scene, cause: Callable[[Scene, float], None], action: str, why: str
) -> None:
    scene.rig.bought()
    posts = len(scene.rig.exchange.posts)
    cause(scene, FEW_SECONDS)
    assert scene.found() == []
    cause(scene, LONG_SECONDS - FEW_SECONDS)
    assert len(scene.rig.exchange.posts) == posts
    (found,) = scene.found()
    assert found.name == f"delayed {SYMBOL}" and action in found.subject and SYMBOL in found.subject
    assert why in found.evidence and f"./bot why {SYMBOL}" in found.evidence


def test_an_amount_that_buys_nothing_is_told(scene: Scene) -> None:
    rig = scene.rig
    rig.desk.rules = {SYMBOL: replace(rig.desk.rules[SYMBOL], min_order_size=Decimal("0.3"))}
    rig.look()
    scene.quotes("100", LONG_SECONDS)
    (found,) = scene.found()
    assert "buys less than the exchange's smallest order" in found.evidence and "buy overdue" in found.subject


def test_it_is_over_when_the_price_has_gone(scene: Scene) -> None:
    scene.rig.bought()
    late(scene, LONG_SECONDS)
    assert scene.found()
    scene.quotes("100", 4)
    assert scene.delays.all() == [] and scene.rig.desk.held_back == {}
    assert scene.rig.troubles.names() == [], "what it was held back by is over with it"


def test_it_is_over_when_it_was_sold(scene: Scene) -> None:
    scene.rig.bought()
    late(scene, LONG_SECONDS)
    scene.rig.exchange.price = Decimal(UP)
    scene.quotes(UP, 4)
    assert scene.rig.cycle().status is CycleStatus.SELLING
    scene.rig.trader.books.book(scene.rig.exchange.fill(scene.rig.last_id(), price=UP))
    scene.delays.look()
    assert scene.delays.all() == []


def test_an_order_that_perhaps_never_arrived_does_not_end_it(scene: Scene) -> None:
    """Claimed, not sent, given up, claimed again: each time it looks as if something had happened."""
    scene.rig.bought()
    late(scene, 60)
    scene.rig.exchange.lose_request = True
    scene.rig.exchange.price = Decimal(UP)
    scene.quotes(UP, 4)
    assert scene.rig.cycle().status is CycleStatus.SELLING
    (delay,) = scene.delays.all()
    assert delay.lasted_seconds >= 50


def test_one_quote_that_is_not_repeated_is_no_delay(scene: Scene) -> None:
    """Of a pair that quotes rarely: a level is reached from its first quote to its last."""
    scene.rig.bought()
    late(scene, 10)
    for _ in range(100):
        scene.rig.clock.pass_seconds(5)
        scene.delays.look()
    (delay,) = scene.delays.all()
    assert delay.lasted_seconds <= 10 and "no quote of it has come for" in delay.why
    assert scene.found() == []


def test_what_any_price_would_do_and_gets_no_quote_at_all_is_told(scene: Scene) -> None:
    for _ in range(30):
        scene.delays.look()
        scene.rig.clock.pass_seconds(5)
    (found,) = scene.found()
    assert "no quote of it has come since main_app started" in found.evidence
    assert "buy overdue" in found.subject


def test_steps_of_the_clock_make_no_delay(scene: Scene) -> None:
    scene.rig.bought()
    late(scene, 10)
    real = scene.rig.clock.monotonic()
    scene.rig.clock.monotonic = lambda: real + 2  # type: ignore[method-assign]
    scene.rig.clock.pass_seconds(3600)
    late_again = scene.feed.quote
    assert late_again is not None
    scene.feed.quote = replace(late_again, received_at=scene.rig.clock.now())
    scene.delays.look()
    assert scene.found() == []


def test_a_fall_in_which_it_keeps_buying_is_no_delay(scene: Scene) -> None:
    """Polled at a moment when the next level is reached, again and again."""
    rig = scene.rig
    rig.bought()
    for price in ("98.9", "97.9", "96.9"):
        rig.quote(price)
        quote = Quote(
            symbol=SYMBOL,
            bid=Decimal(price) * Decimal("0.98"),
            ask=Decimal(price) * Decimal("0.98"),
            at=rig.clock.now(),
            received_at=rig.clock.now(),
        )
        rig.trader.books.book(rig.exchange.fill(rig.last_id(), price=price))
        scene.feed.quote = quote
        scene.delays.look()
        rig.clock.pass_seconds(100)
    assert scene.found() == []


@pytest.mark.parametrize("mode", ["halt", "disabled", "locked"])
def test_what_may_not_act_is_not_held_back(scene: Scene, mode: str) -> None:
    changes = {
        "halt": "UPDATE dca_control SET mode = 'halt'",
        "disabled": "UPDATE dca_assets SET is_enabled = FALSE",
        "locked": "UPDATE dca_assets SET lock_reason = 'by hand', lock_kind = 'break'",
    }
    edit(scene.rig, changes[mode])
    scene.rig.desk.mode = scene.rig.store.transaction(lambda tx: tx.control()).mode
    scene.rig.look()
    scene.quotes("100", LONG_SECONDS)
    assert scene.delays.all() == []


def test_the_heartbeat_carries_it(tmp_path: Path, rig: Rig) -> None:
    path, now = tmp_path / "beat.json", rig.clock.now()
    delay = {"symbol": SYMBOL, "action": "sale", "since": now.isoformat(), "lasted_seconds": 7.5, "why": "x"}
    content = {"delays": [delay], "quote_lag_seconds": 0.25, "clock_ahead_seconds": -1.5, "pairs": 2}
    Heartbeat(path, rig.clock).beat(dict(content))
    found = heartbeat.read(path)
    assert found is not None
    assert found.delays == (Delay(symbol=SYMBOL, action="sale", since=now, lasted_seconds=7.5, why="x"),)
    assert (found.quote_lag_seconds, found.clock_ahead_seconds, found.pairs) == (0.25, -1.5, 2)


# ---- rows that can never trade -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "holds", "has_rules", "is_told"),
    [
        ({}, False, True, False),
        ({"base_order_amount": 5}, False, True, True),
        ({"asset_symbol": "BTC/EUR"}, False, True, True),
        ({}, False, False, True),
        ({"is_enabled": False}, False, False, False),
        ({"is_enabled": False, "base_order_amount": 5}, True, True, False),
        ({"is_enabled": False}, True, False, True),
        ({"lock_reason": "x", "base_order_amount": 5}, True, True, False),
    ],
)
def test_a_row_that_cannot_be_traded_is_told_where_it_is_wanted(
    changes: dict[str, Any], *, holds: bool, has_rules: bool, is_told: bool
) -> None:
    """Disabled it is wanted only for what it holds; a lock is told by itself."""
    desk, made = Desk("abcd1234", 1), asset(**{name: amount(value) for name, value in changes.items()})
    symbol = made.asset_symbol
    desk.rules = {symbol: rules(symbol=symbol)} if has_rules else {}
    desk.put(made, holding() if holds else cycle(), (), NOW)
    assert list(desk.not_traded()) == ([symbol] if is_told else [])


def amount(value: Any) -> Any:
    return value if isinstance(value, bool | str) else Decimal(value)
