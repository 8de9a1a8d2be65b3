"""The ports that demo, exchange and private database open: this machine only, and nothing without a password.

127.0.0.2 stands for every other address of this machine: a server that listened on all of them would answer
there, and the kernel's list of listening sockets says the same.
"""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import mysql.connector
import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from launcher import server_packages
from launcher.database import PrivateServer
from tests.processes import ExchangeProcess

OTHER = "127.0.0.2"
PATHS = (
    "/v2/account",
    "/v2/orders",
    "/v2/positions",
    "/v2/clock",
    "/v2/assets",
    "/v2/account/activities/FILL",
)
REFUSED = (401, 403)


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path_factory.mktemp("exchange") / "log")
    yield exchange
    exchange.stop()


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


def listening_at(port: int) -> set[str]:
    """The addresses at which somebody listens on a port, as the kernel has them."""
    found = set()
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        table = Path(f"/proc/net/{name}")
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:
                words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
                found.add(socket.inet_ntop(family, b"".join(words)))
    return found


def is_open(host: str, port: int) -> bool:
    with closing(socket.socket()) as client:
        client.settimeout(2)
        return client.connect_ex((host, port)) == 0


def only_here(port: int) -> None:
    assert listening_at(port) == {"127.0.0.1"}
    assert is_open("127.0.0.1", port) and not is_open(OTHER, port)


def test_the_kernels_list_is_read_right() -> None:
    with closing(socket.create_server(("", 0))) as server:
        port = server.getsockname()[1]
        assert listening_at(port) == {"0.0.0.0"} and is_open(OTHER, port)


def test_the_exchange_listens_on_loopback_only(exchange: ExchangeProcess) -> None:
    for name in ("trading", "data", "admin"):
        only_here(port_of(exchange.urls[name]))


def test_the_exchange_wants_its_keys(exchange: ExchangeProcess) -> None:
    where, urls = exchange.urls["trading"], exchange.urls
    good = {"APCA-API-KEY-ID": urls["key_id"], "APCA-API-SECRET-KEY": urls["secret_key"]}
    for path in PATHS:
        for headers in ({}, {**good, "APCA-API-SECRET-KEY": "x"}, {**good, "APCA-API-KEY-ID": "x"}):
            assert requests.get(where + path, headers=headers, timeout=5).status_code in REFUSED, path
        assert requests.get(where + path, headers=good, timeout=5).status_code == 200, path
    order = {"symbol": "BTC/USD", "qty": "1", "side": "buy", "type": "market", "time_in_force": "gtc"}
    assert requests.post(where + "/v2/orders", json=order, timeout=5).status_code in REFUSED
    assert requests.delete(where + "/v2/orders", timeout=5).status_code in REFUSED
    assert exchange.get("/state")["open_orders"] == []


def test_the_exchanges_admin_wants_its_secret_path(exchange: ExchangeProcess) -> None:
    whole = exchange.urls["admin"]
    base, _, token = whole.rpartition("/")
    assert len(token) >= 16
    for path in ("", "/state", "/journal", "/x/state", f"/{token[:-1]}/state"):
        assert requests.get(base + path, timeout=5).status_code == 404, path
    assert requests.get(f"{whole}/state", timeout=5).status_code == 200


def test_the_exchanges_streams_want_its_keys(exchange: ExchangeProcess) -> None:
    with connect(exchange.urls["trading_stream"], proxy=None) as client:
        client.send(json.dumps({"action": "auth", "key": exchange.urls["key_id"], "secret": "x"}))
        assert json.loads(client.recv(5))["data"]["status"] == "unauthorized"
    with connect(exchange.urls["data_stream"], proxy=None) as client:
        client.recv(5)
        client.send(json.dumps({"action": "subscribe", "quotes": ["BTC/USD"]}))
        assert json.loads(client.recv(5))[0]["T"] == "error"


def test_every_exchange_has_credentials_of_its_own(exchange: ExchangeProcess, tmp_path: Path) -> None:
    other = ExchangeProcess(tmp_path / "other")
    other.stop()
    for name in ("key_id", "secret_key", "admin"):
        assert exchange.urls[name] != other.urls[name]
    assert len(other.urls["secret_key"]) >= 32


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example.com"},
        {"Host": "rebound.example.com:80"},
        {"Host": ""},
        {"Origin": "https://page.example.com"},
        {"Origin": "null"},
    ],
)
def test_a_page_in_a_browser_gets_nothing(exchange: ExchangeProcess, headers: dict[str, str]) -> None:
    """DNS rebinding shows in Host; what a page sends across origins carries Origin."""
    urls = exchange.urls
    keys = {"APCA-API-KEY-ID": urls["key_id"], "APCA-API-SECRET-KEY": urls["secret_key"]}
    for url in (
        urls["trading"] + "/v2/account",
        urls["admin"] + "/state",
        urls["data"] + "/v1beta3/crypto/us",
    ):
        answer = requests.get(url, headers={**keys, **headers}, timeout=5)
        assert (answer.status_code, urls["key_id"] in answer.text) == (403, False), url
    if "Origin" in headers:
        for name in ("trading_stream", "data_stream"):
            with pytest.raises(InvalidStatus, match="403"):
                connect(urls[name], additional_headers=headers, proxy=None)


# ---- the private database ----


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    if server_packages.found() is None:
        pytest.skip("MariaDB is not installed here")
    with PrivateServer(tmp_path_factory.mktemp("server") / "db") as server:
        server.create_database("one", "someone", "a password")
        yield server


def login(server: PrivateServer, **values: object) -> Callable[[], object]:
    where = {"host": "127.0.0.1", "port": server.port} if "unix_socket" not in values else {}
    return lambda: mysql.connector.connect(**where, **values, connection_timeout=5, use_pure=True).close()


def test_the_private_database_takes_local_connections_only(server: PrivateServer) -> None:
    only_here(server.port)


def test_the_private_database_wants_a_password(server: PrivateServer) -> None:
    login(server, user="someone", password="a password", database="one")()  # so that the rest shows something
    path = str(server.socket)
    refused = [
        login(server, user="someone", password=""),
        login(server, user="someone", password="another"),
        login(server, user="root", password=""),
        login(server, user="", password=""),
        login(server, user="someone", password="", unix_socket=path),
        login(server, user="", password="", unix_socket=path),
    ]
    for attempt in refused:
        with pytest.raises(mysql.connector.Error):
            attempt()
    with pytest.raises(mysql.connector.Error, match="denied"):
        login(server, user="someone", password="a password", database="mysql")()


def test_the_private_databases_files_are_ours_alone(server: PrivateServer) -> None:
    assert server.directory.stat().st_mode & 0o077 == 0
    assert server.socket.is_relative_to(server.directory)
