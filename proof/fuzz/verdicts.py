"""What became of an input, and how whatever escapes is caught."""

import random
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Protocol


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    """Understood: a sane value, a sane action, or none."""
    REFUSED = "refused"
    """Turned down in one of the ways that are promised."""


class BrokenPromise(Exception):
    """The code answered, and its answer is one that must not be."""


class Kind(Protocol):
    """One door through which input comes in."""

    name: str
    shown: str
    """The input in hand, short enough to be printed."""

    def trial(self, dice: random.Random) -> Verdict:
        """Make an input from the dice alone, feed it, and judge the answer.

        Raises:
            BrokenPromise: the answer must not be.
            Exception: whatever escaped the code under test.
        """

    def close(self) -> None: ...


def dice_of(seed: int, kind: str, index: int) -> random.Random:
    """The dice of one input: it can be made again without those before it."""
    return random.Random(f"{seed} {kind} {index}")  # noqa: S311 - inputs, not secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An input that was not taken as promised."""

    seed: int
    kind: str
    index: int
    problem: str
    shown: str

    @property
    def command(self) -> str:
        return f"./bot fuzz --seed {self.seed} --only {self.kind} --at {self.index}"


@dataclass(slots=True, kw_only=True)
class Tally:
    """How the inputs of a kind ended."""

    kind: str
    inputs: int = 0
    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    escaped: int = 0
    seconds: float = 0.0


class Net:
    """Catches every error of the code inside: `with Net() as net: ...`, then `net.caught`.

    Not an except clause, because nothing is handled: what is caught is what is looked for.
    """

    def __init__(self) -> None:
        self.caught: Exception | None = None

    def __enter__(self) -> "Net":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.caught = error if isinstance(error, Exception) else None
        return self.caught is not None


def promise(kept: bool, what: str) -> None:
    """Raises:
    BrokenPromise: it is not kept.
    """
    if not kept:
        raise BrokenPromise(what)
