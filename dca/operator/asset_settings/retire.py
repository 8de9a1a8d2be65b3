"""./bot remove, retire: stop trading an asset for good."""

import argparse
from dataclasses import replace
from decimal import Decimal

from dca.core import strategy
from dca.core.errors import AssetProblem, OurBug, StartRefused
from dca.core.model import Asset, Cycle, CycleStatus, Position
from dca.database.store import Transaction
from dca.operator import formatting
from dca.operator.actions.holding import Holding, bid_of, book_outside_sale, live, positive
from dca.operator.asset_settings import ladder
from dca.operator.session import Command, Tools

NOTHING = Position(symbol="", qty=Decimal(0), qty_available=Decimal(0))
"""Stands for the account's position, which is not read: the operator says what happened to the coins."""


def was_traded(tools: Tools, asset: Asset) -> bool:
    """Whether the asset has orders in the ledger, so that its row must stay."""
    return bool(tools.store.transaction(lambda tx: tx.order_reports(asset.asset_symbol, 1)))


def _remove_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("symbol", metavar="PAIR", help="like BTC/USD")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _remove(given: argparse.Namespace, tools: Tools) -> int:
    asset = tools.asset(given.symbol)
    symbol = asset.asset_symbol
    if was_traded(tools, asset):
        raise AssetProblem(f"{symbol} was traded, so its orders must stay: use ./bot retire {symbol}")
    formatting.tell(
        tools.console, f"This deletes the row of {symbol} and its cycle, which never had an order."
    )
    if not tools.confirmed(f"Remove {symbol}?", yes=given.yes):
        formatting.tell(tools.console, "Nothing was changed.")
        return 1

    def work(tx: Transaction) -> None:
        tx.remove_asset(asset.id)
        tools.note(tx, symbol, "removed")

    try:
        tools.store.transaction(work)
    except OurBug as error:  # an order's row holds it fast
        raise AssetProblem(f"{symbol} was traded in the meantime: use ./bot retire {symbol}") from error
    formatting.tell(tools.console, f"{symbol} removed. To add it again: ./bot add {symbol}")
    return 0


def _retire_arguments(parser: argparse.ArgumentParser) -> None:
    _remove_arguments(parser)
    parser.add_argument("--price", type=positive, help="dollars received elsewhere per coin still held")


def _retire(given: argparse.Namespace, tools: Tools) -> int:
    """Disable an asset and end its live cycle. Its history stays."""
    asset = tools.asset(given.symbol)
    symbol = asset.asset_symbol
    if not was_traded(tools, asset):
        raise AssetProblem(f"{symbol} was never traded: use ./bot remove {symbol}")
    cycle = tools.store.transaction(lambda tx: tx.live_cycle(asset.id))
    if cycle is None and not asset.is_enabled:
        formatting.tell(tools.console, f"{symbol} is already retired: disabled, without a live cycle.")
        return 0
    price = _price(tools, given, asset, cycle)
    for line in _effects(asset, cycle, price):
        formatting.tell(tools.console, line)
    if not tools.confirmed(f"Retire {symbol}?", yes=given.yes):
        formatting.tell(tools.console, "Nothing was changed.")
        return 1
    tools.store.transaction(lambda tx: _write(tx, tools, asset, cycle, price))
    formatting.tell(tools.console, f"{symbol} retired. To trade it again: ./bot enable {symbol}")
    return 0


def _price(tools: Tools, given: argparse.Namespace, asset: Asset, cycle: Cycle | None) -> Decimal | None:
    """The price at which coins still held are booked as sold; None if none are held.

    Raises:
        AssetProblem: the exchange can sell them, an order is in flight, or no price is given or known.
    """
    symbol = asset.asset_symbol
    if cycle is None:
        return None
    if tools.store.transaction(lambda tx: [each for each in tx.orders(cycle.id) if each.is_live]):
        raise AssetProblem(f"cycle {cycle.id} of {symbol} has an order in flight: wait until it has ended")
    if cycle.quantity == 0:
        return None
    held = f"cycle {cycle.id} holds {formatting.coins(cycle.quantity)}"
    rules = tools.broker.trading_rules().get(symbol)
    if rules is not None and strategy.can_be_sold(cycle, rules):
        raise AssetProblem(f"{held}: ./bot sell {symbol} first, then ./bot retire {symbol}")
    if given.price is not None:
        price: Decimal = given.price
        return price
    bid = None if rules is None else bid_of(tools, symbol)
    if bid is None:
        raise AssetProblem(
            f"{held}, which cannot be sold on the exchange: give --price, the dollars received per coin"
        )
    return bid


def _effects(asset: Asset, cycle: Cycle | None, price: Decimal | None) -> list[str]:
    lines = [f"{asset.asset_symbol} will no longer be traded; its cycles and orders stay in the database."]
    if cycle is not None and price is not None:
        qty, at = formatting.coins(cycle.quantity), formatting.price(price)
        lines.append(f"The {qty} that cycle {cycle.id} holds are booked as sold outside at {at}.")
    return lines


def _write(tx: Transaction, tools: Tools, asset: Asset, seen: Cycle | None, price: Decimal | None) -> None:
    tx.change_asset(asset.id, {"is_enabled": False})
    effect = "retired"
    if seen is not None:
        cycle, orders = live(tx, asset)
        if cycle.version != seen.version:
            raise StartRefused("not retired: the cycle changed in the meantime; run it again")
        if price is not None:
            rules = ladder.nameless_rules(asset.asset_symbol)
            holding = Holding(asset=asset, cycle=cycle, orders=tuple(orders), position=NOTHING, rules=rules)
            book_outside_sale(tx, tools, holding, cycle, cycle.quantity, price)
            following, _ = live(tx, asset)
            tx.remove_cycle(following.id)
            effect += f": {formatting.coins(cycle.quantity)} of cycle {cycle.id} sold outside at {price}"
        elif orders:
            now = tools.clock.now()
            tx.update_cycle(replace(cycle, status=CycleStatus.ERROR, completed_at=now, problem="retired"))
        else:
            tx.remove_cycle(cycle.id)
    tx.unlock_asset(asset.id)
    tools.note(tx, asset.asset_symbol, effect)


COMMANDS: dict[str, Command] = {
    "remove": Command(
        help="delete the row of an asset that was never traded",
        add_arguments=_remove_arguments,
        run=_remove,
    ),
    "retire": Command(
        help="stop trading an asset and end its cycle; its history stays",
        add_arguments=_retire_arguments,
        run=_retire,
    ),
}
