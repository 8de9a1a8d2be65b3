"""Levels that are reached and not acted on (I32): since when, and what held each back last.

Whatever the cause is, it shows here: the quotes stay where the level is. So nobody has to know all causes;
whoever turns a quote away notes why (desk.held_back). heartbeat.py writes it down, health.py judges it.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dca.core.interfaces import Clock, Feed
from dca.core.model import ZERO, CycleStatus, OrderState, Quote
from dca.core.strategy import ANY_PRICE
from dca.runtime.heartbeat import Delay
from dca.runtime.log_lines import Troubles
from dca.trading.watchlist import Desk, Watch

OF_A_LEVEL = (("quotes", "not used"), ("sell", "not confirmed"), ("cooldown", "not confirmed"))
"""Troubles that are over with the level that was reached: no later quote would end them."""
SILENT_SECONDS = 60
"""A quote that is older than that is the reason itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reached:
    progress: tuple[int, Decimal, Decimal]
    """Cycle, bought and sold: as long as these stay nothing has come of it."""
    since: datetime
    began: float
    last: float
    """Monotonic, as `began`: a clock that is set must not make an incident."""
    action: str = ""
    heard_at: datetime | None = None
    why: str = ""


class Delays:
    """For the loop, which looks again and again."""

    def __init__(self, desk: Desk, feed: Feed, clock: Clock, troubles: Troubles) -> None:
        self._troubles = troubles
        self._desk = desk
        self._feed = feed
        self._clock = clock
        self._reached: dict[str, _Reached] = {}

    def look(self) -> None:
        """Compare every asset's levels with its pair's newest quote."""
        watches = self._desk.watches()
        for symbol in self._reached.keys() - {watch.asset.asset_symbol for watch in watches}:
            self._forget(symbol)
        for watch in watches:
            self._look_at(watch, self._feed.newest(watch.asset.asset_symbol))

    def all(self) -> list[Delay]:
        return [
            Delay(
                symbol=symbol,
                action=each.action,
                since=each.since,
                lasted_seconds=round(each.last - each.began, 1),
                why=each.why,
            )
            for symbol, each in sorted(self._reached.items())
        ]

    def since(self, symbol: str) -> datetime | None:
        """Since when an asset's level has been reached; None if the loop has not seen that yet."""
        reached = self._reached.get(symbol)
        return None if reached is None else reached.since

    def why(self, symbol: str, newest: Quote | None, now: datetime) -> str:
        """What holds an asset back whose level is reached."""
        return (
            _silence(newest, now)
            or self._desk.held_back.get(symbol)
            or "no worker has come to its quotes yet"
        )

    def _look_at(self, watch: Watch, newest: Quote | None) -> None:
        symbol, cycle, now = watch.asset.asset_symbol, watch.cycle, self._clock.now()
        action = None if cycle is None else due(watch, newest, now)
        if cycle is None or action is None:
            if not any(order.state is OrderState.SENT for order in watch.open_orders):
                self._forget(symbol)
            return  # an order that perhaps never arrived has not changed anything yet
        monotonic, progress = self._clock.monotonic(), (cycle.id, cycle.bought_qty, cycle.sold_qty)
        before = self._reached.get(symbol)
        if before is None or before.progress != progress:
            before = _Reached(progress=progress, since=now, began=monotonic, last=monotonic)
        heard_at = None if newest is None else newest.received_at
        # Without a new quote a level is reached no longer than before, unless any price is good enough.
        goes_on = heard_at != before.heard_at or watch.levels.reached(_worst(watch), now)
        self._reached[symbol] = replace(
            before,
            action=action,
            last=monotonic if goes_on else before.last,
            heard_at=heard_at,
            why=self.why(symbol, newest, now),
        )

    def _forget(self, symbol: str) -> None:
        self._reached.pop(symbol, None)
        self._desk.held_back.pop(symbol, None)
        for tag, what in OF_A_LEVEL:
            self._troubles.ends(tag, f"{symbol} {what}", self._clock.now(), symbol=symbol)


def due(watch: Watch, newest: Quote | None, now: datetime) -> str | None:
    """What the newest quote is a reason for; None if it reaches nothing."""
    quote = newest or _worst(watch)
    if watch.levels.asks_for_sell(quote, now):
        return "sale"
    if not watch.levels.reached(quote, now):
        return None
    assert watch.cycle is not None
    return "end of cooldown" if watch.cycle.status is CycleStatus.COOLDOWN else "buy"


def _worst(watch: Watch) -> Quote:
    """A quote that reaches only what is reached by all."""
    long_ago = datetime.min.replace(tzinfo=UTC)
    symbol = watch.asset.asset_symbol
    return Quote(symbol=symbol, bid=ZERO, ask=ANY_PRICE, at=long_ago, received_at=long_ago)


def _silence(newest: Quote | None, now: datetime) -> str | None:
    if newest is None:
        return "no quote of it has come since main_app started"
    age = now - newest.received_at
    if age <= timedelta(seconds=SILENT_SECONDS):
        return None
    return f"no quote of it has come for {age.total_seconds():.0f} s"
