"""A copy of the tree in which faults are planted, with a database server of its own."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.database import PrivateServer
from proof.bite.fault import Fault, planted
from proof.bite.judging import Run
from proof.bite.layers import Layer

LEFT_OUT = frozenset({".git", ".env", "venv", "var", "logs", "node_modules"})
"""Of the top folder: what is not the source, and what is secret."""
CACHES = shutil.ignore_patterns("__pycache__", ".hypothesis", ".*_cache")
TEST_USER = "dca_test"
FAST = ("--innodb-flush-log-at-trx-commit=0",)
PATIENCE_SECONDS = 10.0
"""For a layer that was told to end, before it is killed."""
MOST_OUTPUT = 200_000
FOUND = 1
"""What a layer ends with that finds fault."""


def copy_tree(root: Path, to: Path) -> None:
    """The source, as a person would check it out, with the virtual environment beside it."""
    to.mkdir()
    for entry in root.iterdir():
        if entry.name in LEFT_OUT or entry.name in CACHES(str(root), [entry.name]):
            continue
        if entry.is_dir():
            shutil.copytree(entry, to / entry.name, ignore=CACHES)
        else:
            shutil.copy2(entry, to / entry.name)
    if (root / "venv").exists():
        (to / "venv").symlink_to(root / "venv")


class Bench:
    """One tree, one server, one layer at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        self._server = PrivateServer(folder / "db", options=FAST)
        self._password = secrets.token_hex(16)
        self._planted = 0
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Raises:
        SetUpProblem: there is no database server to be had.
        """
        self._server.start()
        self._server.create_user(TEST_USER, self._password)

    def stop(self) -> None:
        self._server.stop()

    def halt(self) -> None:
        """End what is run now, if anything is, from another thread."""
        if self._running is not None and self._running.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)

    @contextmanager
    def with_fault(self, fault: Fault) -> Iterator[None]:
        """The tree has the fault; afterwards it is as it was."""
        source = (self.tree / fault.file).read_text(encoding="utf-8")
        with self.with_text(fault.file, planted(fault, source)):
            yield

    @contextmanager
    def with_text(self, file: str, text: str) -> Iterator[None]:
        """A file of the tree has another text; afterwards it has its own again.

        Every version of a file has a time of its own: bytecode is told by time and length.
        """
        path = self.tree / file
        source, seconds = path.read_text(encoding="utf-8"), int(path.stat().st_mtime)
        self._planted += 1
        path.write_text(text, encoding="utf-8")
        os.utime(path, (seconds + self._planted, seconds + self._planted))
        try:
            yield
        finally:
            path.write_text(source, encoding="utf-8")
            os.utime(path, (seconds, seconds))

    def run(self, layer: Layer) -> Run:
        """Run a layer in the tree as it is now."""
        temporary = self.folder / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        output = self.folder / "output"
        began = time.monotonic()
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", *layer.command],
                cwd=self.tree,
                env=self.environment(temporary),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running = process
            code = _end_of(process, layer, output)
        text = _text(output)
        return Run(layer=layer, code=code, seconds=time.monotonic() - began, output=text)

    def environment(self, temporary: Path) -> dict[str, str]:
        """What a program in the tree needs to find the tree and the server."""
        return {
            **os.environ,
            "DCA_TEST_DB_SOCKET": str(self._server.socket),
            "DCA_TEST_DB_PORT": str(self._server.port),
            "DCA_TEST_DB_USER": TEST_USER,
            "DCA_TEST_DB_PASSWORD": self._password,
            "PYTHONPATH": str(self.tree),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(temporary),
            "NO_COLOR": "1",
        }


def _end_of(process: "subprocess.Popen[bytes]", layer: Layer, output: Path) -> int | None:
    """The exit code; None if it hung, and 1 if it said enough."""
    until = time.monotonic() + layer.limit_seconds
    try:
        while time.monotonic() < until:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(0.2)
            if layer.until is not None and f"\n{layer.until}" in f"\n{_text(output)}":
                return FOUND
        return None
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C first: tests clean up after themselves then. Its session is ours, and so is all that is left."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _text(output: Path) -> str:
    return output.read_bytes()[-MOST_OUTPUT:].decode("utf-8", "replace")
