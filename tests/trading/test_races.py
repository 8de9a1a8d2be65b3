"""The named races of placing and booking orders (docs: faults F01 to F35), each by its number.

Real trader, real database, a fake exchange whose every event is in the test's hand.
"""

from decimal import Decimal
from typing import TypeVar

import pytest

from dca.core.model import CycleStatus, OrderState, Snapshot
from tests.fake_exchange import Crash
from tests.rig import SYMBOL, Rig

R = TypeVar("R")


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
