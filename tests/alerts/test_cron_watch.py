"""F64: cron has died, and main_app is the only one left to notice."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dca.alerts import conditions
from dca.alerts.cron_watch import Neighbors
from dca.core.operations import Result
from dca.database.store import Store, Transaction
from dca.runtime import maintenance
from dca.runtime.clock import SystemClock
from dca.runtime.log_lines import Troubles
from dca.runtime.maintenance import Maintenance
from dca.runtime.settings import DatabaseSettings, Settings
from tests.builders import NOW
from tests.good_settings import parsed
from tests.processes import eventually

LATE = timedelta(minutes=16)


class Later(SystemClock):
    """The real clock, a while later."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture
def settings(database: DatabaseSettings, tmp_path: Path) -> Iterator[Settings]:
    yield parsed(
        DB_SOCKET=database.socket or "",
        DB_USER=database.user,
        DB_PASSWORD=database.password,
        DB_NAME=database.name,
        STATE_DIR=str(tmp_path),
        LOG_DIR=str(tmp_path),
    )


def ran(store: Store, job: str, at: datetime) -> None:
    def work(tx: Transaction) -> None:
        tx.end_run(tx.begin_run(job, at), Result.DONE, at, checked=0, changed=0, details=None)

    store.transaction(work)


def test_F64_a_caretaker_counts_from_when_somebody_watches() -> None:
    assert conditions.missed({}, NOW, NOW + timedelta(minutes=9)) == {}
    assert set(conditions.missed({}, NOW, NOW + timedelta(minutes=11))) == {
        "order_manager",
        "cooldown_manager",
    }
    assert set(conditions.missed({}, NOW, NOW + LATE)) == set(conditions.PERIODS)


def test_F64_with_cron_dead_main_app_says_so_and_sees_to_the_mail(settings: Settings, store: Store) -> None:
    clock, troubles = Later(), Troubles()
    neighbors = Neighbors(settings, store, troubles, clock)
    neighbors.look()
    assert troubles.names() == []
    clock.ahead = LATE
    ran(store, "order_manager", clock.now())
    neighbors.look()
    assert troubles.names() == [
        "caretaker consistency_checker does not run",
        "caretaker cooldown_manager does not run",
        "caretaker watchdog does not run",
    ]
    found = eventually(lambda: {each.name for each in store.transaction(lambda tx: tx.open_incidents())})
    assert "caretaker overdue watchdog" in found
    for job in conditions.PERIODS:
        ran(store, job, clock.now())
    neighbors.look()
    assert troubles.names() == []


def test_while_one_of_those_who_mail_still_runs_main_app_only_says_so(
    settings: Settings, store: Store
) -> None:
    clock, troubles = Later(), Troubles()
    neighbors = Neighbors(settings, store, troubles, clock)
    clock.ahead = LATE
    ran(store, "watchdog", clock.now())
    neighbors.look()
    assert "caretaker consistency_checker does not run" in troubles.names()
    assert not neighbors.is_reviewing


def test_during_maintenance_nobody_is_missed(settings: Settings, store: Store) -> None:
    clock, troubles = Later(), Troubles()
    neighbors = Neighbors(settings, store, troubles, clock)
    clock.ahead = LATE
    until = clock.now() + timedelta(hours=1)
    maintenance.begin(settings.state_dir, Maintenance(until=until, who="me", why="x"))
    neighbors.look()
    assert troubles.names() == []
