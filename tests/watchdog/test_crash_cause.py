"""Which line of main_app's log explains a death."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dca.watchdog import crash_cause

START = datetime(2026, 3, 4, 12, 0, 0, 123_456, tzinfo=UTC)
BEFORE = "2026-03-04T11:59:59.000Z"
AFTER = "2026-03-04T12:00:00.123Z"
CRASH = f"{AFTER} ERROR crash - - a bug; the next start settles what is open"
TRACEBACK = """Traceback (most recent call last):
  File "/x/dca/store.py", line 1, in control
    raise ValueError
ValueError: 'HALT' is not a valid Mode"""
CHAINED = f"KeyError: 1\n\nDuring handling of the above exception, another exception occurred:\n\n{TRACEBACK}"


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        (f"{AFTER} INFO  start - - trading\n", ""),
        # nothing of an earlier run
        (f"{BEFORE} ERROR crash - - a bug\nValueError: old\n{AFTER} INFO  start - - trading\n", ""),
        (f"{BEFORE} ERROR crash - - a bug\nValueError: old\n", ""),
        # a warning is no death
        (f"{AFTER} WARNING worker DatabaseUnavailable - - why=x\n", ""),
        (f"{CRASH}\n{TRACEBACK}\n", f"{CRASH}: ValueError: 'HALT' is not a valid Mode"),
        (f"{CRASH}\n{CHAINED}\n", f"{CRASH}: ValueError: 'HALT' is not a valid Mode"),
        (
            f"{CRASH}\n{TRACEBACK}\n{AFTER} INFO  stop - - stopped open_orders=1\n",
            f"{CRASH}: ValueError: 'HALT' is not a valid Mode",
        ),
        (f"{AFTER} INFO  start - - trading\n{TRACEBACK}\n", "ValueError: 'HALT' is not a valid Mode"),
        (
            f"{AFTER} INFO  start - - trading\nFatal Python error: Segmentation fault\n\n  File x\n",
            "Fatal Python error: Segmentation fault",
        ),
        (f"{AFTER} INFO  start - - trading\nDeprecationWarning: pretty old\n", ""),
    ],
)
def test_the_line_that_explains_the_death_or_none(tmp_path: Path, log: str, words: str) -> None:
    file = tmp_path / "main_app.log"
    file.write_text(log)
    assert crash_cause.since(file, START) == words


def test_what_cannot_be_known(tmp_path: Path) -> None:
    file = tmp_path / "main_app.log"
    assert crash_cause.since(file, START) == ""
    file.write_text(f"{CRASH}\n")
    assert crash_cause.since(file, None) == ""


def test_of_one_that_was_started_just_now_the_last_line_is_worth_something(tmp_path: Path) -> None:
    file = tmp_path / "main_app.log"
    file.write_text("  - DB_PORT is few\n")
    already = crash_cause.bytes_of(file)
    assert crash_cause.since_bytes(file, already) == ""
    file.write_text("  - DB_PORT is few\nmain_app: the settings need attention:\n  - DB_PORT is many\n\n")
    assert crash_cause.since_bytes(file, already) == "- DB_PORT is many"
    file.write_text("")  # rotated
    assert crash_cause.since_bytes(file, already) == ""
