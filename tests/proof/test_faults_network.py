"""Faults of the catalogue (docs/faults.md) between bot and exchange, by their numbers; with real sockets."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgpack
import pytest
import requests
import trustme
from requests.adapters import HTTPAdapter
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from dca.alerts import conditions
from dca.core.errors import ExchangeUnavailable
from dca.core.model import Accepted, OrderState, Quote, Snapshot, Unknown
from dca.core.operations import IncidentKind
from dca.exchange.rest_client import CONNECT_SECONDS, READ_SECONDS, Broker, _Transport
from dca.exchange.streams import Feed
from dca.runtime.clock import SystemClock
from dca.runtime.log_lines import Troubles
from dca.trading.inbox import Inbox
from tests.alerts.test_conditions import beat, look
from tests.exchange.test_rest_client import BUY
from tests.exchange.test_stream_connections import Listener
from tests.operating import NO_EXCHANGE
from tests.processes import ExchangeProcess, eventually
from tests.taking import taken

UPDATE = {
    "id": "x-1",
    "client_order_id": "dca-test-1-1-b",
    "symbol": "BTC/USD",
    "side": "buy",
    "status": "new",
    "qty": "1",
    "filled_qty": "0",
}


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    exchange.price("BTC/USD", "50000")
    yield exchange
    exchange.stop()


# ---- streams ---------------------------------------------------------------------------------------------


@contextmanager
def serving(handler: Callable[[ServerConnection], None]) -> Iterator[str]:
    """A websocket server of a test's own; gives its address."""
    server: Server = serve(handler, "127.0.0.1", 0, compression=None)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def hearing(**urls: str) -> Iterator[tuple[Feed, Inbox, Troubles]]:
    """A feed that listens there; the other stream finds nobody."""
    inbox, troubles = Inbox(), Troubles()
    feed = Feed(replace(NO_EXCHANGE, **urls), inbox, {}, SystemClock(), troubles, lambda: None)  # type: ignore[arg-type]
    feed.set_symbols({"BTC/USD", "ETH/USD"})
    feed.start()
    try:
        yield feed, inbox, troubles
    finally:
        feed.stop()


def welcome_orders(socket: ServerConnection) -> None:
    socket.recv()
    socket.send(json.dumps({"stream": "authorization", "data": {"status": "authorized"}}).encode())
    socket.recv()
    socket.send(json.dumps({"stream": "listening", "data": {"streams": ["trade_updates"]}}).encode())


NONSENSE: list[bytes | str] = [
    b"\xff\xfe not text",
    "[]",
    "null",
    "{}",
    '{"stream": "trade_updates"}',
    '{"stream": "trade_updates", "data": {"event": "new", "order": null}}',
    '{"stream": "trade_updates", "data": {"order": {"id": 7}}}',
    json.dumps({"stream": "trade_updates", "data": {"order": {**UPDATE, "filled_qty": "NaN"}}}),
    json.dumps({"stream": "from tomorrow", "data": {}}),
]


def test_F10_no_order_update_whatever_is_in_it_makes_the_stream_deaf() -> None:
    def handler(socket: ServerConnection) -> None:
        welcome_orders(socket)
        for frame in NONSENSE:
            socket.send(frame)
        strange = {**UPDATE, "status": "brand_new_word", "more": [1]}
        socket.send(json.dumps({"stream": "trade_updates", "data": {"order": strange}}).encode())
        with suppress(ConnectionClosed):
            socket.recv()

    with serving(handler) as url, hearing(trading_stream_url=url) as (feed, inbox, troubles):
        heard = eventually(lambda: taken(inbox, 0.05))
        assert isinstance(heard, Snapshot) and heard.status == "brand_new_word"
        assert feed.orders.connects == 1, "on one connection"
        assert "stream invalid order update" in troubles.names()


def greet(socket: ServerConnection, answer: Callable[[list[str]], list[dict[str, Any]]]) -> None:
    """The quote stream's handshake, with a test's own answer to the subscription."""
    socket.send(msgpack.packb([{"T": "success", "msg": "connected"}]))
    socket.recv()
    socket.send(msgpack.packb([{"T": "success", "msg": "authenticated"}]))
    asked = msgpack.unpackb(socket.recv())
    socket.send(msgpack.packb(answer(asked["quotes"])))


QUOTE = {"T": "q", "S": "BTC/USD", "bp": 1.0, "ap": 1.1}
LEFT_OUT: list[Callable[[list[str]], list[dict[str, Any]]]] = [
    lambda asked: [{"T": "subscription", "quotes": [each for each in asked if each != "ETH/USD"]}],
    lambda asked: [{"T": "error", "code": 405, "msg": "symbol limit exceeded"}],
]


@pytest.mark.parametrize("answer", LEFT_OUT, ids=["left out", "405"])
def test_F70_a_pair_that_was_not_granted_is_told_and_the_others_go_on(
    answer: Callable[[list[str]], list[dict[str, Any]]],
) -> None:
    def handler(socket: ServerConnection) -> None:
        greet(socket, answer)
        socket.send(msgpack.packb([{**QUOTE, "t": datetime.now(UTC)}], datetime=True))
        with suppress(ConnectionClosed):
            socket.recv()

    with serving(handler) as url, hearing(data_stream_url=url) as (feed, inbox, troubles):
        assert isinstance(eventually(lambda: taken(inbox, 0.05)), Quote)
        assert "stream no quotes" in troubles.names()
        assert feed.quotes.connects == 1


def test_F70_a_pair_that_was_not_granted_is_mailed() -> None:
    seen = look(beat=beat(troubles=("stream no quotes",)))
    found = [(each.name, each.kind) for each in conditions.findings(seen)]
    assert found == [("pairs without quotes", IncidentKind.HEALTH)]
    assert "pairs without quotes" in conditions.judged(look()), "and told when it is over"


def test_F70_a_stream_that_is_refused_is_told_and_tried_again() -> None:
    refused = threading.Semaphore(0)

    def handler(socket: ServerConnection) -> None:
        greet(socket, lambda _: [{"T": "error", "code": 409, "msg": "insufficient subscription"}])
        with suppress(ConnectionClosed):
            socket.recv()
        refused.release()

    with serving(handler) as url, hearing(data_stream_url=url) as (_, _, troubles):
        assert refused.acquire(timeout=5)
        eventually(lambda: "stream quote stream" in troubles.names())
        assert refused.acquire(timeout=5), "again, after a pause"


def test_F18_quotes_are_heard_while_an_order_waits_for_its_answer(exchange: ExchangeProcess) -> None:
    listener = Listener(exchange)
    try:
        eventually(listener.both_open)
        exchange.fault("post.delay", seconds=1)
        before = datetime.now(UTC)
        assert isinstance(Broker(exchange.settings).submit(BUY), Accepted)
        heard = listener.feed.quotes.last_message_at
        assert heard is not None and (heard - before).total_seconds() > 0.6
    finally:
        listener.feed.stop()


# ---- requests --------------------------------------------------------------------------------------------


def test_F15_every_request_has_a_limit_for_connecting_and_one_for_reading() -> None:
    """What alpaca-py itself never sets."""
    given: list[Any] = []

    class Recorder(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            given.append(kwargs.get("timeout"))
            raise requests.ConnectionError("nobody")

    class Probe(_Transport, Recorder):
        """The broker's own, with the recorder where the network would be."""

    broker = Broker(NO_EXCHANGE)
    for client in (broker._trading, broker._data):
        adapters = [client._session.get_adapter(scheme) for scheme in ("https://x", "http://x")]
        assert [type(adapter) for adapter in adapters] == [_Transport] * 2
        for adapter in adapters:
            adapter.__class__ = Probe
    assert isinstance(broker.submit(BUY), Unknown)
    for read in (broker.open_orders, broker.account, lambda: broker.latest_quote_times(["BTC/USD"])):
        with pytest.raises(ExchangeUnavailable):
            read()
    assert given == [(CONNECT_SECONDS, READ_SECONDS)] * 4
    assert (CONNECT_SECONDS, READ_SECONDS) == (3, 10)


def test_F74_a_status_that_is_not_in_the_books_is_an_order_that_may_fill(exchange: ExchangeProcess) -> None:
    exchange.fault("post.body", kind="unknown_enum")
    outcome = Broker(exchange.settings).submit(BUY)
    assert isinstance(outcome, Accepted)
    assert outcome.snapshot.status == "some_new_status"
    assert not outcome.snapshot.is_closed
    assert BUY.state is OrderState.SENT


class Quiet(BaseHTTPRequestHandler):
    """Says yes to everything."""

    arrived: list[str]

    def do_GET(self) -> None:
        self.arrived.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


def test_F88_a_certificate_that_nobody_vouches_for_is_never_accepted() -> None:
    handler = type("Listening", (Quiet,), {"arrived": []})
    certificate = trustme.CA().issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"https://127.0.0.1:{server.server_address[1]}"
        broker = Broker(replace(NO_EXCHANGE, trading_url=url, data_url=url))
        outcome = broker.submit(BUY)
        with pytest.raises(ExchangeUnavailable, match="certificate"):
            broker.positions()
        server.shutdown()
        thread.join()
    assert isinstance(outcome, Unknown) and "certificate" in outcome.reason
    assert handler.arrived == []  # type: ignore[attr-defined]


def test_F88_a_name_that_cannot_be_found_is_no_answer() -> None:
    broker = Broker(replace(NO_EXCHANGE, trading_url="https://exchange.invalid"))
    assert isinstance(broker.submit(BUY), Unknown)
    with pytest.raises(ExchangeUnavailable):
        broker.positions()


def test_F87_requests_that_break_leave_no_sockets_behind(exchange: ExchangeProcess) -> None:
    broker = Broker(exchange.settings)

    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def broken() -> None:
        exchange.fault("post.drop_before")
        assert isinstance(broker.submit(BUY), Unknown)
        broker.account()

    broken()
    before = files()
    for _ in range(20):
        broken()
    assert files() <= before + 1
