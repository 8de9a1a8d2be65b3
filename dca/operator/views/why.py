"""./bot why BTC/USD: every gate in order, why it is not buying, why it is not selling."""

import argparse
from decimal import Decimal
from itertools import groupby

from rich.table import Table
from rich.text import Text

from dca.core.errors import ExchangeUnavailable
from dca.core.model import Order, Position, Side
from dca.operator import formatting
from dca.operator.session import Command, Tools
from dca.operator.views.snapshot import Books, Market, ask, is_running, reading_books
from dca.operator.views.why_gate import Gate, Look, Part
from dca.operator.views.why_gates import gates, sentence
from dca.runtime import heartbeat, maintenance

_TITLES = {
    Part.EVERYTHING: "What holds for everything",
    Part.ASSET: "The asset",
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
        _show(tools, part, list(members))
    for verdict in verdicts.values():
        formatting.tell(tools.console, verdict, "bold")
    return 1 if look.asset is None else 0


def look_at(tools: Tools, symbol: str) -> Look:
    """Everything that decides about one asset; an exchange that does not answer leaves gaps.

    Raises:
        StartRefused, DatabaseUnavailable: with what to do.
    """
    settings = tools.settings
    books = tools.store.transaction(reading_books(tools))
    asset = next((each for each in books.assets if each.asset_symbol == symbol), None)
    market = ask(tools, [symbol], None)
    position, power, trouble = _account(tools, symbol, market)
    now = tools.clock.now()
    return Look(
        now=now,
        symbol=symbol,
        is_running=is_running(settings),
        beat=heartbeat.read(settings.state_dir / "main_app.heartbeat.json"),
        maintenance=maintenance.current(settings.state_dir, now),
        mode=books.control.mode,
        mode_reason=books.control.mode_reason,
        max_quote_age_seconds=settings.max_quote_age_seconds,
        max_spread_percent=settings.max_spread_percent,
        asset=asset,
        cycle=None if asset is None else books.cycles.get(asset.id),
        orders=_orders(books, symbol),
        rules=None if market.rules is None else market.rules.get(symbol),
        quote=market.quotes.get(symbol),
        position=position,
        buying_power=power,
        trouble=market.trouble or trouble,
    )


def _orders(books: Books, symbol: str) -> tuple[Order, ...]:
    return tuple(order for order in books.orders if order.symbol == symbol)


def _account(tools: Tools, symbol: str, market: Market) -> tuple[Position | None, Decimal | None, str | None]:
    """What the account holds and can spend; an exchange that was silent before is not asked again."""
    if market.trouble is not None:
        return None, None, None
    try:
        return tools.broker.position(symbol), tools.broker.account().non_marginable_buying_power, None
    except ExchangeUnavailable as error:
        return None, None, str(error)


def _show(tools: Tools, part: Part, members: list[Gate]) -> None:
    formatting.tell(tools.console, _TITLES[part], "bold")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, width=4, justify="right")
    grid.add_column(no_wrap=True, width=17)
    grid.add_column(overflow="fold")
    for gate in members:
        word, style = _MARKS[gate.passed]
        grid.add_row(Text(word, style), Text(gate.name), Text(gate.text))
    tools.console.print(grid)
    tools.console.print()


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
