"""An order that is being placed: its line in the log, and what an earlier run of its claim wrote."""

from dca.core.interfaces import Transaction
from dca.core.model import Order
from dca.runtime.log_lines import fact


def tell_placed(order: Order, reason: str) -> None:
    fact(
        "order",
        f"placing {order.client_order_id}",
        symbol=order.symbol,
        cycle=order.cycle_id,
        side=order.side.value,
        purpose=order.purpose.value,
        safety_order=order.level or None,
        qty=order.qty,
        limit=order.limit_price,
        why=reason,
    )


def written_before(tx: Transaction, mine: list[tuple[Order, str]]) -> tuple[Order, str] | None:
    """What an earlier run of the same claim wrote, if only its commit's answer was lost: to be sent (F31)."""
    for order, reason in mine:
        tx.cycle(order.cycle_id)
        for found in tx.counting_orders(order.cycle_id):
            if (found.client_order_id, found.created_at) == (order.client_order_id, order.created_at):
                return found, reason
    return None
