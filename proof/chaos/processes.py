"""Processes of a run, found and ended by what is certainly theirs."""

import ctypes
import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Children of children that end come to us: main_app is the watchdog's, which does not stay."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def of_run(env_file: Path) -> list[int]:
    """All processes that were started with this run's settings file."""
    mark = f"DCA_ENV_FILE={env_file}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def belongs(pid: int, env_file: Path) -> bool:
    """Whether a process is alive and of this run: a number alone may have passed on to another."""
    with suppress(OSError):
        if _state(pid) == b"Z":
            return False
        mark = f"DCA_ENV_FILE={env_file}".encode()
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _state(pid: int) -> bytes:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]


def send(pid: int, number: int) -> bool:
    """Send a signal; False if there is no such process."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def reap(pid: int) -> int | None:
    """The exit code of an adopted process that has ended (negative: by that signal); None while it runs,
    and for one that is not ours."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if found else None


def forbid_writing(pid: int, *, forbidden: bool) -> None:
    """Let each write to a file fail (EFBIG), as on a full disk; or let it work again."""
    with suppress(ProcessLookupError, PermissionError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0 if forbidden else hard, hard))


def end_all(env_file: Path) -> None:
    """SIGKILL for whatever is left of a run."""
    for pid in of_run(env_file):
        send(pid, signal.SIGKILL)
