"""The files that people have: one series of bars, written in many ways, is read as the same bars."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from recordings.recording import Recording
from recordings.values import BadFile, Bar, BestQuote, Book, Kind, Trade

D = Decimal
BEGIN = datetime(2025, 1, 6, tzinfo=UTC)
NAMES = "timestamp,open,high,low,close,volume"
BARS = [
    Bar(
        at=BEGIN + timedelta(minutes=number),
        open=Decimal(f"{30_000 + number}.25"),
        high=Decimal("30100.5"),
        low=Decimal("29900.125"),
        close=Decimal(f"{30_001 + number}.5"),
        volume=Decimal("2.5"),
    )
    for number in range(40)
]


def prices(bar: Bar) -> list[str]:
    return [f"{value:f}" for value in (bar.open, bar.high, bar.low, bar.close, bar.volume or 0)]


def rows(time: Callable[[datetime], str] = lambda at: at.isoformat(), by: str = ",") -> list[str]:
    return [by.join([time(bar.at), *prices(bar)]) for bar in BARS]


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def counted(per_second: int) -> Callable[[datetime], str]:
    return lambda at: str(int(at.timestamp()) * per_second)


def binance() -> list[str]:
    """As the exchange's own archive has them: twelve columns, no header, microseconds."""
    ends = (f"{int(bar.at.timestamp()) + 59}999999" for bar in BARS)
    return [f"{row},{end},1.0,7,2.0,3.0,0" for row, end in zip(rows(counted(10**6)), ends, strict=True)]


def bitfinex() -> list[str]:
    """Open, close, high, low; newest first; milliseconds; no header."""
    return [
        ",".join([counted(1000)(bar.at), *(prices(bar)[place] for place in (0, 3, 1, 2, 4))])
        for bar in reversed(BARS)
    ]


def german() -> list[str]:
    return [row.replace(".", ",") for row in rows(by=";")]


def thousands() -> list[str]:
    return [
        ",".join([bar.at.isoformat(), *(f'"{Decimal(price):,}"' for price in prices(bar)[:4])])
        for bar in BARS
    ]


def two_columns() -> list[str]:
    """A date with points and a time, as MetaTrader writes them."""
    return [",".join([f"{bar.at:%Y.%m.%d}", f"{bar.at:%H:%M}", *prices(bar)]) for bar in BARS]


WAYS = {
    "plain": text(NAMES, *rows()),
    "capitals": text(NAMES.title(), *rows()),
    "other names": text("Open time,O,H,L,C,Vol", *rows()),
    "other order": text(
        "close,low,high,open,date", *(",".join([*prices(bar)[3::-1], bar.at.isoformat()]) for bar in BARS)
    ),
    "an index column": text("," + NAMES, *(f"{n},{row}" for n, row in enumerate(rows()))),
    "an unnamed time": text(",open,high,low,close,volume", *rows()),
    "byte order mark": b"\xef\xbb\xbf" + text(NAMES, *rows()),
    "utf-16": text(NAMES, *rows()).decode().encode("utf-16"),
    "utf-16 without a mark": text(NAMES, *rows()).decode().encode("utf-16-le"),
    "semicolons and decimal commas": text(NAMES.replace(",", ";"), *german()),
    "semicolons": text(NAMES.replace(",", ";"), *rows(by=";")),
    "tabs": text(NAMES.replace(",", "\t"), *rows(by="\t")),
    "quoted": text(*(",".join(f'"{cell}"' for cell in line.split(",")) for line in [NAMES, *rows()])),
    "thousands": text("timestamp,open,high,low,close", *thousands()),
    "blanks": text(NAMES.replace(",", ", "), *(row.replace(",", ", ") for row in rows())),
    "carriage returns": text(NAMES, *rows()).replace(b"\n", b"\r\n"),
    "old Macintosh": text(NAMES, *rows()).replace(b"\n", b"\r"),
    "a source's name first": text("https://example.com/data", NAMES, *rows()),
    "seconds": text(NAMES, *rows(counted(1))),
    "seconds with a point": text(NAMES, *rows(lambda at: f"{at.timestamp():.1f}")),
    "milliseconds": text(NAMES, *rows(counted(10**3))),
    "microseconds": text(NAMES, *rows(counted(10**6))),
    "nanoseconds": text(NAMES, *rows(counted(10**9))),
    "a Z": text(NAMES, *rows(lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}")),
    "the word UTC": text(NAMES, *rows(lambda at: f"{at:%Y-%m-%d %H:%M:%S} UTC")),
    "no zone": text(NAMES, *rows(lambda at: f"{at:%Y-%m-%d %H:%M:%S}")),
    "slashes": text(NAMES, *rows(lambda at: f"{at:%Y/%m/%d %H:%M:%S}")),
    "another zone": text(NAMES, *rows(lambda at: at.astimezone(tz=None).isoformat())),
    "date and time": text("<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", *two_columns()),
    "Binance": text(*binance()),
    "Bitfinex": text(*bitfinex()),
    "newest first": text(NAMES, *reversed(rows())),
    "gzip": gzip.compress(text(NAMES, *rows())),
    "gzip of utf-16": gzip.compress(text(NAMES, *rows()).decode().encode("utf-16")),
}


def written(folder: Path, content: bytes) -> Path:
    """Under a name that says nothing of what is inside."""
    path = folder / "recording.dat"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("way", WAYS)
def test_the_same_bars_however_they_are_written(tmp_path: Path, way: str) -> None:
    recording = Recording(written(tmp_path, WAYS[way]))
    found = list(recording.moments())
    assert recording.kind is Kind.BARS
    assert [(bar.at, bar.open, bar.high, bar.low, bar.close) for bar in found if isinstance(bar, Bar)] == [
        (bar.at, bar.open, bar.high, bar.low, bar.close) for bar in BARS
    ]
    assert recording.left_out.count == 0, recording.left_out


def test_rows_in_no_order_are_sorted(tmp_path: Path) -> None:
    shuffled = [row for start in range(7) for row in rows()[start::7]]
    recording = Recording(written(tmp_path, text(NAMES, *shuffled)))
    assert [moment.at for moment in recording.moments()] == [bar.at for bar in BARS]
    assert str(recording) == "bars of 1 minute, not in order, sorted"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("2025-01-06T00:20:00+00:00,,,,,", "not a number: ''"),
        ("2025-01-06T00:20:00+00:00,nan,nan,nan,nan,nan", "not a number: 'nan'"),
        ("2025-01-06T00:20:00+00:00,0,0,0,0,0", "not a price: '0'"),
        ("2025-01-06T00:20:00+00:00,null,null,null,null,null", "not a number: 'null'"),
        ("2025-01-06T00:20:00+00:00,-1,2,-1,1,1", "not a price: '-1'"),
        ("2025-01-06T00:20:00+00:00,5,4,3,3,1", "low and high do not enclose the bar"),
        ("2025-01-06T00:20:00+00:00,30020.25,301", "3 columns instead of 6"),
        ("1736-01-06T00:20:00+00:00,5,5,5,5,1", "a time of the year 1736"),
        ("soon,5,5,5,5,1", "not a time: 'soon'"),
        ("2025-01-06T00:19:00+00:00,5,5,5,5,1", "the time 2025-01-06 00:19:00+00:00 once more"),
        ("2025-01-06T00:03:00+00:00,5,5,5,5,1", "time goes back to 2025-01-06 00:03:00+00:00"),
        (NAMES, "the header once more"),
        ("# 40 rows exported", "1 columns instead of 6"),
    ],
)
def test_a_bad_line_is_left_out_and_told_with_its_number(tmp_path: Path, bad: str, why: str) -> None:
    lines = [NAMES, *rows()]
    lines[21] = bad  # of the minute 20
    recording = Recording(written(tmp_path, text(*lines)))
    assert [moment.at for moment in recording.moments()] == [bar.at for bar in BARS if bar is not BARS[20]]
    assert recording.left_out.count == 1
    assert recording.left_out.first.startswith(f"line 22: {why}")


def test_a_first_row_of_zeros_and_a_last_line_cut_off(tmp_path: Path) -> None:
    lines = [NAMES, "2025-01-06T00:00:00Z,0,0,0,0,0", *rows()[1:]]
    recording = Recording(written(tmp_path, text(*lines)[:-20]))
    assert [moment.at for moment in recording.moments()] == [bar.at for bar in BARS[1:-1]]
    assert recording.left_out.count == 2


def test_a_gzip_file_cut_off_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    many = [
        f"{(BEGIN + timedelta(minutes=n)).isoformat()},{30_000 + n * 7919 % 997},31000,29000,30000,1"
        for n in range(3000)
    ]
    packed = gzip.compress(text(NAMES, *many))
    recording = Recording(written(tmp_path, packed[: len(packed) // 2]))
    assert 500 < sum(1 for _ in recording.moments()) < 2500
    assert "ended before the end-of-stream marker" in recording.left_out.first


def test_quotes_trades_and_books(tmp_path: Path) -> None:
    bookticker = text(
        "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
        "1,99.5,2,100.5,3,1736121600000,1736121600003",
        "2,100.6,2,100.5,3,1736121600001,1736121600003",
        "3,99.6,2,100.5,3,1736121600001,1736121600003",
    )
    quotes = Recording(written(tmp_path, bookticker))
    assert [type(each) for each in quotes.moments()] == [BestQuote, BestQuote]
    assert quotes.left_out.first == "line 3: crossed: bid 100.6 above ask 100.5"
    trades = Recording(written(tmp_path, text("ts,price,size", "1736121600,5,1", "1736121600,6,1")))
    assert [each.price for each in trades.moments() if isinstance(each, Trade)] == [5, 6]
    headless = Recording(written(tmp_path, text("1736121600,5,1", "1736121601,6,1")))
    assert headless.kind is Kind.TRADES
    lines = [
        '{"ts":"2026-01-01T00:00:00Z","bids":[["5","1"],["4",2]],"asks":[["6","1"]]}',
        '{"t":1767225601000,"b":[{"p":5,"s":1}],"a":[{"p":6.5,"s":1}]}',
        '{"ts":"2026-01-01T00:00:02Z","bids":[],"asks":[["6","1"]]}',
    ]
    books = Recording(written(tmp_path, text(*lines)))
    found = [each for each in books.moments() if isinstance(each, Book)]
    assert [(each.bids[0][0], each.asks[0][0]) for each in found] == [(D(5), D(6)), (D(5), D("6.5"))]
    assert found[0].bids[1] == (D(4), D(2))
    assert books.left_out.first == "line 3: without bids"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"hello\nworld\n", "not recognized as bars, quotes, trades or books; line 1 is 'hello'"),
        (b"a,b,c\n1,2,3\n", "not recognized"),
        (text(NAMES), "no usable line"),
        (text(NAMES, "x,y"), "no usable line; the first problem: line 2"),
        (b"PK\x03\x04....", "a zip archive or a spreadsheet: unpack it, or export it as CSV"),
        (b"BZh91AY", "unpack it"),
        (b"PAR1....", "export it as CSV"),
        (gzip.compress(text(NAMES, *rows()), mtime=0)[:12], "cannot be read"),
        (
            text(NAMES.replace(",", ";"), "2025-01-06;30,123;30,500;30,001;30,200;1"),
            "whether the comma in '30,123' is a decimal sign cannot be told",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, content: bytes, why: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(BadFile) as caught:
        Recording(path)
    assert why in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"none\.csv: No such file"):
        Recording(tmp_path / "none.csv")
    with pytest.raises(BadFile, match="Is a directory"):
        Recording(tmp_path)


def test_what_the_file_was_taken_for(tmp_path: Path) -> None:
    assert str(Recording(written(tmp_path, WAYS["semicolons and decimal commas"]))) == (
        "bars of 1 minute, columns between semicolons, decimal commas"
    )
    assert str(Recording(written(tmp_path, WAYS["Bitfinex"]))) == "bars of 1 minute, no header, newest first"
