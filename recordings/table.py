"""How a file of rows is laid out: recognized from its first lines."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from recordings import cells
from recordings.values import Kind

HEADER_WITHIN = 10
"""Lines that may stand before the header: a source's name, a license."""

_DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "bars between columns", ",": "commas"}
_TIMES = (
    *("timestamp", "ts", "open_time", "opentime", "datetime", "date_time", "time", "date", "unix"),
    *("unix_timestamp", "unix_time", "start", "start_time", "transaction_time", "transact_time"),
    *("event_time", "local_timestamp", "epoch", "t", "utc", "", "index", "unnamed:_0"),
)
_NAMES = {
    "open": ("open", "o", "open_price"),
    "high": ("high", "h", "high_price"),
    "low": ("low", "l", "low_price"),
    "close": ("close", "c", "close_price"),
    "bid": ("bid", "bid_price", "bidprice", "bp", "best_bid", "best_bid_price"),
    "ask": ("ask", "ask_price", "askprice", "ap", "best_ask", "best_ask_price"),
    "bid_size": ("bid_size", "bid_qty", "bid_amount", "bidsize", "bs", "best_bid_qty", "best_bid_size"),
    "ask_size": ("ask_size", "ask_qty", "ask_amount", "asksize", "as", "best_ask_qty", "best_ask_size"),
    "price": ("price", "p"),
    "size": ("size", "qty", "quantity", "amount", "volume", "s"),
    "volume": ("volume", "v", "vol", "base_volume"),
}
_NEEDED = {
    Kind.BARS: ("open", "high", "low", "close"),
    Kind.QUOTES: ("bid", "ask"),
    Kind.TRADES: ("price",),
}
_ORDERS = (("open", "high", "low", "close"), ("open", "close", "high", "low"))
"""Of bars without a header: as Binance and most others write them, and as Bitfinex does."""
_GROUPED = re.compile(r"\d{1,3}(,\d{3})+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`times`: the columns whose texts, joined, are the time. `header_line`: 0 where there is none."""

    kind: Kind
    delimiter: str
    times: tuple[int, ...]
    columns: dict[str, int]
    width: int
    header: tuple[str, ...] = ()
    header_line: int = 0
    comma: str = ""
    """What commas inside numbers are: "" none, "decimal", or "thousands"."""
    remarks: tuple[str, ...] = field(default=())

    def row(self, line: str) -> list[str]:
        """The cells of a line.

        Raises:
            ValueError: it has fewer than the others, or is the header once more.
        """
        found = split(line, self.delimiter)
        if self.header and _normal(found) == self.header:
            raise ValueError("the header once more")
        if len(found) < self.width:
            raise ValueError(f"{len(found)} columns instead of {self.width}: {cells.brief(line)}")
        return found

    def time_of(self, row: Sequence[str]) -> str:
        return " ".join(row[column] for column in self.times)

    def text_of(self, row: Sequence[str], name: str) -> str:
        """A number's text with a decimal point and nothing else, "" where the file has no such column."""
        column = self.columns.get(name)
        if column is None:
            return ""
        text = row[column]
        if not self.comma or "," not in text:
            return text
        return text.replace(",", "") if self.comma == "thousands" else text.replace(".", "").replace(",", ".")


def split(line: str, delimiter: str) -> list[str]:
    """The cells of a line, without quotes and blanks around them."""
    if '"' not in line:
        return [cell.strip() for cell in line.split(delimiter)]
    try:
        parsed = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error as error:
        raise ValueError(f"{error}: {cells.brief(line)}") from None
    return [cell.strip() for cell in parsed]


def recognize(lines: Sequence[tuple[int, str]]) -> Table | None:
    """The layout of a file that begins with these numbered lines; None if there is none to be seen.

    Raises:
        ValueError: it cannot be told how its numbers are to be read.
    """
    delimiter = _delimiter([line for _, line in lines])
    for place, (number, line) in enumerate(lines[:HEADER_WITHIN]):
        table = _by_header(number, _split_or_nothing(line, delimiter), delimiter)
        if table is not None:
            return _with_commas(table, lines[place + 1 :])
    return _without_header(lines, delimiter)


def _split_or_nothing(line: str, delimiter: str) -> list[str]:
    try:
        return split(line, delimiter)
    except ValueError:
        return []


def _delimiter(lines: Sequence[str]) -> str:
    """The first that stands in nearly all lines: commas are last, for they may be decimal signs."""
    for delimiter in _DELIMITERS:
        if sum(line.count(delimiter) >= 1 for line in lines) * 10 >= len(lines) * 8:
            return delimiter
    return ","


def _about(delimiter: str) -> tuple[str, ...]:
    return () if delimiter == "," else (f"columns between {_DELIMITERS[delimiter]}",)


def _normal(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(re.sub(r"[\s\-]+", "_", name.strip("<> ").lower()) for name in names)


def _by_header(number: int, names: Sequence[str], delimiter: str) -> Table | None:
    header = _normal(names)
    columns = {
        name: header.index(found)
        for name, spellings in _NAMES.items()
        if (found := next((each for each in spellings if each in header), None)) is not None
    }
    kind = next((kind for kind, needed in _NEEDED.items() if columns.keys() >= {*needed}), None)
    time = next((header.index(name) for name in _TIMES if name in header), None)
    if kind is None or time is None:
        return None
    both = {"date", "time"} <= {*header} and header[time] in {"date", "time"}
    times = (header.index("date"), header.index("time")) if both else (time,)
    needed = [*times, *(columns[name] for name in _NEEDED[kind])]
    width = len(header) if header[-1] else max(needed) + 1
    return Table(
        kind=kind,
        delimiter=delimiter,
        times=times,
        columns=columns,
        width=width,
        header=header,
        header_line=number,
        remarks=_about(delimiter),
    )


def _without_header(lines: Sequence[tuple[int, str]], delimiter: str) -> Table | None:
    """Rows that begin with a time: four prices and perhaps a volume, or one price and perhaps a size."""
    rows = [row for _, line in lines if _begins_with_time(row := _split_or_nothing(line, delimiter))]
    if not rows or len(rows) * 10 < len(lines) * 5:
        return None
    width = max(len(row) for row in rows)
    kind = Kind.BARS if width >= 5 else Kind.TRADES
    orders = _ORDERS if kind is Kind.BARS else (("price", "size"),)
    for order in orders:
        columns = {name: place for place, name in enumerate(order, start=1) if place < width}
        if kind is Kind.BARS and width >= 6:
            columns["volume"] = 5
        table = Table(
            kind=kind,
            delimiter=delimiter,
            times=(0,),
            columns=columns,
            width=width,
            remarks=("no header", *_about(delimiter)),
        )
        fitting = _with_commas(table, lines)
        if kind is Kind.TRADES or _encloses(fitting, rows):
            return fitting
    return None


def _begins_with_time(row: Sequence[str]) -> bool:
    try:
        cells.moment(row[0] if len(row) > 1 else "")
    except ValueError:
        return False
    return True


def _encloses(table: Table, rows: Sequence[Sequence[str]]) -> bool:
    """Whether high and low are where the table says, in nearly all rows that have prices."""
    good = bad = 0
    for row in rows:
        try:
            prices = [cells.price(table.text_of(row, name)) for name in ("open", "close", "high", "low")]
        except (ValueError, IndexError):
            continue
        fits = prices[3] <= min(prices) and prices[2] >= max(prices)
        good, bad = good + fits, bad + (not fits)
    return good > 9 * bad


def _with_commas(table: Table, lines: Sequence[tuple[int, str]]) -> Table:
    """The table, knowing what commas inside its numbers are.

    Raises:
        ValueError: that cannot be told.
    """
    used = [column for name, column in table.columns.items() if name in _NEEDED[table.kind]]
    texts = [
        row[column]
        for _, line in lines
        if len(row := _split_or_nothing(line, table.delimiter)) >= table.width
        for column in used
        if "," in row[column] and row[column].replace(",", "").replace(".", "").isdigit()
    ]
    if not texts:
        return table
    comma = _meaning(texts)
    if comma is None:
        raise ValueError(
            f"whether the comma in {texts[0]!r} is a decimal sign cannot be told: write numbers with a point"
        )
    return Table(
        kind=table.kind,
        delimiter=table.delimiter,
        times=table.times,
        columns=table.columns,
        width=table.width,
        header=table.header,
        header_line=table.header_line,
        comma=comma,
        remarks=(*table.remarks, f"{comma} commas"),
    )


def _meaning(texts: Sequence[str]) -> str | None:
    """What commas in these numbers are; None if that cannot be told."""
    for text in texts:
        if "." in text:
            return "thousands" if text.rindex(".") > text.rindex(",") else "decimal"
        if not _GROUPED.match(text):
            return "decimal"
    return "thousands" if any(text.count(",") > 1 for text in texts) else None


def is_ascending(times: Sequence[object]) -> bool | None:
    """Whether times go forward (True), backward (False), or neither (None); a few out of place count not."""
    pairs = [(earlier, later) for earlier, later in pairwise(times) if earlier != later]
    downs = sum(later < earlier for earlier, later in pairs)  # type: ignore[operator]
    if downs * 10 <= len(pairs):
        return True
    return False if (len(pairs) - downs) * 10 <= len(pairs) else None
