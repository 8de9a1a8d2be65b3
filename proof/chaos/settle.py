"""After the nemesis: every asset has to trade again, then everything has to come to rest."""

import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from demo.problems import DemoProblem
from demo.rows import Row, num
from proof.chaos import checks
from proof.chaos.books import Ledgers, cycle_of
from proof.chaos.person import Person
from proof.chaos.world import World

PUSH_SECONDS = 1.5
BEYOND_PERCENT = Decimal("0.15")
FEES_SECONDS = 40.0
"""main_app asks for fees every half minute."""
REST_SECONDS = 60.0


class Settling:
    """`tick` goes on with everything else that has to go on: cron, the person, reaping."""

    def __init__(self, world: World, ledgers: Ledgers, person: Person, tick: Callable[[], None]) -> None:
        self._world = world
        self._ledgers = ledgers
        self._person = person
        self._tick = tick
        self._pushed_at = 0.0

    def trade_again(self, seconds: float) -> dict[str, float | None]:
        """Until each asset has had a fill of the bot's since now. Returns the seconds that it took, None for
        those that did not."""
        began = time.monotonic()
        since = datetime.fromisoformat(str(self._world.bourse.state()["now"]))
        took: dict[str, float | None] = dict.fromkeys(self._world.symbols)
        while time.monotonic() - began < seconds:
            self._look()
            for symbol in self._filled(since):
                if took.get(symbol, 0.0) is None:
                    took[symbol] = time.monotonic() - began
            if all(each is not None for each in took.values()):
                break
            self._push({symbol for symbol, each in took.items() if each is None})
        return took

    def come_to_rest(self) -> list[str]:
        """No new buys, nothing in flight, fees known. Returns what is still in flight when the time is up."""
        self._world.sql("UPDATE dca_assets SET is_enabled = FALSE")
        self._world.bourse.hold(None, held=True)
        began = time.monotonic()
        quiet_since = None
        left: list[str] = []
        while time.monotonic() - began < REST_SECONDS:
            self._look()
            left = checks.unsettled(self._ledgers)
            quiet_since = (quiet_since or time.monotonic()) if not left else None
            if quiet_since is not None and time.monotonic() - quiet_since > 1 and self._fees_are_in(began):
                return []
        return left

    def _fees_are_in(self, began: float) -> bool:
        patience = 2.0 if self._world.pace.smoke else FEES_SECONDS
        return time.monotonic() - began > patience or not checks.guessed_fees(self._ledgers)

    def _look(self) -> None:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            self._tick()
            time.sleep(0.05)
        try:
            self._ledgers.read()
        except DemoProblem:
            self._world.forget_tables()
        self._person.tables = self._ledgers.tables

    def _filled(self, since: datetime) -> set[str]:
        found = set()
        for entry in reversed(self._ledgers.journal):
            at = datetime.fromisoformat(str(entry["at"]))
            if at < since:
                break
            if entry["kind"] == "execution" and cycle_of(entry["client_order_id"]) is not None:
                found.add(str(entry["symbol"]))
        return found

    def _push(self, symbols: set[str]) -> None:
        """Move prices to where what is held can be sold."""
        if time.monotonic() - self._pushed_at < PUSH_SECONDS:
            return
        self._pushed_at = time.monotonic()
        quotes = self._world.bourse.state()["quotes"]
        assets = {row["id"]: row for row in self._ledgers.tables["dca_assets"]}
        for cycle in self._ledgers.tables["dca_cycles"]:
            asset = assets[cycle["asset_id"]]
            symbol = str(asset["asset_symbol"])
            if symbol in symbols and cycle["status"] == "watching" and num(cycle, "quantity") > 0:
                change = _to_take_profit(cycle, asset, quotes[symbol])
                if change > 0:
                    self._world.bourse.push(symbol, min(change, Decimal(3)).quantize(Decimal("0.01")))


def _to_take_profit(cycle: Row, asset: Row, quote: Row) -> Decimal:
    goal = num(cycle, "average_purchase_price") * (1 + num(asset, "take_profit_percent") / 100)
    return (goal / num(quote, "bid") - 1) * 100 + BEYOND_PERCENT
