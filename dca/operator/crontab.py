"""The crontab of the user: a block of ours between two marks, and everything else as it was, to the byte."""

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dca.errors import StartRefused

MISSING = "this machine has no crontab program: install it (Debian: apt-get install cron)"
JOBS = (
    ("* * * * *", "watchdog"),
    ("@reboot", "watchdog"),
    ("* * * * *", "order_manager"),
    ("* * * * *", "cooldown_manager"),
    ("*/5 * * * *", "consistency_checker"),
)
_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the block's lines are about. `env_file` is None where the scripts find it by themselves."""

    root: Path
    log_dir: Path
    env_file: Path | None


def block(place: Place) -> bytes:
    """The lines of an installation, marks included.

    Raises:
        StartRefused: a path that cron cannot be told.
    """
    first, last = _marks(place.root)
    lines = [first, f"# Written by {place.root}/bot install; ./bot uninstall takes it out again."]
    setting = "" if place.env_file is None else f"DCA_ENV_FILE={_shell(place.env_file)} "
    for when, name in JOBS:
        python, script = place.root / "venv/bin/python", place.root / f"{name}.py"
        log = place.log_dir / f"{name}.log"
        lines.append(f"{when} {setting}{_shell(python)} {_shell(script)} >> {_shell(log)} 2>&1")
    text = "".join(f"{line}\n" for line in [*lines, last])
    longest = max(len(line.encode()) for line in lines)
    if longest > 990:  # Debian's cron takes 999
        raise StartRefused(f"the path {place.root} is too long for a crontab ({longest} bytes in a line)")
    return text.encode()


def _shell(path: Path) -> str:
    """For the shell, and then for cron, to which % means a new line."""
    if any(letter in str(path) for letter in "\n\r\0"):
        raise StartRefused(f"a path with a line break cannot be in a crontab: {str(path)!r}")
    return shlex.quote(str(path)).replace("%", r"\%")


def _marks(root: Path) -> tuple[str, str]:
    return f"# >>> dca-suite {root} >>>", f"# <<< dca-suite {root} <<<"


def with_block(crontab: bytes, root: Path, wanted: bytes) -> bytes:
    """The crontab with our block: in the place of the old one, or at the end.

    Raises:
        StartRefused: the marks are not a pair.
    """
    found = _found(crontab, root)
    if found is not None:
        return crontab[: found[0]] + wanted + crontab[found[1] :]
    return crontab + (b"" if not crontab or crontab.endswith(b"\n") else b"\n") + wanted


def without_block(crontab: bytes, root: Path) -> bytes:
    """The crontab without our block.

    Raises:
        StartRefused: the marks are not a pair.
    """
    found = _found(crontab, root)
    return crontab if found is None else crontab[: found[0]] + crontab[found[1] :]


def block_in(crontab: bytes, root: Path) -> bytes | None:
    """Our block as it stands there.

    Raises:
        StartRefused: the marks are not a pair.
    """
    found = _found(crontab, root)
    return None if found is None else crontab[found[0] : found[1]]


def _found(crontab: bytes, root: Path) -> tuple[int, int] | None:
    """From where to where our block goes."""
    first, last = (mark.encode() for mark in _marks(root))
    starts, ends, at = [], [], 0
    for line in crontab.splitlines(keepends=True):
        if line.strip() == first:
            starts.append(at)
        at += len(line)
        if line.strip() == last:
            ends.append(at)
    if not starts and not ends:
        return None
    if len(starts) != 1 or len(ends) != 1 or starts[0] >= ends[0]:
        raise StartRefused(
            f"the crontab has the lines {first.decode()!r} and {last.decode()!r} not exactly once each: "
            "take our lines out with crontab -e and try again"
        )
    return starts[0], ends[0]


def program() -> str | None:
    """Where the crontab program is; None if there is none."""
    return shutil.which("crontab")


def read(crontab: str) -> bytes:
    """The user's crontab; empty if there is none.

    Raises:
        StartRefused: it cannot be read, which is not the same as empty.
    """
    answer = _run([crontab, "-l"], b"")
    if answer.returncode == 0:
        return answer.stdout
    if b"no crontab for" in answer.stderr:
        return b""
    raise StartRefused(f"crontab -l failed: {_words(answer)}")


def write(crontab: str, content: bytes) -> None:
    """Replace the user's crontab.

    Raises:
        StartRefused: with crontab's words.
    """
    answer = _run([crontab, "-"], content)
    if answer.returncode != 0:
        raise StartRefused(f"the crontab was not changed: {_words(answer)}")
    if read(crontab) != content:
        raise StartRefused("the crontab is not as it was written: look at it with crontab -l")


def _run(command: list[str], given: bytes) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(command, input=given, capture_output=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartRefused(f"{' '.join(command)}: {error}") from error


def _words(answer: "subprocess.CompletedProcess[bytes]") -> str:
    said = " ".join(answer.stderr.decode("utf-8", "replace").split())
    return said or f"exit code {answer.returncode}"
