"""The watchdog with real processes: main_app killed, stopped, slow to end, dying again and again."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dca.caretakers.job import Job
from dca.core.model import Mode
from dca.core.operations import Result
from dca.database.store import Store
from dca.runtime.clock import SystemClock
from dca.runtime.script import Context
from dca.runtime.settings import DatabaseSettings, Settings
from dca.watchdog import rules
from dca.watchdog.process import is_locked, read_memory, write_memory
from dca.watchdog.rules import Memory, Verdict
from dca.watchdog.run import MAIN_APP, Guard
from tests.caretakers.test_jobs import RESULT
from tests.processes import ROOT, ROW, BotProcess, ExchangeProcess, eventually
from tests.watched import SHORT, Installation, names


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    yield exchange
    exchange.stop()


@pytest.fixture
def here(
    tmp_path: Path,
    exchange: ExchangeProcess,
    database: DatabaseSettings,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Installation]:
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    bot = BotProcess(tmp_path, exchange.settings, database)
    installation = Installation(bot, monkeypatch)
    yield installation
    installation.close()
    bot.stop()


def incidents(store: Store) -> list[str]:
    """Those that last."""
    return [incident.name for incident in store.transaction(lambda tx: tx.open_incidents())]


# ---- as cron runs it -------------------------------------------------------------------------------------


def test_started_survives_the_watchdog_and_comes_back_after_kill_9(here: Installation, store: Store) -> None:
    watchdog = subprocess.Popen(
        [sys.executable, ROOT / "watchdog.py"],
        cwd="/",
        stdout=subprocess.PIPE,
        env=here.bot.environment(),
        start_new_session=True,
    )
    first = eventually(here.holder)
    assert first is not None
    os.killpg(watchdog.pid, signal.SIGKILL)
    watchdog.communicate(timeout=10)
    eventually(here.bot.is_trading)
    assert here.holder() == first
    assert os.getsid(first) == first
    assert Path(f"/proc/{first}/fd/0").readlink() == Path(os.devnull)

    quiet = here.bot.run("watchdog.py")
    assert quiet.returncode == 0, quiet.stdout
    lines = [line for line in quiet.stdout.splitlines() if " digest " not in line]  # that is once a day
    assert len(lines) == 1 and RESULT.search(lines[0]), quiet.stdout
    run = store.transaction(lambda tx: tx.last_runs())["watchdog"]
    assert (run.result, run.checked, run.changed) == (Result.DONE, 1, 0)

    os.kill(first, signal.SIGKILL)
    eventually(lambda: not is_locked(here.lock))
    said = here.bot.run("watchdog.py")
    second = here.holder()
    assert second is not None and second != first
    assert f'watchdog - - started main_app pid={second} why="it was not running"' in said.stdout
    assert "checked 1 changed 1 in" in said.stdout
    eventually(here.bot.is_trading)
    assert len(read_memory(here.state).deaths) == 1
    assert incidents(store) == ["main app down"]
    here.bot.run("watchdog.py")
    assert incidents(store) == [], "it is over"
    lines = here.bot.lines()
    assert len(lines) == len(set(lines)), "no line is there twice"


def test_two_watchdogs_and_a_start_by_hand_make_one_main_app(here: Installation) -> None:
    command = [sys.executable, str(ROOT / "watchdog.py")]
    here.bot.start()
    both = [subprocess.Popen(command, env=here.bot.environment(), stdout=subprocess.PIPE) for _ in range(2)]
    said = [each.communicate(timeout=60)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    eventually(here.bot.is_trading)
    assert len(here.bot.says("start - - trading")) == 1


def test_a_database_that_is_down_keeps_nothing_from_being_started(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = BotProcess(tmp_path, exchange.settings, replace(database, socket="/nowhere/socket"))
    here = Installation(bot, monkeypatch)
    try:
        said = bot.run("watchdog.py")
        pid = here.holder()
        assert f"started main_app pid={pid}" in said.stdout, said.stdout
        assert "Traceback" not in said.stdout + said.stderr
        eventually(lambda: bot.beat().get("pid") == pid)
        here.make_heartbeat_old(50)
        bot.run("watchdog.py")
        assert here.holder() == pid, "it waits for the database, and that is no reason to restart it"
    finally:
        here.close()


def test_a_dry_run_starts_nothing_and_remembers_nothing(here: Installation) -> None:
    write_memory(here.state, Memory(was_running=True))
    said = here.bot.run("watchdog.py", "--dry-run")
    assert "dry-run - - would start main_app" in said.stdout
    assert here.holder() is None and read_memory(here.state) == Memory(was_running=True)


# ---- hung ------------------------------------------------------------------------------------------------


def test_F37_one_that_is_stopped_is_ended_and_started_again(here: Installation) -> None:
    here.bot.start()
    eventually(here.bot.is_trading)
    assert here.bot.process is not None
    stopped = here.bot.process.pid
    here.make_heartbeat_old(3600)  # as after the clock was set forward, or the machine slept
    guard = here.guard(here.supervisor(), confirm=10)
    assert (here.holder(), guard.findings, guard._job.changed) == (stopped, [], 0)
    assert guard.judged == list(MAIN_APP)

    here.lock.write_text("")  # as when the disk was full at its start
    os.kill(stopped, signal.SIGSTOP)
    assert here.guard(here.supervisor()).findings == [], "a minute has to pass"
    here.make_heartbeat_old(61)
    guard = here.guard(here.supervisor(), confirm=0.3)
    assert here.bot.process.wait(10) == -signal.SIGKILL
    assert names(guard) == ["main app hung"]
    assert "SIGKILL" in guard.findings[0].evidence and str(stopped) in guard.findings[0].evidence
    assert here.holder() not in {None, stopped}
    assert len(read_memory(here.state).deaths) == 1


def test_F38_no_second_one_before_the_first_is_gone(here: Installation) -> None:
    script = here.stand_in(
        "signal.signal(signal.SIGTERM, lambda *_: print('not yet', flush=True))\n"
        "print('up', flush=True)\nwhile True: time.sleep(60)\n"
    )
    supervisor = here.supervisor(script, replace(SHORT, start=0.3))
    first = supervisor.start().pid
    eventually(lambda: here.bot.says("up"))
    os.utime(here.lock, (1, 1))  # it has held it for long, without a heartbeat
    guard = here.guard(supervisor)
    assert here.bot.says("not yet"), "it was asked first"
    assert "after 0.5 s" in guard.findings[0].evidence
    second = eventually(here.holder)
    assert second != first and not here.bot.says("already running")
    assert [child.poll() for child in supervisor.children] == [-signal.SIGKILL, None]


def test_one_that_can_not_be_ended_gets_no_second_one(here: Installation) -> None:
    """Also F86: the process that the lock's file names is not the one that holds it, and lives on."""
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        with here.lock.open("w") as lock:
            lock.write(str(innocent.pid))
            lock.flush()
            supervisor = here.supervisor()
            assert supervisor.end().pid is None, "nobody holds the lock"
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.utime(here.lock, (1, 1))
            no_disk = here.state / "watchdog.probe"
            no_disk.mkdir()
            assert here.guard(supervisor).findings == [], "without a disk no heartbeat is no sign"
            no_disk.rmdir()
            guard = here.guard(supervisor)
        assert innocent.poll() is None
        assert supervisor.children == []
        assert names(guard) == ["main app hung"]
        assert f"not by pid {innocent.pid}" in guard.findings[0].evidence
        assert guard._job.context.failed
    finally:
        innocent.kill()
        innocent.wait(10)


# ---- dying -----------------------------------------------------------------------------------------------


def test_five_deaths_leave_it_down_with_buys_off(here: Installation, store: Store) -> None:
    script = here.stand_in("print('2026-01-01T00:00:00Z ERROR stop - - no luck', flush=True)\nsys.exit(3)\n")
    supervisor = here.supervisor(script)
    for death in range(1, 6):
        assert store.transaction(lambda tx: tx.control()).mode is Mode.RUN
        guard = here.guard(supervisor)
        assert len(supervisor.children) == death
        assert "main app down" in names(guard)
        assert "exit code 3" in guard.findings[0].evidence and "no luck" in guard.findings[0].evidence
    for _ in range(2):
        control = store.transaction(lambda tx: tx.control())
        assert control.mode is Mode.EXITS_ONLY
        assert control.mode_reason is not None and "not restarted" in control.mode_reason
        assert "main app left down" in names(guard)
        assert guard.judged == [], "nothing is over while it is down"
        guard = here.guard(supervisor)
        assert len(supervisor.children) == 5, "it is not started any more"
        assert names(guard) == ["main app left down"]
    assert guard._job.changed == 0


def test_what_the_operator_halted_stays_halted(here: Installation, store: Store) -> None:
    store.transaction(lambda tx: tx.set_mode(Mode.HALT, "me"))
    write_memory(here.state, Memory(left_down_at=SystemClock().now()))
    here.guard(here.supervisor())
    assert store.transaction(lambda tx: tx.control()).mode is Mode.HALT


def test_settings_that_main_app_cannot_use_are_a_finding(here: Installation) -> None:
    supervisor = here.supervisor(here.stand_in("print('  - DB_PORT is many', flush=True)\nsys.exit(2)"))
    for number in range(1, rules.DEATHS + 2):
        guard = here.guard(supervisor)
        assert names(guard) == ["settings"]
        assert "DB_PORT is many" in guard.findings[0].evidence
        assert len(supervisor.children) == number, "it is tried again, however long it takes"
    assert read_memory(here.state).deaths == ()


def test_keys_that_the_exchange_refuses_are_a_finding(here: Installation, exchange: ExchangeProcess) -> None:
    def ask(changed: Settings) -> tuple[list[str], list[str]]:
        job = Job(
            context=Context(name="watchdog", settings=changed),
            store=Store(changed.database),
            clock=SystemClock(),
            dry_run=False,
        )
        guard = Guard(job, here.supervisor())
        guard.ask_for_keys()
        return names(guard), guard.judged

    wrong = replace(here.settings, exchange=replace(exchange.settings, secret_key="wrong"))
    assert ask(wrong) == (["keys refused"], ["keys refused"])
    assert ask(here.settings) == ([], ["keys refused"])
    away = replace(wrong, exchange=replace(wrong.exchange, trading_url="http://127.0.0.1:9"))
    assert ask(away) == ([], []), "no answer is not a no"


def test_a_memory_that_cannot_be_read_is_an_empty_one(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"deaths": 3}', '{"deaths": ["x"], "was_running": true}'):
        (tmp_path / "watchdog.json").write_text(text)
        assert read_memory(tmp_path) == Memory()
    memory = Memory(deaths=(SystemClock().now(),), was_running=True, left_down_at=SystemClock().now())
    write_memory(tmp_path, memory)
    assert read_memory(tmp_path) == memory


# ---- starting --------------------------------------------------------------------------------------------


def test_F47_a_megabyte_of_output_blocks_nobody(here: Installation) -> None:
    script = here.stand_in(
        "sys.stdout.write('x' * 1_000_000 + chr(10)); print('written', flush=True)\nsys.exit(3)\n"
    )
    started = here.supervisor(script).start()
    assert started.exit_code == 3
    assert here.bot.says("written")
    assert here.bot.log.stat().st_size > 1_000_000


def test_what_runs_is_not_started_again(here: Installation) -> None:
    script = here.stand_in("print('up', flush=True)\nwhile True: time.sleep(60)\n")
    quick = replace(SHORT, start=0.2)
    first = here.supervisor(script, quick).start()
    eventually(here.holder)
    second = here.supervisor(script, quick).start()
    assert (second.pid, second.by_us) == (first.pid, False)
    _, decision = here.guard(here.supervisor(script, quick))._decide()
    assert decision.verdict is Verdict.NOTHING
