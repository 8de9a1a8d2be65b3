"""Traders as processes of their own, racing for one cycle. Started with `spawn`: nothing is inherited."""

import multiprocessing
import threading
from dataclasses import dataclass
from decimal import Decimal

from dca.core.model import Quote
from dca.database.store import Store
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import DatabaseSettings
from dca.trading.trader import Trader
from dca.trading.watchlist import Desk
from tests.fake_exchange import FakeClock, FakeExchange
from tests.rig import LIMITS, RULES, SYMBOL

PROCESSES, THREADS, QUOTES_PER_THREAD = 2, 5, 5
PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Race:
    """Fifty quotes of one price: two processes, five traders each, five quotes each.

    Every trader has read the rows before the start, so all of them believe that it is theirs to act.
    """

    database: DatabaseSettings
    price: str
    held: str

    def run(self) -> list[str]:
        """Returns the client order ids that were posted, by anybody."""
        context = multiprocessing.get_context("spawn")
        start = context.Barrier(PROCESSES * THREADS)
        posted = context.SimpleQueue()
        processes = [context.Process(target=_process, args=(self, start, posted)) for _ in range(PROCESSES)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(2 * PATIENCE_SECONDS)
        alive = [process for process in processes if process.is_alive()]
        for process in alive:
            process.kill()
        assert not alive, "a racer hangs"
        assert [process.exitcode for process in processes] == [0] * PROCESSES
        ids: list[str] = [name for _ in processes for name in posted.get()]
        posted.close()
        return ids


def _process(
    race: Race, start: "threading.Barrier", posted: "multiprocessing.SimpleQueue[list[str]]"
) -> None:
    exchange = FakeExchange(clock=FakeClock())
    exchange.held[SYMBOL] = Decimal(race.held)
    finished: list[bool] = []
    threads = [
        threading.Thread(target=_thread, args=(race, exchange, start, finished)) for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(finished) == THREADS, "a trader failed: its traceback is above"
    posted.put(exchange.posts)


def _thread(race: Race, exchange: FakeExchange, start: "threading.Barrier", finished: list[bool]) -> None:
    with Store(race.database) as store:
        _trade(race, exchange, store, start)
    finished.append(True)


def _trade(race: Race, exchange: FakeExchange, store: Store, start: "threading.Barrier") -> None:
    clock = exchange.clock
    control = store.transaction(lambda tx: tx.control())
    desk = Desk(control.install_id, control.epoch)
    desk.rules, desk.settled = {SYMBOL: RULES}, True
    trader = Trader(store, exchange, desk, clock, Troubles(), LIMITS)
    desk.put(store.transaction(lambda tx: tx.assets())[0], None, (), clock.now())
    trader.books.look(SYMBOL)
    exchange.price = price = Decimal(race.price)
    now = clock.now()
    start.wait(PATIENCE_SECONDS)
    for _ in range(QUOTES_PER_THREAD):
        trader.on_quote(Quote(symbol=SYMBOL, bid=price, ask=price, at=now, received_at=now))
