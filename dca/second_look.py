"""Before coins are sold at the market: does the exchange itself say what the stream said? (F16, F26, F44)

A limit buy at a price that was never there does not fill; a market sell at one is a loss. So the bid that
reached the take-profit has to be found again in the exchange's own latest quote.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from dca.logs import Troubles
from dca.model import Quote, plain
from dca.ports import Broker, Clock

PAUSE_SECONDS = 2.0
"""A pair whose bid was not confirmed is not asked for again on every quote."""


class SecondLook:
    """`problem_of` says why a quote must not decide anything; None for a good one."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        troubles: Troubles,
        problem_of: Callable[[Quote, datetime], str | None],
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._troubles = troubles
        self._problem_of = problem_of
        self._not_before: dict[str, float] = {}

    def confirms(self, symbol: str, bid_at_least: Decimal) -> bool:
        """Whether the exchange's latest bid reaches the price as well.

        Raises:
            ExchangeUnavailable: nothing is known; the next quote tries again.
        """
        if self._clock.monotonic() < self._not_before.get(symbol, 0.0):
            return False
        latest = self._broker.latest_quotes([symbol], self._clock.now()).get(symbol)
        why = self._why_not(latest, bid_at_least)
        what, now = f"{symbol} not confirmed", self._clock.now()
        if why is None:
            self._troubles.ends("sell", what, now, symbol=symbol)
            return True
        self._troubles.begins("sell", what, why, now, symbol=symbol)
        self._not_before[symbol] = self._clock.monotonic() + PAUSE_SECONDS
        return False

    def _why_not(self, latest: Quote | None, bid_at_least: Decimal) -> str | None:
        if latest is None:
            return "the exchange has no quote of it"
        problem = self._problem_of(latest, self._clock.now())
        if problem is not None:
            return f"the exchange's own quote: {problem}"
        if latest.bid < bid_at_least:
            return f"the exchange's own bid is {plain(latest.bid)}, not {plain(bid_at_least)}"
        return None
