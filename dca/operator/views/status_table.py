"""The assets on the screen of ./bot status: one row each, in the widest form that fits."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from rich.table import Table
from rich.text import Text

from dca.core.model import ZERO, CycleStatus
from dca.operator import formatting
from dca.operator.sheet import Pair, Sheet
from dca.operator.views.status_rows import Row

_PAIRS = (
    Pair(top="asset", bottom="status", is_text=True),
    Pair(top="held", bottom="average"),
    Pair(top="bid", bottom="break-even"),
    Pair(top="profit $", bottom="%"),
    Pair(top="safety", bottom="age"),
    Pair(top="next buy", bottom="%"),
    Pair(top="take-profit", bottom="%"),
    Pair(top="spent $", bottom="at most"),
)
_IN_SHORT = ("profit $", "%", "safety", "to buy %", "to sell %", "spent $")


def forms(found: Sequence[Row], now: datetime) -> list[Table]:
    """The same rows, the most telling form first: in one long line, in two lines, in one short line."""
    sheet, short = Sheet(pairs=_PAIRS), formatting.table(["asset", "status"], _IN_SHORT)
    for row in found:
        sheet.add(*_cells(row, now))
        short.add_row(*_in_short(row))
    return [sheet.beside(), sheet.stacked(), short]


def _cells(row: Row, now: datetime) -> list[tuple[str | Text, str | Text]]:
    age = None if row.cycle_began_at is None else now - row.cycle_began_at
    return [
        (Text(row.asset_symbol, "bold"), _status(row)),
        (
            formatting.coins(row.quantity) if row.quantity else formatting.NONE,
            formatting.price(row.average_purchase_price),
        ),
        (formatting.price(row.bid), formatting.price(row.break_even_price)),
        _profit(row),
        (_safety(row), formatting.span(age)),
        (_next_buy(row), _moved(row.next_buy_distance_percent)),
        (formatting.price(row.take_profit_price), _moved(row.take_profit_distance_percent)),
        (formatting.round_dollars(row.spent), formatting.round_dollars(row.worst_case)),
    ]


def _in_short(row: Row) -> list[str | Text]:
    to_buy = _next_buy(row) if row.buys_at_once else _moved(row.next_buy_distance_percent)
    return [
        Text(row.asset_symbol, "bold"),
        _status(row),
        *_profit(row),
        _safety(row),
        to_buy,
        _moved(row.take_profit_distance_percent),
        formatting.round_dollars(row.spent),
    ]


def _status(row: Row) -> Text:
    if row.lock_reason is not None:
        return Text("LOCKED", "red")
    if row.exit_requested:
        return Text("to be sold", "yellow")
    status = "no cycle" if row.status is None else row.status.value
    if row.is_enabled:
        return Text(status)
    calm = row.status in {None, CycleStatus.WATCHING}
    return Text("disabled" if calm else f"{status} off", "dim")


def _safety(row: Row) -> str:
    return f"{row.safety_orders}/{row.max_safety_orders}"


def _next_buy(row: Row) -> str:
    return "at once" if row.buys_at_once else formatting.price(row.next_buy_price)


def _profit(row: Row) -> tuple[Text, Text]:
    amount, share = row.unrealized_profit, row.unrealized_profit_percent
    style = "" if amount is None else "green" if amount >= ZERO else "red"
    return Text(formatting.round_dollars(amount), style), Text(formatting.percent(share), style)


def _moved(percent: Decimal | None) -> str:
    return formatting.NONE if percent is None else f"{percent:+,.2f}"
