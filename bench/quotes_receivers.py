"""Who receives the quotes: alpaca-py's stream, or main_app with a database and an exchange behind it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import count

from bench.ground import Ground
from bench.orders_seed import Seed, plant
from bench.quotes_link import RECEIVING, Link, settle_down, started_on
from demo.exchange import Exchange
from demo.processes import Child
from launcher.output import ROOT
from paper_exchange.pairs import all_pairs

_KNOWN_PAIRS = len(all_pairs())
_TAKE_PROFIT_PERCENT = Decimal(2)
_PATIENCE_SECONDS = 60.0
_numbers = count(1)


def pairs(number: int) -> list[str]:
    """So many of the exchange's made-up pairs: they are all of one price and one smallest order."""
    return list(all_pairs(_KNOWN_PAIRS + number))[_KNOWN_PAIRS:]


@contextmanager
def floor(ground: Ground, link: Link, symbols: list[str]) -> Iterator[int]:
    """A fresh process of the floor that has subscribed; gives its pid."""
    program = ["-m", "bench.quotes_floor", link.url, *symbols]
    child = Child(f"floor-{next(_numbers)}", program, ground.folder, {})
    with started_on(RECEIVING):
        child.start()
    try:
        link.accept(symbols)
        settle_down(child.pid)
        yield child.pid
    finally:
        child.stop(0)


class MainApp:
    """A fresh main_app, database and exchange. Every pair holds the coins of a base order at $100."""

    def __init__(self, ground: Ground, link: Link, symbols: list[str]) -> None:
        self.symbols = symbols
        self._ground, self._link = ground, link
        number = next(_numbers)
        database = ground.database(f"quotes_{number}")
        plant(database, Seed(symbols=symbols, take_profit_percent=_TAKE_PROFIT_PERCENT))
        self._folder = ground.folder / f"quotes-{number}"
        self._folder.mkdir()
        options = ["--market", "still", "--rate-limit", "0", "--pairs", str(_KNOWN_PAIRS + len(symbols))]
        self._exchange = Exchange.start([*options, "--cash", "1000000"], self._folder)
        env = ground.bot_env(database, {**self._exchange.urls, "data_stream": link.url})
        self._child = Child("main_app", [str(ROOT / "main_app.py")], self._folder, env)

    def __enter__(self) -> "MainApp":
        with started_on(RECEIVING):
            self._child.start()
        self._link.accept(self.symbols)
        settle_down(self.pid)
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop(0)  # its end is not what is measured
        self._exchange.stop()

    @property
    def pid(self) -> int:
        return self._child.pid

    def requests(self) -> int:
        """How many REST requests the exchange has got from it."""
        return int(self._exchange.state()["requests_taken"])

    def statements(self) -> int:
        """How many the database server has been sent, by its own counter; ours to ask for it among them."""
        return int(self._ground.server.run("SHOW GLOBAL STATUS LIKE 'Questions';\n").split()[1])

    def reacting(self) -> int:
        """Quote every pair across a level, and count the pairs that an order comes in for.

        Waits for all of them, but not for ever; quoted again each second, as on a real stream.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS / 3
        again_at = 0.0
        while len(self._ordered()) < len(self.symbols) and time.monotonic() < deadline:
            if time.monotonic() >= again_at:
                self._link.cross(self.symbols)
                again_at = time.monotonic() + 1
            time.sleep(0.1)
        return len(self._ordered())

    def _ordered(self) -> set[str]:
        entries = [entry for entry in self._exchange.whole_journal() if entry["kind"] == "order"]
        return {entry["order"]["symbol"] for entry in entries}
