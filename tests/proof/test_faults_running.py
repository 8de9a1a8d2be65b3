"""Faults of the catalogue (docs/faults.md) around the trader: starts, clocks, the worker and the loop.

Real trader, real database, a fake exchange whose every event is in the test's hand.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from dca.core import ledger
from dca.core.errors import BrokenRule, ExchangeUnavailable, StartRefused
from dca.core.interfaces import Clock
from dca.core.model import CycleStatus, OrderState, Position, Quote, Snapshot
from dca.exchange import account_checks
from dca.exchange.clock_offset import ClockReading
from dca.exchange.streams import Feed
from dca.runtime.crash_counter import LIMIT, Failures
from dca.runtime.log_lines import Troubles
from dca.trading.inbox import Inbox, Settle
from dca.trading.main_loop import MainLoop
from dca.trading.worker import Rests, Worker
from tests.caring import edit
from tests.fake_exchange import FakeExchange
from tests.operating import NO_EXCHANGE
from tests.rig import QUIET_SECONDS, SYMBOL, Rig
from tests.taking import taken


def quote_of(rig: Rig, price: str) -> Quote:
    value, now = Decimal(price), rig.clock.now()
    return Quote(symbol=SYMBOL, bid=value, ask=value, at=now, received_at=now)


# ---- invariants that no look at two books at rest can show ---------------------------------------------


@pytest.mark.parametrize(
    ("mode", "price", "posts"),
    [("exits_only", "90", 1), ("exits_only", "103", 2), ("halt", "90", 1), ("halt", "103", 1)],
)
def test_I15_nothing_is_placed_against_the_kill_switch(rig: Rig, mode: str, price: str, posts: int) -> None:
    """The desk does not know of it yet: the row counts, as it is in the claim."""
    rig.bought()
    edit(rig, f"UPDATE dca_control SET mode = '{mode}'")
    rig.quote(price)
    assert len(rig.exchange.posts) == posts


@pytest.mark.parametrize("has_open_order", [False, True])
def test_I28_starting_again_and_again_changes_nothing(rig: Rig, *, has_open_order: bool) -> None:
    rig.bought()
    if has_open_order:
        rig.quote("99")
    before = (rig.asset(), rig.cycle(), rig.orders(), dict(rig.exchange.orders), list(rig.exchange.posts))
    for _ in range(5):
        rig.start()
        rig.quote("99.5")
    after = (rig.asset(), rig.cycle(), rig.orders(), dict(rig.exchange.orders), list(rig.exchange.posts))
    assert after == before
    assert rig.exchange.cancels == []


# ---- clocks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-3600, -16, 16, 3600])
def test_F62_with_a_clock_that_jumped_no_quote_decides(rig: Rig, seconds: float) -> None:
    quote = quote_of(rig, "100")
    rig.clock.pass_seconds(seconds)
    rig.trader.on_quote(quote)
    assert rig.exchange.posts == []
    rig.clock.pass_seconds(-seconds)
    rig.trader.on_quote(quote)
    assert len(rig.exchange.posts) == 1


@pytest.mark.parametrize("seconds", [-6, 6])
def test_F62_a_clock_that_is_wrong_keeps_it_from_starting(rig: Rig, seconds: float) -> None:
    account_checks.check_clock(ClockReading(ahead_seconds=seconds * 4 / 5))
    with pytest.raises(StartRefused, match="clock is 6 s"):
        account_checks.check_clock(ClockReading(ahead_seconds=seconds))


# ---- the worker and the loop around it ---------------------------------------------------------------------


def a_worker(rig: Rig, folder: Path) -> tuple[Worker, Inbox, Troubles]:
    troubles, inbox = Troubles(), Inbox()
    feed = Feed(NO_EXCHANGE, inbox, {}, rig.clock, troubles, lambda: None)  # never started
    failures = Failures(folder / "failures.json")
    worker = Worker(rig.trader, inbox, feed, Rests(rig.clock), troubles, failures, rig.clock)
    return worker, inbox, troubles


def test_F40_ten_minutes_without_an_exchange_cost_few_requests_and_no_state(rig: Rig, tmp_path: Path) -> None:
    worker, inbox, troubles = a_worker(rig, tmp_path)
    rig.bought()
    before = rig.cycle()
    rig.exchange.price = Decimal(103)
    asked: list[str] = []

    def down(symbol: str) -> Position:
        asked.append(symbol)
        raise ExchangeUnavailable("503")

    rig.exchange.position = down  # type: ignore[method-assign]
    for _ in range(2400):
        rig.clock.pass_seconds(0.25)
        inbox.put_quote(quote_of(rig, "103"))
        worker.work(0)
    assert 100 <= len(asked) <= 121, "once in five seconds"
    assert troubles.names() == ["worker ExchangeUnavailable"]
    assert rig.cycle() == before and len(rig.exchange.posts) == 1
    del rig.exchange.position
    rig.clock.pass_seconds(5)
    inbox.put_quote(quote_of(rig, "103"))
    worker.work(0)
    assert rig.cycle().status is CycleStatus.SELLING
    assert troubles.names() == []


def test_F45_an_asset_over_which_the_process_dies_is_counted(rig: Rig, tmp_path: Path) -> None:
    """What the start makes of the count: test_faults_processes.py."""
    edit(rig, "ALTER TABLE dca_orders ADD CONSTRAINT poison CHECK (symbol <> 'BTC/USD')")
    for death in range(1, LIMIT + 1):
        worker, inbox, _ = a_worker(rig, tmp_path)
        inbox.put_quote(quote_of(rig, "100"))
        with pytest.raises(BrokenRule):
            worker.work(0)
        assert Failures(tmp_path / "failures.json").counts() == {SYMBOL: death}
    assert rig.exchange.posts == [], "a crash sends nothing"


def test_F11_a_stream_that_did_not_tell_of_a_fill_is_opened_anew(rig: Rig, tmp_path: Path) -> None:
    worker, inbox, troubles = a_worker(rig, tmp_path)
    stream = worker._feed.orders
    stream.connected, stream.connected_at = True, rig.clock.now()  # type: ignore[misc]
    rig.clock.pass_seconds(60)
    rig.quote("100")
    order = rig.orders()[0]
    inbox.put(Settle(order=order))
    worker.work(0)
    assert troubles.names() == [], "nothing has happened yet"
    rig.exchange.fill(rig.last_id(), price="100")
    rig.clock.pass_seconds(6)
    inbox.put(Settle(order=order))
    worker.work(0)
    assert rig.cycle().quantity == Decimal("0.1995"), "booked all the same"
    assert troubles.names() == ["stream order stream"]


class ShortPages(FakeExchange):
    """Lists only the first of its open orders, as a page limit nobody knew of would."""

    def open_orders(self) -> list[Snapshot]:
        return super().open_orders()[:1]


def test_F75_an_order_that_the_list_leaves_out_is_asked_for_by_its_id(rig: Rig) -> None:
    rig.quote("100")
    name = rig.last_id()
    ours = rig.exchange.orders.pop(name)
    person = replace(ours, client_order_id="person-1", exchange_order_id="p")
    short = ShortPages(clock=rig.clock, orders={"person-1": person, name: ours})
    inbox, troubles = Inbox(), Troubles()
    loop = MainLoop(
        store=rig.store,
        broker=cast(Any, short),
        desk=rig.desk,
        inbox=inbox,
        feed=Feed(NO_EXCHANGE, inbox, {}, rig.clock, troubles, lambda: None),
        clock=rig.clock,
        troubles=troubles,
        quiet_period=timedelta(seconds=QUIET_SECONDS),
        before_each=lambda: None,
        stop=lambda why: None,
    )
    loop.tick()
    asked = taken(inbox)
    assert isinstance(asked, Settle) and asked.order.client_order_id == name
    assert rig.orders()[0].state is OrderState.ACKED, "not on a list is not gone"
    assert ledger.merge(asked.order, ours, rig.clock.now()).is_live


@pytest.mark.parametrize("same", [True, False])
def test_F49_an_exchange_that_was_started_anew_is_not_heard(rig: Rig, same: bool) -> None:
    """It answers under the same id, and knows no order of ours: main_app ends, and the next start says
    why."""
    made_at = rig.clock.now()
    rig.store.transaction(lambda tx: tx.next_epoch("account", made_at))
    rig.store.run_script("UPDATE dca_control SET epoch = 1;\n")
    rig.quote("100")
    rig.exchange.account_made_at = made_at if same else made_at + timedelta(hours=1)
    rig.exchange.orders.clear()
    inbox, troubles, stops = Inbox(), Troubles(), list[str]()
    loop = MainLoop(
        store=rig.store,
        broker=cast(Any, rig.exchange),
        desk=rig.desk,
        inbox=inbox,
        feed=Feed(NO_EXCHANGE, inbox, {}, rig.clock, troubles, lambda: None),
        clock=rig.clock,
        troubles=troubles,
        quiet_period=timedelta(seconds=QUIET_SECONDS),
        before_each=lambda: None,
        stop=stops.append,
    )
    loop.ask_to_settle()  # as at the start
    loop.ask_to_settle()
    loop.tick()
    if same:
        assert stops == []
        assert isinstance(taken(inbox), Settle)
    else:
        assert len(stops) == 1 and "was restarted or reset" in stops[0]
        assert inbox.take(0) is None and not rig.desk.settled


def test_F40_an_answer_about_one_pair_does_not_wake_another_that_rests(rig: Rig) -> None:
    rests = Rests(rig.clock)
    rests.failed(SYMBOL)
    assert not rests.answered("ETH/USD"), "one still rests"
    assert rests.is_resting(SYMBOL) and not rests.is_resting("ETH/USD")
    rig.clock.pass_seconds(5)
    assert not rests.is_resting(SYMBOL)
    assert rests.answered("ETH/USD"), "nothing rests any more"
    assert not rests.answered("ETH/USD"), "told once"


class Looking(Feed):
    """A feed that is never started. Remembers at which pairs it was asked to look again."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        super().__init__(NO_EXCHANGE, inbox, {}, clock, Troubles(), lambda: None)
        self.looked: list[str] = []

    def look_again(self, symbol: str) -> None:
        self.looked.append(symbol)


def test_a_fill_is_followed_by_a_look_at_the_newest_quote(rig: Rig, tmp_path: Path) -> None:
    """A quote that came before the fill was booked was compared with the levels of before."""
    inbox, troubles = Inbox(), Troubles()
    feed = Looking(inbox, rig.clock)
    failures = Failures(tmp_path / "failures.json")
    worker = Worker(rig.trader, inbox, feed, Rests(rig.clock), troubles, failures, rig.clock)
    rig.quote("100")
    inbox.put(rig.exchange.fill(rig.last_id(), price="100"))
    worker.work(0)
    assert feed.looked == [SYMBOL]
