"""What the workers know by heart: every asset with its cycle, its open orders and the prices that matter.

A copy for speed, never the truth: a quote that reaches no level costs no query, and one that does is
decided again from the locked rows (trader.py).
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import count

from dca.core import ledger, lifecycle, quote_filter, strategy
from dca.core.model import Asset, Cycle, Execution, Mode, Order, TradingRules
from dca.core.quote_filter import Tripwire
from dca.core.selling import AT_MARKET
from dca.core.strategy import NOTHING, Levels
from dca.exchange.clock_offset import ClockReading


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One asset as last read. `problem` says in words why it is not traded; `look` counts the reads."""

    asset: Asset
    cycle: Cycle | None
    open_orders: tuple[Order, ...] = ()
    levels: Levels = field(default=NOTHING)
    problem: str | None = None
    look: int = 0


class Desk:
    """Shared by all threads; each entry is replaced whole."""

    def __init__(self, install_id: str, epoch: int) -> None:
        self.install_id = install_id
        self.epoch = epoch
        self.mode = Mode.RUN
        self.selling = AT_MARKET
        """How take-profits are decided and ordered, by .env."""
        self.settled = False
        """Whether every order in flight was asked for since the start or the last reconnect. No order is
        placed before (I16)."""
        self.last_settle_at: datetime | None = None
        self.rules: dict[str, TradingRules] = {}
        self.tripwires: dict[str, Tripwire] = {}
        """What the feed compares every quote of a pair with; it follows the watches."""
        self.unconfirmed_until: dict[str, float] = {}
        """Pairs whose price the exchange did not confirm: until when (monotonic) it is not asked again."""
        self.held_back: dict[str, str] = {}
        """Why a pair's last quote that reached a level led to nothing (delays.py)."""
        self.fills: dict[str, tuple[tuple[int, Decimal], tuple[Execution, ...]]] = {}
        """The buys' single fills by pair, as asked for when a cycle had bought so much (fee_evidence.py)."""
        self.quote_lag_seconds: float | None = None
        """How late the stream's newest quotes came, by our clock."""
        self.clock_reading: ClockReading | None = None
        """Of the last comparison with the exchange's."""
        self._watches: dict[str, Watch] = {}
        self._looks = count(1)
        self._lock = threading.Lock()

    @property
    def prefix(self) -> str:
        return ledger.id_prefix(self.install_id)

    def watch(self, symbol: str) -> Watch | None:
        return self._watches.get(symbol)

    def watches(self) -> list[Watch]:
        return list(self._watches.values())

    def symbols(self) -> set[str]:
        """Pairs whose quotes matter: every asset that has a live cycle. Pairs that the exchange does not
        have stay out: it would refuse the whole subscription."""
        alive = {watch.asset.asset_symbol for watch in self._watches.values() if watch.cycle is not None}
        return alive & self.rules.keys()

    def open_orders(self) -> list[Order]:
        return [order for watch in self._watches.values() for order in watch.open_orders]

    def new_look(self) -> int:
        """The number of a read that begins now: it sees all that was committed before."""
        return next(self._looks)

    def put(
        self,
        asset: Asset,
        cycle: Cycle | None,
        open_orders: Iterable[Order],
        now: datetime,
        look: int | None = None,
    ) -> None:
        """Remember an asset as read, unless a read that began later is known already. `look` is the number
        of the read; None: it was made just now.

        Rows say nothing of that: a version may have been lowered by hand, or a backup been restored.
        """
        look = self.new_look() if look is None else look
        rules = self.rules.get(asset.asset_symbol)
        problems = strategy.asset_problems(asset, rules)
        open_orders = tuple(open_orders)
        unknown = None if cycle is None else lifecycle.unknown_word(cycle, open_orders)
        problem = asset.lock_reason or unknown or "; ".join(problems) or None
        levels = NOTHING
        if cycle is not None and unknown is None and rules is not None and strategy.is_dollar_pair(asset):
            # An amount that makes no sense stops the buys; what is held can still be sold.
            traded = asset if not problems else _without_buys(asset)
            levels = strategy.levels(traded, cycle, rules, now, self.mode, self.selling)
        watch = Watch(
            asset=asset,
            cycle=cycle,
            open_orders=open_orders,
            levels=levels,
            problem=problem,
            look=look,
        )
        with self._lock:
            known = self._watches.get(asset.asset_symbol)
            if known is None or known.look <= look:
                self._watches[asset.asset_symbol] = watch
                self.tripwires[asset.asset_symbol] = quote_filter.of(levels, now)

    def forget_others(self, symbols: set[str]) -> list[str]:
        """Drop assets whose rows are gone; returns which."""
        with self._lock:
            gone = [symbol for symbol in self._watches if symbol not in symbols]
            for symbol in gone:
                del self._watches[symbol]
                self.tripwires.pop(symbol, None)
                self.unconfirmed_until.pop(symbol, None)
                self.held_back.pop(symbol, None)
        return gone

    def not_traded(self) -> dict[str, str]:
        """Pairs that the operator wants traded, or that hold coins, and that cannot be: why, by symbol. A
        lock is told by itself."""
        return {
            watch.asset.asset_symbol: watch.problem
            for watch in self.watches()
            if watch.problem is not None and watch.asset.lock_reason is None and self._is_wanted(watch)
        }

    def _is_wanted(self, watch: Watch) -> bool:
        """Of a disabled asset nothing is bought: it matters only if what it holds cannot be sold either."""
        if watch.asset.is_enabled:
            return True
        is_known = watch.asset.asset_symbol in self.rules and strategy.is_dollar_pair(watch.asset)
        return watch.cycle is not None and watch.cycle.quantity > 0 and not is_known

    def tradable_form(self, asset: Asset) -> Asset:
        """The asset as it may be traded now: without buys where a column makes no sense."""
        problems = strategy.asset_problems(asset, self.rules.get(asset.asset_symbol))
        return _without_buys(asset) if problems else asset


def _without_buys(asset: Asset) -> Asset:
    return replace(asset, is_enabled=False)
