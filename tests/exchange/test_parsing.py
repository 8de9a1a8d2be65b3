"""Alpaca's JSON, value by value: what is read, what is left out, and what is no answer at all."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dca.core.charges import Charge
from dca.core.model import Account, Execution, Position, Quote, Side, Snapshot, TradingRules
from dca.exchange import parsing
from dca.exchange.parsing import Json
from tests.builders import NOW, D

ORDER: dict[str, Any] = {
    "id": "x-1",
    "client_order_id": "dca-abcd1234-12-1-b",
    "symbol": "BTC/USD",
    "side": "buy",
    "status": "partially_filled",
    "qty": "0.2",
    "limit_price": "100.5",
    "filled_qty": "0.1",
    "filled_avg_price": "100.25",
    "created_at": "2026-01-02T03:04:05Z",
    "updated_at": "2026-01-02T04:04:06.123456789+01:00",
}
ASSET: dict[str, Any] = {
    "symbol": "BTC/USD",
    "tradable": True,
    "status": "active",
    "min_order_size": "0.0001",
    "min_trade_increment": "0.000001",
    "price_increment": "0.5",
}
POSITION = {"symbol": "BTCUSD", "qty": "0.2", "qty_available": "0.1"}
ACCOUNT: dict[str, Any] = {
    "id": "an-account",
    "status": "ACTIVE",
    "crypto_status": "APPROVED",
    "trading_blocked": False,
    "account_blocked": True,
    "non_marginable_buying_power": "1234.56",
    "created_at": "2026-01-02T03:04:05Z",
}
FILL = {"id": "f-1", "order_id": "x-1", "qty": "0.1", "price": "100", "side": "sell", "symbol": "BTC/USD"}


# ---- numbers, texts and times -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("12.50", "12.50"),
        (7, "7"),
        (0.1, "0.1"),
        (D("1.5"), "1.5"),
        ("-3", "-3"),
        ("0e400", "0"),
        ("1e-40", "1e-40"),
        ("9e12", "9e12"),
        ("1" + "." + "0" * 62, "1"),
    ],
)
def test_a_number_is_read_as_it_is_written(raw: Any, value: str) -> None:
    assert parsing.number(raw) == D(value)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (True, "not a number: True"),
        (None, "not a number: None"),
        ([1], "not a number"),
        ("abc", "not a number: 'abc'"),
        ("NaN", "not a finite number: 'NaN'"),
        ("Infinity", "not a finite number"),
        ("1e-41", "amount out of range"),
        ("1e13", "amount out of range"),
        ("1" + "." + "0" * 63, f"not a number: 1.{'0' * 62}\\.\\.\\.$"),
        ({"x": "y" * 300}, f"not a number: {{'x': '{'y' * 57}\\.\\.\\.$"),
    ],
)
def test_what_is_no_number_of_money_or_coins_is_refused(raw: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        parsing.number(raw)


def test_a_text_is_printable_and_has_a_length() -> None:
    assert parsing.text({"a": "b" * 200}, "a") == "b" * 200
    with pytest.raises(ValueError, match=r"a is missing in \{'b': 1\}"):
        parsing.text({"b": 1}, "a")
    with pytest.raises(ValueError, match=f"a is invalid: '{'b' * 200}'"):
        parsing.text({"a": "b" * 201}, "a")
    for odd in ("", 7, None, "a\nb", "\ud800"):
        with pytest.raises(ValueError):
            parsing.text({"a": odd}, "a")


@pytest.mark.parametrize("name", ["x" * 65, "ä"])
def test_an_id_of_the_exchange_is_short_and_plain(name: str) -> None:
    assert parsing.snapshot({**ORDER, "id": "x" * 64}).exchange_order_id == "x" * 64
    with pytest.raises(ValueError, match="id is invalid"):
        parsing.snapshot({**ORDER, "id": name})


def test_a_time_is_utc_to_the_microsecond() -> None:
    read = parsing.moment("2026-01-02T04:04:05.123456789+01:00")
    assert read == NOW.replace(microsecond=123456)
    assert read.tzinfo is UTC
    assert parsing.moment("1970-01-01T00:00:00Z").year == 1970
    assert parsing.moment("2199-12-31T00:00:00Z").year == 2199


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (7, "not a time: 7"),
        ("2026-01-02T03:04:05", "time without a time zone"),
        ("1969-12-31T23:59:59Z", "invalid time"),
        ("2200-01-01T00:00:00Z", "invalid time"),
    ],
)
def test_what_is_no_time_is_refused(raw: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parsing.moment(raw)


@pytest.mark.parametrize("read", [parsing.snapshot, parsing.execution, parsing.trading_rules])
@pytest.mark.parametrize("raw", ["text", [], None])
def test_what_is_no_object_is_refused(read: Callable[[Json], object], raw: Any) -> None:
    with pytest.raises(ValueError, match="not an object: "):
        read(raw)


def test_what_is_no_list_is_not_an_empty_one() -> None:
    assert parsing.listed([{"a": 1}]) == [{"a": 1}]
    with pytest.raises(ValueError, match=r"not a list: \{\}"):
        parsing.listed({})
    with pytest.raises(ValueError, match="not an object: 7"):
        parsing.listed([{}, 7])
    with pytest.raises(ValueError) as caught:
        parsing.listed("y" * 1000)
    assert str(caught.value) == f"not a list: {'y' * 200}", "a log is no dump"


# ---- orders -------------------------------------------------------------------------------------------


def test_an_order_is_read_whole() -> None:
    assert parsing.snapshot(ORDER) == Snapshot(
        exchange_order_id="x-1",
        client_order_id="dca-abcd1234-12-1-b",
        symbol="BTC/USD",
        side="buy",
        status="partially_filled",
        qty=D("0.2"),
        limit_price=D("100.5"),
        filled_qty=D("0.1"),
        filled_avg_price=D("100.25"),
        created_at=NOW,
        updated_at=NOW + timedelta(seconds=1, microseconds=123456),
    )


@pytest.mark.parametrize("nothing", [None, ""])
def test_what_an_order_does_not_say_is_not_known(nothing: str | None) -> None:
    optional = ("qty", "limit_price", "filled_qty", "filled_avg_price", "created_at", "updated_at")
    read = parsing.snapshot({**ORDER, "status": "new", **dict.fromkeys(optional, nothing)})
    assert [getattr(read, name) for name in optional] == [None, None, D(0), None, None, None]
    assert parsing.snapshot({**ORDER, "updated_at": "0001-01-01T00:00:00Z"}).updated_at is None


@pytest.mark.parametrize("status", ["filled", "canceled", "expired", "rejected"])
def test_an_order_that_ended_says_what_it_filled(status: str) -> None:
    """Of nothing said nothing would be booked, and it would be bought again."""
    with pytest.raises(ValueError, match=f"{status}, and filled_qty is None"):
        parsing.snapshot({**ORDER, "status": status, "filled_qty": None})


def test_a_filled_order_has_filled_something_and_a_canceled_one_need_not() -> None:
    with pytest.raises(ValueError, match="filled, and filled_qty is '0'"):
        parsing.snapshot({**ORDER, "status": "filled", "filled_qty": "0"})
    assert parsing.snapshot({**ORDER, "status": "filled"}).filled_qty == D("0.1")
    for price in (None, "0", "100"):
        nothing = {"status": "canceled", "filled_qty": "0", "filled_avg_price": price}
        assert parsing.snapshot({**ORDER, **nothing}).filled_qty == 0


@pytest.mark.parametrize("name", ["qty", "limit_price", "filled_qty", "filled_avg_price"])
def test_no_amount_of_an_order_is_negative(name: str) -> None:
    with pytest.raises(ValueError, match=f"negative {name}: -1"):
        parsing.snapshot({**ORDER, name: "-1"})


@pytest.mark.parametrize("price", ["1e-10", "9999999999"])
def test_a_price_that_the_ledger_can_hold(price: str) -> None:
    assert parsing.execution({**FILL, "price": price}).price == D(price)


@pytest.mark.parametrize(
    ("qty", "price"), [("0", "1"), ("-1", "1"), ("1", "9e-11"), ("0.1", "1e10"), ("1000", "1e9"), ("1", "0")]
)
def test_a_trade_that_cannot_be_is_refused(qty: str, price: str) -> None:
    with pytest.raises(ValueError, match="invalid trade: "):
        parsing.execution({**FILL, "qty": qty, "price": price})


def test_the_fill_of_an_order_is_a_possible_trade() -> None:
    with pytest.raises(ValueError, match="invalid trade"):
        parsing.snapshot({**ORDER, "filled_avg_price": "1e10"})
    assert parsing.snapshot({**ORDER, "filled_avg_price": "0"}).filled_avg_price == 0  # asked for again


def test_a_long_new_status_is_cut_to_its_column() -> None:
    assert parsing.snapshot({**ORDER, "status": "n" * 40}).status == "n" * 32


def test_the_order_that_was_asked_for_and_no_other() -> None:
    assert parsing.snapshot_of(ORDER, "dca-abcd1234-12-1-b") == parsing.snapshot(ORDER)
    with pytest.raises(ValueError, match="asked for other, got dca-abcd1234-12-1-b"):
        parsing.snapshot_of(ORDER, "other")


def test_an_odd_order_hides_no_other() -> None:
    assert parsing.snapshots([{}, "odd", ORDER]) == [parsing.snapshot(ORDER)]


# ---- assets, positions, the account -------------------------------------------------------------------


def test_the_rules_of_a_pair() -> None:
    assert parsing.trading_rules(ASSET) == TradingRules(
        symbol="BTC/USD",
        tradable=True,
        min_order_size=D("0.0001"),
        qty_increment=D("0.000001"),
        price_increment=D("0.5"),
    )


@pytest.mark.parametrize("change", [{"tradable": False}, {"tradable": "true"}, {"status": "inactive"}])
def test_a_pair_is_traded_if_both_say_so(change: dict[str, Any]) -> None:
    assert not parsing.trading_rules({**ASSET, **change}).tradable


def test_no_step_is_finer_than_what_an_order_may_carry() -> None:
    """Of 0 coins nothing is sold."""
    steps = dict.fromkeys(("min_order_size", "min_trade_increment", "price_increment"), "0")
    read = parsing.trading_rules({**ASSET, **steps})
    assert {read.min_order_size, read.qty_increment, read.price_increment} == {D("1e-9")}


def test_a_position_is_of_the_pair_that_was_asked_for() -> None:
    wanted = Position(symbol="BTC/USD", qty=D("0.2"), qty_available=D("0.1"))
    assert parsing.position(POSITION, "BTC/USD") == wanted
    with pytest.raises(ValueError, match="asked for ETH/USD, got BTCUSD"):
        parsing.position(POSITION, "ETH/USD")


@pytest.mark.parametrize(("said", "available"), [(None, "0.2"), ("0", "0")])
def test_what_is_available_is_all_where_nothing_is_said(said: str | None, available: str) -> None:
    assert parsing.position({**POSITION, "qty_available": said}, "BTC/USD").qty_available == D(available)


def test_an_account_is_read_whole_and_a_switch_that_is_left_out_is_off() -> None:
    assert parsing.account(ACCOUNT) == Account(
        id="an-account",
        status="ACTIVE",
        crypto_status="APPROVED",
        trading_blocked=False,
        account_blocked=True,
        trade_suspended_by_user=False,
        non_marginable_buying_power=D("1234.56"),
        made_at=NOW,
    )
    assert parsing.account({**ACCOUNT, "crypto_status": None}).crypto_status == ""


@pytest.mark.parametrize("name", ["trading_blocked", "account_blocked", "trade_suspended_by_user"])
def test_a_switch_that_cannot_be_read_is_not_off(name: str) -> None:
    assert getattr(parsing.account({**ACCOUNT, name: True}), name) is True
    with pytest.raises(ValueError, match=f"{name} is neither true nor false: no"):
        parsing.account({**ACCOUNT, name: "no"})


# ---- activities ---------------------------------------------------------------------------------------


def test_an_execution_is_read_whole() -> None:
    assert parsing.execution(FILL) == Execution(id="f-1", exchange_order_id="x-1", qty=D("0.1"), price=D(100))


@pytest.mark.parametrize(
    ("change", "is_sale"),
    [({}, True), ({"symbol": "BTCUSD"}, True), ({"side": "sell_short"}, True), ({"side": "buy"}, False)],
)
def test_a_sale_is_what_is_no_buy_of_the_pair(change: dict[str, str], is_sale: bool) -> None:
    assert parsing.is_sale({**FILL, **change}, "BTC/USD") is is_sale
    assert not parsing.is_sale({**FILL, **change}, "ETH/USD")


COINS = {"created_at": "2026-01-02T03:04:05Z", "symbol": "BTC/USD", "qty": "-0.0005"}
DOLLARS = {"date": "2026-01-02", "net_amount": "-0.05", "description": "Coin Pair Transaction Fee"}
END_OF_DAY = datetime(2026, 1, 2, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "charge"),
    [
        (COINS, Charge(symbol="BTCUSD", amount=D("0.0005"), at=NOW)),
        ({**COINS, "net_amount": "0"}, Charge(symbol="BTCUSD", amount=D("0.0005"), at=NOW)),
        (DOLLARS, Charge(symbol=None, amount=D("0.05"), at=END_OF_DAY)),
        ({**DOLLARS, "qty": "1"}, Charge(symbol=None, amount=D("0.05"), at=END_OF_DAY)),
        ({**COINS, "qty": "0", "net_amount": "-1", "description": "coin"}, None),
        ({**DOLLARS, "net_amount": "0"}, None),
        ({**DOLLARS, "description": "REG fee"}, None),
        ({**DOLLARS, "date": None}, None),
        ({}, None),
    ],
)
def test_a_fee_is_in_coins_of_a_pair_or_in_dollars_of_coin_trades(
    raw: dict[str, Any], charge: Charge | None
) -> None:
    assert parsing.charge(raw) == charge


# ---- quotes and books ---------------------------------------------------------------------------------


def test_a_quote_of_the_stream_and_one_of_a_list_say_the_same() -> None:
    later = NOW + timedelta(seconds=1)
    wanted = Quote(symbol="BTC/USD", bid=D(99), ask=D(101), at=NOW, received_at=later)
    assert parsing.stream_quote({"S": "BTC/USD", "bp": 99, "ap": 101, "t": NOW}, later) == wanted
    listed = {"bp": 99, "ap": 101, "t": "2026-01-02T03:04:05Z"}
    assert parsing.rest_quote("BTC/USD", listed, later) == wanted


def test_a_quote_without_a_time_is_none() -> None:
    with pytest.raises(ValueError, match="a quote without a time"):
        parsing.stream_quote({"S": "BTC/USD", "bp": 99, "ap": 101, "t": "2026-01-02T03:04:05Z"}, NOW)


def test_a_book_is_read_with_its_sides_as_they_are() -> None:
    raw = {
        "t": "2026-01-02T03:04:05Z",
        "b": [{"p": 99, "s": 1}, {"p": 98, "s": 0}],
        "a": [{"p": 101, "s": 2}],
    }
    book = parsing.rest_book("BTC/USD", raw)
    bids, asks = book.taken_by(Side.SELL), book.taken_by(Side.BUY)
    assert list(bids) == [(Decimal(99), Decimal(1))]
    assert list(asks) == [(Decimal(101), Decimal(2))]
    assert book.problem_alone(NOW, D(30)) is None
    one_sided = parsing.rest_book("BTC/USD", {**raw, "a": None})
    assert list(one_sided.taken_by(Side.BUY)) == []
