"""Orders that wait for the operator's decision: accept, adopt or sell.

These are orders that the exchange returned with other terms than sent, orders that turned up after they were
given up (Order.is_undecided), and orders in flight that the exchange does not have.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from dca.core import invariants, ledger, lifecycle
from dca.core.model import Asset, Cycle, LockKind, Order, OrderState, plain
from dca.core.order_rows import as_it_is
from dca.database.store import Transaction
from dca.operator.session import Tools
from dca.trading.cycle_writes import write_booking


def of(tx: Transaction, asset: Asset) -> list[Order]:
    """The asset's orders that wait for a decision, oldest first."""
    return [order for order in tx.undecided_orders() if order.asset_id == asset.id]


def words(order: Order) -> str:
    """A sentence on what an order did, for the screen."""
    what = "was given up and has turned up"
    if order.difference is not None:
        what = f"came back changed: {order.difference}"
    at = "" if order.filled_avg_price is None else f" at {plain(order.filled_avg_price)}"
    did = f"its {order.side} of {plain(order.filled_qty)}{at} stays booked in cycle {order.cycle_id}"
    return f"Order {order.client_order_id} {what}; {did}."


def decide(tx: Transaction, asset: Asset, now: datetime) -> list[str]:
    """Record the operator's decision on these orders, and end a lock that they alone caused. Returns what
    was done, in words."""
    effects = []
    for seen in of(tx, asset):
        tx.cycle(seen.cycle_id)
        order = as_it_is(tx.counting_orders(seen.cycle_id, seen.client_order_id), seen)
        tx.update_order(replace(order, decided_at=now))
        effects.append(f"{order.client_order_id} decided")
    current = tx.asset(asset.id)
    if not effects or current is None or current.lock_kind is not LockKind.BREAK:
        return effects
    if set(invariants.numbers(current.lock_reason or "")) == {"I31"} and tx.unlock_asset(asset.id):
        effects.append(f"unlocked ({current.lock_reason})")
    return effects


def lost(tools: Tools, orders: Iterable[Order]) -> list[Order]:
    """The orders in flight, sent longer ago than the quiet period, that the exchange does not have or has
    under other terms.

    Raises:
        Unavailable: the exchange does not answer.
    """
    young = tools.clock.now() - tools.settings.quiet_period
    old = [order for order in orders if order.is_live and order.last_sent_at < young]
    return [order for order in old if _is_lost(tools, order)]


def _is_lost(tools: Tools, order: Order) -> bool:
    found = tools.broker.order(order.client_order_id)
    return found is None or ledger.stranger(order, found) is not None


def give_up(tx: Transaction, cycle: Cycle, gone: Iterable[Order], now: datetime) -> None:
    """Void orders of a locked cycle that the exchange does not have; if one turns up later, it locks the
    asset again."""
    names = {order.id for order in gone}
    orders = tx.counting_orders(cycle.id)
    ended = [
        replace(order, state=OrderState.VOID, closed_at=now)
        for order in orders
        if order.id in names and order.is_live
    ]
    for order in ended:
        tx.update_order(order)
    if ended:
        void = {order.id: order for order in ended}
        booking = lifecycle.book(cycle, [void.get(order.id, order) for order in orders], now)
        write_booking(tx, cycle, booking, now)
