"""Does the exchange itself say what the stream said? (F16, F26, F44)

A limit buy at a price that was never there does not fill; a market sell at one is a loss, and a cooldown that
ends at one buys too early. So the bid that reached the take-profit, and the ask that ends a cooldown before
its time, have to be found again in the exchange's own latest quote.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from dca.core import liquidity
from dca.core.errors import ExchangeUnavailable
from dca.core.interfaces import Broker, Clock
from dca.core.model import Purpose, Quote, Side, plain
from dca.core.selling import OnMissingBook, TakeProfitBy
from dca.core.strategy import Action, EndCooldown, Place
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
        self._desk = desk

    def newest(self, symbol: str) -> Quote | None:
        """The exchange's latest quote, if it can be had and may decide."""
        try:
            latest = self._broker.latest_quotes([symbol], self._clock.now()).get(symbol)
        except ExchangeUnavailable:
            return None
        good = latest is not None and self._problem_of(latest, self._clock.now()) is None
        return latest if good else None

    def confirms(self, symbol: str, action: Action) -> bool:
        """Whether an action may be carried out: a take-profit and the early end of a cooldown are looked at
        twice, anything else needs no confirmation; raises as the following do."""
        match action:
            case Place(purpose=Purpose.TAKE_PROFIT, trigger_price=Decimal() as price, qty=qty):
                if self._desk.selling.by is TakeProfitBy.BOOK:
                    return self.confirms_sale(symbol, price, qty)
                return self.confirms_bid(symbol, price)
            case EndCooldown(early_at=Decimal() as price):
                return self.confirms_ask(symbol, price)
        return True

    def confirms_bid(self, symbol: str, at_least: Decimal) -> bool:
        """Whether the exchange's latest bid reaches the price as well.

        Raises:
            ExchangeUnavailable: nothing is known; the next quote tries again.
        """
        return self._confirms(symbol, "sell", lambda quote: _bid_problem(quote, at_least))

    def confirms_ask(self, symbol: str, at_most: Decimal) -> bool:
        """Likewise, whether its latest ask has fallen to the price."""
        return self._confirms(symbol, "cooldown", lambda quote: _ask_problem(quote, at_most))

    def confirms_sale(self, symbol: str, at_least: Decimal, qty: Decimal) -> bool:
        """Whether the exchange's order book takes the quantity at the price on average; where it has no book,
        whether its bid reaches the price, if the operator wants that."""
        return self._confirmed(symbol, "sell", lambda: self._sale_problem(symbol, at_least, qty))

    def _sale_problem(self, symbol: str, at_least: Decimal, qty: Decimal) -> str | None:
        selling = self._desk.selling
        book = self._broker.latest_books([symbol]).get(symbol)
        problem = "the exchange has no book of it"
        if book is not None:
            problem = book.problem_alone(self._clock.now(), selling.max_book_age_seconds) or ""
        if problem and selling.on_missing_book is OnMissingBook.IGNORE:
            return self._quote_problem(symbol, lambda quote: _bid_problem(quote, at_least))
        if problem or book is None:
            return f"order book: {problem}"
        found = liquidity.walk(book.taken_by(Side.SELL), qty, Side.SELL)
        if found is None:
            return f"order book: its bids hold less than {plain(qty)}"
        if found.average_price >= at_least:
            return None
        return f"order book: {plain(qty)} would sell for {plain(found.average_price)}, not {plain(at_least)}"

    def _confirms(self, symbol: str, subject: str, reaches: Callable[[Quote], str | None]) -> bool:
        return self._confirmed(symbol, subject, lambda: self._quote_problem(symbol, reaches))

    def _quote_problem(self, symbol: str, reaches: Callable[[Quote], str | None]) -> str | None:
        latest = self._broker.latest_quotes([symbol], self._clock.now()).get(symbol)
        if latest is None:
            return "the exchange has no quote of it"
        return self._why_not(latest, self._clock.now(), reaches)

    def _confirmed(self, symbol: str, subject: str, problem: Callable[[], str | None]) -> bool:
        if self._clock.monotonic() < self._desk.unconfirmed_until.get(symbol, 0.0):
            return False
        why = problem()
        what, now = f"{symbol} not confirmed", self._clock.now()
        if why is None:
            self._troubles.ends(subject, what, now, symbol=symbol)
            return True
        self._troubles.begins(subject, what, why, now, symbol=symbol)
        self._desk.held_back[symbol] = f"not confirmed: {why}"
        self._desk.unconfirmed_until[symbol] = self._clock.monotonic() + PAUSE_SECONDS
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
