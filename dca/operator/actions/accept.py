"""./bot accept: a difference between the books is booked as traded outside, which ends the lock."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from dca.core import invariants, ledger, order_cleanup
from dca.core.errors import StartRefused
from dca.core.model import Cycle, LockKind, Order, plain
from dca.database.store import Transaction
from dca.operator.actions import undecided
from dca.operator.actions.holding import (
    Holding,
    bid_of,
    book_outside_sale,
    holding_of,
    leftovers_of,
    live,
    positive,
    too_soon,
)
from dca.operator.formatting import coins, tell
from dca.operator.formatting import price as shown
from dca.operator.session import Command, Tools


def _accept_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("asset", metavar="BTC/USD")
    parser.add_argument("--price", type=positive, help="what was got for one coin (default: the bid)")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _accept(given: argparse.Namespace, tools: Tools) -> int:
    holding = holding_of(tools, given.asset)
    asset, say = holding.asset, partial(tell, tools.console)
    open_ends = _open_ends(tools, holding)
    why_not = _why_not_accept(holding, open_ends.lost) or too_soon(tools, asset)
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
    if price is None and (missing or open_ends.leftovers):
        say("The exchange gives no price now: say with --price what was got for one coin.")
        return 1
    for line in [*_sales(holding, open_ends, missing, price), *open_ends.lines()]:
        say(line)
    if not missing and not open_ends.any and asset.lock_reason is None:
        say("The books agree, and nothing is locked: there is nothing to accept.")
        return 1
    say("The lock ends with it, and the bot trades the asset again.")
    if not tools.confirmed("Accept?", yes=given.yes):
        return 1
    tools.store.transaction(lambda tx: accept(tx, tools, holding, open_ends, missing=missing, price=price))
    say("Accepted.")
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEnds:
    """What there is to be accepted beside missing coins: ended cycles that hold what was filled too late,
    orders that wait for a decision, and orders in flight that the exchange does not have."""

    leftovers: tuple[Cycle, ...]
    undecided: tuple[Order, ...]
    lost: tuple[Order, ...]

    @property
    def any(self) -> bool:
        return bool(self.leftovers or self.undecided or self.lost)

    def lines(self) -> list[str]:
        given_up = (
            f"The exchange has no order {order.client_order_id}: it is given up, and if it turns up after "
            "all, the asset is locked again."
            for order in self.lost
        )
        return [*(undecided.words(order) for order in self.undecided), *given_up]


def _open_ends(tools: Tools, holding: Holding) -> OpenEnds:
    asset = holding.asset
    leftovers, waiting = tools.store.transaction(
        lambda tx: (leftovers_of(tx, asset), tuple(undecided.of(tx, asset)))
    )
    lost = tuple(undecided.lost(tools, holding.orders))
    return OpenEnds(leftovers=leftovers, undecided=waiting, lost=lost)


def _sales(holding: Holding, open_ends: OpenEnds, missing: Decimal, price: Decimal | None) -> list[str]:
    sales = [(missing, holding.cycle), *((late.quantity, late) for late in open_ends.leftovers)]
    return [
        f"It would book {coins(qty)} of cycle {cycle.id} as sold outside at {shown(price)}."
        for qty, cycle in sales
        if qty and price is not None
    ]


def _missing(holding: Holding) -> Decimal:
    """Coins to be booked as sold outside: nothing while fees may explain the difference."""
    tolerance = ledger.shortage_tolerance(holding.cycle, holding.rules.qty_increment)
    shortage = holding.books.shortage
    return min(shortage, holding.cycle.quantity) if shortage > tolerance else Decimal(0)


def _why_not_accept(holding: Holding, lost: Sequence[Order]) -> str | None:
    if holding.asset.lock_kind is LockKind.CRASH:
        return f"it is locked after crashes: see the log, then ./bot resume {holding.asset.asset_symbol}"
    if order_cleanup.in_flight(order for order in holding.orders if order not in lost):
        return f"cycle {holding.cycle.id} has an order in flight: wait until it has ended"
    edited = {"I05", "I06"} & set(invariants.numbers(holding.asset.lock_reason or ""))
    if edited and _missing(holding):
        return (
            f"an order's row is not what the exchange has ({', '.join(sorted(edited))}), so the difference "
            "is no trade; put the row of dca_orders right (docs/operations.md), and the lock ends by itself"
        )
    nonsense = order_cleanup.nonsense(holding.books)
    return None if nonsense is None else f"{nonsense.words}; that has to be put right in the table first"


def accept(
    tx: Transaction,
    tools: Tools,
    holding: Holding,
    open_ends: OpenEnds,
    *,
    missing: Decimal,
    price: Decimal | None,
) -> None:
    """Give up what the exchange does not have, book what is missing as sold outside, and end the lock.

    Raises:
        StartRefused: the cycle has changed since it was shown.
    """
    asset = holding.asset
    cycle, _ = live(tx, asset)
    if cycle.version != holding.cycle.version:
        raise StartRefused("not accepted: the cycle has changed meanwhile; look again")
    now = tools.clock.now()
    effects = [f"{order.client_order_id} given up" for order in open_ends.lost]
    undecided.give_up(tx, cycle, open_ends.lost, now)
    cycle = tx.cycle(cycle.id)
    ended = [tx.cycle(late.id) for late in open_ends.leftovers]
    if [each.version for each in ended] != [late.version for late in open_ends.leftovers]:
        raise StartRefused("not accepted: an ended cycle has changed meanwhile; look again")
    for qty, each in [(missing, cycle), *((late.quantity, late) for late in ended)]:
        if qty and price is not None:
            book_outside_sale(tx, tools, holding, each, qty, price)
            effects.append(f"cycle {each.id}: {plain(qty)} sold outside at {plain(price)}")
    effects += undecided.decide(tx, asset, now)
    if tx.unlock_asset(asset.id):
        effects.append(f"unlocked ({asset.lock_reason})")
    tools.note(tx, asset.asset_symbol, "; ".join(effects))


COMMANDS: dict[str, Command] = {
    "accept": Command(
        help="Book a difference between the books as traded outside, which ends the lock.",
        add_arguments=_accept_arguments,
        run=_accept,
    )
}
