"""F68: with the disk full to the last byte the bot trades on, is started again, and says so."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dca.core.model import CycleStatus
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from tests.processes import ROW, BotProcess, ExchangeProcess, eventually
from tests.trading.test_main_app import held

SCRIPTS = ("order_manager.py", "cooldown_manager.py", "consistency_checker.py", "watchdog.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("mount") is None, reason="a disk is mounted by root"
    ),
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """400 kB for logs and state."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder])
    if made.returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", folder])


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))


def end_all(env_file: Path) -> None:
    """What the watchdog started is no child of ours."""
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if str(env_file).encode() in file.read_bytes() and int(file.parent.name) != os.getpid():
                os.kill(int(file.parent.name), 9)


def test_F68_with_a_full_disk_it_trades_on_and_comes_back(
    tmp_path: Path, disk: Path, database: DatabaseSettings, store: Store
) -> None:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    exchange.price("BTC/USD", "50000")
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    folders = {"LOG_DIR": str(disk / "logs"), "STATE_DIR": str(disk / "state")}
    bot = BotProcess(tmp_path, exchange.settings, database, **folders)
    try:
        bot.start()
        eventually(lambda: held(store) > 0)
        fill(disk)
        exchange.price("BTC/USD", "52000")
        eventually(lambda: store.transaction(lambda tx: tx.cycle(1)).status is CycleStatus.COMPLETE)
        for script in SCRIPTS:
            done = bot.run(script)
            assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert bot.process is not None and bot.process.poll() is None, "an old heartbeat proves nothing then"
        bot.stop()
        assert "started main_app" in bot.run("watchdog.py").stdout
        exchange.price("BTC/USD", "48000")
        eventually(lambda: held(store) > 0, seconds=30)
        incidents = store.transaction(lambda tx: tx.open_incidents())
        assert [each.name for each in incidents] == ["disk full"]
    finally:
        end_all(tmp_path / "env")
        bot.stop()
        exchange.stop()
