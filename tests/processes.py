"""The local exchange and the bot as processes of their own, for tests that cross real sockets."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests

from dca.runtime.settings import DatabaseSettings, ExchangeSettings, Venue
from dca.watchdog.process import is_locked

ROOT = Path(__file__).resolve().parent.parent
R = TypeVar("R")


def eventually(check: Callable[[], R], seconds: float = 15.0) -> R:
    """What `check` returns once it is true of something; fails after the deadline with the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s; last answer: {found!r}"
        time.sleep(0.05)


class ExchangeProcess:
    """`python -m paper_exchange`, with still prices unless told otherwise."""

    def __init__(self, log: Path, *options: str) -> None:
        command = [sys.executable, "-m", "paper_exchange", "--json", *(options or ("--market", "still"))]
        self._log = log.open("w")
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self._log, text=True, env=_clean_environment()
        )
        assert self._process.stdout is not None
        self.urls: dict[str, str] = json.loads(self._process.stdout.readline())

    @property
    def settings(self) -> ExchangeSettings:
        return ExchangeSettings(
            key_id=self.urls["key_id"],
            secret_key=self.urls["secret_key"],
            trading_url=self.urls["trading"],
            data_url=self.urls["data"],
            trading_stream_url=self.urls["trading_stream"],
            data_stream_url=self.urls["data_stream"],
            venue=Venue.LOCAL,
        )

    def post(self, path: str, **body: Any) -> Any:
        answer = requests.post(self.urls["admin"] + path, json=body, timeout=5)
        assert answer.ok, f"{path} {body}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text else None

    def get(self, path: str) -> Any:
        answer = requests.get(self.urls["admin"] + path, timeout=5)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def price(self, symbol: str, price: str) -> None:
        self.post("/market", symbol=symbol, price=price)

    def fault(self, name: str, count: int = 1, **args: Any) -> None:
        self.post("/faults", name=name, count=count, args=args, symbol=args.get("symbol"))

    def clear_faults(self) -> None:
        answer = requests.delete(self.urls["admin"] + "/faults", timeout=5)
        assert answer.ok, answer.text

    def journal(self, kind: str) -> list[dict[str, Any]]:
        entries = self.get("/journal?after=0&limit=100000")["entries"]
        return [entry for entry in entries if entry["kind"] == kind]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


HURRIED = {
    "MAX_ORDERS_PER_MINUTE": "100000",
    "MAX_ORDERS_PER_HOUR": "100000",
    "MAX_REQUESTS_PER_MINUTE": "100000",
}
"""Tests do in seconds what takes hours otherwise; the limits have tests of their own."""

ROW = (
    "INSERT INTO dca_assets (asset_symbol, is_enabled, base_order_amount, safety_order_amount,"
    " max_safety_orders, safety_order_deviation, take_profit_percent, cooldown_period,"
    " buy_order_price_deviation_percent) VALUES ('{symbol}', TRUE, {base}, 20, 3, 1, 2, 3, 3);\n"
)
"""An asset, for the database of a main_app that is to trade it."""


class BotProcess:
    """A script of ours with an .env of its own."""

    def __init__(
        self, folder: Path, exchange: ExchangeSettings, database: DatabaseSettings, **more: str
    ) -> None:
        self.folder = folder
        self.root = ROOT
        """Of the main_app that is started."""
        self.more_environment: dict[str, str] = {}
        self.log = folder / "logs" / "main_app.log"
        self.heartbeat = folder / "state" / "main_app.heartbeat.json"
        self._env_file = folder / "env"
        self.values = {
            "APCA_API_KEY_ID": exchange.key_id,
            "APCA_API_SECRET_KEY": exchange.secret_key,
            "APCA_API_BASE_URL": exchange.trading_url,
            "APCA_API_DATA_URL": exchange.data_url,
            "APCA_API_STREAM_URL": exchange.trading_stream_url,
            "APCA_DATA_STREAM_URL": exchange.data_stream_url,
            "DB_SOCKET": database.socket or "",
            "DB_HOST": database.host,
            "DB_PORT": str(database.port),
            "DB_USER": database.user,
            "DB_PASSWORD": database.password,
            "DB_NAME": database.name,
            "LOG_DIR": str(folder / "logs"),
            "STATE_DIR": str(folder / "state"),
            **HURRIED,
            **more,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.prefix: list[str] = []
        """What each command line begins with."""
        self.write()

    def write(self, **changed: str) -> None:
        """The .env file, with other values."""
        self.values |= changed
        self._env_file.write_text("".join(f"{name}='{value}'\n" for name, value in self.values.items()))
        self._env_file.chmod(0o600)

    def start(self) -> None:
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, str(self.root / "main_app.py")],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment(),
            )

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts to its end."""
        return self._run([str(ROOT / script), *arguments], cwd="/")

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the interpreter in the project's folder, to its end."""
        return self._run([*arguments], cwd=str(ROOT))

    def _run(self, arguments: list[str], cwd: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, sys.executable, *arguments],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment(),
        )

    def signal(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def kill_holder(self) -> None:
        """End the main_app that holds the lock, whoever started it."""
        lock = self.folder / "state" / "main_app.lock"
        if lock.exists() and is_locked(lock):
            os.kill(int(lock.read_text()), signal.SIGKILL)
            eventually(lambda: not is_locked(lock))

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def says(self, text: str) -> list[str]:
        """Log lines that contain a text."""
        return [line for line in self.lines() if text in line]

    def beat(self) -> dict[str, Any]:
        if not self.heartbeat.exists():
            return {}
        beat: dict[str, Any] = json.loads(self.heartbeat.read_text())
        return beat

    def is_trading(self) -> bool:
        beat = self.beat()
        streams = (beat.get("quotes") or {}, beat.get("orders") or {})
        return all(stream.get("connected") for stream in streams) and bool(beat.get("last_settle_at"))

    def environment(self) -> dict[str, str]:
        """What its scripts are started with."""
        return {**_clean_environment(), "DCA_ENV_FILE": str(self._env_file), **self.more_environment}


def _clean_environment() -> dict[str, str]:
    """Nothing of the person who runs the tests: no keys, no proxies."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
