"""A person beside the bot: edits rows, trades by hand, uses ./bot, and puts right what only a person can."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

from dca.watchdog.process import read_memory
from demo.problems import DemoProblem
from demo.processes import Child
from demo.rows import Row, num
from launcher.output import SetUpProblem
from proof.chaos.world import World

Undo = Callable[[], None]
"""Raises NotYet when it has to be tried again later."""
_SEEN_AFTER = 8.0
"""Seconds until somebody notices what only a person can put right."""


class NotYet(Exception):
    """Something cannot be undone now, because of something else that goes on."""


def nothing() -> None:
    """There is nothing to be undone."""


class Person:
    """`acts` return how to undo them, or None if they cannot be done now; `tick` does the duties."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._commands: list[list[str]] = []
        self._child = Child("operator", [], world.folder, world.environment)
        self._noticed: dict[str, float] = {}
        self._pauses_cleared_at = time.monotonic()
        self.done: dict[str, int] = {}
        self.tables: Mapping[str, Sequence[Row]] = {}
        self.coins_brought: set[str] = set()
        self.sold_by_hand: set[str] = set()
        self.acts: dict[str, Callable[[], Undo | None]] = {
            "edits": self._edit,
            "disables": self._disable,
            "cancels": self._cancel,
            "sells_all": lambda: self._sell(Decimal(1)),
            "sells_some": lambda: self._sell(Decimal("0.4")),
            "brings_coins": self._bring,
            "pauses": self._pause,
            "asks_to_sell": self._ask_to_sell,
        }

    # ---- acts --------------------------------------------------------------------------------------------

    def _edit(self) -> Undo | None:
        """A value of dca_assets. Not those that the audit needs as they were at each order."""
        column, least, most = self._random.choice(
            [
                ("base_order_amount", 20, 40),
                ("safety_order_amount", 20, 40),
                ("max_safety_orders", 2, 6),
                ("take_profit_percent", 0.7, 1.2),
            ]
        )
        value = round(self._random.uniform(least, most), 2)
        text = str(round(value)) if column == "max_safety_orders" else f"{value:.2f}"
        symbol = self._random.choice(self._world.symbols)
        return self._sql(f"UPDATE dca_assets SET {column} = {text} WHERE asset_symbol = '{symbol}'")  # noqa: S608

    def _disable(self) -> Undo | None:
        symbol = self._random.choice(self._world.symbols)
        where = f"WHERE asset_symbol = '{symbol}'"
        done = self._sql(f"UPDATE dca_assets SET is_enabled = FALSE {where}")  # noqa: S608
        back = f"UPDATE dca_assets SET is_enabled = TRUE {where}"  # noqa: S608
        return None if done is None else lambda: self._surely(back)

    def _cancel(self) -> Undo | None:
        """One of the bot's orders, in the dashboard; there is not always one that is open."""
        open_orders = [each for each in self._world.bourse.open_orders() if _is_the_bots(each)]
        if not open_orders:
            return None
        with suppress(DemoProblem):
            self._world.bourse.cancel(str(self._random.choice(open_orders)["id"]))
            return nothing
        return None

    def _sell(self, share: Decimal) -> Undo | None:
        """Coins of the bot, in the dashboard: of a pair of which there is nothing else on the account."""
        state = self._world.bourse.state()
        held = [s for s in self._holding() if s in state["positions"] and s not in self.coins_brought]
        if not held:
            return None
        symbol = self._random.choice(held)
        free = num(state["positions"][symbol], "qty_available")
        value = free * num(state["quotes"][symbol], "bid")
        if value * min(share, 1 - share or Decimal(1)) < Decimal("6"):
            return None
        with suppress(DemoProblem):
            self.sold_by_hand.add(symbol)
            self._world.bourse.sell(symbol, (free * share).quantize(Decimal("1e-9")))
            return nothing
        return None

    def _holding(self) -> list[str]:
        """Pairs of which the bot held something when the tables were last read."""
        symbols = {row["id"]: str(row["asset_symbol"]) for row in self.tables.get("dca_assets", ())}
        cycles = self.tables.get("dca_cycles", ())
        return [
            symbols[row["asset_id"]] for row in cycles if row["status"] == "watching" and num(row, "quantity")
        ]

    def _bring(self) -> Undo | None:
        """Coins of the person's own, of one pair for the whole run: they must stay untouched."""
        symbol = self._world.symbols[-1]
        price = num(self._world.bourse.state()["quotes"][symbol], "bid")
        self._world.bourse.deposit(symbol, (Decimal(15) / price).quantize(Decimal("1e-6")))
        self.coins_brought.add(symbol)
        return nothing

    def _pause(self) -> Undo | None:
        if self._is_busy():
            return None
        self._commands.append(["pause", "--yes", *self._random.choice([[], ["--all"]])])
        return lambda: self._commands.append(["resume", "--yes"])

    def _ask_to_sell(self) -> Undo | None:
        holding = self._holding()
        if not holding or self._is_busy():
            return None
        self._commands.append(["sell", self._random.choice(holding), "--yes"])
        return nothing

    # ---- duties ------------------------------------------------------------------------------------------

    @property
    def is_left_down(self) -> bool:
        """Whether the watchdog starts main_app no more."""
        return read_memory(self._world.state_dir).left_down_at is not None

    def tick(self, *, pauses: bool = False) -> None:
        """See to what only a person ends. `pauses`: the mode may be one that a person wished for."""
        if self._commands and not self._is_busy(but_waiting=True):
            self._child = Child(
                "operator",
                ["-m", "dca.operator", *self._commands.pop(0)],
                self._world.folder,
                self._world.environment,
            )
            self._child.start()
        if not self._is_busy():
            self._see_to_main_app(pauses=pauses)
            self._see_to_locks()
        self._clear_pauses()

    def _is_busy(self, *, but_waiting: bool = False) -> bool:
        return self._child.runs or (bool(self._commands) and not but_waiting)

    def _see_to_main_app(self, *, pauses: bool) -> None:
        if self._for_a_while("left down", now=self.is_left_down):
            self._commands += [["start", "--yes"], ["resume", "--yes"]]
            self._count("started what was left down")
        control = self.tables.get("dca_control", ())
        paused = bool(control) and control[0]["mode"] != "run" and not pauses
        if self._for_a_while("paused", now=paused):
            self._commands.append(["resume", "--yes"])
            self._count("resumed")

    def _see_to_locks(self) -> None:
        for row in self.tables.get("dca_assets", ()):
            symbol = str(row["asset_symbol"])
            if not self._for_a_while(f"lock {symbol}", now=row["lock_reason"] is not None):
                continue
            how = "accept" if row["lock_kind"] == "break" else "resume"
            self._commands.append([how, symbol, "--yes"])
            self._count(f"{how} {symbol}")

    def _for_a_while(self, what: str, *, now: bool) -> bool:
        """Whether something has been so long enough to be noticed; then the time begins again."""
        if not now:
            self._noticed.pop(what, None)
            return False
        since = self._noticed.setdefault(what, time.monotonic())
        if time.monotonic() - since < (1.0 if self._world.pace.smoke else _SEEN_AFTER):
            return False
        self._noticed.pop(what)
        return True

    def _clear_pauses(self) -> None:
        """The minutes that the bot waits after a refusal are longer than a chaos run's patience."""
        if time.monotonic() - self._pauses_cleared_at < 10 or not self._world.database_answers:
            return
        self._pauses_cleared_at = time.monotonic()
        waiting = [
            row
            for row in self.tables.get("dca_cycles", ())
            if row.get("next_buy_at") or row.get("next_sell_at")
        ]
        if any(row.get("live_asset_id") is not None for row in waiting):
            self._sql(
                "UPDATE dca_cycles SET next_buy_at = NULL, next_sell_at = NULL"
                " WHERE live_asset_id IS NOT NULL"
            )
            self._count("ended a pause after a refusal")

    def put_right(self) -> None:
        """At the end: everything enabled, nothing paused."""
        self._surely("UPDATE dca_assets SET is_enabled = TRUE")
        self._pauses_cleared_at = 0.0

    def stop(self) -> None:
        self._child.stop(2)

    def _sql(self, statement: str) -> Undo | None:
        if not self._world.database_answers:
            return None
        try:
            self._world.sql(statement)
        except SetUpProblem:
            return None
        return nothing

    def _surely(self, statement: str) -> None:
        """For what has to be undone.

        Raises:
            NotYet: the database does not answer.
        """
        if self._sql(statement) is None:
            raise NotYet

    def _count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1


def _is_the_bots(order: Row) -> bool:
    return str(order["client_order_id"]).startswith("dca-") and order["status"] != "pending_cancel"


def now_text() -> str:
    return f"{datetime.now(UTC):%H:%M:%S.%f}"[:-3]
