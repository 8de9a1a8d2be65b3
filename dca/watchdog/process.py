"""The main_app process seen from outside: check, end and start it; and the watchdog's memory.

No process is ended by pid alone (F86): only while the lock is held, and only the process that the lock file
names and that has this very file open. Nothing is started while the lock is held, and main_app itself refuses
to run twice.
"""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dca.core.errors import StartRefused
from dca.core.interfaces import Clock
from dca.runtime import heartbeat, maintenance
from dca.runtime.heartbeat import Beat
from dca.runtime.script import STOP_SIGNALS
from dca.runtime.settings import ROOT, Settings
from dca.watchdog import crash_cause as last_words
from dca.watchdog.rules import Memory, Observation

POLL_SECONDS = 0.1
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds to wait after a SIGTERM, after a SIGKILL, and after a start to see whether it lasts."""

    terminate: float = 20.0
    kill: float = 10.0
    start: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The result of an attempt to end main_app. `pid` None: it was not running. `why_not`: why it is still
    running."""

    pid: int | None = None
    how: str = ""
    seconds: float = 0.0
    why_not: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The result of a start. `exit_code`: it exited immediately; `last_words` is then its last output, and
    `asked_to_stop` the reason if it was asked to stop.

    `by_us` False: another main_app was running, or started first.
    """

    pid: int | None
    by_us: bool = True
    exit_code: int | None = None
    last_words: str = ""
    asked_to_stop: str | None = None


class Supervisor:
    """Starts, ends and observes one installation's main_app. `script` is what is started."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        script: Path = ROOT / "main_app.py",
        patience: Patience | None = None,
    ) -> None:
        self._state_dir = settings.state_dir
        self._lock = settings.state_dir / "main_app.lock"
        self._log = settings.log_dir / "main_app.log"
        self._clock = clock
        self._script = script
        self._patience = patience or Patience()
        self.children: list[subprocess.Popen[bytes]] = []
        """The main_app that we started. It keeps running after us."""

    # ---- observing ---------------------------------------------------------------------------------------

    def look(self) -> Observation:
        """Read main_app's state: the lock first, then maintenance, as ./bot stop begins maintenance first."""
        is_held = is_locked(self._lock)
        return Observation(
            is_held=is_held,
            holder=self._holder(),
            locked_at=_modified(self._lock),
            beat=self._beat(),
            maintenance=maintenance.current(self._state_dir, self._clock.now()),
            can_write=_can_write(self._state_dir),
            now=self._clock.now(),
        )

    def last_words(self) -> str:
        """The log line that explains why the last holder of the lock ended; "" if there is none. The lock's
        file is written when the lock is taken."""
        return last_words.since(self._log, _modified(self._lock))

    def _holder(self) -> int | None:
        """The pid that holds the lock, from its file; None if a full disk kept it from being written
        (F68)."""
        try:
            return int(self._lock.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            beat = self._beat()
            return None if beat is None else beat.pid

    def _beat(self) -> Beat | None:
        return heartbeat.read(self._state_dir / "main_app.heartbeat.json")

    # ---- ending ------------------------------------------------------------------------------------------

    def end(self, progress: Callable[[float], None] | None = None) -> Ended:
        """End main_app with SIGTERM, then SIGKILL, and wait until the lock is free (F38).

        `progress` is called from time to time with the seconds elapsed.
        """
        began = self._clock.monotonic()
        if not is_locked(self._lock):
            return Ended()
        pid = self._holder()
        if pid is None:
            return Ended(why_not=f"the lock is held, but {self._lock} does not say by which process")
        with _process(pid) as process:
            if process is None or not self._has_lock_open(pid):
                return self._not_ours(pid)
            how = self._signal(process, progress or (lambda _: None))
        seconds = self._clock.monotonic() - began
        if how is None:
            return Ended(pid=pid, seconds=seconds, why_not=f"pid {pid} did not end even after SIGKILL")
        return self._when_free(pid, how, seconds)

    def _signal(self, process: int, progress: Callable[[float], None]) -> str | None:
        """Signal a process until it ends. Returns the signal that ended it, or None."""
        began = self._clock.monotonic()
        waits = ((signal.SIGTERM, self._patience.terminate), (signal.SIGKILL, self._patience.kill))
        for number, seconds in waits:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, number)
            until = self._clock.monotonic() + seconds
            while (left := until - self._clock.monotonic()) > 0:
                if _has_ended(process, min(left, 1.0)):
                    return number.name
                progress(self._clock.monotonic() - began)
        return None

    def _when_free(self, pid: int, how: str, seconds: float) -> Ended:
        """The result once the process has ended: its lock is free, unless another process took or still holds
        it."""
        until = self._clock.monotonic() + self._patience.kill
        while is_locked(self._lock) and self._holder() == pid:
            if self._clock.monotonic() > until:
                return Ended(
                    pid=pid,
                    how=how,
                    seconds=seconds,
                    why_not=f"pid {pid} is gone, but its lock is still held",
                )
            time.sleep(POLL_SECONDS)
        return Ended(pid=pid, how=how, seconds=seconds)

    def _not_ours(self, pid: int) -> Ended:
        if not is_locked(self._lock):
            return Ended(pid=pid, how="by itself")
        return Ended(pid=pid, why_not=f"the lock is held, but not by pid {pid} that {self._lock} names")

    def _has_lock_open(self, pid: int) -> bool:
        """Whether a process has the lock file open; an unrelated process that reuses the pid would not."""
        try:
            lock = self._lock.stat()
            files = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return False
        for file in files:
            with suppress(OSError):
                if os.path.samestat(file.stat(), lock):
                    return True
        return False

    # ---- starting ----------------------------------------------------------------------------------------

    def start(self) -> Started:
        """Start main_app unless it is running, and check that it lasts a few seconds."""
        result = Started(pid=None)
        for _ in range(_TRIES):
            if is_locked(self._lock):
                return Started(pid=self._holder(), by_us=False)
            already = last_words.bytes_of(self._log)
            child = self._spawn()
            self._wait_for(child)
            if child.returncode is None:
                return Started(pid=child.pid)
            result = Started(
                pid=child.pid,
                exit_code=child.returncode,
                last_words=last_words.since_bytes(self._log, already),
                asked_to_stop=self._asked(child.pid, child.returncode),
            )
            if child.returncode != 0 or result.asked_to_stop is not None:
                break
            # 0: another one started first, or something just tested the lock. So check again.
        return result

    def _asked(self, pid: int, exit_code: int) -> str | None:
        """Why a child was asked to end: the reason that it noted, or the signal that ended it before it
        could."""
        beat = self._beat()
        if beat is not None and beat.pid == pid and beat.asked_to_stop is not None:
            return beat.asked_to_stop
        number = -exit_code if exit_code < 0 else exit_code - 128
        return signal.Signals(number).name if number in STOP_SIGNALS else None

    def _spawn(self) -> "subprocess.Popen[bytes]":
        """Launch the child detached: no input, no pipe that could fill (F47), its own session."""
        output = self._open_log()
        try:
            child = subprocess.Popen(
                [sys.executable, str(self._script)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            if output >= 0:
                os.close(output)
        self.children.append(child)
        return child

    def _open_log(self) -> int:
        """The child's output file; /dev/null if it cannot be opened, as on a full disk: trading must go
        on."""
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return subprocess.DEVNULL

    def _wait_for(self, child: "subprocess.Popen[bytes]") -> None:
        """Wait for the child's heartbeat, its end, or the timeout.

        The lock is not tested: a test at the wrong moment would keep the child from taking it.
        """
        until = self._clock.monotonic() + self._patience.start
        while child.poll() is None and self._clock.monotonic() < until:
            beat = self._beat()
            if beat is not None and beat.pid == child.pid and self._holder() == child.pid:
                return
            time.sleep(POLL_SECONDS)

    # ---- memory ------------------------------------------------------------------------------------------

    def memory(self) -> Memory:
        return read_memory(self._state_dir)

    def remember(self, memory: Memory) -> None:
        write_memory(self._state_dir, memory)


def wait_until(is_so: Callable[[], bool], seconds: float, clock: Clock) -> bool:
    """Wait until a condition holds; returns whether it did within the seconds given."""
    until = clock.monotonic() + seconds
    while not is_so():
        if clock.monotonic() > until:
            return False
        time.sleep(POLL_SECONDS)
    return True


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of that file. Concurrent tests do not disturb each other.

    Raises:
        StartRefused: the file belongs to another user.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except PermissionError as error:
        raise StartRefused(f"{path} belongs to another user: run the whole suite as one user") from error
    return False


def read_memory(state_dir: Path) -> Memory:
    """The watchdog's memory; an empty one if the file is missing or unreadable."""
    try:
        raw = json.loads(_memory_file(state_dir).read_text(encoding="utf-8"))
        return Memory(
            deaths=tuple(datetime.fromisoformat(at).astimezone(UTC) for at in raw["deaths"]),
            was_running=bool(raw["was_running"]),
            last_start_at=_time(raw["last_start_at"]),
            left_down_at=_time(raw["left_down_at"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Memory()


def write_memory(state_dir: Path, memory: Memory) -> None:
    """Write the memory atomically; on a full disk the watchdog only forgets."""
    content = {
        "deaths": [at.isoformat() for at in memory.deaths],
        "was_running": memory.was_running,
        "last_start_at": memory.last_start_at and memory.last_start_at.isoformat(),
        "left_down_at": memory.left_down_at and memory.left_down_at.isoformat(),
    }
    scratch = _memory_file(state_dir).with_suffix(".tmp")
    with suppress(OSError):
        scratch.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        scratch.replace(_memory_file(state_dir))


def _memory_file(state_dir: Path) -> Path:
    return state_dir / "watchdog.json"


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


@contextmanager
def _process(pid: int) -> Iterator[int | None]:
    """A handle that stays with the process even if its pid is reused; None if there is no such process."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


def _has_ended(process: int, seconds: float) -> bool:
    return bool(select.select([process], [], [], seconds)[0])


def _can_write(folder: Path) -> bool:
    probe = folder / "watchdog.probe"
    try:
        probe.write_bytes(bytes(4096))
    except OSError:
        return False
    finally:
        with suppress(OSError):
            probe.unlink()
    return True


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None
