"""What main_app's loop does when, and to whom it hands what the exchange lists."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import pytest

from dca.core.errors import ExchangeUnavailable
from dca.core.interfaces import MainBroker
from dca.core.model import Execution, OrderState
from dca.exchange.streams import StreamState
from dca.runtime.crash_counter import Failures
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import DatabaseSettings
from dca.trading.inbox import ConfirmFee, Inbox, Settle
from dca.trading.main_loop import MainLoop
from dca.trading.worker import Rests, Worker, WorkerThread
from tests.builders import D, snapshot
from tests.caring import edit
from tests.rig import QUIET_SECONDS, SYMBOL, Rig


class Ears:
    """Streams that a test sets, and what was asked of them."""

    def __init__(self) -> None:
        self.orders = StreamState(name="order stream", connected=True)
        self.quotes = StreamState(name="quote stream", connected=True)
        self.again: list[str] = []
        self.reconnects: list[str] = []
        self.symbols: set[str] = set()

    def newest(self, symbol: str) -> None: ...
    def newest_at(self) -> None: ...

    def set_symbols(self, symbols: set[str]) -> None:
        self.symbols = symbols

    def look_again(self, symbol: str) -> None:
        self.again.append(symbol)

    def reconnect(self, stream: Any, why: str) -> None:
        self.reconnects.append(why)


class WithClock:
    """The rig's exchange, and the time there."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def clock(self) -> datetime:
        return self._rig.clock.now()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rig.exchange, name)


class Scene:
    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.inbox, self.ears, self.troubles = Inbox(), Ears(), Troubles()
        self.stopped: list[str] = []
        self.loop = MainLoop(
            store=rig.store,
            broker=cast(MainBroker, WithClock(rig)),
            desk=rig.desk,
            inbox=self.inbox,
            feed=cast(Any, self.ears),
            clock=rig.clock,
            troubles=self.troubles,
            quiet_period=timedelta(seconds=QUIET_SECONDS),
            before_each=lambda: None,
            stop=self.stopped.append,
        )

    def items(self) -> list[Any]:
        """All that waits in the inbox now."""
        found = []
        while (item := self.inbox.take(0)) is not None:
            found.append(item)
            self.inbox.done(item)
        return found

    def done_within(self, seconds: int) -> list[int]:
        """At which seconds a counter that is due every ten seconds was run."""
        ran: list[int] = []
        for second in range(seconds):
            self.loop.regularly("it", 10, lambda second=second: ran.append(second))  # type: ignore[misc]
            self.rig.clock.pass_seconds(1)
        return ran


@pytest.fixture
def scene(database: DatabaseSettings) -> Iterator[Scene]:
    rig = Rig(database)
    yield Scene(rig)
    rig.close()


# ---- when -------------------------------------------------------------------------------------------------


def test_what_is_due_is_done_at_once_and_then_regularly(scene: Scene) -> None:
    assert scene.done_within(31) == [0, 10, 20, 30]


def test_what_does_not_answer_is_tried_again_sooner_and_told_until_it_answers(scene: Scene) -> None:
    def fails() -> None:
        tries.append(scene.rig.clock.monotonic())
        raise ExchangeUnavailable("down")

    tries: list[float] = []
    for _ in range(120):
        scene.loop.regularly("it", 600, fails)
        scene.rig.clock.pass_seconds(1)
    pauses = {after - before for before, after in pairwise(tries)}
    assert len(pauses) == 1 and 1 < min(pauses) <= 60
    assert scene.troubles.names() == ["loop it"]
    scene.rig.clock.pass_seconds(60)
    scene.loop.regularly("it", 600, lambda: None)
    assert scene.troubles.names() == []


def test_rules_are_read_again_within_the_hour_and_often_while_a_pair_is_halted(scene: Scene) -> None:
    rig = scene.rig
    rig.exchange.rules[SYMBOL] = replace(rig.exchange.rules[SYMBOL], tradable=False)
    ticked(scene, 3601)
    assert not rig.desk.rules[SYMBOL].tradable, "heard within an hour"
    rig.exchange.rules[SYMBOL] = replace(rig.exchange.rules[SYMBOL], tradable=True)
    ticked(scene, 61)
    assert rig.desk.rules[SYMBOL].tradable, "heard within a minute"


def ticked(scene: Scene, seconds: int) -> None:
    for _ in range(seconds // 5 + 1):
        scene.loop.tick()
        scene.items()
        scene.rig.clock.pass_seconds(5)
    scene.loop.tick()


def test_a_reconnect_settles_once_and_at_once(scene: Scene) -> None:
    scene.loop.tick()
    first = scene.rig.desk.last_settle_at
    scene.rig.clock.pass_seconds(1)
    scene.loop.ask_to_settle()
    assert not scene.rig.desk.settled
    scene.loop.tick()
    assert scene.rig.desk.settled and scene.rig.desk.last_settle_at != first
    second = scene.rig.desk.last_settle_at
    scene.rig.clock.pass_seconds(1)
    scene.loop.tick()
    assert scene.rig.desk.last_settle_at == second, "the next one is due in its time"


# ---- what the exchange lists ------------------------------------------------------------------------------


def test_every_order_that_has_news_is_handed_on_and_no_other(scene: Scene) -> None:
    rig = scene.rig
    rig.quote("100")
    order = rig.orders()[0]
    scene.loop.refresh()
    scene.loop.tick()
    assert scene.items() == [], "as it is listed"
    listed = rig.exchange.fill(order.client_order_id, qty="0.1")
    rig.clock.pass_seconds(5)
    scene.loop.tick()
    assert scene.items() == [listed]


def test_a_fill_without_a_price_is_asked_for(scene: Scene) -> None:
    rig = scene.rig
    rig.quote("100")
    order = rig.orders()[0]
    scene.loop.refresh()
    rig.exchange.orders[order.client_order_id] = snapshot(order, "partially_filled", "0.1")
    scene.loop.tick()
    assert [type(each) for each in scene.items()] == [Settle]


def test_an_unknown_order_is_asked_for_often_at_first_and_then_every_half_minute(scene: Scene) -> None:
    rig = scene.rig
    rig.exchange.lose_request = True
    rig.quote("100")
    scene.loop.refresh()
    asked = []
    for second in range(0, 240, 5):
        scene.loop.tick()
        asked += [second] * len(scene.items())
        rig.clock.pass_seconds(5)
    assert asked[:3] == [0, 5, 10]
    later = [second for second in asked if second > 60]
    assert {after - before for before, after in pairwise(later)} == {30}


def test_an_order_under_our_id_that_is_not_in_flight_here_is_booked(scene: Scene) -> None:
    rig = scene.rig
    rig.quote("100")
    rig.trader.books.book(rig.exchange.end(rig.last_id()))
    scene.loop.refresh()
    order = rig.orders()[0]
    orphan = snapshot(order, client_order_id=f"{rig.desk.prefix}7-1-b", exchange_order_id="x-7")
    stranger = snapshot(order, client_order_id="person-1", exchange_order_id="x-8")
    rig.exchange.orders |= {each.client_order_id: each for each in (orphan, stranger)}
    rig.desk.settled = False
    scene.loop.tick()
    assert scene.items() == [orphan]


def test_each_order_gets_its_own_executions(scene: Scene) -> None:
    rig = scene.rig
    rig.bought("100")
    rig.look()
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    buy, sale = rig.orders(1)
    scene.loop.tick()
    found = [each for each in scene.items() if isinstance(each, ConfirmFee) and each.executions]
    for order in (buy, sale):
        [mine] = [each for each in found if each.order.id == order.id]
        assert {each.exchange_order_id for each in mine.executions} == {order.exchange_order_id}
        assert all(isinstance(each, Execution) for each in mine.executions)


# ---- the operator's rows ----------------------------------------------------------------------------------


def test_a_problem_is_told_when_it_begins_and_when_it_is_solved(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        scene.loop.refresh()
        edit(scene.rig, "UPDATE dca_assets SET lock_reason = 'mine'")
        for _ in range(3):
            scene.loop.refresh()
        edit(scene.rig, "UPDATE dca_assets SET lock_reason = NULL")
        scene.loop.refresh()
    assert caplog.text.count("not bought") == 1 and caplog.text.count("problem solved") == 1


def test_only_an_enabled_asset_begins_a_cycle_and_is_read_again_at_once(scene: Scene) -> None:
    rig = scene.rig
    edit(rig, "DELETE FROM dca_cycles")
    edit(rig, "UPDATE dca_assets SET is_enabled = FALSE")
    scene.loop.tick()
    assert rig.store.transaction(lambda tx: tx.live_cycle(1)) is None
    edit(rig, "UPDATE dca_assets SET is_enabled = TRUE")
    rig.clock.pass_seconds(5)
    scene.loop.tick()
    scene.loop.tick()
    watch = rig.desk.watch(SYMBOL)
    assert watch is not None and watch.cycle is not None
    assert scene.ears.symbols == {SYMBOL}


# ---- a worker ---------------------------------------------------------------------------------------------


def a_worker(scene: Scene, folder: Any) -> Worker:
    rig = scene.rig
    failures = Failures(folder / "failures.json")
    rests = Rests(rig.clock)
    return Worker(rig.trader, scene.inbox, cast(Any, scene.ears), rests, scene.troubles, failures, rig.clock)


@pytest.mark.parametrize(
    ("age", "connected_since", "heard_before", "connected", "missed"),
    [
        (6, 60, 30, True, True),
        (6, 60, None, True, True),
        (5, 60, 30, True, False),  # it may be on its way
        (6, 60, 2, True, False),  # something came after it
        (6, 3, 30, True, False),  # opened after it
        (6, None, 30, True, False),
        (6, 60, 30, False, False),
    ],
)
def test_news_that_a_living_stream_would_have_brought_open_it_anew(
    scene: Scene,
    tmp_path: Any,
    age: int,
    connected_since: int | None,
    heard_before: int | None,
    connected: bool,
    missed: bool,
) -> None:
    rig, stream = scene.rig, scene.ears.orders
    rig.quote("100")
    order = rig.orders()[0]
    rig.exchange.fill(order.client_order_id)
    rig.clock.pass_seconds(age)
    now = rig.clock.now()

    def ago(seconds: int | None) -> Any:
        return None if seconds is None else now - timedelta(seconds=seconds)

    stream.connected, stream.connected_at = connected, ago(connected_since)
    stream.last_message_at = ago(heard_before)
    scene.inbox.put(Settle(order=order))
    worker = a_worker(scene, tmp_path)
    assert worker.work(0)
    assert (scene.ears.reconnects != []) is missed
    assert rig.orders()[0].state is OrderState.DONE
    scene.inbox.put(Settle(order=rig.orders()[0]))
    before = list(scene.ears.reconnects)
    assert worker.work(0)
    assert scene.ears.reconnects == before, "nothing new"


def test_all_that_did_not_answer_is_over_when_something_answers(scene: Scene, tmp_path: Any) -> None:
    rig = scene.rig
    worker = a_worker(scene, tmp_path)
    rig.bought()
    rig.look()
    order = rig.orders()[0]
    rig.exchange.down = True
    scene.inbox.put(Settle(order=order))
    worker.work(0)
    assert scene.troubles.names() == ["worker ExchangeUnavailable"]
    rig.exchange.down = False
    scene.troubles.begins("worker", "RateLimited", "wait", rig.clock.now())
    scene.inbox.put(Settle(order=order))
    worker.work(0)
    assert scene.troubles.names() == []
    assert D(rig.cycle().quantity) > 0


def test_a_thread_works_until_it_is_stopped(scene: Scene, tmp_path: Any) -> None:
    rig = scene.rig
    rig.quote("100")
    order = rig.orders()[0]
    rig.exchange.fill(order.client_order_id)
    thread = WorkerThread(3, a_worker(scene, tmp_path), rig.clock)
    assert (thread.name, thread.daemon) == ("worker-3", True)
    assert thread.beat_monotonic == rig.clock.monotonic()
    rig.clock.pass_seconds(10)
    scene.inbox.put(Settle(order=order))
    thread.start()
    deadline = 600
    while rig.orders()[0].state is not OrderState.DONE and deadline:
        thread.join(0.05)
        deadline -= 1
    thread.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert rig.orders()[0].state is OrderState.DONE
    assert thread.beat_monotonic == rig.clock.monotonic()
