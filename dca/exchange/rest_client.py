"""Alpaca's REST API in our own types. The only module that imports alpaca.

Submitting an order has exactly four outcomes (model.SubmitOutcome). Reads return something fresh and
complete, or raise: a failed read is never an empty one.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, TypeVar, cast

import requests
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError

from dca.core.book import Book
from dca.core.charges import Charge
from dca.core.errors import ExchangeUnavailable, RateLimited, RequestRefused
from dca.core.model import (
    ZERO,
    Accepted,
    Account,
    Execution,
    Order,
    Position,
    Quote,
    Side,
    Snapshot,
    SubmitOutcome,
    TradingRules,
    Unknown,
    plain,
)
from dca.exchange import activities, http_deadline, parsing, refusals
from dca.exchange.request_budget import ALL_OF_MAIN_APP, Kind, Pace, main_app
from dca.runtime.clock import SystemClock
from dca.runtime.settings import ExchangeSettings

R = TypeVar("R")

CONNECT_SECONDS = 3
READ_SECONDS = 10
"""Time limit for the whole response, however slowly it comes (F15); with connecting, 15 s per request."""
IDLE_SECONDS = 15
"""Connections idle for longer are not reused: the other side may have closed them, and an order sent on one
would have an unknown outcome (F01)."""

_PAGE = 500
_MAX_PAGES = 40
_LONGEST_BODY = 20_000_000
"""Longest response body accepted, in bytes. Alpaca's longest, a page of orders, is below a megabyte."""
_SHORTEST_SECRET = 8
_UNCLEAR = (
    *(requests.RequestException, ValueError, TypeError, AttributeError, KeyError),
    *(ArithmeticError, RecursionError),  # extreme numbers and nesting
)
"""Exceptions of a broken connection or an invalid body."""


class _Transport(HTTPAdapter):
    """A session that gives every request a time limit, follows no redirect and reuses no idle connection.

    alpaca-py sets no time limit and takes a redirect's body for an answer (alpaca.md 1 and 8). An error page
    may echo the request, so `secrets` are removed from every body before it is used.
    """

    _used_at = 0.0
    read_seconds: float = READ_SECONDS

    def __init__(self, secrets: list[str], pace: Pace | None) -> None:
        super().__init__()
        self._pace = pace
        self._secrets = [secret.encode() for secret in secrets if len(secret) >= _SHORTEST_SECRET]

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = http_deadline.POOLS

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if monotonic() - self._used_at > IDLE_SECONDS:
            self.poolmanager.clear()
        kwargs["timeout"] = (CONNECT_SECONDS, self.read_seconds)
        response = super().send(request, *args, **kwargs)
        if self._pace is not None:
            self._pace.answered(response.status_code, response.headers)
        response._content = self._body_of(response)
        self._used_at = monotonic()
        if 300 <= response.status_code < 400:
            raise requests.ConnectionError(
                f"redirected with {response.status_code}; redirects are not followed"
            )
        if not 200 <= response.status_code < 600:  # requests treats it as success
            raise requests.ConnectionError(f"unexpected status {response.status_code}")
        return response

    def _body_of(self, response: requests.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_content(65_536):
            body += chunk
            if len(body) > _LONGEST_BODY:
                response.close()
                raise requests.ConnectionError(f"response longer than {_LONGEST_BODY} bytes")
        for secret in self._secrets:
            body = body.replace(secret, b"***")
        return bytes(body)


def _prepare(client: RESTClient, secrets: list[str], pace: Pace | None) -> None:
    """Make a session without retries, because a repeated POST is a second order (alpaca.md 8).

    It ignores the environment and ~/.netrc: no proxy, no other certificates, no other login.
    """
    client._retry_codes = []
    client._session.trust_env = False
    transport = _Transport(secrets, pace)
    client._session.mount("https://", transport)
    client._session.mount("http://", transport)


class Broker:
    """Alpaca's REST API over one HTTP session, for one thread. `pace` is shared by the whole process."""

    def __init__(self, settings: ExchangeSettings, pace: Pace | None = None) -> None:
        self._pace = pace or Pace(SystemClock(), main_app(ALL_OF_MAIN_APP))
        self._reserved: float | None = None
        # TradingClient and CryptoHistoricalDataClient only add models, whose import loads pandas.
        self._trading = RESTClient(
            settings.trading_url, settings.key_id, settings.secret_key, api_version="v2", raw_data=True
        )
        self._data = RESTClient(
            settings.data_url, settings.key_id, settings.secret_key, api_version="v1beta3", raw_data=True
        )
        secrets = [settings.secret_key, settings.key_id]
        _prepare(self._trading, secrets, self._pace)
        _prepare(self._data, secrets, None)  # another host, with its own limit

    def reserve(self, side: Side) -> None:
        """Reserve the next `submit`'s request before its order is claimed: an order claimed but not sent
        would block its asset for the quiet period.

        Raises:
            RateLimited: the budget does not allow it now.
        """
        if self._reserved is not None:
            self._pace.give_back(self._reserved)  # no order was sent
            self._reserved = None
        self._reserved = self._pace.take(Kind.of(side))

    def submit(self, order: Order) -> SubmitOutcome:
        """Send an order exactly as its row says, with numbers as text (floats would alter them: alpaca.md
        8)."""
        body = {
            "symbol": order.symbol,
            "side": order.side.value,
            "type": order.order_type.value,
            "time_in_force": order.time_in_force,
            "qty": plain(order.qty),
            "client_order_id": order.client_order_id,
        }
        if order.limit_price is not None:
            body["limit_price"] = plain(order.limit_price)
        reserved, self._reserved = self._reserved, None
        try:
            if reserved is None:
                self._pace.take(Kind.of(order.side))
            snapshot = parsing.snapshot(cast(parsing.Json, self._trading.post("/orders", body)))
        except APIError as error:
            return refusals.outcome(_status_of(error), str(error))
        except (RateLimited, *_UNCLEAR) as error:
            return Unknown(reason=_short(error))
        if snapshot.client_order_id != order.client_order_id:
            return Unknown(reason=f"answered with another order: {snapshot.client_order_id!r}")
        return Accepted(snapshot=snapshot)

    def order(self, client_order_id: str) -> Snapshot | None:
        """Look an order up by our id; None if the exchange says that it does not exist.

        Raises:
            ExchangeUnavailable: no usable answer.
        """
        return self._get_or_none(
            "/orders:by_client_order_id",
            {"client_order_id": client_order_id},
            lambda raw: parsing.snapshot_of(raw, client_order_id),
            Kind.LOOK_UP,
        )

    def open_orders(self) -> list[Snapshot]:
        """All open orders of the account, ours and others; raises like `closed_orders`."""
        return self._orders({"status": "open"}, Kind.LOOK_UP)

    def closed_orders(
        self, submitted_after: datetime, submitted_before: datetime | None = None
    ) -> list[Snapshot]:
        """Orders of the account that have ended, ours and others.

        Raises:
            ExchangeUnavailable: also if the list is incomplete.
        """
        which = {"status": "closed", "after": submitted_after.isoformat()}
        if submitted_before is not None:
            which["until"] = submitted_before.isoformat()
        return self._orders(which, Kind.ORDINARY)

    def _orders(self, which: dict[str, Any], kind: Kind) -> list[Snapshot]:
        found: dict[str, Snapshot] = {}
        query = {**which, "limit": _PAGE, "direction": "asc", "asset_class": "crypto"}
        for _ in range(_MAX_PAGES):
            raws = self._get("/orders", query, parsing.listed, kind)
            page = parsing.snapshots(raws)
            new = [snapshot for snapshot in page if snapshot.exchange_order_id not in found]
            found.update((snapshot.exchange_order_id, snapshot) for snapshot in new)
            if len(raws) < _PAGE:
                return list(found.values())
            if not new:
                break
            # `after` is exclusive; orders of the same instant come again and are dropped by their id.
            last = _parsed(lambda listed: parsing.moment(listed[-1].get("submitted_at")), raws)
            query["after"] = (last - timedelta(microseconds=1)).isoformat()
        raise ExchangeUnavailable(f"the list of {which['status']} orders does not end")

    def cancel(self, exchange_order_id: str) -> None:
        """Request the cancellation of an order. No answer proves anything: look the order up afterwards.

        Raises:
            ExchangeUnavailable: the request may or may not have arrived.
        """
        self._pace.take(Kind.EXIT)
        try:
            self._trading.delete(f"/orders/{exchange_order_id}")
        except APIError as error:
            if _status_of(error) not in {404, 422}:
                raise ExchangeUnavailable(f"cancel: {_short(error)}") from error
        except _UNCLEAR as error:
            raise ExchangeUnavailable(f"cancel: {_short(error)}") from error

    def position(self, symbol: str) -> Position:
        """The account's position in a pair; zero if the exchange says that there is none.

        Positions have no slash in symbols (alpaca.md 2.4).
        """
        path = f"/positions/{symbol.replace('/', '')}"
        found = self._get_or_none(path, None, lambda raw: parsing.position(raw, symbol), Kind.EXIT)
        return found or Position(symbol=symbol, qty=ZERO, qty_available=ZERO)

    def positions(self) -> dict[str, Position]:
        """Everything the account holds, by symbol without its slash (alpaca.md 2.4).

        Raises:
            ExchangeUnavailable: also if any single one is invalid, as it might be the one that matters.
        """
        return self._get("/positions", None, parsing.positions, Kind.LOOK_UP)

    def executions(self, orders: Sequence[Order]) -> list[Execution]:
        """The individual fills of these orders that the activity list has so far."""
        return self._of_activities(lambda read: activities.executions(read, orders))

    def sales(self, symbol: str, after: datetime) -> list[Execution]:
        """All sales of a pair on the account since `after`, the bot's or not.

        Raises:
            ExchangeUnavailable: also if the list is incomplete.
        """
        return self._of_activities(lambda read: activities.sales(read, symbol, after))

    def fills_and_fees(self, orders: Sequence[Order]) -> tuple[list[Execution], list[Charge]]:
        """The orders' fills, and the fees listed in the same period, which do not name their order."""
        return self._of_activities(lambda read: activities.fills_and_fees(read, orders))

    def _of_activities(self, look: Callable[[activities.Read], R]) -> R:
        try:
            return look(lambda query: self._get(activities.PATH, query, parsing.listed))
        except _UNCLEAR as error:
            raise ExchangeUnavailable(f"invalid response: {_short(error)}") from error

    def account(self) -> Account:
        return self._get("/account", None, parsing.account)

    def clock(self) -> datetime:
        """The exchange's time."""
        return self._get("/clock", None, lambda raw: parsing.moment(raw.get("timestamp")))

    def trading_rules(self) -> dict[str, TradingRules]:
        """The trading rules of every crypto pair, by symbol; one request."""
        raws = self._get("/assets", {"asset_class": "crypto"}, parsing.listed)
        rules: dict[str, TradingRules] = {}
        for raw in raws:
            try:
                parsed = parsing.trading_rules(raw)
            except (ValueError, RecursionError):
                continue  # a pair with invalid rules counts as not offered
            rules[parsed.symbol] = parsed
        if not rules:
            raise ExchangeUnavailable("/assets: the list has no pairs, which cannot be right")
        return rules

    def latest_quote_times(self, symbols: list[str]) -> dict[str, datetime]:
        """When the exchange last quoted each pair."""
        return self._latest(symbols, lambda _, quote: parsing.moment(quote["t"]))

    def latest_quotes(self, symbols: list[str], received_at: datetime) -> dict[str, Quote]:
        """The exchange's newest quote of each pair; pairs without one are missing.

        Raises:
            ExchangeUnavailable: no usable answer.
        """
        return self._latest(symbols, lambda symbol, quote: parsing.rest_quote(symbol, quote, received_at))

    def latest_books(self, symbols: list[str]) -> dict[str, Book]:
        """The exchange's order book of each pair; pairs without one are missing. Raises like
        `latest_quotes`."""
        return self._latest(symbols, parsing.rest_book, "orderbooks")

    def _latest(
        self, symbols: list[str], parse: Callable[[str, Any], R], what: str = "quotes"
    ) -> dict[str, R]:
        try:
            raw: Any = self._data.get(f"/crypto/us/latest/{what}", {"symbols": ",".join(symbols)})
            return {symbol: parse(symbol, each) for symbol, each in raw[what].items()}
        except (APIError, *_UNCLEAR) as error:
            raise ExchangeUnavailable(f"latest {what}: {_short(error)}") from error

    def _get(
        self,
        path: str,
        query: dict[str, Any] | None,
        parse: Callable[[Any], R],
        kind: Kind = Kind.ORDINARY,
    ) -> R:
        self._pace.take(kind)
        try:
            return parse(self._trading.get(path, query))
        except APIError as error:
            status = _status_of(error)
            # A gateway's page says nothing about the keys or the request.
            if status in refusals.REFUSALS and refusals.own_words(str(error)) is not None:
                raise RequestRefused(status, f"{path}: {_short(error)}") from error
            raise ExchangeUnavailable(f"{path}: {status} {_short(error)}") from error
        except _UNCLEAR as error:
            raise ExchangeUnavailable(f"{path}: {_short(error)}") from error

    def _get_or_none(
        self, path: str, query: dict[str, Any] | None, parse: Callable[[Any], R], kind: Kind
    ) -> R | None:
        try:
            return self._get(path, query, parse, kind)
        except RequestRefused as error:
            # A gateway's 404 is no evidence; Alpaca's own carries its code (alpaca.md 2.7).
            own = refusals.own_words(str(error.__cause__))
            if error.status == 404 and own is not None and own[0] == refusals.NOT_FOUND:
                return None
            raise


def _parsed(parse: Callable[[list[Any]], R], raws: list[Any]) -> R:
    try:
        return parse(raws)
    except _UNCLEAR as error:
        raise ExchangeUnavailable(f"invalid response: {_short(error)}") from error


def _status_of(error: APIError) -> int:
    response = getattr(error, "response", None)
    return 0 if response is None else int(response.status_code)


def _short(error: BaseException) -> str:
    """An error as one log line, without the layers of the HTTP library."""
    cause = error.args[0] if error.args else None
    if isinstance(error, requests.Timeout) or isinstance(cause, ReadTimeoutError):
        return f"no complete response within {READ_SECONDS} s"
    reason = getattr(cause, "reason", None)
    if reason is not None:
        # which begins with the connection's address: host='...', port=1): Failed to ...: Connection refused
        return str(reason).rpartition("): ")[2][:200]
    message = " ".join(refusals.printable(str(error)).split())[:200]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
