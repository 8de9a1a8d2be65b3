"""Frames of both websockets, from the handshake on, through the real Feed's own coroutines."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from math import inf
from typing import Any

import msgpack
from websockets.exceptions import ConnectionClosedError

from dca.core.model import Quote, Snapshot
from dca.core.quote_filter import NEVER, Tripwire
from dca.exchange.streams import Feed
from dca.runtime.log_lines import Troubles
from dca.trading.inbox import Inbox
from proof.fuzz import acting, junk, samples, sane
from proof.fuzz.samples import ASSET, BOUGHT, BUY, HOLDING, NOW, SELL, SYMBOL, WATCHING
from proof.fuzz.transport import SETTINGS
from proof.fuzz.verdicts import Verdict, promise

Frame = str | bytes
_LARGEST_FRAME = 2**20
"""Bytes; what is longer is refused by the library before anybody sees it."""


class _Still:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 1000.0


class _Over(BaseException):
    """The stream was given up in good order, and would be opened again after a pause."""


class _Ears(Troubles):
    """Ends the real, endless keeping of a stream where it has told that the stream is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def begins(self, tag: str, key: str, why: str, now: datetime, *, symbol: str = "-") -> None:
        super().begins(tag, key, why, now, symbol=symbol)
        self.told.append(why)
        if key in {"order stream", "quote stream"}:
            raise _Over


class _Scripted:
    """A connection on which these frames come, and then nothing more."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = list(frames)

    async def send(self, message: Frame) -> None:
        """Whatever we say."""

    async def recv(self) -> Frame:
        if not self._frames:
            raise ConnectionClosedError(None, None)
        return self._frames.pop(0)

    def __aiter__(self) -> "_Scripted":
        return self

    async def __anext__(self) -> Frame:
        if not self._frames:
            raise StopAsyncIteration
        return self._frames.pop(0)


_ALL_PASS = {SYMBOL: Tripwire(-inf, -inf, NEVER)}
"""Both prices of a quote are compared, and each one is passed on."""


class _DeafFeed(Feed):
    """The real feed without its sockets."""

    frames: Sequence[Frame] = ()

    @asynccontextmanager
    async def _connection(self, *_args: Any) -> AsyncIterator[Any]:
        yield _Scripted(self.frames)


class _Stream:
    """What both streams' kinds share: a loop, and a feed whose parts are new for every input."""

    def __init__(self) -> None:
        self.shown = ""
        self._loop = asyncio.new_event_loop()
        self._feed = _DeafFeed(SETTINGS, Inbox(), _ALL_PASS, _Still(), Troubles(), lambda: None)

    def close(self) -> None:
        self._loop.close()

    def _heard(self, state: str, frames: Sequence[Frame]) -> tuple[list[Any], list[str]]:
        """What came into the inbox, and what was told, when these frames were sent."""
        self.shown = junk.brief(list(frames))
        feed, inbox, ears = self._feed, Inbox(), _Ears()
        feed._sink, feed._troubles, feed.frames = inbox, ears, frames
        feed._symbols = frozenset({SYMBOL})
        hear = feed._hear_orders if state == "orders" else feed._hear_quotes
        over = False
        try:
            self._loop.run_until_complete(feed._keep(getattr(feed, state), hear))
        except _Over:
            over = True
        promise(over, "the stream ended by itself")
        found = []
        while (item := inbox.take(0)) is not None:
            inbox.done(item)
            found.append(item)
        return found, ears.told[:-1]


class OrderFrames(_Stream):
    """The order stream: JSON, as text or binary."""

    name = "order-frames"

    def trial(self, dice: random.Random) -> Verdict:
        frames = [_json(each, dice, 0.05) for each in _ORDER_HANDSHAKE]
        sent = dice.choice((1, 1, 2))
        for _ in range(sent):
            update = {
                "stream": "trade_updates",
                "data": {"event": "fill", "order": dice.choice(samples.ORDERS)},
            }
            frames.append(_json(update, dice, 0.95))
        found, told = self._heard("orders", frames)
        for snapshot in found:
            promise(isinstance(snapshot, Snapshot), f"a {type(snapshot).__name__} out of the order stream")
            sane.snapshot(snapshot)
            sane.booked([BUY], samples.BUYING, snapshot)
            sane.booked([BOUGHT, SELL], samples.SELLING, snapshot)
        promise(len(found) <= sent, "more updates than frames")
        return Verdict.REFUSED if told or len(found) < sent else Verdict.ACCEPTED


class QuoteFrames(_Stream):
    """The quote stream: msgpack, or JSON as text."""

    name = "quote-frames"

    def trial(self, dice: random.Random) -> Verdict:
        frames: list[Frame] = [_packed(each, dice, 0.05) for each in _QUOTE_HANDSHAKE]
        for _ in range(dice.choice((1, 1, 3))):
            frames.append(_packed(_messages(dice), dice, 0.9))
        found, told = self._heard("quotes", frames)
        for quote in found:
            promise(isinstance(quote, Quote), f"a {type(quote).__name__} out of the quote stream")
            sane.text(quote.symbol, "the symbol")
            if acting.good(quote):
                mine = replace(quote, symbol=SYMBOL)
                acting.decided(ASSET, WATCHING, [], mine)
                acting.decided(ASSET, HOLDING, [BOUGHT], mine)
        return Verdict.REFUSED if told or not found else Verdict.ACCEPTED


_ORDER_HANDSHAKE: tuple[Any, ...] = (
    {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}},
    {"stream": "listening", "data": {"streams": ["trade_updates"]}},
)
_QUOTE_HANDSHAKE: tuple[Any, ...] = (
    [{"T": "success", "msg": "connected"}],
    [{"T": "success", "msg": "authenticated"}],
)
_OTHERS: tuple[Any, ...] = (
    {"T": "subscription", "quotes": [SYMBOL], "trades": []},
    {"T": "subscription", "quotes": [], "trades": []},
    {"T": "error", "code": 405, "msg": "symbol limit exceeded"},
    {"T": "error", "code": 407, "msg": "slow client"},
    {"T": "b", "S": SYMBOL, "o": 1.0},
)
_PRICES: tuple[Any, ...] = (
    *(0, -1, 99.9, 100.1, 1e-9, 1e-12, 1e-320, 1e9, 1e12, 1e300, float("nan"), float("inf"), float("-inf")),
    *("100", "NaN", None, True, [], 2**63, 150, 101.0, 102.5, 50, 5e-10, "1e-400", "1e999999999"),
)
_ZONES = (UTC, timezone(timedelta(hours=14)))


def _messages(dice: random.Random) -> list[Any]:
    found: list[Any] = []
    for _ in range(dice.choice((1, 1, 2, 5))):
        if dice.random() < 0.15:
            found.append(dice.choice(_OTHERS))
            continue
        at = NOW - timedelta(
            seconds=dice.choice((0, 0, 0, 1, 14, 16, -14, -16, 3600, 10**9, -(10**9), 10**10))
        )
        bid = Decimal(dice.choice(("100", "99.5", "101.1", "0.000012")))
        quote = {"T": "q", "S": SYMBOL, "bp": float(bid), "ap": float(bid), "bs": 1.0, "as": 2.0, "t": at}
        if dice.random() < 0.6:
            quote[dice.choice(("bp", "ap"))] = dice.choice(_PRICES)
        found.append(quote)
    return found


def _json(body: Any, dice: random.Random, odds: float) -> Frame:
    """A frame of JSON; mutated with these odds, damaged with a fifth of them."""
    data = junk.encoded(junk.mutated(body, dice) if dice.random() < odds else body, dice)
    if dice.random() < odds / 5:
        data = junk.damaged(data, dice)
    data = data[:_LARGEST_FRAME]
    return data.decode("utf-8", "replace") if dice.random() < 0.3 else data


def _packed(body: Any, dice: random.Random, odds: float) -> Frame:
    """A frame of msgpack, sometimes of JSON."""
    if dice.random() < 0.15:
        return _json(json.loads(json.dumps(body, default=str)), dice, odds)
    found = junk.mutated(body, dice) if dice.random() < odds / 2 else body
    try:
        data = msgpack.packb(found, datetime=True, default=str)
    except (ValueError, OverflowError, UnicodeEncodeError, TypeError):
        data = msgpack.packb(str(found).encode("utf-8", "replace"))
    if dice.random() < odds / 4:
        data = dice.choice((junk.damaged, _twisted))(data, dice)
    return bytes(data)[:_LARGEST_FRAME]


def _twisted(data: bytes, dice: random.Random) -> bytes:
    """msgpack that announces what does not come, or that no writer would make."""
    heads = (
        *(b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"),
        *(b"\x91" * 2_000 + b"\xc0", b"\x81\x90\xc0", b"\x91\x81\xc0\xc0", b"\xc1", b"\x91\xa3\xff\xfe\xfd"),
        b"\x91\x83\xa1T\xa1q\xa1S\xa7BTC/USD\xa1t\xc7\x0c\xff" + dice.randbytes(12),
        b"\x91\x83\xa1T\xa1q\xa1S\xa7BTC/USD\xa1t\xd7\xff" + dice.randbytes(8),
        b"\x91\x83\xa1T\xa1q\xa1S\xa7BTC/USD\xa1t\xc7\x0c\xff\x00\x00\x00\x00" + b"\x7f" + b"\xff" * 7,
        b"\x91\x82\xa1T\xa1q\xa1t\xc7\x03\x05abc",
    )
    return dice.choice(heads) + (data if dice.random() < 0.3 else b"")
