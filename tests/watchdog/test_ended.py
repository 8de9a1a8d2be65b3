"""How main_app ended, as the watchdog sees it: died, or asked to stop; and what it says of that."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dca.core.model import Mode
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from dca.watchdog import rules
from dca.watchdog.process import read_memory
from dca.watchdog.rules import Memory
from tests.processes import ROW, BotProcess, ExchangeProcess, eventually
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


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_a_signal_that_somebody_sends_again_and_again_is_no_crash(
    here: Installation, store: Store, number: signal.Signals
) -> None:
    """As a service manager does that ends all that its unit started."""
    supervisor = here.supervisor()
    for _ in range(rules.DEATHS + 1):
        guard = here.guard(supervisor)
        pid = eventually(here.holder)
        assert pid is not None
        eventually(lambda: here.bot.beat().get("pid") == here.holder())
        os.kill(pid, number)
        eventually(lambda: here.holder() is None, 30)
    assert names(guard) == ["main app ended"]
    told = guard.findings[0].evidence
    assert number.name in told and "nobody had stopped it" not in told and "./bot stop" in told
    assert read_memory(here.state).deaths == ()
    assert store.transaction(lambda tx: tx.control()).mode is Mode.RUN


def test_ended_before_it_could_note_it_and_ended_twice(here: Installation) -> None:
    for text in (
        "import os; os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)\n",
        "sys.exit(128 + signal.SIGTERM)\n",
    ):
        guard = here.guard(here.supervisor(here.stand_in(text)))
        assert names(guard) == ["main app ended"]
        assert "SIGTERM" in guard.findings[0].evidence
        assert read_memory(here.state) == Memory()


NOTES_ITS_END = """
import json, os
def end(*_):
    at = "2026-01-01T00:00:00+00:00"
    beat = {"pid": os.getpid(), "started_at": at, "beat_at": at, "asked_to_stop": "SIGTERM"}
    (settings.load().state_dir / "main_app.heartbeat.json").write_text(json.dumps(beat))
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True: time.sleep(60)
"""


def test_a_hung_one_counts_also_if_it_ends_in_good_order(here: Installation) -> None:
    supervisor = here.supervisor(here.stand_in(NOTES_ITS_END), replace(SHORT, terminate=20, start=0.3))
    supervisor.start()
    eventually(lambda: here.bot.says("up"))
    os.utime(here.lock, (1, 1))  # it has held it for long, without a heartbeat
    guard = here.guard(supervisor)
    assert names(guard) == ["main app hung"]
    assert supervisor.children[0].poll() == 0
    assert len(read_memory(here.state).deaths) == 1


def test_what_the_log_says_of_a_death_is_of_that_death(here: Installation) -> None:
    here.bot.log.parent.mkdir(exist_ok=True)
    here.bot.log.write_text("2026-01-01T00:00:00.000Z ERROR crash - - long ago\nValueError: old\n")
    here.bot.start()
    eventually(here.bot.is_trading)
    with here.bot.log.open("a") as log:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        log.write(f"{now} WARNING worker - - ExchangeUnavailable why=x\n")
    here.guard(here.supervisor())
    assert here.bot.signal(signal.SIGKILL) == -signal.SIGKILL
    guard = here.guard(here.supervisor())
    assert names(guard) == ["main app down"]
    assert "Its log does not say why." in guard.findings[0].evidence
    assert "nobody had stopped it" in guard.findings[0].evidence
