"""The consistency checker as cron runs it, on a rig with two assets, and what a test plants there."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

import consistency_checker
from dca.caretakers.job import Job
from dca.core.model import CycleStatus
from dca.core.operations import Result
from dca.database.store import Transaction
from dca.runtime.script import Context
from dca.runtime.settings import DatabaseSettings, EmailSettings, Settings
from tests.caring import Between, edit
from tests.good_settings import parsed
from tests.rig import INSERT, SYMBOL, Rig

QUIET = timedelta(seconds=120)
NOBODY = EmailSettings(
    smtp_server="127.0.0.1", smtp_port=9, smtp_user=None, smtp_password=None, sender="a@b.c", receiver="d@e.f"
)
"""A mail server that does not answer: mails stay in their table."""


@dataclass
class Bench:
    """A rig with a second asset, and the checker as cron runs it."""

    rig: Rig
    settings: Settings

    def check(self, *, dry_run: bool = False, between: Callable[[], object] | None = None) -> Job:
        stopping = threading.Event() if between is None else Between(between)
        context = Context(name="consistency_checker", settings=self.settings, stopping=stopping)
        rig = self.rig
        job = Job(context=context, store=rig.store, clock=rig.clock, dry_run=dry_run, _broker=rig.exchange)
        consistency_checker.main(job)
        return job

    def reasons(self) -> list[str | None]:
        return [each.lock_reason for each in self.rig.store.transaction(lambda tx: tx.assets())]

    def mails(self) -> list[tuple[str, str]]:
        mails = self.rig.store.transaction(lambda tx: tx.unsent_mails())
        return [(mail.name, mail.body) for mail in mails if mail.name.startswith("break")]

    def accept(self) -> None:
        """What ./bot accept does where no coins are missing."""
        self.rig.clock.pass_seconds(1)
        now = self.rig.clock.now()

        def work(tx: Transaction) -> None:
            tx.unlock_asset(1)
            tx.insert_action("me", f"accept {SYMBOL}", SYMBOL, "seen", now)

        self.rig.store.transaction(work)

    def run_was_good(self) -> None:
        now = self.rig.clock.now()

        def work(tx: Transaction) -> None:
            run = tx.begin_run("consistency_checker", now)
            tx.end_run(run, Result.DONE, now, checked=1, changed=0, details=None)

        self.rig.store.transaction(work)


@pytest.fixture
def bench(database: DatabaseSettings, tmp_path: Path) -> Iterator[Bench]:
    rig = Rig(database)
    edit(rig, INSERT.replace("BTC/USD", "ETH/USD").rstrip(";\n"))
    rig.store.transaction(lambda tx: tx.insert_cycle(2, CycleStatus.WATCHING))
    whole = parsed(STATE_DIR=str(tmp_path), LOG_DIR=str(tmp_path))
    yield Bench(rig, replace(whole, database=database, email=NOBODY, gone_seconds=0.0))
    rig.close()


def settled(rig: Rig) -> None:
    rig.clock.pass_seconds(QUIET.total_seconds() + 1)


def filled(rig: Rig, price: str) -> None:
    """The order that a quote at this price places, filled and booked."""
    rig.look()
    rig.quote(price)
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price=price))


def one_cycle(rig: Rig) -> None:
    """Bought and sold: at the price that the fake exchange gives as its latest."""
    filled(rig, "98")
    filled(rig, "100")
    assert rig.cycle().status is CycleStatus.COOLDOWN


def another_average(rig: Rig) -> None:
    filled(rig, "100")
    edit(rig, "UPDATE dca_orders SET filled_avg_price = 99.9")


def small_budget(rig: Rig) -> None:
    filled(rig, "100")
    edit(rig, "UPDATE dca_orders SET base_order_amount = 19")


def visible_again(rig: Rig) -> None:
    rig.exchange.hidden_until = None
