"""./bot why BTC/USD: every gate in order, why it is not buying, why it is not selling."""

import argparse
from collections.abc import Mapping
from decimal import Decimal
from itertools import groupby

from rich.table import Table
from rich.text import Text

from dca.core.errors import ExchangeUnavailable
from dca.core.model import Asset, Control, Cycle, Order, Side, TradingRules
from dca.database.store import Transaction
from dca.operator import formatting
from dca.operator.session import Command, Tools
from dca.operator.views.snapshot import is_running
from dca.operator.views.why_gates import Gate, Look, Part, gates, sentence
from dca.runtime import asset_reports, heartbeat, maintenance

_TITLES = {
    Part.MAIN_APP: "What main_app says of {symbol}",
    Part.BOOKS: "What the books say",
    Part.BUY: "To buy",
    Part.SELL: "To sell",
}
_MARKS = {True: ("yes", "green"), False: ("NO", "red"), None: ("?", "yellow")}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("symbol", metavar="PAIR", help="like BTC/USD")
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def _run(given: argparse.Namespace, tools: Tools) -> int:
    symbol = given.symbol.upper()
    look = look_at(tools, symbol)
    found = gates(look)
    verdicts = {side: sentence(found, side) for side in Side}
    if given.json:
        formatting.print_json(
            {
                "at": formatting.iso(look.now),
                "asset_symbol": symbol,
                "gates": [_as_json(gate) for gate in found],
                "not_buying": verdicts[Side.BUY],
                "not_selling": verdicts[Side.SELL],
            }
        )
        return 1 if look.asset is None else 0
    for part, members in groupby(found, key=lambda gate: gate.part):
        _show(tools, _TITLES[part].format(symbol=symbol), list(members))
    tools.console.print()
    for verdict in verdicts.values():
        formatting.tell(tools.console, verdict, "bold")
    return 1 if look.asset is None else 0


def look_at(tools: Tools, symbol: str) -> Look:
    """Everything that decides about one asset; an exchange that does not answer leaves gaps.

    Raises:
        StartRefused, DatabaseUnavailable: with what to do.
    """
    folder = tools.settings.state_dir
    asset, cycle, orders, control = tools.store.transaction(lambda tx: _read(tx, symbol))
    power, rules, trouble = _on_exchange(tools)
    now = tools.clock.now()
    return Look(
        now=now,
        symbol=symbol,
        is_running=is_running(tools.settings),
        beat=heartbeat.read(folder / "main_app.heartbeat.json"),
        reports=asset_reports.read(folder),
        maintenance=maintenance.current(folder, now),
        control=control,
        asset=asset,
        cycle=cycle,
        orders=orders,
        buying_power=power,
        rules=rules,
        trouble=trouble,
    )


def _read(tx: Transaction, symbol: str) -> tuple[Asset | None, Cycle | None, list[Order], Control]:
    asset = next((each for each in tx.assets() if each.asset_symbol == symbol), None)
    cycles = {} if asset is None else {each.asset_id: each for each in tx.live_cycles()}
    orders = [order for order in tx.open_orders() if order.symbol == symbol]
    return asset, None if asset is None else cycles.get(asset.id), orders, tx.control()


def _on_exchange(tools: Tools) -> tuple[Decimal | None, Mapping[str, TradingRules] | None, str | None]:
    """What the account can spend, and every pair that is listed; or why the exchange does not say."""
    power = None
    try:
        power = tools.broker.account().non_marginable_buying_power
        return power, tools.broker.trading_rules(), None
    except ExchangeUnavailable as error:
        return power, None, str(error)


def _show(tools: Tools, title: str, members: list[Gate]) -> None:
    formatting.tell(tools.console, title, "bold")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, width=4, justify="right")
    grid.add_column(no_wrap=True, width=17)
    grid.add_column(overflow="fold")
    for gate in members:
        word, style = _MARKS[gate.passed]
        grid.add_row(Text(word, style), Text(gate.name), Text(gate.text))
    tools.console.print(grid)


def _as_json(gate: Gate) -> dict[str, object]:
    return {
        "part": gate.part.value,
        "name": gate.name,
        "passed": gate.passed,
        "text": gate.text,
        "stops": sorted(side.value for side in gate.stops),
    }


COMMANDS: dict[str, Command] = {
    "why": Command(
        help="why BTC/USD: why it is not buying, why it is not selling", add_arguments=_arguments, run=_run
    )
}
