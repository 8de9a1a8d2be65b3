"""main_app's look at the caretakers: when cron has died, nobody else is left to tell (F64)."""

import threading

from dca.alerts import conditions
from dca.alerts.review import review
from dca.core.interfaces import Clock
from dca.core.operations import Finding
from dca.database.store import Store
from dca.runtime import maintenance
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import Settings

REVIEWERS = {"watchdog", "consistency_checker"}
"""Those that write the mail. With both gone, main_app does."""


class Neighbors:
    """Which caretakers have not run since main_app is up, told once each; and mailed if it has to be."""

    def __init__(self, settings: Settings, store: Store, troubles: Troubles, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._troubles = troubles
        self._clock = clock
        self._up_since = self._clock.now()
        self._reviewing: threading.Thread | None = None

    def look(self) -> None:
        """Raises:
        DatabaseUnavailable: nothing is known.
        """
        now = self._clock.now()
        if maintenance.current(self._settings.state_dir, now) is not None:
            return
        runs = self._store.transaction(lambda tx: tx.last_good_runs())
        missed = conditions.missed(runs, self._up_since, now)
        for job in conditions.PERIODS:
            if job in missed:
                self._troubles.begins("caretaker", f"{job} does not run", "see crontab -l", now)
            else:
                self._troubles.ends("caretaker", f"{job} does not run", now)
        if missed.keys() >= REVIEWERS:
            self._review(list(missed.values()))

    @property
    def is_reviewing(self) -> bool:
        """Whether the review that the others should have made goes on."""
        return self._reviewing is not None and self._reviewing.is_alive()

    def _review(self, findings: list[Finding]) -> None:
        """In a thread of its own: a mail server that hangs must not keep orders from being settled."""
        if self.is_reviewing:
            return
        arguments = (self._settings, self._clock, findings)
        self._reviewing = threading.Thread(target=review, args=arguments, name="review", daemon=True)
        self._reviewing.start()
