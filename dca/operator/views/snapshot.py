"""One look at everything: database, exchange, files. What it means is said in rows.py and staleness.py."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from dca.alerts import conditions, review
from dca.core.errors import ExchangeUnavailable
from dca.core.model import Asset, Control, Cycle, Order, Quote, TradingRules
from dca.core.operations import Incident, JobRun, Mail
from dca.database.report_queries import Which
from dca.database.store import Transaction
from dca.operator.session import Tools
from dca.operator.setup import crontab
from dca.runtime import heartbeat, maintenance
from dca.runtime.heartbeat import Beat
from dca.runtime.maintenance import Maintenance
from dca.runtime.settings import ROOT, Settings, Venue
from dca.watchdog.process import is_locked

QUOTES_SECONDS = 5.0
"""How often the exchange is asked, at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What the exchange says of the pairs; `trouble`: why it says nothing."""

    quotes: Mapping[str, Quote]
    rules: Mapping[str, TradingRules] | None
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What the database says, read in one transaction. `began_at`: of each live cycle, by its id."""

    control: Control
    assets: Sequence[Asset]
    cycles: Mapping[int, Cycle]
    began_at: Mapping[int, datetime]
    orders: Sequence[Order]
    last_runs: Mapping[str, JobRun]
    good_runs: Mapping[str, JobRun]
    first_run_at: datetime | None
    incidents: Sequence[Incident]
    last_mail: Mail | None
    unsent_mails: int
    server_version: str
    judged: conditions.Books
    """The same as the reviews see it, which write the mails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One look at everything."""

    now: datetime
    venue: Venue
    books: Books
    market: Market
    is_running: bool
    beat: Beat | None
    maintenance: Maintenance | None
    mail_to: str | None
    disks: Sequence[conditions.Disk] | None = None
    cron_trouble: str | None = None
    """Why cron starts nothing of ours, as far as that can be seen."""

    @property
    def as_reviewed(self) -> conditions.Look:
        """What a review would judge by now. One that has just ended is not judged by its last beat."""
        return conditions.Look(
            now=self.now,
            books=self.books.judged,
            beat=self.beat if self.is_running else None,
            maintenance=self.maintenance,
            disks=self.disks,
        )


class Eye:
    """Looks, again and again; asks the exchange at most every QUOTES_SECONDS, for its rules once."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._market: Market | None = None
        self._asked_at = 0.0

    def look(self) -> Overview:
        """Raises:
        StartRefused, DatabaseUnavailable: with what to do.
        """
        tools, settings = self._tools, self._tools.settings
        books = tools.store.transaction(reading_books(tools))
        market = self._ask([asset.asset_symbol for asset in books.assets])
        now = tools.clock.now()
        return Overview(
            now=now,
            venue=settings.exchange.venue,
            books=books,
            market=market,
            is_running=is_running(settings),
            beat=heartbeat.read(settings.state_dir / "main_app.heartbeat.json"),
            maintenance=maintenance.current(settings.state_dir, now),
            mail_to=None if settings.email is None else settings.email.receiver,
            disks=review.disks(settings.log_dir, settings.state_dir),
            cron_trouble=crontab.trouble(ROOT),
        )

    def _ask(self, symbols: list[str]) -> Market:
        clock = self._tools.clock
        if self._market is None or clock.monotonic() - self._asked_at >= QUOTES_SECONDS:
            rules = None if self._market is None else self._market.rules
            self._market = ask(self._tools, symbols, rules)
            self._asked_at = clock.monotonic()
        return self._market


def is_running(settings: Settings) -> bool:
    """Whether main_app holds its lock; one in a folder that cannot be looked into is not held by ours."""
    try:
        return is_locked(settings.state_dir / "main_app.lock")
    except OSError:
        return False


def ask(tools: Tools, symbols: Sequence[str], rules: Mapping[str, TradingRules] | None) -> Market:
    """What the exchange says of these pairs. `rules`: what it said before, if it did."""
    if not symbols:
        return Market(quotes={}, rules=rules)
    try:
        rules = tools.broker.trading_rules() if rules is None else rules
        listed = [symbol for symbol in symbols if symbol in rules]  # one unknown pair refuses them all
        quotes = tools.broker.latest_quotes(listed, tools.clock.now()) if listed else {}
    except ExchangeUnavailable as error:
        return Market(quotes={}, rules=rules, trouble=str(error))
    return Market(quotes=quotes, rules=rules)


def reading_books(tools: Tools) -> Callable[[Transaction], Books]:
    """The database's part of the look."""
    return partial(read_books, now=tools.clock.now(), is_mail=tools.settings.email is not None)


def read_books(tx: Transaction, now: datetime, *, is_mail: bool) -> Books:
    """Locks nothing for longer than that."""
    live = tx.live_cycles()
    return Books(
        control=tx.control(),
        assets=tx.assets(),
        cycles={cycle.asset_id: cycle for cycle in live},
        began_at={each.id: each.created_at for each in tx.cycle_reports(None, Which.LIVE, len(live) + 1)},
        orders=tx.open_orders(),
        last_runs=tx.last_runs(),
        good_runs=tx.last_good_runs(),
        first_run_at=tx.first_run_at(),
        incidents=tx.incidents_now(),
        last_mail=tx.last_sent_mail(),
        unsent_mails=len(tx.unsent_mails()),
        server_version=tx.server().version,
        judged=review.read_books(tx, now, is_mail=is_mail),
    )
