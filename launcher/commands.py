"""Running other programs, with output to the log; they end when their parent ends."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from launcher.output import LOG, make_folder

_PR_SET_PDEATHSIG = 1


def _dies_with_parent(number: int) -> Callable[[], None]:
    """For preexec_fn: the kernel sends this signal to the child when we are gone, however we went.

    Linux only; elsewhere it does nothing.
    """
    parent = os.getpid()
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return lambda: None

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # the parent ended before the call above took effect
            os._exit(1)

    return before_exec


def find(*names: str) -> str | None:
    """The first of these programs found in PATH or in the folders of server programs."""
    folders = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/usr/local/bin"]
    folders += ["/usr/libexec", "/usr/local/mysql/bin", "/opt/mariadb/bin", "/sbin", "/usr/bin"]
    path = os.pathsep.join(folders)
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def spawn(
    command: Sequence[str | Path],
    *,
    output: IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    own_session: bool = False,
    on_death: int = signal.SIGTERM,
    inherit: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program that ends when we do. Its output goes to a file, or where ours goes.

    `own_session`: the terminal's Ctrl-C does not reach it. `env`: its whole environment; None: ours.
    `inherit`: it gets the open files that are marked for it, like set-up's lock.
    """
    return subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=own_session,
        close_fds=not inherit,
        preexec_fn=_dies_with_parent(on_death),  # noqa: PLW1509 - no threads are about when we start something
    )


_GROUP = """
import os, signal, subprocess, sys
os.setpgid(0, 0)
child, asked = None, False
def end(*_):
    global asked
    asked = True
    if child is None:
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    try:
        child.wait(5)
    finally:
        os.killpg(0, signal.SIGKILL)
signal.signal(signal.SIGTERM, end)
child = subprocess.Popen(sys.argv[1:])
if asked:
    end()
sys.exit(abs(child.wait()))
"""
"""A script that runs a program in its own process group and ends the whole group on SIGTERM: a grandchild
(the venv module starts pip) is not signaled when its parent ends."""


def logged(command: Sequence[str | Path]) -> int:
    """Run a program with its output at the end of var/setup.log; returns its exit code.

    It ends with us, and so does all that it starts.
    """
    make_folder(LOG.parent)
    with LOG.open("ab") as log:
        log.write(("\n$ " + " ".join(str(part) for part in command) + "\n").encode())
        log.flush()
        process = spawn([sys.executable, "-c", _GROUP, *command], output=log, inherit=True)
        try:
            return process.wait()
        finally:
            stop(process, 10)


def stop(process: subprocess.Popen[bytes], patience_seconds: float) -> int:
    """End a process that we started: SIGTERM, then SIGKILL if it does not react. Returns its exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
