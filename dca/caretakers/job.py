"""The frame of every caretaker: --dry-run, standing down, a result line and a row in job_runs."""

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from dca.core.errors import DatabaseUnavailable, DcaError, ExchangeUnavailable
from dca.core.interfaces import Broker, Clock, Store
from dca.core.operations import Result
from dca.database.store import Store as MySqlStore
from dca.database.store import Transaction
from dca.exchange.request_budget import Pace, others
from dca.runtime import database_owner, maintenance, script
from dca.runtime.clock import SystemClock
from dca.runtime.log_lines import fact, warn
from dca.runtime.settings import Settings

TIME_LIMIT_SECONDS = 55.0


@dataclass(slots=True)
class Job:
    """A caretaker's run. It counts what it checked and what it changed."""

    context: script.Context
    store: Store
    clock: Clock
    dry_run: bool
    checked: int = 0
    changed: int = 0
    notes: list[str] = field(default_factory=list)
    """Notes for the result line and the run's row."""
    failures: list[str] = field(default_factory=list)
    """Failures for the run's row; each is already in the log."""
    _broker: Broker | None = None

    @property
    def settings(self) -> Settings:
        return self.context.settings

    @property
    def broker(self) -> Broker:
        """Made when first needed."""
        if self._broker is None:
            # Importing alpaca-py takes longer than everything else, and most runs need no exchange.
            from dca.exchange.rest_client import Broker as AlpacaBroker

            pace = Pace(self.clock, others(self.settings.requests_per_minute))
            self._broker = AlpacaBroker(self.settings.exchange, pace)
        return self._broker

    def bids(self, symbols: list[str]) -> Mapping[str, Decimal]:
        """The exchange's bids of these pairs; pairs without a known bid are missing."""
        if not symbols:
            return {}
        try:
            rules = self.broker.trading_rules()
            listed = [symbol for symbol in symbols if symbol in rules]  # else all are rejected
            quotes = self.broker.latest_quotes(listed, self.clock.now()) if listed else {}
        except ExchangeUnavailable as error:
            warn(self.context.name, "no bids for the digest", why=str(error))
            return {}
        return {symbol: quote.bid for symbol, quote in quotes.items() if quote.bid > 0}

    def act(self, what: str, symbol: str, work: Callable[[], object]) -> None:
        """Run `work`, or in a dry run only log it; counts as a change unless `work` returns False."""
        if self.dry_run:
            fact("dry-run", f"would {what}", symbol=symbol)
            self.changed += 1
        elif work() is not False:
            self.changed += 1

    def failed(self, what: str, why: str, symbol: str = "-") -> None:
        """Log a failure; the run continues and counts as failed."""
        warn(self.context.name, what, symbol=symbol, why=why)
        self.failures.append(f"{symbol} {what}: {why}")
        self.context.failed = True


def run(
    name: str,
    work: Callable[[Job], None],
    purpose: str | None,
    *,
    seconds: float = TIME_LIMIT_SECONDS,
    needs_database: bool = True,
) -> int:
    """Run a caretaker; returns its exit code: 0 done, 1 failed, 2 settings.

    One that does not need the database works first; its row is written afterwards if possible.
    """
    dry_run = _is_dry_run(name, purpose)
    return script.run(
        name,
        lambda context: _run(context, work, dry_run=dry_run, needs_database=needs_database),
        seconds=seconds,
    )


def _is_dry_run(name: str, purpose: str | None) -> bool:
    if not sys.argv[1:]:
        return False
    import argparse  # run manually: cron gives no arguments

    parser = argparse.ArgumentParser(prog=f"{name}.py", description=purpose)
    parser.add_argument("--dry-run", action="store_true", help="print what it would do without doing it")
    return bool(parser.parse_args().dry_run)


def _run(
    context: script.Context, work: Callable[[Job], None], *, dry_run: bool, needs_database: bool
) -> None:
    clock = SystemClock()
    started, started_at = clock.monotonic(), clock.now()
    with MySqlStore(context.settings.database) as store:
        job = Job(context=context, store=store, clock=clock, dry_run=dry_run)
        pause = maintenance.current(context.settings.state_dir, clock.now())
        if pause is not None:
            fact("run", f"standing down until {pause.until:%Y-%m-%d %H:%M:%S} UTC", why=pause.why)
            if not dry_run:
                with suppress(DatabaseUnavailable):  # maintenance may be about the database
                    _note(store, job, started_at, Result.STOOD_DOWN)
            return
        if needs_database:
            store.check_schema()
            if (refusal := _refusal(store, job)) is not None:
                fact("run", "standing down", level=logging.WARNING, why=refusal)
                return
        run_id = _begin(store, job, started_at) if needs_database and not dry_run else None
        result = Result.FAILED
        try:
            work(job)
            result = Result.FAILED if context.failed else Result.DONE
        except DcaError as error:
            job.failures.append(str(error))
            raise
        finally:
            seconds = clock.monotonic() - started
            level = logging.INFO if result is Result.DONE else logging.WARNING
            why = "; ".join(job.notes) or None
            text = f"checked {job.checked} changed {job.changed} in {seconds:.2f}s"
            fact("run", text, level=level, why=why)
            if not dry_run:
                with suppress(DatabaseUnavailable):  # the run's failure is already logged
                    if run_id is None:
                        _note(store, job, started_at, result)
                    else:
                        _end(store, job, run_id, result)


def _refusal(store: MySqlStore, job: Job) -> str | None:
    """Why this installation must leave the database alone; None if it need not."""
    us, name = database_owner.ours(job.settings.state_dir), job.settings.database.name
    owner = store.transaction(lambda tx: tx.owner())
    return database_owner.refusal(owner, us, job.clock.now(), name)


def _note(store: MySqlStore, job: Job, started_at: datetime, result: Result) -> None:
    """Write a run's row, if this installation owns the database."""
    if _refusal(store, job) is None:
        _end(store, job, _begin(store, job, started_at), result)


def _begin(store: MySqlStore, job: Job, at: datetime) -> int:
    def work(tx: Transaction) -> int:
        us, now = database_owner.ours(job.settings.state_dir), job.clock.now()
        owner = tx.owner()
        if owner is not None and database_owner.is_ours(owner, us, now):
            tx.set_owner(us, now)  # under its current boot's name
        return tx.begin_run(job.context.name, at)

    return store.transaction(work)


def _end(store: MySqlStore, job: Job, run_id: int, result: Result) -> None:
    details = "; ".join([*job.failures, *job.notes]) or None
    store.transaction(
        lambda tx: tx.end_run(
            run_id, result, job.clock.now(), checked=job.checked, changed=job.changed, details=details
        )
    )
