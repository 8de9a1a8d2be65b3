"""The caretakers as cron runs them: processes with a result line, a row in job_runs and an exit code."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dca.core.operations import JobRun, Result
from dca.database.store import Store
from dca.runtime import maintenance
from dca.runtime.maintenance import Maintenance
from dca.runtime.settings import DatabaseSettings
from tests.processes import ROOT, ROW, BotProcess, ExchangeProcess

CARETAKERS = ("order_manager", "cooldown_manager", "consistency_checker")
RESULT = re.compile(r"INFO  run - - checked (\d+) changed (\d+) in \d+\.\d\ds")


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    yield exchange
    exchange.stop()


@pytest.fixture
def bot(tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings, store: Store) -> BotProcess:
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    return BotProcess(tmp_path, exchange.settings, database)


def last_run(store: Store, name: str) -> JobRun | None:
    return store.transaction(lambda tx: tx.last_runs()).get(name)


def log(bot: BotProcess, name: str) -> str:
    return (bot.folder / "logs" / f"{name}.log").read_text()


@pytest.mark.parametrize("name", CARETAKERS)
def test_a_run_leaves_one_result_line_and_one_row(name: str, bot: BotProcess, store: Store) -> None:
    before = datetime.now(UTC)
    done = bot.run(f"{name}.py")
    assert (done.returncode, done.stderr) == (0, "")
    found = RESULT.findall(log(bot, name))
    assert len(found) == 1
    assert done.stdout == log(bot, name)
    run = last_run(store, name)
    assert run is not None
    assert run.result is Result.DONE
    assert (run.checked, run.changed) == tuple(map(int, found[0]))
    assert run.ended_at is not None
    assert before - timedelta(seconds=1) < run.started_at <= run.ended_at


@pytest.mark.parametrize("name", CARETAKERS)
def test_with_cron_s_redirection_no_line_is_there_twice(name: str, bot: BotProcess) -> None:
    (bot.folder / "logs").mkdir()
    path = bot.folder / "logs" / f"{name}.log"
    with path.open("ab") as cron:
        bot.process = subprocess.Popen(
            [sys.executable, ROOT / f"{name}.py"], cwd="/", stdout=cron, stderr=cron, env=bot.environment()
        )
        assert bot.process.wait(60) == 0
    lines = path.read_text().splitlines()
    assert len(lines) == len(set(lines)) > 0
    assert len(RESULT.findall(path.read_text())) == 1


def test_F63_ten_at_once_are_one(bot: BotProcess, store: Store) -> None:
    command = [sys.executable, str(ROOT / "cooldown_manager.py")]
    copies = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=bot.environment()) for _ in range(10)
    ]
    said = [copy.communicate(timeout=60)[0] for copy in copies]
    assert [copy.returncode for copy in copies] == [0] * 10
    ran = [text for text in said if RESULT.search(text)]
    refused = [text for text in said if "already running" in text]
    assert len(ran) + len(refused) == 10
    assert len(ran) == len(store.transaction(lambda tx: tx._rows("SELECT id FROM job_runs"))) >= 1


@pytest.mark.parametrize("name", CARETAKERS)
def test_a_dry_run_says_so_and_writes_nothing(name: str, bot: BotProcess, store: Store) -> None:
    store.run_script("UPDATE dca_assets SET is_enabled = TRUE;\n")
    done = bot.run(f"{name}.py", "--dry-run")
    assert done.returncode == 0
    if name == "consistency_checker":
        assert "dry-run BTC/USD - would start a cycle: there is no live one" in done.stdout
    assert store.transaction(lambda tx: tx.live_cycles()) == []
    assert last_run(store, name) is None


@pytest.mark.parametrize("name", CARETAKERS)
def test_during_maintenance_they_stand_down_and_say_so(name: str, bot: BotProcess, store: Store) -> None:
    state = bot.folder / "state"
    state.mkdir()
    until = datetime.now(UTC) + timedelta(hours=2)
    maintenance.begin(state, Maintenance(until=until, who="me", why="a new disk"))
    done = bot.run(f"{name}.py")
    assert done.returncode == 0
    assert f"standing down until {until:%Y-%m-%d %H:%M:%S} UTC" in done.stdout
    assert 'why="a new disk"' in done.stdout
    run = last_run(store, name)
    assert run is not None and run.result is Result.STOOD_DOWN
    maintenance.begin(
        state, Maintenance(until=datetime.now(UTC) - timedelta(seconds=1), who="me", why="over")
    )
    assert RESULT.search(bot.run(f"{name}.py").stdout)


@pytest.mark.parametrize("name", ["order_manager", "consistency_checker"])
def test_an_exchange_that_is_down_fails_the_run_in_one_line(
    name: str, bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    exchange.fault("get.error", count=100, code=503)
    done = bot.run(f"{name}.py")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    run = last_run(store, name)
    assert run is not None and run.result is Result.FAILED
    assert run.details is not None and "503" in run.details


def test_settings_that_are_wrong_end_with_2_and_say_which(tmp_path: Path) -> None:
    (tmp_path / "env").write_text(f"DB_PORT=many\nSTATE_DIR={tmp_path}\n")
    env = {"PATH": "/usr/bin:/bin", "DCA_ENV_FILE": str(tmp_path / "env")}
    for name in CARETAKERS:
        done = subprocess.run([sys.executable, ROOT / f"{name}.py"], capture_output=True, text=True, env=env)
        assert done.returncode == 2
        assert "APCA_API_KEY_ID is missing" in done.stderr and "DB_PORT is 'many'" in done.stderr


def test_a_database_that_is_down_fails_the_run_in_one_line(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings
) -> None:
    bot = BotProcess(tmp_path, exchange.settings, database, DB_SOCKET="/nowhere/socket")
    for name in CARETAKERS:
        done = bot.run(f"{name}.py")
        assert done.returncode == 1
        assert "Traceback" not in done.stdout + done.stderr
        assert "database" in done.stdout


def test_a_run_that_hangs_is_ended(tmp_path: Path, bot: BotProcess) -> None:
    script = tmp_path / "hangs.py"
    script.write_text(
        "import sys, threading\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from dca.caretakers import job\n"
        "sys.exit(job.run('hangs', lambda job: threading.Event().wait(), 'waits', seconds=0.5))\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=30, env=bot.environment()
    )
    assert done.returncode == 1
    assert "hangs took longer than 0.5 s and was ended" in done.stdout
