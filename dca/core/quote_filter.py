"""Which raw quotes may matter: the levels of an asset as the stream's own floats, for the feed's thread.

Nearly every quote reaches nothing. It is told so by two comparisons of floats, before anything is made of it.
What passes is decided on with Decimals, from the locked rows.
"""

from datetime import UTC, datetime
from math import inf
from typing import NamedTuple

from dca.core.strategy import Levels

NEVER = datetime.max.replace(tzinfo=UTC)


class Tripwire(NamedTuple):
    """A quote is quiet while its ask is above the one, its bid below the other, and it is not yet time.

    Rounding to a float keeps the order of two numbers, or makes them equal: no quote that reaches a level is
    ever called quiet. NaN is never quiet, because nothing compares with it.
    """

    ask_at_most: float
    bid_at_least: float
    wake_at: datetime


def of(levels: Levels, now: datetime) -> Tripwire:
    """The tripwire of an asset's levels. A side that waits after a refusal trips nothing until it may act."""
    ask_at_most, bid_at_least, wake_at = -inf, inf, levels.wake_at or NEVER
    if levels.ask_at_most is not None:
        if levels.buys_from is None or levels.buys_from <= now:
            ask_at_most = float(levels.ask_at_most)
        else:
            wake_at = min(wake_at, levels.buys_from)
    if levels.bid_at_least is not None:
        if levels.sells_from is None or levels.sells_from <= now:
            bid_at_least = float(levels.bid_at_least)
        else:
            wake_at = min(wake_at, levels.sells_from)
    return Tripwire(ask_at_most, bid_at_least, wake_at)


def is_quiet(tripwire: Tripwire, bid: float, ask: float, now: datetime) -> bool:
    """What feed.py asks, there in a line of its own for speed."""
    return ask > tripwire.ask_at_most and bid < tripwire.bid_at_least and now < tripwire.wake_at
