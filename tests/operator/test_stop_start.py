"""./bot stop and ./bot start, with a real main_app and the caretakers that stand down meanwhile."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dca.core.model import Mode
from dca.database.store import Store
from dca.operator.actions.stop_start import span
from dca.runtime import maintenance
from dca.runtime.maintenance import Maintenance
from dca.runtime.settings import DatabaseSettings
from dca.watchdog.process import is_locked, read_memory, write_memory
from dca.watchdog.rules import Memory
from tests.operating import NO_EXCHANGE
from tests.processes import ROOT, ROW, BotProcess, ExchangeProcess, eventually


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    yield exchange
    exchange.stop()


@pytest.fixture
def bot(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings, store: Store
) -> Iterator[BotProcess]:
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    bot = BotProcess(tmp_path, exchange.settings, database)
    yield bot
    end(bot)


def end(bot: BotProcess) -> None:
    bot.stop()
    if runs(bot):
        os.kill(int(lock(bot).read_text()), signal.SIGKILL)
        eventually(lambda: not runs(bot))


def lock(bot: BotProcess) -> Path:
    return bot.folder / "state" / "main_app.lock"


def runs(bot: BotProcess) -> bool:
    return is_locked(lock(bot))


def types(bot: BotProcess, *command: str) -> subprocess.CompletedProcess[str]:
    """./bot COMMAND, on no terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "dca.operator", *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=bot.environment(),
    )
    assert "Traceback" not in done.stderr
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    return done


def current(bot: BotProcess) -> Maintenance | None:
    return maintenance.current(bot.folder / "state", datetime.now(UTC))


def minutes_left(bot: BotProcess) -> float:
    found = current(bot)
    assert found is not None
    return (found.until - datetime.now(UTC)).total_seconds() / 60


def test_stopped_for_a_while_and_started_before_its_time(bot: BotProcess, store: Store) -> None:
    bot.start()
    eventually(bot.is_trading)
    assert types(bot, "stop").returncode == 1 and runs(bot) and current(bot) is None, "not asked, not done"
    done = types(bot, "stop", "--for", "2h", "--why", "a new disk", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not runs(bot)
    assert bot.process is not None and bot.process.wait(5) == 0, "in good order"
    assert 119 < minutes_left(bot) <= 120
    assert "a new disk" in (current(bot) or pytest.fail()).why

    stood_down = bot.run("watchdog.py")
    assert stood_down.returncode == 0 and "standing down until" in stood_down.stdout
    assert not runs(bot)
    again = types(bot, "stop", "--for", "30m", "--yes")
    assert "replaces the current stop" in again.stdout and 29 < minutes_left(bot) <= 30

    store.transaction(lambda tx: tx.set_mode(Mode.EXITS_ONLY, "watchdog"))
    left_down = Memory(left_down_at=datetime.now(UTC), deaths=(datetime.now(UTC),))
    write_memory(bot.folder / "state", left_down)
    assert types(bot, "start").returncode == 1 and not runs(bot)
    started = types(bot, "start", "--yes")
    assert started.returncode == 0, started.stdout + started.stderr
    assert runs(bot) and current(bot) is None
    assert "exits_only (watchdog): ./bot resume" in " ".join(started.stdout.split())
    memory = read_memory(bot.folder / "state")
    assert memory.was_running and memory.deaths == () and memory.left_down_at is None
    assert "already running" in types(bot, "start", "--yes").stdout
    effects = [action.effect for action in store.transaction(lambda tx: tx.actions())]
    assert len(effects) == 3 and "main_app was started: pid" in effects[0] and "a new disk" in effects[2]


def test_when_maintenance_is_over_the_watchdog_starts_it_and_no_death_is_counted(bot: BotProcess) -> None:
    state = bot.folder / "state"
    state.mkdir()
    write_memory(state, Memory(was_running=True))
    assert types(bot, "stop", "--for", "1s", "--yes").returncode == 0
    eventually(lambda: current(bot) is None)
    assert "started main_app" in bot.run("watchdog.py").stdout
    assert runs(bot) and read_memory(state).deaths == ()


def test_what_does_not_start_says_why(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings
) -> None:
    bot = BotProcess(tmp_path, exchange.settings, database, APCA_API_SECRET_KEY="wrong")
    state = bot.folder / "state"
    state.mkdir()
    write_memory(state, Memory(left_down_at=datetime.now(UTC)))
    done = types(bot, "start", "--yes")
    assert done.returncode == 1
    try:
        assert read_memory(state).left_down_at is None
        said = " ".join(done.stdout.split())
        assert "It is waiting" in said and "does not accept the keys" in said
    finally:
        assert types(bot, "stop", "--yes").returncode == 0
    assert not runs(bot)


def test_the_database_may_be_what_the_maintenance_is_about(
    tmp_path: Path, database: DatabaseSettings
) -> None:
    bot = BotProcess(tmp_path, NO_EXCHANGE, replace(database, socket="/nowhere/socket"))
    bot.start()
    try:
        eventually(lambda: runs(bot))
        done = types(bot, "stop", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Not recorded in operator_actions" in done.stdout
        assert not runs(bot) and current(bot) is not None
    finally:
        end(bot)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        ("1h30m", timedelta(minutes=90)),
    ],
)
def test_lengths_of_time(text: str, length: timedelta) -> None:
    assert span(text) == length


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "0s", "1.5h", "2 h", "31d", "999999999d", "2hours"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        span(text)
