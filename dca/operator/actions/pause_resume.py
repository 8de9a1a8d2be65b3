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
    Mode.EXITS_ONLY: "no buys; take-profits still sell",
    Mode.HALT: "no orders at all, not even sells",
}


def forget_crashes(state_dir: Path) -> bool:
    """Delete the watchdog's crash record, so that it starts main_app again. Returns whether there was one."""
    try:
        (state_dir / "watchdog.json").unlink()
    except FileNotFoundError:
        return False
    return True


def _pause_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="no orders at all, not even sells")
    parser.add_argument("--why", default="", help="the reason, shown in status and mail")
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
        tools.note(tx, None, f"mode {was.mode} -> {mode}, reason: {reason}")

    tools.store.transaction(work)
    formatting.tell(tools.console, f"Paused ({mode}: {MEANING[mode]}). To resume: ./bot resume")
    return 0


def effect_of_pause(control: Control, mode: Mode, orders: Sequence[Order]) -> list[str]:
    """Lines on what a pause changes and what it leaves as it is."""
    lines = [f"Now {control.mode}{_because(control)}: {MEANING[control.mode]}."]
    lines.append(f"Then {mode}: {MEANING[mode]}.")
    if control.mode is Mode.HALT and mode is Mode.EXITS_ONLY:
        lines.append("This relaxes the current pause: take-profits sell again.")
    if not orders:
        lines.append("No order is open.")
        return lines
    buys = sum(order.side is Side.BUY for order in orders)
    lines.append(
        f"Open orders: buys {buys}, sells {len(orders) - buys}. They are not canceled and may still fill:"
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
        "symbol", metavar="PAIR", nargs="?", help="unlock only this asset, for example BTC/USD"
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
        tools.note(tx, None, f"mode {was.mode} -> run; previous reason: {was.mode_reason or 'none given'}")

    tools.store.transaction(work)
    if left_down:
        forget_crashes(tools.settings.state_dir)
    formatting.tell(tools.console, "Resumed: main_app follows within five seconds.")
    return 0


def effect_of_resume(control: Control, assets: Sequence[Asset], *, left_down: bool) -> list[str]:
    """Lines on the current mode, what changes, and which locks remain."""
    lines = [f"Now {control.mode}{_because(control)}: {MEANING[control.mode]}."]
    if control.mode is not Mode.RUN:
        lines.append(f"Then {Mode.RUN}: {MEANING[Mode.RUN]}.")
    elif not left_down:
        lines.append("Nothing is paused.")
    if left_down:
        lines.append("The watchdog's crash count is reset; it starts main_app again if it is down.")
    lines += [
        f"{_locked(asset)} To unlock: ./bot resume {asset.asset_symbol}"
        for asset in assets
        if asset.lock_reason is not None and asset.lock_kind is not LockKind.BREAK
    ]
    return lines


def _against_a_break(asset: Asset) -> str:
    numbers = invariants.numbers(asset.lock_reason or "")
    if numbers and invariants.EDITED.issuperset(numbers):
        return f"correct the row: see {', '.join(numbers)} in docs/operations.md"
    return f"./bot accept {asset.asset_symbol} books the difference as traded outside"


def _resume_asset(given: argparse.Namespace, tools: Tools) -> int:
    """Unlock an asset whose lock only the operator can end."""
    asset = tools.asset(given.symbol)
    symbol = asset.asset_symbol
    if asset.lock_reason is None:
        formatting.tell(tools.console, f"{symbol} is not locked.")
        return 0
    if asset.lock_kind is LockKind.BREAK:
        raise AssetProblem(
            f"{symbol} is locked because the books disagree; it unlocks automatically when they agree: "
            f"{asset.lock_reason} ({_against_a_break(asset)})"
        )
    formatting.tell(tools.console, _locked(asset))
    formatting.tell(
        tools.console, "It will be traded again; if it crashes main_app again, it is locked again."
    )
    if not tools.confirmed(f"Resume {symbol}?", yes=given.yes):
        formatting.tell(tools.console, "Nothing was changed.")
        return 1

    def work(tx: Transaction) -> bool:
        current = tx.asset(asset.id)
        if current is None or current.lock_reason is None or current.lock_kind is LockKind.BREAK:
            return False
        tx.unlock_asset(asset.id)
        tools.note(tx, symbol, f"unlocked; reason was: {current.lock_reason}")
        return True

    if not tools.store.transaction(work):
        raise AssetProblem(f"the lock of {symbol} changed in the meantime: run it again")
    formatting.tell(tools.console, f"{symbol} is unlocked.")
    control = tools.store.transaction(lambda tx: tx.control())
    if control.mode is not Mode.RUN:
        formatting.tell(
            tools.console, f"The mode is still {control.mode}{_because(control)}. To end it: ./bot resume"
        )
    return 0


def _locked(asset: Asset) -> str:
    since = "" if asset.locked_at is None else f" since {asset.locked_at:%Y-%m-%d %H:%M} UTC"
    how = "after a crash" if asset.lock_kind is LockKind.CRASH else "manually"
    return f"{asset.asset_symbol} is locked {how}{since}: {asset.lock_reason}."


COMMANDS: dict[str, Command] = {
    "pause": Command(
        help="stop all buys; take-profits still sell",
        add_arguments=_pause_arguments,
        run=_pause,
    ),
    "resume": Command(
        help="end a pause or a crash loop's stop; PAIR: unlock an asset",
        add_arguments=_resume_arguments,
        run=_resume,
    ),
}
