"""./bot sell: request a sale, which main_app executes at the next good quote."""

import argparse
from dataclasses import replace
from decimal import Decimal
from functools import partial

from dca.core import ledger, lifecycle, strategy
from dca.core.errors import StartRefused
from dca.core.model import Asset, Cycle, Mode, Order, plain, round_down
from dca.database.store import Transaction
from dca.operator.actions import undecided
from dca.operator.actions.holding import bid_of, live
from dca.operator.formatting import coins, dollars, price, tell
from dca.operator.session import Command, Tools
from dca.runtime import maintenance


def _sell_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("asset", metavar="BTC/USD")
    parser.add_argument("--withdraw", action="store_true", help="withdraw the sell request")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _sell(given: argparse.Namespace, tools: Tools) -> int:
    asset = tools.asset(given.asset)
    if given.withdraw:
        return _withdraw(tools, asset)
    cycle, orders = tools.store.transaction(lambda tx: live(tx, asset))
    in_flight = [order for order in orders if order.is_live]
    symbol, say = asset.asset_symbol, partial(tell, tools.console)
    if not in_flight and not _is_sellable(cycle, orders):
        say(f"{symbol} holds {coins(cycle.quantity)} (cycle {cycle.id} is {cycle.status}): nothing to sell.")
        return 1
    say(
        f"{symbol} cycle {cycle.id} is {cycle.status} and holds {coins(cycle.quantity)}, bought for "
        f"${dollars(cycle.bought_cost)} (average {price(cycle.average_purchase_price)})."
    )
    for order in in_flight:
        say(f"Open: {order.side} {coins(order.qty)} ({order.client_order_id}); a buy is canceled first.")
    for order in tools.store.transaction(lambda tx: undecided.of(tx, asset)):
        say(undecided.words(order))
    bid = bid_of(tools, symbol)
    for line in [] if bid is None else _at_the_bid(cycle, orders, bid):
        say(line)
    say("Everything the cycle holds is sold at market at the next good quote; then the cooldown begins.")
    say(f"To keep the bot from buying again: ./bot disable {symbol}")
    if not tools.confirmed(f"Sell {symbol}?", yes=given.yes):
        return 1
    tools.store.transaction(lambda tx: _request_sale(tx, tools, asset, cycle))
    say(_when_it_happens(tools, tools.asset(symbol)))
    return 0


def _at_the_bid(cycle: Cycle, orders: list[Order], bid: Decimal) -> list[str]:
    """Lines on the proceeds at the bid, and on the number of orders if there is more than one."""
    if not cycle.quantity or not orders:
        return []
    value = cycle.quantity * bid
    left = value - ledger.dollar_fee(value) - cycle.bought_cost + cycle.sold_proceeds - cycle.sell_fee
    lines = [f"At the bid of {price(bid)} the proceeds are ${dollars(value)}, net {left:+,.2f}."]
    parts = strategy.sell_orders(cycle.quantity, bid, orders[-1].min_order_size)
    if parts > 1:
        largest = f"${strategy.MAX_BUY_DOLLARS:,}"
        lines.append(f"It is sold in {parts} orders: the exchange's maximum is {largest} per order.")
    return lines


def _is_sellable(cycle: Cycle, orders: list[Order]) -> bool:
    """Whether the cycle holds enough to sell, by the trading rules stored with its newest order."""
    if not orders:
        return False
    return round_down(cycle.quantity, orders[-1].qty_increment) >= orders[-1].min_order_size


def _request_sale(tx: Transaction, tools: Tools, asset: Asset, shown: Cycle) -> None:
    cycle, _ = live(tx, asset)
    if cycle.id != shown.id:
        raise StartRefused(f"cycle {shown.id} ended in the meantime: nothing to sell")
    now = tools.clock.now()
    tx.update_cycle(lifecycle.exit_requested(cycle, now))
    effects = [f"cycle {cycle.id}: sell {plain(cycle.quantity)} at the next quote"]
    effects += undecided.decide(tx, asset, now)
    tools.note(tx, asset.asset_symbol, "; ".join(effects))


def _withdraw(tools: Tools, asset: Asset) -> int:
    def work(tx: Transaction) -> bool:
        cycle, _ = live(tx, asset)
        if cycle.exit_requested_at is None:
            return False
        tx.update_cycle(replace(cycle, exit_requested_at=None))
        tools.note(tx, asset.asset_symbol, f"cycle {cycle.id}: sell request withdrawn")
        return True

    done = tools.store.transaction(work)
    tools.console.print("Sell request withdrawn." if done else "No sell request to withdraw.")
    return 0 if done else 1


def _when_it_happens(tools: Tools, asset: Asset) -> str:
    """When the sell request will be executed, as a sentence."""
    control = tools.store.transaction(lambda tx: tx.control())
    if asset.lock_reason is not None:
        return (
            f"Sell request saved; {asset.asset_symbol} is locked ({asset.lock_reason}): sold once unlocked."
        )
    if control.mode is Mode.HALT:
        return "Sell request saved; all orders are halted: sold after ./bot resume."
    if maintenance.current(tools.settings.state_dir, tools.clock.now()) is not None:
        return "Sell request saved; the bot is stopped for maintenance: sold after ./bot start."
    return f"Sell request saved; main_app sells within seconds (./bot why {asset.asset_symbol})."


COMMANDS: dict[str, Command] = {
    "sell": Command(
        help="Cancel the open buy and sell everything the cycle holds.",
        add_arguments=_sell_arguments,
        run=_sell,
    )
}
