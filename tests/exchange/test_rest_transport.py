"""What the broker's HTTP does that alpaca-py's own would not: no redirect, no stale connection."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dca.core.errors import ExchangeUnavailable
from dca.exchange.rest_client import IDLE_SECONDS, Broker
from dca.runtime.settings import ExchangeSettings, Venue

CLOCK = b'{"timestamp": "2026-01-02T03:04:05Z"}'

OURS = {"id": "1", "client_order_id": "dca-1", "symbol": "BTC/USD", "side": "buy", "status": "new"}
BODIES = {
    "/v2/assets": b"[]",
    "/v2/orders": json.dumps([{"id": "2", "symbol": "", "side": ""}, OURS]).encode(),
}


class Handler(BaseHTTPRequestHandler):
    """Answers every request alike, then closes the connection without having said so."""

    protocol_version = "HTTP/1.1"
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        body = BODIES.get(self.path.split("?")[0], CLOCK)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    handler = type("Answering", (Handler,), {"status": getattr(request, "param", 200)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        yield Broker(
            ExchangeSettings(
                key_id="k",
                secret_key="s",
                trading_url=url,
                data_url=url,
                trading_stream_url="ws://127.0.0.1:1",
                data_stream_url="ws://127.0.0.1:1",
                venue=Venue.LOCAL,
            )
        )
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("broker", [301, 302, 307], indirect=True)
def test_a_redirect_s_body_is_no_answer(broker: Broker) -> None:
    with pytest.raises(ExchangeUnavailable, match="redirected"):
        broker.clock()


def test_a_connection_that_rested_is_not_used_again(broker: Broker) -> None:
    """F01: on a connection that the server has closed, an order's outcome would be unknown."""
    transport = broker._trading._session.get_adapter("http://")
    for _ in range(20):
        broker.clock()
        transport._used_at -= IDLE_SECONDS + 1  # type: ignore[attr-defined]


def test_a_person_s_odd_order_does_not_hide_ours(broker: Broker) -> None:
    assert [order.client_order_id for order in broker.open_orders()] == ["dca-1"]


def test_an_exchange_without_any_pair_is_unavailable(broker: Broker) -> None:
    with pytest.raises(ExchangeUnavailable, match="the list has no pairs"):
        broker.trading_rules()
