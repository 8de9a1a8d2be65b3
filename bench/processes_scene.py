"""An installation at work: local exchange, database, assets that have bought, and main_app."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from bench.ground import Ground
from demo.exchange import Exchange
from demo.processes import Child
from launcher.output import ROOT, SetUpProblem
from paper_exchange.pairs import all_pairs

_INSERT = """INSERT INTO dca_assets (asset_symbol, base_order_amount, safety_order_amount, max_safety_orders,
 safety_order_deviation, take_profit_percent, cooldown_period, buy_order_price_deviation_percent)
 VALUES ('{symbol}', 20, 20, 5, {deviation}, {profit}, {cooldown}, 2);
"""
_HOLDING = "SELECT COUNT(*) FROM dca_cycles WHERE live_asset_id IS NOT NULL AND quantity > 0;\n"
_MOVING = "SELECT COUNT(*) FROM dca_orders WHERE closed_at IS NULL;\n"
_ASKED_FOR = "SELECT COUNT(*) FROM dca_orders WHERE fee_source = 'assumed';\n"
_CALM = {"deviation": "5", "profit": "5", "cooldown": "300"}


class Scene:
    """A context: exchange and rows are there inside, main_app as soon as `start` says so."""

    def __init__(
        self, ground: Ground, name: str, assets: int, market: list[str], pairs: int = 0, **values: str
    ) -> None:
        """`values` go into the rows: deviation, profit (percent), cooldown (seconds). The exchange has as
        many pairs as there are assets, or `pairs`."""
        self._ground = ground
        self.assets = assets
        self.folder: Path = ground.folder / name
        self.folder.mkdir()
        self.database = ground.database(name)
        options = [*market, "--pairs", str(pairs or assets), "--rate-limit", "0", "--cash", "10000000"]
        self.exchange = Exchange.start(options, self.folder)
        self.env = ground.bot_env(self.database, self.exchange.urls)
        self.bot = Path(self.env["DCA_ENV_FILE"]).parent
        self.main_app = Child("main_app", [str(ROOT / "main_app.py")], self.folder, self.env)
        self.started: list[subprocess.Popen[bytes]] = []
        """What was started beside, and ends by itself."""
        symbols = list(all_pairs(assets))[:assets]
        rows = (_INSERT.format(symbol=symbol, **{**_CALM, **values}) for symbol in symbols)
        self.query("".join(rows))

    def __enter__(self) -> "Scene":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait_for_started()
        self.main_app.stop(20)
        self.kill_main_app()  # one that the watchdog started is nobody's child
        self.exchange.stop()

    def query(self, sql: str) -> list[list[str]]:
        """The rows of a statement, as texts."""
        said = self._ground.server.run(sql, self.database.name)
        return [line.split("\t") for line in said.splitlines()]

    def count(self, sql: str) -> int:
        return int(self.query(sql)[0][0])

    def beat(self) -> dict[str, Any]:
        """What main_app last said of itself; nothing before its first word."""
        try:
            found: dict[str, Any] = json.loads((self.bot / "state" / "main_app.heartbeat.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def quotes(self) -> int:
        """How many the exchange has published, of all pairs."""
        return int(self.exchange.state()["quotes_published"])

    def fault(self, name: str) -> None:
        """Make something go wrong at the exchange, as its admin interface names it."""
        answer = requests.post(self.exchange.urls["admin"] + "/faults", json={"name": name}, timeout=10)
        answer.raise_for_status()

    def kill_main_app(self) -> None:
        """SIGKILL, to the process that runs with this scene's settings and no other."""
        pid = int(self.beat().get("pid", 0))
        mine = f"DCA_ENV_FILE={self.env['DCA_ENV_FILE']}".encode()
        try:
            if pid and mine in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
        except OSError:
            return  # it is gone

    def wait_for_started(self) -> None:
        for process in self.started:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.started.clear()

    def start(self, *, calm: bool = True, seconds: float = 90) -> None:
        """Start main_app and wait until every asset has bought and nothing is in flight; for `calm` also
        until no fee is asked for any more, which takes up to half a minute.

        Raises:
            SetUpProblem: if it does not come to that.
        """
        self.main_app.start()
        self.until(lambda: self._has_bought(calm=calm), seconds, "every asset has bought")

    def _has_bought(self, *, calm: bool) -> bool:
        holds = self.count(_HOLDING) == self.assets
        return holds and self.count(_MOVING) == 0 and (not calm or self.count(_ASKED_FOR) == 0)

    def until(self, is_so: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for something.

        Raises:
            SetUpProblem: it did not come.
        """
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise SetUpProblem(f"bench: not within {seconds:.0f} s: {what}; see {self.folder}")
            time.sleep(0.2)
