"""Rows that memory knows and the database does not any more: a restored backup, a person's DELETE."""

from pathlib import Path

import pytest

from dca.core.errors import RowGone
from dca.core.model import CycleStatus, DefiniteReject, OrderState
from dca.trading.inbox import ConfirmFee, Settle
from tests.caring import check, edit
from tests.proof.test_faults_running import a_worker, quote_of
from tests.rig import INSERT, QUIET_SECONDS, SYMBOL, Rig
from tests.trading.test_fees import a_loop

WITHOUT_THE_ORDER = (
    "SET FOREIGN_KEY_CHECKS = 0",
    "DELETE FROM dca_order_attempts",
    "DELETE FROM dca_orders",
    "UPDATE dca_cycles SET status = 'watching'",
)
WITHOUT_THE_CYCLE = (*WITHOUT_THE_ORDER, "DELETE FROM dca_cycles")
ANOTHER_CYCLE = ("SET FOREIGN_KEY_CHECKS = 0", "UPDATE dca_cycles SET id = id + 100")
ANOTHER_ID = ("UPDATE dca_orders SET client_order_id = 'dca-other-1-1-b'",)
ANOTHER_NUMBER = ("SET FOREIGN_KEY_CHECKS = 0", "UPDATE dca_orders SET id = id + 100")
EDITS = {
    "order": WITHOUT_THE_ORDER,
    "cycle": WITHOUT_THE_CYCLE,
    "cycle's id": ANOTHER_CYCLE,
    "client order id": ANOTHER_ID,
    "id": ANOTHER_NUMBER,
}


@pytest.mark.parametrize("edits", EDITS.values(), ids=list(EDITS))
@pytest.mark.parametrize("is_known", [True, False], ids=["known there", "not known there"])
def test_an_order_that_only_memory_knows_ends_no_process(
    rig: Rig, tmp_path: Path, edits: tuple[str, ...], *, is_known: bool
) -> None:
    worker, inbox, _ = a_worker(rig, tmp_path)
    rig.exchange.lose_answer, rig.exchange.lose_request = is_known, not is_known
    rig.quote("100")
    remembered = rig.orders()[0]
    assert remembered.state is OrderState.SENT
    edit(rig, ";\n".join(edits))
    rig.clock.pass_seconds(QUIET_SECONDS + 1)
    inbox.put(Settle(order=remembered))
    inbox.put(ConfirmFee(order=remembered, executions=()))
    inbox.put_quote(quote_of(rig, "100"))
    while worker.work(0):
        pass
    watch = rig.desk.watch(SYMBOL)
    assert watch is not None
    there = rig.store.transaction(lambda tx: tx.open_orders())
    assert [each.id for each in watch.open_orders] == [each.id for each in there]
    if is_known and edits is not ANOTHER_NUMBER:
        assert "is not in the ledger" in (rig.asset().lock_reason or ""), "nobody guesses"
        assert len(rig.exchange.posts) == 1


def test_a_cancel_of_an_order_that_is_gone_looks_again(rig: Rig, tmp_path: Path) -> None:
    worker, inbox, _ = a_worker(rig, tmp_path)
    rig.quote("100")
    rig.trader.books.book(rig.exchange.fill(rig.last_id()))
    rig.quote("98")
    assert rig.cycle().status is CycleStatus.BUYING
    safety = rig.orders()[-1]
    edit(rig, f"SET FOREIGN_KEY_CHECKS = 0;\nDELETE FROM dca_orders WHERE id = {safety.id}")
    with pytest.raises(RowGone):
        rig.trader.cancel(safety, "too old")
    rig.exchange.price = rig.exchange.price * 2
    inbox.put_quote(quote_of(rig, "196"))
    while worker.work(0):
        pass
    watch = rig.desk.watch(SYMBOL)
    assert watch is not None and watch.open_orders == ()


def test_a_refusal_of_an_order_that_is_gone_is_nobody_s(rig: Rig, tmp_path: Path) -> None:
    worker, inbox, _ = a_worker(rig, tmp_path)
    rig.exchange.reject = DefiniteReject(code=40310000, message="insufficient balance")
    rig.exchange.lose_request = True
    rig.quote("100")
    order = rig.orders()[0]
    edit(rig, ";\n".join(WITHOUT_THE_ORDER))
    answer = DefiniteReject(code=40310000, message="insufficient balance")
    with pytest.raises(RowGone, match="is not in the ledger any more"):
        rig.trader.books.refused(order, 1, answer)
    inbox.put_quote(quote_of(rig, "100"))
    while worker.work(0):
        pass
    assert rig.cycle().status in {CycleStatus.WATCHING, CycleStatus.BUYING}


def test_a_row_of_another_number_does_not_begin_anew(rig: Rig, tmp_path: Path) -> None:
    """A table that was loaded again without its keys: the coins are in the old row's cycle."""
    _, inbox, _ = a_worker(rig, tmp_path)
    rig.bought()
    edit(rig, "SET FOREIGN_KEY_CHECKS = 0;\nUPDATE dca_assets SET id = id + 1000")
    loop = a_loop(rig, inbox)
    for _ in range(3):
        loop.refresh()
        check(rig)
        rig.clock.pass_seconds(60)
    assert "of row 1 of dca_assets, which is gone" in (rig.asset().lock_reason or "")
    assert len(rig.store.transaction(lambda tx: tx.live_cycles())) == 1
    edit(rig, "UPDATE dca_assets SET id = 1 WHERE id = 1001")
    check(rig)
    assert rig.asset().lock_reason is None, "the books agree again"
    rig.look()
    rig.quote("103")
    assert len(rig.exchange.posts) == 2


def test_a_cycle_of_a_pair_whose_row_is_gone_is_no_other_pair_s(rig: Rig, tmp_path: Path) -> None:
    _, inbox, _ = a_worker(rig, tmp_path)
    rig.bought()
    edit(rig, "SET FOREIGN_KEY_CHECKS = 0;\nDELETE FROM dca_assets")
    edit(rig, INSERT.strip().rstrip(";").replace("BTC/USD", "ETH/USD"))
    a_loop(rig, inbox).refresh()
    assert rig.asset().lock_reason is None
    assert len(rig.store.transaction(lambda tx: tx.live_cycles())) == 2


def test_one_order_whose_cycle_is_gone_keeps_the_caretakers_from_nothing_else(rig: Rig) -> None:
    rig.quote("100")
    edit(rig, ";\n".join(ANOTHER_CYCLE))
    rig.exchange.fill(rig.exchange.posts[-1])
    job = check(rig)
    assert job.checked == 1 and all("is not in the database any more" in each for each in job.failures)
