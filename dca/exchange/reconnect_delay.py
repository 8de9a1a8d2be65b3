"""The delay before a stream is reopened. Pure."""

PAUSES_SECONDS = (1, 2, 4, 8, 16, 30)
STEADY_SECONDS = 60
"""A connection that lasted longer than this was a good one, and resets the delay."""


class Pauses:
    """A reconnect delay that grows with each failure and resets after a good connection."""

    def __init__(self) -> None:
        self._failures = 0

    def after(self, lasted_seconds: float) -> int:
        """Seconds to wait after a connection that lasted `lasted_seconds`."""
        self._failures = 0 if lasted_seconds > STEADY_SECONDS else self._failures + 1
        return PAUSES_SECONDS[max(min(self._failures, len(PAUSES_SECONDS)) - 1, 0)]
