"""From the exchange's list of fills to the ledger: the fee of every order is confirmed."""

from datetime import timedelta
from pathlib import Path
from typing import cast

from dca.core.interfaces import MainBroker
from dca.core.model import FeeSource
from dca.exchange.streams import Feed
from dca.runtime.log_lines import Troubles
from dca.trading.inbox import Inbox
from dca.trading.main_loop import FEES_SECONDS, MainLoop
from dca.trading.worker import Worker
from tests.operating import NO_EXCHANGE
from tests.proof.test_faults_running import a_worker
from tests.rig import QUIET_SECONDS, Rig


def a_loop(rig: Rig, inbox: Inbox) -> MainLoop:
    troubles = Troubles()
    return MainLoop(
        store=rig.store,
        broker=cast(MainBroker, rig.exchange),
        desk=rig.desk,
        inbox=inbox,
        feed=Feed(NO_EXCHANGE, inbox, {}, rig.clock, troubles, lambda: None),  # never started
        clock=rig.clock,
        troubles=troubles,
        quiet_period=timedelta(seconds=QUIET_SECONDS),
        before_each=lambda: None,
        stop=lambda why: None,
    )


def passes(rig: Rig, loop: MainLoop, worker: Worker) -> None:
    """Time until fees are asked for again, and all work that comes of it."""
    rig.clock.pass_seconds(FEES_SECONDS)
    loop.tick()
    while worker.work(0):
        pass


def sources(rig: Rig) -> list[FeeSource]:
    return [order.fee_source for order in rig.orders(1)]


def test_the_fee_of_each_order_of_a_life_is_confirmed(rig: Rig, tmp_path: Path) -> None:
    worker, inbox, _ = a_worker(rig, tmp_path)
    loop = a_loop(rig, inbox)
    rig.bought("100")
    passes(rig, loop, worker)
    assert sources(rig) == [FeeSource.EXECUTIONS]
    rig.quote("98")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="98"))
    passes(rig, loop, worker)
    assert sources(rig) == [FeeSource.EXECUTIONS] * 2
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    passes(rig, loop, worker)
    assert sources(rig) == [FeeSource.EXECUTIONS] * 3


def test_a_fee_whose_fills_are_listed_late_is_asked_for_again(rig: Rig, tmp_path: Path) -> None:
    worker, inbox, _ = a_worker(rig, tmp_path)
    loop = a_loop(rig, inbox)
    rig.bought("100")
    listed = dict(rig.exchange.executions_of)
    rig.exchange.executions_of.clear()
    passes(rig, loop, worker)
    assert sources(rig) == [FeeSource.ASSUMED]
    rig.exchange.executions_of |= listed
    passes(rig, loop, worker)
    assert sources(rig) == [FeeSource.EXECUTIONS]
