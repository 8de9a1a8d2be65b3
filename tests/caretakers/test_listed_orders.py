"""Which of the orders that the exchange lists are forgotten, told otherwise, or not there: one by one."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dca.caretakers.exchange_lists import MOST_ASKED, Listing, Listings
from dca.caretakers.job import Job
from dca.core.model import OrderState, Snapshot
from dca.runtime.log_lines import Troubles
from dca.runtime.script import Context
from dca.runtime.settings import DatabaseSettings
from dca.trading.trader import Trader
from tests.builders import D, snapshot
from tests.caring import SETTINGS, edit
from tests.rig import LIMITS, QUIET_SECONDS, SYMBOL, Rig


@pytest.fixture
def rig(database: DatabaseSettings) -> Iterator[Rig]:
    """A base order, filled longer ago than lists lag behind."""
    rig = Rig(database)
    rig.bought()
    rig.clock.pass_seconds(QUIET_SECONDS + 1)
    yield rig
    rig.close()


def compared(rig: Rig, *, dry_run: bool = False) -> Listing:
    settings = replace(SETTINGS, quiet_period=timedelta(seconds=QUIET_SECONDS))
    context = Context(name="consistency_checker", settings=settings)
    job = Job(context=context, store=rig.store, clock=rig.clock, dry_run=dry_run, _broker=rig.exchange)
    control = rig.store.transaction(lambda tx: tx.control())
    trader = Trader(rig.store, rig.exchange, rig.desk, rig.clock, Troubles(), LIMITS)
    return Listings(job, control, trader).compare([rig.asset()], rig.orders())


def listed(rig: Rig, status: str, filled: str = "0", name: str = "9-1-b", **changes: object) -> Snapshot:
    """An order at the exchange that is none of the ledger's; by default with our prefix."""
    now = rig.clock.now()
    values: dict[str, Any] = {
        "client_order_id": name if name.startswith("person") else f"{rig.desk.prefix}{name}",
        "exchange_order_id": f"x-{name}",
        "created_at": now,
        "updated_at": now,
    }
    price = "100" if D(filled) else None
    made = snapshot(rig.orders()[0], status, filled, price, **{**values, **changes})
    rig.exchange.orders[made.client_order_id] = made
    return made


def numbers(found: Listing) -> dict[int, list[str]]:
    return {number: [each.number for each in them] for number, them in found.differences.items()}


def test_books_that_agree_differ_in_nothing(rig: Rig) -> None:
    assert compared(rig) == Listing(forgotten=[], differences={})


# ---- forgotten --------------------------------------------------------------------------------------------


def test_an_order_under_our_id_is_forgotten_if_it_is_open_or_filled(rig: Rig) -> None:
    opened = listed(rig, "new", name="9-1-b")
    filled = listed(rig, "filled", "0.1", name="9-2-b")
    listed(rig, "canceled", name="9-3-b")
    listed(rig, "filled", "0.1", name="person-1")
    listed(rig, "filled", "0.1", name="person-2", symbol="ETH/USD")
    assert compared(rig).forgotten == [opened, filled]


@pytest.mark.parametrize("has_update", [True, False])
def test_what_the_operator_has_accepted_since_is_not(rig: Rig, has_update: bool) -> None:
    updated: dict[str, Any] = {} if has_update else {"updated_at": None}
    older = replace(listed(rig, "filled", "0.1"), **updated)
    rig.exchange.orders[older.client_order_id] = older
    rig.clock.pass_seconds(60)
    at = rig.clock.now().strftime("%Y-%m-%d %H:%M:%S")
    columns = "(at, who, command, asset_symbol, effect)"
    action = "INSERT INTO operator_actions {} VALUES ('{}', 'me', '{}', '{}', '')"
    edit(rig, action.format(columns, at, "why BTC/USD", SYMBOL))
    edit(rig, action.format(columns, at, "accept ETH/USD", "ETH/USD"))
    assert compared(rig).forgotten == [older], "another command, and another pair's"
    edit(rig, action.format(columns, at, "accept BTC/USD", SYMBOL))
    assert compared(rig).forgotten == []
    rig.clock.pass_seconds(60)
    newer = listed(rig, "filled", "0.1", name="9-2-b", **updated)
    assert compared(rig).forgotten == [newer]


# ---- told otherwise ---------------------------------------------------------------------------------------


def told_otherwise(rig: Rig) -> None:
    edit(rig, "UPDATE dca_orders SET filled_avg_price = 90")


def test_a_difference_is_told_once_the_lists_had_time_to_follow(rig: Rig) -> None:
    told_otherwise(rig)
    assert numbers(compared(rig)) == {1: ["I06"]}
    edit(rig, f"UPDATE dca_orders SET closed_at = '{rig.clock.now():%Y-%m-%d %H:%M:%S}'")
    assert compared(rig).differences == {}, "it ended just now"


def test_a_fill_that_came_late_is_booked_and_in_a_dry_run_told_as_to_be_booked(rig: Rig) -> None:
    name = rig.orders()[0].client_order_id
    edit(rig, "UPDATE dca_orders SET filled_qty = 0.1, filled_value = 10, fee_qty = 0.00025")
    assert compared(rig, dry_run=True).differences == {}
    told_otherwise(rig)
    assert compared(rig, dry_run=True).differences == {}, "the price goes with it"
    assert compared(rig).differences == {}
    [order] = [each for each in rig.orders() if each.client_order_id == name]
    assert order.filled_qty == D("0.2")


def test_in_a_dry_run_all_other_differences_are_told(rig: Rig) -> None:
    told_otherwise(rig)
    assert numbers(compared(rig, dry_run=True)) == {1: ["I06"]}


# ---- not there --------------------------------------------------------------------------------------------


def test_an_order_that_is_not_listed_is_asked_for(rig: Rig) -> None:
    order = rig.orders()[0]
    there = rig.exchange.orders[order.client_order_id]

    class ShortList(type(rig.exchange)):  # type: ignore[misc]
        def closed_orders(self, *_: object) -> list[Snapshot]:
            return []

    rig.exchange.__class__ = ShortList
    assert compared(rig).differences == {}, "no list proves that it is not there"
    del rig.exchange.orders[order.client_order_id]
    assert numbers(compared(rig)) == {1: ["I30"]}
    rig.exchange.orders[order.client_order_id] = there
    assert order.state is OrderState.DONE
    assert MOST_ASKED == 10
