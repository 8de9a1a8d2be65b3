"""What ./bot fuzz has found, each under its name."""

import gzip
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgpack
import pytest

from dca import ledger, lifecycle, settings, strategy, wire
from dca.broker import Broker
from dca.errors import ExchangeUnavailable, SettingsProblem
from dca.model import CycleStatus, DefiniteReject, Mode, OrderState, Quote, Side, Unknown
from dca.settings import DatabaseSettings
from dca.store_rows import outward
from paper_exchange.replay import LONGEST_LINE, MOST_BAD_LINES, BadFile, Recording
from proof.fuzz import samples, sane
from proof.fuzz.environment import GOOD, MAIL
from proof.fuzz.frames import OrderFrames, QuoteFrames
from proof.fuzz.rows import ACKED_SELL
from proof.fuzz.samples import ASSET, BOUGHT, BUY, BUY_ID, HOLDING, NOW, RULES, SELLING, SYMBOL, WATCHING
from proof.fuzz.transport import SETTINGS, Answer, broker_with
from tests.rig import Rig

DEEP = "[" * 100_000


def answered(body: object, status: int = 200) -> Broker:
    """A broker whose every request is answered so."""
    text = body if isinstance(body, str) else json.dumps(body)
    return broker_with(lambda _request: Answer(status=status, body=text.encode()), SETTINGS)


READS: dict[str, Callable[[Broker], Any]] = {
    "order": lambda broker: broker.order(BUY_ID),
    "open_orders": lambda broker: broker.open_orders(),
    "closed_orders": lambda broker: broker.closed_orders(NOW),
    "position": lambda broker: broker.position(SYMBOL),
    "positions": lambda broker: broker.positions(),
    "executions": lambda broker: broker.executions([samples.SENT]),
    "account": lambda broker: broker.account(),
    "clock": lambda broker: broker.clock(),
    "trading_rules": lambda broker: broker.trading_rules(),
    "latest_quotes": lambda broker: broker.latest_quotes([SYMBOL], NOW),
    "latest_quote_times": lambda broker: broker.latest_quote_times([SYMBOL]),
}
every_read = pytest.mark.parametrize("read", READS.values(), ids=READS)


# ---- answers of the REST API -------------------------------------------------------------------------------


@every_read
@pytest.mark.parametrize("body", [{}, {"message": "internal error"}, "", '""', "null", "[1]", '["a"]', "7"])
def test_what_is_no_list_is_no_empty_list(read: Callable[[Broker], Any], body: object) -> None:
    """{} was taken for an account without orders: list({}) is empty."""
    with pytest.raises(ExchangeUnavailable):
        read(answered(body))


@every_read
@pytest.mark.parametrize("body", [DEEP, '{"a":' * 50_000, '{"quotes": ' + DEEP])
def test_nesting_without_end_is_not_understood(read: Callable[[Broker], Any], body: str) -> None:
    """RecursionError ended main_app."""
    with pytest.raises(ExchangeUnavailable):
        read(answered(body))
    assert isinstance(answered(body).submit(BUY), Unknown)
    with pytest.raises(ExchangeUnavailable):
        answered(body).cancel("x-1")


@pytest.mark.parametrize("quotes", [[], None, 7, "none"])
def test_quotes_that_are_no_object(quotes: object) -> None:
    """AttributeError ended main_app."""
    for read in ("latest_quotes", "latest_quote_times"):
        with pytest.raises(ExchangeUnavailable):
            READS[read](answered({"quotes": quotes}))


@pytest.mark.parametrize(("status", "outcome"), [(500, Unknown), (403, DefiniteReject), (429, Unknown)])
def test_an_error_s_code_without_end(status: int, outcome: type) -> None:
    """OverflowError came out of a POST, which has four outcomes and no fifth."""
    for code in ("Infinity", "-Infinity", "NaN", "1e999", DEEP, "8" * 5000):
        body = f'{{"code": {code}, "message": "no"}}'
        assert isinstance(answered(body, status).submit(BUY), outcome)
        with pytest.raises(ExchangeUnavailable):
            answered(body, status).account()


@pytest.mark.parametrize("status", [100, 600, 999])
def test_a_status_that_is_none_is_no_yes(status: int) -> None:
    assert isinstance(answered(samples.order(), status).submit(BUY), Unknown)
    with pytest.raises(ExchangeUnavailable):
        answered({}, status).cancel("x-1")


def test_an_answer_about_something_else() -> None:
    with pytest.raises(ExchangeUnavailable, match="asked for"):
        answered(samples.order("dca-another-one")).order(BUY_ID)
    with pytest.raises(ExchangeUnavailable, match="asked for BTC/USD"):
        answered({**samples.POSITION, "symbol": "ETHUSD"}).position(SYMBOL)


@pytest.mark.parametrize("value", ["true", "no", 1, 0, [], {}])
def test_a_block_that_cannot_be_read_is_not_off(value: object) -> None:
    with pytest.raises(ExchangeUnavailable):
        answered({**samples.ACCOUNT, "trading_blocked": value}).account()
    assert answered({**samples.ACCOUNT, "trading_blocked": None}).account().trading_blocked is False


# ---- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        *("1e999999999", "-1e999999999", "1e-999999999", "1e13", "1e-50", "9" * 5000, "0." + "3" * 500),
        *(10**400, 1e300, float("inf"), "NaN"),
    ],
)
def test_a_number_beyond_all_measure(value: object) -> None:
    """1e999999999 is finite, raises when added up, and takes a gigabyte to print."""
    with pytest.raises(ValueError, match="not a"):
        wire.number(value)


@pytest.mark.parametrize("value", ["0e-999999999", "0e999999999", "0.000", -0.0, 0])
def test_a_zero_of_any_length_is_zero(value: object) -> None:
    assert str(wire.number(value)) == "0"


@pytest.mark.parametrize("value", ["9999999999999.123456789", "0.000000000000000001", 1e-9, 64099.85])
def test_amounts_that_there_are(value: object) -> None:
    assert wire.number(value) == Decimal(str(value))


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_at_the_end_of_time(value: str) -> None:
    """OverflowError ended main_app, and stopped the order stream for good."""
    with pytest.raises(ValueError, match="not a possible time"):
        wire.moment(value)
    with pytest.raises(ExchangeUnavailable):
        answered({"timestamp": value}).clock()
    assert isinstance(answered({**samples.order(), "updated_at": value}).submit(BUY), Unknown)


def test_go_s_way_to_say_that_there_is_no_time() -> None:
    assert wire.snapshot({**samples.order(), "updated_at": "0001-01-01T00:00:00Z"}).updated_at is None


@pytest.mark.parametrize("filled", [None, "", "0", 0])
def test_filled_without_an_amount_is_not_nothing_filled(filled: object) -> None:
    """It would have been booked as an order that bought nothing, and bought again."""
    body = {**samples.order(status="filled", filled="0.2", price="99"), "filled_qty": filled}
    with pytest.raises(ValueError, match="filled_qty"):
        wire.snapshot(body)
    assert isinstance(answered(body).submit(BUY), Unknown)


@pytest.mark.parametrize("status", ["canceled", "expired", "rejected"])
def test_ended_without_an_amount_is_not_nothing_filled(status: str) -> None:
    with pytest.raises(ValueError, match="filled_qty"):
        wire.snapshot({**samples.order(status=status), "filled_qty": None})
    assert wire.snapshot(samples.order(status=status)).filled_qty == 0


@pytest.mark.parametrize("price", ["-1", "1e10", "1e-11", "1e12"])
def test_a_fill_at_a_price_that_no_column_holds(price: str) -> None:
    """The database refused the row, which ended main_app at every start."""
    with pytest.raises(ValueError, match=r"negative|not a possible trade"):
        wire.snapshot(samples.order(status="filled", filled="0.2", price=price))
    with pytest.raises(ValueError, match="not a possible trade"):
        wire.execution({**samples.FILL, "price": price})


def test_a_status_longer_than_its_column() -> None:
    """A new status of Alpaca's, 36 letters long, would have ended main_app at every start."""
    found = wire.snapshot(samples.order(status="waiting_for_something_nobody_heard_of_yet"))
    assert len(found.status) == 32 and not found.is_closed
    sane.booked([BUY], samples.BUYING, found)


@pytest.mark.parametrize("value", ["\ud800", "a\x00b", "\x1b[2J", "x\ny", "x" * 300])
@pytest.mark.parametrize("name", ["id", "status", "client_order_id", "symbol", "side"])
def test_texts_that_cannot_be_stored_or_shown(name: str, value: str) -> None:
    """Half a character, "\\ud800", is legal JSON, and no database takes it."""
    with pytest.raises(ValueError, match="makes no sense"):
        wire.snapshot({**samples.order(), name: value})


@pytest.mark.parametrize("value", ["x" * 65, "ключ"])
def test_an_id_that_its_column_does_not_hold(value: str) -> None:
    with pytest.raises(ValueError, match="makes no sense"):
        wire.snapshot({**samples.order(), "id": value})


@pytest.mark.parametrize("size", ["0", "-1", "1e-12"])
def test_a_smallest_order_of_nothing(size: str) -> None:
    """With it a cycle that holds nothing was to be sold: an order for 0 coins, which the database refuses."""
    rules = wire.trading_rules({**samples.PAIR, "min_order_size": size})
    assert rules.min_order_size > 0
    assert not strategy.can_be_sold(WATCHING, rules)


def test_more_filled_than_was_ordered_is_another_order() -> None:
    found = wire.snapshot(samples.order(status="filled", filled="0.3", price="99"))
    assert ledger.mismatch(BUY, found) == "0.3 of 0.2 are filled"


# ---- the streams -------------------------------------------------------------------------------------------

LISTENING = (
    '{"stream": "authorization", "data": {"status": "authorized"}}',
    '{"stream": "listening", "data": {"streams": ["trade_updates"]}}',
)
AUTHENTICATED = tuple(
    msgpack.packb([{"T": "success", "msg": words}]) for words in ("connected", "authenticated")
)


@pytest.mark.parametrize(
    "frame", [DEEP, '{"stream":' * 50_000, '{"stream": "trade_updates", "data": ' + DEEP]
)
def test_an_update_nested_without_end_is_dropped_with_a_line(frame: str) -> None:
    """RecursionError ended the feed's thread, and with it main_app."""
    good = json.dumps({"stream": "trade_updates", "data": {"order": samples.order()}})
    kind = OrderFrames()
    found, told = kind._heard("orders", [*LISTENING, frame, good])
    kind.close()
    assert [each.client_order_id for each in found] == [BUY_ID], "what comes after it is heard"
    assert len(told) == 1


@pytest.mark.parametrize(
    "frame",
    [
        b"\x91\x82\xa1T\xa1q\xa1t\xc7\x0c\xff\x00\x00\x00\x00\x7f"
        + b"\xff" * 7,  # in the year 292,277,026,596
        DEEP,
        b"\x91" * 5000 + b"\xc0",
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_quotes_that_cannot_be_unpacked_close_the_stream_and_no_more(frame: str | bytes) -> None:
    """A time out of range raised OverflowError, which ended the feed's thread."""
    kind = QuoteFrames()
    found, _ = kind._heard("quotes", [*AUTHENTICATED, frame])
    kind.close()
    assert found == []


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


def test_a_quote_that_is_not_finite_never_decides() -> None:
    """The last gate, whatever the parsers let through."""
    for bid in ("NaN", "Infinity", "-1", "0"):
        quote = Quote(symbol=SYMBOL, bid=Decimal(bid), ask=Decimal(100), at=NOW, received_at=NOW)
        limits = {"max_age_seconds": Decimal(15), "max_spread_percent": Decimal(2)}
        assert strategy.quote_problem(quote, NOW, **limits) is not None
