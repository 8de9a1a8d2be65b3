"""The order manager and the cooldown manager: what they change, and what they leave alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

import cooldown_manager
import order_manager
from dca.caretakers.job import Job
from dca.core.errors import ExchangeUnavailable
from dca.core.model import CycleStatus, OrderState, Purpose
from dca.runtime.script import Context
from tests.caring import SETTINGS, edit, run, sold
from tests.fake_exchange import FakeClock
from tests.rig import Rig

# ---- order manager ---------------------------------------------------------------------------------------


def test_F09_a_stale_buy_that_fills_while_it_is_canceled_keeps_its_fill(rig: Rig) -> None:
    rig.quote("100")
    name = rig.last_id()
    rig.clock.pass_seconds(301)
    assert run(rig, order_manager.main).changed == 1
    assert rig.cycle().status is CycleStatus.BUYING  # a 204 is not a cancel
    assert rig.orders()[0].state is OrderState.CANCEL_REQUESTED
    rig.exchange.fill(name, qty="0.05")
    rig.exchange.end(name)
    assert run(rig, order_manager.main).changed == 1
    assert rig.cycle().status is CycleStatus.WATCHING
    assert rig.cycle().quantity == Decimal("0.049875")
    assert run(rig, order_manager.main).changed == 0


def test_F23_a_young_order_and_one_without_an_answer_are_left_alone(rig: Rig) -> None:
    rig.exchange.lose_answer = True
    rig.quote("100")
    rig.clock.pass_seconds(100_000)
    assert run(rig, order_manager.main).changed == 0
    assert rig.cycle().status is CycleStatus.BUYING
    assert rig.exchange.cancels == []


def test_a_stuck_market_sell_is_canceled_and_the_rest_sold_anew(rig: Rig) -> None:
    rig.bought()
    rig.quote("103")
    name = rig.last_id()
    rig.exchange.fill(name, qty="0.1", price="103")
    rig.clock.pass_seconds(74)
    assert run(rig, order_manager.main).changed == 0
    rig.clock.pass_seconds(2)
    run(rig, order_manager.main)
    rig.exchange.end(name)
    run(rig, order_manager.main)
    assert rig.cycle().status is CycleStatus.WATCHING
    rig.look()
    rig.quote("103")
    assert rig.orders()[-1].purpose is Purpose.TAKE_PROFIT
    assert rig.orders()[-1].qty == Decimal("0.0995")


def test_orphans_go_and_foreign_orders_stay(rig: Rig) -> None:
    rig.quote("100")
    ours = rig.exchange.orders[rig.last_id()]
    orphan = replace(ours, client_order_id=f"{rig.desk.prefix}77-1-b", exchange_order_id="orphan")
    person = replace(ours, client_order_id="person-1", exchange_order_id="person")
    other = replace(ours, client_order_id="dca-ffffffff-1-1-b", exchange_order_id="other")
    rig.exchange.orders.update({each.client_order_id: each for each in (orphan, person, other)})
    dry = run(rig, order_manager.main, dry_run=True)
    assert (dry.changed, rig.exchange.cancels) == (1, [])
    job = run(rig, order_manager.main)
    assert rig.exchange.cancels == ["orphan"]
    assert job.notes == ["2 open orders of the account are not ours"]
    run(rig, order_manager.main, cancel_foreign_orders=True)
    assert set(rig.exchange.cancels) == {"orphan", "person", "other"}


def test_F03_without_a_list_of_orders_nothing_is_canceled(rig: Rig) -> None:
    rig.quote("100")
    rig.clock.pass_seconds(400)
    rig.exchange.down = True
    with pytest.raises(ExchangeUnavailable):
        run(rig, order_manager.main)
    assert rig.orders()[0].state is OrderState.ACKED
    assert rig.exchange.cancels == []


# ---- cooldown manager ------------------------------------------------------------------------------------


def test_a_cooldown_ends_when_its_time_is_up(rig: Rig) -> None:
    sold(rig)
    rig.exchange.down = True  # it needs no exchange
    rig.clock.pass_seconds(299)
    assert run(rig, cooldown_manager.main).changed == 0
    rig.clock.pass_seconds(1)
    assert run(rig, cooldown_manager.main, dry_run=True).changed == 1
    assert rig.cycle().status is CycleStatus.COOLDOWN
    job = run(rig, cooldown_manager.main)
    assert (job.checked, job.changed) == (1, 1)
    assert rig.cycle().status is CycleStatus.WATCHING


def test_a_cooldown_without_a_sale_ends_too(rig: Rig) -> None:
    edit(rig, "UPDATE dca_cycles SET status = 'cooldown'")
    assert run(rig, cooldown_manager.main).changed == 1
    assert rig.cycle().status is CycleStatus.WATCHING


class Interrupted(FakeClock):
    """Somebody else acts just when the caretaker looks at the clock."""

    def __init__(self, now: datetime, happens: Callable[[], object]) -> None:
        self._now = now
        self._happens = [happens]

    def now(self) -> datetime:
        if self._happens:
            self._happens.pop()()
        return super().now()


def test_a_cooldown_that_main_app_ended_meanwhile_is_left_alone(rig: Rig) -> None:
    sold(rig)
    rig.clock.pass_seconds(300)
    clock = Interrupted(
        rig.clock.now(), lambda: edit(rig, "UPDATE dca_cycles SET status = 'watching' WHERE id = 2")
    )
    job = Job(context=Context(name="x", settings=SETTINGS), store=rig.store, clock=clock, dry_run=False)
    cooldown_manager.main(job)
    assert job.changed == 0
    assert rig.cycle().status is CycleStatus.WATCHING
