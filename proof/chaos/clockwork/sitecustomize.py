"""Lets a chaos run step the bot's clock: its folder stands first in PYTHONPATH of the bot's processes.

Setting the machine's clock takes root and would befall everything else on it. The bot reads its clock in one
place (dca/runtime/clock.py, a test sees to that), so adding an offset there is a step of the clock as far as
the bot can tell. The offset is read from a file, in seconds.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dca.runtime import clock

_FILE = Path(os.environ.get("CHAOS_CLOCK_FILE", "/nonexistent"))


def _now(self: clock.SystemClock) -> datetime:  # noqa: ARG001 - takes the method's place
    try:
        offset = float(_FILE.read_text(encoding="ascii") or 0)
    except (OSError, ValueError):
        offset = 0.0
    return datetime.now(UTC) + timedelta(seconds=offset)


clock.SystemClock.now = _now  # type: ignore[method-assign]
