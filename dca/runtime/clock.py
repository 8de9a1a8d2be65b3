"""The one place that reads the clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock: `now` for what is written down, `monotonic` (seconds) for how long it took."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def seconds_since_boot() -> float:
    """How long this machine has been up, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
