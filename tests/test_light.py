"""What a script imports and asks: a caretaker with nothing to do is a process a minute, for years.

Whole processes, and everything that they imported on the way, also inside functions: the interpreter itself
tells it (-X importtime).
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dca.core.model import CycleStatus
from dca.core.operations import Result
from dca.database.store import Store
from dca.runtime.clock import SystemClock
from dca.runtime.heartbeat import Heartbeat
from dca.runtime.settings import DatabaseSettings
from dca.watchdog.run import KEYS_GOOD_FOR
from paper_exchange.pairs import all_pairs
from tests.conftest import Server
from tests.processes import ROOT, BotProcess, ExchangeProcess
from tests.rig import INSERT

NOBODYS = {
    *("pandas", "numpy", "pytz", "sseclient", "rich", "aiohttp"),
    *("alpaca.trading", "alpaca.data", "alpaca.broker"),
    *("paper_exchange", "demo", "launcher", "tests", "dca.operator", "dca.core.report_rows"),
}
STREAMS = {"asyncio", "websockets", "msgpack", "dca.exchange.streams"}
REST = {"alpaca", "requests", "urllib3", "pydantic", "http.client", "dca.exchange.rest_client"}
MAIL = {"smtplib", "email", "dca.alerts.smtp", "urllib.request"}
IDLE = {"argparse", "dca.alerts.lock_details"}
"""What a run by cron needs only when there is something to do."""

WITHOUT = {
    "cooldown_manager": NOBODYS | STREAMS | REST | MAIL | IDLE,
    "watchdog": NOBODYS | STREAMS | REST | MAIL | IDLE,
    "order_manager": NOBODYS | STREAMS | {"smtplib", "dca.alerts.smtp", "argparse"},
    "consistency_checker": NOBODYS | STREAMS | {"smtplib", "dca.alerts.smtp", "argparse"},
}
MOST_STATEMENTS = {"cooldown_manager": 28, "watchdog": 64, "order_manager": 28, "consistency_checker": 120}
"""For twenty assets, and with the session's own, eight for each connection."""


class Quiet:
    """An installation where all is well, with a main_app that holds its lock and beats."""

    def __init__(self, folder: Path, exchange: ExchangeProcess, database: DatabaseSettings) -> None:
        self.bot = BotProcess(folder, exchange.settings, database)
        state = folder / "state"
        state.mkdir()
        self._lock = (state / "main_app.lock").open("w")
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._beat()

    def _beat(self) -> None:
        streams = {"connected": True}
        Heartbeat(self.bot.heartbeat, SystemClock()).beat({"quotes": streams, "orders": streams})

    def imported_by(self, name: str) -> set[str]:
        """Run a script to its end; every module that it imported, and every package that one is in."""
        self._beat()
        command = [sys.executable, "-X", "importtime", str(ROOT / f"{name}.py")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.bot.environment())
        assert done.returncode == 0, done.stdout + done.stderr[-500:]
        lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
        return {line.rpartition("|")[2].strip() for line in lines}

    def close(self) -> None:
        self._lock.close()


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    process = ExchangeProcess(tmp_path_factory.mktemp("exchange") / "log")
    yield process
    process.stop()


@pytest.fixture
def quiet(
    tmp_path: Path, exchange: ExchangeProcess, ready: Store, database: DatabaseSettings
) -> Iterator[Quiet]:
    def order_manager_ran(ago: timedelta) -> None:
        now = datetime.now(UTC)
        run = ready.transaction(lambda tx: tx.begin_run("order_manager", now - ago))
        ready.transaction(
            lambda tx: tx.end_run(run, Result.DONE, now - ago, checked=0, changed=0, details=None)
        )

    order_manager_ran(timedelta(seconds=50))
    symbols = sorted({*all_pairs()} - {"BTC/USD", "ETH/USD"})
    ready.run_script("".join(INSERT.replace("BTC/USD", symbol) for symbol in symbols))
    for number in range(len(symbols)):
        ready.transaction(lambda tx, number=number: tx.insert_cycle(3 + number, CycleStatus.WATCHING))  # type: ignore[misc]
    made = Quiet(tmp_path, exchange, database)
    yield made
    made.close()


@pytest.mark.parametrize("name", WITHOUT)
def test_a_caretaker_with_nothing_to_do_is_light(quiet: Quiet, server: Server, name: str) -> None:
    statements = _statements(server)
    imported = quiet.imported_by(name)
    statements = _statements(server) - statements
    assert {"dca.database.store", "mysql.connector"} <= imported
    assert imported & WITHOUT[name] == set()
    assert statements <= MOST_STATEMENTS[name]


def test_the_keys_are_asked_for_when_nobody_else_was_answered(quiet: Quiet, ready: Store) -> None:
    ready.transaction(
        lambda tx: tx._write("UPDATE job_runs SET started_at = started_at - INTERVAL 2 MINUTE", [])
    )
    assert timedelta(minutes=2) > KEYS_GOOD_FOR > timedelta(seconds=65), "the next of its runs is in time"
    assert "alpaca.common.rest" in quiet.imported_by("watchdog")


def test_main_app_needs_no_table_library_and_no_mail() -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import main_app"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-500:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"dca.exchange.streams", "alpaca.common.rest"} <= imported
    assert imported & (NOBODYS | {"smtplib", "dca.alerts.smtp"}) == set()


def _statements(server: Server) -> int:
    """How many statements the server has had from anybody, this one among them."""
    return int(server.run("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])
