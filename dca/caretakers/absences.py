"""The consistency checker's memory, between runs, of missing positions."""

from collections.abc import Iterable

from dca.caretakers.job import Job
from dca.core import order_cleanup
from dca.core.model import Cycle
from dca.core.operations import MissingPosition


class Absences:
    """Missing positions: those found by the previous run, updated by this one."""

    def __init__(self, job: Job, known: Iterable[MissingPosition]) -> None:
        self._job = job
        self._before = {each.cycle_id: each for each in known}
        self._now = dict(self._before)

    def seen(self, cycle: Cycle) -> MissingPosition:
        """Record that this run also found a cycle's coins missing."""
        found = order_cleanup.missing_again(self._before.get(cycle.id), cycle, self._job.clock.now())
        self._now[cycle.id] = found
        return found

    def forget(self, cycle: Cycle) -> None:
        """Drop a cycle's record: this run saw its coins, or has another explanation."""
        self._now.pop(cycle.id, None)

    def first_of(self, cycle: Cycle) -> MissingPosition:
        """Since when the coins are missing: from now, if there is no record."""
        before = self._before.get(cycle.id)
        return order_cleanup.missing_again(None, cycle, self._job.clock.now()) if before is None else before

    def keep(self, live: Iterable[Cycle]) -> None:
        """Drop the record of a cycle that has ended."""
        alive = {cycle.id for cycle in live}
        self._now = {cycle_id: each for cycle_id, each in self._now.items() if cycle_id in alive}

    def write(self) -> None:
        """Save the records for the next run; those that could not be judged stay as they were."""
        found = list(self._now.values())
        if self._now != self._before and not self._job.dry_run:
            self._job.store.transaction(lambda tx: tx.replace_missing_positions(found))
