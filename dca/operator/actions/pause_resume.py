"""./bot pause, resume."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from dca.core import invariants
from dca.core.errors import AssetProblem
from dca.core.model import Asset, Control, LockKind, Mode, Order, Side
from dca.database.store import Transaction
from dca.operator import formatting
from dca.operator.session import Command, Tools
from dca.watchdog.process import read_memory

MEANING = {
    Mode.RUN: "buys and sells",
    Mode.EXITS_ONLY: "no buys; what is held is still sold in profit",
    Mode.HALT: "no orders at all, no sales either",
}


def forget_crashes(state_dir: Path) -> bool:
    """Drop the watchdog's record of main_app's deaths: one that was left down may be started again.

    False if there was none.
    """
    try:
        (state_dir / "watchdog.json").unlink()
    except FileNotFoundError:
        return False
    return True


def _pause_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="no orders at all, no sales either")
    parser.add_argument("--why", default="", help="what status and mail will say of it")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _pause(given: argparse.Namespace, tools: Tools) -> int:
    control, orders = tools.store.transaction(lambda tx: (tx.control(), tx.open_orders()))
    mode = Mode.HALT if given.all else Mode.EXITS_ONLY
    for line in effect_of_pause(control, mode, orders):
        formatting.tell(tools.console, line)
    if not tools.confirmed("Pause?", yes=given.yes):
        formatting.tell(tools.console, "Nothing was changed.")
        return 1
    reason = f"{tools.who}: {given.why.strip() or 'paused'}"

    def work(tx: Transaction) -> None:
        was = tx.control()
        tx.set_mode(mode, reason)
        tools.note(tx, None, f"mode {was.mode} -> {mode}, because: {reason}")

    tools.store.transaction(work)
    formatting.tell(tools.console, f"Paused ({mode}: {MEANING[mode]}). ./bot resume ends it.")
    return 0


def effect_of_pause(control: Control, mode: Mode, orders: Sequence[Order]) -> list[str]:
    """What will change, and what will not."""
    lines = [f"Now {control.mode}{_because(control)}: {MEANING[control.mode]}."]
    lines.append(f"Then {mode}: {MEANING[mode]}.")
    if control.mode is Mode.HALT and mode is Mode.EXITS_ONLY:
        lines.append("That is less of a pause than now: take-profits begin to sell again.")
    if not orders:
        lines.append("No order is open.")
        return lines
    buys = sum(order.side is Side.BUY for order in orders)
    lines.append(
        f"Open orders: buys {buys}, sells {len(orders) - buys}. They are not canceled, and may still fill:"
    )
    lines += [
        f"  {order.symbol} {order.side} {formatting.coins(order.qty)}"
        + (f" at {formatting.price(order.limit_price)}" if order.limit_price is not None else "")
        + f" ({order.client_order_id})"
        for order in orders
    ]
    return lines


def _because(control: Control) -> str:
    return f" ({control.mode_reason})" if control.mode_reason and control.mode is not Mode.RUN else ""


def _resume_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "symbol", metavar="PAIR", nargs="?", help="only end the lock of this asset, like BTC/USD"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _resume(given: argparse.Namespace, tools: Tools) -> int:
    if given.symbol is not None:
        return _resume_asset(given, tools)
    left_down = read_memory(tools.settings.state_dir).left_down_at is not None
    control, assets = tools.store.transaction(lambda tx: (tx.control(), tx.assets()))
    for line in effect_of_resume(control, assets, left_down=left_down):
        formatting.tell(tools.console, line)
    if control.mode is Mode.RUN and not left_down:
        return 0
    if not tools.confirmed("Resume?", yes=given.yes):
        formatting.tell(tools.console, "Nothing was changed.")
        return 1

    def work(tx: Transaction) -> None:
        was = tx.control()
        tx.set_mode(Mode.RUN, f"{tools.who}: resumed")
        tools.note(tx, None, f"mode {was.mode} -> run; it was so because: {was.mode_reason or 'not said'}")

    tools.store.transaction(work)
    if left_down:
        forget_crashes(tools.settings.state_dir)
    formatting.tell(tools.console, "Resumed: main_app follows within five seconds.")
    return 0


def effect_of_resume(control: Control, assets: Sequence[Asset], *, left_down: bool) -> list[str]:
    """What was, why, and what will change; and the locks that this does not end."""
    lines = [f"Now {control.mode}{_because(control)}: {MEANING[control.mode]}."]
    if control.mode is not Mode.RUN:
        lines.append(f"Then {Mode.RUN}: {MEANING[Mode.RUN]}.")
    elif not left_down:
        lines.append("There is no pause to end.")
    if left_down:
        lines.append("The watchdog forgets main_app's crashes, and starts it again if it is down.")
    lines += [
        f"{_locked(asset)} It stays so until ./bot resume {asset.asset_symbol}."
        for asset in assets
        if asset.lock_reason is not None and asset.lock_kind is not LockKind.BREAK
    ]
    return lines


def _against_a_break(asset: Asset) -> str:
    numbers = invariants.numbers(asset.lock_reason or "")
    if numbers and invariants.EDITED.issuperset(numbers):
        return f"put the row right: docs/operations.md has {', '.join(numbers)}"
    return f"./bot accept {asset.asset_symbol} books the difference as traded outside"


def _resume_asset(given: argparse.Namespace, tools: Tools) -> int:
    """End a lock that only a person ends."""
    asset = tools.asset(given.symbol)
    symbol = asset.asset_symbol
    if asset.lock_reason is None:
        formatting.tell(tools.console, f"{symbol} is not locked.")
        return 0
    if asset.lock_kind is LockKind.BREAK:
        raise AssetProblem(
            f"{symbol} is locked because the books disagree, which ends by itself when they agree: "
            f"{asset.lock_reason} ({_against_a_break(asset)})"
        )
    formatting.tell(tools.console, _locked(asset))
    formatting.tell(
        tools.console, "It will be traded again; if it brings main_app down again, it is locked again."
    )
    if not tools.confirmed(f"Resume {symbol}?", yes=given.yes):
        formatting.tell(tools.console, "Nothing was changed.")
        return 1

    def work(tx: Transaction) -> bool:
        current = tx.asset(asset.id)
        if current is None or current.lock_reason is None or current.lock_kind is LockKind.BREAK:
            return False
        tx.unlock_asset(asset.id)
        tools.note(tx, symbol, f"lock ended; it was: {current.lock_reason}")
        return True

    if not tools.store.transaction(work):
        raise AssetProblem(f"{symbol} is not locked like that any more: look again")
    formatting.tell(tools.console, f"{symbol} is unlocked.")
    control = tools.store.transaction(lambda tx: tx.control())
    if control.mode is not Mode.RUN:
        formatting.tell(
            tools.console, f"The mode is still {control.mode}{_because(control)}: ./bot resume ends that."
        )
    return 0


def _locked(asset: Asset) -> str:
    since = "" if asset.locked_at is None else f" since {asset.locked_at:%Y-%m-%d %H:%M} UTC"
    how = "after a crash" if asset.lock_kind is LockKind.CRASH else "by hand"
    return f"{asset.asset_symbol} is locked {how}{since}: {asset.lock_reason}."


COMMANDS: dict[str, Command] = {
    "pause": Command(
        help="no buys of any asset; what is held is still sold in profit",
        add_arguments=_pause_arguments,
        run=_pause,
    ),
    "resume": Command(
        help="end a pause, or what the watchdog made of too many crashes",
        add_arguments=_resume_arguments,
        run=_resume,
    ),
}
