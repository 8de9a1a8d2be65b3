"""The project's own scripts as processes: main_app.py as long as it is wanted, the others to their end."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dca.runtime import heartbeat
from dca.runtime.clock import SystemClock
from dca.runtime.heartbeat import Beat
from integration.problems import Failed

_SCRIPT_SECONDS = 120
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A script that ran to its end: its exit code, what it printed, and its line `checked .. changed ..`."""

    code: int
    lines: tuple[str, ...]
    result: str


def is_held(lock: Path) -> bool:
    """Whether a process holds this lock file. Not to be asked while one is starting that wants it."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


class Scripts:
    """Started with an environment of the test's own; whatever still runs is ended by `stop_main_app`."""

    def __init__(
        self,
        root: Path,
        folder: Path,
        env: Mapping[str, str],
        clock: SystemClock,
        said: Callable[[str], None],
    ) -> None:
        self._root = root
        self._folder = folder
        self._env = dict(env)
        self._said = said
        self._main_app: subprocess.Popen[bytes] | None = None
        self._since = clock.now()
        self._clock = clock
        self.state_dir = folder / "state"
        self.log = folder / "logs" / "main_app.log"

    @property
    def lock(self) -> Path:
        return self.state_dir / "main_app.lock"

    def start_main_app(self) -> None:
        with (self._folder / "main_app.out").open("ab") as output:
            self._main_app = subprocess.Popen(
                [sys.executable, str(self._root / "main_app.py")],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._env,
                start_new_session=True,
            )

    def main_app_runs(self) -> bool:
        return is_held(self.lock)

    def main_app_pid(self) -> int | None:
        """The process that wrote itself into the lock file last."""
        with suppress(OSError, ValueError):
            return int(self.lock.read_text(encoding="utf-8"))
        return None

    def beat(self) -> Beat | None:
        """What main_app last said; None if it is of one that was ended since."""
        beat = heartbeat.read(self.state_dir / "main_app.heartbeat.json")
        return beat if beat is not None and beat.started_at > self._since else None

    def stop_main_app(self) -> None:
        """SIGTERM, as an operator stops it; SIGKILL when that is not heard."""
        self._end(signal.SIGTERM)
        if not self._ended(_STOP_SECONDS):
            self._end(signal.SIGKILL)
            self._ended(_STOP_SECONDS)

    def kill_main_app(self) -> int:
        """kill -9; returns the pid that it had.

        Raises:
            Failed: it did not run, or does not go.
        """
        pid = self.main_app_pid()
        if pid is None or not self.main_app_runs():
            raise Failed("main_app does not run, so it cannot be killed")
        self._end(signal.SIGKILL)
        if not self._ended(_STOP_SECONDS):
            raise Failed(f"main_app (pid {pid}) holds its lock after kill -9")
        return pid

    def _end(self, number: signal.Signals) -> None:
        """To the process that holds our own lock: we started it, or our watchdog did."""
        if self._main_app is not None and self._main_app.poll() is None:
            self._main_app.send_signal(number)
        elif self.main_app_runs() and (pid := self.main_app_pid()) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _ended(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            gone = self._main_app is None or self._main_app.poll() is not None
            if gone and not self.main_app_runs():
                self._main_app, self._since = None, self._clock.now()
                return True
            time.sleep(0.05)
        return False

    def run(self, script: str, *arguments: str) -> Finished:
        """Run a script to its end.

        Raises:
            Failed: it is not there, or takes too long.
        """
        if not (self._root / script).is_file():
            raise Failed(f"{script} is not there")
        output = self._folder / f"{script}.out"  # no pipe: a main_app that the watchdog starts may inherit it
        try:
            with output.open("wb") as file:
                done = subprocess.run(
                    [sys.executable, str(self._root / script), *arguments],
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    timeout=_SCRIPT_SECONDS,
                    env=self._env,
                    start_new_session=True,
                )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{script} did not end within {_SCRIPT_SECONDS} s") from error
        lines = tuple(output.read_text(encoding="utf-8", errors="replace").splitlines())
        for line in lines:
            self._said(line)
        result = next((line for line in reversed(lines) if " checked " in line), "")
        return Finished(code=done.returncode, lines=lines, result=result[result.find("checked ") :])

    def main_app_said(self, words: str) -> str | None:
        """The first line of main_app's log with these words."""
        with suppress(OSError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            return next((line for line in lines if words in line), None)
        return None

    def last_words(self, count: int = 6) -> list[str]:
        """The end of main_app's log, for a scenario that failed."""
        with suppress(OSError):
            return self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
        return []
