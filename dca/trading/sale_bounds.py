"""How much of a cycle may be sold, by what the account really has."""

from dataclasses import replace
from datetime import datetime

from dca.core import ledger, lifecycle
from dca.core.interfaces import Transaction
from dca.core.model import Cycle, Order, Position, Side, TradingRules, plain, round_down
from dca.core.strategy import Place
from dca.runtime.log_lines import Troubles


def bounded(
    tx: Transaction,
    cycle: Cycle,
    orders: list[Order],
    action: Place,
    rules: TradingRules,
    position: Position,
    troubles: Troubles,
    now: datetime,
) -> tuple[Cycle, list[Order], Place] | None:
    """A sell that is never refused for being larger than the position (F06); None if it has to wait.

    A shortage that fees explain is booked as fee; a larger one, or coins that another order holds, stops the
    sell with its reason. Nothing is guessed.
    """
    shortage = cycle.quantity - position.qty
    problem = None
    if shortage > ledger.shortage_tolerance(cycle, rules.qty_increment):
        problem = f"the account holds {plain(position.qty)}, the ledger {plain(cycle.quantity)}"
    elif shortage > 0:
        poorer = ledger.with_shortage_as_fee(orders, shortage)
        if poorer is not None:
            tx.update_order(poorer)
            orders = tx.counting_orders(cycle.id)
            cycle = ledger.with_totals(cycle, orders)
    qty = round_down(min(cycle.quantity, position.qty_available), rules.qty_increment)
    if problem is None and qty < round_down(cycle.quantity, rules.qty_increment):
        problem = f"only {plain(position.qty_available)} of {plain(position.qty)} are free to be sold"
    what = f"{position.symbol} held back"
    if problem is not None:
        tx.update_cycle(lifecycle.refused(cycle, Side.SELL, problem, now))
        troubles.begins("sell", what, problem, now, symbol=position.symbol)
        return None
    troubles.ends("sell", what, now, symbol=position.symbol)
    return cycle, orders, replace(action, qty=min(action.qty, qty))  # one order of several, or all
