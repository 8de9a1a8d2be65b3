"""A start that is refused: what can heal is waited for, by a main_app that beats, and told in one mail."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dca.core.model import Mode
from dca.database.store import Store
from dca.operator.setup import migrate
from dca.runtime.heartbeat import Hurdle
from dca.runtime.settings import DatabaseSettings
from dca.watchdog.process import read_memory
from tests.processes import ROOT, ROW, BotProcess, ExchangeProcess, eventually


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    yield exchange
    exchange.stop()


@dataclass
class Installation:
    """A bot whose main_app is down, and the watchdog that cron runs."""

    bot: BotProcess

    def watchdog(self) -> str:
        """A run of it; returns what it said."""
        done = self.bot.run("watchdog.py")
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done.stdout

    def pid(self) -> int:
        return int((self.bot.folder / "state" / "main_app.lock").read_text())

    def waits_for(self) -> str | None:
        """What main_app says that it waits for; the same process must be alive for it."""
        found: str | None = self.bot.beat().get("waiting_for")
        return found

    def incidents_begun(self) -> list[str]:
        log = (self.bot.folder / "logs" / "watchdog.log").read_text().splitlines()
        return [line.split('why="')[1].split(":")[0] for line in log if "incident - - begins" in line]

    def close(self) -> None:
        self.bot.kill_holder()


@pytest.fixture
def here(tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings) -> Iterator[Installation]:
    with Store(database) as store:
        store.run_script(ROW.format(symbol="BTC/USD", base=20))
    here = Installation(BotProcess(tmp_path, exchange.settings, database))
    yield here
    here.close()


WRONG = {
    "keys": ({"APCA_API_SECRET_KEY": "wrong-secret-key"}, Hurdle.KEYS, "keys refused"),
    "password": ({"DB_PASSWORD": "wrong-password"}, Hurdle.DATABASE, "database down"),
    "database": ({"DB_NAME": "dca_elsewhere"}, Hurdle.DATABASE, "database down"),
    "exchange": ({"APCA_API_BASE_URL": "http://127.0.0.1:9"}, Hurdle.EXCHANGE, "exchange down"),
}


@pytest.mark.parametrize(
    "name",
    ["keys", "password", *(pytest.param(each, marks=pytest.mark.slow) for each in ("database", "exchange"))],
)
def test_wrong_settings_are_waited_out_and_read_again(here: Installation, name: str) -> None:
    wrong, hurdle, incident = WRONG[name]
    right = {each: here.bot.values[each] for each in wrong}
    here.bot.write(**wrong)
    for _ in range(7):  # more than what is taken for a crash loop
        here.watchdog()
        eventually(lambda: here.waits_for() == hurdle)
    pid = here.pid()
    assert here.incidents_begun() == [incident]
    assert read_memory(here.bot.folder / "state").deaths == ()
    assert len(here.bot.says("waiting")) == 1, "told once"
    for secret in ("wrong-secret-key", "wrong-password"):
        assert secret not in here.bot.heartbeat.read_text() + here.bot.log.read_text()

    here.bot.write(**right)
    eventually(here.bot.is_trading, 30)
    assert here.pid() == pid, "it began anew as the same process, and never gave its lock away"
    assert len(here.bot.says("begins anew")) == 1
    here.watchdog()
    here.watchdog()
    assert here.incidents_begun() == [incident]


def test_a_stream_s_wrong_address_is_read_again_too(here: Installation) -> None:
    """main_app gets through its start with it, and trades nothing."""
    right = here.bot.values["APCA_DATA_STREAM_URL"]
    here.bot.write(APCA_DATA_STREAM_URL="ws://127.0.0.1:9/nowhere")
    here.bot.start()
    eventually(lambda: here.bot.says("quote stream"))
    here.bot.write(APCA_DATA_STREAM_URL=right, DB_PORT="many")
    eventually(lambda: here.bot.says(".env makes no sense"), 30)
    here.bot.write(DB_PORT="3306")
    eventually(here.bot.is_trading, 30)
    assert here.bot.process is not None and here.bot.process.poll() is None
    assert here.bot.signal(signal.SIGTERM) == 0


def test_settings_that_change_while_all_is_well_wait_for_the_next_start(here: Installation) -> None:
    here.bot.start()
    eventually(here.bot.is_trading)
    here.bot.write(MAX_SPREAD_PERCENT="3")
    before = here.bot.beat()["beat_at"]
    eventually(lambda: here.bot.beat()["beat_at"] > before)
    assert not here.bot.says("begins anew")
    assert here.bot.signal(signal.SIGTERM) == 0


def test_a_clock_that_is_wrong_after_boot_is_waited_for(here: Installation, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("7200")
    here.bot.more_environment = {
        "PYTHONPATH": f"{ROOT / 'proof' / 'chaos' / 'clockwork'}:{ROOT}",
        "CHAOS_CLOCK_FILE": str(clock),
    }
    for _ in range(6):
        here.watchdog()
        eventually(lambda: here.waits_for() == Hurdle.OTHER)
    assert "clock is 7200 s ahead" in here.bot.beat()["waiting_why"]
    assert here.incidents_begun() == ["start refused"]
    pid = here.pid()
    clock.write_text("0")
    eventually(here.bot.is_trading)
    here.watchdog()
    assert here.pid() == pid
    assert here.incidents_begun() == ["start refused"]


@pytest.mark.parametrize("version", [0, *(pytest.param(each, marks=pytest.mark.slow) for each in (2, 4))])
def test_a_git_pull_before_migrate_is_waited_for(
    tmp_path: Path, exchange: ExchangeProcess, empty_database: DatabaseSettings, version: int
) -> None:
    with Store(empty_database) as store:
        for file in migrate.files()[:version]:
            store.run_script(migrate.RECORD + file.read_text() + migrate.record_of(file))
    here = Installation(BotProcess(tmp_path, exchange.settings, empty_database))
    try:
        for _ in range(6):
            here.watchdog()
            eventually(lambda: here.waits_for() == Hurdle.SCHEMA)
        assert here.incidents_begun() == ["start refused"]
        pid = here.pid()
        done = here.bot.python("-m", "dca.operator.setup.migrate")
        assert done.returncode == 0, done.stderr
        eventually(here.bot.is_trading, 30)
        assert here.pid() == pid
        with Store(empty_database) as store:
            assert store.transaction(lambda tx: tx.control()).mode is Mode.RUN
        assert "main_app is running" in here.bot.python("-m", "dca.operator.setup.migrate").stderr
    finally:
        here.close()


@pytest.mark.slow
def test_a_newer_program_is_picked_up_by_one_that_waits(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings
) -> None:
    """The tables are a version ahead; then the program is updated too."""
    copy = tmp_path / "project"
    copy.mkdir()
    _link_project(copy)
    store_file = copy / "dca" / "database" / "store.py"
    new = store_file.read_text()
    old = new.replace("SCHEMA_VERSION = ", "SCHEMA_VERSION = -1 + ")
    store_file.write_text(old)
    here = Installation(BotProcess(tmp_path, exchange.settings, database))
    here.bot.root = copy
    here.bot.start()
    try:
        eventually(lambda: here.waits_for() == Hurdle.SCHEMA)
        assert "newer than this program's" in here.bot.beat()["waiting_why"]
        store_file.write_text(new)
        eventually(here.bot.is_trading, 40)
        assert here.bot.says("the program was updated")
        assert here.bot.signal(signal.SIGTERM) == 0
    finally:
        here.bot.stop()


def _link_project(copy: Path) -> None:
    """A copy of the sources, which main_app takes for its own folder."""
    for file in [ROOT / "main_app.py", *(ROOT / "dca").rglob("*.py")]:
        target = copy / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_asked_to_stop_while_it_waits(here: Installation, number: signal.Signals) -> None:
    here.bot.write(APCA_API_SECRET_KEY="wrong-secret-key")
    here.bot.start()
    eventually(lambda: here.waits_for() == Hurdle.KEYS)
    assert here.bot.signal(number) == 0
    assert here.bot.beat()["asked_to_stop"] == number.name
