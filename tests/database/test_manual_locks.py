"""Locks that a person writes, changes and clears with a MySQL client, as the README says it."""

from datetime import datetime, timedelta
from functools import partial

import pytest

from dca.core.model import Asset, LockKind
from dca.database.store import Store, Transaction
from dca.operator.setup import migrate
from tests.caring import check, edit, take_away
from tests.rig import INSERT, Rig

CLEAR = "UPDATE dca_assets SET lock_reason = NULL"
"""The README's."""


def locked_by_the_checker(rig: Rig) -> Asset:
    """The books disagree: coins are missing."""
    rig.bought()
    take_away(rig, "0.1")
    check(rig)
    assert rig.asset().lock_kind is LockKind.BREAK
    rig.deposit("0.1")
    return rig.asset()


def lock(number: int, at: datetime, tx: Transaction) -> None:
    tx.lock_asset(number, "the books disagree (I09)", at)


@pytest.mark.parametrize("between", [[], [CLEAR], [f"{CLEAR} WHERE id = 1", "DO 0", CLEAR]])
def test_a_lock_by_hand_lasts_whatever_was_there_before(rig: Rig, between: list[str]) -> None:
    """Cleared before, or written over the bot's own words."""
    locked_by_the_checker(rig)
    for sql in (*between, "UPDATE dca_assets SET lock_reason = 'hands off: I sell it myself'"):
        edit(rig, sql)
    check(rig)
    asset = rig.asset()
    assert (asset.lock_reason, asset.lock_kind) == ("hands off: I sell it myself", None)
    assert asset.locked_at is None, "it was not then"


def test_a_lock_of_a_crash_that_was_cleared_leaves_nothing_either(rig: Rig) -> None:
    rig.store.transaction(lambda tx: tx.lock_asset(1, "died", rig.clock.now(), LockKind.CRASH))
    edit(rig, CLEAR)
    edit(rig, "UPDATE dca_assets SET lock_reason = 'hands off'")
    assert rig.asset().lock_kind is None


def test_the_bot_locks_anew_after_a_lock_was_cleared_by_hand(rig: Rig) -> None:
    before = locked_by_the_checker(rig)
    edit(rig, CLEAR)
    assert (rig.asset().lock_reason, rig.asset().lock_kind, rig.asset().locked_at) == (None, None, None)
    rig.clock.pass_seconds(60)
    take_away(rig, "0.1")
    check(rig)
    again = rig.asset()
    assert again.lock_kind is LockKind.BREAK
    assert again.locked_at is not None and before.locked_at is not None and again.locked_at > before.locked_at
    rig.deposit("0.1")
    check(rig)
    assert rig.asset().lock_reason is None


def test_locks_that_were_cleared_by_hand_cost_no_requests(rig: Rig) -> None:
    """The checker lists what was sent around each lock: around each that there is."""
    for number in range(12):
        rig.store.run_script(INSERT.replace("BTC", f"C{number}"))
    check(rig)
    spans = len(rig.exchange.lists)
    then = rig.clock.now() - timedelta(days=300)
    for number in range(2, 14):
        at = then + timedelta(days=20 * number)
        rig.store.transaction(partial(lock, number, at))
    edit(rig, CLEAR)
    before = len(rig.exchange.lists)
    check(rig)
    assert len(rig.exchange.lists) - before == spans


def test_other_changes_of_the_row_leave_a_lock_alone(rig: Rig) -> None:
    was = locked_by_the_checker(rig)
    edit(rig, "UPDATE dca_assets SET take_profit_percent = 3, last_sell_price = 5")
    asset = rig.asset()
    assert (asset.lock_reason, asset.lock_kind, asset.locked_at) == (
        was.lock_reason,
        LockKind.BREAK,
        was.locked_at,
    )


def test_an_older_bots_locks_are_taken_along(ready: Store) -> None:
    """What the migration makes of them; see also test_schema.py."""
    ready.run_script(
        "UPDATE dca_assets SET lock_reason = 'the books disagree (I09)', lock_kind = 'break' WHERE id = 1;\n"
        "UPDATE dca_assets SET lock_kind = 'break', locked_at = '2025-01-01' WHERE id = 2;\n"
    )
    file = next(each for each in migrate.files() if each.stem == "0008_locks")
    _, clear, keep, *_ = file.read_text().split(";\n")
    ready.run_script(f"{clear};\n{keep};\n")
    first, second = ready.transaction(lambda tx: tx.assets())
    assert (first.lock_kind, second.lock_kind, second.locked_at) == (LockKind.BREAK, None, None)
