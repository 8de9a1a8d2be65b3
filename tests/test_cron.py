"""Real cron: ./bot install, and then nothing but waiting. In minutes, because cron knows nothing shorter."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from dca.watchdog.process import is_locked
from tests.conftest import connected
from tests.processes import ROOT, BotProcess, ExchangeProcess, eventually
from tests.rig import INSERT

CRON = shutil.which("cron", path="/usr/sbin:/usr/bin")
JOBS = {"watchdog", "order_manager", "cooldown_manager", "consistency_checker"}
MINUTE = 75.0
"""Until cron has come round, and the scripts with it."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CRON is None or os.geteuid() != 0, reason="takes Debian's cron and its root"),
]


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    process = ExchangeProcess(tmp_path / "exchange.log")
    yield process
    process.stop()


class Installation:
    """A copy of the program in a folder of its own, with a blank in its path."""

    def __init__(self, folder: Path, exchange: ExchangeProcess, database: DatabaseSettings) -> None:
        self.folder = folder
        self.database = database
        folder.mkdir()
        for script in (
            *ROOT.glob("*.py"),
            ROOT / "bot",
            ROOT / ".env.example",
            ROOT / "run_script_wrapper.sh",
        ):
            shutil.copy(script, folder)
        for package in ("dca", "sql", "launcher"):
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "venv").symlink_to(ROOT / "venv")
        written = folder / "written"
        written.mkdir()
        bot = BotProcess(written, exchange.settings, database)
        names = [line for line in (written / "env").read_text().splitlines() if "_DIR=" not in line]
        (folder / ".env").write_text("\n".join(names) + "\n")
        (folder / ".env").chmod(0o600)
        self._environment = {**bot.environment(), "PYTHONPATH": str(folder)}
        del self._environment["DCA_ENV_FILE"]

    def command(self, *arguments: str) -> str:
        answer = subprocess.run(
            [self.folder / "venv/bin/python", "-m", "dca.operator", *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return answer.stdout + answer.stderr

    def pid(self) -> int:
        """Of the main_app that holds the lock and beats; 0: there is none."""
        with suppress(OSError, ValueError, KeyError):
            beat = json.loads((self.folder / "var" / "main_app.heartbeat.json").read_text())
            holder = (self.folder / "var" / "main_app.lock").read_text().strip()
            if is_locked(self.folder / "var" / "main_app.lock") and holder == str(beat["pid"]):
                return int(holder)
        return 0

    def query(self, sql: str) -> list[Any]:
        connection = connected(self.database)
        with connection.cursor() as cursor:
            cursor.execute(sql)
            rows = list(cursor.fetchall())
        connection.close()
        return rows

    def end(self) -> None:
        """The crontab is as it was: what still runs does not come back."""
        eventually(lambda: not is_locked(self.folder / "var" / "watchdog.lock"), 120)
        if pid := self.pid():
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: not is_locked(self.folder / "var" / "main_app.lock"))


@contextmanager
def crontab_kept() -> Iterator[bytes]:
    """The crontab of this user, put back as it was whatever happens."""
    before = subprocess.run(["crontab", "-l"], capture_output=True)
    assert before.returncode == 0 or b"no crontab for" in before.stderr, before.stderr
    try:
        yield before.stdout
    finally:
        if before.returncode == 0:
            subprocess.run(["crontab", "-"], input=before.stdout, check=True)
        else:
            subprocess.run(["crontab", "-r"], capture_output=True)


@contextmanager
def cron_running() -> Iterator[None]:
    """The daemon of the machine, or one for the time of the test."""
    if subprocess.run(["pgrep", "-x", "cron"], capture_output=True).returncode == 0:
        yield
        return
    assert CRON is not None
    daemon = subprocess.Popen([CRON, "-f"])
    try:
        yield
    finally:
        daemon.terminate()
        daemon.wait(10)


def test_cron_starts_it_keeps_it_alive_and_runs_the_caretakers(
    tmp_path: Path, exchange: ExchangeProcess, empty_database: DatabaseSettings
) -> None:
    installation = Installation(tmp_path / "my bot", exchange, empty_database)
    with ExitStack() as stack:
        stack.callback(installation.end)
        stack.enter_context(cron_running())
        before = stack.enter_context(crontab_kept())
        said = installation.command("install", "--yes")
        assert "the lines are in the crontab" in said, said
        with Store(empty_database) as store:
            store.run_script(INSERT)

        first = eventually(installation.pid, MINUTE)
        orders = "SELECT client_order_id FROM dca_orders WHERE exchange_status = 'filled'"
        (order,) = eventually(lambda: installation.query(orders), 30)

        os.kill(first, signal.SIGKILL)
        second = eventually(lambda: installation.pid() not in (0, first) and installation.pid(), MINUTE)

        os.kill(second, signal.SIGSTOP)  # a minute of silence, SIGTERM, 20 s, SIGKILL, and a new one
        stopped = {0, first, second}
        third = eventually(lambda: installation.pid() not in stopped and installation.pid(), 60 + 2 * MINUTE)

        done = "SELECT DISTINCT job FROM job_runs WHERE result = 'done'"
        eventually(lambda: {job for (job,) in installation.query(done)} >= JOBS, 300)
        assert installation.query("SELECT job, details FROM job_runs WHERE result = 'failed'") == []
        assert installation.query(orders) == [order]
        assert len({first, second, third}) == 3
        for name in JOBS:
            assert no_line_twice(installation.folder / "logs" / f"{name}.log")

        installation.command("uninstall", "--yes")
        assert subprocess.run(["crontab", "-l"], capture_output=True).stdout == before
        assert installation.pid() == third


def no_line_twice(log: Path) -> bool:
    """Lines begin with the time in milliseconds, and say in one what they say."""
    lines = log.read_text().splitlines()
    return bool(lines) and len(lines) == len(set(lines))
