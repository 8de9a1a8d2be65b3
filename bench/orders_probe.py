"""A program with a stop-watch at the doors of the libraries that it uses; the program is not touched.

Run as `python -m bench.orders_probe FILE main_app` or `... FILE floor ARGUMENT`: what passes a door is noted
with the time (CLOCK_MONOTONIC) and the thread, and written to FILE at the end, one JSON array a line. A note
costs about a microsecond.
"""

import atexit
import http.client
import json
import re
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import msgpack
from mysql.connector.cursor_cext import CMySQLCursor
from requests.adapters import HTTPAdapter

from launcher.output import ROOT

Note = tuple[int, int, str, str]
"""Time, thread, what, which."""
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE) (\w+)")


class Notes:
    """Kept in memory while it runs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._notes: list[Note] = []

    def watch(self, owner: Any, name: str, what: str, which: Callable[..., str] = lambda *_: "") -> None:
        """Have a function of a library note when it begins and ends."""
        original = getattr(owner, name)
        notes, now, thread = self._notes.append, time.monotonic_ns, threading.get_ident

        @wraps(original)
        def noted(*args: Any, **kwargs: Any) -> Any:
            detail = which(*args)
            notes((now(), thread(), what, detail))
            try:
                return original(*args, **kwargs)
            finally:
                notes((now(), thread(), f"{what} done", detail))

        setattr(owner, name, noted)

    def write(self) -> None:
        """One JSON array a line."""
        self._file.write_text("".join(json.dumps(note) + "\n" for note in self._notes), encoding="utf-8")


def brief(sql: str) -> str:
    """Which statement it is: its verb, its table, and whether it locks."""
    verb = sql.partition(" ")[0]
    if verb in ("START", "COMMIT"):
        return sql
    if sql.startswith("SELECT COUNT"):
        return "COUNT of the hour's orders"
    table = _TABLE.search(sql)
    lock = " FOR UPDATE" if sql.endswith("FOR UPDATE") else ""
    return f"{verb} {table[1] if table else ''}{lock}"


def main(file: Path, program: str, arguments: list[str]) -> None:
    notes = Notes(file)
    atexit.register(notes.write)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    notes.watch(msgpack, "unpackb", "frame")
    notes.watch(threading.Condition, "notify", "notify")
    notes.watch(threading.Condition, "wait", "wait")
    notes.watch(CMySQLCursor, "execute", "sql", lambda _self, sql, *_: brief(str(sql)))
    notes.watch(CMySQLCursor, "fetchall", "fetch")
    notes.watch(
        HTTPAdapter, "send", "http", lambda _self, request, *_: f"{request.method} {request.path_url}"
    )
    notes.watch(http.client.HTTPConnection, "send", "socket")
    if program == "main_app":
        sys.argv = [str(ROOT / "main_app.py")]
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        sys.argv = ["orders_floor", *arguments]
        runpy.run_module("bench.orders_floor", run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
