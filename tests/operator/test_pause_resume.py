"""./bot pause and resume: the kill switch, the watchdog's memory, and the locks that only a person ends."""

import pytest

from dca.core.model import Control, LockKind, Mode, Purpose
from dca.database.store import Store
from dca.operator.actions.pause_resume import effect_of_pause, effect_of_resume, forget_crashes
from dca.watchdog.process import write_memory
from dca.watchdog.rules import Memory
from tests import operating
from tests.builders import NOW, asset, order, ours
from tests.operating import Operator

bot = operating.lonely  # a fixture: an import would clash with arguments


def control(store: Store) -> Control:
    return store.transaction(lambda tx: tx.control())


def effects(store: Store) -> list[tuple[str | None, str]]:
    return [(note.asset_symbol, note.effect) for note in store.transaction(lambda tx: tx.actions())]


def test_pause_and_resume(bot: Operator, store: Store) -> None:
    done = bot.types("pause", "--why", "news [tonight]", "--yes")
    assert done.code == 0, done.err
    assert (now := control(store)).mode is Mode.EXITS_ONLY
    assert now.mode_reason is not None and now.mode_reason.endswith(": news [tonight]")
    again = bot.types("resume", "--yes")
    assert again.code == 0
    assert "Now exits_only (" in again.flat and "news [tonight])" in again.flat
    assert control(store).mode is Mode.RUN
    assert [effect.split(";")[0].split(",")[0] for _, effect in effects(store)] == [
        "mode exits_only -> run",
        "mode run -> exits_only",
    ]


def test_pause_all_is_a_halt(bot: Operator, store: Store) -> None:
    assert bot.types("pause", "--all", "--yes").code == 0
    assert control(store).mode is Mode.HALT
    softer = bot.types("pause", "--yes")
    assert "relaxes the current pause" in softer.flat
    assert control(store).mode is Mode.EXITS_ONLY


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_nothing_changes_without_a_yes(bot: Operator, store: Store, command: str) -> None:
    mode = Mode.RUN if command == "pause" else Mode.HALT
    store.transaction(lambda tx: tx.set_mode(mode, "before"))
    assert bot.types(command).code == 1
    assert (control(store).mode, control(store).mode_reason) == (mode, "before")
    assert effects(store) == []


def test_pause_shows_the_open_orders(bot: Operator, ready: Store) -> None:
    ready.transaction(lambda tx: tx.insert_order(ours()))
    done = bot.types("pause", "--yes")
    assert "Open orders: buys 1, sells 0. They are not canceled and may still fill:" in done.flat
    assert "BTC/USD buy 0.2 at 100.00 (dca-" in done.flat
    assert len(ready.transaction(lambda tx: tx.open_orders())) == 1


def test_what_a_pause_means() -> None:
    running = Control(
        install_id="abcd1234", account_id=None, epoch=1, mode=Mode.RUN, mode_reason="bo: resumed"
    )
    lines = effect_of_pause(running, Mode.EXITS_ONLY, [])
    assert lines == [
        "Now run: buys and sells.",
        "Then exits_only: no buys; take-profits still sell.",
        "No order is open.",
    ]
    sale = effect_of_pause(running, Mode.HALT, [order(Purpose.TAKE_PROFIT)])
    assert any(line.startswith("Open orders: buys 0, sells 1.") for line in sale)


def test_resume_with_nothing_to_end(bot: Operator, store: Store) -> None:
    done = bot.types("resume", "--yes")
    assert done.code == 0 and "Nothing is paused." in done.out and effects(store) == []


def test_resume_makes_the_watchdog_forget(bot: Operator, store: Store) -> None:
    memory = bot.state_dir / "watchdog.json"
    write_memory(bot.state_dir, Memory(left_down_at=NOW))
    assert bot.types("resume").code == 1 and memory.exists(), "not asked, not done"
    done = bot.types("resume", "--yes")
    assert done.code == 0 and "crash count is reset" in done.flat and not memory.exists()
    assert forget_crashes(bot.state_dir) is False
    assert len(effects(store)) == 1


def test_resume_ends_the_lock_of_a_crash_and_no_other_lock(bot: Operator, ready: Store) -> None:
    ready.transaction(lambda tx: tx.lock_asset(1, "died three times", NOW, LockKind.CRASH))
    ready.transaction(lambda tx: tx.lock_asset(2, "0.5 coins missing", NOW, LockKind.BREAK))
    assert "BTC/USD is locked after a crash since 2026-01-02 03:04 UTC" in bot.types("resume", "--yes").flat
    assert bot.types("resume", "BTC/USD").code == 1, "asked first"
    done = bot.types("resume", "btc/usd", "--yes")
    assert done.code == 0 and "died three times" in done.flat
    refused = bot.types("resume", "ETH/USD", "--yes")
    assert refused.code == 1 and "0.5 coins missing" in refused.err and "./bot accept ETH/USD" in refused.err
    assets = ready.transaction(lambda tx: tx.assets())
    assert [each.lock_reason for each in assets] == [None, "0.5 coins missing"]
    assert effects(ready) == [("BTC/USD", "unlocked; reason was: died three times")]
    assert "not locked" in bot.types("resume", "BTC/USD", "--yes").out


def test_resume_of_an_asset_leaves_the_pause(bot: Operator, ready: Store) -> None:
    ready.transaction(lambda tx: tx.lock_asset(1, "by hand", NOW))
    ready.transaction(lambda tx: tx._write("UPDATE dca_assets SET lock_kind = NULL", []))
    ready.transaction(lambda tx: tx.set_mode(Mode.HALT, "bo: storm"))
    done = bot.types("resume", "BTC/USD", "--yes")
    assert done.code == 0 and "locked manually" in done.flat
    assert "The mode is still halt (bo: storm)" in done.flat
    assert control(ready).mode is Mode.HALT
    assert ready.transaction(lambda tx: tx.assets())[0].lock_reason is None


def test_resume_names_the_locks_it_does_not_end() -> None:
    halted = Control(install_id="abcd1234", account_id=None, epoch=1, mode=Mode.HALT, mode_reason="bo: storm")
    crashed = asset(lock_reason="died", lock_kind=LockKind.CRASH)
    lines = effect_of_resume(halted, [crashed, asset()], left_down=False)
    assert lines[0] == "Now halt (bo: storm): no orders at all, not even sells."
    assert lines[-1] == "BTC/USD is locked after a crash: died. To unlock: ./bot resume BTC/USD"
