"""All that runs during a chaos run, put up and taken down: database server, exchange, links, cron."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from demo.processes import minimal_environment
from demo.strategy_values import Values
from demo.tables import Tables
from launcher.database import PrivateServer
from launcher.output import ROOT, VAR
from proof.chaos import processes
from proof.chaos.bourse import Bourse
from proof.chaos.cron import PERIODS, SMOKE_PERIODS, Cron
from proof.chaos.disk import Disk
from proof.chaos.kinds import LINKS, Pace

RUNS = VAR / "chaos"
KEPT_RUNS = 4
SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD", "LTC/USD", "DOGE/USD", "AVAX/USD")
USER = "dca_chaos"
CLOCKWORK = Path(__file__).resolve().parent / "clockwork"
DEVIATION = Values(
    max_safety_orders=4,
    safety_order_deviation=Values().safety_order_deviation,
    cooldown_period=4,
)
HURRIED = {
    "MAX_ORDERS_PER_MINUTE": "1000",
    "MAX_ORDERS_PER_HOUR": "100000",
    "MAX_REQUESTS_PER_MINUTE": "600",
}
"""Prices and caretakers do in seconds what takes minutes or hours otherwise."""


class ChaosProblem(Exception):
    """The run itself does not work; the text is the line to show."""


class Links:
    """The process of proxies, and how to talk to it."""

    def __init__(self, upstreams: dict[str, int], folder: Path) -> None:
        with (folder / "links.out").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "proof.chaos.links", json.dumps(upstreams)],
                cwd=ROOT,
                env=minimal_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        self.ports: dict[str, int] = self._answer()

    def do(self, **command: object) -> dict[str, Any]:
        """Carry out a command of proof.chaos.links."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChaosProblem("the process of proxies has died")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class World:
    """One run's processes and files. `close` may be called at any time, and again."""

    def __init__(self, seed: int, pace: Pace) -> None:
        self.seed = seed
        self.pace = pace
        self.symbols = SYMBOLS[:4] if pace.smoke else SYMBOLS
        self.folder = _new_folder()
        self.env_file = self.folder / "env"
        self.disk = Disk(self.folder, self.env_file)
        self.state_dir = self.disk.folder / "state"
        self.log_dir = self.disk.folder / "logs"
        self.clock_file = self.folder / "clock_offset"
        self.database = "chaos_" + self.folder.name.replace("-", "_")
        self.server = PrivateServer(VAR / "chaos-db")
        self.clock_offset = 0.0
        self.clock_steps: list[tuple[datetime, float]] = []
        self.database_answers = False
        self.exchange_answers = False
        self.secrets: list[str] = []
        self.environment = {
            "DCA_ENV_FILE": str(self.env_file),
            "CHAOS_CLOCK_FILE": str(self.clock_file),
            "PYTHONPATH": f"{CLOCKWORK}{os.pathsep}{ROOT}",
        }
        periods = SMOKE_PERIODS if pace.smoke else PERIODS
        self.cron = Cron(self.folder, self.environment, periods)
        self.cron.paused = True
        self._bourse: Bourse | None = None
        self._links: Links | None = None
        self._tables: Tables | None = None
        self._password = secrets.token_hex(16)

    @property
    def bourse(self) -> Bourse:
        assert self._bourse is not None, "the world is open"
        return self._bourse

    @property
    def links(self) -> Links:
        assert self._links is not None, "the world is open"
        return self._links

    def open(self) -> None:
        """Raises:
        ChaosProblem, DemoProblem, SetUpProblem: something does not start.
        """
        processes.adopt_orphans()
        self.disk.open(may_mount=not self.pace.smoke)
        self.server.start()
        for name in self.server.databases():
            self.server.drop_database(name)
        self.server.create_database(self.database, USER, self._password)
        self.server.load(ROOT / "sql" / "schema.sql", self.database)
        self.database_answers = True
        arguments = ["--seed", str(self.seed), "--volatility", "0.32", "--partial-percent", "30"]
        arguments += ["--market", "walk", "--rate-limit", "900"]
        self._bourse = cast(Bourse, Bourse.start(arguments, self.folder))
        self.exchange_answers = True
        port = int(self.bourse.urls["trading"].rpartition(":")[2])
        upstreams = dict(zip(LINKS, (port, port, self.server.port), strict=True))
        self._links = Links(upstreams, self.folder)
        self.secrets = [self._password, self.bourse.urls["secret_key"]]
        self.step_clock(0)
        self._write_environment()
        for symbol in self.symbols:
            self.tables().insert_asset(symbol, DEVIATION)
        self.cron.paused = False

    def tables(self) -> Tables:
        """A connection to the database that goes past the links."""
        if self._tables is None:
            self._tables = Tables(
                socket=str(self.server.socket), user=USER, password=self._password, database=self.database
            )
        return self._tables

    def forget_tables(self) -> None:
        if self._tables is not None:
            with suppress(Exception):
                self._tables.close()
            self._tables = None

    def sql(self, statement: str) -> None:
        """What a person types into the database's client.

        Raises:
            SetUpProblem: the server refuses, or is not there.
        """
        self.server.run(statement, self.database)

    # ---- the database server -------------------------------------------------------------------------

    def kill_database(self) -> None:
        pid = self.server.pid
        assert pid is not None, "the server runs"
        self.database_answers = False
        processes.send(pid, signal.SIGKILL)
        self.forget_tables()

    def start_database(self) -> None:
        """Start it again, whether it was killed or asked to end.

        Raises:
            SetUpProblem, ChaosProblem: it does not come back, or not where it was.
        """
        self.forget_tables()
        directory = self.server.directory
        self.server.stop()
        self.server.start()
        if self.server.directory != directory:
            raise ChaosProblem(f"the database came back in {self.server.directory}, not in {directory}")
        self.links.do(link="database", upstream=self.server.port)
        self.database_answers = True

    def stop_database(self) -> None:
        """Ask it to end, and wait for that."""
        self.forget_tables()
        self.database_answers = False
        self.server.stop()

    # ---- the bot's clock -----------------------------------------------------------------------------

    def bots_clock(self) -> datetime:
        """What the bot takes for now."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_offset)

    def step_clock(self, seconds: float) -> None:
        """From now on the bot's clock is that much ahead of the exchange's and the database's."""
        self.clock_offset = seconds
        self.clock_steps.append((datetime.now(UTC), seconds))
        scratch = self.clock_file.with_suffix(".tmp")
        scratch.write_text(f"{seconds:.3f}", encoding="ascii")
        scratch.replace(self.clock_file)

    # ---- the end -------------------------------------------------------------------------------------

    def close(self) -> None:
        """End every process that was started, and drop the database."""
        self.cron.stop()
        processes.end_all(self.env_file)
        if self._bourse is not None:
            self._bourse.child.signal(signal.SIGCONT)
            self._bourse.stop()
        if self._links is not None:
            self._links.stop()
            self._links = None
        self.forget_tables()
        if self.server.pid is not None:
            processes.send(self.server.pid, signal.SIGCONT)
            self.server.stop()
        self.disk.close()

    def remove(self) -> None:
        """Nothing was found: the run's files go."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_environment(self) -> None:
        urls, ports = self.bourse.urls, self.links.ports
        rest, streams = f"127.0.0.1:{ports['rest']}", f"127.0.0.1:{ports['streams']}"
        lines = {
            "APCA_API_KEY_ID": urls["key_id"],
            "APCA_API_SECRET_KEY": urls["secret_key"],
            "APCA_API_BASE_URL": f"http://{rest}",
            "APCA_API_DATA_URL": f"http://{rest}",
            "APCA_API_STREAM_URL": f"ws://{streams}/stream",
            "APCA_DATA_STREAM_URL": f"ws://{streams}/v1beta3/crypto/us",
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(ports["database"]),
            "DB_USER": USER,
            "DB_PASSWORD": self._password,
            "DB_NAME": self.database,
            "STALE_ORDER_MINUTES": "0.15",
            "STUCK_SELL_SECONDS": "10",
            "QUIET_SECONDS": str(self.pace.quiet_seconds),
            "GONE_SECONDS": "5",
            **HURRIED,
            "MAX_ORDERS_PER_MINUTE": "100000",
            "MAX_ORDERS_PER_HOUR": "100000",
            "MAX_REQUESTS_PER_MINUTE": "600",
            "ALERT_EMAIL_SENDER": "bot@example.com",
            "ALERT_EMAIL_RECEIVER": "you@example.com",
            "ALERT_EMAIL_SMTP_SERVER": "127.0.0.1",
            "ALERT_EMAIL_SMTP_PORT": str(ports["mail"]),
            "LOG_DIR": str(self.log_dir),
            "STATE_DIR": str(self.state_dir),
        }
        with os.fdopen(os.open(self.env_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines(f'{name}="{value}"\n' for name, value in lines.items())


def _new_folder() -> Path:
    """A folder for this run; of the older ones, left by runs that found something, the last few stay."""
    RUNS.mkdir(parents=True, exist_ok=True)
    older = sorted(each for each in RUNS.iterdir() if each.is_dir())
    for folder in older[: -(KEPT_RUNS - 1)]:
        if time.time() - folder.stat().st_mtime > 3600:  # not of a run that goes on beside us
            shutil.rmtree(folder, ignore_errors=True)
    folder = RUNS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    folder.mkdir(mode=0o700)
    return folder
