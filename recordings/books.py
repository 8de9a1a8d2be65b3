"""Order books, one JSON object a line."""

import json
from collections.abc import Sequence
from typing import Any

from recordings import cells
from recordings.values import Book, Level

_TIMES = ("ts", "timestamp", "time", "t")
_SIDES = {"bids": ("bids", "b"), "asks": ("asks", "a")}


def parse(line: str) -> Book:
    """A book from a line like {"ts": ..., "bids": [["price", "size"], ...], "asks": [...]}, best first.

    Raises:
        ValueError: it is none, or crossed.
    """
    try:
        found = json.loads(line, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    time = next((found[name] for name in _TIMES if name in found), None)
    if not isinstance(time, str):
        raise ValueError("without a time (ts)")
    bids, asks = (_levels(found, side) for side in _SIDES)
    if bids[0][0] > asks[0][0]:
        raise ValueError(f"crossed: bid {bids[0][0]} above ask {asks[0][0]}")
    return Book(at=cells.moment(time), bids=bids, asks=asks)


def _levels(found: dict[str, Any], side: str) -> tuple[Level, ...]:
    levels = next((found[name] for name in _SIDES[side] if name in found), None)
    if not isinstance(levels, list) or not levels:
        raise ValueError(f"without {side}")
    return tuple(_level(each) for each in levels)


def _level(each: object) -> Level:
    pair = [each.get("p"), each.get("s")] if isinstance(each, dict) else each
    if not isinstance(pair, Sequence) or len(pair) < 2 or not all(isinstance(part, str) for part in pair[:2]):
        raise ValueError(f"not a level: {cells.brief(each)}")
    return cells.price(pair[0]), cells.size(pair[1]) or cells.number("0")
