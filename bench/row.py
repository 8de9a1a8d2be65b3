"""One line of the table, and the two numbers that sum samples up."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured, what the floor needed in the same run, and what it has to be.

    `ours` and `floor` are medians, in `unit`. `goal` is for people; `met` is the verdict, None where there
    is nothing to judge: a quick run, or samples that scatter too much. `about`: one line that says how the
    figure was made, with counts.
    """

    part: str
    name: str
    unit: str
    ours: float
    ours_p99: float | None = None
    floor: float | None = None
    floor_p99: float | None = None
    goal: str
    met: bool | None = None
    about: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over the floor's, by the medians; None where there is no floor."""
        return self.ours / self.floor if self.floor else None


def median(samples: Sequence[float]) -> float:
    """Raises:
    ValueError: there are no samples.
    """
    if not samples:
        raise ValueError("no samples")
    return float(statistics.median(samples))


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least so many percent of all are not above (nearest rank).

    Raises:
        ValueError: there are no samples, or percent is not from 0 to 100.
    """
    if not samples or not 0 <= percent <= 100:
        raise ValueError(f"no {percent}th percentile of {len(samples)} samples")
    rank = max(1, math.ceil(len(samples) * percent / 100))
    return float(sorted(samples)[rank - 1])
