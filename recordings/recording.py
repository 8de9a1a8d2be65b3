"""A file of recorded prices: what it is, and its moments in the order of time."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

from recordings import books, cells, table
from recordings.source import BROKEN, opened
from recordings.table import Table
from recordings.values import BadFile, Bar, BestQuote, Kind, LeftOut, Moment, Trade

SAMPLE_LINES = 300
MOST_BAD_LINES = 10_000
"""In a row; a file that has more is none of prices, and nobody waits for its end."""
MOST_TURNED_LINES = 5_000_000
"""A file that is not oldest first is read into memory whole; no more than this."""
FORMATS = "docs/recordings.md lists the formats"


class Recording:
    """A file of bars, quotes, trades or books. One that is oldest first is never read whole.

    `left_out` tells of the last walk through `moments`, as far as it came.

    Raises:
        BadFile: at the beginning, if the file is not what it should be. A bad line later is left out and
        counted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.left_out = LeftOut()
        self._table: Table | None = None
        self._ascending: bool | None = True
        try:
            with opened(path) as lines:
                sample = list(islice(lines, SAMPLE_LINES))
        except BROKEN as error:
            sample = self._sample_of_damaged(error)
        self.kind = self._recognize(sample)
        self._spacing = self._look_at_order(sample)
        if next(self.moments(), None) is None:
            first = self.left_out.first or "it is empty"
            raise BadFile(f"{path}: no usable line; the first problem: {first}"[:1000])
        self.left_out = LeftOut()

    def _sample_of_damaged(self, error: Exception) -> list[tuple[int, str]]:
        """What can be read before the damage."""
        sample: list[tuple[int, str]] = []
        try:
            with opened(self._path) as lines:
                for line in islice(lines, SAMPLE_LINES):
                    sample.append(line)
        except BROKEN:
            pass
        if not sample:
            raise BadFile(f"{self._path}: cannot be read: {error}") from error
        return sample

    def _recognize(self, sample: list[tuple[int, str]]) -> Kind:
        if not sample:
            raise BadFile(f"{self._path}: is empty")
        if sample[0][1].startswith("{"):
            return Kind.BOOKS
        try:
            self._table = table.recognize(sample)
        except ValueError as error:
            raise BadFile(f"{self._path}: {error}") from error
        if self._table is None:
            shown = f"{sample[0][1]!r}"[:80]
            raise BadFile(
                f"{self._path}: not recognized as bars, quotes, trades or books; "
                f"line {sample[0][0]} is {shown}; {FORMATS}"
            )
        return self._table.kind

    def _look_at_order(self, sample: list[tuple[int, str]]) -> timedelta | None:
        """Note the order of the sample; returns the usual time between its bars."""
        times = []
        for number, line in sample:
            if self._table is None or number > self._table.header_line:
                try:
                    times.append(self._parse(line).at)
                except ValueError:
                    continue
        self._ascending = table.is_ascending(times)
        gaps = sorted(later - earlier for earlier, later in pairwise(sorted(times)) if earlier != later)
        return gaps[len(gaps) // 2] if gaps and self.kind is Kind.BARS else None

    def __str__(self) -> str:
        """What the file was taken for, in words."""
        words = [str(self.kind)]
        if self._spacing is not None:
            words[0] += f" of {_span(self._spacing)}"
        words += self._table.remarks if self._table is not None else ()
        if not self._ascending:
            words.append("newest first" if self._ascending is False else "not in order, sorted")
        return ", ".join(words)

    def moments(self) -> Iterator[Moment]:
        """The good lines in the order of time; the others are counted, with an end that cannot be read."""
        self.left_out = LeftOut()
        last: datetime | None = None
        bad = 0
        number = 0
        try:
            for number, found in self._in_order():
                if isinstance(found, str):
                    self._leave_out(f"line {number}: {found}")
                    bad += 1
                    if bad > MOST_BAD_LINES:
                        raise EOFError(f"more than {MOST_BAD_LINES} bad lines in a row")
                    continue
                bad = 0
                problem = self._out_of_place(last, found)
                if problem is not None:
                    self._leave_out(f"line {number}: {problem}")
                    continue
                last = found.at
                yield found
        except BROKEN as error:
            self._leave_out(f"after line {number}: {error}")

    def _out_of_place(self, last: datetime | None, found: Moment) -> str | None:
        if last is None or found.at > last:
            return None
        if found.at == last:
            return f"the time {found.at} once more" if self.kind is Kind.BARS else None
        return f"time goes back to {found.at}"

    def _leave_out(self, why: str) -> None:
        known = self.left_out
        self.left_out = LeftOut(known.count + 1, known.first or why[:200])

    def _in_order(self) -> Iterator[tuple[int, Moment | str]]:
        """Numbered moments, or what is wrong with the line."""
        if self._ascending:
            yield from self._read()
            return
        good: list[tuple[int, Moment]] = []
        for number, found in self._read():
            if isinstance(found, str):
                yield number, found
                continue
            good.append((number, found))
            if len(good) > MOST_TURNED_LINES:
                raise EOFError(f"more than {MOST_TURNED_LINES:,} lines that are not oldest first: sort them")
        if self._ascending is False:
            good.reverse()  # rows of the same moment keep their order in time, which a sort would not know
        else:
            good.sort(key=lambda each: each[1].at)
        yield from good

    def _read(self) -> Iterator[tuple[int, Moment | str]]:
        header_line = self._table.header_line if self._table is not None else 0
        with opened(self._path) as lines:
            for number, line in lines:
                if number <= header_line:
                    continue
                try:
                    yield number, self._parse(line)
                except ValueError as error:
                    yield number, str(error)

    def _parse(self, line: str) -> Moment:
        """Raises:
        ValueError: what is wrong with the line.
        """
        if self._table is None:
            return books.parse(line)
        row = self._table.row(line)
        at = cells.moment(self._table.time_of(row))
        if self.kind is Kind.BARS:
            return _bar(self._table, row, at)
        if self.kind is Kind.QUOTES:
            return _quote(self._table, row, at)
        text_of = self._table.text_of
        return Trade(at=at, price=cells.price(text_of(row, "price")), size=cells.size(text_of(row, "size")))


def _bar(layout: Table, row: list[str], at: datetime) -> Bar:
    prices = {name: cells.price(layout.text_of(row, name)) for name in ("open", "high", "low", "close")}
    if prices["low"] > min(prices.values()) or prices["high"] < max(prices.values()):
        raise ValueError("low and high do not enclose the bar")
    return Bar(at=at, volume=cells.size(layout.text_of(row, "volume")), **prices)


def _quote(layout: Table, row: list[str], at: datetime) -> BestQuote:
    bid, ask = cells.price(layout.text_of(row, "bid")), cells.price(layout.text_of(row, "ask"))
    if bid > ask:
        raise ValueError(f"crossed: bid {bid} above ask {ask}")
    sizes = (cells.size(layout.text_of(row, name)) for name in ("bid_size", "ask_size"))
    return BestQuote(at, bid, ask, *sizes)


def _span(span: timedelta) -> str:
    """A span as people say it: 1 minute, 4 hours, 90 seconds."""
    seconds = int(span.total_seconds())
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= unit and seconds % unit == 0:
            count = seconds // unit
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return f"{span.total_seconds():g} seconds"
