"""The suite's programs as processes of the simulation: their real code, started as their scripts start it."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import cooldown_manager
import order_manager
from dca.caretakers.consistency import Checker
from dca.caretakers.job import Job
from dca.core.errors import StartRefused, Unavailable
from dca.core.interfaces import Store
from dca.exchange import account_checks
from dca.runtime.crash_counter import Failures
from dca.runtime.heartbeat import Delay
from dca.runtime.log_lines import Troubles
from dca.runtime.script import Context
from dca.runtime.settings import Settings
from dca.trading.main_loop import MainLoop
from dca.trading.trader import Trader
from dca.trading.watchlist import Desk
from dca.trading.worker import Rests, Worker, limits_of
from dca.watchdog.process import Supervisor
from dca.watchdog.run import Guard
from proof.simulation.exchange import Exchange, SimBroker
from proof.simulation.feed import SimFeed, WakingInbox
from proof.simulation.hub import Process

R = TypeVar("R")

TICK_SECONDS = 0.5
RETRY_SECONDS = 5.0
WORKERS = 2


class NoFailures(Failures):
    """Nobody dies over an asset here: any crash of the product's own is a finding."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))

    def note(self, symbol: str) -> None:
        """A process that is killed writes nothing."""


class MainApp:
    """One start of main_app."""

    def __init__(self, process: Process, store: Store, exchange: Exchange, settings: Settings) -> None:
        self.process = process
        self.feed: SimFeed | None = None
        self._exchange = exchange
        self._settings = settings
        self._new_store = store
        self._stopping = False
        self._loop: MainLoop | None = None
        self.workers: list[Worker] = []
        self.tick_seconds = TICK_SECONDS

    def start(self) -> None:
        self.process.spawn(self._run)

    def stop(self) -> None:
        """SIGTERM: the loop and the workers finish what they have in hand."""
        self._stopping = True

    def delays(self) -> list[Delay]:
        """What it would write into its heartbeat."""
        return [] if self._loop is None else self._loop.delays.all()

    def _run(self) -> None:
        process, settings, store = self.process, self._settings, self._new_store
        broker, clock, troubles = SimBroker(process, self._exchange), process.clock, Troubles()
        try:
            control = self._until_it_answers(
                lambda: account_checks.begin(
                    store, broker, clock, settings.exchange, settings.database.name, "simulated"
                )
            )
        except StartRefused:
            process.die()
            process.check_alive()
            raise
        desk = Desk(control.install_id, control.epoch)
        desk.mode, desk.selling = control.mode, settings.selling
        desk.rules = self._until_it_answers(broker.trading_rules)
        inbox, rests = WakingInbox(), Rests(clock)
        feed = SimFeed(process, self._exchange, inbox, desk.tripwires, self._ask_to_settle)
        self._loop = loop = MainLoop(
            store=store,
            broker=broker,
            desk=desk,
            inbox=inbox,
            feed=feed,
            clock=clock,
            troubles=troubles,
            quiet_period=settings.quiet_period,
            before_each=_nothing,
            stop=lambda _: self.stop(),
        )
        self._until_it_answers(loop.refresh)
        for _ in range(WORKERS):
            broker, limits = SimBroker(process, self._exchange), limits_of(settings)
            trader = Trader(store, broker, desk, clock, troubles, limits, newest=feed.newest)
            worker = Worker(trader, inbox, feed, rests, troubles, NoFailures(), clock)
            self.workers.append(worker)
            process.spawn(self._working(worker, inbox))
        self.feed = feed
        feed.start()
        while not self._stopping:
            process.pause(self.tick_seconds)
            loop.tick()
        process.pause(1.0)
        process.die()

    def _ask_to_settle(self) -> None:
        assert self._loop is not None, "the feed is started after the loop was made"
        self._loop.ask_to_settle()

    def _working(self, worker: Worker, inbox: WakingInbox) -> Callable[[], None]:
        def work() -> None:
            while not self._stopping:
                if not worker.work(timeout_seconds=0.0):
                    inbox.resting.append(self.process.wait())
                    self.process.sleep()

        return work

    def _until_it_answers(self, work: Callable[[], R]) -> R:
        while True:
            try:
                return work()
            except Unavailable:
                self.process.pause(RETRY_SECONDS)


def _nothing() -> None:
    """The heartbeat is a file; nobody reads it here."""


class _VirtualEvent(threading.Event):
    """Waits in virtual time."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    def wait(self, timeout: float | None = None) -> bool:
        self._process.pause(timeout or 0.0)
        return self.is_set()


CARETAKERS: dict[str, Callable[[Job], None]] = {
    "order_manager": order_manager.main,
    "cooldown_manager": cooldown_manager.main,
    "consistency_checker": lambda job: Checker(job).run(),
    # What the watchdog asks the exchange; the simulation's own cron does not run it.
    "watchdog": lambda job: Guard(job, Supervisor(job.settings, job.clock)).ask_for_keys(),
}


def run_caretaker(name: str, process: Process, store: Store, exchange: Exchange, settings: Settings) -> None:
    """One run of a cron script; it ends by itself."""

    def run() -> None:
        context = Context(name=name, settings=settings, stopping=_VirtualEvent(process))
        job = Job(context=context, store=store, clock=process.clock, dry_run=False)
        job._broker = SimBroker(process, exchange)
        with suppress(StartRefused, Unavailable):  # told in its log; the next run tries again
            CARETAKERS[name](job)
        process.die()

    process.spawn(run)
