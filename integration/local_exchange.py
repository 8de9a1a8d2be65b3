"""A paper exchange of the test's own, and its admin interface as far as the test needs it."""

import json
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import IO

import requests

from integration.problems import Failed, Refused

_PATIENCE_SECONDS = 30.0
_COMMAND = ["-m", "paper_exchange", "--json", "--market", "still", "--partial-percent", "0"]


class LocalExchange:
    """`python -m paper_exchange`: prices stand still unless told otherwise, and every fill is whole."""

    def __init__(self, root: Path, folder: Path, env: dict[str, str]) -> None:
        """Raises:
        Refused: it does not come up.
        """
        self._output = folder / "exchange.out"
        self._file: IO[bytes] = self._output.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, *_COMMAND, "--rate-limit", "0"],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
            env=env,
            start_new_session=True,
        )
        self._session = requests.Session()
        self._session.trust_env = False  # loopback needs no proxy
        self.urls = self._first_line()

    def _first_line(self) -> dict[str, str]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            line, end, _ = self._output.read_text(encoding="utf-8", errors="replace").partition("\n")
            if end and line.startswith("{"):
                urls: dict[str, str] = json.loads(line)
                return urls
            time.sleep(0.05)
        self.stop()
        raise Refused(f"the local exchange did not start; see {self._output}")

    def stop(self) -> None:
        """End it; harmless when it has ended."""
        self._session.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._file.close()

    def price(self, symbol: str, price: Decimal) -> None:
        self._call("POST", "/market", {"symbol": symbol, "price": f"{price:f}"})

    def fault(self, name: str, symbol: str, count: int = 1, **args: str) -> None:
        """Make something go wrong, as often as said; states last until `clear_faults`."""
        self._call("POST", "/faults", {"name": name, "count": count, "args": args, "symbol": symbol})

    def clear_faults(self) -> None:
        self._call("DELETE", "/faults", None)

    def cash(self) -> Decimal:
        return Decimal(self._call("GET", "/state", None)["cash"])

    def _call(self, method: str, path: str, body: dict[str, object] | None) -> dict[str, str]:
        try:
            answer = self._session.request(method, self.urls["admin"] + path, json=body, timeout=10)
            answer.raise_for_status()
            found: dict[str, str] = answer.json()
        except requests.RequestException as error:
            raise Failed(f"the exchange's admin interface does not answer: {error}") from error
        return found
