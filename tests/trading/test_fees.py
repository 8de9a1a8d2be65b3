"""From the exchange's list of fills to the ledger: the fee of every order is confirmed."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from dca.core.interfaces import MainBroker
from dca.core.ledger import dollar_fee
from dca.core.model import FeeSource
from dca.exchange.streams import Feed
from dca.runtime.log_lines import Troubles
from dca.trading.inbox import Inbox
from dca.trading.main_loop import FEES_SECONDS, MainLoop
from dca.trading.worker import Worker
from tests.operating import NO_EXCHANGE
from tests.proof.test_faults_running import a_worker
from tests.rig import QUIET_SECONDS, SYMBOL, Rig


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


def sell(rig: Rig) -> None:
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))


def rate(rig: Rig) -> Decimal:
    return rig.store.transaction(lambda tx: tx.control()).fee_rate


@pytest.mark.parametrize("fee", ["0.0015", "0.0012", "0.0010", "0.0022", "0.0025"])
def test_the_fee_of_a_sale_is_what_the_exchange_lists_as_charged(
    rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture, fee: str
) -> None:
    """No position shows it. At 15 the buy may have rested; a sale at the market never does."""
    rig.store.run_script("UPDATE dca_assets SET base_order_amount = 1000;\n")
    rig.look()
    worker, inbox, _ = a_worker(rig, tmp_path)
    loop = a_loop(rig, inbox)
    caplog.set_level("INFO")
    rig.exchange.fee = Decimal(fee)
    rig.bought("100")
    sell(rig)
    listed, rig.exchange.charged = rig.exchange.charged, []
    passes(rig, loop, worker)
    passes(rig, loop, worker)
    assert sources(rig)[1] is FeeSource.EXECUTIONS, "the list is late"
    rig.exchange.charged = listed
    passes(rig, loop, worker)
    sale, cycle = rig.orders(1)[1], rig.store.transaction(lambda tx: tx.cycle(1))
    assert (sale.fee_source, sale.fee_rate) == (FeeSource.CHARGED, Decimal(fee))
    assert sale.fee_usd == dollar_fee(sale.filled_value, Decimal(fee)) == cycle.sell_fee
    assert rate(rig) == Decimal(fee), "of later orders, too"
    assert ("corrected" in caplog.text) == (fee == "0.0015"), "else it was known from the buy"
    assert cycle.quantity == 0
    assert rig.orders(1)[0].fee_source is not FeeSource.CHARGED, "its coins are in no cycle any more"


def test_a_list_of_fees_that_is_late_is_asked_for_again(rig: Rig, tmp_path: Path) -> None:
    worker, inbox, _ = a_worker(rig, tmp_path)
    loop = a_loop(rig, inbox)
    rig.exchange.fee = Decimal("0.0015")
    rig.bought("100")
    sell(rig)
    listed, rig.exchange.charged = rig.exchange.charged, []
    passes(rig, loop, worker)
    rig.clock.pass_seconds(2400)
    rig.exchange.charged = listed
    passes(rig, loop, worker)
    assert rig.orders(1)[1].fee_usd == Decimal("0.04")


def test_a_mixture_of_what_is_held_is_read_off_the_list(rig: Rig, tmp_path: Path) -> None:
    """The operator's own coins hide it in the position."""
    worker, inbox, _ = a_worker(rig, tmp_path)
    loop = a_loop(rig, inbox)
    rig.deposit("0.5")
    rig.quote("100")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), "0.1"))
    rig.exchange.fee = Decimal("0.0015")
    rig.trader.books.book(rig.exchange.fill(rig.last_id()))
    passes(rig, loop, worker)
    passes(rig, loop, worker)
    assert sources(rig) == [FeeSource.CHARGED]
    assert (rig.cycle().quantity, rate(rig)) == (Decimal("0.1996"), Decimal("0.0025"))
    sell(rig)
    assert rig.exchange.held[SYMBOL] == Decimal("0.5")


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
    assert sources(rig) == [FeeSource.CHARGED, FeeSource.EXECUTIONS], "what was charged is asked for later"
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    passes(rig, loop, worker)
    assert sources(rig) == [FeeSource.CHARGED] + [FeeSource.EXECUTIONS] * 2, (
        "its coins are in no cycle any more"
    )


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
