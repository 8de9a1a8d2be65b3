"""Quotes at full rate: how many main_app takes, what a quiet one costs, and if more pairs make it dearer.

The sender (bench.quotes_sender) has one core, the receiver the other. Receivers take turns, each a fresh
process: alpaca-py's CryptoDataStream(raw_data=True) with an empty handler, the least program that hears
quotes with the library that the bot is built on; and main_app.py itself. The same bytes go to both. A run is
over when a ping behind the last quote is answered, so what is in buffers is not counted as taken.
"""

import time
from dataclasses import dataclass

from bench.ground import Ground
from bench.quotes_link import Link
from bench.quotes_receivers import MainApp, floor, pairs
from bench.quotes_rows import (
    COMPARED_WITH,
    PAIRS,
    PER_FRAME,
    Quiet,
    Samples,
    asset_rows,
    quiet_rows,
    speed_rows,
)
from bench.row import Row

_MOST_PER_FRAME = max(PER_FRAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured. `quiet_seconds`: whole rounds of main_app's refreshing and settling. `counts`:
    with how many pairs beside PAIRS."""

    rounds: int
    seconds: float
    prepared: int
    quiet_seconds: float
    counts: tuple[int, ...]


_QUICK = Size(rounds=1, seconds=0.2, prepared=2000, quiet_seconds=0.5, counts=(COMPARED_WITH,))
_USUAL = Size(rounds=3, seconds=1.5, prepared=20_000, quiet_seconds=10.0, counts=(1, COMPARED_WITH, 500))
_FULL = Size(rounds=7, seconds=3.0, prepared=20_000, quiet_seconds=30.0, counts=(1, COMPARED_WITH, 500))


def rows(ground: Ground, *, quick: bool) -> list[Row]:
    """Raises:
    SetUpProblem, DemoProblem: something does not start.
    """
    samples = measured(ground, _QUICK if quick else _FULL if ground.full else _USUAL)
    speeds = [row for per_frame in PER_FRAME for row in speed_rows(samples, per_frame, judge=not quick)]
    return [*speeds, *quiet_rows(samples.quiet, judge=not quick), *asset_rows(samples, judge=not quick)]


def measured(ground: Ground, size: Size) -> Samples:
    """All receivers in turn, so many times over."""
    samples = Samples()
    with Link(seconds=size.seconds, prepared=size.prepared) as link:
        for _ in range(size.rounds):
            _floor(ground, link, samples)
            _ours(ground, link, samples, size.quiet_seconds)
            for number in size.counts:
                with MainApp(ground, link, pairs(number)) as ours:
                    taken = link.blast(ours.pid, ours.symbols, _MOST_PER_FRAME)
                    samples.by_pairs.setdefault(number, []).append(taken)
    return samples


def _floor(ground: Ground, link: Link, samples: Samples) -> None:
    symbols = pairs(PAIRS)
    with floor(ground, link, symbols) as pid:
        for per_frame in PER_FRAME:
            samples.floor[per_frame].append(link.blast(pid, symbols, per_frame))


def _ours(ground: Ground, link: Link, samples: Samples, quiet_seconds: float) -> None:
    """Full rate; once the quiet spans too; and in the end what shows that it was not deaf."""
    with MainApp(ground, link, pairs(PAIRS)) as ours:
        for per_frame in PER_FRAME:
            samples.ours[per_frame].append(link.blast(ours.pid, ours.symbols, per_frame))
        samples.by_pairs.setdefault(PAIRS, []).append(samples.ours[_MOST_PER_FRAME][-1])
        if not samples.quiet:
            samples.quiet.append(_quiet(ours, link, quiet_seconds))
        samples.reacted.append(ours.reacting())


def _quiet(ours: MainApp, link: Link, seconds: float) -> Quiet:
    """Counted by the servers themselves; asking them costs the same in both spans."""

    def counts() -> tuple[float, int, int]:
        return time.monotonic(), ours.statements(), ours.requests()

    first = counts()
    time.sleep(seconds)
    second = counts()
    taken = link.blast(ours.pid, ours.symbols, _MOST_PER_FRAME, seconds)
    third = counts()
    return Quiet(
        seconds=(second[0] - first[0], third[0] - second[0]),
        statements=(second[1] - first[1], third[1] - second[1]),
        requests=(second[2] - first[2], third[2] - second[2]),
        quotes=taken.quotes,
    )
