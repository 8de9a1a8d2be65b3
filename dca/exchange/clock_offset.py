"""How far this machine's clock is from the exchange's."""

from dataclasses import dataclass

from dca.core.interfaces import Clock, MainBroker

MOST_SECONDS = 5.0
"""Largest clock difference accepted: a quote's age is computed from both clocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """One comparison of the clocks. `ahead_seconds`: how far ours is ahead, measured at the middle of the
    round trip. `doubt_seconds`: half of the round trip, the uncertainty of that."""

    ahead_seconds: float
    doubt_seconds: float = 0.0

    @property
    def is_wrong(self) -> bool:
        """Whether the clock is off by more than the limit, allowing for the uncertainty of a slow answer."""
        return abs(self.ahead_seconds) - self.doubt_seconds > MOST_SECONDS

    @property
    def words(self) -> str:
        side = "ahead of" if self.ahead_seconds > 0 else "behind"
        return f"this machine's clock is {abs(self.ahead_seconds):.0f} s {side} the exchange's"


def read(broker: MainBroker, clock: Clock) -> ClockReading:
    """Raises:
    ExchangeUnavailable: no usable answer.
    """
    asked, before = clock.now(), clock.monotonic()
    theirs = broker.clock()
    doubt = (clock.monotonic() - before) / 2
    ahead = (asked - theirs).total_seconds() + doubt
    return ClockReading(ahead_seconds=ahead, doubt_seconds=doubt)
