"""./bot accept: a difference between the books is booked as traded outside, which ends the lock."""

import argparse
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from dca import caretaking, ledger, lifecycle, outside
from dca.errors import StartRefused
from dca.model import Cycle, CycleStatus, LockKind, Order, Purpose, plain
from dca.operator.holdings import Holding, bid_of, holding_of, insert, live, positive, too_soon
from dca.operator.layout import coins, tell
from dca.operator.layout import price as shown
from dca.operator.tools import Command, Tools
from dca.outside import Trade
from dca.store import Transaction

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def _accept_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("asset", metavar="BTC/USD")
    parser.add_argument("--price", type=positive, help="what was got for one coin (default: the bid)")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _accept(given: argparse.Namespace, tools: Tools) -> int:
    holding = holding_of(tools, given.asset)
    asset, say = holding.asset, partial(tell, tools.console)
    leftovers = tools.store.transaction(
        lambda tx: [late for late in tx.leftover_cycles(LONG_AGO) if late.asset_id == asset.id]
    )
    why_not = _why_not_accept(holding) or too_soon(tools, asset)
    if why_not is not None:
        say(f"Not accepted: {why_not}.")
        return 1
    missing = _missing(holding)
    say(
        f"{asset.asset_symbol}: the account holds {coins(holding.position.qty)}, cycle {holding.cycle.id} "
        f"has {coins(holding.cycle.quantity)}."
    )
    if asset.lock_reason:
        say(f"It is locked: {asset.lock_reason}.")
    price = given.price or bid_of(tools, asset.asset_symbol)
    if price is None and (missing or leftovers):
        say("The exchange gives no price now: say with --price what was got for one coin.")
        return 1
    for qty, cycle in [(missing, holding.cycle), *((late.quantity, late) for late in leftovers)]:
        if qty and price is not None:
            say(f"It would book {coins(qty)} of cycle {cycle.id} as sold outside at {shown(price)}.")
    if not missing and not leftovers and asset.lock_reason is None:
        say("The books agree, and nothing is locked: there is nothing to accept.")
        return 1
    say("The lock ends with it, and the bot trades the asset again.")
    if not tools.confirmed("Accept?", yes=given.yes):
        return 1
    tools.store.transaction(
        lambda tx: accept(tx, tools, holding, missing=missing, leftovers=leftovers, price=price)
    )
    say("Accepted.")
    return 0


def _missing(holding: Holding) -> Decimal:
    """Coins to be booked as sold outside: nothing while fees may explain the difference."""
    tolerance = ledger.shortage_tolerance(holding.cycle, holding.rules.qty_increment)
    shortage = holding.books.shortage
    return min(shortage, holding.cycle.quantity) if shortage > tolerance else Decimal(0)


def _why_not_accept(holding: Holding) -> str | None:
    if holding.asset.lock_kind is LockKind.CRASH:
        return f"it is locked after crashes: see the log, then ./bot resume {holding.asset.asset_symbol}"
    if caretaking.in_flight(holding.orders):
        return f"cycle {holding.cycle.id} has an order in flight: wait until it has ended"
    nonsense = caretaking.nonsense(holding.books)
    return None if nonsense is None else f"{nonsense.words}; that has to be put right in the table first"


def accept(
    tx: Transaction,
    tools: Tools,
    holding: Holding,
    *,
    missing: Decimal,
    leftovers: list[Cycle],
    price: Decimal | None,
) -> None:
    """Book what is missing as sold outside, and end the lock.

    Raises:
        StartRefused: the cycle has changed since it was shown.
    """
    asset = holding.asset
    cycle, _ = live(tx, asset)
    if cycle.version != holding.cycle.version:
        raise StartRefused("not accepted: the cycle has changed meanwhile; look again")
    effects = []
    ended = [tx.cycle(late.id) for late in leftovers]
    if [each.version for each in ended] != [late.version for late in leftovers]:
        raise StartRefused("not accepted: an ended cycle has changed meanwhile; look again")
    for qty, each in [(missing, cycle), *((late.quantity, late) for late in ended)]:
        if qty and price is not None:
            _book_outside_sale(tx, tools, holding, each, tx.orders(each.id), qty, price)
            effects.append(f"cycle {each.id}: {plain(qty)} sold outside at {plain(price)}")
    if tx.unlock_asset(asset.id):
        effects.append(f"unlocked ({asset.lock_reason})")
    tools.note(tx, asset.asset_symbol, "; ".join(effects))


def _book_outside_sale(
    tx: Transaction,
    tools: Tools,
    holding: Holding,
    cycle: Cycle,
    orders: list[Order],
    qty: Decimal,
    price: Decimal,
) -> None:
    now = tools.clock.now()
    row = outside.row(
        Trade(purpose=Purpose.OUTSIDE, qty=qty, price=price),
        control=tx.control(),
        asset=holding.asset,
        cycle=cycle,
        orders=orders,
        rules=holding.rules,
        now=now,
    )
    after = lifecycle.sold_outside(cycle, [*orders, insert(tx, row)], holding.rules, now)
    tx.update_cycle(after)
    if after.status is CycleStatus.COMPLETE and cycle.status is not CycleStatus.COMPLETE:
        tx.set_last_sell_price(holding.asset.id, price)
        tx.insert_cycle(holding.asset.id, CycleStatus.COOLDOWN, now)


COMMANDS: dict[str, Command] = {
    "accept": Command(
        help="Book a difference between the books as traded outside, which ends the lock.",
        add_arguments=_accept_arguments,
        run=_accept,
    )
}
