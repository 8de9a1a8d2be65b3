"""A cycle's row and what its orders make of it: the one way it is written, and whether the two agree."""

from collections.abc import Sequence
from datetime import datetime

from dca.core import ledger, lifecycle
from dca.core.interfaces import Transaction
from dca.core.lifecycle import Booking
from dca.core.model import Asset, Cycle, CycleStatus, Order
from dca.runtime.log_lines import warn


def books_agree(tx: Transaction, asset: Asset, cycle: Cycle, orders: Sequence[Order], now: datetime) -> bool:
    """Derived columns that were edited by hand are computed anew; what no order explains locks the asset.

    Returns whether row and orders agreed before. The cycle's row is locked by the caller.
    """
    reason = lifecycle.other_symbol(asset, orders) or lifecycle.unexplained(cycle, orders)
    if reason is not None:
        if tx.lock_asset(asset.id, reason, now):
            warn("asset", "locked", symbol=asset.asset_symbol, cycle=cycle.id, why=reason)
        return False
    derived = ledger.with_totals(cycle, orders)
    if derived != cycle:
        tx.update_cycle(derived)
        warn("cycle", "computed anew from its orders", symbol=asset.asset_symbol, cycle=cycle.id)
    return derived == cycle


def write_booking(tx: Transaction, before: Cycle, booking: Booking, now: datetime) -> None:
    """Write what a cycle has become; a sold out one is followed by the next, born in cooldown, in the same
    transaction (F71, F72). `before` is the row as it was read under lock."""
    if booking.cycle != before:
        tx.update_cycle(booking.cycle)
    if booking.sold_at_price is not None:
        tx.set_last_sell_price(before.asset_id, booking.sold_at_price)
        tx.insert_cycle(before.asset_id, CycleStatus.COOLDOWN, now)


def begin_first(tx: Transaction, asset: Asset, now: datetime) -> bool:
    """Begin the first cycle of a row of dca_assets; False if the row has to wait for a person instead.

    A live cycle of the pair whose row is gone was this row's under another number (a table that was loaded
    again, without its keys): beside a new one its coins would be forgotten, and its orders come twice.
    """
    rows = {each.id for each in tx.assets()}
    for cycle in tx.live_cycles():
        orders = () if cycle.asset_id in rows else tx.orders(cycle.id)
        if any(order.symbol == asset.asset_symbol for order in orders):
            reason = (
                f"cycle {cycle.id} of this pair is of row {cycle.asset_id} of dca_assets, which is gone: "
                f"give this row its number back, id = {cycle.asset_id} where id = {asset.id}"
            )
            if tx.lock_asset(asset.id, reason, now):
                warn("asset", "locked", symbol=asset.asset_symbol, cycle=cycle.id, why=reason)
            return False
    tx.insert_cycle(asset.id, CycleStatus.WATCHING)
    return True
