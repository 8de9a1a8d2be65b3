"""The demo's child processes: each in a session of its own, talking into a file, gone when we are gone."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from launcher.commands import spawn, stop
from launcher.output import ROOT


class Child:
    """A program of the project, started (again) by us."""

    def __init__(self, name: str, arguments: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.output = folder / f"{name}.out"
        self._command = [sys.executable, *arguments]
        self._env = {**minimal_environment(), **env}
        self._process: subprocess.Popen[bytes] | None = None
        self._file: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "it has been started"
        return self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended (negative: by that signal); None while it runs, or if it was never started."""
        return None if self._process is None else self._process.poll()

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self._close()
        self._file = self.output.open("ab")
        self._process = spawn(
            self._command, output=self._file, env=self._env, cwd=self.output.parent, own_session=True
        )

    def signal(self, number: int) -> None:
        if self._process is not None and self.runs:
            self._process.send_signal(number)

    def finish(self, patience_seconds: float) -> int | None:
        """Ask it once to end, and give it the time; returns its exit code, None if it is still at it."""
        self.signal(signal.SIGTERM)
        assert self._process is not None, "it has been started"
        try:
            return self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, patience_seconds: float = 5) -> int | None:
        """End it: SIGTERM, then SIGKILL. Returns its exit code; None if it never ran."""
        code = None if self._process is None else stop(self._process, patience_seconds)
        self._close()
        return code

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def minimal_environment() -> dict[str, str]:
    """What children get of ours: nothing in which an operator's keys could be."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR") if name in os.environ
    }
    return {"LANG": "C.UTF-8", **kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
