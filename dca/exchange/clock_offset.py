"""How far this machine's clock is from the exchange's."""

from dataclasses import dataclass

from dca.core.interfaces import Clock, MainBroker

MOST_SECONDS = 5.0
"""So much the clocks may differ: the age of a quote is the difference of the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """`ahead_seconds`: of ours, against the middle of the round trip. `doubt_seconds`: half of that trip; the
    exchange read its clock anywhere within."""

    ahead_seconds: float
    doubt_seconds: float = 0.0

    @property
    def is_wrong(self) -> bool:
        """Beyond doubt: a slow answer is no wrong clock."""
        return abs(self.ahead_seconds) - self.doubt_seconds > MOST_SECONDS

    @property
    def words(self) -> str:
        side = "ahead of" if self.ahead_seconds > 0 else "behind"
        return f"this machine's clock is {abs(self.ahead_seconds):.0f} s {side} the exchange's"


def read(broker: MainBroker, clock: Clock) -> ClockReading:
    """Raises:
    ExchangeUnavailable: nothing is known.
    """
    asked, before = clock.now(), clock.monotonic()
    theirs = broker.clock()
    doubt = (clock.monotonic() - before) / 2
    ahead = (asked - theirs).total_seconds() + doubt
    return ClockReading(ahead_seconds=ahead, doubt_seconds=doubt)
