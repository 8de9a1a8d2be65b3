"""The fewest steps with which a seed still fails."""

from collections.abc import Callable

from proof.simulation.plan import Step
from proof.simulation.run import Outcome


def shrink(outcome: Outcome, run: Callable[[list[Step]], Outcome]) -> Outcome:
    """Leave out steps, in halves and then one by one, as long as the same invariant breaks."""
    number = outcome.violations[0].number
    best = outcome
    size = max(1, len(best.steps) // 2)
    while True:
        smaller = _without_a_part(best, size, number, run)
        if smaller is not None:
            best = smaller
        elif size == 1:
            return best
        size = max(1, min(size // 2 if smaller is None else size, len(best.steps)))


def _without_a_part(
    outcome: Outcome, size: int, number: str, run: Callable[[list[Step]], Outcome]
) -> Outcome | None:
    steps = outcome.steps
    for start in range(0, len(steps), size):
        fewer = steps[:start] + steps[start + size :]
        tried = run(fewer)
        if tried.violations and tried.violations[0].number == number:
            return tried
    return None
