"""The crontab of the user: a block of ours between two marks, and everything else as it was, to the byte."""

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dca.core.errors import StartRefused

MISSING = "this machine has no crontab program: install it (Debian: apt-get install cron)"
JOBS = (
    ("* * * * *", "watchdog"),
    ("@reboot", "watchdog"),
    ("* * * * *", "order_manager"),
    ("* * * * *", "cooldown_manager"),
    ("*/5 * * * *", "consistency_checker"),
)
NO_DAEMON = "no cron daemon runs on this machine: start it (Debian: service cron start)"
_SCRIPTS = {f"{name}.py" for _, name in JOBS}
_DAEMONS = {"cron", "crond", "fcron", "bcron-sched", "anacron"}
_WITHOUT_A_DAEMON = ("/usr/lib/systemd/system-generators/systemd-crontab-generator", "/System/Library")
"""systemd-cron makes timers of crontabs; macOS has no /proc."""
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


def started(crontab: bytes) -> list[Path]:
    """Scripts of ours that lines start, of whatever folder: by their path, by the wrapper, or after a cd."""
    found: list[Path] = []
    for line in crontab.decode("utf-8", "surrogateescape").splitlines():
        if line.lstrip().startswith("#"):
            continue
        try:
            words = [word.rstrip(";&") for word in shlex.split(line.replace(r"\%", "%"))]
        except ValueError:  # a line of somebody else's, with a quote that does not end
            continue
        folder = Path("~")
        for word, following in zip(words, [*words[1:], ""], strict=True):
            path = Path(word)
            if word == "cd":
                folder = Path(following)
            elif path.name == "run_script_wrapper.sh":
                folder = (folder / path).parent
            elif path.name in _SCRIPTS:
                found.append(folder / path)
    return found


def gone(crontab: bytes) -> list[Path]:
    """Folders whose scripts are started and are not there: the folder was moved, or removed."""
    missing = (path for path in started(crontab) if path.is_absolute() and not _is_there(path))
    return list(dict.fromkeys(path.parent for path in missing))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # nobody knows
        return True


def daemon_runs() -> bool | None:
    """Whether cron runs on this machine. None: that cannot be seen, or it is not a process of its own."""
    if any(map(_is_there, map(Path, _WITHOUT_A_DAEMON))):
        return None
    names = {int(each.parent.name): _name_in(each) for each in Path("/proc").glob("[0-9]*/comm")}
    if any(name in _DAEMONS for name in names.values()):
        return True
    return False if names.get(1) else None  # others' processes may be hidden


def _name_in(comm: Path) -> str:
    try:
        return comm.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def trouble(root: Path) -> str | None:
    """Why cron starts nothing of ours, with what to do; None if nothing is known to be wrong."""
    where = program()
    if where is None:
        return MISSING
    if daemon_runs() is False:
        return NO_DAEMON
    try:
        content = read(where)
    except StartRefused as error:
        return str(error)
    if any(path.parent == root for path in started(content)):
        return None
    old = ", ".join(map(str, gone(content)))
    if old:
        return f"the crontab is of {old}, which is gone: ./bot install"
    return "./bot install writes the crontab"


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
