"""The order book on the stream: the whole of it first, then what changes (alpaca.md 6)."""

from datetime import datetime
from typing import Any

from paper_exchange.engine import Engine
from recordings.values import Level

Json = dict[str, Any]
_Side = dict[float, float]
"""Size by price."""


class BookMessages:
    """What the connected client has been told of the books, and what it has to be told next."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told: dict[str, tuple[_Side, _Side]] = {}

    def forget(self, symbols: set[str] | None = None) -> None:
        """Begin with the whole book again: of these pairs, or of all."""
        for symbol in list(self._told) if symbols is None else symbols:
            self._told.pop(symbol, None)

    def next(self, symbol: str) -> Json | None:
        """The next message of a pair; None where nothing has changed, or a fault holds it back."""
        faults = self._engine.faults
        if faults.peek("md.book_stale", symbol) is not None:
            return None
        at = self._engine.quotes[symbol].at
        bids, asks = (_as_side(levels) for levels in self._engine.book(symbol))
        told = self._told.get(symbol)
        whole = told is None or faults.take("md.book_reset", symbol) is not None
        if faults.take("md.book_empty", symbol) is not None:
            self._told[symbol] = ({}, {})
            return _message(symbol, at, {}, {}, whole=True)
        if faults.take("md.book_nan", symbol) is not None:
            return _message(symbol, at, {float("nan"): 1.0}, {float("nan"): float("nan")}, whole=False)
        if faults.take("md.book_crossed", symbol) is not None:
            bids = {**bids, max(asks, default=1.0) * 1.01: 1.0}
        before: tuple[_Side, _Side] = ({}, {}) if told is None or whole else told
        changes = (_changes(before[0], bids), _changes(before[1], asks))
        self._told[symbol] = (bids, asks)
        if faults.take("md.book_gap", symbol) is not None or not (whole or changes[0] or changes[1]):
            return None
        return _message(symbol, at, *changes, whole=whole)


def _as_side(levels: list[Level]) -> _Side:
    return {float(price): float(size) for price, size in levels}


def _changes(before: _Side, now: _Side) -> _Side:
    """Levels that came or changed, and those that went, with size 0."""
    gone = {price: 0.0 for price in before if price not in now}
    return gone | {price: size for price, size in now.items() if before.get(price) != size}


def _message(symbol: str, at: datetime, bids: _Side, asks: _Side, *, whole: bool) -> Json:
    """`T` comes first because one client needs it there (alpaca.md 6)."""
    sides = {
        "b": [{"p": price, "s": size} for price, size in bids.items()],
        "a": [{"p": price, "s": size} for price, size in asks.items()],
    }
    return {"T": "o", "S": symbol, "t": at, **sides, **({"r": True} if whole else {})}
