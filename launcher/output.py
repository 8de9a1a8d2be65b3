"""Set-up's output: one line per step, and one line per problem."""

import os
import shutil
import sys
import textwrap
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


def complain(text: str) -> None:
    """Print a line to standard error: on a terminal broken between words."""
    on_a_terminal = sys.stderr.isatty()
    print(wrapped(text, shutil.get_terminal_size().columns) if on_a_terminal else text, file=sys.stderr)


def wrapped(text: str, width: int, indent: int = 2) -> str:
    """The text broken between words, what follows its first line indented. A longer word runs over."""
    if len(text) <= width:
        return text
    return textwrap.fill(
        text.lstrip(),
        width,
        initial_indent=text[: len(text) - len(text.lstrip())],
        subsequent_indent=" " * min(indent, width // 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log, for showing why a step failed."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join("  | " + line for line in text.splitlines()[-lines:])
