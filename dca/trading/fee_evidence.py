"""What a position says of the account's fees, written down inside a claim's transaction."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from dca.core import fees, ledger
from dca.core.errors import ExchangeUnavailable
from dca.core.interfaces import Broker, Store, Transaction
from dca.core.model import Control, Cycle, Execution, Order, Position
from dca.runtime.log_lines import fact
from dca.trading.watchlist import Desk


class FillsAsked:
    """The single fills of what a cycle holds, asked for once where the account holds a little more: a list
    that is slow to come must hold a sale back no second time. The desk remembers them for all workers."""

    def __init__(self, store: Store, broker: Broker, desk: Desk) -> None:
        self._store = store
        self._broker = broker
        self._desk = desk

    def of(self, symbol: str, position: Position) -> tuple[Execution, ...]:
        watch = self._desk.watch(symbol)
        cycle = None if watch is None else watch.cycle
        if cycle is None or not fees.are_unclear(cycle, position.qty):
            return ()
        of_what = cycle.id, cycle.bought_qty
        known = self._desk.fills
        if symbol not in known or known[symbol][0] != of_what:
            known[symbol] = of_what, ()
            orders = self._store.transaction(lambda tx: tx.counting_orders(cycle.id))
            known[symbol] = of_what, listed_fills(self._broker, orders)
        return known[symbol][1]


def listed_fills(broker: Broker, orders: Sequence[Order]) -> tuple[Execution, ...]:
    """The single fills of a cycle's buys; none where the list cannot be had: a matter of cents."""
    with suppress(ExchangeUnavailable):
        return tuple(broker.executions(fees.charged(orders)))
    return ()


def believe(
    tx: Transaction,
    control: Control,
    cycle: Cycle,
    orders: list[Order],
    position: Position,
    now: datetime,
    fills: Sequence[Execution] = (),
) -> tuple[Control, Cycle, list[Order]]:
    """Book the fees that the position shows, whether higher or lower than assumed, and assume their rate of
    later orders. The cycle is returned as its orders make it; writing it is the caller's."""
    shown = fees.shown_by(orders, position.qty, control.fee_rate, now, fills)
    if shown is None:
        return control, cycle, orders
    for order in shown.changed:
        tx.update_order(order)
    if shown.changed:
        orders = tx.counting_orders(cycle.id)
        cycle = ledger.with_totals(cycle, orders)
    learn(tx, control, position.symbol, shown.rate)
    return replace(control, fee_rate=shown.rate), cycle, orders


def learn(tx: Transaction, control: Control, symbol: str, rate: Decimal) -> None:
    """Assume this rate of later orders."""
    if rate != control.fee_rate:
        tx.set_fee_rate(rate)
        fact("fees", f"the account's rate is {rate * 100:.2f} %", symbol=symbol, was=control.fee_rate)
