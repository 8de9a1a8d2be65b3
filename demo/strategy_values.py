"""The values of the demo's rows in dca_assets, and how fast a recording is played.

The rule for a recording: prices should move about MOVE_PERCENT per square root of a real second, so that
demo-like percentages are crossed every few seconds. The speed that does it follows from the recording's own
movement (the square of the ratio, since movement grows with the root of time). It is then bounded: the file
must last LEAST_SECONDS. Where that leaves less movement, the percentages shrink with it, even below the
0.5 % that a round trip costs in fees: such a run says so, and completes its cycles at a loss.
"""

import itertools
import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from recordings.recording import Recording
from recordings.values import BadFile, Bar, BestQuote, Book, Moment, Trade

MOVE_PERCENT = 0.8
LEAST_SECONDS = 110.0
FASTEST = 30_000.0
SAMPLES = 2_000
LEAST_POINTS = 3
_MEAN_TO_STANDARD_DEVIATION = math.sqrt(math.pi / 2)
ROUND_TRIP_FEES_PERCENT = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """A row of dca_assets, without its symbol."""

    base_order_amount: Decimal = Decimal("25.00")
    safety_order_amount: Decimal = Decimal("25.00")
    max_safety_orders: int = 5
    safety_order_deviation: Decimal = Decimal("0.7")
    take_profit_percent: Decimal = Decimal("0.9")
    cooldown_period: int = 6
    buy_order_price_deviation_percent: Decimal = Decimal("0.6")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured in a recording: its market seconds, and its movement in percent per root second.
    `what` says what the file was taken for, and what of it was left out."""

    seconds: float
    move_percent: float
    what: str = ""


def measure(path: Path) -> Measured:
    """Measure a recording: by the mean size of its moves over some thousandth of its length, which neither a
    crash nor the flicker of single prices distorts much.

    Raises:
        BadFile: it is none, with the file's name.
    """
    recording = Recording(path)
    points = [(moment.at.timestamp(), _price(moment)) for moment in recording.moments()]
    if len(points) < LEAST_POINTS:
        raise BadFile(f"{path}: holds {len(points)} usable prices, too few to play; {recording.left_out}")
    sample = points[:: max(1, len(points) // SAMPLES)]
    span = max(1.0, points[-1][0] - points[0][0])
    moves = [abs(math.log(later[1] / earlier[1])) for earlier, later in itertools.pairwise(sample)]
    mean = sum(moves) / len(moves) * _MEAN_TO_STANDARD_DEVIATION
    return Measured(
        seconds=span,
        move_percent=100 * mean / math.sqrt(span / len(moves)),
        what=f"{recording}: {len(points):,} lines; {recording.left_out}",
    )


def _price(moment: Moment) -> float:
    match moment:
        case Bar(close=price) | Trade(price=price) | BestQuote(bid=price):
            return float(price)
        case Book(bids=bids):
            return float(bids[0][0])


def speed_for(recording: Measured) -> float:
    """Market seconds per second: the rule above."""
    wanted = (MOVE_PERCENT / max(recording.move_percent, 1e-6)) ** 2
    return max(1.0, round(min(wanted, FASTEST, recording.seconds / LEAST_SECONDS), 1))


def values_for(recording: Measured, speed: float) -> Values:
    """Percentages that fit the movement per real second at this speed."""
    per_second = recording.move_percent * math.sqrt(speed)

    def fitting(factor: float, most: str) -> Decimal:
        value = Decimal(f"{max(0.02, per_second * factor):.2f}")
        return min(value, Decimal(most))

    return Values(
        max_safety_orders=25,
        take_profit_percent=fitting(1.0, "3.0"),
        safety_order_deviation=fitting(0.9, "2.5"),
        buy_order_price_deviation_percent=fitting(0.7, "2.5"),
        cooldown_period=2,
    )
