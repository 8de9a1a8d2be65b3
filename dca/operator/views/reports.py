"""./bot cycles, orders, profit, export."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from dca.core.model import HUNDRED, ZERO, CycleStatus, Purpose, Side, cents
from dca.core.report_rows import CycleReport, OrderReport, ProfitReport, total
from dca.core.valuation import Valuation, value
from dca.database.report_queries import By, Which
from dca.database.store import Transaction
from dca.operator import formatting
from dca.operator.asset_settings.assets import NO_ASSET
from dca.operator.session import Command, Tools
from dca.operator.sheet import Pair, Sheet
from dca.operator.views import export
from dca.operator.views.snapshot import ask

DEFAULT_LAST = 20
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def _last(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows, from 1")
    return min(value, 1_000_000_000)


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("symbol", metavar="PAIR", nargs="?", help="only this asset's, like BTC/USD")
    parser.add_argument(
        "--last", metavar="N", type=_last, default=DEFAULT_LAST, help=f"how many (default {DEFAULT_LAST})"
    )
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def _symbol(given: argparse.Namespace, tools: Tools) -> str | None:
    return None if given.symbol is None else tools.asset(given.symbol).asset_symbol


def _cycles_arguments(parser: argparse.ArgumentParser) -> None:
    _list_arguments(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--live", dest="which", action="store_const", const=Which.LIVE, help="only live ones")
    which.add_argument(
        "--closed", dest="which", action="store_const", const=Which.CLOSED, help="only those that have ended"
    )
    parser.set_defaults(which=Which.ALL)


def _cycles(given: argparse.Namespace, tools: Tools) -> int:
    symbol = _symbol(given, tools)
    found = tools.store.transaction(lambda tx: tx.cycle_reports(symbol, given.which, given.last))
    if given.json:
        now = tools.clock.now()
        formatting.print_json(
            [
                formatting.record(
                    cycle,
                    fees_usd=cycle.fees_usd,
                    profit_percent=cycle.profit_percent,
                    seconds=cycle.lasted(now),
                )
                for cycle in found
            ]
        )
    elif not found:
        formatting.tell(tools.console, _no_cycles(tools, symbol, given.which))
    else:
        _show_cycles(tools, found)
    return 0


def _no_cycles(tools: Tools, symbol: str | None, which: Which) -> str:
    def read(tx: Transaction) -> tuple[bool, int, bool]:
        return bool(tx.assets()), tx.count_live_cycles(), bool(tx.cycle_reports(None, Which.ALL, 1))

    has_assets, live, has_cycles = tools.store.transaction(read)
    if not has_assets:
        return NO_ASSET
    kind = "" if which is Which.ALL else f"{which} "
    of = "" if symbol is None else f" of {symbol}"
    if has_cycles:
        return (
            f"There is no {kind}cycle{of} yet; in all there are {live} live: ./bot cycles shows the newest."
        )
    return f"There is no {kind}cycle{of} yet: main_app begins one for each enabled asset when it runs."


_CYCLES = (
    Pair(top="cycle", bottom="status", is_text=True),
    Pair(top="asset", bottom="safety", is_text=True),
    Pair(top="began", bottom="ended", is_text=True),
    Pair(top="lasted", bottom="fees $"),
    Pair(top="bought $", bottom="sold $"),
    Pair(top="profit $", bottom="%"),
)


def _show_cycles(tools: Tools, found: Sequence[CycleReport]) -> None:
    now = tools.clock.now()
    made = Sheet(pairs=_CYCLES)
    for cycle in found:
        complete = cycle.status is CycleStatus.COMPLETE
        made.add(
            (str(cycle.id), cycle.status),
            (cycle.asset_symbol, str(cycle.safety_orders)),
            (formatting.when(cycle.first_buy_at, now), formatting.when(cycle.completed_at, now)),
            (formatting.span(cycle.lasted(now)), formatting.round_dollars(cycle.fees_usd, cents_below=1000)),
            (formatting.round_dollars(cycle.bought_cost), formatting.round_dollars(cycle.sold_proceeds)),
            (
                formatting.round_dollars(cycle.net_profit if complete else None),
                formatting.percent(cycle.profit_percent),
            ),
            style="dim" if cycle.status is CycleStatus.ERROR else None,
        )
    made.show(tools.console)
    for cycle in found:
        if cycle.problem is not None:
            formatting.tell(tools.console, f"{cycle.id} {cycle.asset_symbol}: {cycle.problem}", "yellow")
    formatting.tell(
        tools.console,
        "Times are UTC; a cycle begins with its first buy. Safety: safety orders bought. Fees: the dollars "
        "taken from sales, and the coins taken from buys at the average they were bought for. Profit is "
        "after all fees.",
    )


def _orders_arguments(parser: argparse.ArgumentParser) -> None:
    _list_arguments(parser)
    parser.add_argument("--open", action="store_true", help="only those that may still fill")


def _orders(given: argparse.Namespace, tools: Tools) -> int:
    symbol = _symbol(given, tools)
    found = tools.store.transaction(lambda tx: _order_reports(tx, symbol, given.last, only_open=given.open))
    if given.json:
        formatting.print_json([formatting.record(order) for order in found])
    elif not found:
        formatting.tell(tools.console, _no_orders(tools, symbol, only_open=given.open))
    else:
        _show_orders(tools, found)
    return 0


def _order_reports(tx: Transaction, symbol: str | None, last: int, *, only_open: bool) -> list[OrderReport]:
    if not only_open:
        return tx.order_reports(symbol, last)
    return [each for each in tx.open_order_reports() if symbol in {None, each.asset_symbol}][:last]


def _no_orders(tools: Tools, symbol: str | None, *, only_open: bool) -> str:
    def read(tx: Transaction) -> tuple[bool, bool]:
        return bool(tx.assets()), bool(tx.order_reports(None, 1))

    has_assets, has_orders = tools.store.transaction(read)
    if not has_assets:
        return NO_ASSET
    of = "" if symbol is None else f" of {symbol}"
    if only_open and has_orders:
        return f"No order{of} is open: ./bot orders shows those that were."
    return f"There is no order{of} yet: main_app places the first one when it runs and the price is known."


_ORDERS = (
    Pair(top="placed", bottom="client order id", is_text=True),
    Pair(top="asset", bottom="state", is_text=True),
    Pair(top="order", bottom="exchange", is_text=True),
    Pair(top="qty", bottom="limit"),
    Pair(top="filled", bottom="average"),
    Pair(top="value $", bottom="fee"),
)
_IN_THREES = (
    "client order id\nplaced\nasset",
    "order\nstate\nexchange",
    "qty\nfilled\nvalue $",
    "limit\naverage\nfee",
)


def _in_words(state: str | None) -> str:
    return formatting.NONE if state is None else state.replace("_", " ")


def _show_orders(tools: Tools, found: Sequence[OrderReport]) -> None:
    now = tools.clock.now()
    made, narrow = Sheet(pairs=_ORDERS), formatting.table(_IN_THREES[:2], _IN_THREES[2:])
    for order in found:
        placed, name = formatting.when(order.created_at, now, seconds=True), order.client_order_id
        state, exchange_says = _in_words(order.state), _in_words(order.exchange_status)
        qty, filled = formatting.coins(order.qty), formatting.coins(order.filled_qty)
        average, value = (
            formatting.price(order.filled_avg_price),
            formatting.round_dollars(order.filled_value),
        )
        what, limit, fee = _purpose(order), _limit(order), _fee(order)
        made.add(
            (placed, name),
            (order.asset_symbol, state),
            (what, exchange_says),
            (qty, limit),
            (filled, average),
            (value, fee),
        )
        columns = [(name, placed, order.asset_symbol), (what, state, exchange_says)]
        columns += [(qty, filled, value), (limit, average, fee)]
        narrow.add_row(*map("\n".join, columns))
    made.show(tools.console, narrow)
    formatting.tell(
        tools.console,
        "Times are UTC. Take-profit and exit are sales, base, safety and adopted are buys; the fee of a buy "
        "is taken in coins, that of a sale in dollars.",
    )


def _purpose(order: OrderReport) -> str:
    name = order.purpose.replace("_", "-")
    if order.purpose is Purpose.OUTSIDE:
        return f"{name} {order.side}"
    return f"{name} {order.level}" if order.purpose is Purpose.SAFETY else name


def _limit(order: OrderReport) -> str:
    return "market" if order.limit_price is None else formatting.price(order.limit_price)


def _fee(order: OrderReport) -> str:
    if order.filled_qty == 0:
        return formatting.NONE
    return (
        formatting.coins(order.fee_qty) if order.side is Side.BUY else f"${formatting.dollars(order.fee_usd)}"
    )


def _profit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", choices=[by.value for by in By], default=By.DAY.value, help="default day; all are UTC"
    )
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def _profit(given: argparse.Namespace, tools: Tools) -> int:
    by = By(given.by)
    found = tools.store.transaction(lambda tx: tx.profits(by))
    whole, open_ones = total("total", found), _open_cycles(tools)
    if given.json:
        shown = {"rows": [formatting.record(row) for row in found], "total": formatting.record(whole)}
        formatting.print_json({"by": by.value, **shown, "open": formatting.record(open_ones)})
        return 0
    if not found:
        formatting.tell(tools.console, _no_profit(tools))
    else:
        _show_profit(tools, by, found, whole)
        errors = tools.store.transaction(lambda tx: tx.error_cycles(LONG_AGO))
        if errors:
            lost = sum((cents(each.net_profit) for each in errors), ZERO)
            words = (
                f"Not counted: {len(errors)} cycles that ended as error, {formatting.dollars(lost)} dollars."
            )
            formatting.tell(tools.console, words)
    if open_ones.cycles:
        formatting.tell(tools.console, f"Not counted: {open_ones}.")
    return 0


def _open_cycles(tools: Tools) -> Valuation:
    """What the live cycles would bring; an exchange that does not answer leaves them unpriced."""
    assets, cycles = tools.store.transaction(lambda tx: (tx.assets(), tx.live_cycles()))
    symbols = {asset.id: asset.asset_symbol for asset in assets}
    held = [(symbols[cycle.asset_id], cycle) for cycle in cycles if cycle.quantity > 0]
    quotes = ask(tools, [symbol for symbol, _ in held], None).quotes
    return value(held, {symbol: quote.bid for symbol, quote in quotes.items()})


def _no_profit(tools: Tools) -> str:
    assets, live = tools.store.transaction(lambda tx: (tx.assets(), tx.count_live_cycles()))
    if not assets:
        return NO_ASSET
    return f"No cycle is complete yet, so nothing is won or lost; {live} live: ./bot cycles --live."


def _show_profit(tools: Tools, by: By, rows: Sequence[ProfitReport], whole: ProfitReport) -> None:
    made = formatting.table(
        [by.value], ["cycles", "bought $", "sold $", "fees $", "net profit $", "% of bought"]
    )
    narrow = formatting.table(
        [by.value], ["cycles", "bought $\nsold $", "fees $\nnet profit $", "% of bought"]
    )
    for row in (*rows, whole):
        is_last, style = row is rows[-1], "bold" if row is whole else None
        label, cycles, bought, sold, fees, profit, share = cells = _profit_cells(row)
        made.add_row(*cells, end_section=is_last, style=style)
        pairs = (f"{bought}\n{sold}", f"{fees}\n{profit}")
        narrow.add_row(label, cycles, *pairs, share, end_section=is_last, style=style)
    formatting.show(tools.console, made, narrow)
    formatting.tell(
        tools.console,
        "Completed cycles by the UTC time of their sale. Net profit is after all fees; fees taken in coins "
        "are valued at the average they were bought for.",
    )


def _profit_cells(row: ProfitReport) -> list[str]:
    share: Decimal | None = row.net_profit * HUNDRED / row.bought if row.bought else None
    return [
        row.label,
        f"{row.cycles:,}",
        formatting.dollars(row.bought),
        formatting.dollars(row.sold),
        formatting.dollars(row.fees),
        formatting.dollars(row.net_profit),
        formatting.percent(share),
    ]


COMMANDS: dict[str, Command] = {
    "cycles": Command(
        help="cycles and what they earned, newest first", add_arguments=_cycles_arguments, run=_cycles
    ),
    "orders": Command(help="orders, newest first", add_arguments=_orders_arguments, run=_orders),
    "profit": Command(
        help="net profit of completed cycles by day, month or asset",
        add_arguments=_profit_arguments,
        run=_profit,
    ),
    "export": export.COMMAND,
}
