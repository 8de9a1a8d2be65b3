"""The operator's wish to sell, and what a review found around it and around rows edited by hand."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import mysql.connector
import pytest

import order_manager
from dca.alerts import conditions
from dca.alerts.conditions import Books, Look
from dca.core.errors import DatabaseUnavailable, StartRefused
from dca.core.model import CycleStatus, OrderState, Purpose, Snapshot
from dca.core.order_cleanup import GONE_LOOKS
from dca.database.store import Store, Transaction
from tests.caretakers.test_absences import every_five_minutes
from tests.caring import check, edit, run, take_away
from tests.operator.test_holding import bot
from tests.rig import SYMBOL, Rig


def test_a_wish_to_sell_is_carried_out_at_the_next_good_quote(rig: Rig) -> None:
    rig.bought()
    edit(rig, "UPDATE dca_cycles SET exit_requested_at = UTC_TIMESTAMP(6)")
    rig.look()
    rig.quote("90")  # a safety order would be due
    order = rig.orders()[-1]
    assert (order.purpose, order.qty) == (Purpose.EXIT, Decimal("0.1995"))
    assert order.client_order_id.endswith("-1-2-x")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="90"))
    assert rig.cycle().status is CycleStatus.COOLDOWN
    assert rig.store.transaction(lambda tx: tx.cycle(1)).status is CycleStatus.COMPLETE
    assert rig.violations() == []


def test_with_a_wish_to_sell_that_has_to_wait_nothing_is_bought(rig: Rig) -> None:
    rig.bought()
    edit(
        rig,
        "UPDATE dca_cycles SET exit_requested_at = UTC_TIMESTAMP(6), next_sell_at = '2026-02-01',"
        " version = version + 1",
    )
    rig.look()
    rig.quote("90")
    assert len(rig.orders()) == 1


def test_a_wish_to_sell_cancels_a_live_buy_first(rig: Rig) -> None:
    rig.bought()
    rig.quote("98")
    buy = rig.last_id()
    edit(rig, "UPDATE dca_cycles SET exit_requested_at = UTC_TIMESTAMP(6), version = version + 1")
    rig.look()
    rig.quote("98")
    assert rig.exchange.cancels == [rig.exchange.orders[buy].exchange_order_id]
    assert len(rig.orders()) == 2
    rig.trader.books.book(rig.exchange.end(buy))
    rig.quote("98")
    assert rig.orders()[-1].purpose is Purpose.EXIT


def test_a_wish_to_sell_ends_with_nothing_left_to_sell(rig: Rig) -> None:
    rig.quote("100")
    buy = rig.last_id()
    edit(rig, "UPDATE dca_cycles SET exit_requested_at = UTC_TIMESTAMP(6), version = version + 1")
    rig.look()
    rig.quote("100")
    assert len(rig.exchange.cancels) == 1
    rig.trader.books.book(rig.exchange.end(buy))
    assert rig.cycle().status is CycleStatus.WATCHING
    assert rig.cycle().exit_requested_at is None


@pytest.mark.parametrize("part", ["0.004", "0.0001"])
def test_a_wish_to_sell_ends_where_what_is_left_cannot_be_sold(rig: Rig, part: str) -> None:
    """Some dust is no reason to want to sell for ever: nothing would ever be bought again."""
    rig.quote("100")
    buy = rig.last_id()
    edit(rig, "UPDATE dca_cycles SET exit_requested_at = UTC_TIMESTAMP(6), version = version + 1")
    rig.exchange.fill(buy, qty=part)
    rig.trader.books.book(rig.exchange.end(buy))
    assert rig.cycle().quantity > 0
    assert (rig.cycle().status, rig.cycle().exit_requested_at) == (CycleStatus.WATCHING, None)
    rig.quote("90")
    assert rig.orders()[-1].purpose is Purpose.BASE


def test_a_sale_on_a_wish_that_leaves_dust_is_the_end_of_the_wish(rig: Rig) -> None:
    rig.bought()
    edit(rig, "UPDATE dca_cycles SET exit_requested_at = UTC_TIMESTAMP(6), version = version + 1")
    rig.look()
    rig.quote("95")
    sale = rig.last_id()
    rig.exchange.fill(sale, qty="0.194", price="95")
    rig.trader.books.book(rig.exchange.end(sale))
    sold = rig.store.transaction(lambda tx: tx.cycle(1))
    assert (sold.status, sold.quantity) == (CycleStatus.COMPLETE, Decimal("0.0055"))
    assert (rig.cycle().status, rig.cycle().exit_requested_at) == (CycleStatus.COOLDOWN, None)
    rig.clock.pass_seconds(301)
    for _ in range(2):
        rig.quote("95")
    assert rig.orders(2)[-1].purpose is Purpose.BASE


def test_a_sale_on_a_wish_that_leaves_enough_to_be_sold_goes_on(rig: Rig) -> None:
    rig.bought()
    edit(rig, "UPDATE dca_cycles SET exit_requested_at = UTC_TIMESTAMP(6), version = version + 1")
    rig.look()
    rig.quote("95")
    sale = rig.last_id()
    rig.exchange.fill(sale, qty="0.1", price="95")
    rig.trader.books.book(rig.exchange.end(sale))
    rig.quote("94")
    assert (rig.orders()[-1].purpose, rig.orders()[-1].qty) == (Purpose.EXIT, Decimal("0.0995"))


def test_what_was_sold_outside_is_wished_for_no_more(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    assert bot(rig, tmp_path, "sell BTC/USD --yes")[0] == 0
    take_away(rig, "0.195")
    check(rig)
    assert bot(rig, tmp_path, "accept BTC/USD --yes")[0] == 0
    ended = rig.store.transaction(lambda tx: tx.cycle(1))
    assert (ended.status, ended.exit_requested_at) == (CycleStatus.COMPLETE, None)
    assert (rig.cycle().id, rig.cycle().exit_requested_at) == (2, None)


def test_a_wish_that_was_taken_back_sends_nothing_again(rig: Rig) -> None:
    rig.bought()
    edit(rig, "UPDATE dca_cycles SET exit_requested_at = UTC_TIMESTAMP(6), version = version + 1")
    rig.look()
    rig.exchange.lose_request = True
    rig.quote("95")
    rig.exchange.lose_request = False
    edit(rig, "UPDATE dca_cycles SET exit_requested_at = NULL, version = version + 1")
    for _ in range(3):
        rig.clock.pass_seconds(121)
        rig.look()
        rig.quote("100")
        rig.settle()
    assert len(rig.exchange.posts) == 2
    assert rig.orders()[-1].state is OrderState.VOID


def test_a_wish_for_a_cycle_that_has_ended_meanwhile_is_for_no_other(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    shown = rig.cycle()
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    from dca.operator.actions.sell import _request_sale
    from tests.operator.test_holding import RigTools

    tools, asset = RigTools("sell BTC/USD", rig, tmp_path), rig.asset()
    with pytest.raises(StartRefused, match="cycle 1 ended in the meantime"):
        rig.store.transaction(lambda tx: _request_sale(tx, tools, asset, shown))
    assert rig.cycle().exit_requested_at is None


@pytest.mark.parametrize("status", ["selling", "cooldown", "watching"])
def test_F84_a_fill_is_booked_whatever_was_written_over_the_status(rig: Rig, status: str) -> None:
    rig.quote("100")
    edit(rig, f"UPDATE dca_cycles SET status = '{status}'")
    rig.trader.books.book(rig.exchange.fill(rig.last_id()))
    assert rig.cycle().status is CycleStatus.WATCHING
    assert rig.cycle().quantity == Decimal("0.1995")
    assert check(rig).changed == 0


@pytest.mark.parametrize("status", ["watching", "buying"])
def test_F84_a_sale_completes_its_cycle_whatever_was_written_over_the_status(rig: Rig, status: str) -> None:
    """Found by the simulation: it watched on with nothing, and bought its base order again."""
    rig.bought("100")
    rig.quote("103")
    edit(rig, f"UPDATE dca_cycles SET status = '{status}'")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    sold = rig.store.transaction(lambda tx: tx.cycle(1))
    assert (sold.status, sold.quantity) == (CycleStatus.COMPLETE, Decimal(0))
    assert (rig.cycle().id, rig.cycle().status) == (2, CycleStatus.COOLDOWN)
    assert check(rig).changed == 0


def test_F84_coins_in_a_cooldown_that_was_written_by_hand_are_found_again(rig: Rig) -> None:
    rig.bought()
    edit(rig, "UPDATE dca_cycles SET status = 'cooldown', quantity = 0, average_purchase_price = 0")
    check(rig)
    assert (rig.cycle().status, rig.cycle().quantity) == (CycleStatus.WATCHING, Decimal("0.1995"))


def late(rig: Rig, name: str, side: str, qty: str) -> None:
    """An order that is at the exchange and filled, whatever our ledger thinks."""
    now = rig.clock.now()
    rig.exchange.orders[name] = Snapshot(
        exchange_order_id=f"x-{name}",
        client_order_id=name,
        symbol=SYMBOL,
        side=side,
        status="new",
        qty=Decimal(qty),
        limit_price=Decimal(100) if side == "buy" else None,
        filled_qty=Decimal(0),
        filled_avg_price=None,
        created_at=now,
        updated_at=now,
    )
    rig.exchange.fill(name)


def test_F22_a_fill_of_an_order_that_was_given_up_is_found_by_the_checker(rig: Rig) -> None:
    rig.exchange.lose_request = True
    rig.quote("100")
    name = rig.last_id()
    rig.exchange.lose_request = False
    rig.exchange.quoted_at = rig.clock.now()  # no quote since, so it is not sent again
    for seconds in (121, 31):
        rig.clock.pass_seconds(seconds)
        rig.settle()
    rig.exchange.quoted_at = None
    assert rig.orders()[0].state is OrderState.VOID
    late(rig, name, "buy", "0.2")
    check(rig)
    assert rig.orders()[0].state is OrderState.GHOST
    assert rig.cycle().quantity == Decimal("0.1995")
    assert "given up" in (rig.asset().lock_reason or "")


def test_F50_after_an_older_backup_a_used_id_counts_as_refused(rig: Rig) -> None:
    late(rig, f"{rig.desk.prefix}1-1-b", "buy", "0.2")
    rig.clock.pass_seconds(3600)
    rig.look()
    rig.quote("97")
    assert rig.orders()[0].state is OrderState.REJECTED
    assert rig.cycle().status is CycleStatus.WATCHING
    rig.clock.pass_seconds(301)
    rig.look()
    rig.quote("97")
    assert rig.last_id().endswith("-1-2-b")
    assert rig.orders()[-1].state is OrderState.ACKED


def test_a_sale_that_an_older_backup_forgot_is_no_proof_that_coins_are_gone(rig: Rig) -> None:
    rig.bought()
    late(rig, f"{rig.desk.prefix}1-2-tp", "sell", "0.1995")
    check(rig)
    assert rig.cycle().id == 1
    assert rig.asset().lock_reason is not None


def test_a_holding_just_above_the_smallest_order_is_not_gone_by_a_rounding(rig: Rig) -> None:
    rig.bought()
    rules = rig.exchange.rules[SYMBOL]
    rig.exchange.rules[SYMBOL] = replace(rules, min_order_size=Decimal("0.19949"))
    rig.exchange.held[SYMBOL] = Decimal("0.19945")
    assert check(rig).changed == 0


def test_refusals_between_two_looks_do_not_hide_that_coins_are_gone(rig: Rig) -> None:
    rig.bought()
    take_away(rig, "0.1995")
    rig.exchange.on_positions = lambda reads: edit(
        rig, "UPDATE dca_cycles SET refusals = refusals + 1, version = version + 1"
    )
    every_five_minutes(rig, GONE_LOOKS)
    assert rig.cycle().id == 2


def test_after_coins_are_gone_no_old_sale_ends_the_cooldown_and_it_is_mailed(rig: Rig) -> None:
    edit(rig, "UPDATE dca_assets SET last_sell_price = 120")
    rig.bought()
    take_away(rig, "0.1995")
    every_five_minutes(rig, GONE_LOOKS)
    check(rig)  # unlocks
    rig.look()
    rig.quote("90")
    assert rig.cycle().status is CycleStatus.COOLDOWN

    def books(tx: Transaction) -> Books:
        return Books(
            control=tx.control(),
            assets=tx.assets(),
            cycles=tx.live_cycles(),
            orders=tx.open_orders(),
            good_runs={},
            run_starts=(),
            errors=tx.error_cycles(rig.clock.now().replace(year=2000)),
        )

    look = Look(now=rig.clock.now(), books=rig.store.transaction(books))
    assert [each.name for each in conditions.findings(look)] == ["gone BTC/USD 1"]


def test_after_an_accepted_sale_its_price_is_the_last_one(rig: Rig, tmp_path: Path) -> None:
    edit(rig, "UPDATE dca_assets SET last_sell_price = 120")
    rig.bought()
    take_away(rig, "0.1995")
    assert bot(rig, tmp_path, "accept BTC/USD --price 90 --yes")[0] == 0
    assert rig.asset().last_sell_price == Decimal(90)


def test_a_fill_a_moment_ago_lets_nobody_adopt_or_accept(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    rig.clock.pass_seconds(-60)
    take_away(rig, "0.1")
    for line in ("accept BTC/USD --yes", "adopt BTC/USD --price 1 --qty 0.0000001 --yes"):
        rig.clock.pass_seconds(-121)
        assert bot(rig, tmp_path, line)[0] == 1
    assert len(rig.orders()) == 1


def test_a_foreign_order_with_an_odd_id_stops_no_caretaker(rig: Rig) -> None:
    rig.quote("100")
    ours = rig.exchange.orders[rig.last_id()]
    odd = replace(ours, client_order_id="bestellung-m\u00fcnchen", exchange_order_id="odd")
    rig.exchange.orders[odd.client_order_id] = odd
    rig.clock.pass_seconds(400)
    assert run(rig, order_manager.main).changed == 1
    assert not run(rig, order_manager.main).context.failed


def test_a_lock_that_was_waited_for_and_then_a_server_that_is_gone(rig: Rig) -> None:
    codes = iter([1205, 1205, 2003, 2003, 2003])

    class Sick(Store):
        def _once(self, work):  # type: ignore[no-untyped-def]
            raise mysql.connector.OperationalError(msg="sick", errno=next(codes))

    with Sick(rig.store._settings) as sick, pytest.raises(DatabaseUnavailable):
        sick.transaction(lambda tx: None)
