"""Nonsense from a client: every input has an answer in Alpaca's form, and nothing ends a connection."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from websockets.sync.client import connect

from tests.processes import ExchangeProcess

NESTED = "[" * 100_000 + "]" * 100_000
MARKET = {"symbol": "BTC/USD", "side": "buy", "type": "market", "time_in_force": "gtc"}


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    process = ExchangeProcess(
        tmp_path_factory.mktemp("exchange") / "log", "--market", "still", "--rate-limit", "0"
    )
    yield process
    process.stop()


def ask(exchange: ExchangeProcess, method: str, path: str, body: str | None = None) -> requests.Response:
    urls = exchange.urls
    headers = {"APCA-API-KEY-ID": urls["key_id"], "APCA-API-SECRET-KEY": urls["secret_key"]}
    return requests.request(method, urls["trading"] + path, data=body, headers=headers, timeout=10)


NUMBERS = ("abc", "-1", "0", "1.5", "1e3", "99999999999999999999", "Infinity", "NaN", "½")
TIMES = (
    "abc",
    "2026-13-01",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "1e400",
    "--",
    "2026-11-02T25:00:00Z",
)


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/v2/orders?limit=", {200, 422}),
        ("/v2/account/activities?page_size=", {200, 422}),
        ("/v2/account/activities/FILL?page_size=", {200, 422}),
        ("/v1beta3/crypto/us/bars?symbols=BTC/USD&limit=", {200, 400}),
    ],
)
def test_a_number_that_is_none(exchange: ExchangeProcess, path: str, statuses: set[int], value: str) -> None:
    answer = ask(exchange, "GET", path + value)
    assert answer.status_code in statuses
    if answer.status_code != 200:
        assert value[:20] in answer.json()["message"]
    assert answer.status_code != 200 or value not in {"abc", "-1", "0", "1.5", "Infinity", "NaN"}


@pytest.mark.parametrize("value", TIMES)
@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("/v2/orders?after=", 422),
        ("/v2/orders?until=", 422),
        ("/v2/account/activities?after=", 422),
        ("/v2/account/activities?date=", 422),
        ("/v2/calendar?start=", 422),
        ("/v2/calendar?end=", 422),
        ("/v1beta3/crypto/us/bars?symbols=BTC/USD&start=", 400),
        ("/v1beta3/crypto/us/quotes?symbols=BTC/USD&end=", 400),
    ],
)
def test_a_time_that_is_none(exchange: ExchangeProcess, path: str, refusal: int, value: str) -> None:
    answer = ask(exchange, "GET", path + value)
    assert answer.status_code == refusal
    body = answer.json()
    assert body["message"].startswith("invalid ")
    assert ("code" in body) == (refusal == 422)


def test_a_calendar_from_a_time_that_is_one(exchange: ExchangeProcess) -> None:
    answer = ask(exchange, "GET", "/v2/calendar?start=2026-11-02T00:00:00Z&end=2026-11-08")
    assert [day["date"] for day in answer.json()] == [f"2026-11-0{number}" for number in range(2, 7)]


@pytest.mark.parametrize("name", ["qty", "notional", "limit_price", "stop_price"])
@pytest.mark.parametrize(
    "value", ["1e1000000", "1e30", "-1", "0", "NaN", "Infinity", "abc", "", [], {}, True]
)
def test_an_amount_that_is_none(exchange: ExchangeProcess, name: str, value: object) -> None:
    body = {**MARKET, "type": "stop_limit", "qty": "0.01", "limit_price": "1", "stop_price": "1", name: value}
    answer = ask(exchange, "POST", "/v2/orders", json.dumps(body))
    assert answer.status_code in {403, 422}
    assert {"code", "message"} <= answer.json().keys()


@pytest.mark.parametrize("body", [NESTED, "", "null", "[]", "5", '"x"', "{", '{"a":1}', "\x00"])
@pytest.mark.parametrize("path", ["/v2/orders"])
def test_a_body_that_is_none(exchange: ExchangeProcess, path: str, body: str) -> None:
    answer = ask(exchange, "POST", path, body)
    assert answer.status_code in {400, 422}
    assert {"code", "message"} <= answer.json().keys()


@pytest.mark.parametrize("value", ["Infinity", "abc", "-5", "0", "101", "1e99"])
def test_a_part_of_a_position_that_is_none(exchange: ExchangeProcess, value: str) -> None:
    requests.post(exchange.urls["admin"] + "/positions", json={"symbol": "SOL/USD", "qty": "3"}, timeout=10)
    answer = ask(exchange, "DELETE", f"/v2/positions/SOLUSD?percentage={value}")
    assert answer.status_code == 422
    assert {"code", "message"} <= answer.json().keys()


@pytest.mark.parametrize("path", ["/v2/nothing", "/v3/orders", "/", "/v2/orders/a/b/c"])
def test_a_path_that_is_none(exchange: ExchangeProcess, path: str) -> None:
    answer = ask(exchange, "GET", path)
    assert (answer.status_code, answer.json()["code"]) == (404, 40410000)


def test_the_order_stream_survives_what_is_no_request(exchange: ExchangeProcess) -> None:
    urls = exchange.urls
    odd: tuple[Any, ...] = (None, 5, [], "x", {"action": "listen", "data": None}, {"action": 7})
    odd = (*odd, {"action": "listen", "data": {"streams": 5}})
    listen = {"action": "listen", "data": {"streams": ["trade_updates"]}}
    with connect(urls["trading_stream"]) as socket:
        for each in (*odd, {"action": "authenticate", "data": []}):
            socket.send(json.dumps(each))
        socket.send(NESTED)
        socket.send("{")
        socket.send(json.dumps({"action": "auth", "key": urls["key_id"], "secret": urls["secret_key"]}))
        while json.loads(socket.recv(timeout=10))["data"]["status"] != "authorized":
            continue
        for each in odd:
            socket.send(json.dumps(each))
        socket.send(json.dumps(listen))
        while json.loads(socket.recv(timeout=10)) != {"stream": "listening", "data": listen["data"]}:
            continue


def test_the_quote_stream_answers_what_is_no_request_with_an_error(exchange: ExchangeProcess) -> None:
    urls = exchange.urls
    with connect(urls["data_stream"]) as socket:
        socket.recv(timeout=10)
        socket.send(json.dumps({"action": "auth", "key": urls["key_id"], "secret": urls["secret_key"]}))
        assert json.loads(socket.recv(timeout=10))[0]["msg"] == "authenticated"
        odd: tuple[Any, ...] = (
            {"action": "subscribe", "quotes": 5},
            {"action": "subscribe", "bars": [["x"]]},
            {},
        )
        for each in (None, 5, *odd):
            socket.send(json.dumps(each))
            answer = json.loads(socket.recv(timeout=10))
            assert answer == [{"T": "error", "code": 400, "msg": "invalid syntax"}]
        socket.send(NESTED)
        assert json.loads(socket.recv(timeout=10))[0]["code"] == 400
        socket.send(json.dumps({"action": "subscribe", "quotes": ["BTC/USD"]}))
        assert json.loads(socket.recv(timeout=10))[0]["quotes"] == ["BTC/USD"]
