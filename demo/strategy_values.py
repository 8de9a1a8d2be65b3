"""The values of the demo's rows in dca_assets, and how fast a recording is played.

The rule for a recording: prices should move about MOVE_PERCENT per square root of a real second, so that
demo-like percentages are crossed every few seconds. The speed that does it follows from the recording's own
movement (the square of the ratio, since movement grows with the root of time). It is then bounded: the file
must last LEAST_SECONDS. Where that leaves less movement, the percentages shrink with it, even below the
0.5 % that a round trip costs in fees: such a run says so, and completes its cycles at a loss.
"""

import csv
import gzip
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import IO

MOVE_PERCENT = 0.8
LEAST_SECONDS = 110.0
FASTEST = 30_000.0
SAMPLES = 2_000
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
class Recording:
    """What was measured in a file: its market seconds, and its movement in percent per root second."""

    seconds: float
    move_percent: float


def measure(path: Path) -> Recording:
    """Measure a recording of bars, quotes or books: by the mean size of its moves over some thousandth of
    its length, which neither a crash nor the flicker of single prices distorts much.

    Raises:
        ValueError: if it is none of them, with the file's name.
    """
    try:
        points = list(_points(path))
    except (OSError, KeyError, IndexError, ValueError, EOFError) as error:
        raise ValueError(f"{path} is no recording of bars, quotes or books: {error}") from error
    if len(points) < 3:
        raise ValueError(f"{path} holds {len(points)} prices; that is no recording")
    sample = points[:: max(1, len(points) // SAMPLES)]
    span = max(1.0, points[-1][0] - points[0][0])
    moves = [abs(math.log(later[1] / earlier[1])) for earlier, later in itertools.pairwise(sample)]
    mean = sum(moves) / len(moves) * _MEAN_TO_STANDARD_DEVIATION
    return Recording(seconds=span, move_percent=100 * mean / math.sqrt(span / len(moves)))


def _points(path: Path) -> Iterator[tuple[float, float]]:
    """Moments (in seconds) and prices."""
    with _open(path) as file:
        first = file.readline()
        file.seek(0)
        if first.startswith("{"):
            for line in file:
                book = json.loads(line)
                yield _seconds(book["ts"]), float(book["bids"][0][0])
            return
        for row in csv.DictReader(file):
            yield _seconds(row.get("timestamp") or row["ts"]), float(row.get("close") or row["bid"])


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def speed_for(recording: Recording) -> float:
    """Market seconds per second: the rule above."""
    wanted = (MOVE_PERCENT / max(recording.move_percent, 1e-6)) ** 2
    return max(1.0, round(min(wanted, FASTEST, recording.seconds / LEAST_SECONDS), 1))


def values_for(recording: Recording, speed: float) -> Values:
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
