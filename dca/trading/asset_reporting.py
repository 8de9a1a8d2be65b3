"""What main_app reports of each asset for ./bot why: its levels, its quote, its judgment."""

from collections.abc import Callable
from datetime import datetime

from dca.core.interfaces import Clock, Feed
from dca.core.model import Quote
from dca.runtime.asset_reports import AssetReport
from dca.trading.delays import Delays, due
from dca.trading.watchlist import Desk, Watch


class Reporter:
    """`problem_of` says why a quote must not decide anything, as the workers judge it; `resting_until` until
    when all workers leave a pair alone."""

    def __init__(
        self,
        desk: Desk,
        feed: Feed,
        clock: Clock,
        delays: Delays,
        problem_of: Callable[[Quote, datetime], str | None],
        resting_until: Callable[[str], datetime | None],
    ) -> None:
        self._desk = desk
        self._feed = feed
        self._clock = clock
        self._delays = delays
        self._problem_of = problem_of
        self._resting_until = resting_until

    def all(self) -> list[AssetReport]:
        """One of each asset. Reads memory only."""
        return [self._report(watch) for watch in self._desk.watches()]

    def _report(self, watch: Watch) -> AssetReport:
        symbol, now = watch.asset.asset_symbol, self._clock.now()
        newest = self._feed.newest(symbol)
        action = None if watch.cycle is None else due(watch, newest, now)
        problem = self._problem_of(newest, now) if newest is not None else None
        if newest is None:
            problem = "no quote of it that can be read has come since main_app started"
        return AssetReport(
            symbol=symbol,
            problem=watch.problem,
            levels=watch.levels,
            quote=newest,
            quote_problem=problem,
            due=action,
            due_since=None if action is None else self._delays.since(symbol),
            held_back=None if action is None else self._delays.why(symbol, newest, now),
            resting_until=self._resting_until(symbol),
        )
