"""Alpaca's market data REST for crypto (alpaca.md 7), from what was quoted since the start."""

from collections import deque
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from paper_exchange.engine import Engine
from paper_exchange.parameters import Query
from paper_exchange.values import Quote, Refused
from paper_exchange.wire import stamp
from recordings.values import Level

Json = dict[str, Any]
_KEEP_MINUTES = 1500


class MarketHistory:
    """Minute bars and recent quotes, built as quotes pass by."""

    def __init__(self) -> None:
        self.bars: dict[str, deque[Json]] = {}
        self.quotes: dict[str, deque[Json]] = {}

    def add(self, quote: Quote) -> Json | None:
        """Take a quote in; returns the minute bar that it completed, if any."""
        self.quotes.setdefault(quote.symbol, deque(maxlen=2000)).append(quote_json(quote))
        bars = self.bars.setdefault(quote.symbol, deque(maxlen=_KEEP_MINUTES))
        minute = quote.at.replace(second=0, microsecond=0)
        price = float((quote.bid + quote.ask) / 2)
        if bars and bars[-1]["t"] == stamp(minute):
            bar = bars[-1]
            bar["h"], bar["l"], bar["c"] = max(bar["h"], price), min(bar["l"], price), price
            return None
        done = bars[-1] if bars else None
        bars.append(
            {"t": stamp(minute), "o": price, "h": price, "l": price, "c": price, "v": 0.0, "n": 0, "vw": 0.0}
        )
        return done


def quote_json(quote: Quote) -> Json:
    return {
        "t": stamp(quote.at),
        "bp": float(quote.bid),
        "bs": float(quote.bid_size),
        "ap": float(quote.ask),
        "as": float(quote.ask_size),
    }


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
        symbols = [name for name in request.query.get("symbols", "").split(",") if name]
        for symbol in symbols:
            if symbol.count("/") != 1:
                raise Refused(400, 0, f"invalid symbol: {symbol} does not match ^[A-Z]+/[A-Z]+$")
        return [symbol for symbol in symbols if symbol in self._engine.quotes]

    def _latest(self, what: str, symbol: str) -> Json:
        quote = self._engine.quotes[symbol]
        if what == "quotes":
            return quote_json(quote)
        if what == "trades":
            return self._trade(quote)
        if what == "bars":
            return self._history.bars[symbol][-1]
        bids, asks = self._engine.book(symbol)
        return {"t": stamp(quote.at), "b": _levels(bids), "a": _levels(asks)}

    @staticmethod
    def _trade(quote: Quote) -> Json:
        return {"t": stamp(quote.at), "p": float(quote.ask), "s": 0.01, "i": 1, "tks": "B"}

    async def latest(self, request: web.Request) -> web.StreamResponse:
        what = request.match_info["what"]
        if what not in ("quotes", "trades", "bars", "orderbooks"):
            raise Refused(404, None, "Not Found")
        return web.json_response({what: {s: self._latest(what, s) for s in self._symbols(request)}})

    async def snapshots(self, request: web.Request) -> web.StreamResponse:
        found = {}
        for symbol in self._symbols(request):
            bar = self._latest("bars", symbol)
            found[symbol] = {
                "dailyBar": bar,
                "minuteBar": bar,
                "prevDailyBar": bar,
                "latestQuote": self._latest("quotes", symbol),
                "latestTrade": self._latest("trades", symbol),
            }
        return web.json_response({"snapshots": found})

    async def past(self, request: web.Request) -> web.StreamResponse:
        what = request.match_info["what"]
        if what not in ("quotes", "trades", "bars"):
            raise Refused(404, None, "Not Found")
        query = Query(request.query, status=400, code=0)
        today = self._engine.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        start, end = query.time("start") or today, query.time("end")
        limit = query.whole("limit", 1000, least=1, most=10_000)
        found: dict[str, list[Json]] = {}
        left = limit
        for symbol in self._symbols(request):
            rows = [r for r in self._rows(what, symbol) if _within(r, start, end)][:left]
            left -= len(rows)
            if rows:
                found[symbol] = rows
        return web.json_response({what: found, "next_page_token": None})

    def _rows(self, what: str, symbol: str) -> list[Json]:
        if what == "trades":
            return [self._trade(self._engine.quotes[symbol])]
        rows = self._history.bars if what == "bars" else self._history.quotes
        return list(rows.get(symbol, ()))


def _levels(levels: list[Level]) -> list[Json]:
    return [{"p": float(price), "s": float(size)} for price, size in levels]


def _within(row: Json, start: datetime, end: datetime | None) -> bool:
    at = datetime.fromisoformat(row["t"])
    return at >= start.replace(second=0, microsecond=0) and (end is None or at <= end)
