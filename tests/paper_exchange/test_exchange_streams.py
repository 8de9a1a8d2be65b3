"""The two wire protocols, spoken by hand: every form of authentication, every refusal."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.processes import ExchangeProcess, eventually


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "log")
    yield exchange
    exchange.stop()


def say(socket: ClientConnection, **message: Any) -> Any:
    """Send a message as text and return the answer."""
    socket.send(json.dumps(message))
    return json.loads(socket.recv(timeout=5))


def test_order_stream_both_forms_of_authentication(exchange: ExchangeProcess) -> None:
    urls = exchange.urls
    with connect(urls["trading_stream"], compression=None) as socket:
        refused = say(socket, action="listen", data={"streams": ["trade_updates"]})
        assert refused["data"] == {"status": "unauthorized", "action": "listen"}
        wrong = say(socket, action="auth", key="a", secret="b")
        assert wrong["data"]["status"] == "unauthorized"
        old = {"key_id": urls["key_id"], "secret_key": urls["secret_key"]}
        answer = say(socket, action="authenticate", data=old)
        assert answer["data"]["status"] == "authorized"
        assert "deprecated" in answer["data"]["message"]
        new = say(socket, action="auth", key=urls["key_id"], secret=urls["secret_key"])
        assert new["data"]["status"] == "authorized"
        heard = say(socket, action="listen", data={"streams": ["trade_updates"]})
        assert heard == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        with pytest.raises(InvalidStatus) as second:
            connect(urls["trading_stream"], compression=None)
        assert second.value.response.status_code == 429
        exchange.post("/orders", symbol="BTC/USD", side="buy", type="market", time_in_force="gtc", qty="0.01")
        frame = socket.recv(timeout=5)
        assert isinstance(frame, bytes), "JSON in binary frames"
        assert json.loads(frame)["data"]["event"] == "pending_new"


def test_quote_stream_as_text(exchange: ExchangeProcess) -> None:
    urls = exchange.urls
    with connect(urls["data_stream"], compression=None) as socket:
        assert json.loads(socket.recv()) == [{"T": "success", "msg": "connected"}]
        answer = say(socket, action="auth", key=urls["key_id"], secret=urls["secret_key"])
        assert answer == [{"T": "success", "msg": "authenticated"}]
        granted = say(socket, action="subscribe", quotes=["BTC/USD"])
        assert granted[0]["T"] == "subscription"
        assert granted[0]["quotes"] == ["BTC/USD"]
        assert next(iter(json.loads(socket.recv(timeout=5))[0])) == "T"
        socket.send("[not json")
        eventually(lambda: json.loads(socket.recv(timeout=5))[0].get("code") == 400)


@pytest.mark.parametrize(
    ("message", "code"),
    [({"action": "auth", "key": "a", "secret": "b"}, 402), ({"action": "subscribe", "quotes": ["*"]}, 401)],
)
def test_quote_stream_refusals(exchange: ExchangeProcess, message: dict[str, Any], code: int) -> None:
    with connect(exchange.urls["data_stream"], compression=None) as socket:
        socket.recv()
        assert say(socket, **message)[0]["code"] == code


def test_quote_stream_in_msgpack_and_only_once(exchange: ExchangeProcess) -> None:
    urls = exchange.urls
    headers = {"Content-Type": "application/msgpack"}
    keys = {"action": "auth", "key": urls["key_id"], "secret": urls["secret_key"]}
    with (
        connect(urls["data_stream"], additional_headers=headers, compression=None) as first,
        connect(urls["data_stream"], additional_headers=headers, compression=None) as second,
    ):
        for socket in (first, second):
            assert msgpack.unpackb(socket.recv())[0]["msg"] == "connected"
        first.send(msgpack.packb(keys))
        assert msgpack.unpackb(first.recv())[0]["msg"] == "authenticated"
        # In pieces, as alpaca-py sends it.
        first.send([msgpack.packb({"action": "subscribe", "quotes": ["*"]}), b""])
        assert msgpack.unpackb(first.recv(timeout=5))[0]["quotes"] == ["*"]
        quote = msgpack.unpackb(first.recv(timeout=5), timestamp=3)[0]
        assert quote["t"].tzinfo is not None
        second.send(msgpack.packb(keys))
        assert msgpack.unpackb(second.recv(timeout=5))[0]["code"] == 406
