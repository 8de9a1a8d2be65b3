"""A run: the suite's programs, the exchange, the market and a person, in one thread and virtual time."""

import logging
import random
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from dca.core.model import LIVE_STATES, FeeSource
from dca.core.selling import AT_MARKET, Selling
from dca.runtime import settings as settings_module
from dca.runtime.settings import Settings
from paper_exchange.depth import Depth
from paper_exchange.engine import Engine
from proof.simulation.exchange import Exchange
from proof.simulation.hub import BEGIN, Hub, Process
from proof.simulation.log_book import LogBook
from proof.simulation.market import Market
from proof.simulation.oracle import Oracle, Violation
from proof.simulation.people import Person
from proof.simulation.scripts import MainApp, run_caretaker
from proof.simulation.standstill import LOOK_SECONDS, Standstill
from proof.simulation.stores import MemoryDatabase
from proof.simulation.tables import Tables
from proof.simulation.weather import Weather

PERIODS = {"order_manager": 15.0, "cooldown_manager": 15.0, "consistency_checker": 40.0}
QUOTE_SECONDS = 2.0
QUIET_SECONDS = 20
CASH = Decimal(5_000_000)
"""Enough for cycles that have to be sold in several orders."""
_ENVIRONMENT = {
    "APCA_API_KEY_ID": "simulated",
    "APCA_API_SECRET_KEY": "simulated",
    "APCA_API_BASE_URL": "http://127.0.0.1:1",
    "DB_HOST": "127.0.0.1",
    "DB_USER": "simulated",
    "DB_PASSWORD": "simulated",
    "DB_NAME": "simulated",
}


def short_settings() -> Settings:
    """The suite's settings, with waits that fit a run of minutes."""
    parsed = settings_module.parse(_ENVIRONMENT, env_file_mode=0o600)
    values = {name: getattr(parsed, name) for name in parsed.__slots__}
    values |= {
        "quiet_period": timedelta(seconds=QUIET_SECONDS),
        "stale_order_limit": timedelta(seconds=40),
        "stuck_sell_limit": timedelta(seconds=15),
        "gone_seconds": 6.0,
        "state_dir": Path("/nonexistent"),
    }
    return Settings(**values)


AssetRow = dict[str, Any]
DatabaseMaker = Callable[[Weather, random.Random, Oracle], Any]


class World:
    """Everything there is. `assets`: rows for dca_assets; `prices`: where their pairs begin."""

    def __init__(
        self,
        seed: int,
        assets: list[AssetRow],
        prices: dict[str, Decimal],
        database: DatabaseMaker = MemoryDatabase,
        *,
        partial_percent: int = 10,
        selling: Selling = AT_MARKET,
        depth: Depth | None = None,
    ) -> None:
        self.seed = seed
        self.settings = replace(short_settings(), selling=selling)
        self.hub = Hub()
        self.weather = Weather()
        self.rng = random.Random(f"world {seed}")  # noqa: S311 - reproducible, not secret
        self.engine = Engine(seed=seed, now=BEGIN, cash=CASH, partial_percent=partial_percent, depth=depth)
        self.market = Market(self.engine, prices, random.Random(f"market {seed}"))  # noqa: S311
        self.oracle = Oracle(self.hub, self.engine)
        self.exchange = Exchange(self.hub, self.engine, self.weather, self.rng, self.oracle)
        self.engine.on_update = self._send_update
        self.database = database(self.weather, self.rng, self.oracle)
        self.database.edit(lambda tx: [tx.insert_asset(row) for row in assets])
        self.person = Person(self.database, self.engine)
        self.log = LogBook(self.hub, self.weather)
        self.standstill = Standstill(self)
        self.mains: list[MainApp] = []
        self.caretakers: dict[str, Process] = {}
        self.starts = 0
        self.restart_after: Callable[[], float] = lambda: self.rng.uniform(1.0, 15.0)

    # ---- running ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Quotes, cron and the first start."""
        for number, symbol in enumerate(self.market.prices):
            self.hub.at(0.1 + 0.3 * number, self._quoting(symbol))
        for name, seconds in PERIODS.items():
            self.hub.at(self.rng.uniform(5.0, seconds), self._cron(name, seconds))
        self.hub.after(LOOK_SECONDS, self.standstill.looking())
        self.start_main_app()

    def run(self, seconds: float, done: Callable[[], bool] | None = None) -> bool:
        """Let time pass, until something is found or `done` says so."""
        until = self.hub.seconds + seconds
        self.hub.run(until, done=lambda: bool(self.violations) or (done is not None and done()))
        return done is not None and not self.violations and done()

    @property
    def violations(self) -> list[Violation]:
        return self.oracle.violations

    def tables(self) -> Tables:
        tables: Tables = self.database.tables()
        return tables

    def _quoting(self, symbol: str) -> Callable[[], None]:
        def tick() -> None:
            self.engine.advance(self.hub.now())
            quote = self.market.quote(symbol)
            self.oracle.quoted(symbol, quote.bid, quote.ask)
            for main in self.mains:
                if main.feed is not None and main.process.alive:
                    main.feed.send_quote(quote)
            self.hub.after(QUOTE_SECONDS, tick)

        return tick

    def _send_update(self, update: dict[str, Any]) -> None:
        for main in self.mains:
            if main.feed is not None and main.process.alive:
                main.feed.send_update(update)

    def _cron(self, name: str, seconds: float) -> Callable[[], None]:
        def tick() -> None:
            running = self.caretakers.get(name)
            if running is None or not running.alive:  # the script's own lock
                process = self.process(name)
                self.caretakers[name] = process
                store = self.database.store(process)
                run_caretaker(name, process, store, self.exchange, self.settings)
                if self.weather.take("kill.caretaker") is not None:
                    self.hub.after(self.rng.uniform(0.0, 0.5), process.die)
            self.hub.after(seconds, tick)

        return tick

    # ---- processes ----------------------------------------------------------------------------------------

    def process(self, name: str) -> Process:
        return Process(self.hub, name, self.weather.boundary, self._crashed)

    def _crashed(self, process: Process, error: Exception) -> None:
        """An exception that the product does not handle: main_app would die of it."""
        if isinstance(error, AssertionError) and str(error)[:3] == "I29":
            self.oracle.broken("I29", str(error))
        else:
            text = "".join(traceback.format_exception(error)[-3:])
            self.oracle.broken("crash", f"{process.name}: {type(error).__name__}: {error}\n{text}")
        process.die()

    def start_main_app(self) -> None:
        self.starts += 1
        process = self.process(f"main_app#{self.starts}")
        process.clock.step_seconds = self._step_seconds
        main = MainApp(process, self.database.store(process), self.exchange, self.settings)
        process.on_death.append(self._main_app_died)
        self.mains.append(main)
        main.start()

    _step_seconds = 0.0

    def step_clocks(self, seconds: float) -> None:
        """The machine's wall clock is wrong from now on by so much."""
        self._step_seconds = seconds
        for process in [*(main.process for main in self.mains), *self.caretakers.values()]:
            process.clock.step_seconds = seconds

    def living(self) -> list[MainApp]:
        return [main for main in self.mains if main.process.alive]

    def _main_app_died(self) -> None:
        def restart() -> None:
            if not self.living():
                self.start_main_app()

        self.mains = self.living()
        self.hub.after(self.restart_after(), restart)

    # ---- looking ------------------------------------------------------------------------------------------

    def in_flight(self) -> bool:
        """Whether anything may still change what the account holds."""
        if self.engine.open_orders():
            return True
        orders = self.tables().orders.values()
        return any(order.state in LIVE_STATES for order in orders)

    def at_rest(self) -> bool:
        """Whether nothing is in flight, and what was filled last is booked to the cent: the executions of an
        order are asked for after the order was booked."""
        orders = self.tables().orders.values()
        return not self.in_flight() and not any(
            order.filled_qty > 0 and order.fee_source is FeeSource.ASSUMED for order in orders
        )

    def close(self) -> None:
        for process in [*(main.process for main in self.mains), *self.caretakers.values()]:
            process.on_death.clear()
            process.die()
        self.log.close()
        self.database.close()


def quiet_logging() -> None:
    """The product's log lines go to the log book only."""
    logging.getLogger("dca").propagate = False
    logging.getLogger("dca").setLevel(logging.INFO)
