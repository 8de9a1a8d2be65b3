"""./bot adopt: add coins already on the account to a cycle, at a cost given by the operator."""

import argparse
from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from dca.core import ledger, lifecycle, outside_trades, strategy
from dca.core.errors import StartRefused
from dca.core.model import Asset, Control, Cycle, CycleStatus, Order, Purpose, plain, round_down
from dca.core.outside_trades import Trade
from dca.database.store import Transaction
from dca.operator.actions import undecided
from dca.operator.actions.holding import (
    Holding,
    bid_of,
    book_outside_sale,
    holding_of,
    insert,
    leftovers_of,
    live,
    positive,
    too_soon,
)
from dca.operator.formatting import coins, price, tell
from dca.operator.session import Command, Tools


def _adopt_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("asset", metavar="BTC/USD")
    parser.add_argument("--qty", type=positive, help="coins (default: all that belong to no cycle)")
    parser.add_argument("--price", type=positive, required=True, help="what one coin cost, in dollars")
    parser.add_argument(
        "--level", type=int, default=0, help="count this many safety orders as used (default 0)"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _adopt(given: argparse.Namespace, tools: Tools) -> int:
    holding = holding_of(tools, given.asset)
    free = outside_trades.free_to_adopt(holding.position, holding.cycle)
    qty = given.qty or round_down(free, holding.rules.qty_increment)
    asset, say = holding.asset, partial(tell, tools.console)
    say(
        f"{asset.asset_symbol}: the account holds {coins(holding.position.qty)}, cycle {holding.cycle.id} "
        f"has {coins(holding.cycle.quantity)} of them."
    )
    why_not = outside_trades.why_not_adopt(holding.cycle, holding.orders, free, qty, holding.rules)
    why_not = why_not or too_soon(tools, asset)
    if why_not is None and not 0 <= given.level <= asset.max_safety_orders:
        why_not = f"--level {given.level}: the asset has safety orders 0 to {asset.max_safety_orders}"
    if why_not is not None:
        say(f"Not adopted: {why_not}.")
        return 1
    bought = Trade(purpose=Purpose.ADOPTED, qty=qty, price=given.price, level=given.level)
    control = tools.store.transaction(lambda tx: tx.control())
    row = _row(holding, holding.cycle, holding.orders, control, bought, tools)
    leftovers = tools.store.transaction(lambda tx: leftovers_of(tx, asset))
    after = ledger.with_totals(holding.cycle, [*holding.orders, row])
    before = holding.cycle
    say(f"This adds {coins(qty)} to the cycle, booked as bought at {price(given.price)}:")
    say(f"  holds    {coins(before.quantity)} -> {coins(after.quantity)}")
    say(f"  average  {price(before.average_purchase_price)} -> {price(after.average_purchase_price)}")
    say(f"  safety orders used  {before.safety_orders} -> {after.safety_orders}")
    for line in _next_buy(tools, asset, after):
        say(line)
    for late, part in _moved(leftovers, qty):
        say(f"  {coins(part)} of them leave cycle {late.id}, booked there as sold at that price")
    say(f"The bot then sells them with the rest, {plain(asset.take_profit_percent)} % above the average.")
    if not tools.confirmed("Adopt?", yes=given.yes):
        return 1
    tools.store.transaction(lambda tx: adopt(tx, tools, holding, bought, leftovers))
    say("Adopted.")
    return 0


def _moved(leftovers: Sequence[Cycle], qty: Decimal) -> list[tuple[Cycle, Decimal]]:
    """The ended cycles that hold part of the adopted coins (from late fills), each with that quantity."""
    found = []
    for late in leftovers:
        part = min(qty, late.quantity)
        qty -= part
        if part > 0:
            found.append((late, part))
    return found


def _next_buy(tools: Tools, asset: Asset, after: Cycle) -> list[str]:
    """Lines on the next safety order, which depends on the price given by the operator."""
    level = strategy.safety_price(asset, after)
    if level is None:
        return ["  next safety order   none left"]
    line = f"  next safety order   at an ask of {price(level)}"
    bid = bid_of(tools, asset.asset_symbol)
    if bid is not None and bid < level:
        return [
            line,
            f"  WARNING: the bid is {price(bid)}, so it buys immediately; a higher --level leaves fewer",
        ]
    return [line]


def _row(
    holding: Holding, cycle: Cycle, orders: Sequence[Order], control: Control, bought: Trade, tools: Tools
) -> Order:
    return outside_trades.row(
        bought,
        control=control,
        asset=holding.asset,
        cycle=cycle,
        orders=orders,
        rules=holding.rules,
        now=tools.clock.now(),
    )


def adopt(
    tx: Transaction, tools: Tools, holding: Holding, bought: Trade, leftovers: Sequence[Cycle] = ()
) -> None:
    """Book the adopted coins in the ledger and the cycle; coins held by an ended cycle are moved out of it.

    Raises:
        StartRefused: the cycle has changed since it was shown.
    """
    cycle, orders = live(tx, holding.asset)
    if cycle.version != holding.cycle.version:
        raise StartRefused("not adopted: the cycle changed in the meantime; run it again")
    written = insert(tx, _row(holding, cycle, orders, tx.control(), bought, tools))
    ready = lifecycle.cooldown_over(cycle) if cycle.status is CycleStatus.COOLDOWN else cycle
    tx.update_cycle(lifecycle.checked(ledger.with_totals(ready, [*orders, written])))
    effects = [
        f"cycle {cycle.id}: {plain(bought.qty)} adopted at {plain(bought.price)}, level {bought.level}"
    ]
    for late, part in _moved(leftovers, bought.qty):
        book_outside_sale(tx, tools, holding, tx.cycle(late.id), part, bought.price)
        effects.append(f"cycle {late.id}: {plain(part)} of them moved out")
    effects += undecided.decide(tx, holding.asset, tools.clock.now())
    tools.note(tx, holding.asset.asset_symbol, "; ".join(effects))


COMMANDS: dict[str, Command] = {
    "adopt": Command(
        help="Add coins already on the account to the cycle.", add_arguments=_adopt_arguments, run=_adopt
    )
}
