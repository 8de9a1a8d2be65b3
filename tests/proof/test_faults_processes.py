"""Faults of the catalogue (docs/faults.md) that only whole processes show, each by its number."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dca.core.model import LockKind
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from tests.operating import NO_EXCHANGE
from tests.processes import ROOT, ROW, BotProcess, ExchangeProcess, eventually
from tests.trading.test_main_app import held


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    exchange.price("BTC/USD", "50000")
    exchange.price("ETH/USD", "2000")
    yield exchange
    exchange.stop()


@pytest.fixture
def bot(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings, store: Store
) -> Iterator[BotProcess]:
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    bot = BotProcess(tmp_path, exchange.settings, database)
    yield bot
    bot.stop()


@pytest.mark.slow
def test_F69_with_the_order_stream_taken_by_another_client_fills_are_asked_for(
    bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    exchange.fault("ws.refuse", count=1000, status=429)
    bot.start()
    eventually(lambda: held(store) > 0, seconds=40)
    beat = bot.beat()
    assert not beat["orders"]["connected"]
    assert "stream order stream" in beat["troubles"]


def test_F45_after_three_deaths_over_one_asset_it_is_locked_and_the_others_trade(
    bot: BotProcess, store: Store
) -> None:
    """That each death is counted: test_faults_running.py."""
    store.run_script(ROW.format(symbol="ETH/USD", base=20))
    state = bot.folder / "state"
    state.mkdir()
    (state / "main_app.failures.json").write_text(json.dumps({"BTC/USD": 3, "ETH/USD": 2}))
    bot.start()
    eventually(lambda: held(store, 2) > 0, seconds=40)
    poisoned, well = store.transaction(lambda tx: tx.assets())
    assert poisoned.lock_kind is LockKind.CRASH
    assert "died 3 times over it" in (poisoned.lock_reason or "")
    assert well.lock_reason is None
    cycle = store.transaction(lambda tx: tx.live_cycle(poisoned.id))
    assert cycle is None, "it begins none while it is locked"


@pytest.fixture
def scripts(tmp_path: Path, database: DatabaseSettings) -> BotProcess:
    """An installation without an exchange."""
    return BotProcess(tmp_path, NO_EXCHANGE, database)


THREAD_DIES = """
import threading
from dca.runtime import script

def work(context):
    threading.Thread(target=lambda: 1 / 0).start()
    assert context.stopping.wait(20)

raise SystemExit(script.run("stand_in", work))
"""


def test_F10_a_thread_that_dies_takes_the_process_with_it(scripts: BotProcess) -> None:
    done = subprocess.run(
        [sys.executable, "-c", THREAD_DIES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        env=scripts.environment(),
    )
    assert done.returncode == 1
    assert "died of a bug" in done.stdout and "ZeroDivisionError" in done.stdout


DUMPS = """
import resource
from dca.runtime import script

def work(context):
    print("may dump", resource.getrlimit(resource.RLIMIT_CORE)[0])

raise SystemExit(script.run("stand_in", work))
"""


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_CORE)[1] == 0, reason="none is allowed here anyway")
def test_F53_no_core_dump_is_written(scripts: BotProcess) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -c 1000 2>/dev/null; exec "$0" -c "$1"', sys.executable, DUMPS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        env=scripts.environment(),
    )
    assert "may dump 0" in done.stdout
