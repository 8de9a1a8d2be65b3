"""The consistency checker on a real database and a fake exchange: what it changes and leaves alone."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

import consistency_checker
from dca.caretakers.job import Job
from dca.core.errors import ExchangeUnavailable
from dca.core.model import CycleStatus, LockKind
from dca.runtime.script import Context
from tests.caring import SETTINGS, Between, check, edit, take_away
from tests.rig import SYMBOL, Rig


def test_two_agreeing_books_are_left_alone(rig: Rig) -> None:
    rig.bought()
    before = rig.cycle()
    job = check(rig)
    assert (job.checked, job.changed, job.context.failed) == (1, 0, False)
    assert rig.cycle() == before


def test_an_enabled_asset_without_a_cycle_gets_one(rig: Rig) -> None:
    edit(rig, "DELETE FROM dca_cycles")
    assert check(rig, dry_run=True).changed == 1
    assert check(rig).changed == 1
    assert rig.cycle().status is CycleStatus.WATCHING
    edit(rig, "DELETE FROM dca_cycles")
    edit(rig, "UPDATE dca_assets SET is_enabled = 0")
    assert check(rig).changed == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("quantity", "5"),
        ("average_purchase_price", "1"),
        ("safety_orders", "2"),
        ("last_order_fill_price", "7"),
        ("bought_qty", "9"),
        ("latest_order_id", "'x'"),
        ("status", "'selling'"),
        ("status", "'buying'"),
    ],
)
def test_F84_what_was_edited_by_hand_is_computed_anew(rig: Rig, column: str, value: str) -> None:
    rig.bought()
    right = rig.cycle()
    edit(rig, f"UPDATE dca_cycles SET {column} = {value}")
    assert check(rig, dry_run=True).changed == 1
    assert check(rig).changed == 1
    assert replace(rig.cycle(), version=right.version) == right
    assert rig.asset().lock_reason is None


@pytest.mark.parametrize("status", ["watching", "cooldown", "selling"])
def test_F84_the_status_follows_a_live_order(rig: Rig, status: str) -> None:
    rig.quote("100")
    edit(rig, f"UPDATE dca_cycles SET status = '{status}'")
    check(rig)
    assert rig.cycle().status is CycleStatus.BUYING
    assert len(rig.exchange.posts) == 1


def test_F23_buying_without_an_order_goes_back_to_watching(rig: Rig) -> None:
    edit(rig, "UPDATE dca_cycles SET status = 'buying'")
    check(rig)
    assert rig.cycle().status is CycleStatus.WATCHING


def test_coins_without_any_order_lock_the_asset(rig: Rig) -> None:
    edit(rig, "UPDATE dca_cycles SET quantity = 3, average_purchase_price = 100")
    check(rig)
    assert "no order of it is known" in (rig.asset().lock_reason or "")
    assert rig.cycle().quantity == 3
    edit(rig, "UPDATE dca_cycles SET quantity = 0, average_purchase_price = 0")
    check(rig)
    assert rig.asset().lock_reason is None


def test_F57_a_part_sold_elsewhere_locks_with_the_numbers_and_unlocks_by_itself(rig: Rig) -> None:
    rig.bought()
    take_away(rig, "0.05")
    check(rig)
    asset = rig.asset()
    assert asset.lock_reason == "the account holds 0.1495, the ledger 0.1995: 0.05 are missing (I09)"
    assert asset.lock_kind is LockKind.BREAK
    assert rig.cycle().status is CycleStatus.WATCHING
    reads = rig.exchange.position_reads
    assert check(rig).changed == 0
    assert rig.exchange.position_reads == reads + 1  # what is known is not waited for again
    rig.deposit("0.05")
    assert check(rig).changed == 1
    assert rig.asset().lock_reason is None


def test_a_position_that_is_gone_once_is_not_gone(rig: Rig) -> None:
    rig.bought()
    coins = rig.exchange.held[SYMBOL]
    rig.exchange.held[SYMBOL] = Decimal(0)

    def come_back(reads: int) -> None:
        if reads == 2:
            rig.exchange.held[SYMBOL] = coins

    rig.exchange.on_positions = come_back
    assert check(rig).changed == 0
    assert rig.cycle().id == 1
    assert rig.asset().lock_reason is None


def test_short_at_first_and_gone_then_is_not_gone_twice(rig: Rig) -> None:
    rig.bought()
    take_away(rig, "0.05")

    def vanish(reads: int) -> None:
        if reads == 2:
            take_away(rig, "0.1495")

    rig.exchange.on_positions = vanish
    check(rig)
    assert rig.cycle().id == 1
    assert rig.asset().lock_reason is not None
    assert rig.store.transaction(lambda tx: tx.missing_positions()) == []


def test_a_position_that_lags_behind_a_fill_is_no_break(rig: Rig) -> None:
    rig.bought()
    rig.deposit("-0.05")

    def catch_up(reads: int) -> None:
        if reads == 2:
            rig.deposit("0.05")

    rig.exchange.on_positions = catch_up
    assert check(rig).changed == 0
    assert rig.exchange.position_reads == 2
    assert rig.asset().lock_reason is None


def test_F03_a_second_read_that_fails_proves_nothing(rig: Rig) -> None:
    rig.bought()
    take_away(rig, "0.1995")

    def go_down(reads: int) -> None:
        if reads == 2:
            rig.exchange.down = True

    rig.exchange.on_positions = go_down
    with pytest.raises(ExchangeUnavailable):
        check(rig)
    assert rig.cycle().id == 1
    assert rig.asset().lock_reason is None


def test_F03_nothing_is_concluded_while_the_exchange_does_not_answer(rig: Rig) -> None:
    rig.bought()
    before = (rig.asset(), rig.cycle())
    rig.exchange.down = True
    with pytest.raises(ExchangeUnavailable):
        check(rig)
    assert (rig.asset(), rig.cycle()) == before


def test_a_sell_in_flight_is_no_shortage(rig: Rig) -> None:
    rig.bought()
    rig.quote("103")
    rig.exchange.lose_answer = True
    rig.exchange.hidden_until = rig.clock.now() + timedelta(seconds=500)
    rig.exchange.held[SYMBOL] = Decimal(0)
    assert check(rig).changed == 0
    assert rig.cycle().status is CycleStatus.SELLING
    assert rig.asset().lock_reason is None


def test_a_sell_that_has_sold_a_part_is_no_shortage(rig: Rig) -> None:
    rig.bought()
    rig.quote("103")
    rig.exchange.hidden_until = rig.clock.now() + timedelta(seconds=500)
    take_away(rig, "0.1")
    assert check(rig).changed == 0
    assert rig.asset().lock_reason is None


def test_a_shortage_after_each_of_two_fills_is_no_break(rig: Rig) -> None:
    rig.bought()
    rig.deposit("-0.05")  # the position lags behind

    def buy_more() -> None:
        rig.quote("98")
        rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="98"))

    job = Job(
        context=Context(name="x", settings=SETTINGS, stopping=Between(buy_more)),
        store=rig.store,
        clock=rig.clock,
        dry_run=False,
        _broker=rig.exchange,
    )
    consistency_checker.main(job)
    assert len(rig.orders()) == 2
    assert rig.asset().lock_reason is None


def test_F13_a_fill_between_the_two_books_is_no_break(rig: Rig) -> None:
    rig.bought()
    rig.look()

    def trade(reads: int) -> None:
        if reads == 1:
            rig.quote("103")
            rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))

    rig.exchange.on_positions = trade
    check(rig)
    assert rig.asset().lock_reason is None
    assert rig.cycle().status is CycleStatus.COOLDOWN


def test_it_settles_what_the_main_app_missed(rig: Rig) -> None:
    rig.quote("100")
    rig.exchange.fill(rig.last_id())
    assert check(rig, dry_run=True).changed == 0
    assert rig.cycle().status is CycleStatus.BUYING
    assert check(rig).changed == 1
    assert rig.cycle().status is CycleStatus.WATCHING
    assert rig.cycle().quantity == Decimal("0.1995")


def test_F24_coins_of_the_operator_are_reported_and_left_alone(rig: Rig) -> None:
    rig.bought()
    rig.deposit("5")
    job = check(rig)
    assert job.changed == 0
    assert job.notes == ["BTC/USD: 5 on the account are not the bot's"]
    assert rig.cycle().quantity == Decimal("0.1995")


def test_an_order_that_an_older_backup_forgot_locks_until_it_is_accepted(rig: Rig) -> None:
    rig.bought()
    ours = rig.exchange.orders[rig.last_id()]
    lost = replace(ours, client_order_id=f"{rig.desk.prefix}9-1-b", exchange_order_id="lost")
    rig.exchange.orders[lost.client_order_id] = lost
    check(rig)
    assert "is not in the ledger" in (rig.asset().lock_reason or "")
    later = rig.clock.now() + timedelta(seconds=1)
    rig.store.transaction(lambda tx: tx.insert_action("me", "accept BTC/USD", SYMBOL, "known", later))
    check(rig)
    assert rig.asset().lock_reason is None


def test_a_lock_after_crashes_and_one_made_by_hand_stay(rig: Rig) -> None:
    edit(rig, "UPDATE dca_assets SET lock_reason = 'by hand'")
    assert check(rig).changed == 0
    edit(rig, "UPDATE dca_assets SET lock_kind = 'crash'")
    assert check(rig).changed == 0
    assert rig.asset().lock_reason == "by hand"
