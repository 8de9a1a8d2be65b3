"""What stands before every path: a budget for each host, keys, and what an account keeps."""

from collections.abc import Iterator

import pytest
import requests

from paper_exchange.engine import Engine
from paper_exchange.values import Refused
from paper_exchange.views import average_entry
from tests.paper_exchange.test_engine import START, Market
from tests.processes import ExchangeProcess

QUOTES = "/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD"


@pytest.fixture
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    folder = tmp_path_factory.mktemp("exchange")
    process = ExchangeProcess(folder / "log", "--market", "still", "--rate-limit", "6")
    yield process
    process.stop()


def ask(exchange: ExchangeProcess, path: str, secret: str | None = None) -> requests.Response:
    keys = {
        "APCA-API-KEY-ID": exchange.urls["key_id"],
        "APCA-API-SECRET-KEY": secret or exchange.urls["secret_key"],
    }
    return requests.get(exchange.urls["trading"] + path, headers=keys, timeout=10)


def test_each_host_has_a_budget(exchange: ExchangeProcess) -> None:
    assert [ask(exchange, "/v2/account").status_code for _ in range(7)] == [200] * 6 + [429]
    refused = ask(exchange, "/v2/account")
    assert (refused.headers["X-RateLimit-Limit"], refused.headers["X-RateLimit-Remaining"]) == ("6", "0")
    assert int(refused.headers["X-RateLimit-Reset"]) > 0
    assert ask(exchange, QUOTES).status_code == 200


def test_the_data_host_takes_no_keys_or_the_right_ones(exchange: ExchangeProcess) -> None:
    assert requests.get(exchange.urls["data"] + QUOTES, timeout=10).status_code == 200
    assert ask(exchange, QUOTES).status_code == 200
    assert ask(exchange, QUOTES, "wrong").status_code == 401


def test_settings_of_the_account_are_kept(exchange: ExchangeProcess) -> None:
    url = exchange.urls["trading"] + "/v2/account/configurations"
    keys = {"APCA-API-KEY-ID": exchange.urls["key_id"], "APCA-API-SECRET-KEY": exchange.urls["secret_key"]}
    asked = {"no_shorting": True, "suspend_trade": True}
    assert requests.patch(url, json=asked, headers=keys, timeout=10).status_code == 200
    assert asked.items() <= requests.get(url, headers=keys, timeout=10).json().items()
    assert ask(exchange, "/v2/account").json()["trade_suspended_by_user"] is True
    for wrong in ({"no_shorting": "yes"}, {"unknown": 1}, {"suspend_trade": None}):
        assert requests.patch(url, json=wrong, headers=keys, timeout=10).status_code == 422


def test_the_average_entry_price() -> None:
    market = Market()

    def average(engine: Engine) -> float:
        return float(average_entry(engine, "SOL/USD"))

    market.quote("99.9", "100")
    market.order()
    market.quote("199.9", "200")
    market.order()
    weighted = (0.9975 * 100 + 200) / 1.9975
    assert average(market.engine) == pytest.approx(weighted)
    market.order("sell", qty="0.5")
    assert average(market.engine) == pytest.approx(weighted)
    market.order("sell", qty=str(market.engine.held("SOL/USD")))
    market.quote("299.9", "300")
    market.order()
    assert average(market.engine) == 300


def test_more_than_nine_decimals_are_cut() -> None:
    market = Market()
    order = market.order(type="limit", qty="1.2345678919", limit_price="50.1234567899")
    assert (str(order.qty), str(order.limit_price)) == ("1.234567891", "50.123456789")
    with pytest.raises(Refused, match="qty must be > 0"):
        market.order(qty="0.0000000009")


@pytest.mark.parametrize("more", [{"limit_price": "90"}, {"stop_price": "90"}, {"notional": "20"}])
def test_what_does_not_go_together(more: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        Market().order(**more)
    assert (refused.value.status, refused.value.code) == (422, 40010001)


def test_event_ids_sort_by_time() -> None:
    market = Market()
    for _ in range(5):
        market.order()
    ids = [update["event_id"] for update in market.updates]
    assert ids == sorted(set(ids))
    assert {len(each) for each in ids} == {26}
    assert market.engine.now > START
