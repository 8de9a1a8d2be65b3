"""Finds the line in main_app's log that explains why it ended.

Warnings do not count, since the bot keeps running after them. An error ends the process, and so does what the
interpreter itself prints.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

TAIL_BYTES = 64_000
_FATAL = frozenset({"ERROR", "CRITICAL"})
_INTERPRETER = ("Traceback (most recent call last)", "Fatal Python error")
"""First words of what the interpreter itself prints."""


def bytes_of(log: Path) -> int:
    """The file's size in bytes; 0 if there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def since_bytes(log: Path, count: int) -> str:
    """The explanation of an end written after the first `count` bytes; else the last line, or ""."""
    lines = _tail(log, count)
    said = [line.strip() for line in lines if line.strip()]
    return _explanation(lines) or (said[-1] if said else "")


def since(log: Path, then: datetime | None) -> str:
    """The explanation of the end of the process started at that time; "" if there is none."""
    if then is None:
        return ""
    then, lines = then.replace(microsecond=then.microsecond // 1000 * 1000), _tail(log)
    for number, line in enumerate(lines):
        at = _time_of(line)
        if at is not None and at >= then:
            return _explanation(lines[number:])
    return ""


def _explanation(lines: list[str]) -> str:
    """The last line that reports an end, with the error of the traceback after it."""
    numbers = range(len(lines) - 1, -1, -1)
    fatal = next((number for number in numbers if _level(lines[number]) in _FATAL), None)
    if fatal is not None:
        return ": ".join([lines[fatal].strip(), *_words_behind(lines[fatal + 1 :])])
    begins = next((number for number in numbers if lines[number].startswith(_INTERPRETER)), None)
    return "" if begins is None else "".join(_words_behind(lines[begins:]))


def _words_behind(lines: list[str]) -> list[str]:
    """The last line before the next log line: of a traceback, the error itself."""
    found: list[str] = []
    for line in lines:
        if _time_of(line) is not None:
            break
        if line.startswith("Fatal Python error"):
            return [line.strip()]
        found = [line.strip()] if line.strip() else found
    return found


def _level(line: str) -> str:
    """The level of one of our log lines; "" for other lines."""
    return "" if _time_of(line) is None else "".join(line.split(maxsplit=2)[1:2])


def _time_of(line: str) -> datetime | None:
    """When one of our log lines was written; None for other lines."""
    try:
        at = datetime.fromisoformat(line.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _tail(path: Path, since: int = 0) -> list[str]:
    """The file's last lines among those written after its first `since` bytes."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < since:  # rotated meanwhile
                since = 0
            file.seek(max(since, size - TAIL_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
