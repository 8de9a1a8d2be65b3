"""Alpaca's market data REST for crypto (alpaca.md 7), from what was quoted and traded."""

import asyncio
import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from aiohttp import web

from paper_exchange.bars import frame
from paper_exchange.engine import Engine
from paper_exchange.history import MarketHistory, quote_json
from paper_exchange.parameters import Query
from paper_exchange.values import Refused
from paper_exchange.wire import stamp
from recordings.values import Level

Json = dict[str, Any]
Rows = Callable[[str, datetime, datetime], Iterator[Json]]
_SYMBOL = re.compile(r"[A-Z0-9]+/[A-Z0-9]+")


class MarketDataRest:
    """Everything below /v1beta3/crypto."""

    def __init__(self, engine: Engine, history: MarketHistory) -> None:
        self._engine = engine
        self._history = history

    def routes(self) -> list[web.RouteDef]:
        base = "/v1beta3/crypto/{loc}"
        return [
            web.get(f"{base}/latest/{{what}}", self.latest),
            web.get(f"{base}/snapshots", self.snapshots),
            web.get(f"{base}/{{what}}", self.past),
        ]

    def _symbols(self, request: web.Request) -> list[str]:
        symbols = Query(request.query).words("symbols")
        if not symbols:
            raise Refused(400, 0, "symbols is required")
        for symbol in symbols:
            if not _SYMBOL.fullmatch(symbol):
                raise Refused(400, 0, f"invalid symbol: {symbol[:60]} does not match ^[A-Z]+/[A-Z]+$")
        return sorted({symbol for symbol in symbols if symbol in self._engine.quotes})

    def _latest(self, what: str, symbol: str) -> Json:
        quote = self._engine.quotes[symbol]
        if what == "quotes":
            return quote_json(quote)
        if what == "trades":
            return self._history.latest_trade(symbol).json()
        if what == "bars":
            return self._history.latest_bar(symbol).json()
        bids, asks = self._engine.book(symbol)
        return {"t": stamp(quote.at), "b": _levels(bids), "a": _levels(asks)}

    async def latest(self, request: web.Request) -> web.StreamResponse:
        what = request.match_info["what"]
        if what not in ("quotes", "trades", "bars", "orderbooks"):
            raise Refused(404, None, "Not Found")
        return web.json_response({what: {s: self._latest(what, s) for s in self._symbols(request)}})

    async def snapshots(self, request: web.Request) -> web.StreamResponse:
        found = {}
        for symbol in self._symbols(request):
            today, yesterday = self._history.days(symbol)
            found[symbol] = {
                "dailyBar": today.json(),
                "minuteBar": self._latest("bars", symbol),
                "prevDailyBar": yesterday.json(),
                "latestQuote": self._latest("quotes", symbol),
                "latestTrade": self._latest("trades", symbol),
            }
        return web.json_response({"snapshots": found})

    async def past(self, request: web.Request) -> web.StreamResponse:
        what = request.match_info["what"]
        if what not in ("quotes", "trades", "bars"):
            raise Refused(404, None, "Not Found")
        query = Query(request.query, status=400, code=0)
        symbols = self._symbols(request)
        now = self._engine.now.astimezone(UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        start, end = query.time("start") or today, min(query.time("end") or now, now)
        if query.text("end") and start > (query.time("end") or now):
            raise Refused(400, 0, "end should not be before start")
        newest_first = query.choice("sort", ("asc", "desc"), "asc") == "desc"
        limit = query.whole("limit", 1000, least=1, most=10_000)
        rows = self._rows(what, query, newest_first=newest_first)
        token = _read_token(query.text("page_token"))
        found: dict[str, list[Json]] = {}
        for symbol in symbols:
            if token is not None and symbol < token.symbol:
                continue
            skip, first, last = 0, start, end
            if token is not None and symbol == token.symbol:
                skip = token.sent
                first, last = (start, min(end, token.at)) if newest_first else (max(start, token.at), end)
            left = limit - sum(map(len, found.values()))
            page = await _taken(islice(rows(symbol, first, last), skip, None), left + 1)
            if len(page) > left:
                begin = _Token(symbol, last if newest_first else first, skip)
                follows = _follows(symbol, page[:-1], token) if left else begin
                told = found | ({symbol: page[:-1]} if left else {})
                return web.json_response({what: told, "next_page_token": str(follows)})
            if page:
                found[symbol] = page
        return web.json_response({what: found, "next_page_token": None})

    def _rows(self, what: str, query: Query, *, newest_first: bool) -> Rows:
        """A reader of one symbol's rows between two moments.

        Raises:
            Refused: bars without a time frame, or with one that does not exist.
        """
        history = self._history
        if what == "quotes":
            return lambda symbol, start, end: history.quotes(symbol, start, end, newest_first=newest_first)
        if what == "trades":
            return lambda symbol, start, end: (
                one.json() for one in history.trades(symbol, start, end, newest_first=newest_first)
            )
        name = query.text("timeframe")
        asked = frame(name)
        if asked is None:
            raise Refused(400, 0, f"invalid timeframe: {name[:60]}" if name else "timeframe is required")
        return lambda symbol, start, end: (
            one.json() for one in history.bars(symbol, asked, start, end, newest_first=newest_first)
        )


@dataclass(frozen=True, slots=True)
class _Token:
    """Where the next page begins: at a moment of one symbol, of which so many rows were sent."""

    symbol: str
    at: datetime
    sent: int

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.symbol}|{self.at.isoformat()}|{self.sent}".encode()).decode()


def _follows(symbol: str, page: list[Json], before: _Token | None) -> _Token:
    at = page[-1]["t"]
    sent = sum(1 for row in page if row["t"] == at)
    token = _Token(symbol, datetime.fromisoformat(at), sent)
    if before is not None and (before.symbol, before.at) == (symbol, token.at):
        return _Token(symbol, token.at, sent + before.sent)
    return token


def _read_token(text: str) -> _Token | None:
    if not text:
        return None
    try:
        symbol, at, sent = base64.b64decode(text, b"-_", validate=True).decode().split("|")
        token = _Token(symbol, datetime.fromisoformat(at), int(sent))
    except ValueError:
        raise Refused(400, 0, "invalid page_token") from None
    if token.at.tzinfo is None or token.sent < 0 or not _SYMBOL.fullmatch(symbol):
        raise Refused(400, 0, "invalid page_token")
    return token


async def _taken(rows: Iterator[Json], most: int) -> list[Json]:
    """The first rows; years of them take seconds, and others are served meanwhile."""
    page: list[Json] = []
    for row in islice(rows, most):
        page.append(row)
        await asyncio.sleep(0)
    return page


def _levels(levels: list[Level]) -> list[Json]:
    return [{"p": float(price), "s": float(size)} for price, size in levels]
