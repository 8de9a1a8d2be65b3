"""F15: an answer that comes byte by byte ends a request in time, with and without TLS."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from dca.core.errors import ExchangeUnavailable
from dca.core.model import Unknown
from dca.exchange.rest_client import CONNECT_SECONDS, Broker
from dca.runtime.settings import ExchangeSettings, Venue
from tests.exchange.test_rest_client import BUY

BODY = b'{"timestamp": "2026-01-02T03:04:05Z"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
CHUNKS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
    + b"0\r\n\r\n"
)
NO_LENGTH = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY
LIMIT_SECONDS = 0.4


class Trickling(BaseHTTPRequestHandler):
    """Sends so many bytes at once, and then one now and then."""

    protocol_version = "HTTP/1.1"
    answer: bytes
    at_once: int
    pause_seconds: float

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with suppress(OSError):  # nobody listens any more
            self.wfile.write(self.answer[: self.at_once])
            for byte in self.answer[self.at_once :]:
                time.sleep(self.pause_seconds)
                self.wfile.write(bytes([byte]))
        self.close_connection = b"close" in self.answer

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


@contextmanager
def server(
    tmp_path: Path, scheme: str, answer: bytes, at_once: int, pause_seconds: float = LIMIT_SECONDS / 4
) -> Iterator[Broker]:
    """A broker that asks such a server."""
    ways = {"answer": answer, "at_once": at_once, "pause_seconds": pause_seconds}
    handler = type("Answering", (Trickling,), ways)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        served.daemon_threads = True
        authority = trustme.CA()
        if scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(context)
            served.socket = context.wrap_socket(served.socket, server_side=True)
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        broker = Broker(settings(f"{scheme}://127.0.0.1:{served.server_address[1]}"))
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        broker._trading._session.verify = str(tmp_path / "authority.pem")
        yield broker
        served.shutdown()
        thread.join()


def settings(url: str) -> ExchangeSettings:
    return ExchangeSettings(
        key_id="k",
        secret_key="s",
        trading_url=url,
        data_url=url,
        trading_stream_url="ws://127.0.0.1:1",
        data_stream_url="ws://127.0.0.1:1",
        venue=Venue.LOCAL,
    )


def transport(broker: Broker, scheme: str) -> Any:
    return broker._trading._session.get_adapter(f"{scheme}://")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("answer", "at_once"),
    [(ANSWER, 0), (ANSWER, len(ANSWER) - 20), (CHUNKS, len(CHUNKS) - 60), (NO_LENGTH, len(NO_LENGTH) - 20)],
    ids=["head", "body", "chunks", "no length"],
)
def test_F15_a_server_that_trickles_is_not_listened_to_for_ever(
    tmp_path: Path, scheme: str, answer: bytes, at_once: int
) -> None:
    with server(tmp_path, scheme, answer, at_once) as broker:
        transport(broker, scheme).read_seconds = LIMIT_SECONDS
        began = time.monotonic()
        with pytest.raises(ExchangeUnavailable, match="no complete response within"):
            broker.clock()
        assert isinstance(broker.submit(BUY), Unknown)
        assert 2 * LIMIT_SECONDS * 0.9 < time.monotonic() - began < 2 * LIMIT_SECONDS + 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_silence_in_the_middle_of_an_answer_has_only_what_is_left_of_the_time(
    tmp_path: Path, scheme: str
) -> None:
    with server(tmp_path, scheme, ANSWER, 0, pause_seconds=0.9) as broker:
        transport(broker, scheme).read_seconds = 1.0
        began = time.monotonic()
        with pytest.raises(ExchangeUnavailable, match="no complete response within"):
            broker.clock()
        assert time.monotonic() - began < 1.6


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("answer", [ANSWER, CHUNKS, NO_LENGTH], ids=["body", "chunks", "no length"])
def test_an_answer_that_comes_in_time_is_whole(tmp_path: Path, scheme: str, answer: bytes) -> None:
    with server(tmp_path, scheme, answer, len(answer) - 2) as broker:
        transport(broker, scheme).read_seconds = 5
        for _ in range(3):  # the next on the connection of the one before
            assert broker.clock().year == 2026


def test_connecting_and_the_answer_together_stay_below_15_seconds() -> None:
    assert CONNECT_SECONDS + transport(Broker(settings("http://127.0.0.1:1")), "http").read_seconds <= 15
