"""A hostile or hijacked endpoint, on real sockets: certificates, redirects, proxies, logins of others,
error pages that repeat our keys, answers without an end."""

import contextlib
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from dca.alerts.delivery import Postman
from dca.core.errors import ExchangeUnavailable, SettingsProblem
from dca.core.model import DefiniteReject, Unknown
from dca.exchange.rest_client import Broker
from dca.exchange.streams import Feed
from dca.runtime.clock import SystemClock
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import ExchangeSettings, Venue, parse
from dca.trading.inbox import Inbox
from tests.builders import order
from tests.processes import ROOT, eventually

KEY, SECRET = "PKPLANTEDKEY12345678", "planted+secret/key=of_forty_letters_1234"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "ws_proxy")
OURS = "localhost"


@dataclass
class Endpoint:
    """A server that answers everything alike and keeps what it was asked."""

    port: int = 0
    status: int = 200
    body: bytes = b'{"timestamp": "2026-01-02T03:04:05Z"}'
    location: str = ""
    endless: bool = False
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextlib.contextmanager
def endpoint(tls: ssl.SSLContext | None = None, **values: Any) -> Iterator[Endpoint]:
    place = Endpoint(**values)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # websockets takes no answer of 1.0, and so no redirect of it

        def answer(self) -> None:
            place.asked.append(f"{self.command} {self.path}")
            place.headers.append(dict(self.headers))
            self.send_response(place.status)
            if place.location:
                self.send_header("Location", place.location)
            if place.endless:
                self.close_connection = True
                self.end_headers()
                with contextlib.suppress(OSError):
                    while True:
                        self.wfile.write(b" " * 1_000_000)
            self.send_header("Content-Length", str(len(place.body)))
            self.end_headers()
            self.wfile.write(place.body)

        do_GET = do_POST = do_DELETE = do_CONNECT = answer

        def log_message(self, format: str, *args: object) -> None:
            """Quietly."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up over a certificate is no news here."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    place.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield place
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class StreamServer:
    port: int = 0
    frame: bytes | None = None
    heard: list[str | bytes] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    """With which connections were closed."""


@contextlib.contextmanager
def stream_server(tls: ssl.SSLContext | None = None, **values: Any) -> Iterator[StreamServer]:
    """Hears one message, and answers with `frame`."""
    place = StreamServer(**values)

    def hear(connection: ServerConnection) -> None:
        try:
            if place.frame is not None:
                connection.send(place.frame)
            place.heard.append(connection.recv())
            if place.frame is not None:
                connection.recv()
        except ConnectionClosed as closed:
            place.codes.append(0 if closed.rcvd is None else closed.rcvd.code)

    with serve(hear, "127.0.0.1", 0, ssl=tls) as server:
        place.port = server.socket.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield place
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def a_plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC"):
        monkeypatch.delenv(name, raising=False)


def certificate(ca: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    return context


def settings(url: str, stream: str = "ws://127.0.0.1:9/stream") -> ExchangeSettings:
    return ExchangeSettings(
        key_id=KEY,
        secret_key=SECRET,
        trading_url=url,
        data_url=url,
        trading_stream_url=stream,
        data_stream_url=stream,
        venue=Venue.LOCAL,
    )


def trusting(broker: Broker, ca: trustme.CA, folder: Path) -> Broker:
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    broker._trading._session.verify = str(folder / "ca.pem")
    return broker


# ---- certificates ----


def test_the_broker_talks_to_a_server_that_it_trusts(ca: trustme.CA, tmp_path: Path) -> None:
    """Otherwise the refusals below would show nothing."""
    with endpoint(certificate(ca, OURS)) as place:
        broker = trusting(Broker(settings(f"https://{OURS}:{place.port}")), ca, tmp_path)
        assert broker.clock() == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert place.headers[0]["APCA-API-SECRET-KEY"] == SECRET


def test_the_broker_refuses_a_certificate_of_nobody(ca: trustme.CA) -> None:
    with endpoint(certificate(ca, OURS)) as place:
        broker = Broker(settings(f"https://{OURS}:{place.port}"))
        with pytest.raises(ExchangeUnavailable, match="certificate verify failed"):
            broker.clock()
        assert isinstance(broker.submit(order()), Unknown)
        with pytest.raises(ExchangeUnavailable, match="certificate verify failed"):
            broker.latest_quote_times(["BTC/USD"])
        assert place.asked == []


def test_the_broker_refuses_a_certificate_of_another_name(ca: trustme.CA, tmp_path: Path) -> None:
    with endpoint(certificate(ca, "paper-api.example.com")) as place:
        broker = trusting(Broker(settings(f"https://{OURS}:{place.port}")), ca, tmp_path)
        with pytest.raises(ExchangeUnavailable, match="certificate verify failed: Hostname mismatch"):
            broker.clock()
        assert place.asked == []


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_no_environment_makes_the_broker_trust_others(
    name: str, ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    with endpoint(certificate(ca, OURS)) as place:
        with pytest.raises(ExchangeUnavailable, match="certificate verify failed"):
            Broker(settings(f"https://{OURS}:{place.port}")).clock()
        assert place.asked == []


class Listener:
    """A feed, and what it complained of."""

    def __init__(self, stream: str, trust: ssl.SSLContext | None = None) -> None:
        self.troubles = Troubles()
        where = settings("http://127.0.0.1:9", stream)
        self.feed = Feed(where, Inbox(), {}, SystemClock(), self.troubles, lambda: None, trust=trust)

    def __enter__(self) -> "Listener":
        self.feed.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.feed.stop()

    def wait(self) -> None:
        """Until both streams were tried once."""
        eventually(lambda: {"stream order stream", "stream quote stream"} <= set(self.troubles.names()))


def trust_of(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


def test_the_feed_talks_to_a_server_that_it_trusts(ca: trustme.CA) -> None:
    with stream_server(certificate(ca, OURS)) as place:
        with Listener(f"wss://{OURS}:{place.port}/stream", trust_of(ca)):
            heard = eventually(lambda: [each for each in place.heard if isinstance(each, str)])
        assert json.loads(heard[0]) == {"action": "auth", "key": KEY, "secret": SECRET}


@pytest.mark.parametrize("name", [OURS, "stream.example.com"])
def test_the_feed_refuses_a_certificate_of_nobody_and_of_another_name(
    name: str, ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))  # no environment changes whom it trusts
    with stream_server(certificate(ca, name)) as place:
        trust = None if name == OURS else trust_of(ca)
        with Listener(f"wss://{OURS}:{place.port}/stream", trust) as listener:
            listener.wait()
        assert place.heard == []


# ---- redirects ----


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_broker_follows_no_redirect(status: int) -> None:
    with endpoint() as other, endpoint(status=status, location=f"http://127.0.0.1:{other.port}/") as place:
        broker = Broker(settings(f"http://127.0.0.1:{place.port}"))
        for ask in (broker.clock, broker.open_orders, broker.account, lambda: broker.cancel("1")):
            with pytest.raises(ExchangeUnavailable, match="redirected"):
                ask()
        assert isinstance(broker.submit(order()), Unknown)
        with pytest.raises(ExchangeUnavailable, match="redirected"):
            broker.latest_quote_times(["BTC/USD"])
        assert len(place.asked) == 6
        assert other.asked == []


def test_the_feed_follows_no_redirect() -> None:
    """The keys are the first thing that it says, to whomever it is connected."""
    with stream_server() as other:
        where = f"ws://127.0.0.1:{other.port}/stream"
        with endpoint(status=302, location=where) as place:
            with Listener(f"ws://127.0.0.1:{place.port}/stream") as listener:
                listener.wait()
            assert place.asked
        assert other.heard == []


def test_the_ping_follows_no_redirect_and_no_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {
        **dict.fromkeys(("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "DB_USER", "DB_PASSWORD", "DB_NAME"), "x"),
        "APCA_API_BASE_URL": "http://127.0.0.1:9",
        "DB_HOST": "localhost",
        "STATE_DIR": str(tmp_path),
    }
    with (
        endpoint() as other,
        endpoint() as proxy,
        endpoint(status=302, location=f"http://127.0.0.1:{other.port}/") as place,
    ):
        for name in PROXIES:
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        values["HEARTBEAT_PING_URL"] = f"http://127.0.0.1:{place.port}/id"
        Postman(parse(values, env_file_mode=None), SystemClock(), 1.0, None).ping()
        assert (place.asked, other.asked, proxy.asked) == (["GET /id"], [], [])


# ---- what libraries take from the surroundings ----


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint() as proxy, endpoint() as place, stream_server() as streams:
        for name in PROXIES:
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        Broker(settings(f"http://127.0.0.1:{place.port}")).clock()
        with Listener(f"ws://127.0.0.1:{streams.port}/stream"):
            eventually(lambda: streams.heard)
        assert (len(place.asked), proxy.asked) == (1, [])


def test_no_login_of_netrc_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password planted-netrc\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with endpoint() as place:
        Broker(settings(f"http://127.0.0.1:{place.port}")).clock()
        assert "Authorization" not in place.headers[0]


def test_the_keys_of_tls_are_written_nowhere(tmp_path: Path) -> None:
    """Python does it by itself wherever SSLKEYLOGFILE says."""
    code = "import sys\n{}import ssl\nssl.create_default_context()\n"
    for protected in (False, True):
        file = tmp_path / f"{protected}"
        ours = "from dca.runtime import script\nscript.keep_to_ourselves()\n" if protected else ""
        subprocess.run(
            [sys.executable, "-c", code.format(ours)],
            cwd=ROOT,
            env={"SSLKEYLOGFILE": str(file)},
            check=True,
            timeout=30,
        )
        assert file.exists() is not protected


# ---- what it answers ----


@pytest.mark.parametrize("status", [200, 400, 403, 422, 500, 502])
def test_an_answer_that_repeats_our_keys_is_read_without_them(status: int) -> None:
    page = f"\x1b[31mAPCA-API-KEY-ID: {KEY} and {SECRET}"
    message = json.dumps({"code": 1, "message": page, "client_order_id": page}).encode()
    for body in (page.encode(), message):
        with endpoint(status=status, body=body) as place:
            broker = Broker(settings(f"http://127.0.0.1:{place.port}"))
            outcome = broker.submit(order())
            assert isinstance(outcome, Unknown | DefiniteReject)
            said = [outcome.message if isinstance(outcome, DefiniteReject) else outcome.reason]
            for ask in (broker.clock, broker.account, broker.open_orders, broker.positions):
                with pytest.raises(ExchangeUnavailable) as caught:
                    ask()
                said.append(str(caught.value))
        told = "\n".join(said)
        assert KEY not in told and SECRET not in told
        assert "\x1b" not in told, "it would reach a terminal"


def test_an_answer_without_an_end_is_cut_off() -> None:
    with endpoint(endless=True) as place:
        broker = Broker(settings(f"http://127.0.0.1:{place.port}"))
        with pytest.raises(ExchangeUnavailable, match="response longer than"):
            broker.clock()


def test_a_frame_without_measure_ends_the_stream() -> None:
    """1009: too big. It was not read to its end."""
    with stream_server(frame=bytes(3_000_000)) as place, Listener(f"ws://127.0.0.1:{place.port}/stream"):
        eventually(lambda: place.codes.count(1009) >= 2)


def test_only_the_hosts_of_the_settings_are_asked() -> None:
    """Trading and data may be at two hosts; each gets what is its own."""
    with endpoint() as trading, endpoint(body=b'{"quotes": {}}') as data:
        where = settings(f"http://127.0.0.1:{trading.port}")
        broker = Broker(replace(where, data_url=f"http://127.0.0.1:{data.port}"))
        broker.clock()
        broker.latest_quote_times(["BTC/USD"])
        assert trading.asked == ["GET /v2/clock"]
        assert [each.partition("?")[0] for each in data.asked] == ["GET /v1beta3/crypto/us/latest/quotes"]


def test_what_is_not_encrypted_stays_on_this_machine() -> None:
    values = dict.fromkeys(
        ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "DB_USER", "DB_PASSWORD", "DB_NAME"), "x"
    )
    values |= {"DB_HOST": "localhost", "ALLOW_LIVE_TRADING": "yes"}
    for name in ("APCA_API_BASE_URL", "APCA_API_DATA_URL", "APCA_API_STREAM_URL", "APCA_DATA_STREAM_URL"):
        scheme = "ws" if "STREAM" in name else "http"
        given = {**values, "APCA_API_BASE_URL": "https://paper-api.alpaca.markets"}
        given[name] = f"{scheme}://paper-api.alpaca.markets"
        with pytest.raises(SettingsProblem, match="not encrypted"):
            parse(given, env_file_mode=None)
