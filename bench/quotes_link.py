"""The sender as the bench holds it, and on which cores who runs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from bench.quotes_rows import Taken
from demo.processes import minimal_environment
from launcher.output import ROOT, SetUpProblem

_CORES = sorted(os.sched_getaffinity(0))
SENDING, RECEIVING = _CORES[0], _CORES[-1]
"""The sender has a core, and every receiver the other one. On a machine of one core they share it."""
_CALM_SECONDS = 0.3


@contextmanager
def started_on(core: int) -> Iterator[None]:
    """What is started inside runs on this core and no other, with all its threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """What all threads of a process have used so far; in steps of 10 ms."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123 - no file, and read often
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def settle_down(pid: int, patience_seconds: float = 10) -> None:
    """Wait until a process has done what its start brings: a while in which it hardly used its core."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        before = cpu_seconds(pid)
        time.sleep(_CALM_SECONDS)
        if cpu_seconds(pid) - before < _CALM_SECONDS / 10:
            return


class Link:
    """A context: `python -m bench.quotes_sender` runs inside. Its commands, as methods."""

    url: str

    def __init__(self, *, seconds: float, prepared: int) -> None:
        """How long a blast takes, and of how many quotes it is made, again and again."""
        self._seconds, self._prepared = seconds, prepared

    def __enter__(self) -> "Link":
        with started_on(SENDING):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.quotes_sender"],
                cwd=ROOT,
                env=minimal_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self.url = str(self._answer()["url"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()  # it may be waiting for a client that never came
        self._process.communicate()

    def accept(self, symbols: Sequence[str]) -> None:
        """Wait until the receiver that was started has subscribed to all of these."""
        self._tell("accept", symbols=symbols)

    def blast(self, pid: int, symbols: Sequence[str], per_frame: int, seconds: float | None = None) -> Taken:
        """Quotes at full rate, none of which crosses anything, to the receiver of this pid."""
        before = cpu_seconds(pid)
        said = self._tell(
            "blast",
            symbols=symbols,
            per_frame=per_frame,
            seconds=self._seconds if seconds is None else seconds,
            prepared=self._prepared,
        )
        return Taken(quotes=said["quotes"], seconds=said["seconds"], cpu_seconds=cpu_seconds(pid) - before)

    def cross(self, symbols: Sequence[str]) -> None:
        """One quote each that an asset has to react to."""
        self._tell("cross", symbols=symbols)

    def _tell(self, do: str, **more: object) -> Any:
        assert self._process.stdin is not None, "it is a pipe"
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None, "it is a pipe"
        line = self._process.stdout.readline()
        said = json.loads(line) if line else {"problem": "the sender of quotes has ended"}
        if "problem" in said:
            raise SetUpProblem(str(said["problem"]))
        return said
