"""What was quoted and traded, pair by pair: the made-up past, and everything since the start. Pure."""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from paper_exchange.bars import Bar, Frame, Public, frame, merged
from paper_exchange.past import FIRST, Past, trade_size
from paper_exchange.values import Quote
from paper_exchange.wire import stamp

Json = dict[str, Any]
_KEEP_MINUTES = 7 * 1440
_TRADES_PER_SECOND = 0.4 / 60
_DAY = timedelta(days=1)


@dataclass(slots=True)
class _Since:
    """A pair since the start."""

    past: Past
    minutes: deque[Bar] = field(default_factory=lambda: deque(maxlen=_KEEP_MINUTES))
    hours: list[Bar] = field(default_factory=list)
    quotes: deque[Json] = field(default_factory=lambda: deque(maxlen=2000))
    trades: deque[Public] = field(default_factory=lambda: deque(maxlen=2000))
    last_quote_at: datetime | None = None
    to_repeat: Bar | None = None


def quote_json(quote: Quote) -> Json:
    return {
        "t": stamp(quote.at),
        "bp": float(quote.bid),
        "bs": float(quote.bid_size),
        "ap": float(quote.ask),
        "as": float(quote.ask_size),
    }


class MarketHistory:
    """Takes in quotes as they pass by; knows bars, quotes and trades of every pair, in either order."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._chance = random.Random(seed + 3)  # noqa: S311 - a market, not a secret
        self._pairs: dict[str, _Since] = {}

    def add(self, quote: Quote) -> Bar | None:
        """Take a quote in; returns the minute bar that it completed, if any."""
        price = float((quote.bid + quote.ask) / 2)
        one = self._pairs.get(quote.symbol)
        if one is None:
            past = Past(seed=self._seed, symbol=quote.symbol, price=price, began=quote.at)
            one = self._pairs[quote.symbol] = _Since(past)
        one.quotes.append(quote_json(quote))
        minute = quote.at.replace(second=0, microsecond=0)
        if one.minutes and one.minutes[-1].at >= minute:
            one.minutes[-1] = one.minutes[-1].quoted(price)
            return None
        done = one.minutes[-1] if one.minutes else None
        if done is not None:
            _fold(one.hours, done)
            one.to_repeat = done if done.count else None
        one.minutes.append(Bar(minute, price, price, price, price))
        return done

    def trade(self, quote: Quote) -> Public | None:
        """What other people traded at this quote, which was added before; mostly nothing."""
        one = self._pairs[quote.symbol]
        before, one.last_quote_at = one.last_quote_at or quote.at, quote.at
        seconds = min((quote.at - before).total_seconds(), 60.0)
        if not quote.is_sane or self._chance.random() >= seconds * _TRADES_PER_SECOND:
            return None
        side = self._chance.choice("BS")
        price = float(quote.ask if side == "B" else quote.bid)
        trade = Public(quote.at, price, trade_size(self._chance, price), side)
        one.trades.append(trade)
        one.minutes[-1] = one.minutes[-1].traded(trade)
        return trade

    def updated(self, symbol: str, now: datetime) -> Bar | None:
        """The last minute's bar, once, half a minute after it was complete, if anything traded in it."""
        one = self._pairs[symbol]
        if one.to_repeat is None or now.second < 30:
            return None
        again, one.to_repeat = one.to_repeat, None
        return again

    def latest_bar(self, symbol: str) -> Bar:
        return self._pairs[symbol].minutes[-1]

    def latest_trade(self, symbol: str) -> Public:
        one = self._pairs[symbol]
        if one.trades:
            return one.trades[-1]
        return next(self.trades(symbol, FIRST, one.past.end, newest_first=True))

    def days(self, symbol: str) -> list[Bar]:
        """The bar of today and those of the days before, newest first, two in all."""
        day, now = frame("1Day"), self.latest_bar(symbol).at
        assert day is not None
        return list(self.bars(symbol, day, now - 2 * _DAY, now, newest_first=True))[:2]

    def bars(
        self, symbol: str, frame: Frame, start: datetime, end: datetime, *, newest_first: bool
    ) -> Iterator[Bar]:
        """Bars that begin within start and end, both included."""
        first, last = frame.begin(start), frame.begin(end) + frame.longest
        parts = self._parts(symbol, first, last, hours=frame.of_hours, newest_first=newest_first)
        return (bar for bar in frame.gather(parts) if start <= bar.at <= end)

    def _parts(
        self, symbol: str, first: datetime, last: datetime, *, hours: bool, newest_first: bool
    ) -> Iterator[Bar]:
        one = self._pairs[symbol]
        since = list(one.minutes)
        if hours:
            since = list(one.hours)
            _fold(since, one.minutes[-1])
        for day in _days(one.past, first, last, newest_first=newest_first):
            if day is None:
                rows = since
            else:
                rows = one.past.hours(day.date()) if hours else one.past.day(day.date()).minutes
            for bar in reversed(rows) if newest_first else rows:
                if first <= bar.at <= last:
                    yield bar

    def trades(self, symbol: str, start: datetime, end: datetime, *, newest_first: bool) -> Iterator[Public]:
        one = self._pairs[symbol]
        for day in _days(one.past, start, end, newest_first=newest_first):
            rows = list(one.trades) if day is None else one.past.day(day.date()).trades
            for trade in reversed(rows) if newest_first else rows:
                if start <= trade.at <= end:
                    yield trade

    def quotes(self, symbol: str, start: datetime, end: datetime, *, newest_first: bool) -> Iterator[Json]:
        one = self._pairs[symbol]
        for day in _days(one.past, start, end, newest_first=newest_first):
            rows = list(one.quotes) if day is None else _quotes(one.past.day(day.date()).minutes)
            for quote in reversed(rows) if newest_first else rows:
                if start <= datetime.fromisoformat(quote["t"]) <= end:
                    yield quote


def _fold(hours: list[Bar], minute: Bar) -> None:
    """Add a minute's bar to its hour's; the first hour begins with the first minute."""
    if hours and hours[-1].at.replace(minute=0) == minute.at.replace(minute=0):
        hours[-1] = merged([hours[-1], minute], hours[-1].at)
    else:
        hours.append(minute)


def _days(past: Past, first: datetime, last: datetime, *, newest_first: bool) -> Iterator[datetime | None]:
    """The days of the past between two moments, and None for the time since."""
    begin = max(first, FIRST).replace(hour=0, minute=0, second=0, microsecond=0)
    count = max((min(last, past.end) - begin) // _DAY + 1, 0)
    if newest_first and last >= past.end:
        yield None
    for number in reversed(range(count)) if newest_first else range(count):
        yield begin + number * _DAY
    if not newest_first and last >= past.end:
        yield None


def _quotes(minutes: list[Bar]) -> list[Json]:
    """Four quotes a minute of the past, which its bar follows from."""
    rows = []
    for bar in minutes:
        turn = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
        for number, price in enumerate((bar.open, *turn, bar.close)):
            at = bar.at + timedelta(seconds=15 * number)
            bid, ask = round(price * 0.9999, 9), round(price * 1.0001, 9)
            size = round(1 + (bar.at.minute * 7 + number * 3) % 19 / 2, 1)
            rows.append({"t": stamp(at), "bp": bid, "bs": size, "ap": ask, "as": size})
    return rows
