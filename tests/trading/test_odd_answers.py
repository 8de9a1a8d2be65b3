"""Answers of the exchange that are odd, but possible: what they fill is booked, and nothing ends."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from dca.core.model import CycleStatus, OrderState, Quote, Snapshot
from dca.exchange import parsing
from tests.caring import check
from tests.proof.test_faults_running import a_worker
from tests.rig import SYMBOL, Rig

TOLD = {"symbol": "BTCUSD", "qty": "0.2", "qty_available": "0.2"}


def test_a_position_that_is_listed_twice_is_no_list() -> None:
    """Which of the two it is, or whether both, nobody knows."""
    assert parsing.positions([TOLD, {**TOLD, "symbol": "ETHUSD"}]).keys() == {"BTCUSD", "ETHUSD"}
    for other in ("BTCUSD", "BTC/USD"):
        with pytest.raises(ValueError, match="listed twice"):
            parsing.positions([TOLD, {**TOLD, "symbol": other, "qty": "0.1"}])


@pytest.mark.parametrize("status", ["rejected", "expired", "replaced", "canceled"])
@pytest.mark.parametrize("first", ["fill", "end"])
def test_an_order_that_ended_otherwise_keeps_its_fills(rig: Rig, status: str, first: str) -> None:
    rig.quote("100")
    name = rig.last_id()
    part = rig.exchange.fill(name, "0.05")
    ended = rig.exchange.end(name, status)
    for snapshot in (part, ended) if first == "fill" else (ended, part):
        rig.trader.books.book(snapshot)
    order, cycle = rig.orders()[0], rig.cycle()
    assert (order.state, order.filled_qty, order.exchange_status) == (
        OrderState.DONE,
        Decimal("0.05"),
        status,
    )
    assert (cycle.status, cycle.bought_qty) == (CycleStatus.WATCHING, Decimal("0.05"))
    check(rig)
    assert rig.asset().lock_reason is None and rig.violations() == []


def _without_price(part: Snapshot) -> Snapshot:
    return replace(part, filled_avg_price=None)


def _of_price_0(part: Snapshot) -> Snapshot:
    return replace(part, filled_avg_price=Decimal(0))


@pytest.mark.parametrize("spoil", [_without_price, _of_price_0])
def test_a_fill_without_a_price_is_asked_for_again(rig: Rig, spoil: Callable[[Snapshot], Snapshot]) -> None:
    rig.quote("100")
    filled = rig.exchange.fill(rig.last_id())
    rig.trader.books.book(spoil(filled))
    assert rig.orders()[0].state is OrderState.ACKED
    rig.settle()
    assert rig.orders()[0].state is OrderState.DONE and rig.violations() == []


@pytest.mark.parametrize("hours", [-24 * 365, -1, 1, 24 * 365])
def test_times_that_cannot_be_change_no_booking(rig: Rig, hours: float) -> None:
    """updated_at is the exchange's; created_at well before ours would be of another order (F50)."""
    rig.quote("100")
    filled = rig.exchange.fill(rig.last_id())
    at = rig.clock.now() + timedelta(hours=hours)
    rig.trader.books.book(replace(filled, updated_at=at, created_at=max(at, rig.clock.now())))
    assert rig.orders()[0].state is OrderState.DONE and rig.violations() == []


@pytest.mark.parametrize("newer_first", [True, False])
def test_two_quotes_of_one_moment_buy_once(rig: Rig, tmp_path: Path, *, newer_first: bool) -> None:
    worker, inbox, _ = a_worker(rig, tmp_path)
    now = rig.clock.now()
    quotes = [
        Quote(symbol=SYMBOL, bid=Decimal(price), ask=Decimal(price), at=now, received_at=now)
        for price in ("100", "100.01")
    ]
    for quote in quotes[::-1] if newer_first else quotes:
        inbox.put_quote(quote)
        inbox.put_quote(quote)
    while worker.work(0):
        pass
    for quote in quotes:
        rig.trader.on_quote(quote)
    assert len(rig.exchange.posts) == 1


@pytest.mark.parametrize("leap", [-86_400, -30, 30, 86_400])
def test_a_leap_of_the_clock_places_nothing_twice(rig: Rig, leap: float) -> None:
    rig.quote("100")
    name = rig.last_id()
    rig.clock.pass_seconds(leap)
    rig.quote("98")
    rig.settle()
    rig.trader.books.book(rig.exchange.fill(name))
    rig.quote("100")
    assert len(rig.exchange.posts) == 1 and rig.violations() == []
    rig.clock.pass_seconds(-leap)
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    assert rig.cycle().status is CycleStatus.COOLDOWN and len(rig.exchange.posts) == 2
    check(rig)
    assert rig.asset().lock_reason is None and rig.violations() == []
