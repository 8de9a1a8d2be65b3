"""The named races of placing and booking orders (docs: faults F01 to F35), each by its number.

Real trader, real database, a fake exchange whose every event is in the test's hand.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

import mysql.connector
import pytest

from dca.errors import ExchangeUnavailable
from dca.logs import Troubles
from dca.model import CycleStatus, DefiniteReject, OrderState, Snapshot
from dca.settings import DatabaseSettings
from dca.store import Store, Transaction
from dca.trader import Trader
from tests.fake_exchange import Crash
from tests.rig import LIMITS, QUIET_SECONDS, SYMBOL, Rig

R = TypeVar("R")


@pytest.fixture
def rig(database: DatabaseSettings) -> Iterator[Rig]:
    rig = Rig(database)
    yield rig
    rig.close()


def test_a_whole_cycle(rig: Rig) -> None:
    rig.quote("100")
    first = rig.last_id()
    assert rig.cycle().status is CycleStatus.BUYING
    rig.trader.books.book(rig.exchange.fill(first, price="100"))
    assert rig.cycle().status is CycleStatus.WATCHING
    assert rig.cycle().quantity == Decimal("0.1995")
    rig.quote("99.5")
    assert len(rig.exchange.posts) == 1, "not yet 1 % below the fill"
    rig.quote("99")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="99"))
    assert rig.cycle().safety_orders == 1
    rig.quote("101.6")
    sale = rig.last_id()
    assert sale.endswith("-tp")
    rig.trader.books.book(rig.exchange.fill(sale, price="101.6"))
    done = rig.store.transaction(lambda tx: tx.cycle(1))
    assert done.status is CycleStatus.COMPLETE
    assert done.quantity < Decimal("1e-8")
    after = rig.cycle()
    assert after.status is CycleStatus.COOLDOWN
    assert after.id != done.id
    assert rig.asset().last_sell_price == Decimal("101.6")
    rig.quote("101")
    assert rig.cycle().status is CycleStatus.COOLDOWN
    rig.clock.pass_seconds(300)
    rig.quote("101")
    assert rig.cycle().status is CycleStatus.BUYING, "the quote that finds the time up is bought at"
    assert rig.violations() == []


def test_cooldown_ends_early_when_the_price_falls(rig: Rig) -> None:
    rig.bought()
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    rig.quote("99.92")
    assert rig.cycle().status is CycleStatus.COOLDOWN
    rig.quote("99.91")
    assert rig.cycle().status is CycleStatus.BUYING
    assert rig.orders(rig.cycle().id)[0].quote_price == Decimal("99.91")


@pytest.mark.parametrize("kind", ["base", "safety", "take_profit"])
def test_F01_accepted_but_the_answer_is_lost(rig: Rig, kind: str) -> None:
    price = {"base": "100", "safety": "99", "take_profit": "103"}[kind]
    if kind != "base":
        rig.bought()
    before = len(rig.exchange.posts)
    rig.exchange.lose_answer = True
    rig.quote(price)
    for other in (price, "90", "120"):
        rig.quote(other)
    assert len(rig.exchange.posts) == before + 1, "nothing else may be placed while one is unknown"
    rig.exchange.fill(rig.last_id(), price=price)
    rig.settle()
    assert rig.orders()[-1].state is OrderState.DONE
    assert rig.violations() == []


@pytest.mark.parametrize("when", ["before the request arrives", "after acceptance"])
def test_F02_crash_around_the_post(rig: Rig, when: str) -> None:
    def die(_: Snapshot) -> None:
        raise Crash

    rig.exchange.on_submit = die
    if when == "before the request arrives":
        rig.exchange.submit = die  # type: ignore[assignment, method-assign]
    with pytest.raises(Crash):
        rig.quote("100")
    rig.exchange.on_submit = None
    if "submit" in vars(rig.exchange):
        del rig.exchange.submit
    for name in list(rig.exchange.orders):
        rig.exchange.fill(name)
    rig.start()
    rig.quote("100")
    assert len(rig.orders()) == 1, "the same intent is never placed a second time"
    if when == "after acceptance":
        assert rig.cycle().quantity > 0
    assert rig.violations() == []


def test_F04_a_fill_missed_while_down_is_booked_by_the_next_start(rig: Rig) -> None:
    rig.quote("100")
    rig.exchange.fill(rig.last_id(), price="100")
    assert rig.cycle().quantity == 0
    rig.start()
    assert rig.cycle().status is CycleStatus.WATCHING
    assert rig.cycle().quantity == Decimal("0.1995")


def test_F05_the_fill_event_comes_before_the_answer(rig: Rig) -> None:
    def fill_and_tell(snapshot: Snapshot) -> None:
        rig.trader.books.book(rig.exchange.fill(snapshot.client_order_id, price="100"))

    rig.exchange.on_submit = fill_and_tell
    rig.quote("100")
    assert rig.cycle().status is CycleStatus.WATCHING
    assert rig.cycle().quantity == Decimal("0.1995")
    assert rig.orders()[0].state is OrderState.DONE


@pytest.mark.parametrize("missing", ["0", "0.00000001", "0.00005"])
def test_F06_the_sell_is_never_larger_than_the_position(rig: Rig, missing: str) -> None:
    rig.bought()
    rig.exchange.held[SYMBOL] -= Decimal(missing)
    rig.quote("103")
    sale = rig.orders()[-1]
    assert sale.qty <= rig.exchange.held[SYMBOL]
    rig.trader.books.book(rig.exchange.fill(sale.client_order_id, price="103"))
    assert rig.cycle().status is CycleStatus.COOLDOWN
    assert rig.violations() == []


def test_F06_a_shortage_that_no_fee_explains_stops_the_sell(rig: Rig) -> None:
    rig.bought()
    rig.exchange.held[SYMBOL] -= Decimal("0.01")
    rig.quote("103")
    assert len(rig.exchange.posts) == 1
    assert "the account holds 0.1895, the ledger 0.1995" in (rig.cycle().problem or "")
    rig.exchange.held[SYMBOL] += Decimal("0.01")
    rig.clock.pass_seconds(11)
    rig.look()
    rig.quote("103")
    assert len(rig.exchange.posts) == 2


def test_F60_coins_that_another_order_holds_are_not_asked_for(rig: Rig) -> None:
    rig.bought()
    rig.exchange.tied_up = Decimal("0.1")
    rig.quote("103")
    assert len(rig.exchange.posts) == 1
    assert "only 0.0995 of 0.1995 are free" in (rig.cycle().problem or "")
    rig.exchange.tied_up = Decimal(0)
    rig.clock.pass_seconds(11)
    rig.look()
    rig.quote("103")
    assert rig.orders()[-1].qty == Decimal("0.1995")


def test_coins_of_the_user_are_not_sold(rig: Rig) -> None:
    rig.deposit("5")
    rig.bought()
    rig.deposit("1")
    rig.quote("103")
    sale = rig.orders()[-1]
    assert sale.qty == Decimal("0.1995")
    rig.trader.books.book(rig.exchange.fill(sale.client_order_id, price="103"))
    assert rig.exchange.held[SYMBOL] >= 6


def test_F07_the_same_trigger_twice(rig: Rig) -> None:
    rig.quote("100")
    rig.remember_wrongly(CycleStatus.WATCHING)
    rig.quote("100")
    assert len(rig.exchange.posts) == 1


def test_F08_an_older_start_has_no_right_to_trade_any_more(rig: Rig) -> None:
    rig.store.transaction(lambda tx: tx.next_epoch("account"))
    rig.quote("100")
    assert rig.exchange.posts == []


def test_F12_take_profit_while_a_safety_buy_is_live(rig: Rig) -> None:
    rig.bought()
    rig.quote("99")
    buy = rig.last_id()
    rig.quote("103")
    assert rig.exchange.cancels == [rig.exchange.orders[buy].exchange_order_id]
    rig.quote("103")
    assert len(rig.exchange.cancels) == 1, "not on every quote"
    assert rig.orders()[-1].state is OrderState.CANCEL_REQUESTED
    rig.settle()
    assert len(rig.exchange.cancels) == 2, "settling asks again: the request may have been lost"
    assert len(rig.exchange.posts) == 2, "no sell while the buy may still fill"
    rig.exchange.fill(buy, "0.05", price="99")
    rig.trader.books.book(rig.exchange.end(buy))
    rig.quote("103")
    sale = rig.orders()[-1]
    assert sale.qty == rig.cycle().quantity == Decimal("0.249375")


def test_F14_partly_filled_then_canceled(rig: Rig) -> None:
    rig.quote("100")
    name = rig.last_id()
    rig.trader.books.book(rig.exchange.fill(name, "0.15"))
    assert rig.cycle().status is CycleStatus.BUYING
    rig.trader.books.book(rig.exchange.end(name))
    assert rig.cycle().status is CycleStatus.WATCHING
    assert rig.cycle().quantity == Decimal("0.149625")
    rig.quote("99")
    assert rig.orders()[-1].purpose == "safety", "what was bought counts as the base order"


def test_F14_too_little_to_be_sold_is_topped_up(rig: Rig) -> None:
    rig.quote("100")
    name = rig.last_id()
    rig.exchange.fill(name, "0.005")
    rig.trader.books.book(rig.exchange.end(name, "expired"))
    rig.quote("100")
    again = rig.orders()[-1]
    assert again.purpose == "base"
    assert again.qty == Decimal("0.195"), "for what is left of the base amount"


def test_F19_a_sell_that_was_partly_filled_sells_the_rest(rig: Rig) -> None:
    rig.bought()
    rig.quote("103")
    first = rig.last_id()
    rig.exchange.fill(first, "0.1", price="103")
    rig.trader.books.book(rig.exchange.end(first))
    assert rig.cycle().status is CycleStatus.WATCHING
    rig.quote("103")
    rest = rig.orders()[-1]
    assert rest.qty == Decimal("0.0995")
    rig.trader.books.book(rig.exchange.fill(rest.client_order_id, price="103"))
    assert rig.cycle().status is CycleStatus.COOLDOWN


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
