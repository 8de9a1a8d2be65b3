"""The least programs that do a caretaker's work with the same libraries, and one to weigh main_app by."""

import sys

from dca.runtime.settings import DatabaseSettings
from launcher.output import ROOT

_SELECT = """
import mysql.connector
connection = mysql.connector.connect(unix_socket={socket!r}, user={user!r}, password={password!r},
                                     database={name!r})
cursor = connection.cursor()
cursor.execute("SELECT COUNT(*) FROM dca_assets")
assert cursor.fetchall() == [({assets},)]
connection.close()
"""
_GET = """
from alpaca.trading.client import TradingClient
client = TradingClient({key_id!r}, {secret_key!r}, url_override={trading!r})
assert client.get_account().status == "ACTIVE"
"""
_LEAN_GET = """
from alpaca.common.rest import RESTClient
client = RESTClient({trading!r}, {key_id!r}, {secret_key!r}, raw_data=True)
assert client.get("/account")["status"] == "ACTIVE"
"""
_STREAM = """
from alpaca.trading.client import TradingClient
from alpaca.data.live import CryptoDataStream
"""
_LISTEN = """
from alpaca.data.live import CryptoDataStream
stream = CryptoDataStream({key_id!r}, {secret_key!r}, raw_data=True, url_override={data_stream!r})
heard = False
async def hear(quote):
    global heard
    if not heard:
        heard = True
        print("quotes", flush=True)
stream.subscribe_quotes(hear, *{symbols!r})
stream.run()
"""
_ORDER = """
from alpaca.data.live import CryptoDataStream
stream = CryptoDataStream({key_id!r}, {secret_key!r}, raw_data=True, url_override={data_stream!r})
async def buy(quote):
    client.post("/orders", {{"symbol": {symbol!r}, "side": "buy", "type": "limit", "time_in_force": "gtc",
                            "qty": "2", "limit_price": str(quote["ap"])}})
    import os
    os._exit(0)
stream.subscribe_quotes(buy, {symbol!r})
stream.run()
"""


def bare() -> list[str]:
    """Nothing but the interpreter."""
    return _program("pass")


def query(database: DatabaseSettings, assets: int) -> list[str]:
    """mysql.connector as it comes, and one SELECT."""
    return _program(_select(database, assets))


def query_and_request(database: DatabaseSettings, assets: int, urls: dict[str, str]) -> list[str]:
    """The same, and one GET through alpaca-py as it comes."""
    return _program(_select(database, assets) + _GET.format(**urls))


def query_and_lean_request(database: DatabaseSettings, assets: int, urls: dict[str, str]) -> list[str]:
    """The same with the one class of alpaca-py that sends requests: what there is without its models."""
    return _program(_select(database, assets) + _LEAN_GET.format(**urls))


def stream() -> list[str]:
    """What a bot on alpaca-py has imported before it has done anything."""
    return _program(_STREAM)


def listener(urls: dict[str, str], symbols: list[str]) -> list[str]:
    """alpaca-py's own quote stream with a handler that does nothing; it says "quotes" at the first."""
    return _program(_LISTEN.format(**urls, symbols=symbols))


def first_order(database: DatabaseSettings, assets: int, urls: dict[str, str], symbol: str) -> list[str]:
    """A SELECT, a GET, a stream, and a POST as soon as the first quote comes."""
    return _program(_select(database, assets) + _GET.format(**urls) + _ORDER.format(**urls, symbol=symbol))


def script(name: str) -> list[str]:
    """A script of ours."""
    return [sys.executable, str(ROOT / name)]


def _select(database: DatabaseSettings, assets: int) -> str:
    return _SELECT.format(
        socket=database.socket,
        user=database.user,
        password=database.password,
        name=database.name,
        assets=assets,
    )


def _program(text: str) -> list[str]:
    return [sys.executable, "-c", text]
