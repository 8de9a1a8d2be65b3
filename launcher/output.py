"""What set-up says: one line per step, and one line when something is in the way."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VAR = ROOT / "var"
LOG = VAR / "setup.log"


class SetUpProblem(Exception):
    """Set-up cannot go on; the text is the one line to show."""


def say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show a step as it runs: its name at once, its seconds when it is done."""
    started = time.monotonic()
    sys.stdout.write(f"set-up: {what} ... ")
    sys.stdout.flush()
    end = "not done"
    try:
        yield
        end = f"done in {time.monotonic() - started:.0f} s"
    finally:
        say(end)


def make_folder(path: Path) -> None:
    """Make a folder with its parents.

    Raises:
        SetUpProblem: if this user may not write there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetUpProblem(f"{path} cannot be made ({error.strerror}); {_owner_hint(path)}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise SetUpProblem(f"{path} cannot be written; {_owner_hint(path)}")


def _owner_hint(path: Path) -> str:
    found = next((each for each in (path, *path.parents) if each.exists()), ROOT)
    return f"run this as the owner of {found}, or from a copy of your own"


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log, for showing why a step failed."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join("  | " + line for line in text.splitlines()[-lines:])
