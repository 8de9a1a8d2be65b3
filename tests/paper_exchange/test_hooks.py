"""The faults on request that no other test asks for: each does what its name says, and ends."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgpack
import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from dca.core.errors import ExchangeUnavailable, RequestRefused
from dca.core.model import Accepted, DefiniteReject
from dca.exchange.rest_client import Broker
from paper_exchange.values import Refused
from tests.exchange.test_rest_client import BUY
from tests.paper_exchange.test_engine import Market
from tests.processes import ExchangeProcess, eventually

RESTING = {"symbol": "ETH/USD", "side": "buy", "type": "limit", "time_in_force": "gtc", "qty": "1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    server = ExchangeProcess(tmp_path_factory.mktemp("exchange") / "log")
    server.price("BTC/USD", "50000")
    server.price("ETH/USD", "2000")
    yield server
    server.stop()


@pytest.fixture
def exchange(server: ExchangeProcess) -> Iterator[ExchangeProcess]:
    yield server
    server.clear_faults()
    server.post("/account", trading_blocked=False, revoked=False)
    server.post("/assets", symbol="SOL/USD", tradable=True, status="active")


@pytest.fixture
def broker(exchange: ExchangeProcess) -> Broker:
    return Broker(exchange.settings)


names = iter(f"dca-hooks-1-{seq}-b" for seq in range(1, 1000))


def bought(broker: Broker) -> str:
    """A marketable buy, filled."""
    name = next(names)
    assert isinstance(broker.submit(replace(BUY, client_order_id=name, limit_price=Decimal(60000))), Accepted)
    eventually(lambda: not broker.open_orders())
    return name


# ---- reading ----


def test_get_not_found_for(exchange: ExchangeProcess, broker: Broker) -> None:
    old = bought(broker)
    exchange.fault("get.not_found_for", seconds=0.2)
    eventually(lambda: broker.order(old) is not None)
    exchange.clear_faults()
    exchange.fault("get.not_found_for", seconds=600)
    assert broker.order(old) is None
    exchange.clear_faults()
    assert broker.order(old) is not None


def test_get_stale(exchange: ExchangeProcess, broker: Broker) -> None:
    name = bought(broker)
    exchange.fault("get.stale", seconds=600)
    stale = broker.order(name)
    fresh = broker.order(name)
    assert stale is not None and (stale.status, stale.filled_qty) == ("pending_new", Decimal(0))
    assert fresh is not None and (fresh.status, fresh.filled_qty) == ("filled", BUY.qty)


def test_positions_lag(exchange: ExchangeProcess, broker: Broker) -> None:
    exchange.post("/positions", symbol="DOGE/USD", qty="100")
    exchange.fault("positions.lag", count=1, seconds=600, symbol="DOGE/USD")
    assert broker.position("DOGE/USD").qty == 0
    assert broker.positions()["DOGEUSD"].qty == 0
    exchange.clear_faults()
    assert broker.position("DOGE/USD").qty == 100


def test_page_limit(exchange: ExchangeProcess, broker: Broker) -> None:
    for _ in range(3):
        exchange.post("/orders", **RESTING, limit_price="1000")
    whole = {order.exchange_order_id for order in broker.open_orders()}
    assert len(whole) == 3
    exchange.fault("page_limit", n=2)
    assert len(broker.open_orders()) == 2
    exchange.clear_faults()
    for order_id in whole:
        broker.cancel(order_id)
    eventually(lambda: not broker.open_orders())


def test_rate_limit(exchange: ExchangeProcess, broker: Broker) -> None:
    exchange.fault("rate_limit")
    headers = {
        "APCA-API-KEY-ID": exchange.urls["key_id"],
        "APCA-API-SECRET-KEY": exchange.urls["secret_key"],
    }
    answer = requests.get(exchange.urls["trading"] + "/v2/account", headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (429, 42910000)
    exchange.fault("rate_limit")
    with pytest.raises(ExchangeUnavailable) as limited:
        broker.account()
    assert not isinstance(limited.value, RequestRefused), "not a no: it is to be asked again"
    assert Broker(exchange.settings).account().status == "ACTIVE"


# ---- the stream of order updates ----


class Ear:
    """A client of the order stream."""

    def __init__(self, exchange: ExchangeProcess, socket: ClientConnection) -> None:
        self._socket = socket
        keys = {"key": exchange.urls["key_id"], "secret": exchange.urls["secret_key"]}
        socket.send(json.dumps({"action": "auth", **keys}))
        socket.recv(timeout=5)
        socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        socket.recv(timeout=5)

    def next(self, seconds: float = 5.0) -> Any:
        return json.loads(self._socket.recv(timeout=seconds))["data"]

    def events(self, count: int) -> list[str]:
        return [self.next()["event"] for _ in range(count)]

    def hears_nothing(self) -> bool:
        try:
            self.next(0.3)
        except TimeoutError:
            return True
        return False


@pytest.fixture
def ear(exchange: ExchangeProcess) -> Iterator[Ear]:
    with connect(exchange.urls["trading_stream"], compression=None) as socket:
        yield Ear(exchange, socket)


@pytest.fixture
def rest(exchange: ExchangeProcess) -> Callable[[], str]:
    """Places an order by hand that rests; two updates follow: pending_new and new."""
    return lambda: str(exchange.post("/orders", **RESTING, limit_price="1000")["id"])


def test_ws_event_before_reply(exchange: ExchangeProcess, broker: Broker, ear: Ear) -> None:
    exchange.fault("ws.event_before_reply")
    posting = threading.Thread(target=broker.submit, args=(replace(BUY, client_order_id=next(names)),))
    posting.start()
    assert ear.events(1) == ["pending_new"]
    assert posting.is_alive(), "the answer comes after it"
    posting.join()


def test_ws_dup(exchange: ExchangeProcess, ear: Ear, rest: Callable[[], str]) -> None:
    exchange.fault("ws.dup")
    rest()
    assert ear.events(3) == ["pending_new", "pending_new", "new"]


def test_ws_reorder(exchange: ExchangeProcess, ear: Ear, rest: Callable[[], str]) -> None:
    exchange.fault("ws.reorder")
    rest()
    assert ear.events(2) == ["new", "pending_new"]


def test_ws_mute(exchange: ExchangeProcess, ear: Ear, rest: Callable[[], str]) -> None:
    exchange.fault("ws.mute")
    rest()
    assert ear.hears_nothing()
    exchange.clear_faults()
    second = rest()
    assert ear.next()["order"]["id"] == second, "what was missed is not told again"


def test_ws_refuse(exchange: ExchangeProcess) -> None:
    exchange.fault("ws.refuse", status=406)
    with pytest.raises(InvalidStatus) as refused:
        connect(exchange.urls["trading_stream"], compression=None)
    assert refused.value.response.status_code == 406
    with connect(exchange.urls["trading_stream"], compression=None):
        pass


# ---- the stream of quotes ----


def test_md_backlog(exchange: ExchangeProcess) -> None:
    keys = {"key": exchange.urls["key_id"], "secret": exchange.urls["secret_key"]}
    headers = {"Content-Type": "application/msgpack"}
    with connect(exchange.urls["data_stream"], additional_headers=headers, compression=None) as socket:
        for asked in ({"action": "auth", **keys}, {"action": "subscribe", "quotes": ["BTC/USD"]}):
            socket.recv(timeout=5)
            socket.send(msgpack.packb(asked))

        def age() -> timedelta:
            while True:
                for message in msgpack.unpackb(socket.recv(timeout=5), timestamp=3):
                    if message["T"] == "q":
                        at: datetime = message["t"]
                        return datetime.now(UTC) - at

        assert age() < timedelta(seconds=5)
        exchange.fault("md.backlog", seconds=90)
        eventually(lambda: age() > timedelta(seconds=80))
        exchange.clear_faults()
        eventually(lambda: age() < timedelta(seconds=5))


# ---- fills, fees, cancellations: without a server ----


def test_fill_partial() -> None:
    market = Market()
    market.engine.faults.add("fill.partial", 1, {"n": "0.4"}, None)
    order = market.order()
    assert (order.status, order.filled_qty) == ("partially_filled", Decimal("0.4"))
    market.wait()
    assert (order.status, order.filled_qty) == ("filled", 1)


def test_fill_after_terminal() -> None:
    market = Market()
    order = market.order(type="limit", limit_price="90")
    market.engine.faults.add("fill.after_terminal", 1, {"n": "0.4"}, None)
    market.engine.cancel(order.id)
    market.wait()
    assert (order.status, order.filled_qty) == ("canceled", Decimal("0.4"))
    assert market.events()[-2:] == ["canceled", "partial_fill"]
    assert market.engine.held("SOL/USD") == Decimal("0.399")


def test_cancel_stuck() -> None:
    market = Market()
    order = market.order(type="limit", limit_price="90")
    market.engine.faults.add("cancel.stuck", 1, {}, None)
    market.engine.cancel(order.id)
    market.wait(3600)
    assert order.status == "pending_cancel" and order.is_open
    market.quote("89", "90")
    assert order.status == "filled", "it may still fill"


def test_fee_immediate() -> None:
    market = Market()
    market.engine.faults.add("fee.immediate", 1, {"bps": 40}, None)
    market.order()
    assert market.engine.held("SOL/USD") == Decimal("0.996")
    market.order()
    assert market.engine.held("SOL/USD") == Decimal("1.9935")


# ---- the account and its pairs ----


@pytest.mark.parametrize("name", ["asset.halt", "asset.delist"])
def test_asset(exchange: ExchangeProcess, broker: Broker, name: str) -> None:
    exchange.fault(name, symbol="SOL/USD")
    assert not broker.trading_rules()["SOL/USD"].tradable
    outcome = broker.submit(replace(BUY, symbol="SOL/USD", client_order_id=next(names)))
    assert isinstance(outcome, DefiniteReject)
    assert broker.trading_rules()["BTC/USD"].tradable


def test_account_block(exchange: ExchangeProcess, broker: Broker) -> None:
    exchange.fault("account.block")
    assert broker.account().trading_blocked
    assert isinstance(broker.submit(replace(BUY, client_order_id=next(names))), DefiniteReject)


def test_account_revoke(exchange: ExchangeProcess, broker: Broker) -> None:
    exchange.fault("account.revoke")
    with pytest.raises(RequestRefused) as refused:
        broker.account()
    assert refused.value.status == 401
    assert isinstance(broker.submit(replace(BUY, client_order_id=next(names))), DefiniteReject)


def test_a_refusal_on_request_is_in_alpaca_s_form() -> None:
    market = Market()
    market.engine.faults.add("reject", 1, {"code": 42210000, "msg": "no"}, None)
    with pytest.raises(Refused, match="no") as refused:
        market.order()
    assert (refused.value.status, refused.value.code) == (422, 42210000)
