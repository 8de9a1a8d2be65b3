"""Log lines made for `tail -f` and `grep`: one line per fact.

2026-11-21T06:34:00.123Z INFO  order BTC/USD c12 placed side=buy qty=0.0003 why="..."
"""

import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from dca.core.model import plain

_log = logging.getLogger("dca")


class LineFormatter(logging.Formatter):
    """UTC, level, then the fact; a traceback follows on lines of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-5s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002
        at = datetime.fromtimestamp(record.created, UTC)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fact(
    tag: str,
    what: str,
    *,
    symbol: str = "-",
    cycle: int | None = None,
    level: int = logging.INFO,
    why: str | None = None,
    details: Mapping[str, object] | None = None,
    **values: object,
) -> None:
    """Write one line: `details` and `values` as key=value, `why` last because it is a sentence."""
    parts = [tag, symbol, "-" if cycle is None else f"c{cycle}", what]
    parts += [
        f"{name}={_shown(value)}"
        for name, value in {**(details or {}), **values}.items()
        if value is not None
    ]
    if why is not None:
        parts.append(f'why="{_one_line(why)}"')
    _log.log(level, "%s", " ".join(" ".join(parts).split()))


def warn(tag: str, what: str, *, symbol: str = "-", cycle: int | None = None, why: str | None = None) -> None:
    fact(tag, what, symbol=symbol, cycle=cycle, why=why, level=logging.WARNING)


def _shown(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    shown = _one_line(str(value))
    return f'"{shown}"' if " " in shown else shown


def _one_line(text: str) -> str:
    """Text from outside must not look like lines of ours."""
    return " ".join(text.replace('"', "'").split())


class Troubles:
    """Faults that repeat: the first is told at once, the rest are counted, the end is told once."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, datetime]] = {}
        self._lock = threading.Lock()

    def begins(self, tag: str, key: str, why: str, now: datetime, *, symbol: str = "-") -> None:
        """Something does not work (any number of times)."""
        with self._lock:
            count, since = self._open.get(f"{tag} {key}", (0, now))
            self._open[f"{tag} {key}"] = (count + 1, since)
        if count == 0:
            warn(tag, key, symbol=symbol, why=why)

    def ends(self, tag: str, key: str, now: datetime, *, symbol: str = "-") -> None:
        """It works (again); silent if it always did."""
        if not self._open:
            return
        with self._lock:
            found = self._open.pop(f"{tag} {key}", None)
        if found is not None:
            count, since = found
            seconds = round((now - since).total_seconds())
            fact(tag, f"over: {key}", symbol=symbol, times=count, seconds=seconds)

    def names(self) -> list[str]:
        """What does not work now."""
        with self._lock:
            return sorted(self._open)
