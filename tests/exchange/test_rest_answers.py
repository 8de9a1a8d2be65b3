"""Odd answers of a server that a test writes itself: what the broker makes of each, and what it asked for."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dca.core.errors import ExchangeUnavailable, RequestRefused
from dca.core.model import Accepted, Unknown
from dca.exchange.rest_client import IDLE_SECONDS, Broker
from dca.runtime.settings import ExchangeSettings, Venue
from tests.builders import D, order

PAIR = {
    "symbol": "BTC/USD",
    "tradable": True,
    "status": "active",
    "min_order_size": "0.0001",
    "min_trade_increment": "0.000000001",
    "price_increment": "0.01",
}
CLOCK = {"timestamp": "2026-01-02T03:04:05Z"}
NO = {"code": 40310000, "message": "forbidden"}


def listed(number: int) -> dict[str, Any]:
    return {
        "id": f"x-{number}",
        "client_order_id": f"dca-{number}",
        "symbol": "BTC/USD",
        "side": "buy",
        "status": "canceled",
        "filled_qty": "0",
        "submitted_at": f"2026-01-02T03:04:05.{number:06}Z",
    }


@dataclass
class Server:
    """`answer` is given a path with its query; its body is sent as JSON, or as it is if it is bytes."""

    answer: Callable[[str], tuple[int, Any]] = lambda _: (200, CLOCK)
    asked: list[str] = field(default_factory=list)
    broker: Broker = field(init=False)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.asked.append(f"{self.command} {self.path}")
            status, body = made.answer(self.path)
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quietly."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{http.server_address[1]}"
        made.broker = Broker(
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
        yield made
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_order_is_sent_once_whatever_the_answer(server: Server, status: int) -> None:
    server.answer = lambda _: (status, {"code": 1, "message": "later"})
    assert isinstance(server.broker.submit(order()), Unknown)
    assert server.asked == ["POST /v2/orders"]


def test_an_answer_about_another_order_is_none_to_ours(server: Server) -> None:
    server.answer = lambda _: (200, {**listed(1), "status": "new"})
    outcome = server.broker.submit(order())
    assert isinstance(outcome, Unknown) and "dca-1" in outcome.reason
    mine = order().client_order_id
    server.answer = lambda _: (200, {**listed(1), "status": "new", "client_order_id": mine})
    assert isinstance(server.broker.submit(order()), Accepted)


@pytest.mark.parametrize("status", [300, 301, 304, 399, 600])
def test_a_status_that_is_no_answer(server: Server, status: int) -> None:
    server.answer = lambda _: (status, CLOCK)
    with pytest.raises(ExchangeUnavailable):
        server.broker.clock()


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (403, NO, True),
        (422, NO, True),
        (403, b"<html>forbidden</html>", False),
        (500, NO, False),
        (429, NO, False),
    ],
)
def test_a_refusal_is_a_no_in_the_exchanges_form(
    server: Server, status: int, body: Any, refused: bool
) -> None:
    server.answer = lambda _: (status, body)
    with pytest.raises(ExchangeUnavailable) as caught:
        server.broker.account()
    assert isinstance(caught.value, RequestRefused) is refused


def test_a_long_answer_is_read_whole(server: Server) -> None:
    padded = {**CLOCK, "padding": "x" * 300_000}
    server.answer = lambda _: (200, padded)
    assert server.broker.clock() == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_pair_that_cannot_be_read_hides_none_behind_it(server: Server) -> None:
    server.answer = lambda _: (200, [{"symbol": "ODD/USD"}, PAIR])
    assert list(server.broker.trading_rules()) == ["BTC/USD"]
    assert server.asked == ["GET /v2/assets?asset_class=crypto"]


def test_a_list_that_does_not_end_is_no_list(server: Server) -> None:
    page = [listed(number) for number in range(500)]
    server.answer = lambda _: (200, page)
    with pytest.raises(ExchangeUnavailable, match="does not end"):
        server.broker.closed_orders(datetime(2026, 1, 1, tzinfo=UTC))
    assert len(server.asked) == 2, "the second page says nothing new"


def test_the_next_page_begins_where_the_last_one_ended(server: Server) -> None:
    pages = [[listed(number) for number in range(500)], [listed(499), listed(500)]]
    server.answer = lambda _: (200, pages.pop(0))
    found = server.broker.closed_orders(datetime(2026, 1, 1, tzinfo=UTC))
    assert [each.client_order_id for each in found] == [f"dca-{number}" for number in range(501)]
    assert "after=2026-01-02T03%3A04%3A05.000498" in server.asked[1], "its last order comes once more"


@pytest.mark.parametrize("body", [{}, [1], [{"id": "a"}], b"no JSON"])
def test_executions_that_cannot_be_read_are_not_none(server: Server, body: Any) -> None:
    server.answer = lambda _: (200, body)
    sent = order(exchange_order_id="x-1", filled_qty=D("0.1"))
    with pytest.raises(ExchangeUnavailable):
        server.broker.executions([sent])
    with pytest.raises(ExchangeUnavailable):
        server.broker.sales("BTC/USD", datetime(2026, 1, 1, tzinfo=UTC))


def test_a_connection_is_not_trusted_for_longer_than_servers_keep_one() -> None:
    """Load balancers close idle ones after 60 s and more, proxies sooner."""
    assert IDLE_SECONDS <= 15
