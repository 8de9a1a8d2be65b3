"""./bot assets, add, set, enable, disable."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from dca.core import strategy, valuation
from dca.core.errors import AssetProblem, LostRace
from dca.core.model import Asset, Cycle, Order, plain
from dca.database.store import Transaction
from dca.operator import formatting
from dca.operator.asset_settings import asset_options, ladder, ladder_table
from dca.operator.asset_settings.asset_options import shown
from dca.operator.asset_settings.ladder_table import PairOnExchange
from dca.operator.session import Command, Tools
from dca.operator.sheet import Pair, Sheet

NO_ASSET = "No assets yet. To preview and add one: ./bot add BTC/USD --base 20 --safety 20"


def _with_symbol(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("symbol", metavar="PAIR", help="like BTC/USD")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    _with_symbol(parser)
    asset_options.add_options(parser, with_defaults=True)


def _set_arguments(parser: argparse.ArgumentParser) -> None:
    _with_symbol(parser)
    asset_options.add_options(parser, with_defaults=False)


def _add(given: argparse.Namespace, tools: Tools) -> int:
    symbol = given.symbol.upper()
    others = tools.store.transaction(lambda tx: tx.assets())
    if symbol in {asset.asset_symbol for asset in others}:
        raise AssetProblem(f"{symbol} is in dca_assets already: ./bot set {symbol} ... changes it")
    values: dict[str, Any] = {"asset_symbol": symbol, "is_enabled": True}
    values |= {each.column: getattr(given, each.column) for each in asset_options.SETTINGS}
    asset = asset_options.rehearse(tools, lambda tx: tx.insert_asset(values), values)
    market = ladder_table.ask_exchange(tools, symbol)
    problems = market.problems(asset)
    if problems:
        raise AssetProblem("; ".join(problems))
    built = market.ladder(asset, tools)
    formatting.tell(tools.console, f"{symbol}: the buys of one cycle. {_about_sales(asset)}")
    ladder_table.show(tools.console, built, market)
    _show_worst_case(tools, asset, market)
    found = ladder.warnings(built, market.quote, market.buying_power)
    if not market.answered:
        found.insert(0, f"could not check whether the exchange has the pair {symbol}")
    ladder_table.show_warnings(tools.console, found)
    if not tools.confirmed(f"Add {symbol}?", yes=given.yes):
        return _nothing(tools)

    def work(tx: Transaction) -> None:
        tx.insert_asset(values)
        tools.note(tx, symbol, f"added: {_listed(values)}")

    try:
        tools.store.transaction(work)
    except LostRace as error:
        raise AssetProblem(f"{symbol} was added by someone else in the meantime") from error
    formatting.tell(
        tools.console, f"{symbol} added and enabled: main_app starts its first cycle within seconds."
    )
    return 0


def _about_sales(asset: Asset) -> str:
    profit, drop = plain(asset.take_profit_percent), plain(asset.buy_order_price_deviation_percent)
    rest = f"cools down for {asset.cooldown_period} s or until the price is {drop} % lower"
    return f"It sells {profit} % above the average, then {rest}."


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in values.items() if name != "asset_symbol")


def _nothing(tools: Tools) -> int:
    formatting.tell(tools.console, "Nothing was changed.")
    return 1


def _set(given: argparse.Namespace, tools: Tools) -> int:
    asset = tools.asset(given.symbol)
    wanted = {each.column: getattr(given, each.column) for each in asset_options.SETTINGS}
    if all(value is None for value in wanted.values()):
        options = ", ".join(each.option for each in asset_options.SETTINGS)
        formatting.complain(f"set: give at least one of {options}")
        return 2
    changes = {
        name: value for name, value in wanted.items() if value is not None and value != getattr(asset, name)
    }
    if not changes:
        formatting.tell(tools.console, f"{asset.asset_symbol} has these settings already.")
        return 0
    changed = asset_options.rehearse(tools, _changing(asset, changes), changes)
    market = ladder_table.ask_exchange(tools, asset.asset_symbol)
    problems = market.problems(changed)
    fresh = [problem for problem in problems if problem.split()[0] in changes]
    if fresh:
        raise AssetProblem("; ".join(fresh))
    _show_changes(tools, asset, changed, changes, _live_cycle(tools, asset))
    _show_live_cycle(tools, asset, changed, market)
    _show_worst_case(tools, changed, market)
    built = market.ladder(changed, tools)
    ladder_table.show_warnings(
        tools.console,
        [*problems, *ladder.warnings(built, market.quote, market.buying_power, _live_cycle(tools, asset))],
    )
    effect = ", ".join(f"{name} {shown(getattr(asset, name))} -> {shown(changes[name])}" for name in changes)
    return _change(given, tools, asset, changes, f"Change {asset.asset_symbol}?", effect)


def _changing(asset: Asset, changes: Mapping[str, object]) -> Callable[[Transaction], int]:
    def write(tx: Transaction) -> int:
        tx.change_asset(asset.id, changes)
        return asset.id

    return write


def _change(
    given: argparse.Namespace,
    tools: Tools,
    asset: Asset,
    changes: Mapping[str, object],
    question: str,
    effect: str,
) -> int:
    """Ask for confirmation, write the changes and record them."""
    if not tools.confirmed(question, yes=given.yes):
        return _nothing(tools)

    def work(tx: Transaction) -> None:
        tx.change_asset(asset.id, changes)
        tools.note(tx, asset.asset_symbol, effect)

    tools.store.transaction(work)
    formatting.tell(tools.console, f"{asset.asset_symbol}: {effect}. main_app follows within five seconds.")
    return 0


def _show_changes(
    tools: Tools, asset: Asset, changed: Asset, changes: Mapping[str, object], cycle: Cycle | None
) -> None:
    made = formatting.table([asset.asset_symbol], ["old", "new"])
    for name in changes:
        made.add_row(name, shown(getattr(asset, name)), shown(getattr(changed, name)))
    made.add_row(
        "worst case $",
        formatting.dollars(strategy.worst_case(asset, cycle)),
        formatting.dollars(strategy.worst_case(changed, cycle)),
    )
    formatting.show(tools.console, made)


def _show_worst_case(tools: Tools, asset: Asset, market: PairOnExchange) -> None:
    """Print the worst case of the asset as it will be, alone and with all enabled assets."""
    assets, cycles = tools.store.transaction(lambda tx: (tx.assets(), tx.live_cycles()))
    live = {cycle.asset_id: cycle for cycle in cycles}
    others = [each for each in assets if each.is_enabled and each.asset_symbol != asset.asset_symbol]
    mine = next((each.id for each in assets if each.asset_symbol == asset.asset_symbol), None)
    cycle = None if mine is None else live.get(mine)
    ladder_table.show_worst_case(
        tools.console, asset, cycle, market, [(each, live.get(each.id)) for each in others]
    )


def _live_cycle(tools: Tools, asset: Asset) -> Cycle | None:
    cycles = tools.store.transaction(lambda tx: tx.live_cycles())
    return next((cycle for cycle in cycles if cycle.asset_id == asset.id), None)


def _show_live_cycle(tools: Tools, asset: Asset, changed: Asset, market: PairOnExchange) -> None:
    """Print what the change means for the coins held now."""
    cycle = _live_cycle(tools, asset)
    if cycle is None or cycle.quantity == 0:
        return
    sells = strategy.take_profit_price(cycle, asset.take_profit_percent)
    then = strategy.take_profit_price(cycle, changed.take_profit_percent)
    buys = _moved(strategy.safety_price(asset, cycle), strategy.safety_price(changed, cycle))
    average = formatting.price(cycle.average_purchase_price)
    formatting.tell(
        tools.console,
        f"Cycle {cycle.id} holds {formatting.coins(cycle.quantity)} at {average}: it sells at "
        f"{_moved(sells, then)}, and the next safety order is at {buys}.",
    )
    if market.quote is not None and sells > market.quote.bid >= then:
        bid = formatting.price(market.quote.bid)
        ladder_table.show_warnings(
            tools.console, [f"the bid is {bid}: everything held will be sold immediately"]
        )


def _moved(old: Decimal | None, new: Decimal | None) -> str:
    if old == new:
        return f"{formatting.price(old)} (unchanged)"
    return f"{formatting.price(new)} instead of {formatting.price(old)}"


def _enable(given: argparse.Namespace, tools: Tools) -> int:
    asset = tools.asset(given.symbol)
    if asset.is_enabled:
        formatting.tell(tools.console, f"{asset.asset_symbol} is enabled already.")
        return 0
    market = ladder_table.ask_exchange(tools, asset.asset_symbol)
    enabled = replace(asset, is_enabled=True)
    built = market.ladder(enabled, tools)
    formatting.tell(tools.console, what_begins(enabled, _live_cycle(tools, asset)))
    _show_worst_case(tools, enabled, market)
    found = [f"it will not buy: {problem}" for problem in market.problems(enabled)]
    if asset.lock_reason is not None:
        found.append(f"it is locked, and enabling does not unlock it: {asset.lock_reason}")
    found += ladder.warnings(built, market.quote, market.buying_power, _live_cycle(tools, asset))
    ladder_table.show_warnings(tools.console, found)
    question = f"Enable {asset.asset_symbol}?"
    return _change(given, tools, asset, {"is_enabled": True}, question, "enabled")


def what_begins(asset: Asset, cycle: Cycle | None) -> str:
    """A sentence on what an enabled asset will buy first."""
    again = f"{asset.asset_symbol} will buy again"
    if cycle is None or cycle.quantity == 0:
        return f"{again}, starting with a base order of ${formatting.dollars(asset.base_order_amount)}."
    price = strategy.safety_price(asset, cycle)
    if price is None:
        return f"{again}, but not in cycle {cycle.id}: all its safety orders are used."
    return f"{again}: next, a safety order of cycle {cycle.id} at {formatting.price(price)}."


def _disable(given: argparse.Namespace, tools: Tools) -> int:
    asset = tools.asset(given.symbol)
    if not asset.is_enabled:
        formatting.tell(tools.console, f"{asset.asset_symbol} is disabled already.")
        return 0
    orders = tools.store.transaction(lambda tx: tx.open_orders())
    mine = [order for order in orders if order.asset_id == asset.id]
    for line in what_stays(asset, _live_cycle(tools, asset), mine):
        formatting.tell(tools.console, line)
    question = f"Disable {asset.asset_symbol}?"
    return _change(given, tools, asset, {"is_enabled": False}, question, "disabled")


def what_stays(asset: Asset, cycle: Cycle | None, open_orders: Sequence[Order]) -> list[str]:
    """Lines on what a disabled asset still holds, and what happens to it."""
    lines = [f"{asset.asset_symbol} will not buy anything: no base order, no safety order."]
    if cycle is None or cycle.quantity == 0:
        lines.append("It holds nothing.")
    else:
        sells = formatting.price(strategy.take_profit_price(cycle, asset.take_profit_percent))
        lines.append(
            f"Cycle {cycle.id} holds {formatting.coins(cycle.quantity)} at an average of "
            f"{formatting.price(cycle.average_purchase_price)}: still sold at a profit when the bid reaches "
            f"{sells} (to sell now: ./bot sell {asset.asset_symbol})."
        )
    lines += [
        f"Its open {order.side} of {formatting.coins(order.qty)} is not canceled by this and may still fill."
        for order in open_orders
    ]
    return lines


def _assets_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="all columns as JSON")


def _assets(given: argparse.Namespace, tools: Tools) -> int:
    assets, cycles = tools.store.transaction(lambda tx: (tx.assets(), tx.live_cycles()))
    live = {cycle.asset_id: cycle for cycle in cycles}
    if given.json:
        formatting.print_json([_record(asset, live.get(asset.id)) for asset in assets])
    elif not assets:
        formatting.tell(tools.console, NO_ASSET)
    else:
        _show_assets(tools, assets, live)
    return 0


def _record(asset: Asset, cycle: Cycle | None) -> dict[str, Any]:
    live = None if cycle is None else formatting.record(cycle)
    return formatting.record(asset, worst_case=strategy.worst_case(asset, cycle), live_cycle=live)


_ASSETS = (
    Pair(top="asset", bottom="buys", is_text=True),
    Pair(top="base $", bottom="safety $"),
    Pair(top="drop %", bottom="max"),
    Pair(top="profit %", bottom="restart %"),
    Pair(top="rest s", bottom="cycle"),
    Pair(top="worst case $", bottom="spent $"),
    Pair(top="status", bottom="safety", is_text=True),
)


def _buys(asset: Asset) -> str:
    return "locked" if asset.lock_reason is not None else "yes" if asset.is_enabled else "no"


def _show_assets(tools: Tools, assets: Sequence[Asset], live: Mapping[int, Cycle]) -> None:
    made = Sheet(pairs=_ASSETS)
    for asset in assets:
        cycle = live.get(asset.id)
        made.add(
            (asset.asset_symbol, _buys(asset)),
            (formatting.dollars(asset.base_order_amount), formatting.dollars(asset.safety_order_amount)),
            (plain(asset.safety_order_deviation), str(asset.max_safety_orders)),
            (plain(asset.take_profit_percent), plain(asset.buy_order_price_deviation_percent)),
            (str(asset.cooldown_period), "" if cycle is None else str(cycle.id)),
            (
                formatting.dollars(strategy.worst_case(asset, cycle)),
                formatting.NONE if cycle is None else formatting.dollars(valuation.spent(cycle)),
            ),
            _cycle_in_short(asset, cycle),
        )
    made.show(tools.console)
    total = sum(strategy.worst_case(each, live.get(each.id)) for each in assets if each.is_enabled)
    formatting.tell(tools.console, f"Worst case of all enabled assets: ${total:,.2f}")
    for asset in assets:
        if asset.lock_reason is not None:
            kind = f" ({asset.lock_kind})" if asset.lock_kind is not None else ""
            formatting.tell(
                tools.console, f"{asset.asset_symbol} is locked{kind}: {asset.lock_reason}", "red"
            )


def _cycle_in_short(asset: Asset, cycle: Cycle | None) -> tuple[str, str]:
    if cycle is None:
        return "no cycle", ""
    return cycle.status, f"{cycle.safety_orders}/{asset.max_safety_orders}" if cycle.quantity > 0 else ""


COMMANDS: dict[str, Command] = {
    "assets": Command(help="the rows of dca_assets", add_arguments=_assets_arguments, run=_assets),
    "add": Command(
        help="preview the ladder of a new pair, then trade it", add_arguments=_add_arguments, run=_add
    ),
    "set": Command(help="change an asset's settings", add_arguments=_set_arguments, run=_set),
    "enable": Command(help="allow buys of an asset again", add_arguments=_with_symbol, run=_enable),
    "disable": Command(
        help="stop buys of an asset; take-profits still sell",
        add_arguments=_with_symbol,
        run=_disable,
    ),
}
