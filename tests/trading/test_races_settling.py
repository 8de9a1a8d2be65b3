"""The named races of settling: orders whose fate is unknown, refused, told twice or told late."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

import mysql.connector
import pytest

from dca.core.errors import ExchangeUnavailable
from dca.core.model import CycleStatus, DefiniteReject, OrderState
from dca.database.store import Store, Transaction
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import DatabaseSettings
from dca.trading.trader import Trader
from tests.rig import LIMITS, QUIET_SECONDS, Rig

R = TypeVar("R")


def test_F20_not_found_is_no_proof_within_the_quiet_period(rig: Rig) -> None:
    rig.exchange.lose_answer = True
    rig.exchange.hidden_until = rig.clock.now().replace(year=2100)
    rig.quote("100")
    for _ in range(5):
        rig.clock.pass_seconds(20)
        rig.settle()
        rig.quote("100")
    assert rig.orders()[0].state is OrderState.SENT
    assert len(rig.exchange.posts) == 1
    rig.exchange.hidden_until = None
    rig.settle()
    assert rig.orders()[0].state is OrderState.ACKED


def test_F20_an_order_that_never_arrived_is_sent_again_under_its_id(rig: Rig) -> None:
    rig.exchange.lose_request = True
    rig.quote("100")
    rig.exchange.lose_request = False
    _be_denied_twice(rig, "100")
    assert rig.exchange.posts == [rig.last_id()] * 2
    assert rig.orders()[0].state is OrderState.ACKED
    assert len(rig.exchange.orders) == 1


def test_F20_an_order_that_never_arrived_and_is_not_right_any_more_is_given_up(rig: Rig) -> None:
    rig.exchange.lose_request = True
    rig.quote("100")
    rig.exchange.lose_request = False
    _be_denied_twice(rig, "105")
    assert rig.orders()[0].state is OrderState.VOID
    rig.quote("105")
    assert len(rig.orders()) == 2
    assert rig.violations() == []


def test_F22_a_request_that_lands_after_it_was_given_up(rig: Rig) -> None:
    rig.exchange.lose_request = True
    rig.quote("100")
    lost = rig.orders()[0]
    rig.exchange.lose_request = False
    _be_denied_twice(rig, "105")
    rig.exchange.submit(lost)
    rig.trader.books.book(rig.exchange.fill(lost.client_order_id, "0.1"))
    assert rig.orders()[0].state is OrderState.GHOST
    assert "given up and turned up" in (rig.asset().lock_reason or "")
    assert rig.cycle().quantity == Decimal("0.09975"), "booked all the same"
    rig.settle()
    assert rig.exchange.cancels == [rig.exchange.orders[lost.client_order_id].exchange_order_id]
    before = len(rig.exchange.posts)
    rig.look()
    rig.quote("90")
    assert len(rig.exchange.posts) == before, "locked"


def test_F21_a_duplicate_id_is_a_success_to_be_looked_up(rig: Rig) -> None:
    rig.exchange.lose_answer = True
    rig.exchange.hidden_until = rig.clock.now().replace(year=2100)
    rig.quote("100")
    rig.exchange.lose_answer = False
    _be_denied_twice(rig, "100", until_visible=True)
    assert rig.exchange.posts == [rig.last_id()] * 2
    rig.settle()
    assert rig.orders()[0].state is OrderState.ACKED
    assert len(rig.exchange.orders) == 1


def test_F21_a_duplicate_of_another_order_locks_the_asset(rig: Rig) -> None:
    rig.quote("100")
    name = rig.last_id()
    rig.trader.books.book(replace(rig.exchange.orders[name], qty=Decimal("7")))
    assert "quantity is 7" in (rig.asset().lock_reason or "")
    assert rig.cycle().quantity == 0


def test_F29_a_refusal_waits_before_the_next_try(rig: Rig) -> None:
    rig.exchange.reject = DefiniteReject(code=40310000, message="insufficient balance for USD")
    rig.quote("100")
    assert rig.orders()[0].state is OrderState.REJECTED
    assert rig.cycle().status is CycleStatus.WATCHING
    rig.quote("100")
    assert len(rig.exchange.posts) == 1
    rig.clock.pass_seconds(300)
    rig.look()
    rig.quote("100")
    assert len(rig.exchange.posts) == 2
    assert rig.cycle().refusals == 2


def test_F29_a_refused_buy_keeps_no_take_profit_waiting(rig: Rig) -> None:
    rig.bought()
    rig.exchange.reject = DefiniteReject(code=40310000, message="insufficient balance for USD")
    rig.quote("99")
    assert rig.orders()[-1].state is OrderState.REJECTED
    rig.exchange.reject = None
    rig.quote("103")
    assert rig.orders()[-1].purpose == "take_profit"


def test_a_refusal_is_not_final_while_another_attempt_is_unanswered(rig: Rig) -> None:
    """faults.md D.7: taking it as final at once leads to two live orders in eleven steps."""
    rig.exchange.lose_answer = True
    rig.quote("100")
    order = rig.orders()[0]
    rig.store.transaction(lambda tx: tx.insert_attempt(order.id, 2, rig.clock.now()))
    rig.trader.books.refused(order, 2, DefiniteReject(code=403, message="no"))
    assert rig.orders()[0].state is OrderState.SENT
    assert rig.cycle().status is CycleStatus.BUYING


class LosesAnswers(Store):
    """Commits, and then the connection breaks before the server's answer arrives: each time once."""

    _lose = True

    def _once(self, work: Callable[[Transaction], R]) -> R:
        result = super()._once(work)
        self._lose = not self._lose
        if not self._lose:
            raise mysql.connector.OperationalError(msg="Lost connection during query", errno=2013)
        return result


def test_F31_a_commit_whose_answer_was_lost_is_run_again_without_harm(
    rig: Rig, database: DatabaseSettings
) -> None:
    with LosesAnswers(database) as store:
        trader = Trader(store, rig.exchange, rig.desk, rig.clock, Troubles(), LIMITS)
        rig.trader = trader
        rig.quote("100")
        assert rig.exchange.posts == [rig.last_id()], "claimed once, and sent"
        trader.books.book(rig.exchange.fill(rig.last_id(), price="100"))
        assert rig.cycle().quantity == Decimal("0.1995")
        rig.look()
        rig.quote("103")
        trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    assert [order.state for order in rig.orders()] == [OrderState.DONE] * 2
    assert rig.cycle().status is CycleStatus.COOLDOWN
    assert rig.cycle().id == 2, "the next cycle begins once"
    assert rig.violations() == []


def test_F34_duplicate_events(rig: Rig) -> None:
    rig.quote("100")
    part = rig.exchange.fill(rig.last_id(), "0.1")
    rest = rig.exchange.fill(rig.last_id())
    for snapshot in (part, part, rest, part, rest, rest):
        rig.trader.books.book(snapshot)
    assert rig.cycle().bought_qty == Decimal("0.2")
    assert len(rig.orders()) == 1


def test_F35_events_out_of_order(rig: Rig) -> None:
    rig.quote("100")
    name = rig.last_id()
    new = rig.exchange.orders[name]
    part = rig.exchange.fill(name, "0.1")
    full = rig.exchange.fill(name)
    for snapshot in (full, part, new):
        rig.trader.books.book(snapshot)
    assert rig.orders()[0].filled_qty == Decimal("0.2")
    assert rig.orders()[0].exchange_status == "filled"
    assert rig.cycle().status is CycleStatus.WATCHING


def test_F03_a_failed_read_changes_nothing(rig: Rig) -> None:
    rig.bought()
    before = rig.cycle()
    rig.exchange.down = True
    with pytest.raises(ExchangeUnavailable):
        rig.quote("103")
    assert rig.cycle() == before
    rig.exchange.down = False
    rig.quote("103")
    assert rig.cycle().status is CycleStatus.SELLING


def test_F58_an_order_canceled_by_a_person_is_not_placed_again_at_once(rig: Rig) -> None:
    rig.quote("100")
    rig.trader.books.book(rig.exchange.end(rig.last_id()))
    rig.quote("100")
    assert len(rig.exchange.posts) == 1
    rig.clock.pass_seconds(301)
    rig.look()
    rig.quote("100")
    assert len(rig.exchange.posts) == 2


def _be_denied_twice(rig: Rig, price: str, *, until_visible: bool = False) -> None:
    """Let the quiet period pass with the exchange denying the order, asked twice after it."""
    rig.clock.pass_seconds(QUIET_SECONDS + 1)
    rig.quote(price)
    rig.settle()
    rig.clock.pass_seconds(QUIET_SECONDS / 4 + 1)
    rig.quote(price)
    if until_visible:
        visible = rig.exchange.hidden_until
        rig.settle()
        assert visible is not None
        rig.exchange.hidden_until = None
    else:
        rig.settle()
