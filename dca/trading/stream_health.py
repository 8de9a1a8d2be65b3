"""Whether the quote stream brings what the exchange says, all of it and in time; and whether our clock, by
which that is told, is right. For the loop of main_app."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from dca.core.interfaces import Clock, Feed, MainBroker, Stream
from dca.exchange import clock_offset
from dca.runtime.log_lines import Troubles
from dca.trading.watchlist import Desk

SILENT_SECONDS = 15.0
"""A quote stream silent for longer is compared with the exchange's latest quotes."""
LATE_SECONDS = 5.0
"""Quotes come within a second or so; three times as late as this they decide nothing any more, by default."""
LATE_FOR_SECONDS = 15.0
"""So long they have to be late before something is done about it, and until it is done again."""
PAIR_SILENT = timedelta(seconds=60)
"""One pair may well be quiet while others are not."""
PAIRS_SECONDS = 60.0
RECONNECT_AGAIN_SECONDS = 600.0
"""Where a new connection has not brought a pair's quotes the next one hardly will."""
LATE, CLOCK_WRONG, PAIR_MUTE = "quotes late", "wrong", "no quotes of"


class Hearing:
    """Compares the stream with the exchange's latest quotes, which need no stream and no clock of ours."""

    def __init__(self, broker: MainBroker, desk: Desk, feed: Feed, clock: Clock, troubles: Troubles) -> None:
        self._broker = broker
        self._desk = desk
        self._feed = feed
        self._clock = clock
        self._troubles = troubles
        self._late_since: float | None = None
        self._pairs_due = self._reconnect_due = 0.0
        self._suspected: set[str] = set()
        self._mute: set[str] = set()

    def compare_clock(self) -> None:
        """Raises:
        ExchangeUnavailable: nothing is known.
        """
        reading, now = clock_offset.read(self._broker, self._clock), self._clock.now()
        self._desk.clock_reading = reading
        if reading.is_wrong:
            self._troubles.begins("clock", CLOCK_WRONG, reading.words, now)
        else:
            self._troubles.ends("clock", CLOCK_WRONG, now)

    def probe(self) -> None:
        """A stream that brings nothing is mute if the exchange has newer quotes, and otherwise only has
        nothing to say.

        Raises:
            ExchangeUnavailable: nothing is known.
        """
        state, now = self._feed.quotes, self._clock.now()
        symbols = sorted(self._desk.symbols() & self._desk.rules.keys())
        heard = max(filter(None, (state.last_message_at, state.connected_at)), default=None)
        for symbol in self._mute - set(symbols):  # nobody wants its quotes any more
            self._troubles.ends("stream", f"{PAIR_MUTE} {symbol}", now, symbol=symbol)
        self._mute &= set(symbols)
        if not symbols:
            self._troubles.ends("stream", LATE, now)
        if not symbols or not state.connected or heard is None:
            self._desk.quote_lag_seconds = self._late_since = None
            return
        if (now - heard).total_seconds() >= SILENT_SECONDS:
            times = self._broker.latest_quote_times(symbols)
            if any((at - heard).total_seconds() > 1 for at in times.values()):
                self._feed.reconnect(state, f"no quotes for {(now - heard).total_seconds():.0f} s")
            return
        self._probe_lag(state, symbols)
        self._probe_pairs(state, symbols)

    def _probe_lag(self, state: Stream, symbols: list[str]) -> None:
        """Late quotes are the stream's fault if the exchange has much newer ones; else our clock may be."""
        newest_at, now = self._feed.newest_at(), self._clock.now()
        lag = self._desk.quote_lag_seconds = _lag_seconds(state, newest_at)
        if lag is None or newest_at is None or abs(lag) <= LATE_SECONDS:
            self._late_since = None
            self._troubles.ends("stream", LATE, now)
            return
        monotonic = self._clock.monotonic()
        if self._late_since is None:
            self._late_since = monotonic
        if monotonic - self._late_since < LATE_FOR_SECONDS:
            return
        self._late_since = monotonic
        self._troubles.begins("stream", LATE, f"they come {lag:.1f} s after their time", now)
        self.compare_clock()
        times = self._broker.latest_quote_times(symbols)
        if max(times.values(), default=newest_at) - newest_at > timedelta(seconds=LATE_SECONDS):
            self._feed.reconnect(state, f"its quotes come {lag:.0f} s late")

    def _probe_pairs(self, state: Stream, symbols: Iterable[str]) -> None:
        """A pair that is silent here, and not at the exchange, has lost its subscription."""
        monotonic, now = self._clock.monotonic(), self._clock.now()
        if monotonic < self._pairs_due:
            return
        self._pairs_due = monotonic + PAIRS_SECONDS
        heard = {symbol: self._heard_at(symbol, state) for symbol in symbols}
        silent = {symbol: at for symbol, at in heard.items() if at is not None and now - at > PAIR_SILENT}
        times = self._broker.latest_quote_times(sorted(silent)) if silent else {}
        newer = {symbol for symbol, at in silent.items() if times.get(symbol, at) - at > PAIR_SILENT / 2}
        # Twice in a row: a pair that was subscribed a moment ago has had no quote yet.
        mute, self._suspected = newer & self._suspected, newer
        for symbol in self._mute - mute:
            self._troubles.ends("stream", f"{PAIR_MUTE} {symbol}", now, symbol=symbol)
        for symbol in mute:
            why = f"none for {(now - silent[symbol]).total_seconds():.0f} s, and the exchange has newer ones"
            self._troubles.begins("stream", f"{PAIR_MUTE} {symbol}", why, now, symbol=symbol)
        self._mute = mute
        if mute and monotonic >= self._reconnect_due:
            self._reconnect_due = monotonic + RECONNECT_AGAIN_SECONDS
            self._feed.reconnect(state, f"no quotes of {', '.join(sorted(mute))}")

    def _heard_at(self, symbol: str, state: Stream) -> datetime | None:
        newest = self._feed.newest(symbol)
        times = (state.connected_at, None if newest is None else newest.received_at)
        return max(filter(None, times), default=None)


def _lag_seconds(state: Stream, newest_at: datetime | None) -> float | None:
    """How long after its time the newest quote came; None where none has come on this connection."""
    last, since = state.last_message_at, state.connected_at
    if newest_at is None or last is None or since is None or last < since:
        return None
    return round((last - newest_at).total_seconds(), 3)
