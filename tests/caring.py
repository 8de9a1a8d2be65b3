"""The caretakers' runs beside a rig's main app, and what somebody else does meanwhile."""

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import consistency_checker
from dca.caretakers.job import Job
from dca.core.model import CycleStatus
from dca.runtime import settings
from dca.runtime.script import Context
from tests.good_settings import GOOD
from tests.rig import SYMBOL, Rig

SETTINGS = replace(settings.parse(GOOD, env_file_mode=0o600), gone_seconds=0.0)


def run(rig: Rig, main: Callable[[Job], None], *, dry_run: bool = False, **changes: object) -> Job:
    """A run of a caretaker beside the rig's main app."""
    context = Context(name=main.__module__, settings=replace(SETTINGS, **changes))  # type: ignore[arg-type]
    job = Job(context=context, store=rig.store, clock=rig.clock, dry_run=dry_run, _broker=rig.exchange)
    main(job)
    return job


def check(rig: Rig, *, dry_run: bool = False) -> Job:
    return run(rig, consistency_checker.main, dry_run=dry_run)


def edit(rig: Rig, sql: str) -> None:
    rig.store.run_script(sql + ";\n")


def take_away(rig: Rig, qty: str) -> None:
    """The operator sells in the dashboard."""
    rig.exchange.held[SYMBOL] -= Decimal(qty)


def sold(rig: Rig) -> None:
    """A cycle bought and sold; the next one cools down."""
    rig.bought()
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    assert rig.cycle().status is CycleStatus.COOLDOWN


class Between(threading.Event):
    """Where the checker waits between its two looks: something happens instead."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__()
        self._happens = happens

    def wait(self, timeout: float | None = None) -> bool:
        self._happens()
        return False
