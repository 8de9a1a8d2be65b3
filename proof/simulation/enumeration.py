"""Every place of the seven lifecycles, one at a time: a crash there, a crash and another one during the
recovery, or one fault of every kind that the place knows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from proof.simulation.exchange import faults_of
from proof.simulation.lifecycles import BY_NAME, LIFECYCLES, Lifecycle, Passed, live
from proof.simulation.stores import MemoryDatabase
from proof.simulation.world import DatabaseMaker, World

RECOVERY_BOUNDARIES = 40
"""A start, its recovery and the first decisions after it pass so many boundaries: the second crash is tried
at each of them."""
FIFTH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Where something happens in a lifecycle. `kind`: crash (at the boundaries `places`), call or
    statement (the fault at the one place)."""

    life: str
    kind: str
    places: tuple[int, ...]
    fault: str = ""

    def __str__(self) -> str:
        """What --at takes."""
        places = "+".join(str(place) for place in self.places)
        return ":".join([self.life, self.kind, places, *([self.fault] if self.fault else [])])

    @classmethod
    def parse(cls, text: str) -> "Case":
        """Raises:
        ValueError: it is none.
        """
        parts = text.split(":")
        if len(parts) not in {3, 4} or parts[0] not in BY_NAME or parts[1] not in _SETTINGS:
            raise ValueError(f"{text!r} is not LIFECYCLE:crash|call|statement:PLACE[+PLACE][:FAULT]")
        places = tuple(int(place) for place in parts[2].split("+"))
        return cls(life=parts[0], kind=parts[1], places=places, fault=parts[3] if len(parts) == 4 else "")


def _crash(case: Case) -> Callable[[World], None]:
    return lambda world: world.weather.crash_at.update(case.places)


def _at_call(case: Case) -> Callable[[World], None]:
    return lambda world: world.weather.fault_at_call.update(dict.fromkeys(case.places, case.fault))


def _at_statement(case: Case) -> Callable[[World], None]:
    return lambda world: world.weather.fault_at_statement.update(dict.fromkeys(case.places, case.fault))


_SETTINGS = {"crash": _crash, "call": _at_call, "statement": _at_statement}


def run_case(case: Case, database: DatabaseMaker = MemoryDatabase) -> Passed:
    """Live a lifecycle with what the case says, and heal."""
    return live(BY_NAME[case.life], _SETTINGS[case.kind](case), database)


def plain(life: Lifecycle) -> Passed:
    """The lifecycle undisturbed: it numbers the places."""
    return live(life, lambda _: None, and_heal=False)


def crash_points(*, every: int = 1, lives: Iterable[Lifecycle] = LIFECYCLES) -> Iterator[Case]:
    """A crash at each boundary; or at each n-th, which are the same ones every time."""
    for life in lives:
        for place in range(1, len(plain(life).boundaries) + 1, every):
            yield Case(life=life.name, kind="crash", places=(place,))


def crash_pairs(*, lives: Iterable[Lifecycle] = LIFECYCLES) -> Iterator[Case]:
    """A crash at each boundary, and another one at each boundary of the recovery."""
    for single in crash_points(lives=lives):
        first = single.places[0]
        for later in range(1, RECOVERY_BOUNDARIES + 1):
            yield Case(life=single.life, kind="crash", places=(first, first + later))


def single_faults(*, every: int = 1, lives: Iterable[Lifecycle] = LIFECYCLES) -> Iterator[Case]:
    """Each fault of each HTTP call, SQL statement and commit."""
    number = 0
    for life in lives:
        passed = plain(life)
        for kind, places, faults in (
            ("call", passed.calls, faults_of),
            ("statement", passed.statements, _faults_of_statement),
        ):
            for place, name in enumerate(places, start=1):
                for fault in faults(name):
                    number += 1
                    if number % every == 0:
                        yield Case(life=life.name, kind=kind, places=(place,), fault=fault)


def _faults_of_statement(name: str) -> tuple[str, ...]:
    return ("lost", "deadlock", "swallowed") if name == "commit" else ("lost", "deadlock")
