"""Does the exchange itself say what the stream said? (F16, F26, F44)

A limit buy at a price that was never there does not fill; a market sell at one is a loss, and a cooldown that
ends at one buys too early. So the bid that reached the take-profit, and the ask that ends a cooldown before
its time, have to be found again in the exchange's own latest quote.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from dca.core.errors import ExchangeUnavailable
from dca.core.interfaces import Broker, Clock
from dca.core.model import Quote, plain
from dca.runtime.log_lines import Troubles
from dca.trading.watchlist import Desk

PAUSE_SECONDS = 2.0
"""A pair whose price was not confirmed is not asked for again on every quote."""


class SecondLook:
    """`problem_of` says why a quote must not decide anything; None for a good one. The desk is all workers':
    it has until when (monotonic) a pair is not asked for again, and why a price was not confirmed."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        troubles: Troubles,
        problem_of: Callable[[Quote, datetime], str | None],
        desk: Desk,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._troubles = troubles
        self._problem_of = problem_of
        self._not_before = desk.unconfirmed_until
        self._held_back = desk.held_back

    def newest(self, symbol: str) -> Quote | None:
        """The exchange's latest quote, if it can be had and may decide."""
        try:
            latest = self._broker.latest_quotes([symbol], self._clock.now()).get(symbol)
        except ExchangeUnavailable:
            return None
        good = latest is not None and self._problem_of(latest, self._clock.now()) is None
        return latest if good else None

    def confirms_bid(self, symbol: str, at_least: Decimal) -> bool:
        """Whether the exchange's latest bid reaches the price as well.

        Raises:
            ExchangeUnavailable: nothing is known; the next quote tries again.
        """
        return self._confirms(symbol, "sell", lambda quote: _bid_problem(quote, at_least))

    def confirms_ask(self, symbol: str, at_most: Decimal) -> bool:
        """Likewise, whether its latest ask has fallen to the price."""
        return self._confirms(symbol, "cooldown", lambda quote: _ask_problem(quote, at_most))

    def _confirms(self, symbol: str, subject: str, reaches: Callable[[Quote], str | None]) -> bool:
        if self._clock.monotonic() < self._not_before.get(symbol, 0.0):
            return False
        latest = self._broker.latest_quotes([symbol], self._clock.now()).get(symbol)
        what, now = f"{symbol} not confirmed", self._clock.now()
        why = "the exchange has no quote of it" if latest is None else self._why_not(latest, now, reaches)
        if why is None:
            self._troubles.ends(subject, what, now, symbol=symbol)
            return True
        self._troubles.begins(subject, what, why, now, symbol=symbol)
        self._held_back[symbol] = f"not confirmed: {why}"
        self._not_before[symbol] = self._clock.monotonic() + PAUSE_SECONDS
        return False

    def _why_not(self, latest: Quote, now: datetime, reaches: Callable[[Quote], str | None]) -> str | None:
        problem = self._problem_of(latest, now)
        return reaches(latest) if problem is None else f"the exchange's own quote: {problem}"


def _bid_problem(quote: Quote, at_least: Decimal) -> str | None:
    if quote.bid >= at_least:
        return None
    return f"the exchange's own bid is {plain(quote.bid)}, not {plain(at_least)}"


def _ask_problem(quote: Quote, at_most: Decimal) -> str | None:
    if quote.ask <= at_most:
        return None
    return f"the exchange's own ask is {plain(quote.ask)}, not {plain(at_most)}"
