"""A name whose first address leads nowhere: streams, REST, database, mail and ping take the next one."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from dca.database.store import Store
from dca.runtime import addresses
from dca.runtime.settings import DatabaseSettings, ExchangeSettings
from tests.dead_addresses import DEAD, LIVING, hole, mute, with_two_addresses
from tests.post_office import PostOffice, post_office
from tests.processes import ROW, BotProcess, ExchangeProcess, eventually

GENEROUS_SECONDS = 15.0
SILENCES = pytest.mark.parametrize("silence", [hole, mute])
Silence = Callable[[str, int], AbstractContextManager[int]]


def at(host: str, port: int) -> addresses.Address:
    return int(socket.AF_INET), (host, port)


@pytest.fixture
def port() -> Iterator[int]:
    """Where somebody listens at the living address."""
    with socket.create_server((LIVING, 0)) as listener:
        yield int(listener.getsockname()[1])


# ---- one race ----


def test_the_next_address_is_tried_beside_one_that_is_silent(port: int) -> None:
    with (
        hole(DEAD, port),
        addresses.connect_to_one([at(DEAD, port), at(LIVING, port)], GENEROUS_SECONDS) as won,
    ):
        assert addresses.peer(won) == at(LIVING, port)
        assert won.gettimeout() == GENEROUS_SECONDS


def test_an_address_that_refuses_is_followed_by_the_next(port: int) -> None:
    found = [at(DEAD, port), (int(socket.AF_INET6), ("::1", port, 0, 0)), at(LIVING, port)]
    with addresses.connect_to_one(found, GENEROUS_SECONDS) as won:
        assert addresses.peer(won) == at(LIVING, port)


def test_the_first_that_answers_is_taken(port: int) -> None:
    with addresses.connect_to_one([at(LIVING, port), at(DEAD, port)], GENEROUS_SECONDS) as won:
        assert addresses.peer(won) == at(LIVING, port)


def test_nobody_answers_anywhere(port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        addresses.connect_to_one([at(DEAD, port), at("127.0.0.4", port)], GENEROUS_SECONDS)
    with hole(DEAD, port), pytest.raises(TimeoutError):
        addresses.connect_to_one([at(DEAD, port), at("127.0.0.4", port)], 0.5)
    with pytest.raises(OSError, match="no address"):
        addresses.connect_to_one([], 1)


@pytest.mark.parametrize("name", ["nobody.invalid", "a..b", "x" * 70 + ".invalid"])
def test_a_name_that_leads_nowhere_is_an_error_of_the_network(name: str) -> None:
    with pytest.raises(socket.gaierror):
        addresses.of(name, 1)


# ---- everything that connects ----


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    yield exchange
    exchange.stop()


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with post_office(tls=False) as office:
        yield office


@pytest.fixture
def bot(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings, office: PostOffice
) -> Iterator[BotProcess]:
    """All that it connects to is at localhost, which is ::1 first."""
    mail = {
        "ALERT_EMAIL_SENDER": "bot@example.com",
        "ALERT_EMAIL_RECEIVER": "you@example.com",
        "ALERT_EMAIL_SMTP_SERVER": "localhost",
        "ALERT_EMAIL_SMTP_PORT": str(office.port),
    }
    there = replace(database, socket=None, host="localhost")
    bot = BotProcess(tmp_path, named(exchange.settings), there, **mail)
    bot.prefix = with_two_addresses(tmp_path)
    yield bot
    bot.stop()


def named(settings: ExchangeSettings) -> ExchangeSettings:
    """By name instead of address."""
    names = ("trading_url", "data_url", "trading_stream_url", "data_stream_url")
    return replace(settings, **{name: getattr(settings, name).replace(LIVING, "localhost") for name in names})


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


def test_F88_main_app_trades_although_the_first_address_of_everything_is_dead(
    bot: BotProcess, exchange: ExchangeProcess, database: DatabaseSettings, store: Store
) -> None:
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    ports = {port_of(exchange.urls[each]) for each in ("trading", "data", "trading_stream", "data_stream")}
    with ExitStack() as holes:
        for each in {*ports, database.port}:
            holes.enter_context(hole("::1", each))
        bot.start()
        eventually(bot.is_trading, seconds=60)
        eventually(
            lambda: [o.state for o in store.transaction(lambda tx: tx.orders(1))] == ["done"], seconds=60
        )


@SILENCES
def test_F88_a_caretaker_reads_a_database_whose_first_address_is_dead(
    bot: BotProcess, database: DatabaseSettings, silence: Silence
) -> None:
    with silence("::1", database.port):
        done = bot.run("cooldown_manager.py")
    assert done.returncode == 0, done.stdout + done.stderr


@SILENCES
def test_F88_mail_takes_the_next_address(bot: BotProcess, office: PostOffice, silence: Silence) -> None:
    with silence("::1", office.port):
        done = bot.python("-m", "dca.operator", "test-email")
    assert len(office.messages) == 1, done.stdout + done.stderr


class _Ping(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


@SILENCES
def test_F88_the_ping_and_the_exchange_take_the_next_address(
    bot: BotProcess, tmp_path: Path, silence: Silence
) -> None:
    """Over TLS, as in life: whether the first address swallows the connection, or what is said on it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with HTTPServer((LIVING, 0), _Ping) as served:
        served.socket = context.wrap_socket(served.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=served.serve_forever, args=(0.02,))
        thread.start()
        url = f"https://localhost:{served.server_port}/"
        code = (
            "import urllib3; from dca.exchange import http_deadline\n"
            "pools = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=10), retries=False,"
            f" ca_certs={str(tmp_path / 'authority.pem')!r})\n"
            "pools.pool_classes_by_scheme = http_deadline.POOLS\n"
            f"print([pools.request('GET', {url!r}, preload_content=False).status for _ in range(2)])"
        )
        with silence("::1", served.server_port):
            done = bot.python("-c", code)
        served.shutdown()
        thread.join()
    assert done.stdout == "[200, 200]\n", done.stderr


def test_an_address_that_was_silent_comes_last_from_then_on(bot: BotProcess) -> None:
    code = (
        "from dca.runtime import addresses\n"
        "first, second = addresses.of('localhost', 1)\n"
        "addresses.was_silent(first)\n"
        "assert addresses.of('localhost', 1) == [second, first]\n"
        "addresses.was_silent(second)\n"
        "assert addresses.of('localhost', 1) == [first, second]\n"
    )
    done = bot.python("-c", code)
    assert done.returncode == 0, done.stderr
