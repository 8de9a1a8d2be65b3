"""An installation with reviews: a real database, a real mail server, and a clock that a test moves."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dca.alerts.review import Bids, review
from dca.core.operations import Finding, Incident, IncidentKind, Mail
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings, Settings
from tests.fake_exchange import FakeClock
from tests.good_settings import parsed
from tests.post_office import PostOffice, post_office

LOCK = (
    "UPDATE dca_assets SET lock_reason = 'holds 1, booked 2', lock_kind = 'break',"
    " lock_checksum = CRC32(lock_reason) WHERE id = 1;\n"
)
UNLOCK = "UPDATE dca_assets SET lock_reason = NULL, lock_kind = NULL, locked_at = NULL WHERE id = 1;\n"
APP_DOWN = Finding(
    name="main app down",
    kind=IncidentKind.HEALTH,
    subject="main_app was down",
    evidence="It was not running.",
)
WATCHDOG = ("main app down",)


class Clock(FakeClock):
    """Moves when told to, but for waiting."""

    def monotonic(self) -> float:
        return time.monotonic()


class Desk:
    """An installation with reviews, whose clock a test moves."""

    def __init__(self, folder: Path, database: DatabaseSettings, office: PostOffice) -> None:
        self.office = office
        self.clock = Clock()
        whole = parsed(STATE_DIR=str(folder), LOG_DIR=str(folder), DIGEST_HOUR_UTC="23")
        self.settings: Settings = replace(whole, database=database, email=office.settings())
        self.store = Store(database)
        self.digest_was_sent()

    def digest_was_sent(self) -> None:
        """Yesterday's: most tests are not about it."""
        now = self.clock.now()
        self.store.transaction(lambda tx: tx.put_sent_mail("digest", "d", "d", now - timedelta(hours=3)))

    def review(
        self,
        *extra: Finding,
        judged: Sequence[str] = (),
        minutes: float = 1,
        settings: Settings | None = None,
        seconds: float = 5,
        bids: Bids = lambda _: {},
    ) -> None:
        review(
            settings or self.settings,
            self.clock,
            extra,
            judged,
            seconds=seconds,
            trust=self.office.trust,
            bids=bids,
        )
        self.clock.pass_seconds(minutes * 60)

    @property
    def down(self) -> Settings:
        """The same, with a database that does not answer."""
        return replace(self.settings, database=replace(self.settings.database, socket="/nowhere/socket"))

    def mailed_at(self, port: int, **changes: Any) -> Settings:
        """The same, with another mail server."""
        return replace(self.settings, email=self.office.settings(smtp_port=port, **changes))

    def incidents(self) -> list[Incident]:
        return self.store.transaction(lambda tx: tx.incidents_since(datetime(2000, 1, 1, tzinfo=UTC)))

    def open(self) -> list[str]:
        return [each.name for each in self.incidents() if each.ended_at is None]

    def waiting(self) -> list[Mail]:
        return self.store.transaction(lambda tx: tx.unsent_mails())


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with post_office() as office:
        yield office


@pytest.fixture
def desk(tmp_path: Path, ready: Store, database: DatabaseSettings, office: PostOffice) -> Iterator[Desk]:
    desk = Desk(tmp_path, database, office)
    yield desk
    desk.store.close()
