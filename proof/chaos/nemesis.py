"""When what befalls the run: draws acts from a seeded deck, keeps those that last, ends them in time."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from proof.chaos.acts import Acts
from proof.chaos.kinds import Pace, deck, disturbs
from proof.chaos.person import NotYet, Undo, now_text
from proof.chaos.world import ChaosProblem

MOST_AT_ONCE = 5
MOST_WAITING = 6
PATIENCE_SECONDS = 25.0
AGAIN_SECONDS = 0.5
CALM_KILL = "kill.main_app calm"
"""One that comes while nothing else goes on, and after which nothing comes for a while: it shows how long a
start takes by itself."""
LONG_PAUSE_SHARE = 0.15
CALM_SHARE = 0.3
CALM_SECONDS = 9.0
_INSTANT = frozenset({"net.rest.cut", "net.streams.cut", "net.database.cut"})


def slot_of(kind: str) -> str:
    """What an act has for itself while it lasts: two acts of one slot would undo each other."""
    if kind.startswith("net."):
        return kind.rpartition(".")[0]
    if kind.endswith(".database") or kind.startswith("database."):
        return "database"
    if kind.startswith("pause.") and kind != "pause.exchange":
        return kind
    if kind == "pause.exchange":
        return "exchange"
    return kind.partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """An act that lasts."""

    kind: str
    undo: Undo
    until: float


class Nemesis:
    """`counts` is what really happened."""

    def __init__(self, acts: Acts, random: Random, pace: Pace, log: Path, only: Sequence[str] = ()) -> None:
        self._acts = acts
        self._random = random
        self._pace = pace
        self._deck = deck(random, pace, only)
        self._log = log
        self._going: dict[str, Going] = {}
        self._waiting: list[tuple[str, float]] = []
        self._next_at = time.monotonic()
        self._calm_until = 0.0
        self.counts: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()

    @property
    def disturbs(self) -> bool:
        """Whether anything goes on that may keep main_app from trading."""
        return any(disturbs(each.kind) for each in self._going.values())

    def going(self) -> list[str]:
        return sorted(each.kind for each in self._going.values())

    def tick(self) -> None:
        """End what is over, try what waits, draw what is due."""
        now = time.monotonic()
        for slot, each in list(self._going.items()):
            if now >= each.until:
                self._end(slot)
        if now >= self._next_at and len(self._waiting) < MOST_WAITING:
            self._next_at = now + self._random.uniform(*self._pace.between)
            self._waiting.append((self._draw(), now))
        if now >= self._calm_until:
            self._try_what_waits(now)

    def _try_what_waits(self, now: float) -> None:
        """One that wants calm keeps the others back."""
        calm = [each for each in self._waiting if each[0] == CALM_KILL]
        for kind, since in calm or list(self._waiting):
            if self._try(kind):
                self._waiting.remove((kind, since))
            elif now - since > PATIENCE_SECONDS:
                self._waiting.remove((kind, since))
                self.passed_over[kind] += 1

    def _draw(self) -> str:
        kind = next(self._deck)
        calm = kind == "kill.main_app" and not self._pace.smoke and self._random.random() < CALM_SHARE
        return CALM_KILL if calm else kind

    def stop(self, patience_seconds: float = 60.0) -> None:
        """End everything that lasts; database and exchange first, for others need them.

        Raises:
            ChaosProblem: something cannot be undone.
        """
        self._waiting.clear()
        deadline = time.monotonic() + patience_seconds
        while self._going:
            for slot in sorted(self._going, key=lambda each: each not in {"database", "exchange"}):
                self._end(slot)
            if time.monotonic() > deadline:
                raise ChaosProblem(f"cannot be undone: {', '.join(self.going())}")

    def _try(self, kind: str) -> bool:
        slot = slot_of(kind)
        if slot in self._going or len(self._going) >= MOST_AT_ONCE:
            return False
        if kind == CALM_KILL and self.disturbs:
            return False
        done = self._acts.begin(kind)
        if done is None:
            return False
        undo, what = done
        if kind == CALM_KILL:
            kind = "kill.main_app"
            self._calm_until = time.monotonic() + CALM_SECONDS
        self.counts[kind] += 1
        seconds = self._seconds(kind)
        self.note(f"{kind} {what} ({seconds:.1f} s)" if seconds else f"{kind} {what}")
        if seconds:
            until = time.monotonic() + seconds
            self._going[slot] = Going(kind=kind, undo=undo, until=until)
        return True

    def _seconds(self, kind: str) -> float:
        """How long an act lasts; 0: it is over at once."""
        if kind in _INSTANT or kind in {"kill.main_app", "kill.caretaker"}:
            return 0.0
        if kind.startswith("pause."):
            usual, long = self._pace.pauses
            return self._random.uniform(*(long if self._random.random() < LONG_PAUSE_SHARE else usual))
        return self._random.uniform(*self._pace.lasts)

    def _end(self, slot: str) -> None:
        going = self._going.pop(slot)
        try:
            going.undo()
        except NotYet:
            self._going[slot] = replace(going, until=time.monotonic() + AGAIN_SECONDS)
            return
        self.note(f"{going.kind} is over")

    def note(self, text: str) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            file.write(f"{now_text()} {text}\n")
