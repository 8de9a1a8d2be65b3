"""Quotes as Alpaca's crypto stream sends them: msgpack arrays in binary websocket frames (alpaca.md 6)."""

import math
import random
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any

import msgpack
from websockets.frames import Frame, Opcode

LOWEST, MIDDLE, HIGHEST = 99.4, 100.0, 101.6
"""Dollars between which prices wander: below 99 a planted asset buys, from 102 on it sells."""
CROSSING = 98.5
FRAMES_IN_A_PIECE = 400
_HALF_SPREAD = 0.01
_STEP = 0.01
_BETWEEN_QUOTES_NS = 1000
Json = dict[str, Any]


def quote(symbol: str, price: float, at_ns: int, sizes: tuple[float, float] = (1.25, 0.75)) -> Json:
    """One `q` message; `T` comes first, as Alpaca has it."""
    return {
        "T": "q",
        "S": symbol,
        "bp": round(price - _HALF_SPREAD, 4),
        "bs": sizes[0],
        "ap": round(price + _HALF_SPREAD, 4),
        "as": sizes[1],
        "t": msgpack.Timestamp.from_unix_nano(at_ns),
    }


def wandering(symbols: Sequence[str], at_ns: int) -> Iterator[Json]:
    """Quotes without end, the symbols in turn, each a walk that crosses nothing."""
    chance = random.Random(1)  # noqa: S311 - a market, not a secret
    prices = dict.fromkeys(symbols, MIDDLE)
    for symbol in cycle(symbols):
        moved = prices[symbol] + chance.gauss(0, _STEP)
        prices[symbol] = min(HIGHEST, max(LOWEST, moved))
        sizes = (round(chance.random(), 6), round(chance.random() * 100, 4))
        yield quote(symbol, prices[symbol], at_ns, sizes)
        at_ns += _BETWEEN_QUOTES_NS


def frame(messages: list[Json]) -> bytes:
    """A frame of a server: whole and unmasked."""
    return Frame(Opcode.BINARY, msgpack.packb(messages)).serialize(mask=False)


def frames(quotes: Iterator[Json], per_frame: int, count: int) -> Iterator[bytes]:
    """At least `count` quotes, so many in a frame, in pieces of some frames each: something else may be sent
    between two pieces."""
    for _ in range(math.ceil(count / per_frame / FRAMES_IN_A_PIECE)):
        packed = [frame(list(islice(quotes, per_frame))) for _ in range(FRAMES_IN_A_PIECE)]
        yield b"".join(packed)


def now_ns() -> int:
    return time.time_ns()
