"""What the consistency checker knows, from run to run, of positions that are not there."""

from collections.abc import Iterable

from dca.caretakers.job import Job
from dca.core import order_cleanup
from dca.core.model import Cycle
from dca.core.operations import MissingPosition


class Absences:
    """For one run: what the run before left behind, and what this one makes of it."""

    def __init__(self, job: Job, known: Iterable[MissingPosition]) -> None:
        self._job = job
        self._before = {each.cycle_id: each for each in known}
        self._now = dict(self._before)

    def seen(self, cycle: Cycle) -> MissingPosition:
        """This run found a cycle's coins missing, too."""
        found = order_cleanup.missing_again(self._before.get(cycle.id), cycle, self._job.clock.now())
        self._now[cycle.id] = found
        return found

    def forget(self, cycle: Cycle) -> None:
        """This run saw them, or has another explanation: what was found before proves nothing."""
        self._now.pop(cycle.id, None)

    def first_of(self, cycle: Cycle) -> MissingPosition:
        """Since when they are missing: from now on, if nothing is known."""
        before = self._before.get(cycle.id)
        return order_cleanup.missing_again(None, cycle, self._job.clock.now()) if before is None else before

    def keep(self, live: Iterable[Cycle]) -> None:
        """Nothing is missing of a cycle that has ended."""
        alive = {cycle.id for cycle in live}
        self._now = {cycle_id: each for cycle_id, each in self._now.items() if cycle_id in alive}

    def write(self) -> None:
        """Leave it behind for the next run; what could not be judged stays as it was."""
        found = list(self._now.values())
        if self._now != self._before and not self._job.dry_run:
            self._job.store.transaction(lambda tx: tx.replace_missing_positions(found))
