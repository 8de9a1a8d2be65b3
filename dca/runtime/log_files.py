"""Log files that look after themselves: any number of processes may write one, and none can fill the disk.

A file is rotated by whoever finds it too large or too old: NAME.log to NAME.log.1, that to NAME.log.2.
Nothing here raises: trading goes on without a log (F68), and the log goes on when there is space again.
"""

import errno
import fcntl
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dca.runtime.clock import SystemClock

MAX_BYTES = 10_000_000
MAX_AGE_SECONDS = 7 * 86_400.0
KEPT = 2
FORGOTTEN_AFTER_SECONDS = 90 * 86_400.0
FOLDER_BYTES = 180_000_000
"""What a sweep leaves at most: the files may grow until the next one, and stay below 200 MB."""

DISK_TROUBLES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""What is no mistake of the settings: the bot trades on without a log."""

_OURS = r"\.log(\.\d+)?$"
_OUTPUTS = (1, 2)


class LogFile(logging.StreamHandler["_Appender"]):
    """A handler for one file of lines."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = MAX_BYTES,
        max_age_seconds: float = MAX_AGE_SECONDS,
        kept: int = KEPT,
    ) -> None:
        """Raises:
        OSError: the file cannot be opened, for another reason than the disk's state.
        """
        self._appender = _Appender(path, max_bytes, max_age_seconds, kept)
        super().__init__(self._appender)

    def emit(self, record: logging.LogRecord) -> None:
        self._appender.now = record.created
        super().emit(record)

    def owns(self, descriptor: int) -> bool:
        """Whether what is written there lands in this file: cron's redirection, or none at all."""
        return self._appender.owns(descriptor)

    def close(self) -> None:
        self._appender.close()
        super().close()


class _Appender:
    """The file: opened when needed, again when it was moved away, written in whole lines."""

    def __init__(self, path: Path, max_bytes: int, max_age_seconds: float, kept: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_age_seconds = max_age_seconds
        self._kept = kept
        self._file: int | None = None
        self._begun: float | None = None
        self._torn = False
        self.now = SystemClock().now().timestamp()
        try:
            self._open()
        except OSError as error:
            if error.errno not in DISK_TROUBLES:
                raise
        self._take_over_outputs()

    def write(self, text: str) -> None:
        """Append lines with one call of the system, which does not mix them with another process's."""
        data = text.encode("utf-8", "replace")
        with suppress(OSError):
            file = self._current(len(data))
            if self._torn:
                data = b"\n" + data
            self._torn = os.write(file, data) < len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def owns(self, descriptor: int) -> bool:
        try:
            there = os.fstat(descriptor)
        except OSError:
            return True  # nowhere to write to
        if there.st_nlink == 0:
            return _name_of(descriptor) in {f"{each} (deleted)" for each in self._family()}
        return any(_is(each, there) for each in self._family())

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                os.close(file)

    def _family(self) -> list[Path]:
        """The file, and what it is called after one rotation, two, …"""
        return [self._path, *(_rotated(self._path, number) for number in range(1, self._kept + 1))]

    def _current(self, more: int) -> int:
        """The descriptor of what is at the path now, rotated if `more` bytes do not fit any more."""
        if self._file is None or not _is(self._path, os.fstat(self._file)):
            self._open()
        assert self._file is not None
        if self._is_over(self._file, more):
            with suppress(OSError):
                if self._rotate():
                    sweep(self._path.parent, now=datetime.fromtimestamp(self.now).astimezone())
            if not _is(self._path, os.fstat(self._file)):
                self._open()
        return self._file

    def _is_over(self, file: int, more: int) -> bool:
        """Too large or too old. What is no file, /dev/null for one, never is."""
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
            return False
        if self._begun is None:
            self._begun = _begun(self._path, status.st_mtime)
        return status.st_size + more > self._max_bytes or self.now - self._begun > self._max_age_seconds

    def _open(self) -> None:
        try:
            file = self._opened()
        except FileNotFoundError:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._opened()
        self.close()
        self._file = file
        self._begun = None
        self._take_over_outputs()

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _take_over_outputs(self) -> None:
        """Standard output and error follow the file when they were redirected into it: a traceback that
        the interpreter prints must be found in the newest file, not in one that was rotated away."""
        if self._file is None:
            return
        here = os.fstat(self._file)
        for output in _OUTPUTS:
            with suppress(OSError):
                if self._is_regular_and_ours(output) and not os.path.samestat(here, os.fstat(output)):
                    os.dup2(self._file, output)

    def _is_regular_and_ours(self, output: int) -> bool:
        return stat.S_ISREG(os.fstat(output).st_mode) and self.owns(output)

    def _rotate(self) -> bool:
        """Move the file away; False if another process is at it or was faster."""
        with _alone(self._path.parent) as alone:
            if not alone or self._file is None or not _is(self._path, os.fstat(self._file)):
                return False
            for number in range(self._kept, 0, -1):
                source = self._path if number == 1 else _rotated(self._path, number - 1)
                with suppress(FileNotFoundError):
                    source.replace(_rotated(self._path, number))
            return True


def sweep(log_dir: Path, *, now: datetime | None = None, limit_bytes: int = FOLDER_BYTES) -> list[str]:
    """Keep the folder small: rotated files that are too old go, and, if all together are too large, the
    oldest of them; if that is not enough, what is being written is emptied, the largest first.

    Returns what was done, a sentence each. Names that do not end in .log or .log.N are left alone.
    """
    present = now or SystemClock().now()
    with suppress(OSError), _alone(log_dir) as alone:
        if alone:
            return _swept(_files(log_dir), present.timestamp(), limit_bytes)
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """`modified`: seconds since the epoch."""

    path: Path
    bytes: int
    modified: float

    @property
    def is_live(self) -> bool:
        return self.path.suffix == ".log"


def _files(log_dir: Path) -> list[_File]:
    found = []
    for path in log_dir.iterdir():
        with suppress(FileNotFoundError):
            status = path.lstat()
            if re.search(_OURS, path.name) and stat.S_ISREG(status.st_mode):
                found.append(_File(path=path, bytes=status.st_size, modified=status.st_mtime))
    return found


def _swept(files: list[_File], now: float, limit_bytes: int) -> list[str]:
    done = []
    total = sum(file.bytes for file in files)
    for file in _in_order_of_loss(files):
        forgotten = not file.is_live and now - file.modified > FORGOTTEN_AFTER_SECONDS
        if not forgotten and total <= limit_bytes:
            continue
        with suppress(OSError):
            if file.is_live:
                os.truncate(file.path, 0)
            else:
                file.path.unlink()
            total -= file.bytes
            what = "emptied" if file.is_live else "removed"
            done.append(f"{what} {file.path.name} ({file.bytes / 1e6:.1f} MB)")
    return done


def _in_order_of_loss(files: list[_File]) -> list[_File]:
    rotated = sorted((file for file in files if not file.is_live), key=lambda file: file.modified)
    live = sorted((file for file in files if file.is_live), key=lambda file: -file.bytes)
    return rotated + live


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock, or not: nobody waits here, for its holder may be a stopped process."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(lock)


def _rotated(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _is(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except FileNotFoundError:
        return False


def _begun(path: Path, otherwise: float) -> float:
    """When a file was begun, by the time of its first line that has one (seconds since 1970)."""
    with suppress(OSError), path.open("rb") as file:
        for line in file.read(4096).splitlines():
            with suppress(ValueError, IndexError):
                return datetime.fromisoformat(line.split()[0].decode("ascii", "replace")).timestamp()
    return otherwise


def _name_of(descriptor: int) -> str:
    """What the system calls an open file, also after it was renamed or replaced."""
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return ""
