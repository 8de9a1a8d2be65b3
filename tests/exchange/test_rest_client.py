"""The broker against the local exchange: four outcomes of an order, and reads that are whole or raise."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dca.core.errors import ExchangeUnavailable, RequestRefused
from dca.core.model import (
    Accepted,
    DefiniteReject,
    Duplicate,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Side,
    Unknown,
)
from dca.exchange.rest_client import Broker
from tests.processes import ExchangeProcess, eventually

NOW = datetime(2026, 1, 2, tzinfo=UTC)
BUY = Order(
    id=1,
    asset_id=1,
    cycle_id=1,
    seq=1,
    purpose=Purpose.BASE,
    level=0,
    client_order_id="dca-test-1-1-b",
    symbol="BTC/USD",
    side=Side.BUY,
    order_type=OrderType.LIMIT,
    time_in_force="gtc",
    qty=Decimal("0.001000001"),
    limit_price=Decimal("40000.123456789"),
    state=OrderState.SENT,
    trigger_price=None,
    quote_price=Decimal(40000),
    quote_age_ms=0,
    base_order_amount=Decimal(40),
    safety_order_amount=Decimal(40),
    max_safety_orders=0,
    take_profit_percent=Decimal(1),
    min_order_size=Decimal("0.00001"),
    qty_increment=Decimal("0.000000001"),
    epoch=1,
    created_at=NOW,
    last_sent_at=NOW,
)

PAGE = "<html><head><title>403 Forbidden</title></head><body>Request blocked.</body></html>"


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    exchange.price("BTC/USD", "50000")
    yield exchange
    exchange.stop()


@pytest.fixture
def broker(exchange: ExchangeProcess) -> Broker:
    return Broker(exchange.settings)


def test_an_order_arrives_to_the_letter(broker: Broker) -> None:
    outcome = broker.submit(BUY)
    assert isinstance(outcome, Accepted)
    assert (outcome.snapshot.qty, outcome.snapshot.limit_price) == (BUY.qty, BUY.limit_price)
    found = broker.order(BUY.client_order_id)
    assert found is not None
    assert found.exchange_order_id == outcome.snapshot.exchange_order_id
    assert [order.client_order_id for order in broker.open_orders()] == [BUY.client_order_id]
    broker.cancel(found.exchange_order_id)
    eventually(lambda: (order := broker.order(BUY.client_order_id)) is not None and order.is_closed)
    assert broker.open_orders() == []


def test_a_used_id_is_a_duplicate(broker: Broker) -> None:
    broker.submit(BUY)
    assert isinstance(broker.submit(BUY), Duplicate)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"qty": Decimal("4")}, "insufficient balance"),
        ({"qty": Decimal("0.0001")}, "minimal amount of order"),
        ({"symbol": "NOPE/USD"}, ""),
        ({"time_in_force": "day"}, "time_in_force"),
    ],
)
def test_definite_refusals(broker: Broker, change: dict[str, Decimal], words: str) -> None:
    outcome = broker.submit(replace(BUY, **change))  # type: ignore[arg-type]
    assert isinstance(outcome, DefiniteReject)
    assert words in outcome.message


@pytest.mark.parametrize(
    ("fault", "args", "exists"),
    [
        ("post.accept_then_drop", {}, True),
        ("post.drop_before", {}, False),
        ("post.status", {"code": 504, "after_accept": True}, True),
        ("post.status", {"code": 500, "after_accept": False}, False),
        ("post.status", {"code": 502, "body": "<html>bad gateway</html>", "after_accept": False}, False),
        ("post.status", {"code": 429, "after_accept": False}, False),
        ("post.status", {"code": 403, "body": PAGE, "after_accept": True}, True),
        ("post.status", {"code": 422, "body": PAGE, "after_accept": True}, True),
        ("post.status", {"code": 404, "body": "Not Found", "after_accept": True}, True),
        ("post.status", {"code": 400, "body": "", "after_accept": True}, True),
        ("post.status", {"code": 403, "body": '{"message": "Forbidden"}', "after_accept": True}, True),
        ("post.status", {"code": 403, "body": '{"code": 1020, "message": "no"}', "after_accept": True}, True),
        ("post.status", {"code": 403, "body": '{"code": 50010000, "message": "?"}'}, False),
        ("post.status", {"code": 401, "body": '{"code": 40110000}'}, False),
        ("post.body", {"kind": "garbage"}, True),
        ("post.body", {"kind": "empty"}, True),
    ],
)
def test_everything_unclear_is_unknown_and_sent_once(
    broker: Broker, exchange: ExchangeProcess, fault: str, args: dict[str, Any], exists: bool
) -> None:
    """F01: no retry by the library, no guess; a gateway's no is not the exchange's."""
    exchange.fault(fault, **args)
    assert isinstance(broker.submit(BUY), Unknown)
    posts = [entry for entry in exchange.journal("request") if entry["method"] == "POST"]
    assert len(posts) == 1
    assert (broker.order(BUY.client_order_id) is not None) is exists


@pytest.mark.parametrize("read", ["order", "open_orders", "position", "account", "trading_rules"])
def test_F03_a_failed_read_raises(broker: Broker, exchange: ExchangeProcess, read: str) -> None:
    exchange.fault("get.error", count=5, code=500)
    calls = {
        "order": lambda: broker.order("x"),
        "open_orders": broker.open_orders,
        "position": lambda: broker.position("BTC/USD"),
        "account": broker.account,
        "trading_rules": broker.trading_rules,
    }
    with pytest.raises(ExchangeUnavailable):
        calls[read]()


def test_nothing_there_is_an_answer(broker: Broker) -> None:
    assert broker.order("dca-test-none") is None
    assert broker.position("BTC/USD").qty == 0


def test_positions_and_executions_of_a_buy(broker: Broker, exchange: ExchangeProcess) -> None:
    order = replace(BUY, limit_price=Decimal(51000))
    outcome = broker.submit(order)
    assert isinstance(outcome, Accepted)
    eventually(lambda: (found := broker.order(order.client_order_id)) is not None and found.is_closed)
    held = broker.position("BTC/USD")
    assert held.qty == held.qty_available < order.qty
    placed = replace(order, exchange_order_id=outcome.snapshot.exchange_order_id)
    assert sum(execution.qty for execution in broker.executions([placed])) == order.qty


def test_what_was_sold_of_a_pair_by_whomever(broker: Broker, exchange: ExchangeProcess) -> None:
    exchange.post("/positions", symbol="BTC/USD", qty="0.5")
    exchange.post("/positions", symbol="ETH/USD", qty="2")
    sells = [
        replace(
            BUY,
            client_order_id=f"person-{number}",
            symbol=symbol,
            side=Side.SELL,
            order_type=OrderType.MARKET,
            limit_price=None,
            qty=Decimal(qty),
        )
        for number, (symbol, qty) in enumerate([("BTC/USD", "0.1"), ("ETH/USD", "1"), ("BTC/USD", "0.2")])
    ]
    began = datetime.now(UTC) - timedelta(minutes=1)
    for order in (replace(BUY, limit_price=Decimal(60000)), *sells):
        outcome = broker.submit(order)
        assert isinstance(outcome, Accepted), outcome
        eventually(lambda: not broker.open_orders())
    sold = broker.sales("BTC/USD", began)
    assert sum(each.qty for each in sold) == Decimal("0.3")
    assert broker.sales("BTC/USD", datetime(2100, 1, 1, tzinfo=UTC)) == []


def test_wrong_keys_are_refused(exchange: ExchangeProcess) -> None:
    broker = Broker(replace(exchange.settings, secret_key="wrong"))
    with pytest.raises(RequestRefused) as refused:
        broker.account()
    assert refused.value.status in {401, 403}


def test_an_account_says_when_it_was_made(broker: Broker) -> None:
    made_at = broker.account().made_at
    assert made_at is not None
    assert abs((datetime.now(UTC) - made_at).total_seconds()) < 300
    assert broker.account().made_at == made_at, "the same each time"


def test_rules_and_clock(broker: Broker) -> None:
    rules = broker.trading_rules()
    assert {f"{coin}/USD" for coin in ("BTC", "ETH", "SOL", "DOGE", "LINK", "SHIB", "PEPE")} <= rules.keys()
    assert rules["BTC/USD"].tradable
    assert abs((broker.clock() - datetime.now(UTC)).total_seconds()) < 5
    assert "BTC/USD" in broker.latest_quote_times(["BTC/USD"])


def test_all_positions_at_once_by_symbols_without_a_slash(broker: Broker, exchange: ExchangeProcess) -> None:
    assert broker.positions() == {}
    exchange.post("/positions", symbol="BTC/USD", qty="0.5")
    exchange.post("/positions", symbol="ETH/USD", qty="2")
    found = broker.positions()
    assert {symbol: each.qty for symbol, each in found.items()} == {
        "BTCUSD": Decimal("0.5"),
        "ETHUSD": Decimal(2),
    }
    exchange.fault("get.error", count=1, code=500)
    with pytest.raises(ExchangeUnavailable):
        broker.positions()


def test_closed_orders_are_listed_page_by_page(broker: Broker, exchange: ExchangeProcess) -> None:
    names = [f"dca-test-1-{seq}-b" for seq in range(1, 4)]
    for name in names:
        broker.submit(replace(BUY, client_order_id=name, limit_price=Decimal(60000)))
    eventually(lambda: not broker.open_orders())
    assert [each.client_order_id for each in broker.closed_orders(NOW)] == names
    assert broker.closed_orders(datetime(2100, 1, 1, tzinfo=UTC)) == []
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert [each.client_order_id for each in broker.closed_orders(NOW, later)] == names
    assert broker.closed_orders(NOW, NOW + timedelta(seconds=1)) == []


def test_a_gateway_s_page_says_nothing_of_the_keys(broker: Broker, exchange: ExchangeProcess) -> None:
    exchange.fault("get.error", count=1, code=403)  # an empty page
    with pytest.raises(ExchangeUnavailable) as page:
        broker.account()
    assert not isinstance(page.value, RequestRefused)
