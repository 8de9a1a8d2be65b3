"""What the workers know by heart follows what was read last, whatever the rows say of themselves."""

from decimal import Decimal

import pytest

from dca.core.model import Asset, CycleStatus, Purpose
from tests.builders import NOW, asset, cycle
from tests.caring import edit, sold
from tests.rig import SYMBOL, Rig


def remembered(rig: Rig) -> Asset:
    watch = rig.desk.watch(SYMBOL)
    assert watch is not None
    return watch.asset


@pytest.mark.parametrize(
    "by_hand",
    [
        "UPDATE dca_cycles SET version = 0",
        "UPDATE dca_cycles SET version = 2000000000",
        "UPDATE dca_orders SET version = 0",
    ],
)
def test_a_version_changed_by_hand_hides_no_edit(rig: Rig, by_hand: str) -> None:
    rig.bought("100")
    edit(rig, by_hand)
    rig.look()
    edit(rig, "UPDATE dca_cycles SET version = 1")
    edit(rig, "UPDATE dca_assets SET take_profit_percent = 1, is_enabled = 0")
    rig.trader.books.look(SYMBOL)
    assert (remembered(rig).take_profit_percent, remembered(rig).is_enabled) == (Decimal(1), False)
    rig.quote("98")
    assert len(rig.orders()) == 1, "disabled"
    rig.quote("101.1")
    assert rig.orders()[-1].purpose is Purpose.TAKE_PROFIT


def test_a_backup_restored_under_a_running_bot_is_what_it_knows(rig: Rig) -> None:
    """The rows of yesterday: the cycle before, at the version it had then."""
    rig.bought("100")
    held = rig.cycle()
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    assert rig.cycle().id == 2
    edit(rig, "DELETE FROM dca_cycles WHERE id = 2")
    edit(rig, "DELETE FROM dca_order_attempts WHERE order_id = 2")
    edit(rig, "DELETE FROM dca_orders WHERE id = 2")
    edit(
        rig,
        f"UPDATE dca_cycles SET status = 'watching', completed_at = NULL, version = {held.version},"
        f" quantity = {held.quantity}, sold_qty = 0, sold_proceeds = 0, sell_fee = 0",
    )
    rig.trader.books.look(SYMBOL)
    watch = rig.desk.watch(SYMBOL)
    assert watch is not None and watch.cycle == rig.cycle()
    assert watch.levels.bid_at_least == Decimal(102)


def test_a_read_that_began_earlier_and_ended_later_is_not_taken(rig: Rig) -> None:
    """It may have seen less; the one that began later has seen all that was committed before."""
    slow = rig.desk.new_look()
    rig.desk.put(asset(), cycle(CycleStatus.BUYING), (), NOW)
    rig.desk.put(asset(), cycle(CycleStatus.WATCHING), (), NOW, slow)
    watch = rig.desk.watch(SYMBOL)
    assert watch is not None and watch.cycle is not None
    assert watch.cycle.status is CycleStatus.BUYING
    rig.desk.put(asset(), cycle(CycleStatus.SELLING), (), NOW, rig.desk.new_look())
    watch = rig.desk.watch(SYMBOL)
    assert watch is not None and watch.cycle is not None
    assert watch.cycle.status is CycleStatus.SELLING


def test_the_price_that_is_watched_follows_too(rig: Rig) -> None:
    sold(rig)
    edit(rig, "UPDATE dca_cycles SET version = 0")
    edit(rig, "UPDATE dca_assets SET buy_order_price_deviation_percent = 50")
    rig.trader.books.look(SYMBOL)
    rig.quote("90")
    assert rig.cycle().status is CycleStatus.COOLDOWN
