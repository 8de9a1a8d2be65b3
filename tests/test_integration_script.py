"""integration_test.py refuses before it touches anything. Its scenarios are a step of ./bot test."""

import contextlib
import fcntl
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from integration.options import parse
from tests.conftest import SCHEMA, Server, connected
from tests.processes import ROOT, ExchangeProcess
from tests.rig import INSERT

NUMBERS = list(range(1, 15))
SECRET = "planted-secret-4711"


def play(folder: Path, *arguments: str, **names: str) -> subprocess.CompletedProcess[str]:
    """Run the script with an .env of its own, as an operator does."""
    values = {
        "APCA_API_KEY_ID": "PKTEST",
        "APCA_API_SECRET_KEY": SECRET,
        "APCA_API_BASE_URL": "http://127.0.0.1:9",
        "DB_HOST": "localhost",
        "DB_USER": "dca",
        "DB_PASSWORD": SECRET,
        "DB_NAME": "dca_test",
        "LOG_DIR": str(folder / "logs"),
        "STATE_DIR": str(folder / "state"),
        **names,
    }
    file = folder / "env"
    file.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))
    file.chmod(0o600)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, str(ROOT / "integration_test.py"), *arguments],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, "DCA_ENV_FILE": str(file)},
    )
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What was said, whatever the lines were broken at."""
    return " ".join((done.stdout + done.stderr).split())


def of(database: DatabaseSettings) -> dict[str, str]:
    return {
        "DB_SOCKET": database.socket or "",
        "DB_USER": database.user,
        "DB_PASSWORD": database.password,
        "DB_NAME": database.name,
    }


def at(exchange: ExchangeProcess) -> dict[str, str]:
    urls = exchange.urls
    return {
        "APCA_API_KEY_ID": urls["key_id"],
        "APCA_API_SECRET_KEY": urls["secret_key"],
        "APCA_API_BASE_URL": urls["trading"],
        "APCA_API_DATA_URL": urls["data"],
        "APCA_API_STREAM_URL": urls["trading_stream"],
        "APCA_DATA_STREAM_URL": urls["data_stream"],
    }


@pytest.fixture
def test_database(server: Server) -> Iterator[DatabaseSettings]:
    """An empty one whose name says that its rows are a test's."""
    made = replace(server.settings, name=f"dca_{secrets.token_hex(4)}_test")
    server.run(f"CREATE DATABASE {made.name} CHARACTER SET utf8mb4")
    yield made
    server.drop(made)


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    process = ExchangeProcess(tmp_path / "exchange.log")
    yield process
    process.stop()


def test_it_lists_what_it_would_do(tmp_path: Path) -> None:
    done = play(tmp_path, "--list")
    assert done.returncode == 0
    assert [int(number) for number in re.findall(r"^ ?(\d+)  \w", done.stdout, re.MULTILINE)] == NUMBERS
    assert done.stdout.count("prerequisite") == done.stdout.count("expects") == len(NUMBERS)
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--only", "2,99"], "there is no scenario 99"),
        (["--only", "two"], "takes numbers like 2,4"),
        (["--local", "--clean-account"], "an account and a database of its own"),
        (["--verbose", "--quiet"], "not allowed with"),
    ],
)
def test_a_mistake_on_the_command_line(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, NUMBERS)
    assert ended.value.code == 2
    assert why in " ".join(capsys.readouterr().err.split())


def test_a_live_account_is_refused_also_when_the_bot_may_trade_it(tmp_path: Path) -> None:
    live = {"APCA_API_BASE_URL": "https://api.alpaca.markets", "ALLOW_LIVE_TRADING": "yes"}
    done = play(tmp_path, **live)
    assert done.returncode == 2
    assert "is a live account" in told(done)


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    done = play(tmp_path, WORKERS="many", APCA_API_KEY_ID="")
    assert done.returncode == 2
    assert "WORKERS" in done.stdout and "APCA_API_KEY_ID is missing" in done.stdout


def test_a_database_that_may_be_the_bots_is_refused(tmp_path: Path) -> None:
    done = play(tmp_path, DB_NAME="dca_bot_db")
    assert done.returncode == 2
    assert "set DB_NAME=dca_bot_db_test" in told(done)


def test_rows_of_another_kind_of_database_are_never_dropped(
    tmp_path: Path, database: DatabaseSettings
) -> None:
    with Store(database) as store:
        store.run_script(INSERT)
    done = play(tmp_path, "--any-database", **of(database))
    assert done.returncode == 2
    assert "has 1 rows, which the test would drop" in told(done)
    with Store(database) as store:
        assert len(store.transaction(lambda tx: tx.assets())) == 1


def test_it_does_not_run_beside_main_app(tmp_path: Path) -> None:
    lock = tmp_path / "state" / "main_app.lock"
    lock.parent.mkdir()
    with lock.open("w") as file:
        file.write("4711\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        done = play(tmp_path)
    assert done.returncode == 2
    assert "main_app.py runs on this account (pid 4711" in told(done)


def test_it_does_not_share_its_database(tmp_path: Path, test_database: DatabaseSettings) -> None:
    """Whoever is connected may be a main_app of another machine."""
    with contextlib.closing(connected(test_database)):
        done = play(tmp_path, **of(test_database))
    assert done.returncode == 2
    assert f"1 other connections use the database {test_database.name}" in told(done)


def test_what_is_in_the_way_is_told_and_goes_only_when_said_so(
    tmp_path: Path, server: Server, test_database: DatabaseSettings, exchange: ExchangeProcess
) -> None:
    """An order and a position of a person on pairs of the test; others on other pairs stay in any case."""
    for symbol in ("UNI/USD", "BTC/USD"):
        exchange.post(
            "/orders",
            symbol=symbol,
            side="buy",
            type="limit",
            time_in_force="gtc",
            qty="3",
            limit_price="4",
            client_order_id=f"mine-{symbol[:3]}",
        )
    exchange.post("/positions", symbol="DOT/USD", qty="5")
    names = {**of(test_database), **at(exchange)}

    def left() -> tuple[list[str], list[str]]:
        state = exchange.get("/state")
        return [order["client_order_id"] for order in state["open_orders"]], list(state["positions"])

    refused = play(tmp_path, "--only", "9", **names)
    assert refused.returncode == 2
    assert "in the way: open order mine-UNI: buy UNI/USD 3 at 4" in told(refused)
    assert "in the way: position DOT/USD: 5" in told(refused)
    assert "mine-BTC" not in told(refused)
    assert left() == (["mine-UNI", "mine-BTC"], ["DOT/USD"])

    done = play(tmp_path, "--only", "9", "--clean-account", **names)
    assert done.returncode == 0, told(done)
    said = told(done)
    assert said.index("cancels and sells all of that now") < said.index("canceled mine-UNI")
    assert left() == (["mine-BTC"], [])
    assert server_rows(server, test_database) == 0


def server_rows(server: Server, database: DatabaseSettings) -> int:
    """What the test left in its database."""
    tables = ("dca_assets", "dca_cycles", "dca_orders", "job_runs")
    counts = [f"(SELECT COUNT(*) FROM {database.name}.{table})" for table in tables]
    return int(server.run(f"SELECT {' + '.join(counts)}")[0][0])


def test_another_bot_on_the_account_is_noticed(
    tmp_path: Path, test_database: DatabaseSettings, exchange: ExchangeProcess
) -> None:
    with Store(test_database) as store:
        store.run_script(SCHEMA.read_text())
    exchange.post(
        "/orders",
        symbol="XRP/USD",
        side="buy",
        type="limit",
        time_in_force="gtc",
        qty="20",
        limit_price="1",
        client_order_id="dca-0badcafe-3-1-b",
    )
    done = play(tmp_path, **of(test_database), **at(exchange))
    assert done.returncode == 2
    assert "another bot trades on this account: its order dca-0badcafe-3-1-b" in told(done)
