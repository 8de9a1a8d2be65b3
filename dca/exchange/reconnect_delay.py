"""How long to wait before a stream is opened again. Pure."""

PAUSES_SECONDS = (1, 2, 4, 8, 16, 30)
STEADY_SECONDS = 60
"""A connection that lasted longer was a good one: the next pause is short again."""


class Pauses:
    """How long a stream that ended is left alone: longer every time, and short again after a good one."""

    def __init__(self) -> None:
        self._failures = 0

    def after(self, lasted_seconds: float) -> int:
        """Seconds, after a connection that lasted so long."""
        self._failures = 0 if lasted_seconds > STEADY_SECONDS else self._failures + 1
        return PAUSES_SECONDS[max(min(self._failures, len(PAUSES_SECONDS)) - 1, 0)]
