"""The exchange's admin interface, as far as the demo needs it."""

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from demo.problems import DemoProblem
from demo.processes import Child
from demo.rows import Row


class Exchange:
    """A running paper exchange."""

    def __init__(self, child: Child, urls: dict[str, str]) -> None:
        self.child = child
        self.urls = urls
        self._session = requests.Session()
        self._session.trust_env = False  # loopback needs no proxy
        self._journal: list[Row] = []

    @classmethod
    def start(cls, arguments: list[str], folder: Path, patience_seconds: float = 30) -> "Exchange":
        """Start one, and wait for the line that says where it is.

        Raises:
            DemoProblem: if it does not come up.
        """
        child = Child("exchange", ["-m", "paper_exchange", "--json", *arguments], folder, {})
        child.start()
        deadline = time.monotonic() + patience_seconds
        while time.monotonic() < deadline and child.runs:
            line = child.output.read_text(encoding="utf-8", errors="replace").partition("\n")
            if line[1] and line[0].startswith("{"):
                return cls(child, json.loads(line[0]))
            time.sleep(0.05)
        said = child.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = [line for line in said if not line.startswith("{")]  # its keys are nobody's business
        child.stop()
        raise DemoProblem(f"the exchange did not start: {said[-1] if said else 'no word from it'}")

    def stop(self) -> int | None:
        self._session.close()
        return self.child.stop()

    def journal(self) -> list[Row]:
        """What it wrote down since the last call."""
        fresh: list[Row] = []
        while True:
            after = self._journal[-1]["seq"] if self._journal else 0
            answer = self._get(f"/journal?after={after}&limit=5000")
            entries: list[Row] = answer["entries"]
            fresh += entries
            self._journal += entries
            if len(entries) < 5000:
                return fresh

    def whole_journal(self) -> list[Row]:
        self.journal()
        return self._journal

    def state(self) -> Row:
        answer: Row = self._get("/state")
        return answer

    def push(self, symbol: str, change_percent: Decimal) -> None:
        self._post("/market", {"symbol": symbol, "change_percent": f"{change_percent:f}"})

    def hold(self, symbol: str | None, *, held: bool) -> None:
        """Freeze a generated price, or all; or let them go."""
        self._post("/market/hold", {"symbol": symbol, "held": held})

    def start_market(self) -> None:
        self._post("/market/start", {})

    def _get(self, path: str) -> Any:
        return self._call("GET", path, None)

    def _post(self, path: str, body: dict[str, object]) -> None:
        self._call("POST", path, body)

    def _call(self, method: str, path: str, body: dict[str, object] | None) -> Any:
        try:
            answer = self._session.request(method, self.urls["admin"] + path, json=body, timeout=10)
            answer.raise_for_status()
            return answer.json()
        except requests.RequestException as error:
            raise DemoProblem(f"the exchange's admin interface does not answer: {error}") from error
