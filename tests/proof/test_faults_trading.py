"""Faults of the catalogue (docs/faults.md) around deciding, placing and booking, each by its number.

Real trader, real database, a fake exchange whose every event is in the test's hand.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import pytest

import order_manager
from dca.core.errors import BrokenRule, ExchangeUnavailable, RequestRefused, StartRefused
from dca.core.model import CycleStatus, DefiniteReject, OrderState, Purpose, Quote
from dca.runtime.log_lines import Troubles
from dca.trading.inbox import Inbox
from dca.trading.trader import Trader
from tests.caring import check, edit, run
from tests.rig import LIMITS, QUIET_SECONDS, RULES, SYMBOL, Rig
from tests.taking import taken

R = TypeVar("R")


def quote_of(rig: Rig, price: str) -> Quote:
    value, now = Decimal(price), rig.clock.now()
    return Quote(symbol=SYMBOL, bid=value, ask=value, at=now, received_at=now)


def book(rig: Rig, price: str) -> None:
    """The newest order is filled at this price, and told."""
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price=price))


# ---- quotes ----------------------------------------------------------------------------------------------


def test_F17_of_a_thousand_quotes_that_waited_only_the_newest_decides(rig: Rig) -> None:
    """And an order update never waits behind quotes."""
    inbox = Inbox()
    for number in range(1000):
        inbox.put_quote(quote_of(rig, str(100 + number)))
        inbox.put_quote(replace(quote_of(rig, "7"), symbol="ETH/USD"))
    rig.quote("100")
    update = rig.exchange.orders[rig.last_id()]
    inbox.put(update)
    heard = [taken(inbox) for _ in range(4)]
    assert heard[0] is update
    assert [each and getattr(each, "bid", None) for each in heard[1:]] == [Decimal(1099), Decimal(7), None]


def test_F26_a_price_that_only_the_stream_has_seen_ends_no_cooldown(rig: Rig) -> None:
    rig.bought()
    rig.quote("102")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="102"))
    assert rig.cycle().status is CycleStatus.COOLDOWN
    now, hole = rig.clock.now(), Decimal(50)
    rig.trader.on_quote(Quote(symbol=SYMBOL, bid=hole, ask=hole, at=now, received_at=now))
    assert rig.cycle().status is CycleStatus.COOLDOWN
    rig.clock.pass_seconds(5)
    rig.quote("50")
    assert rig.cycle().status is CycleStatus.BUYING, "now the exchange says so, too"


def test_F27_a_gap_through_all_levels_buys_one_and_counts_from_its_fill(rig: Rig) -> None:
    rig.bought("100")
    for _ in range(3):
        rig.quote("70")
    assert len(rig.orders()) == 2, "one order, though 30 levels were passed"
    book(rig, "70")
    rig.quote("69.31")
    assert len(rig.orders()) == 2, "the next one counts from the fill at 70"
    rig.quote("69.3")
    assert [each.level for each in rig.orders()] == [0, 1, 2]


@pytest.mark.parametrize(("price", "purpose"), [("80", Purpose.SAFETY), ("120", Purpose.TAKE_PROFIT)])
def test_F41_started_into_another_market_it_settles_first_and_places_one_order(
    rig: Rig, price: str, purpose: Purpose
) -> None:
    rig.quote("100")
    rig.exchange.fill(rig.last_id(), price="100")  # while it is down
    rig.desk.settled = False
    rig.quote(price)
    assert len(rig.orders()) == 1, "nothing is decided before what was open is settled"
    rig.start()
    for _ in range(3):
        rig.quote(price)
    assert [each.purpose for each in rig.orders()] == [Purpose.BASE, purpose]
    assert rig.violations() == []


def test_F44_what_is_left_of_a_sale_is_not_sold_into_a_crash(rig: Rig) -> None:
    rig.bought()
    rig.quote("103")
    first = rig.last_id()
    rig.exchange.fill(first, "0.1", price="103")
    rig.trader.books.book(rig.exchange.end(first))
    rig.quote("101.9")
    assert len(rig.exchange.posts) == 2, "2 % are not reached any more: the rest waits"
    wide = replace(quote_of(rig, "105"), ask=Decimal(108))
    rig.trader.on_quote(wide)
    assert len(rig.exchange.posts) == 2, "an empty book is a wide spread"
    rig.quote("102")
    assert rig.orders()[-1].qty == Decimal("0.0995")


# ---- placing ---------------------------------------------------------------------------------------------


class SlowCommits:
    """A store whose answers come six seconds late."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def transaction(self, work: Callable[[Any], R]) -> R:
        result = self._rig.store.transaction(work)
        self._rig.clock.pass_seconds(6)
        return result


@pytest.mark.parametrize(
    ("newest", "max_age", "is_sold"),
    [("103", 11, True), (None, 12, True), ("101", 15, False), (None, 11, False)],
    ids=["still reaches it", "none since", "fell", "none since, and too old"],
)
def test_F22_with_slow_answers_it_is_sold_at_the_newest_quote(
    rig: Rig, newest: str | None, max_age: int, *, is_sold: bool
) -> None:
    """Six seconds for the second look, six for the position: the claim is of the moment after them."""
    exchange, limits = rig.exchange, replace(LIMITS, max_quote_age_seconds=Decimal(max_age))

    def stream(symbol: str) -> Quote | None:
        at, price = rig.clock.now(), Decimal(newest or "0")
        return Quote(symbol=symbol, bid=price, ask=price, at=at, received_at=at) if newest else None

    trader = Trader(rig.store, exchange, rig.desk, rig.clock, Troubles(), limits, newest=stream)
    rig.bought()
    rig.trader = trader
    for name in ("latest_quotes", "position"):
        setattr(exchange, name, slowly(rig, getattr(exchange, name)))
    rig.quote("103")
    assert (len(exchange.posts) == 2) == is_sold
    assert rig.cycle().status is (CycleStatus.SELLING if is_sold else CycleStatus.WATCHING)


def slowly(rig: Rig, answer: Callable[..., Any]) -> Callable[..., Any]:
    def late(*args: Any) -> Any:
        found = answer(*args)
        rig.clock.pass_seconds(6)
        return found

    return late


def test_F22_a_claim_that_took_too_long_is_not_sent(rig: Rig) -> None:
    rig.bought()
    quick = rig.trader
    rig.trader = Trader(SlowCommits(rig), rig.exchange, rig.desk, rig.clock, Troubles(), LIMITS)
    rig.quote("103")
    rig.trader = quick
    assert rig.orders()[-1].state is OrderState.SENT
    assert len(rig.exchange.posts) == 1, "its own moment is over"
    for seconds in (QUIET_SECONDS + 1, QUIET_SECONDS / 4 + 1):
        rig.clock.pass_seconds(seconds)
        rig.quote("100")
        rig.settle()
    assert rig.orders()[-1].state is OrderState.VOID
    rig.quote("103")
    assert len(rig.exchange.posts) == 2


def test_F42_edits_amid_a_cycle_hold_for_the_next_order_and_each_keeps_its_own(rig: Rig) -> None:
    rig.bought("100")
    rig.quote("99")
    book(rig, "99")
    edit(
        rig, "UPDATE dca_assets SET max_safety_orders = 1, safety_order_amount = 50, take_profit_percent = 4"
    )
    rig.look()
    rig.quote("80")
    assert len(rig.orders()) == 2, "one is used, and one is allowed now"
    edit(rig, "UPDATE dca_assets SET max_safety_orders = 2")
    rig.look()
    rig.quote("80")
    third = rig.orders()[-1]
    assert third.qty * 80 == 50
    assert [each.max_safety_orders for each in rig.orders()] == [3, 3, 2]
    assert [each.safety_order_amount for each in rig.orders()] == [20, 20, 50]
    book(rig, "80")
    rig.quote("90.6")  # 2 % above the average, and not 4 %
    assert len(rig.orders()) == 3


@pytest.mark.parametrize("change", ["safety_order_amount = -1", "take_profit_percent = 0"])
def test_F42_an_edit_that_makes_no_sense_is_refused_by_the_database(rig: Rig, change: str) -> None:
    with pytest.raises(BrokenRule):
        rig.store.transaction(lambda tx: tx._write(f"UPDATE dca_assets SET {change}", []))


def test_F59_a_disabled_asset_buys_no_more_and_is_still_sold(rig: Rig) -> None:
    rig.bought()
    edit(rig, "UPDATE dca_assets SET is_enabled = FALSE")
    rig.look()
    rig.quote("90")
    assert len(rig.orders()) == 1
    rig.quote("102")
    assert rig.orders()[-1].purpose is Purpose.TAKE_PROFIT
    book(rig, "102")
    rig.clock.pass_seconds(400)
    for _ in range(2):
        rig.quote("80")
    assert rig.orders(rig.cycle().id) == []


def test_F59_an_asset_with_orders_cannot_be_deleted(rig: Rig) -> None:
    rig.quote("100")
    with pytest.raises(Exception, match="foreign key"):
        rig.store.transaction(lambda tx: tx._write("DELETE FROM dca_assets", []))
    assert rig.asset().asset_symbol == SYMBOL


def test_F77_a_halted_pair_is_not_bought_and_its_sale_is_tried_with_pauses(rig: Rig) -> None:
    rig.bought()
    rig.desk.rules = {SYMBOL: replace(RULES, tradable=False)}
    rig.look()
    watch = rig.desk.watch(SYMBOL)
    assert watch is not None and "does not trade it now" in (watch.problem or "")
    rig.quote("90")
    assert len(rig.orders()) == 1
    rig.exchange.reject = DefiniteReject(code=42210000, message="asset BTC/USD is not tradable")
    for _ in range(120):
        rig.clock.pass_seconds(30)
        rig.look()
        rig.quote("103")
    tries = len(rig.orders()) - 1
    assert 12 <= tries <= 20, "10 s at first, then ever more, up to five minutes"
    assert "not tradable" in (rig.cycle().problem or "")
    assert rig.cycle().quantity == Decimal("0.1995")
    rig.exchange.reject = None
    rig.desk.rules = {SYMBOL: RULES}
    rig.clock.pass_seconds(301)
    rig.look()
    rig.quote("103")
    book(rig, "103")
    assert rig.cycle().status is CycleStatus.COOLDOWN


def test_F78_a_blocked_account_refuses_with_pauses_and_loses_no_state(rig: Rig) -> None:
    rig.bought()
    rig.exchange.reject = DefiniteReject(code=40310000, message="trading is suspended for this account")
    rig.quote("103")
    assert rig.orders()[-1].state is OrderState.REJECTED
    assert (rig.cycle().status, rig.cycle().quantity) == (CycleStatus.WATCHING, Decimal("0.1995"))
    assert "suspended" in (rig.cycle().problem or "")
    rig.quote("103")
    assert len(rig.exchange.posts) == 2
    rig.exchange.reject = None
    rig.clock.pass_seconds(11)
    rig.look()
    rig.quote("103")
    assert rig.orders()[-1].state is OrderState.ACKED


def test_F78_revoked_keys_are_unavailable_and_nothing_is_concluded(rig: Rig) -> None:
    rig.bought()
    rig.quote("99")
    before = (rig.asset(), rig.cycle(), rig.orders())

    def revoked() -> None:
        raise RequestRefused(401, "request is not authorized")

    rig.exchange._answer = rig.exchange.account = revoked  # type: ignore[method-assign, assignment]
    with pytest.raises(StartRefused, match="does not accept the keys"):
        check(rig)
    with pytest.raises(ExchangeUnavailable):
        run(rig, order_manager.main)
    with pytest.raises(ExchangeUnavailable):
        rig.settle()
    assert (rig.asset(), rig.cycle(), rig.orders()) == before


def test_F81_a_minimum_that_was_raised_keeps_an_order_from_being_sent_at_all(rig: Rig) -> None:
    rig.desk.rules = {SYMBOL: replace(RULES, min_order_size=Decimal(1))}
    rig.look()
    for _ in range(5):
        rig.quote("100")
    assert rig.exchange.posts == []
    rig.desk.rules = {SYMBOL: RULES}
    rig.look()
    rig.quote("100")
    assert len(rig.exchange.posts) == 1


# ---- booking ---------------------------------------------------------------------------------------------


def test_F36_fills_of_other_orders_of_the_same_coin_are_not_ours(rig: Rig) -> None:
    """A person's, another bot's, another installation's, between the two parts of ours."""
    rig.quote("100")
    ours = rig.exchange.orders[rig.last_id()]
    rig.trader.books.book(rig.exchange.fill(ours.client_order_id, "0.1", price="100"))
    for name in ("person-1", "dca-other123-1-1-b", ours.client_order_id.upper()):
        other = replace(ours, client_order_id=name, status="filled", filled_avg_price=Decimal(50))
        rig.trader.books.book(replace(other, filled_qty=Decimal("0.2"), exchange_order_id=name))
    assert (rig.orders()[0].filled_qty, len(rig.orders())) == (Decimal("0.1"), 1)
    assert rig.asset().lock_reason is None
    book(rig, "100")
    assert rig.cycle().bought_qty == Decimal("0.2")


@pytest.mark.parametrize("status", ["pending_cancel", "held", "done_for_day", "suspended", "brand_new_word"])
def test_F74_F89_whatever_is_not_the_end_keeps_the_order_live_for_hours(rig: Rig, status: str) -> None:
    rig.quote("100")
    name = rig.last_id()
    rig.trader.books.book(rig.exchange.end(name, status))
    for price in ("100", "90", "120"):
        rig.clock.pass_seconds(3600)
        rig.settle()
        rig.quote(price)
    assert len(rig.exchange.posts) == 1
    assert rig.cycle().status is CycleStatus.BUYING
    rig.trader.books.book(rig.exchange.fill(name, "0.1"))
    rig.trader.books.book(rig.exchange.end(name, "canceled"))
    assert rig.cycle().quantity == Decimal("0.09975")


def test_F79_an_order_that_the_exchange_lets_expire_is_over_and_not_repeated_at_once(rig: Rig) -> None:
    rig.quote("100")
    rig.trader.books.book(rig.exchange.end(rig.last_id(), "expired"))
    assert rig.cycle().status is CycleStatus.WATCHING
    rig.quote("100")
    assert len(rig.exchange.posts) == 1
    rig.clock.pass_seconds(301)
    rig.look()
    rig.quote("100")
    assert len(set(rig.exchange.posts)) == 2


def test_F80_dust_stays_behind_and_keeps_no_cycle_from_beginning(rig: Rig) -> None:
    rig.desk.rules = {SYMBOL: replace(RULES, qty_increment=Decimal("0.001"))}
    rig.look()
    rig.quote("100")
    book(rig, "100")  # 0.1995 are left of it, and 0.199 can be sold
    rig.quote("103")
    assert rig.orders()[-1].qty == Decimal("0.199")
    book(rig, "103")
    done = rig.store.transaction(lambda tx: tx.cycle(1))
    assert (done.status, done.quantity) == (CycleStatus.COMPLETE, Decimal("0.0005"))
    rig.clock.pass_seconds(301)
    rig.quote("103")
    assert rig.orders(2)[0].qty == Decimal("0.194")
    book(rig, "103")
    assert rig.cycle().quantity == Decimal("0.193515"), "without the dust of the cycle before"
    assert check(rig).changed == 0


def test_F93_a_fill_that_is_taken_back_lowers_no_ledger_and_locks(rig: Rig) -> None:
    rig.bought()
    name = rig.last_id()
    less = replace(rig.exchange.orders[name], filled_qty=Decimal("0.1"), status="partially_filled")
    rig.exchange.orders[name] = less
    rig.exchange.held[SYMBOL] -= Decimal("0.1")
    rig.trader.books.book(less)
    assert (rig.orders()[0].filled_qty, rig.cycle().quantity) == (Decimal("0.2"), Decimal("0.1995"))
    rig.quote("103")
    assert len(rig.exchange.posts) == 1, "what is not there is not sold"
    check(rig)
    assert "the account holds 0.0995, the ledger 0.1995" in (rig.asset().lock_reason or "")


@pytest.mark.parametrize("has_ended", [False, True], ids=["live cycle", "ended cycle"])
def test_F73_a_fill_after_the_end_that_no_stream_told_is_found_by_the_checker(
    rig: Rig, has_ended: bool
) -> None:
    rig.quote("100")
    name = rig.last_id()
    rig.exchange.fill(name, "0.1")
    rig.trader.books.book(rig.exchange.end(name))
    if has_ended:
        rig.quote("103")
        book(rig, "103")
    rig.exchange.fill(name, "0.15")
    rig.exchange.end(name)
    rig.clock.pass_seconds(600)
    check(rig)
    assert rig.orders(1)[0].filled_qty == Decimal("0.15")
    if has_ended:
        assert "had ended when 0.049875 more was filled" in (rig.asset().lock_reason or "")
        assert rig.cycle().quantity == 0, "not mixed into the next one"
    else:
        assert rig.cycle().quantity == Decimal("0.149625")
