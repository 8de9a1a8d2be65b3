"""What ./bot fuzz has found in rows edited by hand, in .env and in recordings, each under its name."""

import gzip
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dca.core import ledger, lifecycle, strategy
from dca.core.errors import SettingsProblem
from dca.core.model import CycleStatus, Mode, OrderState, Side
from dca.database.rows import outward
from dca.runtime import settings
from dca.runtime.settings import DatabaseSettings
from paper_exchange.replay import BadFile, Recording
from proof.fuzz.environment import GOOD, MAIL
from proof.fuzz.rows import ACKED_SELL
from proof.fuzz.samples import ASSET, BOUGHT, HOLDING, NOW, RULES, SELLING, WATCHING
from recordings.recording import MOST_BAD_LINES
from recordings.source import LONGEST_LINE
from tests.rig import Rig

# ---- rows edited by hand -----------------------------------------------------------------------------------


def test_a_cooldown_that_began_at_the_end_of_time() -> None:
    """OverflowError out of the main loop's refresh: no asset was traded any more, start after start."""
    cooling = replace(
        WATCHING,
        status=CycleStatus.COOLDOWN,
        cooldown_started_at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    )
    ends_at = strategy.cooldown_ends_at(ASSET, cooling)
    assert ends_at is not None and ends_at.year == 9999
    assert strategy.levels(ASSET, cooling, RULES, NOW, Mode.RUN).wake_at == ends_at
    usual = replace(cooling, cooldown_started_at=NOW)
    assert strategy.cooldown_ends_at(ASSET, usual) == NOW + timedelta(seconds=300)


def test_a_cycle_without_orders_that_says_it_sells_and_bought() -> None:
    """BrokenRule ended the consistency checker, for all assets."""
    odd = replace(WATCHING, status=CycleStatus.SELLING, bought_qty=Decimal(1))
    assert lifecycle.healed(odd, [], NOW).cycle == WATCHING


@pytest.mark.parametrize("status", [CycleStatus.COMPLETE, CycleStatus.ERROR])
def test_news_of_an_order_whose_cycle_was_ended_by_hand(status: CycleStatus) -> None:
    """BrokenRule ended main_app at every start; the coins lock the asset now."""
    ended = replace(SELLING, status=status, completed_at=NOW)
    canceled = replace(ACKED_SELL, state=OrderState.DONE, exchange_status="canceled", closed_at=NOW)
    booking = lifecycle.book(ended, [BOUGHT, canceled], NOW)
    assert booking.cycle == ledger.with_totals(ended, [BOUGHT, canceled])
    assert booking.sold_at_price is None
    assert lifecycle.left_behind(booking.cycle, [BOUGHT, canceled]) == HOLDING.quantity


def test_news_of_an_order_whose_cycle_ended_at_no_time() -> None:
    """A client without strict mode writes 0000-00-00, which is not NULL to the server and none to the
    connector: writing the row back broke its rule, and ended main_app."""
    ended = replace(SELLING, status=CycleStatus.ERROR, completed_at=None)
    assert lifecycle.book(ended, [BOUGHT, ACKED_SELL], NOW).cycle.completed_at == NOW


def test_more_refusals_than_the_column_counts() -> None:
    many = replace(WATCHING, refusals=2**31 - 1)
    assert lifecycle.refused(many, Side.BUY, "no", NOW).refusals < 2**31


@pytest.fixture(params=["America/New_York", "Europe/Berlin", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """This machine's time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_an_order_has_its_own_time_on_a_machine_of_any_zone(database: DatabaseSettings) -> None:
    """A row's values went through `outward` twice, and the second time UTC was taken for local time. West of
    Greenwich every order was "used before" and booked as rejected, while it was live at the exchange."""
    assert outward(outward(NOW)) == outward(NOW) == NOW.replace(tzinfo=None)
    rig = Rig(database)
    rig.quote("100")
    order = rig.orders()[0]
    rig.close()
    assert (order.created_at, order.state) == (rig.clock.now(), OrderState.ACKED)


# ---- files like .env ---------------------------------------------------------------------------------------


def problems(**changes: str) -> list[str]:
    try:
        settings.parse({**GOOD, **changes}, env_file_mode=0o600)
    except SettingsProblem as problem:
        return problem.problems
    return []


@pytest.mark.parametrize(
    "name", ["LOG_DIR", "STATE_DIR", "DB_HOST", "DB_PASSWORD", "APCA_API_SECRET_KEY", "WORKERS"]
)
@pytest.mark.parametrize("value", ["a\x00b", "a\nb", "a\x1b[2J", "a\ud800"])
def test_a_value_with_characters_that_nobody_sees(name: str, value: str) -> None:
    """NUL in LOG_DIR was a traceback; a line's end in a mail address one when the first mail was due."""
    found = problems(**{name: value})
    assert len(found) == 1 and found[0].startswith(f"{name} holds ")
    assert found[0].isprintable()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEARTBEAT_PING_URL", "ftp://ping.example.com/4f9e-secret"),
        ("HEARTBEAT_PING_URL", "https://a..b/4f9e-secret"),
        ("DB_PASSWORD", "your_4f9e-secret"),
        ("APCA_API_SECRET_KEY", "YOUR_4f9e-secret"),
        ("APCA_API_SECRET_KEY", "ключ4f9e-secret"),
    ],
)
def test_no_complaint_repeats_a_secret(name: str, value: str) -> None:
    found = problems(**{name: value})
    assert len(found) == 1 and found[0].startswith(f"{name} ")
    assert "4f9e" not in found[0]


@pytest.mark.parametrize(
    "url",
    ["https://a:99999", "https://a:0", "https://a..b", "https://" + "a" * 70, "https://a b", "https://[::1"],
)
def test_an_address_that_no_connection_can_be_made_to(url: str) -> None:
    """It was waited for, for ever."""
    found = problems(APCA_API_BASE_URL=url)
    assert len(found) == 1 and "that is no address" in found[0]


def test_a_mail_server_s_name_that_cannot_be_looked_up() -> None:
    assert len(problems(**MAIL)) == 0
    found = problems(**{**MAIL, "ALERT_EMAIL_SMTP_SERVER": "smtp..example.com"})
    assert len(found) == 1 and "that is no server's name" in found[0]


def test_a_long_value_is_not_told_whole() -> None:
    assert len(problems(WORKERS="9" * 70_000)[0]) < 200


def test_a_settings_file_below_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NotADirectoryError was answered with "check LOG_DIR and STATE_DIR"."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("DCA_ENV_FILE", str(tmp_path / "file" / "env"))
    with pytest.raises(SettingsProblem, match="cannot be read: Not a directory"):
        settings.load()


# ---- recordings --------------------------------------------------------------------------------------------

STEP = Decimal("0.000000001")
BARS = "timestamp,open,high,low,close,volume\n"


def played(path: Path) -> tuple[list[Any], Recording]:
    recording = Recording(path, STEP)
    return list(recording.points()), recording


def bars(count: int) -> str:
    return BARS + "".join(f"2026-01-01T00:{n:02}:00Z,1,1,1,1,1\n" for n in range(count))


@pytest.mark.parametrize("harm", ["cut", "broken", "checksum"])
def test_a_packed_file_with_a_broken_end_is_played_as_far_as_it_goes(tmp_path: Path, harm: str) -> None:
    """EOFError, zlib.error and BadGzipFile ended the exchange in the middle of the replay."""
    whole = gzip.compress(bars(60).encode() + b"".join(bytes([65 + n % 26]) for n in range(40_000)), 1)
    data = {
        "cut": whole[:-20],
        "broken": whole[: len(whole) - 60] + b"\xff" * 40 + whole[-20:],
        "checksum": whole[:-8] + b"\x00" * 8,
    }[harm]
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(data)
    points, recording = played(path)
    assert len(points) == 240 and recording.skipped > 0 and recording.first_skipped


@pytest.mark.parametrize("price", ["1e400", "1e999999999", "1e-400", "0e-999999999", "1e15", "9" * 40])
def test_a_recorded_price_beyond_all_measure_is_left_out(tmp_path: Path, price: str) -> None:
    """InvalidOperation and Overflow ended the exchange."""
    path = tmp_path / "bars.csv"
    path.write_text(bars(2) + f"2026-01-01T00:05:00Z,1,{price},1,1,1\n")
    points, recording = played(path)
    assert len(points) == 8 and recording.skipped == 1


def test_lines_that_no_parser_reads_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    good = '{"ts": "2026-01-01T00:00:00Z", "bids": [["1", "1"]], "asks": [["2", "1"]]}\n'
    times = good.replace("2026-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00")
    path.write_text(good + "[" * 50_000 + "\n" + times + good)
    points, recording = played(path)
    assert len(points) == 2 and recording.skipped == 2


def test_a_hole_in_recorded_quotes_does_not_last_for_years(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text("ts,bid,bs,ask,as\n2026-01-01T00:00:00Z,1,1,2,1\n2036-01-01T00:00:00Z,1,1,2,1\n")
    assert [point.seconds for point in played(path)[0]] == [0, 3600]


@pytest.mark.parametrize("begin", [b"", BARS.encode(), bars(1).encode()])
def test_a_file_without_lines_is_not_read_into_memory(tmp_path: Path, begin: bytes) -> None:
    """A file that is small and holds much."""
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(begin + b"0" * 20_000_000, 9))
    tracemalloc.start()
    try:
        if begin.endswith(b"1\n"):
            points, recording = played(path)
            assert len(points) == 4 and recording.skipped == 1
        else:
            with pytest.raises(BadFile):
                played(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60 * LONGEST_LINE


def test_nobody_waits_for_the_end_of_a_billion_bad_lines(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress(bars(1).encode() + b"no\n" * (MOST_BAD_LINES * 20), 1))
    points, recording = played(path)
    assert len(points) == 4 and recording.skipped == MOST_BAD_LINES + 2
    path.write_bytes(gzip.compress(BARS.encode() + b"no\n" * (MOST_BAD_LINES * 20), 1))
    with pytest.raises(BadFile, match="no usable line"):
        played(path)
