"""What was taken, counted and seen in the part `quotes`, made into lines of the table. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.row import Row, median

PART = "quotes"
PAIRS = 60
PER_FRAME = (1, 10)
TIMES_THE_FLOOR = {1: 3.0, 10: 2.0}
"""By quotes a frame: the goals."""
COMPARED_WITH = 10
FLAT = 1.25
"""What a quote may cost at another number of pairs, in what it costs at ten."""
_ADDED_AT_MOST = 1e-4
"""Statements or requests per quote: one more or less of what is done every few seconds is no quote's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a receiver took at full rate, and what that cost it."""

    quotes: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.quotes / self.seconds

    @property
    def cpu_us_per_quote(self) -> float:
        return self.cpu_seconds / self.quotes * 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """What the servers counted in two spans of time, the first without quotes and the second full of them."""

    seconds: tuple[float, float]
    statements: tuple[int, int]
    requests: tuple[int, int]
    quotes: int


@dataclass(slots=True, kw_only=True)
class Samples:
    """`ours` and `floor` by quotes a frame, `by_pairs` main_app's by the number of pairs. `reacted`: of how
    many pairs, after each of our runs, an order came in for when they were quoted across a level."""

    ours: dict[int, list[Taken]] = field(default_factory=lambda: {each: [] for each in PER_FRAME})
    floor: dict[int, list[Taken]] = field(default_factory=lambda: {each: [] for each in PER_FRAME})
    by_pairs: dict[int, list[Taken]] = field(default_factory=dict)
    quiet: list[Quiet] = field(default_factory=list)
    reacted: list[int] = field(default_factory=list)


def speed_rows(samples: Samples, per_frame: int, *, judge: bool) -> list[Row]:
    """Quotes a second, and what each costs in processor time, which scatters less. Both have to be good."""
    ours, base = samples.ours[per_frame], samples.floor[per_frame]
    times, many = TIMES_THE_FLOOR[per_frame], f"{per_frame} a frame"
    speed, base_speed = (median([each.per_second for each in taken]) for taken in (ours, base))
    cost, base_cost = (median([each.cpu_us_per_quote for each in taken]) for taken in (ours, base))
    heard = all(reacted == PAIRS for reacted in samples.reacted)
    about = (
        f"{len(ours)} fresh processes each in turn, one core, {PAIRS} pairs; "
        f"{_quotes(ours):,} quotes and {_quotes(base):,}; afterwards {min(samples.reacted)} of {PAIRS} pairs "
        "reacted to one that crosses"
    )
    return [
        Row(
            part=PART,
            name=f"quotes in, {many}",
            unit="quotes/s",
            ours=speed,
            floor=base_speed,
            goal=f"at least {times:g} x",
            met=heard and speed >= times * base_speed if judge else None,
            about=about,
        ),
        Row(
            part=PART,
            name=f"core time a quote, {many}",
            unit="µs",
            ours=cost,
            floor=base_cost,
            goal=f"at most 1/{times:g} x",
            met=heard and cost * times <= base_cost if judge else None,
            about="of the same runs, all threads together",
        ),
    ]


def _quotes(taken: Sequence[Taken]) -> int:
    return sum(each.quotes for each in taken)


def quiet_rows(spans: Sequence[Quiet], *, judge: bool) -> list[Row]:
    """Statements and requests that the quotes added to what main_app does at rest."""
    quotes = sum(quiet.quotes for quiet in spans)
    found = []
    for name, counts in (
        ("statements", [quiet.statements for quiet in spans]),
        ("HTTP calls", [quiet.requests for quiet in spans]),
    ):
        added, about = 0.0, []
        for quiet, (without, with_quotes) in zip(spans, counts, strict=True):
            at_rest, full = quiet.seconds
            added += with_quotes - without * full / at_rest
            about.append(
                f"{with_quotes:,} in {full:.1f} s with {quiet.quotes:,} quotes, {without:,} in "
                f"{at_rest:.1f} s without any, by the server's own count"
            )
        found.append(
            Row(
                part=PART,
                name=f"quiet quote, {name}",
                unit="per quote",
                ours=max(0.0, round(added / quotes, 4)),
                goal="0",
                met=added / quotes < _ADDED_AT_MOST if judge else None,
                about="; ".join(about),
            )
        )
    return found


def asset_rows(samples: Samples, *, judge: bool) -> list[Row]:
    """What a quote costs with this many pairs, beside what it costs with ten."""
    medians = {
        number: median([each.cpu_us_per_quote for each in taken])
        for number, taken in sorted(samples.by_pairs.items())
    }
    base = medians[COMPARED_WITH]
    return [
        Row(
            part=PART,
            name=f"core time a quote, {number} asset{'s' if number > 1 else ''}",
            unit="µs",
            ours=cost,
            floor=base,
            goal=f"at most {FLAT:g} x",
            met=cost <= FLAT * base if judge else None,
            about=_asset_line(samples.by_pairs[number]),
        )
        for number, cost in medians.items()
        if number != COMPARED_WITH
    ]


def _asset_line(taken: Sequence[Taken]) -> str:
    speed = median([each.per_second for each in taken])
    return (
        f"10 a frame, {len(taken)} fresh processes, {speed:,.0f} quotes/s; its floor is main_app itself with "
        f"{COMPARED_WITH} assets"
    )
