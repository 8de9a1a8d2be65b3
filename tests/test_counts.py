"""What things cost, in counts that are the same on every machine: statements, commits, requests, allocations.

Whoever adds a statement to the hot path sees it here. If it has to be, the tables below are where it is
written down; the failure shows the statements in their order.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import pytest

import cooldown_manager
import order_manager
from dca.caretakers.consistency import Checker
from dca.caretakers.job import Job
from dca.core.model import CycleStatus, Quote
from dca.exchange.streams import Feed
from dca.runtime import settings
from dca.runtime.crash_counter import Failures
from dca.runtime.log_lines import Troubles
from dca.runtime.script import Context
from dca.runtime.settings import DatabaseSettings
from dca.trading.inbox import Inbox
from dca.trading.main_loop import MainLoop
from dca.trading.worker import Rests, Worker
from dca.watchdog.process import Supervisor
from dca.watchdog.run import Guard
from tests.counting import CountedRig, Journal
from tests.good_settings import GOOD
from tests.quote_server import QuoteServer, frame
from tests.rig import INSERT, SYMBOL
from tests.taking import taken

SETTINGS = replace(settings.parse(GOOD, env_file_mode=0o600), gone_seconds=0.0)


@dataclass(frozen=True)
class Cost:
    """`before`: statements and commits between the quote and its order; None where none is sent."""

    statements: int
    commits: int
    requests: tuple[str, ...] = ()
    before: tuple[int, int] | None = None


def cost_of(journal: Journal) -> Cost:
    before = None
    if "submit" in journal.requests():
        way = journal.until("submit")
        before = (len(way.statements()), way.commits())
    return Cost(len(journal.statements()), journal.commits(), tuple(journal.requests()), before)


@pytest.fixture
def rig(database: DatabaseSettings) -> Iterator[CountedRig]:
    rig = CountedRig(database)
    yield rig
    rig.close()


# ---- a life, step by step ----------------------------------------------------------------------------------

LIFE = {
    "base buy": Cost(18, 3, ("submit",), before=(9, 1)),
    "fill of the base buy": Cost(8, 2),
    "safety buy": Cost(18, 3, ("submit",), before=(9, 1)),
    "fill of the safety buy": Cost(8, 2),
    "fee of the safety buy": Cost(6, 2),
    "take-profit": Cost(18, 3, ("latest_quotes", "position", "submit"), before=(9, 1)),
    "fill of the sale": Cost(10, 2),
    "cooldown ends, base buy": Cost(26, 5, ("submit",), before=(17, 3)),
    "an update that says nothing new": Cost(3, 1),
}


def test_what_each_step_of_a_cycle_costs(rig: CountedRig) -> None:
    found: dict[str, Cost] = {}
    journals: dict[str, str] = {}

    def step(name: str, work: Callable[[], object]) -> None:
        rig.journal.clear()
        work()
        found[name], journals[name] = cost_of(rig.journal), str(rig.journal)

    def fill(price: str) -> Callable[[], object]:
        snapshot = rig.exchange.fill(rig.last_id(), price=price)
        return lambda: rig.trader.books.book(snapshot)

    step("base buy", lambda: rig.quote("100"))
    again = fill("100")
    step("fill of the base buy", again)
    step("safety buy", lambda: rig.quote("98.5"))
    step("fill of the safety buy", fill("98.5"))
    bought = rig.orders()[-1]
    executions = rig.exchange.executions_of[bought.exchange_order_id or ""]
    step("fee of the safety buy", lambda: rig.trader.books.confirm_fee(bought, executions))
    step("take-profit", lambda: rig.quote("103"))
    step("fill of the sale", fill("103"))
    rig.clock.pass_seconds(301)
    step("cooldown ends, base buy", lambda: rig.quote("103"))
    assert rig.cycle().status is CycleStatus.BUYING
    step("an update that says nothing new", again)
    for name, cost in found.items():
        assert cost == LIFE[name], f"{name}: it is {cost} now\n{journals[name]}"


# ---- quotes that reach nothing -----------------------------------------------------------------------------

QUIET_QUOTES = 10_000
MARK = "MARK/USD"
"""A pair that nobody knows: its quotes are always passed on."""


class Listening:
    """A rig that holds coins, and a real feed and a worker before it."""

    def __init__(self, rig: CountedRig, server: QuoteServer) -> None:
        rig.bought("100")
        self.rig = rig
        self.server = server
        self.inbox = Inbox()
        self.troubles = Troubles()
        self.feed = Feed(
            server.settings, self.inbox, rig.desk.tripwires, rig.clock, self.troubles, lambda: None
        )
        self.feed.set_symbols({SYMBOL})
        rests = Rests(rig.clock)
        self.worker = Worker(
            rig.trader, self.inbox, self.feed, rests, self.troubles, _never_written(), rig.clock
        )
        rig.journal.clear()

    def hear(self, price: float, quotes: int, of_a_frame: int) -> None:
        """Send quotes, and wait until all of them were taken."""
        data = frame([(SYMBOL, price, price)] * of_a_frame)
        for _ in range(quotes // of_a_frame):
            self.server.send(data)
        self.server.send(frame([(MARK, 1.0, 1.0)]))
        assert self.inbox_brings_the_mark(), self.troubles.names()

    def inbox_brings_the_mark(self) -> bool:
        item = taken(self.inbox, 10.0)
        return isinstance(item, Quote) and item.symbol == MARK


def _never_written() -> Failures:
    return Failures(SETTINGS.state_dir / "nobody-dies-here")


@pytest.fixture
def listening(rig: CountedRig) -> Iterator[Listening]:
    with QuoteServer() as server:
        yield Listening(rig, server)


def test_a_quiet_quote_asks_nobody_wakes_nobody_and_leaves_nothing(listening: Listening) -> None:
    listening.feed.start()
    for of_a_frame in (1, 10):
        listening.hear(100.0, QUIET_QUOTES, of_a_frame)
        before = _blocks()
        listening.hear(100.0, QUIET_QUOTES, of_a_frame)
        assert _blocks() - before < QUIET_QUOTES // 50
    assert listening.inbox.is_empty()
    assert listening.rig.journal.lines == []
    assert listening.feed.quotes.last_message_at == listening.rig.clock.now()
    listening.server.send(frame([(SYMBOL, 98.5, 98.5)], int(listening.rig.clock.monotonic())))
    assert listening.worker.work(10.0)  # the one that reaches a level does
    assert listening.rig.journal.requests() == ["submit"]
    listening.feed.stop()


def test_a_quiet_quote_that_reaches_a_worker_asks_nobody(listening: Listening) -> None:
    now = listening.rig.clock.now()
    for cents in range(10_000, 10_100):
        price = Decimal(cents) / 100
        quote = Quote(symbol=SYMBOL, bid=price, ask=price, at=now, received_at=now)
        listening.inbox.put_quote(quote)
        assert listening.worker.work(0.0)
    assert listening.rig.journal.lines == []


def _blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


# ---- nothing to do -----------------------------------------------------------------------------------------

MINUTE = Cost(126, 36)
"""main_app's loop: a refresh every 2 s reads four tables, and which fees are open is asked six times."""


class LoopAlone:
    """The loop with its store and exchange listened to, and a feed that is not started."""

    def __init__(self, rig: CountedRig) -> None:
        self.rig = rig
        server = replace(SETTINGS.exchange)
        inbox, troubles = Inbox(), Troubles()
        self.feed = Feed(server, inbox, rig.desk.tripwires, rig.clock, troubles, lambda: None)
        self.loop = MainLoop(
            store=rig.counted_store,
            broker=rig.counted_exchange,
            desk=rig.desk,
            inbox=inbox,
            feed=self.feed,
            clock=rig.clock,
            troubles=troubles,
            quiet_period=timedelta(minutes=2),
            before_each=lambda: None,
            stop=pytest.fail,
        )

    def minute(self) -> Cost:
        self.rig.journal.clear()
        for _ in range(240):
            self.loop.tick()
            self.rig.clock.pass_seconds(0.25)
        return cost_of(self.rig.journal)


def test_a_minute_of_the_main_loop(rig: CountedRig) -> None:
    alone = LoopAlone(rig)
    alone.minute()
    assert alone.minute() == MINUTE, rig.journal.by_count()
    rig.quote("100")
    assert alone.minute() == replace(MINUTE, requests=("open_orders",) * 12), rig.journal.by_count()
    for number in range(10):
        rig.store.run_script(INSERT.replace("BTC/USD", f"C{number}/USD"))
    alone.minute()
    assert alone.minute() == replace(MINUTE, requests=("open_orders",) * 12)  # whatever the number of assets


CARETAKERS: dict[str, tuple[Callable[[Job], object], Cost]] = {
    "order_manager": (order_manager.main, Cost(2, 1, ("open_orders",))),
    "cooldown_manager": (cooldown_manager.main, Cost(1, 1)),
    "consistency_checker": (
        lambda job: Checker(job).run(),
        Cost(23, 10, ("account", "trading_rules", "positions", "open_orders", "closed_orders")),
    ),
    "watchdog": (
        lambda job: Guard(job, Supervisor(job.settings, job.clock)).ask_for_keys(),
        Cost(1, 1, ("account",)),
    ),
}


def run(rig: CountedRig, name: str) -> Cost:
    context = Context(name=name, settings=SETTINGS)
    job = Job(context, rig.counted_store, rig.clock, dry_run=False, _broker=rig.counted_exchange)
    rig.journal.clear()
    CARETAKERS[name][0](job)
    return cost_of(rig.journal)


def test_a_caretaker_with_nothing_to_do(rig: CountedRig) -> None:
    rig.bought("100")
    for name, (_, cost) in CARETAKERS.items():
        assert run(rig, name) == cost, f"{name}: it is {cost_of(rig.journal)} now\n{rig.journal}"


def test_orders_that_rest_cost_the_checker_no_request_each(rig: CountedRig) -> None:
    """Sixty resting buys were sixty look-ups, four times what its pace lets out: it could judge nothing."""
    rig.quote("100")
    assert "order" not in run(rig, "consistency_checker").requests
    rig.exchange.fill(rig.last_id(), qty="0.1")
    assert run(rig, "consistency_checker").requests.count("order") == 1  # this one has news
