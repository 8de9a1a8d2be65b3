"""What a position says of the account's fees, written down inside a claim's transaction."""

from dataclasses import replace
from datetime import datetime

from dca.core import fees, ledger
from dca.core.interfaces import Transaction
from dca.core.model import Control, Cycle, Order, Position
from dca.runtime.log_lines import fact


def believe(
    tx: Transaction, control: Control, cycle: Cycle, orders: list[Order], position: Position, now: datetime
) -> tuple[Control, Cycle, list[Order]]:
    """Book the fees that the position shows, whether higher or lower than assumed, and assume their rate of
    later orders. The cycle is returned as its orders make it; writing it is the caller's."""
    shown = fees.shown_by(orders, position.qty, control.fee_rate, now)
    if shown is None:
        return control, cycle, orders
    for order in shown.changed:
        tx.update_order(order)
    if shown.changed:
        orders = tx.counting_orders(cycle.id)
        cycle = ledger.with_totals(cycle, orders)
    if shown.rate != control.fee_rate:
        tx.set_fee_rate(shown.rate)
        percent = f"{shown.rate * 100:.2f} %"
        fact("fees", f"the account's rate is {percent}", symbol=position.symbol, was=control.fee_rate)
        control = replace(control, fee_rate=shown.rate)
    return control, cycle, orders
