"""The wire below the real Broker: requests are answered from memory, by urllib3's own response class."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from dca.exchange.request_budget import Kind, Pace
from dca.exchange.rest_client import Broker
from dca.runtime.settings import ExchangeSettings, Venue
from proof.fuzz.samples import KEY_ID, NOW, SECRET_KEY

URL = "http://127.0.0.1:9"
SETTINGS = ExchangeSettings(
    key_id=KEY_ID,
    secret_key=SECRET_KEY,
    trading_url=URL,
    data_url=URL,
    trading_stream_url="ws://127.0.0.1:9/stream",
    data_stream_url="ws://127.0.0.1:9/v1beta3/crypto/us",
    venue=Venue.LOCAL,
)


@dataclass(slots=True)
class Answer:
    """What comes back: a response, or an error of the connection."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None


class _Memory(HTTPAdapter):
    """In the place of the sockets: everything above this class is the product's and requests' own."""

    answer: Callable[[requests.PreparedRequest], Answer]

    def send(self, request: requests.PreparedRequest, *_args: Any, **_kwargs: Any) -> requests.Response:
        found = self.answer(request)
        if found.error is not None:
            raise found.error
        raw = urllib3.HTTPResponse(
            body=io.BytesIO(found.body),
            headers=found.headers,
            status=found.status,
            reason="",
            preload_content=False,
            decode_content=False,
        )
        return self.build_response(request, raw)


class _Hours:
    """A clock by which every request comes a minute after the one before: no pace is ever too fast."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        self._seconds += 90.0
        return self._seconds


def broker_with(answer: Callable[[requests.PreparedRequest], Answer], settings: ExchangeSettings) -> Broker:
    """The real Broker on that wire. Its own transport stays, with its rules about redirects and bodies."""
    broker = Broker(settings, Pace(_Hours(), dict.fromkeys(Kind, 10)))
    for client in (broker._trading, broker._data):
        for adapter in client._session.adapters.values():
            # The real transport's super().send() now finds the class above before requests' own.
            joined = type("OnMemory", (type(adapter), _Memory), {"answer": staticmethod(answer)})
            adapter.__class__ = joined
    return broker
