"""What can befall a run, how often each, and what a run of some length must have seen. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

LINKS = ("rest", "streams", "database")
NET_MODES = ("cut", "slow", "half_open", "deaf", "refuse")

KILLS = ("kill.main_app", "kill.caretaker", "kill.database")
RESTARTS = ("kill.database", "restart.database")

WEIGHTS: Mapping[str, int] = {
    "kill.main_app": 12,
    "kill.caretaker": 8,
    "kill.database": 6,
    "restart.database": 2,
    "pause.main_app": 3,
    "pause.caretaker": 2,
    "pause.database": 3,
    "pause.exchange": 3,
    **{f"net.{link}.{mode}": 2 for link in LINKS for mode in NET_MODES},
    "exchange.orders": 9,
    "exchange.reads": 5,
    "exchange.streams": 8,
    "exchange.fills": 5,
    "exchange.closed": 2,
    "clock.forward": 2,
    "clock.back": 2,
    "disk.full": 2,
    "mail.hangs": 2,
    "database.read_only": 2,
    "person.edits": 4,
    "person.disables": 2,
    "person.cancels": 3,
    "person.sells_all": 2,
    "person.sells_some": 2,
    "person.brings_coins": 1,
    "person.pauses": 2,
    "person.asks_to_sell": 2,
}
"""Cards of each kind in the deck that acts are drawn from: after a whole deck, each has come so often."""

FIRST = ("net.streams.cut", "kill.main_app", "kill.database")
"""What every run begins with, in this order: main_app is up then, and has something to be cut."""
SMOKE = (
    "exchange.orders",
    "net.rest.cut",
    "net.streams.cut",
    "kill.caretaker",
    "person.edits",
    "pause.main_app",
    "exchange.streams",
)
"""What a run of a few seconds does after that, shuffled: no act that takes longer to get over than that."""

HARMLESS = frozenset({"exchange.orders", "exchange.fills", "mail.hangs", "clock.forward", "clock.back"})
"""These, and what a person does, keep no main_app from getting back to trading."""

SMOKE_NEEDS = ("kill.main_app", "restarts", "network")
RATES = {"kill -9": 150, "restarts": 30, "network": 100}
"""Per 60 minutes, at least (the issue's figures)."""
FULL_SECONDS = 600.0
"""From this length on a run must have seen every kind, and the rates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a run goes. Times in seconds; ranges are drawn from uniformly.

    `pauses` is how long something is stopped: mostly the first range, now and then the second.
    """

    between: tuple[float, float]
    lasts: tuple[float, float]
    pauses: tuple[tuple[float, float], tuple[float, float]]
    quiet_seconds: int
    settle_seconds: float
    smoke: bool = False


LONG = Pace(
    between=(2.0, 6.5),
    lasts=(0.5, 11.0),
    pauses=((1.0, 8.0), (20.0, 60.0)),
    quiet_seconds=20,
    settle_seconds=240.0,
)
SHORT = Pace(
    between=(0.4, 1.0),
    lasts=(0.3, 1.0),
    pauses=((0.3, 0.8), (0.8, 1.2)),
    quiet_seconds=4,
    settle_seconds=45.0,
    smoke=True,
)
SHORT_SECONDS = 45.0
"""A run up to this length goes at the short pace."""


def pace_for(seconds: float) -> Pace:
    return SHORT if seconds <= SHORT_SECONDS else LONG


def deck(random: Random, pace: Pace, only: Sequence[str] = ()) -> Iterator[str]:
    """Kinds of acts, without end: what every run must see, then whole decks, each shuffled.

    `only`: beginnings of the kinds that are wanted; all, if there are none.
    """
    cards = list(SMOKE) if pace.smoke else [kind for kind, count in WEIGHTS.items() for _ in range(count)]
    if only:
        cards = [kind for kind, count in WEIGHTS.items() for _ in range(count) if matches(kind, only)]
    else:
        yield from FIRST
    while True:
        random.shuffle(cards)
        yield from cards


def matches(kind: str, only: Sequence[str]) -> bool:
    """Whether a kind begins with one of these."""
    return kind.startswith(tuple(only))


def disturbs(kind: str) -> bool:
    """Whether an act may keep main_app from getting back to trading while it lasts."""
    return kind not in HARMLESS and not kind.startswith("person.")


def totals(counts: Mapping[str, int]) -> dict[str, int]:
    """The figures that the issue asks for, from counts by kind."""
    found: Counter[str] = Counter()
    for kind, count in counts.items():
        found["kill -9"] += count * (kind in KILLS)
        found["restarts"] += count * (kind in RESTARTS)
        found["network"] += count * kind.startswith("net.")
        found["pauses"] += count * kind.startswith("pause.")
    return dict(found)


def missing(counts: Mapping[str, int], seconds: float, pace: Pace) -> list[str]:
    """What a run of that length should have seen and has not, in words."""
    sums = totals(counts)
    if pace.smoke or seconds < FULL_SECONDS:
        both = {**counts, **sums}
        return [f"no {name} happened" for name in SMOKE_NEEDS if not both.get(name)]
    lacking = [f"no {kind} happened" for kind in WEIGHTS if not counts.get(kind)]
    for name, per_hour in RATES.items():
        least = int(per_hour * seconds / 3600)
        if sums.get(name, 0) < least:
            lacking.append(f"only {sums.get(name, 0)} of {name}: {per_hour} an hour are {least}")
    return lacking
