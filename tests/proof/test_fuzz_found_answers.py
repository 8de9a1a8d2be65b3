"""What ./bot fuzz has found in what the exchange says, each under its name."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgpack
import pytest

from dca.core import ledger, strategy
from dca.core.errors import ExchangeUnavailable
from dca.core.model import Quote, Unknown
from dca.exchange import parsing
from dca.exchange.rest_client import Broker
from proof.fuzz import samples, sane
from proof.fuzz.frames import OrderFrames, QuoteFrames
from proof.fuzz.samples import BUY, BUY_ID, NOW, SYMBOL, WATCHING
from proof.fuzz.transport import SETTINGS, Answer, broker_with

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


@pytest.mark.parametrize("status", [500, 403, 429])
def test_an_error_s_code_without_end(status: int) -> None:
    """OverflowError came out of a POST, which has four outcomes and no fifth."""
    for code in ("Infinity", "-Infinity", "NaN", "1e999", DEEP, "8" * 5000):
        body = f'{{"code": {code}, "message": "no"}}'
        assert isinstance(answered(body, status).submit(BUY), Unknown)
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
    with pytest.raises(ValueError, match=r"not a|out of range"):
        parsing.number(value)


@pytest.mark.parametrize("value", ["0e-999999999", "0e999999999", "0.000", -0.0, 0])
def test_a_zero_of_any_length_is_zero(value: object) -> None:
    assert str(parsing.number(value)) == "0"


@pytest.mark.parametrize("value", ["9999999999999.123456789", "0.000000000000000001", 1e-9, 64099.85])
def test_amounts_that_there_are(value: object) -> None:
    assert parsing.number(value) == Decimal(str(value))


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_at_the_end_of_time(value: str) -> None:
    """OverflowError ended main_app, and stopped the order stream for good."""
    with pytest.raises(ValueError, match="invalid time"):
        parsing.moment(value)
    with pytest.raises(ExchangeUnavailable):
        answered({"timestamp": value}).clock()
    assert isinstance(answered({**samples.order(), "updated_at": value}).submit(BUY), Unknown)


def test_go_s_way_to_say_that_there_is_no_time() -> None:
    assert parsing.snapshot({**samples.order(), "updated_at": "0001-01-01T00:00:00Z"}).updated_at is None


@pytest.mark.parametrize("filled", [None, "", "0", 0])
def test_filled_without_an_amount_is_not_nothing_filled(filled: object) -> None:
    """It would have been booked as an order that bought nothing, and bought again."""
    body = {**samples.order(status="filled", filled="0.2", price="99"), "filled_qty": filled}
    with pytest.raises(ValueError, match="filled_qty"):
        parsing.snapshot(body)
    assert isinstance(answered(body).submit(BUY), Unknown)


@pytest.mark.parametrize("status", ["canceled", "expired", "rejected"])
def test_ended_without_an_amount_is_not_nothing_filled(status: str) -> None:
    with pytest.raises(ValueError, match="filled_qty"):
        parsing.snapshot({**samples.order(status=status), "filled_qty": None})
    assert parsing.snapshot(samples.order(status=status)).filled_qty == 0


@pytest.mark.parametrize("price", ["-1", "1e10", "1e-11", "1e12"])
def test_a_fill_at_a_price_that_no_column_holds(price: str) -> None:
    """The database refused the row, which ended main_app at every start."""
    with pytest.raises(ValueError, match=r"negative|invalid trade"):
        parsing.snapshot(samples.order(status="filled", filled="0.2", price=price))
    with pytest.raises(ValueError, match="invalid trade"):
        parsing.execution({**samples.FILL, "price": price})


def test_a_status_longer_than_its_column() -> None:
    """A new status of Alpaca's, 36 letters long, would have ended main_app at every start."""
    found = parsing.snapshot(samples.order(status="waiting_for_something_nobody_heard_of_yet"))
    assert len(found.status) == 32 and not found.is_closed
    sane.booked([BUY], samples.BUYING, found)


@pytest.mark.parametrize("value", ["\ud800", "a\x00b", "\x1b[2J", "x\ny", "x" * 300])
@pytest.mark.parametrize("name", ["id", "status", "client_order_id", "symbol", "side"])
def test_texts_that_cannot_be_stored_or_shown(name: str, value: str) -> None:
    """Half a character, "\\ud800", is legal JSON, and no database takes it."""
    with pytest.raises(ValueError, match="is invalid"):
        parsing.snapshot({**samples.order(), name: value})


@pytest.mark.parametrize("value", ["x" * 65, "ключ"])
def test_an_id_that_its_column_does_not_hold(value: str) -> None:
    with pytest.raises(ValueError, match="is invalid"):
        parsing.snapshot({**samples.order(), "id": value})


@pytest.mark.parametrize("size", ["0", "-1", "1e-12"])
def test_a_smallest_order_of_nothing(size: str) -> None:
    """With it a cycle that holds nothing was to be sold: an order for 0 coins, which the database refuses."""
    rules = parsing.trading_rules({**samples.PAIR, "min_order_size": size})
    assert rules.min_order_size > 0
    assert not strategy.can_be_sold(WATCHING, rules)


def test_more_filled_than_was_ordered_is_another_order() -> None:
    found = parsing.snapshot(samples.order(status="filled", filled="0.3", price="99"))
    assert ledger.mismatch(BUY, found) == "0.3 of 0.2 are filled"


def test_a_quote_that_is_not_finite_never_decides() -> None:
    """The last gate, whatever the parsers let through."""
    for bid in ("NaN", "Infinity", "-1", "0"):
        quote = Quote(symbol=SYMBOL, bid=Decimal(bid), ask=Decimal(100), at=NOW, received_at=NOW)
        limits = {"max_age_seconds": Decimal(15), "max_spread_percent": Decimal(2)}
        assert strategy.quote_problem(quote, NOW, **limits) is not None


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
