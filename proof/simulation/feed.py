"""Both streams, as a process of the simulation gets them: in time, late, twice, in disorder or not at all."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from dca.core.interfaces import Stream
from dca.core.model import Quote
from dca.core.quote_filter import Tripwire, is_quiet
from dca.exchange import parsing
from dca.exchange.streams import AGAIN_SECONDS, StreamState
from dca.trading.inbox import Inbox, Task
from paper_exchange.values import Quote as EngineQuote
from proof.simulation.exchange import Exchange
from proof.simulation.hub import Process

CONNECT_SECONDS = 0.3
RECONNECT_SECONDS = 1.0
BEHIND, BEHIND_SECONDS = "md.behind", 20.0
"""The stream has fallen behind, and so does each new connection."""
_FACTORS = {"low": Decimal("0.7"), "high": Decimal("1.4")}
"""A price that was never there, in a quote that looks well."""
_ODD = {
    "zero": Decimal(0),
    "negative": Decimal(-5),
    "nan": Decimal("NaN"),
}


class WakingInbox(Inbox):
    """Wakes a worker that waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.resting: list[Callable[[], None]] = []

    def put_quote(self, quote: Quote) -> None:
        super().put_quote(quote)
        self._wake()

    def put(self, task: Task) -> None:
        super().put(task)
        self._wake()

    def _wake(self) -> None:
        if self.resting:
            self.resting.pop()()


class SimFeed:
    """Implements ports.Feed for one process."""

    def __init__(
        self,
        process: Process,
        exchange: Exchange,
        inbox: Inbox,
        tripwires: Mapping[str, Tripwire],
        on_orders_connected: Callable[[], None],
    ) -> None:
        self._process = process
        self._exchange = exchange
        self._inbox = inbox
        self._tripwires = tripwires
        self._newest: dict[str, Quote] = {}
        self._on_orders_connected = on_orders_connected
        self._symbols: frozenset[str] = frozenset()
        self._deaf = {"order stream": 0.0, "quote stream": 0.0}
        self.orders = StreamState(name="order stream")
        self.quotes = StreamState(name="quote stream")

    def start(self) -> None:
        for stream in (self.orders, self.quotes):
            self._connect(stream, CONNECT_SECONDS)

    def set_symbols(self, symbols: set[str]) -> None:
        self._symbols = frozenset(symbols)

    def reconnect(self, stream: Stream, why: str) -> None:  # noqa: ARG002
        """The product gave up a stream that brings nothing."""
        self._exchange.weather.happened[f"{stream.name} given up"] += 1
        mine = self.orders if stream.name == self.orders.name else self.quotes
        self.lose(mine, RECONNECT_SECONDS)

    def look_again(self, symbol: str) -> None:
        """As feed.Feed compares a quote with the levels."""
        quote = self._newest.get(symbol)
        if quote is not None and (self._process.clock.now() - quote.at).total_seconds() <= AGAIN_SECONDS:
            self._compare(quote)

    def newest(self, symbol: str) -> Quote | None:
        return self._newest.get(symbol)

    def newest_at(self) -> datetime | None:
        return max((quote.at for quote in self._newest.values()), default=None)

    def _compare(self, quote: Quote) -> None:
        tripwire = self._tripwires.get(quote.symbol)
        bid, ask, now = float(quote.bid), float(quote.ask), self._process.clock.now()
        if tripwire is None or not is_quiet(tripwire, bid, ask, now):
            self._inbox.put_quote(quote)
        else:
            self._inbox.forget_older(quote)

    def lose(self, stream: StreamState, seconds: float) -> None:
        """The connection is gone, and comes back after so long."""
        stream.connected = False
        self._deaf[stream.name] = 0.0
        self._connect(stream, seconds)

    def deafen(self, stream: StreamState, seconds: float) -> None:
        """Half open: it looks well and brings nothing."""
        self._deaf[stream.name] = self._exchange.hub.seconds + seconds

    def _connect(self, stream: StreamState, seconds: float) -> None:
        def connected() -> None:
            if stream.connected or not self._process.alive:
                return
            stream.connected, stream.connected_at = True, self._process.clock.now()
            stream.connects += 1
            if stream is self.orders:
                self._on_orders_connected()

        self._exchange.hub.after(seconds, connected)

    def _hears(self, stream: StreamState) -> bool:
        return stream.connected and self._deaf[stream.name] <= self._exchange.hub.seconds

    def hears_quotes(self) -> bool:
        return self._hears(self.quotes)

    # ---- what the exchange sends -----------------------------------------------------------------------

    def send_update(self, update: Mapping[str, Any]) -> None:
        """An order update leaves the exchange."""
        weather, rng = self._exchange.weather, self._exchange.rng
        if not self._hears(self.orders) or weather.take("ws.drop") is not None:
            return
        seconds = rng.uniform(0.005, 0.08)
        late = weather.take("ws.late")  # overtaken by those after it
        if late is not None:
            seconds += float(late["seconds"])
        for _ in range(2 if weather.take("ws.dup") is not None else 1):
            self._exchange.hub.after(seconds, lambda: self._take_update(update))

    def _take_update(self, update: Mapping[str, Any]) -> None:
        if not self._process.alive or not self.orders.connected:
            return
        self.orders.last_message_at = self._process.clock.now()
        snapshot = parsing.snapshot(update["order"])
        self._inbox.put(snapshot)

    def send_quote(self, quote: EngineQuote) -> None:
        """A quote leaves the exchange."""
        if quote.symbol not in self._symbols or not self._hears(self.quotes):
            return
        weather, rng = self._exchange.weather, self._exchange.rng
        bid, ask, at = quote.bid, quote.ask, quote.at
        bad = weather.take("md.bad_quote", quote.symbol)
        if bad is not None:
            bid, ask = self._bad(str(bad["kind"]), bid, ask)
        if weather.lasts(BEHIND, self._exchange.hub.seconds):
            at -= timedelta(seconds=BEHIND_SECONDS)
        old = weather.take("md.old", quote.symbol)
        if old is not None:
            at -= timedelta(seconds=float(old["seconds"]))
        self._exchange.hub.after(
            rng.uniform(0.005, 0.05), lambda: self._take_quote(quote.symbol, bid, ask, at)
        )

    def _bad(self, kind: str, bid: Decimal, ask: Decimal) -> tuple[Decimal, Decimal]:
        if kind in _FACTORS:
            return bid * _FACTORS[kind], ask * _FACTORS[kind]
        if kind == "crossed":
            return ask * 2, bid
        if kind == "wide":
            return bid / 2, ask * 2
        return _ODD[kind], _ODD[kind]

    def _take_quote(self, symbol: str, bid: Decimal, ask: Decimal, at: Any) -> None:
        if not self._process.alive or not self.quotes.connected:
            return
        now = self._process.clock.now()
        try:
            quote = parsing.stream_quote({"S": symbol, "bp": bid, "ap": ask, "t": at}, now)
        except ValueError:
            return  # as feed.Feed drops it
        self.quotes.last_message_at = now
        self._newest[symbol] = quote
        self._compare(quote)
