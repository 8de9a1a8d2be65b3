"""Files of recorded prices as no recorder writes them, through the paper exchange's replay."""

import gzip
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from paper_exchange.history import MarketHistory, quote_json
from paper_exchange.replay import BadFile, Point, Recording
from paper_exchange.values import Quote
from proof.fuzz import junk
from proof.fuzz.verdicts import Verdict, promise

STEP = Decimal("0.000000001")
MOST_POINTS = 400
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_BOMB = gzip.compress(b"0" * 4_000_000)
_BOMB_OF_LINES = gzip.compress(b"x\n" * 1_000_000)
_GAPS = (0, 1, 60, 60, 60, 60, 300, -60, 86_400, 10**9)


class Recordings:
    """One file, played as the server plays it."""

    name = "replay"

    def __init__(self) -> None:
        self.shown = ""
        self._folder = TemporaryDirectory(prefix="dca-fuzz-")

    def close(self) -> None:
        self._folder.cleanup()

    def trial(self, dice: random.Random) -> Verdict:
        text = dice.choice((_bars, _quotes, _books))(dice)
        data = text.encode("utf-8", "surrogatepass" if dice.random() < 0.1 else "replace")
        if dice.random() < 0.3:
            data = junk.damaged(data, dice)
        data, name = _packed(data, dice)
        self.shown = f"{name}: {junk.brief(data)}"
        path = Path(self._folder.name) / name
        path.write_bytes(data)
        try:
            recording = Recording(path, STEP)
        except BadFile as error:
            promise(0 < len(str(error)) <= 1000, f"an error of {len(str(error))} characters")
            promise(str(path) in str(error), f"does not name the file: {error}")
            return Verdict.REFUSED
        _played(recording)
        return Verdict.REFUSED if recording.skipped else Verdict.ACCEPTED


def _played(recording: Recording) -> None:
    history, last = MarketHistory(), None
    played = 0
    for point in islice(recording.points(), MOST_POINTS):
        played += 1
        _sane(point)
        promise(last is None or point.at >= last, f"time goes back to {point.at}")
        last = point.at
        quote = Quote(symbol="BTC/USD", bid=point.bid, ask=point.ask, at=point.at)
        promise(quote.is_sane, f"bid {point.bid} and ask {point.ask}")
        history.add(quote)
        json.dumps(quote_json(quote), allow_nan=False)
    promise(played > 0, "taken, and there is nothing in it")
    told = recording.first_skipped
    promise((told is None) == (recording.skipped == 0), f"{recording.skipped} left out, and told {told!r}")
    promise(told is None or len(told) <= 1000, "told at length")


def _sane(point: Point) -> None:
    promise(Decimal(0) < point.bid <= point.ask, f"bid {point.bid} and ask {point.ask}")
    promise(point.ask.adjusted() < 15 and point.bid.adjusted() > -20, f"a price of {point.ask}")
    promise(0 <= point.seconds <= 7 * 86_400, f"the next price comes after {point.seconds} s")


def _price(dice: random.Random) -> str:
    if dice.random() < 0.12:
        return str(dice.choice((*junk.NUMBER_TEXTS, *junk.TEXTS[:14])))
    return str(dice.choice(("100", "101.5", "99", "0.000012", "100.123456789123", "64000", "1e2")))


def _at(dice: random.Random, number: int, gap: int) -> str:
    if dice.random() < 0.04:
        return str(dice.choice((*junk.TIMES, *junk.TEXTS[:12])))
    at = BEGIN + timedelta(seconds=number * 60 + gap)
    return at.isoformat() if dice.random() < 0.8 else at.strftime("%Y-%m-%d %H:%M:%S")


def _rows(dice: random.Random, head: str, row: Callable[[str], str]) -> str:
    lines = [head] if dice.random() < 0.95 else []
    gap = 0
    for number in range(dice.choice((0, 1, 5, 30))):
        gap += 0 if dice.random() < 0.9 else dice.choice(_GAPS)
        lines.append(row(_at(dice, number, gap)))
        if dice.random() < 0.03:
            lines.append(
                dice.choice((lines[-1], "", ",,,,,", '"', "x" * 100_000, '"' + "y\n" * 50, "\x00", head))
            )
    return dice.choice(("\n", "\n", "\r\n", "\r")).join(lines) + dice.choice(("\n", ""))


def _bars(dice: random.Random) -> str:
    def row(at: str) -> str:
        if dice.random() < 0.8:
            return f"{at},100,101,99,{dice.choice(('100', '99.5'))},5"
        return ",".join([at, *(_price(dice) for _ in range(dice.choice((4, 4, 3, 9))))])

    return _rows(dice, "timestamp,open,high,low,close,volume", row)


def _quotes(dice: random.Random) -> str:
    def row(at: str) -> str:
        if dice.random() < 0.8:
            return f"{at},100,1,100.1,1"
        return ",".join([at, _price(dice), "1", _price(dice), "1"])

    return _rows(dice, "ts,bid,bid_size,ask,ask_size", row)


def _books(dice: random.Random) -> str:
    lines = []
    for number in range(dice.choice((1, 5, 20))):
        book = {"ts": _at(dice, number, 0), "bids": [["99.9", "1"]], "asks": [["100.1", "1"]]}
        found = junk.mutated(book, dice) if dice.random() < 0.2 else book
        lines.append(junk.encoded(found, dice).decode("utf-8", "replace"))
    return "\n".join(lines)


def _packed(data: bytes, dice: random.Random) -> tuple[bytes, str]:
    """As a plain or packed file; packed ones may be cut, broken, or of one endless line."""
    what = dice.random()
    if what < 0.4:
        return data, "recording.csv"
    if what < 0.45:
        return data, "recording.csv.gz"
    if what < 0.48:
        return dice.choice((_BOMB, _BOMB_OF_LINES, gzip.compress(data[:60]) + _BOMB)), "recording.csv.gz"
    packed = gzip.compress(data, compresslevel=1)
    if dice.random() < 0.3:
        packed = junk.damaged(packed, dice)
    return packed, "recording.csv.gz"
