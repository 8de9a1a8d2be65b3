"""What a script says that cannot even begin: to standard error, which under cron is its log."""

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def about_settings(name: str, problems: Sequence[str]) -> str:
    """One line if there is one problem, else a list."""
    if len(problems) == 1:
        return f"{name}: {problems[0]}"
    return "\n".join([f"{name}: the settings need attention:", *(f"  - {problem}" for problem in problems)])


def say(text: str) -> None:
    """Print it, unless that goes to a file that ends with just this: cron would repeat it every minute."""
    if not _has_said(f"{text}\n".encode()):
        print(text, file=sys.stderr, flush=True)


def _has_said(text: bytes) -> bool:
    with suppress(OSError, ValueError):
        output = sys.stderr.fileno()
        status = os.fstat(output)
        if stat.S_ISREG(status.st_mode) and status.st_size >= len(text):
            with Path(f"/proc/self/fd/{output}").open("rb") as file:
                file.seek(-len(text), os.SEEK_END)
                return file.read() == text
    return False
