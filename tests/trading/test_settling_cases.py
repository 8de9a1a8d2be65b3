"""Answers that come to an order which is not what it was when it was asked for, and what is said of it."""

import logging
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from dca.core.model import DefiniteReject, Mode, Order, OrderState, Quote
from tests.caring import edit
from tests.rig import QUIET_SECONDS, SYMBOL, Rig

NO = DefiniteReject(code=40310000, message="no")


def lost(rig: Rig) -> Order:
    """An order that was sent and never arrived; denied twice after the quiet period."""
    rig.exchange.lose_request = True
    rig.quote("100")
    rig.exchange.lose_request = False
    for seconds in (QUIET_SECONDS + 1, QUIET_SECONDS / 4):
        rig.clock.pass_seconds(seconds)
        rig.trader.books.settle(rig.orders()[0])
    return rig.orders()[0]


# ---- sending again ----------------------------------------------------------------------------------------


def test_an_order_that_was_denied_twice_may_be_sent_again(rig: Rig) -> None:
    assert rig.trader.books.claim_resend(lost(rig)) == 2
    assert rig.orders()[0].not_found_at is None


@pytest.mark.parametrize(
    "edited",
    [
        "UPDATE dca_control SET mode = 'halt'",
        "UPDATE dca_control SET mode = 'exits_only'",
        "UPDATE dca_control SET epoch = epoch + 1",
        "UPDATE dca_assets SET is_enabled = FALSE",
        "UPDATE dca_assets SET lock_reason = 'mine'",
        "UPDATE dca_orders SET not_found_at = NULL",
        "UPDATE dca_orders SET state = 'acked', exchange_order_id = 'x-1'",
    ],
)
def test_what_holds_for_a_claim_holds_for_sending_again(rig: Rig, edited: str) -> None:
    order = lost(rig)
    edit(rig, edited)
    assert rig.trader.books.claim_resend(order) is None


def test_a_locked_asset_gives_up_what_never_arrived(rig: Rig) -> None:
    order = lost(rig)
    edit(rig, "UPDATE dca_assets SET lock_reason = 'mine'")
    rig.look()
    rig.quote("100")
    rig.trader.settle(order)
    assert rig.orders()[0].state is OrderState.VOID
    assert rig.exchange.posts == [order.client_order_id]


# ---- answers that come late -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [OrderState.ACKED, OrderState.DONE, OrderState.VOID])
def test_a_no_to_an_order_that_was_answered_otherwise_changes_nothing(rig: Rig, state: OrderState) -> None:
    rig.exchange.lose_answer = True
    rig.quote("100")
    order = rig.orders()[0]
    closed = "" if state is OrderState.ACKED else ", closed_at = UTC_TIMESTAMP(6)"
    edit(rig, f"UPDATE dca_orders SET state = '{state.value}', exchange_order_id = 'x-1'{closed}")
    rig.trader.books.refused(order, 1, NO)
    assert rig.orders()[0].state is state
    assert rig.cycle().refusals == 0


def test_a_denial_counts_for_nothing_once_the_order_was_acknowledged(rig: Rig) -> None:
    rig.quote("100")
    order = rig.orders()[0]
    assert order.state is OrderState.ACKED
    rig.exchange.hidden_until = rig.clock.now() + timedelta(days=1)
    for _ in range(4):
        rig.clock.pass_seconds(QUIET_SECONDS)
        assert not rig.trader.settle(order).denied_for_good
    assert rig.orders()[0] == order


def test_a_ghost_is_told_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    order = lost(rig)
    rig.trader.books.give_up(order)
    rig.exchange.submit(order)
    with caplog.at_level(logging.INFO):
        rig.trader.books.book(rig.exchange.orders[order.client_order_id])
        first = rig.asset().lock_reason
        edit(rig, "UPDATE dca_assets SET lock_reason = NULL")
        rig.trader.books.book(rig.exchange.end(order.client_order_id))
    assert first is not None and "turned up after all" in first
    assert rig.asset().lock_reason is None, "it filled nothing: there is nothing to decide"
    assert caplog.text.count("turned up after all") == 1


def test_an_order_under_our_id_that_the_ledger_does_not_know_locks_once(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.quote("100")
    forgotten = replace(rig.exchange.orders[rig.last_id()], client_order_id=f"{rig.desk.prefix}99-1-b")
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert rig.trader.books.book(forgotten) is None
    assert "carries our id and is not in the ledger" in (rig.asset().lock_reason or "")
    assert caplog.text.count("carries our id") == 1
    other = replace(forgotten, symbol="ETH/USD", client_order_id=f"{rig.desk.prefix}98-1-b")
    assert rig.trader.books.book(other) is None, "of a pair that we do not trade"


# ---- what the log says ------------------------------------------------------------------------------------


def lines(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if word in record.getMessage()]


def test_the_log_says_how_an_order_ended(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        rig.quote("100")
        rig.trader.books.book(rig.exchange.fill(rig.last_id(), qty="0.1"))
        rig.trader.books.book(rig.exchange.end(rig.last_id()))
        assert len(lines(caplog, "partly filled")) == 1
        assert len(lines(caplog, 'why="not at our request"')) == 1
        rig.look()
        rig.quote("103")
        rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    assert len(lines(caplog, "complete bought=10 sold=10.27")) == 1
    assert len(lines(caplog, "c1 filled dca-")) == 1
    assert not lines(caplog, "asked for")


def test_the_log_says_that_an_order_was_canceled_at_our_request(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        rig.quote("100")
        rig.trader.cancel(rig.orders()[0], "open for more than 5 minutes")
        rig.trader.books.book(rig.exchange.end(rig.last_id()))
    assert len(lines(caplog, 'why="asked for"')) == 1


def test_an_unknown_outcome_is_told_and_remembered(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.exchange.lose_answer = True
    with caplog.at_level(logging.WARNING):
        rig.quote("100")
    assert len(lines(caplog, "outcome unknown")) == 1
    watch = rig.desk.watch(SYMBOL)
    assert watch is not None and [each.state for each in watch.open_orders] == [OrderState.SENT]


def test_what_a_cycle_won_is_corrected_only_where_the_cents_differ(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.bought()
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    buy, sale = rig.orders(1)
    with caplog.at_level(logging.INFO):
        for order in (buy, sale):
            rig.trader.books.confirm_fee(order, rig.exchange.executions([order]))
    assert not lines(caplog, "corrected")


# ---- quotes that lead to nothing --------------------------------------------------------------------------


def at(rig: Rig, price: str, age_seconds: float = 0) -> Quote:
    now = rig.clock.now()
    value = Decimal(price)
    return Quote(
        symbol=SYMBOL, bid=value, ask=value, at=now - timedelta(seconds=age_seconds), received_at=now
    )


def test_only_a_quote_that_was_acted_on_shows_that_something_answers(rig: Rig) -> None:
    """What was not asked for says nothing of database and exchange."""
    assert not rig.trader.on_quote(at(rig, "100", age_seconds=60)), "too old"
    rig.desk.settled = False
    assert not rig.trader.on_quote(at(rig, "100")), "not settled yet"
    rig.desk.settled = True
    assert rig.trader.on_quote(at(rig, "100"))
    assert not rig.trader.on_quote(at(rig, "100")), "no level is reached while a buy is open"
    assert not rig.trader.on_quote(replace(at(rig, "100"), symbol="ETH/USD")), "nobody's pair"


def test_an_asset_whose_row_is_gone_ends_no_cooldown_and_claims_nothing(rig: Rig) -> None:
    rig.desk.mode = Mode.RUN
    edit(rig, "DELETE FROM dca_cycles")
    edit(rig, "DELETE FROM dca_assets")
    rig.quote("100")
    assert rig.exchange.posts == []
