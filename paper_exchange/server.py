"""The engine behind Alpaca's REST and both websockets, on loopback ports of its own. A thin shell."""

import asyncio
import secrets
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from paper_exchange.depth import Depth, RecordedShape, SeededShape
from paper_exchange.engine import Engine
from paper_exchange.history import MarketHistory
from paper_exchange.market import Walk
from paper_exchange.pairs import made_up
from paper_exchange.replay import BadFile, Point, Recording
from paper_exchange.streams import (
    MarketData,
    TradeUpdates,
    bar_message,
    quote_message,
    spoiled,
    trade_message,
)
from paper_exchange.values import STEP, Quote, plain

Json = dict[str, Any]
_BATCH_SECONDS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run: `volatility_percent` per second, `speed` in market seconds per second."""

    seed: int = 1
    port: int = 0
    cash: Decimal = Decimal(100_000)
    market: str = "walk"
    volatility_percent: float = 0.02
    ticks_per_second: float = 4.0
    replay: Path | None = None
    symbol: str = "BTC/USD"
    speed: float = 60.0
    paused: bool = False
    fee_delay_seconds: float = 5.0
    partial_percent: int = 10
    rate_limit_per_minute: int = 200
    pairs: int = 0
    depth: str = "none"


def _nobody(line: str) -> None:
    """Told to nobody."""


def depth_of(name: str, seed: int) -> Depth | None:
    """The book's depth by its option: "none", "seeded", or a file of recorded books.

    Raises:
        BadFile: it is no such file.
    """
    if name == "none":
        return None
    return Depth(SeededShape(seed) if name == "seeded" else RecordedShape(Path(name)))


def account_of(key_id: str) -> str:
    """The account that a key opens: other keys, another account."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, key_id))


def utc_now() -> datetime:
    return datetime.now(UTC)


class Server:
    """The exchange at work: its engine, prices and streams in time. `introduction` is what a person should
    know of it beforehand, and `tell` hears what is to be said later, a line each."""

    def __init__(self, options: Options, tell: Callable[[str], None] = _nobody) -> None:
        self.options = options
        self._tell = tell
        self.keys = ("PK" + secrets.token_hex(9).upper(), secrets.token_urlsafe(30))
        self.engine = Engine(
            seed=options.seed,
            now=utc_now(),
            cash=options.cash,
            partial_percent=options.partial_percent,
            fee_delay=timedelta(seconds=options.fee_delay_seconds),
            pairs=options.pairs,
            depth=depth_of(options.depth, options.seed),
            account_id=account_of(self.keys[0]),
        )
        volatility = options.volatility_percent if options.market == "walk" else 0.0
        self.introduction: list[str] = []
        self.recording: Recording | None = None
        if options.replay is not None:
            self.recording = self._recording(options.replay, options.symbol)
        self.walk = Walk(self.engine, seed=options.seed, volatility_percent=volatility)
        self.history = MarketHistory(options.seed)
        for quote in self.engine.quotes.values():  # a pair has a bar from the first moment on
            self.history.add(quote)
        self.updates = TradeUpdates(self.engine, self.keys)
        self.market_data = MarketData(self.engine, self.keys)
        self.started = asyncio.Event()
        if not options.paused:
            self.started.set()
        self._wake = asyncio.Event()
        self._outbox: deque[Json] = deque()
        self.requests_taken = 0
        self._replayed = {"done": False, "points_played": 0, "bars_played": 0, "market_time": None}
        self.engine.on_update = self._outbox.append
        self.quotes_published = 0

    def _recording(self, path: Path, symbol: str) -> Recording:
        """The file to play, as a pair that may have to be made up for it.

        Raises:
            BadFile: it cannot be played as this pair.
        """
        recording = Recording(path, STEP)
        self.introduction.append(f"{path.name}: {recording}")
        if symbol not in self.engine.pairs:
            try:
                pair = made_up(symbol, next(recording.points()).bid)
            except ValueError as error:
                raise BadFile(f"{path}: {error}") from error
            self.engine.pairs[symbol] = pair
            self.engine.write("made_up_pair", symbol=symbol, price=plain(pair.start_price))
            self.introduction.append(
                f"{symbol} is not among the pairs: its rules are made up from its price "
                f"(smallest order {plain(pair.min_order_size)}, steps of {plain(pair.price_increment)})"
            )
        return recording

    def begin_fault(self, name: str, args: Json) -> None:
        """Faults that befall a connection that is open already."""
        hub = self.updates if name.startswith("ws.") else self.market_data
        if name.endswith(".half_open"):
            hub.freeze()
        elif name in ("ws.close", "md.close"):
            self.engine.faults.take(name)
            hub.abort(int(args.get("code", 1006)))
        elif name.startswith(("asset.", "account.")):
            self.engine.faults.take(name)
            self._shut(name, str(args.get("symbol", "")))

    def _shut(self, name: str, symbol: str) -> None:
        """A pair or the account is closed from now on."""
        if name == "account.block":
            self.engine.account.trading_blocked = True
        elif name == "account.revoke":
            self.engine.account.revoked = True
        else:
            pair = self.engine.pairs[symbol]
            pair.tradable = False
            pair.status = "inactive" if name == "asset.delist" else pair.status

    # ---- time --------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something changed: look at once when the next thing is due."""
        self._wake.set()

    async def run(self) -> None:
        """Keep time going and publish what happens."""
        prices = self._replay() if self.recording is not None else self._walk()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_time())
            group.create_task(prices)

    async def _keep_time(self) -> None:
        while True:
            self.engine.advance(utc_now())
            await self._flush()
            due = self.engine.next_due()
            pause = 0.05 if due is None else max(0.001, min(0.05, (due - utc_now()).total_seconds()))
            self._wake.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _flush(self) -> None:
        while self._outbox:
            await self.updates.publish(self._outbox.popleft())

    async def _walk(self) -> None:
        pause = 1 / self.options.ticks_per_second
        while True:
            await asyncio.sleep(pause)
            self.engine.advance(utc_now())
            self.walk.tick(pause)
            await self._publish_quotes(self.engine.quotes.values())
            await self._flush()

    async def _publish_quotes(self, quotes: Any) -> None:
        messages: list[Json] = []
        for quote in quotes:
            messages += self._public(quote)
            book = self.market_data.book_message(quote.symbol)
            if book is not None:
                messages.append(book)
            bad = self.engine.faults.take("md.bad_quote", quote.symbol)
            late = self.engine.faults.peek("md.backlog")
            message = quote_message(quote)
            if bad is not None:
                message = spoiled(quote, str(bad.args.get("kind", "zero")))
            if late is not None:
                message["t"] -= timedelta(seconds=float(late.args.get("seconds", 30)))
            messages.append(message)
            self.quotes_published += 1
        await self.market_data.publish(messages)

    def _public(self, quote: Quote) -> list[Json]:
        """What bars and other people's trades a quote brings."""
        symbol, found = quote.symbol, list[Json]()
        done = self.history.add(quote)
        if done is not None:
            found.append(bar_message("b", symbol, done))
            if self.market_data.wants("dailyBars", symbol):
                found.append(bar_message("d", symbol, self.history.days(symbol)[0]))
        trade = self.history.trade(quote)
        if trade is not None:
            found.append(trade_message(symbol, trade))
        again = self.history.updated(symbol, quote.at)
        return found if again is None else [*found, bar_message("u", symbol, again)]

    def publish_quote(self, symbol: str) -> None:
        """Send a pair's quote now, outside the ticks."""
        self._task = asyncio.get_running_loop().create_task(
            self._publish_quotes([self.engine.quotes[symbol]])
        )

    # ---- replay ------------------------------------------------------------------------------------

    def replay_state(self) -> Json | None:
        if self.recording is None:
            return None
        return {**self._replayed, "skipped": self.recording.skipped, "problem": self.recording.first_skipped}

    async def _replay(self) -> None:
        """Play every point at the asked pace; a pace too fast for one by one is sent in frames."""
        assert self.recording is not None
        await self.started.wait()
        begun, market_seconds = time.monotonic(), 0.0
        batch: list[Quote] = []
        for point in self.recording.points():
            market_seconds += point.seconds
            ahead = market_seconds / self.options.speed - (time.monotonic() - begun)
            if ahead > 0 or len(batch) >= 50:
                await self._publish_batch(batch)
                await asyncio.sleep(max(0.0, ahead))
            batch.append(self._play(point))
        await self._publish_batch(batch)
        self._replayed["done"] = True
        self._tell(f"the recording has ended: {self.recording.left_out}")
        while True:
            await asyncio.sleep(1)
            quote = self.engine.quotes[self.options.symbol]
            self.walk.set_quote(quote.symbol, quote.bid, quote.ask)
            await self._publish_quotes([self.engine.quotes[quote.symbol]])

    def _play(self, point: Point) -> Quote:
        now = utc_now()
        quote = Quote(symbol=self.options.symbol, bid=point.bid, ask=point.ask, at=now)
        self.engine.advance(now)
        self.engine.set_quote(quote)
        self._replayed["points_played"] += 1  # type: ignore[operator]
        self._replayed["bars_played"] = point.bar
        self._replayed["market_time"] = point.at.isoformat()  # type: ignore[assignment]
        return quote

    async def _publish_batch(self, batch: list[Quote]) -> None:
        if batch:
            await self._publish_quotes(list(batch))
            batch.clear()
        await self._flush()
