"""main_app.py's inside: start, the threads around the main loop, the heartbeat, and the end."""

import gc
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TypeVar

from dca.alerts.cron_watch import Neighbors
from dca.core.errors import (
    DatabaseUnavailable,
    DcaError,
    ExchangeUnavailable,
    KeysRefused,
    OtherSchema,
    SettingsProblem,
    StartRefused,
    Unavailable,
)
from dca.core.interfaces import Transaction
from dca.core.model import Control, LockKind
from dca.database import connection_budget
from dca.database.connections import Connections
from dca.database.store import Store
from dca.exchange import account_checks, request_budget
from dca.exchange.request_budget import Pace
from dca.exchange.rest_client import Broker
from dca.exchange.streams import Feed
from dca.runtime import asset_reports, database_owner
from dca.runtime.clock import SystemClock
from dca.runtime.crash_counter import LIMIT, Failures
from dca.runtime.heartbeat import Delay, Heartbeat, Hurdle
from dca.runtime.log_lines import Troubles, fact, warn
from dca.runtime.origin import Origin
from dca.runtime.script import Context
from dca.runtime.settings import Settings
from dca.trading.asset_reporting import Reporter
from dca.trading.inbox import Inbox
from dca.trading.main_loop import MainLoop
from dca.trading.trader import Trader
from dca.trading.watchlist import Desk
from dca.trading.worker import Rests, Worker, WorkerThread, limits_of

R = TypeVar("R")
_DIGITS = re.compile(r"\d+")

TICK_SECONDS = 0.25
CARETAKERS_SECONDS = 60.0
SETTINGS_SECONDS = 10.0
BEAT_SECONDS = 2.0
RETRY_SECONDS = 5.0
GOOD_SECONDS = 60.0
"""A run that lasted this long has not died over an asset."""
FORGET_SECONDS = 3600.0
DRAIN_SECONDS = 15.0
SWITCH_SECONDS = 0.0005
"""How long a thread may compute while another one waits: a worker with an order to send waits behind the main
loop's refresh, or behind a burst of quotes. Python's own 5 ms are as long as the whole order takes."""


class Application:
    """One run of main_app."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._settings: Settings = context.settings
        self._clock = SystemClock()
        self._troubles = Troubles()
        self._connections = Connections(self._settings.database)
        self._store = Store(self._settings.database, self._connections)
        self._pace = Pace(self._clock, request_budget.main_app(self._settings.requests_per_minute))
        self._broker = Broker(self._settings.exchange, self._pace)
        self._heart = Heartbeat(self._settings.state_dir / "main_app.heartbeat.json", self._clock)
        self._failures = Failures(self._settings.state_dir / "main_app.failures.json")
        self._neighbors = Neighbors(self._settings, self._store, self._troubles, self._clock)
        self._owner = database_owner.ours(self._settings.state_dir)
        self._origin = Origin(self._settings)
        self._good_at = self._clock.monotonic() + GOOD_SECONDS
        self._beat_at = 0.0

    def run(self) -> None:
        """Start, trade until asked to stop, and leave in good order."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self._context.note_end = self._heart.last
        for warning in self._settings.warnings:
            warn("start", "settings", why=warning)
        if self._prepare():
            self._trade()
        self._note_end()

    def _trade(self) -> None:
        self._feed.start()
        for worker in self._workers:
            worker.start()
        gc.freeze()  # a full collection that walks all modules too takes longer than several orders
        try:
            while not self._context.stopping.wait(TICK_SECONDS):
                self._loop.tick()
                self._loop.regularly("caretakers", CARETAKERS_SECONDS, self._neighbors.look)
                self._loop.regularly("owner", database_owner.RENEW_SECONDS, self._give_sign_of_life)
                self._loop.regularly("settings", SETTINGS_SECONDS, self._look_at_settings)
                self._forget_failures()
                self._beat_when_due()
        finally:
            self._note_end()
            self._leave()

    def _prepare(self) -> bool:
        """Everything that has to be right before the first order. False if asked to stop meanwhile."""
        control = self._until_it_answers(self._check)
        if control is None:
            return False
        if self._until_it_answers(self._share_connections) is None:
            return False
        self._desk = Desk(control.install_id, control.epoch)
        self._desk.mode = control.mode
        self._desk.selling = self._settings.selling
        rules = self._until_it_answers(self._broker.trading_rules)
        if rules is None:
            return False
        self._desk.rules = rules
        where = account_checks.describe(self._settings.exchange.venue, self._settings.exchange, rules)
        fact("start", "trading", epoch=control.epoch, database=self._settings.database.name, details=where)
        self._inbox, self._rests = Inbox(), Rests(self._clock)
        self._feed = Feed(
            self._settings.exchange,
            self._inbox,
            self._desk.tripwires,
            self._clock,
            self._troubles,
            self._orders_connected,
        )
        self._loop = MainLoop(
            store=self._store,
            broker=self._broker,
            desk=self._desk,
            inbox=self._inbox,
            feed=self._feed,
            clock=self._clock,
            troubles=self._troubles,
            quiet_period=self._settings.quiet_period,
            before_each=self._beat_when_due,
            stop=self._context.stop,
        )
        self._workers = [self._worker(number) for number in range(1, self._settings.workers + 1)]
        problem_of, delays = limits_of(self._settings).quote_problem, self._loop.delays
        self._reporter = Reporter(self._desk, self._feed, self._clock, delays, problem_of, self._rests.until)
        return self._until_it_answers(self._first_look) is not None

    def _share_connections(self) -> bool:
        """As many as leave the caretakers theirs."""
        server, assets = self._store.transaction(lambda tx: (tx.server(), tx.assets()))
        limit, workers = server.connection_limit, self._settings.workers
        self._connections.allow(connection_budget.share(limit, workers))
        short = connection_budget.shortage(limit, sum(asset.is_enabled for asset in assets), workers)
        if short is not None:
            warn("start", "few database connections", why=f"{short}; {connection_budget.REMEDY}")
        return True

    def _worker(self, number: int) -> WorkerThread:
        """With an HTTP session of its own, and the database connections of all."""
        clock, database = self._clock, self._settings.database
        store = Store(database, self._connections)
        sales = Store(database, self._connections, goes_first=True)
        broker, limits = Broker(self._settings.exchange, self._pace), limits_of(self._settings)
        trader = Trader(store, broker, self._desk, clock, self._troubles, limits, sales, self._feed.newest)
        worker = Worker(trader, self._inbox, self._feed, self._rests, self._troubles, self._failures, clock)
        return WorkerThread(number, worker, clock)

    def _check(self) -> Control:
        self._store.check_schema()
        exchange, database = self._settings.exchange, self._settings.database.name
        return account_checks.begin(self._store, self._broker, self._clock, exchange, database, self._owner)

    def _first_look(self) -> bool:
        for symbol, deaths in self._failures.counts().items():
            if deaths >= LIMIT:
                self._lock_poisoned(symbol, deaths)
        self._loop.refresh()
        return True

    def _lock_poisoned(self, symbol: str, deaths: int) -> None:
        """Leave out an asset that keeps killing the process; the others trade."""
        reason = f"main_app died {deaths} times over it: see 'crash' in logs/main_app.log"

        def work(tx: Transaction) -> bool:
            found = [asset for asset in tx.assets() if asset.asset_symbol == symbol]
            now = self._clock.now()
            return any(tx.lock_asset(asset.id, reason, now, LockKind.CRASH) for asset in found)

        if self._store.transaction(work):
            warn("asset", "locked", symbol=symbol, why=reason)
        self._failures.clear()

    def _until_it_answers(self, work: Callable[[], R]) -> R | None:
        """Do something that must succeed before trading; whatever keeps it from that is waited for, with the
        heart beating: a server that is down, keys, a clock, an older schema. None if asked to stop meanwhile.

        A new reason is told; one that only says another figure is the same.
        """
        told = ""
        while True:
            try:
                result = work()
            except (StartRefused, Unavailable) as error:
                why = self._context.hidden(str(error))
                if _DIGITS.sub("", why) != told:
                    self._troubles.ends("start", "waiting", self._clock.now())
                    told = _DIGITS.sub("", why)
                self._troubles.begins("start", "waiting", why, self._clock.now())
                self._wait(_hurdle(error), why)
            else:
                self._troubles.ends("start", "waiting", self._clock.now())
                return result
            if self._context.stopping.is_set():
                return None

    def _wait(self, hurdle: Hurdle, why: str) -> None:
        """Until it is time to try again; or begin anew, if what this process was made from is another now."""
        beat: dict[str, object] = {
            "troubles": self._troubles.names(),
            "waiting_for": hurdle,
            "waiting_why": why,
        }
        self._heart.beat(beat)
        if self._context.stopping.wait(RETRY_SECONDS):
            return
        self._look_at_settings()
        if self._origin.other_program():
            self._context.begin_anew("the program was updated")

    def _look_at_settings(self) -> None:
        """Settings take effect with a start. Where something does not work, they may be why, and be put
        right: then this start was with the wrong ones."""
        if not self._troubles.names():
            return
        try:
            is_other = self._origin.other_settings()
        except SettingsProblem as error:
            self._troubles.begins("start", ".env makes no sense", str(error), self._clock.now())
            return
        self._troubles.ends("start", ".env makes no sense", self._clock.now())
        if is_other:
            self._context.begin_anew("the settings are others than those of the start")

    def _give_sign_of_life(self) -> None:
        self._store.transaction(lambda tx: tx.owner_lives(self._owner, self._clock.now()))

    def _note_end(self) -> None:
        if self._context.asked_to_stop is not None and not self._context.failed:
            self._context.note_end(self._context.asked_to_stop)

    def _orders_connected(self) -> None:
        self._loop.ask_to_settle()

    def _forget_failures(self) -> None:
        """Deaths count in a row; a run that goes well ends the row."""
        if self._clock.monotonic() >= self._good_at:
            self._good_at += FORGET_SECONDS
            self._failures.clear()

    def _beat_when_due(self) -> None:
        if self._clock.monotonic() >= self._beat_at:
            self._beat_at = self._clock.monotonic() + BEAT_SECONDS
            self._beat()

    def _beat(self) -> None:
        asset_reports.write(self._settings.state_dir, self._clock.now(), self._reporter.all())
        oldest = min(worker.beat_monotonic for worker in self._workers)
        reading = self._desk.clock_reading
        self._heart.beat(
            {
                "venue": self._settings.exchange.venue.value,
                "epoch": self._desk.epoch,
                "slowest_worker_seconds": round(self._clock.monotonic() - oldest, 1),
                "last_settle_at": _text(self._desk.last_settle_at),
                "quotes": _stream(
                    self._feed.quotes.connected, "last_quote_at", self._feed.quotes.last_message_at
                ),
                "orders": _stream(
                    self._feed.orders.connected, "last_order_update_at", self._feed.orders.last_message_at
                ),
                "pairs": len(self._desk.symbols()),
                "quote_lag_seconds": self._desk.quote_lag_seconds,
                "clock_ahead_seconds": None if reading is None else round(reading.ahead_seconds, 3),
                "not_traded": self._desk.not_traded(),
                "delays": [_delay(each) for each in self._loop.delays.all()],
                "troubles": self._troubles.names(),
            }
        )

    def _leave(self) -> None:
        """Stop deciding, let the workers finish what they have in hand, close everything."""
        for worker in self._workers:
            worker.stop()
        until = self._clock.monotonic() + DRAIN_SECONDS
        for worker in self._workers:
            worker.join(timeout=max(0.1, until - self._clock.monotonic()))
        self._feed.stop()
        self._store.close()
        unfinished = [worker.name for worker in self._workers if worker.is_alive()]
        if unfinished:
            warn("stop", "left unfinished", why=f"{', '.join(unfinished)}: the next start settles it")
        fact("stop", "stopped", open_orders=len(self._desk.open_orders()))


def _hurdle(error: DcaError) -> Hurdle:
    kinds = {
        DatabaseUnavailable: Hurdle.DATABASE,
        ExchangeUnavailable: Hurdle.EXCHANGE,
        KeysRefused: Hurdle.KEYS,
        OtherSchema: Hurdle.SCHEMA,
    }
    return next((hurdle for kind, hurdle in kinds.items() if isinstance(error, kind)), Hurdle.OTHER)


def _stream(connected: bool, name: str, at: datetime | None) -> dict[str, object]:
    return {"connected": connected, name: _text(at)}


def _delay(delay: Delay) -> dict[str, object]:
    return {**asdict(delay), "since": _text(delay.since)}


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds")
