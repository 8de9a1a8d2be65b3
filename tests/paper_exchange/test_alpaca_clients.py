"""The real alpaca-py, unpatched, with its typed models, against the local exchange by URL override alone."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestOrderbookRequest,
    CryptoLatestQuoteRequest,
    CryptoSnapshotRequest,
)
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetClass, OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetAssetsRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
)
from alpaca.trading.stream import TradingStream

from tests.processes import ExchangeProcess, eventually


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    log = tmp_path_factory.mktemp("exchange") / "log"
    exchange = ExchangeProcess(log, "--market", "still", "--fee-delay", "0.2", "--partial-percent", "0")
    exchange.price("BTC/USD", "50000")
    yield exchange
    exchange.stop()


@pytest.fixture
def client(exchange: ExchangeProcess) -> TradingClient:
    urls = exchange.urls
    return TradingClient(urls["key_id"], urls["secret_key"], url_override=urls["trading"])


def limit_buy(symbol: str, qty: float, price: float, **more: Any) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol=symbol, qty=qty, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=price, **more
    )


def test_account_assets_and_clock(client: TradingClient) -> None:
    account: Any = client.get_account()
    assert account.status.value == "ACTIVE"
    assert Decimal(account.non_marginable_buying_power) > 0
    assets: Any = client.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO))
    names = {asset.symbol for asset in assets}
    assert {f"{coin}/USD" for coin in ("BTC", "ETH", "SOL", "DOGE", "LINK", "SHIB", "PEPE")} <= names
    for form in ("BTC/USD", "BTCUSD", "BTC%2FUSD", assets[0].id):
        asset: Any = client.get_asset(str(form))
        assert asset.tradable
    clock: Any = client.get_clock()
    assert abs((clock.timestamp - datetime.now(UTC)).total_seconds()) < 5
    configurations: Any = client.get_account_configurations()
    assert configurations.suspend_trade is False


def test_the_life_of_an_order(client: TradingClient, exchange: ExchangeProcess) -> None:
    resting: Any = client.submit_order(limit_buy("BTC/USD", 0.001, 40000, client_order_id="mine-1"))
    assert resting.status is OrderStatus.PENDING_NEW
    eventually(lambda: client.get_order_by_id(resting.id).status is OrderStatus.NEW)  # type: ignore[union-attr]
    found: Any = client.get_order_by_client_id("mine-1")
    assert found.id == resting.id
    listed: Any = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, symbols=["BTC/USD"]))
    assert [order.id for order in listed] == [resting.id]
    client.cancel_order_by_id(resting.id)
    eventually(lambda: client.get_order_by_id(resting.id).status is OrderStatus.CANCELED)  # type: ignore[union-attr]
    with pytest.raises(APIError) as again:
        client.cancel_order_by_id(resting.id)
    assert again.value.status_code == 422
    exchange.price("BTC/USD", "50000")


def test_fees_are_taken_in_coin_and_positions_have_no_slash(
    client: TradingClient, exchange: ExchangeProcess
) -> None:
    bought: Any = client.submit_order(
        MarketOrderRequest(symbol="ETH/USD", qty=0.1, side=OrderSide.BUY, time_in_force=TimeInForce.GTC)
    )
    eventually(lambda: client.get_order_by_id(bought.id).status is OrderStatus.FILLED)  # type: ignore[union-attr]
    position: Any = client.get_open_position("ETHUSD")
    assert Decimal(position.qty) == Decimal("0.09975"), "0.25 % of 0.1 was the fee"
    with pytest.raises(APIError) as slash:
        client.get_open_position("ETH/USD")
    assert slash.value.status_code == 404
    assert str(slash.value) == "Not Found"
    with pytest.raises(APIError) as too_much:
        client.submit_order(
            MarketOrderRequest(symbol="ETH/USD", qty=0.1, side=OrderSide.SELL, time_in_force=TimeInForce.GTC)
        )
    assert "insufficient balance for ETH (requested: 0.1, available: 0.09975)" in str(too_much.value)

    def fee_row() -> Any:
        rows: Any = client.get("/account/activities", {"activity_types": "CFEE"})
        return [row for row in rows if row.get("symbol") == "ETHUSD"]

    assert eventually(fee_row)[0]["qty"] == "-0.00025"
    fills: Any = client.get("/account/activities/FILL", {"page_size": 100})
    assert fills[0]["order_id"] == str(bought.id)
    closed: Any = client.close_position("ETHUSD")
    eventually(lambda: client.get_order_by_id(closed.id).status is OrderStatus.FILLED)  # type: ignore[union-attr]
    assert exchange.journal("execution")[-1]["fee_usd"] != "0"


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        ({"qty": "0.0001"}, 403, 40310000, "cost basis must be >= minimal amount of order 10"),
        ({"qty": "3.9", "limit_price": "50000"}, 403, 40310000, "insufficient balance for USD"),
        ({"side": "sell", "qty": "3"}, 403, 40310000, "insufficient balance for BTC"),
        ({"time_in_force": "day"}, 422, 42210000, "invalid crypto time_in_force"),
        ({"type": "stop"}, 422, 40010001, "invalid order type for crypto order"),
        ({"symbol": "NOPE/USD"}, 422, 42210000, "not found"),
        ({"qty": None, "notional": "20.001"}, 422, 42210000, "limited to 2 decimal places"),
        ({"qty": "NaN"}, 422, 42210000, "qty"),
        ({"order_class": "bracket"}, 422, 42210000, "advanced order_class"),
        ({"client_order_id": "used"}, 422, 40010001, "client_order_id must be unique"),
    ],
)
def test_refusals_in_alpaca_s_words(
    client: TradingClient, body: dict[str, str | None], status: int, code: int, words: str
) -> None:
    order = {
        "symbol": "BTC/USD",
        "qty": "0.001",
        "side": "buy",
        "type": "limit",
        "limit_price": "30000",
        "time_in_force": "gtc",
    }
    if body.get("client_order_id"):
        client.post("/orders", {**order, **body})
    with pytest.raises(APIError) as refused:
        client.post("/orders", {name: value for name, value in {**order, **body}.items() if value})
    assert refused.value.status_code == status
    assert refused.value.code == code
    assert words in refused.value.message


def test_a_market_buy_against_an_open_sell_is_a_wash_trade(
    client: TradingClient, exchange: ExchangeProcess
) -> None:
    exchange.post("/positions", symbol="LTC/USD", qty="2")
    order = {"symbol": "LTC/USD", "time_in_force": "gtc", "qty": "1"}
    client.post("/orders", {**order, "side": "sell", "type": "limit", "limit_price": "500"})
    with pytest.raises(APIError, match="potential wash trade"):
        client.post("/orders", {**order, "side": "buy", "type": "market"})
    held: Any = client.get_open_position("LTCUSD")
    assert (held.qty, held.qty_available) == ("2", "1")
    client.cancel_orders()


def test_numbers_in_any_form_and_unknown_keys(client: TradingClient, exchange: ExchangeProcess) -> None:
    order: Any = client.submit_order(limit_buy("PEPE/USD", 2_000_000, 0.000009))
    assert order.limit_price == "0.000009"
    client.cancel_order_by_id(order.id)
    wrong = TradingClient("a", "b", url_override=exchange.urls["trading"])
    with pytest.raises(APIError) as refused:
        wrong.get_account()
    assert refused.value.status_code == 401
    headers = {"APCA-API-KEY-ID": exchange.urls["key_id"], "APCA-API-SECRET-KEY": exchange.urls["secret_key"]}
    answer = requests.get(exchange.urls["trading"] + "//v2/account", headers=headers, timeout=5)
    assert answer.status_code == 200
    assert int(answer.headers["X-RateLimit-Remaining"]) > 0


def test_history(exchange: ExchangeProcess) -> None:
    data = CryptoHistoricalDataClient(url_override=exchange.urls["data"])
    quote = data.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols="BTC/USD"))["BTC/USD"]
    assert quote.bid_price < quote.ask_price
    book = data.get_crypto_latest_orderbook(CryptoLatestOrderbookRequest(symbol_or_symbols="BTC/USD"))
    assert book["BTC/USD"].asks[0].price == quote.ask_price
    snapshot = data.get_crypto_snapshot(CryptoSnapshotRequest(symbol_or_symbols=["BTC/USD", "SHIB/USD"]))
    assert set(snapshot) == {"BTC/USD", "SHIB/USD"}
    start = datetime.now(UTC) - timedelta(minutes=5)
    request = CryptoBarsRequest(symbol_or_symbols="BTC/USD", timeframe=TimeFrame.Minute, start=start)
    bars: Any = data.get_crypto_bars(request)
    assert bars["BTC/USD"][0].close > 0


class InThread:
    """Runs one of the SDK's streams in a loop of its own."""

    def __init__(self, stream: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._stream = stream
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._task = self._loop.create_task(self._stream._run_forever())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            self._loop.run_until_complete(self._stream.close())
        finally:
            self._loop.close()

    def stop(self) -> None:
        assert self._task is not None
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)


@pytest.fixture
def running() -> Iterator[Callable[[Any], None]]:
    started: list[InThread] = []
    yield lambda stream: started.append(InThread(stream))
    for each in started:
        each.stop()


def test_both_streams_with_typed_models(
    client: TradingClient, exchange: ExchangeProcess, running: Callable[[Any], None]
) -> None:
    urls = exchange.urls
    updates: list[Any] = []
    quotes: list[Any] = []

    async def on_update(update: Any) -> None:
        updates.append(update)

    async def on_quote(quote: Any) -> None:
        quotes.append(quote)

    trades: list[Any] = []
    books: list[Any] = []

    async def on_trade(trade: Any) -> None:
        trades.append(trade)

    async def on_book(book: Any) -> None:
        books.append(book)

    trading = TradingStream(urls["key_id"], urls["secret_key"], url_override=urls["trading_stream"])
    trading.subscribe_trade_updates(on_update)
    data = CryptoDataStream(urls["key_id"], urls["secret_key"], url_override=urls["data_stream"])
    data.subscribe_quotes(on_quote, "SOL/USD")
    data.subscribe_trades(on_trade, "*")
    data.subscribe_orderbooks(on_book, "SOL/USD")
    running(trading)
    running(data)
    eventually(lambda: quotes)
    assert quotes[0].symbol == "SOL/USD"
    assert abs((quotes[0].timestamp - datetime.now(UTC)).total_seconds()) < 5
    order: Any = client.submit_order(
        MarketOrderRequest(symbol="SOL/USD", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.GTC)
    )

    def events() -> list[str]:
        return [str(update.event) for update in updates if update.order.id == order.id]

    eventually(lambda: events() == ["pending_new", "new", "fill"])
    assert updates[-1].position_qty == 0.9975
    eventually(lambda: books)
    fills = [trade for trade in trades if (trade.symbol, trade.size) == ("SOL/USD", 1.0)]
    assert not fills, "a paper fill is nobody's public trade"
    assert books[0].bids[0].price < books[0].asks[0].price
