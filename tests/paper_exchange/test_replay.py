"""Recorded prices become quotes by the stated rule; what is wrong with a file is said with its line."""

import gzip
import os
from decimal import Decimal
from pathlib import Path

import pytest

from paper_exchange.replay import BadFile, Recording
from paper_exchange.server import Options, Server

STEP = Decimal("0.000000001")
HEAD = "timestamp,open,high,low,close,volume\n"
DATA = Path(os.environ.get("DCA_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data")


def bars(folder: Path, *rows: str) -> Path:
    path = folder / "bars.csv.gz"
    path.write_bytes(gzip.compress((HEAD + "".join(f"{row}\n" for row in rows)).encode()))
    return path


def middles(path: Path) -> list[Decimal]:
    return [(point.bid + point.ask) / 2 for point in Recording(path, STEP).points()]


def test_the_path_inside_a_bar(tmp_path: Path) -> None:
    rising, falling = "2026-01-01T00:00:00Z,100,110,90,105,1", "2026-01-01T00:01:00Z,105,112,95,96,1"
    assert middles(bars(tmp_path, rising, falling)) == [100, 90, 110, 105, 105, 112, 95, 96]


def test_the_spread_is_two_hundredths_of_a_percent_or_two_steps(tmp_path: Path) -> None:
    point = next(Recording(bars(tmp_path, "2026-01-01T00:00:00Z,100,100,100,100,1"), STEP).points())
    assert point.ask - point.bid == Decimal("0.02")
    tiny = next(
        Recording(
            bars(tmp_path, "2026-01-01T00:00:00Z,0.00000129,0.00000129,0.00000129,0.00000129,1"), STEP
        ).points()
    )
    assert tiny.ask - tiny.bid >= 2 * STEP


def test_a_hole_passes_like_one_bar(tmp_path: Path) -> None:
    rows = [f"2026-01-01T00:0{n}:00Z,1,1,1,1,1" for n in range(3)] + ["2026-01-01T05:00:00Z,1,1,1,1,1"]
    seconds = [point.seconds for point in Recording(bars(tmp_path, *rows), STEP).points()]
    assert sum(seconds[-4:]) == 60


def test_bad_lines_are_left_out_and_the_first_is_told(tmp_path: Path) -> None:
    good = "2026-01-01T00:00:00Z,1,1,1,1,1"
    path = bars(
        tmp_path,
        good,
        "2026-01-01T00:01:00Z,-1,1,1,1,1",
        "2026-01-01T00:00:00Z,1,1,1,1,1",
        "2026-01-01T00:02:00Z,1,nan,1,1,1",
        "2026-01-01T00:03:00Z,5,4,3,3,1",
        "nonsense",
        "2026-01-01T00:09:00Z,2,2,2,2,1",
    )
    recording = Recording(path, STEP)
    assert len(list(recording.points())) == 8
    assert recording.skipped == 5
    assert recording.first_skipped is not None
    assert recording.first_skipped.startswith("line 3:")


@pytest.mark.parametrize("content", ["", "a,b,c\n1,2,3\n", HEAD, HEAD + "x,y\n"])
def test_a_file_that_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file.csv"
    path.write_text(content)
    with pytest.raises(BadFile, match=r"file\.csv"):
        Recording(path, STEP)


def test_quotes_and_books(tmp_path: Path) -> None:
    quotes = tmp_path / "q.csv"
    quotes.write_text(
        "ts,bid,bid_size,ask,ask_size\n2026-01-01T00:00:00.5Z,1,1,2,1\n2026-01-01T00:00:01Z,3,1,2,1\n"
    )
    recording = Recording(quotes, STEP)
    assert [(int(point.bid), int(point.ask)) for point in recording.points()] == [(1, 2)]
    assert recording.skipped == 1, "crossed"
    books = tmp_path / "b.jsonl"
    books.write_text('{"ts":"2026-01-01T00:00:00Z","bids":[["5","1"]],"asks":[["6","1"]]}\n')
    assert [(int(p.bid), int(p.ask)) for p in Recording(books, STEP).points()] == [(5, 6)]


@pytest.mark.skipif(not DATA.is_dir(), reason="no recorded market data beside the project (DCA_DATA_DIR)")
def test_every_recorded_file_can_be_read() -> None:
    for path in sorted(DATA.glob("*.gz")):
        recording = Recording(path, STEP)
        for count, point in enumerate(recording.points()):
            assert 0 < point.bid <= point.ask
            if count > 2000:
                break
        assert recording.skipped == 0, path.name


@pytest.fixture
def unlisted(tmp_path: Path) -> Path:
    return bars(
        tmp_path, *(f"2026-01-01T00:0{n}:00Z,0.0000004,0.0000005,0.0000003,0.0000004,1" for n in range(9))
    )


def test_a_pair_that_is_not_listed_gets_rules_from_its_price(unlisted: Path) -> None:
    server = Server(Options(replay=unlisted, symbol="BTT/USD"))
    told = server.introduction
    pair = server.engine.pairs["BTT/USD"]
    assert Decimal("0.9") < pair.min_order_size * Decimal("0.0000004") < Decimal("1.1")
    assert told[0] == "bars.csv.gz: bars of 1 minute"
    assert told[1].startswith("BTT/USD is not among the pairs: its rules are made up from its price")
    assert server.engine.quotes["BTT/USD"].is_sane


@pytest.mark.parametrize("symbol", ["BTTUSD", "/USD", "BTT/", "BT T/USD", "btt/USD", ""])
def test_what_is_no_pair_is_told(unlisted: Path, symbol: str) -> None:
    with pytest.raises(BadFile, match="a pair is written like BTC/USD"):
        Server(Options(replay=unlisted, symbol=symbol))


def test_a_price_too_small_for_the_steps_is_told(tmp_path: Path) -> None:
    path = bars(tmp_path, "2026-01-01T00:00:00Z,1e-9,1e-9,1e-9,1e-9,1")
    with pytest.raises(BadFile, match="steps"):
        Server(Options(replay=path, symbol="XYZ/USD"))
