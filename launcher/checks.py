"""./bot test: all tests and checks, step by step."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from launcher import mysql, setup
from launcher.commands import spawn, stop
from launcher.database import PrivateServer
from launcher.environment import PYTHON
from launcher.output import ROOT, say

REPLAYS = {
    "BTC/USD": "BTC-USDT_1min_2021-11-11_2021-12-11_binance.csv.gz",
    "SHIB/USD": "SHIB-USDT_1min_2023-02-18_2023-04-04_kucoin.csv.gz",
}
ON_MYSQL = (
    *(
        "tests/database/test_schema.py",
        "tests/database/test_schema_rules.py",
        "tests/database/test_migrate.py",
    ),
    *("tests/database/test_store.py", "tests/database/test_store_reads.py", "tests/proof/test_contract.py"),
    *(
        "tests/trading/test_races.py",
        "tests/trading/test_races_settling.py",
        "tests/database/test_lock_reach.py",
    ),
    *(
        "tests/database/test_plans.py",
        "tests/database/test_upgrade_with_past.py",
        "tests/operator/test_install.py",
    ),
    *(
        "tests/operator/test_install_database.py",
        "tests/database/test_unknown_words.py",
        "tests/database/test_manual_locks.py",
    ),
    *(
        "tests/launcher/test_private_server.py",
        "tests/caretakers/test_consistency.py",
        "tests/alerts/test_review.py",
    ),
)
"""Tests that depend on the database server."""
TEST_USER = "dca_test"
POLL_SECONDS = 0.1
FAST = ("--innodb-flush-log-at-trx-commit=0",)
"""Server options that trade durability for speed: tests do not survive a power cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`data`: folder with recorded market data; `mysql`: folder of a MySQL; `pytest`: arguments passed on."""

    full: bool = False
    data: str | None = None
    mysql: str | None = None
    pytest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A program that must exit with 0. `database`: it gets a server to make databases on. `beside`: it
    mostly waits, so it runs alongside those that compute. `mysql`: the folder of the server it runs on,
    instead of MariaDB."""

    name: str
    command: tuple[str, ...]
    database: bool = False
    beside: bool = False
    mysql: str | None = None


def steps(options: Options) -> list[Step]:
    """The steps to run, in order."""
    slow = ("-m", "") if options.full else ("-m", "not slow")
    found = [
        Step(name="lint", command=("ruff", "check", ".", "bot")),
        Step(name="format", command=("ruff", "format", "--check", ".", "bot")),
        Step(name="types", command=("mypy", "--no-error-summary", ".")),
        Step(name="tests", command=("pytest", "--numprocesses=4", "--durations=5", *slow, *options.pytest)),
        *_proofs(options),
        Step(
            name="integration",
            command=("integration_test", "--local", "--quiet"),
            database=True,
            beside=True,
        ),
        Step(name="demo", command=("demo", "--short"), beside=True),
    ]
    if options.full:
        found.append(Step(name="long demo", command=("demo", "--cycles", "8", "--kill-main-app", "2")))
        found += _replays(options)
        found += _on_mysql(options)
    return found


def _proofs(options: Options) -> list[Step]:
    """The proof under faults: a sample of it every time, most of it with --full (docs/reliability.md has
    the figures of the whole). The tests run 2,000 inputs of the fuzzer and 15 s of chaos."""
    if options.full:
        return [
            Step(name="simulation", command=("proof.simulation", "--seeds", "20000")),
            Step(name="crash points", command=("proof.simulation", "--crash-points", "--sweep")),
            Step(name="fuzz", command=("proof.fuzz", "--inputs", "200000")),
            Step(name="bite", command=("proof.bite",)),
            Step(name="mutate", command=("proof.mutation", "--sample", "3")),
            Step(name="chaos", command=("proof.chaos", "--minutes", "60"), beside=True),
        ]
    places = ("proof.simulation", "--crash-points", "--sweep", "--quick", "--quiet")
    seeds = ("proof.simulation", "--seeds", "200", "--quiet")
    return [
        Step(name="simulation", command=seeds, beside=True),
        Step(name="crash points", command=places, beside=True),
        Step(name="bite", command=("proof.bite", "--sample", "5"), beside=True),
    ]


def _on_mysql(options: Options) -> list[Step]:
    """The tests that depend on the server, and a demo, on MySQL if there is one."""
    if options.mysql is None:
        say(f"MySQL: skipped, {mysql.VARIABLE} is not set (docs/development.md says how to get one)")
        return []
    tests = ("pytest", "--numprocesses=2", *ON_MYSQL)
    return [
        Step(name="tests on MySQL", command=tests, mysql=options.mysql),
        Step(name="demo on MySQL", command=("demo", "--short"), mysql=options.mysql),
    ]


def _replays(options: Options) -> list[Step]:
    """Replays of recorded data, if there is any."""
    folder = Path(options.data) if options.data else ROOT.parent / "shared" / "data"
    found = []
    for symbol, name in REPLAYS.items():
        if (folder / name).is_file():
            command = ("demo", "--replay", str(folder / name), "--symbol", symbol)
            found.append(Step(name=f"replay of {symbol}", command=command))
        else:
            say(f"replay of {symbol}: skipped, {name} is not in {folder} (set the folder with --data DIR)")
    return found


def main(options: Options) -> int:
    """Run all steps, even after a failure; returns 0 if none failed."""
    started = time.monotonic()
    options = replace(options, mysql=os.environ.pop(mysql.VARIABLE, None))  # for its own steps only
    setup.ensure(development=True, database=True)
    wanted = steps(options)
    failed = Lanes(wanted).run()
    seconds = time.monotonic() - started
    if failed:
        say(f"test: FAILED: {', '.join(failed)} ({len(failed)} of {len(wanted)} steps, {seconds:.0f} s)")
        return 1
    say(f"test: all {len(wanted)} steps passed in {seconds:.0f} s")
    return 0


@dataclass(slots=True)
class Running:
    """A running step. Its output is shown when it has ended, as two steps run at once."""

    step: Step
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    needs: ExitStack
    started: float


class Lanes:
    """Two lists to run side by side: steps that mostly compute, and steps that mostly wait."""

    def __init__(self, wanted: Sequence[Step]) -> None:
        self._waiting = [deque(each for each in wanted if each.beside == beside) for beside in (False, True)]
        self._running: list[Running | None] = [None, None]
        self._failed: list[str] = []

    def run(self) -> list[str]:
        """The names of the steps that failed."""
        try:
            while any(self._waiting) or any(self._running):
                for lane in range(len(self._waiting)):
                    self._look_at(lane)
                time.sleep(POLL_SECONDS)
        finally:
            for running in filter(None, self._running):  # none, unless we were interrupted
                stop(running.process, 15)
                running.needs.close()
        return self._failed

    def _look_at(self, lane: int) -> None:
        running = self._running[lane]
        if running is not None and running.process.poll() is not None:
            self._running[lane] = None
            self._end(running)
        if self._running[lane] is None and self._waiting[lane]:
            self._running[lane] = _start(self._waiting[lane].popleft())

    def _end(self, running: Running) -> None:
        code = running.process.returncode
        running.output.seek(0)
        with running.needs:
            say(f"\n== {running.step.name}: {' '.join(running.step.command)}")
            sys.stdout.flush()
            sys.stdout.buffer.write(running.output.read())
            sys.stdout.buffer.flush()
        seconds = time.monotonic() - running.started
        say(f"== {running.step.name}: {'ok' if code == 0 else f'FAILED ({code})'} in {seconds:.1f} s")
        if code != 0:
            self._failed.append(running.step.name)


def _start(step: Step) -> Running:
    """Run a module of the virtual environment in the project's folder; it ends when we do."""
    started = time.monotonic()
    needs = ExitStack()
    known = _test_server(needs) if step.database else {}
    if step.mysql is not None:
        known = {mysql.VARIABLE: step.mysql}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **known}
    output = needs.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - `needs` closes it
    process = spawn([PYTHON, "-m", *step.command], cwd=ROOT, env=environment, output=output)
    return Running(step=step, process=process, output=output, needs=needs, started=started)


def _test_server(needs: ExitStack) -> Mapping[str, str]:
    """Start a database server for a step; what tells the step where it is."""
    server = needs.enter_context(PrivateServer(options=FAST))
    password = secrets.token_hex(16)
    server.create_user(TEST_USER, password)
    return {
        "DCA_TEST_DB_SOCKET": str(server.socket),
        "DCA_TEST_DB_PORT": str(server.port),
        "DCA_TEST_DB_USER": TEST_USER,
        "DCA_TEST_DB_PASSWORD": password,
    }
