"""Command-line options for the operator's columns of dca_assets, and a trial write that lets the database
check values first."""

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from dca.core.errors import AssetProblem, LostRace, OurBug
from dca.core.model import Asset, plain
from dca.database.operator_writes import SETTABLE
from dca.database.store import Transaction
from dca.operator.session import Tools


def shown(value: object) -> str:
    """A column's value as text for a sentence."""
    return plain(value) if isinstance(value, Decimal) else str(value)


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number (like 20 or 1.5, without a unit)")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A column of dca_assets that an option sets."""

    option: str
    column: str
    default: Decimal | int
    meaning: str


SETTINGS = (
    Setting(
        option="--base", column="base_order_amount", default=Decimal(20), meaning="dollars for the first buy"
    ),
    Setting(
        option="--safety",
        column="safety_order_amount",
        default=Decimal(20),
        meaning="dollars for each safety order",
    ),
    Setting(
        option="--max-safety",
        column="max_safety_orders",
        default=5,
        meaning="maximum number of safety orders",
    ),
    Setting(
        option="--deviation",
        column="safety_order_deviation",
        default=Decimal("1.5"),
        meaning="percent below the last fill for the next safety order",
    ),
    Setting(
        option="--take-profit",
        column="take_profit_percent",
        default=Decimal("1.0"),
        meaning="percent above the average price at which to sell",
    ),
    Setting(
        option="--cooldown", column="cooldown_period", default=300, meaning="seconds of cooldown after a sale"
    ),
    Setting(
        option="--restart-drop",
        column="buy_order_price_deviation_percent",
        default=Decimal("2.0"),
        meaning="percent below the last sale that ends the cooldown early",
    ),
)


def add_options(parser: argparse.ArgumentParser, *, with_defaults: bool) -> None:
    for each in SETTINGS:
        shown = f" (default {each.default})" if with_defaults else ""
        parser.add_argument(
            each.option,
            f"--{each.column}",
            dest=each.column,
            metavar="N",
            type=_whole if isinstance(each.default, int) else _decimal,
            default=each.default if with_defaults else None,
            help=f"{each.meaning}{shown}",
        )


class _Rehearsed(Exception):
    """Carries the row out of a transaction that must not be committed."""

    def __init__(self, asset: Asset) -> None:
        super().__init__()
        self.asset = asset


def rehearse(tools: Tools, write: Callable[[Transaction], int], values: Mapping[str, object]) -> Asset:
    """The row as the database would store it after `write`, which is rolled back.

    Raises:
        AssetProblem: the database refuses or would alter a value; names the column.
    """

    def work(tx: Transaction) -> None:
        asset = tx.asset(write(tx))
        assert asset is not None
        raise _Rehearsed(asset)

    try:
        tools.store.transaction(work)
    except _Rehearsed as done:
        changed = [name for name, value in values.items() if getattr(done.asset, name) != value]
        if changed:
            kept = shown(getattr(done.asset, changed[0]))
            raise AssetProblem(
                f"{changed[0]} {shown(values[changed[0]])} has too many digits: it would be stored as {kept}"
            ) from None
        return done.asset
    except LostRace as error:
        raise AssetProblem(f"asset_symbol {values['asset_symbol']} is in dca_assets already") from error
    except OurBug as error:
        raise AssetProblem(refusal(str(error), values)) from error
    raise AssertionError("unreachable")


def refusal(message: str, values: Mapping[str, object]) -> str:
    """The server's refusal of a row as one line about the column, whose name begins the constraint's name."""
    for column in sorted(SETTABLE, key=len, reverse=True):
        found = re.search(rf"\b{column}(\w*)", message)
        if found is not None and column in values:
            rule = found[1].replace("BTC_USD", "BTC/USD").replace("_", " ").removeprefix(" is ")
            why = f"it must be {rule}" if rule else message.rpartition(": ")[2]
            return f"{column} {shown(values[column])} is refused by the database: {why}"
    return f"the database refuses the row: {message}"
