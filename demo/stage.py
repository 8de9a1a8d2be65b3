"""Everything that runs during a demo: database server, exchange, bot; put up and taken down."""

import json
import os
import secrets
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from demo.exchange import Exchange
from demo.options import Options
from demo.problems import DemoProblem
from demo.processes import Child
from demo.strategy_values import Values
from demo.tables import Tables
from launcher.database import PrivateServer
from launcher.output import ROOT, VAR

RUNS = VAR / "demo"
KEPT_RUNS = 5
VOLATILITY_PERCENT = 0.32
STALE_ORDER_MINUTES = "0.15"
QUIET_SECONDS = "8"
"""The exchange is on this machine: what it does not know after seconds, it will never know."""
HURRIED = {
    "MAX_ORDERS_PER_MINUTE": "100000",
    "MAX_ORDERS_PER_HOUR": "100000",
}
"""The demo's prices do in seconds what takes hours otherwise."""
USER = "dca_demo"
_KEPT = "keep-database"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is traded, with which values; of a replay, at which speed, how long it then lasts, and what its
    file was taken for."""

    values: Values
    speed: float | None
    lasts_seconds: float | None
    recording: str = ""


class Stage:
    """One run's processes and files. `close` may be called at any time, and again."""

    def __init__(self, options: Options, plan: Plan) -> None:
        self.options = options
        self.plan = plan
        self.folder = _new_folder()
        self.database = "demo_" + self.folder.name.replace("-", "_")
        self.server = PrivateServer()
        self.secrets: list[str] = []
        environment = {"DCA_ENV_FILE": str(self.folder / "env")}
        self.main_app = Child("main_app", [str(ROOT / "main_app.py")], self.folder, environment)
        self.order_manager = Child(
            "order_manager", [str(ROOT / "order_manager.py")], self.folder, environment
        )
        self._exchange: Exchange | None = None
        self._tables: Tables | None = None

    @property
    def exchange(self) -> Exchange:
        assert self._exchange is not None, "the stage is up"
        return self._exchange

    @property
    def tables(self) -> Tables:
        assert self._tables is not None, "the stage is up"
        return self._tables

    @property
    def bot_log(self) -> Path:
        return self.folder / "logs" / "main_app.log"

    def open(self) -> None:
        """Start everything up to the bot.

        Raises:
            DemoProblem, SetUpProblem: if something does not start.
        """
        self.server.start()
        self._drop_old_databases()
        password = secrets.token_hex(16)
        self.server.create_database(self.database, USER, password)
        self.server.load(ROOT / "sql" / "schema.sql", self.database)
        self._tables = Tables(
            socket=str(self.server.socket), user=USER, password=password, database=self.database
        )
        self._exchange = Exchange.start(self._exchange_arguments(), self.folder)
        self.secrets = [password, self._exchange.urls["secret_key"]]
        self._write_environment(password)
        for symbol in self.options.assets:
            self._tables.insert_asset(symbol, self.plan.values)
        self.main_app.start()
        if self.options.replay is not None:
            self._wait_for_streams()
            self._exchange.start_market()

    def close(self) -> None:
        """End every process that was started; the database goes too, unless it is to be kept."""
        self.main_app.stop(3)
        self.order_manager.stop(3)
        if self._exchange is not None:
            self._exchange.stop()
        if self._tables is not None:
            self._tables.close()
            self._tables = None
        if self.options.keep_database:
            (self.folder / _KEPT).touch()
        self.server.stop()

    def _exchange_arguments(self) -> list[str]:
        options = self.options
        arguments = ["--seed", str(options.seed)]
        if options.replay is None:
            return [*arguments, "--market", "walk", "--volatility", str(VOLATILITY_PERCENT)]
        replay = ["--market", "replay", "--replay", str(options.replay), "--symbol", options.assets[0]]
        return [*arguments, *replay, "--speed", str(self.plan.speed), "--paused"]

    def _write_environment(self, password: str) -> None:
        urls = self.exchange.urls
        lines = {
            "APCA_API_KEY_ID": urls["key_id"],
            "APCA_API_SECRET_KEY": urls["secret_key"],
            "APCA_API_BASE_URL": urls["trading"],
            "APCA_API_DATA_URL": urls["data"],
            "APCA_API_STREAM_URL": urls["trading_stream"],
            "APCA_DATA_STREAM_URL": urls["data_stream"],
            "DB_HOST": "localhost",
            "DB_PORT": str(self.server.port),
            "DB_SOCKET": str(self.server.socket),
            "DB_USER": USER,
            "DB_PASSWORD": password,
            "DB_NAME": self.database,
            "STALE_ORDER_MINUTES": STALE_ORDER_MINUTES,
            "QUIET_SECONDS": QUIET_SECONDS,
            **HURRIED,
            "LOG_DIR": str(self.folder / "logs"),
            "STATE_DIR": str(self.folder / "state"),
        }
        path = self.folder / "env"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines(f'{name}="{value}"\n' for name, value in lines.items())

    def _wait_for_streams(self, patience_seconds: float = 20) -> None:
        """Until the bot's heartbeat says that it hears quotes: a recording must not start unheard."""
        deadline = time.monotonic() + patience_seconds
        path = self.folder / "state" / "main_app.heartbeat.json"
        while time.monotonic() < deadline and self.main_app.runs:
            with suppress(OSError, ValueError, KeyError, TypeError):
                if json.loads(path.read_text(encoding="utf-8"))["quotes"]["connected"]:
                    return
            time.sleep(0.1)
        raise DemoProblem(f"main_app did not come up; see {self.bot_log} and {self.main_app.output}")

    def _drop_old_databases(self) -> None:
        """Databases of runs that were cut short, or whose folder is gone; not those to be kept."""
        kept = {f"demo_{each.parent.name.replace('-', '_')}" for each in RUNS.glob(f"*/{_KEPT}")}
        for name in self.server.databases():
            if name.startswith("demo_") and name not in kept:
                self.server.drop_database(name)


def _new_folder() -> Path:
    """A folder for this run; of the older ones only the last few stay."""
    RUNS.mkdir(parents=True, exist_ok=True)
    older = sorted(each for each in RUNS.iterdir() if each.is_dir())
    for folder in older[: -(KEPT_RUNS - 1)]:
        if not (folder / _KEPT).exists():
            shutil.rmtree(folder, ignore_errors=True)
    folder = RUNS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    folder.mkdir(mode=0o700)
    return folder


def ended(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "still running"
    return f"signal {-code}, {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
