"""A process that has imported the packages and forks for each command: most of a short test run is importing.

Commands come as lines of JSON on standard input, answers go to standard output. It ends with its input.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

PACKAGES = (
    *("pytest", "_pytest.assertion.rewrite", "_pytest.unraisableexception", "_pytest.threadexception"),
    *("hypothesis", "hypothesis.stateful", "hypothesis.strategies", "xdist.plugin", "greenlet"),
    *("alpaca.trading.client", "alpaca.data.historical", "alpaca.data.live", "mysql.connector", "requests"),
    *("websockets", "msgpack", "rich.console", "rich.table", "dotenv", "aiosmtpd.controller", "trustme"),
    *("asyncio", "smtplib", "sqlite3", "unittest.mock"),
)
"""None of ours: each command imports those as they stand in the tree then."""
POLL_SECONDS = 0.02
HANGS = None
NO_ANSWER = 3


class Forker:
    """The other end: starts the process in a tree, and asks it."""

    def __init__(self, tree: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "proof.mutation.forker"],
            cwd=tree,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, command: tuple[str, ...], limit_seconds: float, output: Path) -> int | None:
        """The exit code of `python -m` with that; None if it took too long and was ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        asked = {"command": command, "limit_seconds": limit_seconds, "output": str(output)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())["code"]
        return answer if answer is None else int(answer)

    def __enter__(self) -> "Forker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()


def main() -> None:
    for name in PACKAGES:
        with suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps({"code": _forked(**json.loads(line))}), flush=True)


def _forked(command: list[str], limit_seconds: float, output: str) -> int | None:
    child = os.fork()
    if child == 0:
        _become(command, output)
    until = time.monotonic() + limit_seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _kill(child)  # what it may have left
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_SECONDS)
    _kill(child)
    os.waitpid(child, 0)
    return HANGS


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _become(command: list[str], output: str) -> None:
    """Never returns: in the child, run a module as a program does."""
    os.setsid()
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, end in enumerate((null, file, file)):
        os.dup2(end, number)
    code: Any = NO_ANSWER
    try:
        code = _run(command)
    except SystemExit as end:
        code = end.code or 0
    finally:
        if code == NO_ANSWER:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _run(command: list[str]) -> int:
    sys.argv = command
    module = importlib.import_module(command[0] if command[0] == "pytest" else f"{command[0]}.__main__")
    return int(module.main(list(command[1:])))


if __name__ == "__main__":
    main()
