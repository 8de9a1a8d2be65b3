"""Breadth-first through every reachable state; then backwards, to see that the end can be reached from each.

States are kept packed: every part of a state gets a number when it is first met, and the numbers of one
state make one integer. A state costs about 200 bytes that way, so some millions fit.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

from proof.model import exchange, faults, folding, invariants, processes
from proof.model.rules import Rules
from proof.model.state import CARETAKER, MAIN, OLD, Row, State, Step, first

_BITS = (16, 16, 16, 26, 16, 12, 20)


class Told(NamedTuple):
    """One line of a counterexample: what happens, and the orders afterwards by their number."""

    what: str
    orders: tuple[tuple[int, Row], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run found. `failure` is None if nothing is wrong; `trace` is the shortest way to it.

    `met` has every kind of step that happened, in its words.
    """

    states: int
    met: frozenset[str]
    failure: str | None = None
    trace: tuple[Told, ...] = ()


def check(rules: Rules) -> Result:
    """Visit every state that can be reached."""
    return _Search(rules).run()


def successors(state: State, rules: Rules) -> Iterator[Step]:
    """Everything that can happen next; orders are not folded yet."""
    for who in (MAIN, OLD, CARETAKER) if rules.caretaker else (MAIN, OLD):
        yield from processes.steps(state, who, rules)
    yield from exchange.steps(state, rules)
    yield from faults.steps(state)


class _Packer:
    """States as integers and back."""

    def __init__(self) -> None:
        self._numbers: list[dict[object, int]] = [{} for _ in _BITS]
        self._parts: list[list[object]] = [[] for _ in _BITS]

    def pack(self, state: State) -> int:
        parts = (*state[:5], state[5:8], state.budget)
        packed = 0
        for part, numbers, known, bits in zip(parts, self._numbers, self._parts, _BITS, strict=True):
            number = numbers.setdefault(part, len(known))
            if number == len(known):
                known.append(part)
                assert number < 1 << bits, "more different parts than the model is built for"
            packed = packed << bits | number
        return packed

    def unpack(self, packed: int) -> State:
        parts = []
        for known, bits in zip(reversed(self._parts), reversed(_BITS), strict=True):
            parts.append(known[packed & ((1 << bits) - 1)])
            packed >>= bits
        budget, money, *others = parts
        return State._make((*reversed(others), *cast(tuple[int, int, bool], money), budget))


class _Search:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._packer = _Packer()
        self._index: dict[int, int] = {}
        self._packed: list[int] = []
        self._parents = array("I")
        self._edges = array("I")  # to states that follow without a fault
        self._starts = array("Q")  # where a state's edges begin
        self._is_end = bytearray()
        self._met: set[str] = set()

    def run(self) -> Result:
        self._add(first(self._rules.budget), 0)
        at = 0
        while at < len(self._packed):
            failure = self._expand(at)
            if failure is not None:
                return self._result(failure, len(self._packed) - 1)
            at += 1
        self._starts.append(len(self._edges))
        stuck = self._first_stuck()
        return self._result("stuck for ever", stuck) if stuck is not None else self._result(None, 0)

    def _expand(self, at: int) -> str | None:
        """Add what follows on a state; says what is wrong with the last one added, if anything is."""
        self._starts.append(len(self._edges))
        seen: set[int] = set()
        for step in successors(self._packer.unpack(self._packed[at]), self._rules):
            self._met.add(step.what)
            state = self._folded(step)
            packed = self._packer.pack(state)
            number = self._index.get(packed)
            if number is None:
                number = self._add(state, at, packed)
                failure = invariants.violation(state, self._rules)
                if failure is not None:
                    return failure
            if not step.fault and number not in seen:
                seen.add(number)
                self._edges.append(number)
        return None

    def _add(self, state: State, parent: int, packed: int | None = None) -> int:
        packed = self._packer.pack(state) if packed is None else packed
        number = self._index[packed] = len(self._packed)
        self._packed.append(packed)
        self._parents.append(parent)
        self._is_end.append(invariants.is_settled(state))
        return number

    def _first_stuck(self) -> int | None:
        """The first state from which no way without a fault leads to the end; None if there is none.

        Marks spread backwards along the edges. Later states mostly lie nearer to the end, so going through
        them from the last to the first, a few rounds are enough.
        """
        reaches, edges, starts = self._is_end, self._edges, self._starts
        changed = True
        while changed:
            changed = False
            for at in range(len(reaches) - 1, -1, -1):
                if reaches[at]:
                    continue
                if any(reaches[after] for after in edges[starts[at] : starts[at + 1]]):
                    reaches[at] = changed = True
        stuck = reaches.find(0)
        return None if stuck < 0 else stuck

    def _result(self, failure: str | None, at: int) -> Result:
        states, met = len(self._packed), frozenset(self._met)
        if failure is None:
            return Result(states=states, met=met)
        path = [at]
        while path[-1] != 0:
            path.append(self._parents[path[-1]])
        way = [self._packer.unpack(self._packed[each]) for each in reversed(path)]
        return Result(states=states, met=met, failure=failure, trace=self._told(way))

    def _told(self, states: list[State]) -> tuple[Told, ...]:
        """The path in words. An order keeps the number that it had when it was written down."""
        told: list[Told] = []
        numbers: list[int] = []
        written = 0
        for before, after in pairwise(states):
            step = next(each for each in successors(before, self._rules) if self._folded(each) == after)
            while len(numbers) < len(step.state.rows):
                written += 1
                numbers.append(written)
            what = step.what.format(n=numbers[step.order] if step.order >= 0 else "")
            told.append(Told(what, tuple(zip(numbers, step.state.rows, strict=True))))
            if len(after.rows) < len(numbers):
                numbers = [numbers[at] for at in folding.surviving(step.state)]
        return tuple(told)

    def _folded(self, step: Step) -> State:
        return folding.fold(step.state, self._rules)
