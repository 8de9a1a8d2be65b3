"""./bot test: everything that must hold, step by step."""

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher import setup
from launcher.commands import spawn, stop
from launcher.database import PrivateServer
from launcher.environment import PYTHON
from launcher.output import ROOT, say

REPLAYS = {
    "BTC/USD": "BTC-USDT_1min_2021-11-11_2021-12-11_binance.csv.gz",
    "SHIB/USD": "SHIB-USDT_1min_2023-02-18_2023-04-04_kucoin.csv.gz",
}
TEST_USER = "dca_test"
FAST = ("--innodb-flush-log-at-trx-commit=0",)
"""Tests do not outlive a power cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`data`: folder with recorded market data; `pytest`: arguments passed on."""

    full: bool = False
    data: str | None = None
    pytest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A program that must end with 0. `database`: it gets a server to make databases on."""

    name: str
    command: tuple[str, ...]
    database: bool = False


def steps(options: Options) -> list[Step]:
    """What is run, in this order."""
    slow = ("-m", "") if options.full else ("-m", "not slow")
    found = [
        Step(name="lint", command=("ruff", "check", ".", "bot")),
        Step(name="format", command=("ruff", "format", "--check", ".", "bot")),
        Step(name="types", command=("mypy", "--no-error-summary", ".")),
        Step(name="tests", command=("pytest", "--numprocesses=3", "--durations=5", *slow, *options.pytest)),
        Step(name="integration", command=("integration_test", "--local", "--quiet"), database=True),
        Step(name="demo", command=("demo", "--short")),
    ]
    if options.full:
        found.append(Step(name="long demo", command=("demo", "--cycles", "8", "--kill-main-app", "2")))
        found += _replays(options)
    return found


def _replays(options: Options) -> list[Step]:
    """Replays of recorded data, where there is some."""
    folder = Path(options.data) if options.data else ROOT.parent / "shared" / "data"
    found = []
    for symbol, name in REPLAYS.items():
        if (folder / name).is_file():
            command = ("demo", "--replay", str(folder / name), "--symbol", symbol)
            found.append(Step(name=f"replay of {symbol}", command=command))
        else:
            say(f"replay of {symbol}: left out, {name} is not in {folder} (--data DIR says where)")
    return found


def main(options: Options) -> int:
    """Run all steps, also after a failure; returns 0 if none failed."""
    started = time.monotonic()
    setup.ensure(development=True, database=True)
    wanted = steps(options)
    failed = [step.name for step in wanted if _run(step) != 0]
    seconds = time.monotonic() - started
    if failed:
        say(f"test: FAILED: {', '.join(failed)} ({len(failed)} of {len(wanted)} steps, {seconds:.0f} s)")
        return 1
    say(f"test: all {len(wanted)} steps passed in {seconds:.0f} s")
    return 0


def _run(step: Step) -> int:
    started = time.monotonic()
    say(f"\n== {step.name}: {' '.join(step.command)}")
    if step.database:
        with PrivateServer(options=FAST) as server:
            password = secrets.token_hex(16)
            server.create_user(TEST_USER, password)
            known = {
                "DCA_TEST_DB_SOCKET": str(server.socket),
                "DCA_TEST_DB_PORT": str(server.port),
                "DCA_TEST_DB_USER": TEST_USER,
                "DCA_TEST_DB_PASSWORD": password,
            }
            code = _call(step.command, known)
    else:
        code = _call(step.command, {})
    say(f"== {step.name}: {'ok' if code == 0 else f'FAILED ({code})'} in {time.monotonic() - started:.1f} s")
    return code


def _call(command: tuple[str, ...], extra: Mapping[str, str]) -> int:
    """Run a module of the virtual environment in the project's folder, as long as we live."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **extra}
    process = spawn([PYTHON, "-m", *command], cwd=ROOT, env=environment)
    try:
        return process.wait()
    except BaseException:
        stop(process, 15)
        raise
