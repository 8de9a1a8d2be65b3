"""The log: one line per fact, in a form that grep can rely on."""

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from dca.core.model import Side
from dca.runtime.log_lines import LineFormatter, Troubles, fact, warn
from tests.builders import NOW

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "  # time
    r"(INFO |WARNING|ERROR) "
    r"(?P<tag>\S+) (?P<symbol>\S+) (?P<cycle>-|c\d+) .+"
)


class Paper(logging.Handler):
    """Keeps what would have been written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    log, paper = logging.getLogger("dca"), Paper()
    before, propagates = log.level, log.propagate
    log.addHandler(paper)
    log.setLevel(logging.INFO)
    log.propagate = False
    yield paper.lines
    log.removeHandler(paper)
    log.setLevel(before)
    log.propagate = propagates


def test_a_whole_line(lines: list[str]) -> None:
    fact(
        "order",
        "placed",
        symbol="BTC/USD",
        cycle=12,
        side=Side.BUY,
        qty=Decimal("0.00030"),
        limit=Decimal("6.51E+4"),
        nothing=None,
        why="ask 65100 fell to 65123.4",
    )
    (line,) = lines
    assert re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line)
    assert line[25:] == (
        'INFO  order BTC/USD c12 placed side=buy qty=0.0003 limit=65100 why="ask 65100 fell to 65123.4"'
    )


def test_the_time_is_that_of_the_record_in_utc() -> None:
    record = logging.LogRecord("dca", logging.INFO, "x", 1, "hello", None, None)
    record.created = NOW.timestamp() + 0.0429
    assert LineFormatter().format(record) == "2026-01-02T03:04:05.042Z INFO  hello"


def test_every_line_has_its_columns(lines: list[str]) -> None:
    fact("start", "trading", epoch=3)
    warn("quotes", "stale", symbol="BTC/USD", why="20 s old")
    fact("stop", "cannot go on", level=logging.ERROR, why="no database")
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), lines
    columns = [(match["tag"], match["symbol"], match["cycle"]) for match in found if match]
    assert columns == [("start", "-", "-"), ("quotes", "BTC/USD", "-"), ("stop", "-", "-")]
    assert [line.split()[1] for line in lines] == ["INFO", "WARNING", "ERROR"]


def test_values_of_several_words_stay_one_value(lines: list[str]) -> None:
    fact("start", "trading", details={"venue": "local paper", "pairs": 7})
    assert lines[0].endswith('trading venue="local paper" pairs=7')


EVIL = 'no\n2026-01-02T03:04:05.000Z INFO  order BTC/USD c1 placed\r\n\t"qty"=1\x0b\x0c\x85\u2028x'


def test_text_from_outside_cannot_write_a_line_of_its_own(lines: list[str]) -> None:
    fact("order", "refused", why=EVIL, message=EVIL)
    assert len(lines) == 1
    assert len(lines[0].splitlines()) == 1
    assert lines[0].count('"') == 4, "two values, each in its quotes"


@pytest.mark.parametrize("field", ["what", "symbol"])
def test_nor_can_a_symbol_or_a_fact(lines: list[str], field: str) -> None:
    words = {"what": "refused", "symbol": "BTC/USD", field: EVIL}
    fact("order", words["what"], symbol=words["symbol"])
    assert len(lines[0].splitlines()) == 1


def test_a_traceback_follows_its_line(lines: list[str]) -> None:
    try:
        raise ValueError("secretless")
    except ValueError:
        logging.getLogger("dca").exception("crash - - a bug")
    first, *rest = lines[0].splitlines()
    assert first.endswith("ERROR crash - - a bug")
    assert rest[0].startswith("Traceback") and rest[-1] == "ValueError: secretless"


def test_a_trouble_is_told_first_then_counted_then_over_once(lines: list[str]) -> None:
    troubles = Troubles()
    troubles.ends("stream", "quotes", NOW)
    assert lines == [], "it always worked"
    for second in range(50):
        troubles.begins("stream", "quotes", f"silent {second}", NOW + timedelta(seconds=second), symbol="-")
    assert len(lines) == 1
    assert 'WARNING stream - - quotes why="silent 0"' in lines[0]
    assert troubles.names() == ["stream quotes"]
    troubles.ends("stream", "quotes", NOW + timedelta(seconds=61))
    troubles.ends("stream", "quotes", NOW + timedelta(seconds=62))
    assert len(lines) == 2
    assert lines[1].endswith("INFO  stream - - over: quotes times=50 seconds=61")
    assert troubles.names() == []


def test_a_trouble_that_comes_back_is_told_again(lines: list[str]) -> None:
    troubles = Troubles()
    for _ in range(3):
        troubles.begins("db", "not there", "refused", NOW)
        troubles.ends("db", "not there", NOW)
    assert len(lines) == 6


def test_troubles_are_kept_apart(lines: list[str]) -> None:
    troubles = Troubles()
    troubles.begins("quotes", "BTC/USD", "stale", NOW, symbol="BTC/USD")
    troubles.begins("quotes", "ETH/USD", "stale", NOW, symbol="ETH/USD")
    troubles.ends("quotes", "BTC/USD", NOW, symbol="BTC/USD")
    assert troubles.names() == ["quotes ETH/USD"]
    assert [line.split()[3] for line in lines] == ["BTC/USD", "ETH/USD", "BTC/USD"]
