"""Alpaca's REST API in our words. The only user of alpaca.

Orders are answered in one of four ways and in no other (model.SubmitOutcome). Reads return something
fresh and complete, or raise: a failed read is never an empty one.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, TypeVar, cast

import requests
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.trading.client import TradingClient
from requests.adapters import HTTPAdapter

from dca import wire
from dca.errors import ExchangeUnavailable, RequestRefused
from dca.model import (
    ZERO,
    Accepted,
    Account,
    DefiniteReject,
    Duplicate,
    Execution,
    Order,
    Position,
    Quote,
    Snapshot,
    SubmitOutcome,
    TradingRules,
    Unknown,
    plain,
)
from dca.settings import ExchangeSettings

R = TypeVar("R")

CONNECT_SECONDS = 3
READ_SECONDS = 10
IDLE_SECONDS = 15
"""A connection that rested longer may have been closed by the other side, and an order sent on it would
have an unknown outcome (F01): it is not used again."""

_PAGE = 500
_ACTIVITY_PAGE = 100
_MAX_PAGES = 40
_NOT_FOUND = 40410000
_REFUSALS = frozenset({400, 401, 403, 404, 422})


class _Transport(HTTPAdapter):
    """Gives every request a time limit, follows no redirect and trusts no idle connection.

    alpaca-py sets no time limit and takes a redirect's body for an answer (alpaca.md 1 and 8).
    """

    _used_at = 0.0

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if monotonic() - self._used_at > IDLE_SECONDS:
            self.poolmanager.clear()
        kwargs["timeout"] = (CONNECT_SECONDS, READ_SECONDS)
        response = super().send(request, *args, **kwargs)
        self._used_at = monotonic()
        if 300 <= response.status_code < 400:
            raise requests.ConnectionError(f"redirected with {response.status_code}, which is not followed")
        return response


def _prepare(client: RESTClient) -> None:
    """No retries: a POST that is sent again by the library is a second order (alpaca.md 8)."""
    client._retry = 0
    client._retry_codes = []
    transport = _Transport()
    client._session.mount("https://", transport)
    client._session.mount("http://", transport)


class Broker:
    """One HTTP session, for one thread."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self._trading = TradingClient(
            settings.key_id, settings.secret_key, raw_data=True, url_override=settings.trading_url
        )
        self._data = CryptoHistoricalDataClient(
            settings.key_id, settings.secret_key, raw_data=True, url_override=settings.data_url
        )
        _prepare(self._trading)
        _prepare(self._data)

    def submit(self, order: Order) -> SubmitOutcome:
        """Send an order, exactly as its row says, as text (floats would change it: alpaca.md 8)."""
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
        try:
            snapshot = wire.snapshot(cast(wire.Json, self._trading.post("/orders", body)))
        except APIError as error:
            return _outcome_of(error)
        except (requests.RequestException, ValueError) as error:
            return Unknown(reason=_short(error))
        if snapshot.client_order_id != order.client_order_id:
            return Unknown(reason=f"answered with another order: {snapshot.client_order_id}")
        return Accepted(snapshot=snapshot)

    def order(self, client_order_id: str) -> Snapshot | None:
        """Look an order up by our id; None if the exchange says that it has none.

        Raises:
            ExchangeUnavailable: nothing is known.
        """
        return self._get_or_none(
            "/orders:by_client_order_id", {"client_order_id": client_order_id}, wire.snapshot
        )

    def open_orders(self) -> list[Snapshot]:
        """All open orders of the account, ours and others.

        Raises:
            ExchangeUnavailable: also when the list cannot be had complete.
        """
        return self._orders({"status": "open"})

    def closed_orders(self, submitted_after: datetime) -> list[Snapshot]:
        """Orders of the account that have ended, ours and others.

        Raises:
            ExchangeUnavailable: also when the list cannot be had complete.
        """
        return self._orders({"status": "closed", "after": submitted_after.isoformat()})

    def _orders(self, which: dict[str, Any]) -> list[Snapshot]:
        found: dict[str, Snapshot] = {}
        query = {**which, "limit": _PAGE, "direction": "asc", "asset_class": "crypto"}
        for _ in range(_MAX_PAGES):
            raws = self._get("/orders", query, list)
            page = _understood(raws)
            new = [snapshot for snapshot in page if snapshot.exchange_order_id not in found]
            found.update((snapshot.exchange_order_id, snapshot) for snapshot in new)
            if len(raws) < _PAGE:
                return list(found.values())
            if not new:
                break
            # `after` is exclusive; orders of the same instant come again and are dropped by their id.
            last = _parsed(lambda listed: wire.moment(listed[-1].get("submitted_at")), raws)
            query["after"] = (last - timedelta(microseconds=1)).isoformat()
        raise ExchangeUnavailable(f"the list of {which['status']} orders does not end")

    def cancel(self, exchange_order_id: str) -> None:
        """Ask for an order to be canceled. No answer is proof of anything: look the order up.

        Raises:
            ExchangeUnavailable: the request may or may not have arrived.
        """
        try:
            self._trading.delete(f"/orders/{exchange_order_id}")
        except APIError as error:
            if _status_of(error) not in {404, 422}:
                raise ExchangeUnavailable(f"cancel: {_short(error)}") from error
        except (requests.RequestException, ValueError) as error:
            raise ExchangeUnavailable(f"cancel: {_short(error)}") from error

    def position(self, symbol: str) -> Position:
        """Coins of a pair on the account; zero if the exchange says that there are none.

        Positions know no slash in symbols (alpaca.md 2.4).
        """
        path = f"/positions/{symbol.replace('/', '')}"
        found = self._get_or_none(path, None, lambda raw: wire.position(raw, symbol))
        return found or Position(symbol=symbol, qty=ZERO, qty_available=ZERO)

    def positions(self) -> dict[str, Position]:
        """Everything the account holds, by symbol without its slash (alpaca.md 2.4).

        Raises:
            ExchangeUnavailable: also when a single one cannot be understood: it might be the one asked for.
        """
        return self._get("/positions", None, _positions)

    def executions(self, order: Order) -> list[Execution]:
        """The single fills of an order, as far as the activity list has them by now."""
        query: dict[str, Any] = {
            "after": (order.created_at - timedelta(minutes=5)).isoformat(),
            "direction": "asc",
            "page_size": _ACTIVITY_PAGE,
        }
        found: list[Execution] = []
        for _ in range(_MAX_PAGES):
            raws = self._get("/account/activities/FILL", query, list)
            page = _parsed(_each(wire.execution), raws)
            found += [e for e in page if e.exchange_order_id == order.exchange_order_id]
            if len(page) < _ACTIVITY_PAGE:
                break
            query["page_token"] = page[-1].id
        return found

    def account(self) -> Account:
        return self._get("/account", None, wire.account)

    def clock(self) -> datetime:
        """The exchange's time."""
        return self._get("/clock", None, lambda raw: wire.moment(raw.get("timestamp")))

    def trading_rules(self) -> dict[str, TradingRules]:
        """What the exchange says of every crypto pair, by symbol; one request."""
        raws = self._get("/assets", {"asset_class": "crypto"}, list)
        rules: dict[str, TradingRules] = {}
        for raw in raws:
            try:
                parsed = wire.trading_rules(raw)
            except ValueError:
                continue  # a pair that cannot be understood is a pair that is not offered
            rules[parsed.symbol] = parsed
        if not rules:
            raise ExchangeUnavailable("/assets: no pair at all, which cannot be")
        return rules

    def latest_quote_times(self, symbols: list[str]) -> dict[str, datetime]:
        """When the exchange last quoted each pair."""
        try:
            raw: Any = self._data.get("/crypto/us/latest/quotes", {"symbols": ",".join(symbols)})
            return {symbol: wire.moment(quote["t"]) for symbol, quote in raw["quotes"].items()}
        except (APIError, requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise ExchangeUnavailable(f"latest quotes: {_short(error)}") from error

    def latest_quotes(self, symbols: list[str], received_at: datetime) -> dict[str, Quote]:
        """The exchange's newest quote of each pair that it has one of.

        Raises:
            ExchangeUnavailable: nothing is known.
        """
        try:
            raw: Any = self._data.get("/crypto/us/latest/quotes", {"symbols": ",".join(symbols)})
            return {
                symbol: wire.rest_quote(symbol, quote, received_at) for symbol, quote in raw["quotes"].items()
            }
        except (APIError, requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise ExchangeUnavailable(f"latest quotes: {_short(error)}") from error

    def _get(self, path: str, query: dict[str, Any] | None, parse: Callable[[Any], R]) -> R:
        try:
            return parse(self._trading.get(path, query))
        except APIError as error:
            status = _status_of(error)
            if status in _REFUSALS:
                raise RequestRefused(status, f"{path}: {_short(error)}") from error
            raise ExchangeUnavailable(f"{path}: {status} {_short(error)}") from error
        except (requests.RequestException, ValueError, TypeError, AttributeError) as error:
            raise ExchangeUnavailable(f"{path}: {_short(error)}") from error

    def _get_or_none(self, path: str, query: dict[str, Any] | None, parse: Callable[[Any], R]) -> R | None:
        try:
            return self._get(path, query, parse)
        except RequestRefused as error:
            cause = error.__cause__
            # A gateway's 404 is no evidence; Alpaca's own carries its code (alpaca.md 2.7).
            if isinstance(cause, APIError) and error.status == 404 and _code_of(cause)[0] == _NOT_FOUND:
                return None
            raise


def _each(parse: Callable[[Any], R]) -> Callable[[list[Any]], list[R]]:
    return lambda raws: [parse(raw) for raw in raws]


def _positions(raws: list[Any]) -> dict[str, Position]:
    if not isinstance(raws, list):
        raise ValueError(f"not a list: {str(raws)[:200]}")
    symbols = [wire.text(raw, "symbol").replace("/", "") for raw in raws]
    return {symbol: wire.position(raw, symbol) for symbol, raw in zip(symbols, raws, strict=True)}


def _understood(raws: list[Any]) -> list[Snapshot]:
    """Those that make sense. A person's odd order must not hide ours; one of ours that is missing from
    the list is looked up by itself."""
    snapshots = []
    for raw in raws:
        with suppress(ValueError):
            snapshots.append(wire.snapshot(raw))
    return snapshots


def _parsed(parse: Callable[[list[Any]], R], raws: list[Any]) -> R:
    try:
        return parse(raws)
    except (ValueError, TypeError, AttributeError) as error:
        raise ExchangeUnavailable(f"cannot be understood: {_short(error)}") from error


def _outcome_of(error: APIError) -> SubmitOutcome:
    """Sort a refused POST: only what is clearly a no is one (faults.md D.2)."""
    status = _status_of(error)
    code, message = _code_of(error)
    if status == 422 and "client" in message.lower() and "unique" in message.lower():
        return Duplicate()
    if status in _REFUSALS:
        return DefiniteReject(code=code or status, message=message)
    return Unknown(reason=f"{status} {message}")


def _status_of(error: APIError) -> int:
    response = getattr(error, "response", None)
    return 0 if response is None else int(response.status_code)


def _code_of(error: APIError) -> tuple[int, str]:
    """Alpaca's own code and text; 0 and the body's beginning where the body is not Alpaca's."""
    try:
        body = json.loads(str(error))
        return int(body.get("code", 0)), str(body.get("message", ""))[:300]
    except (ValueError, AttributeError, TypeError):
        return 0, _short(error)


def _short(error: BaseException) -> str:
    """One line for a log, without the layers of the HTTP library."""
    if isinstance(error, requests.Timeout):
        return f"no answer within {READ_SECONDS} s"
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if (
        reason is not None
    ):  # "HTTPConnection(host='...', port=1): Failed to ...: [Errno 111] Connection refused"
        return str(reason).rpartition("): ")[2][:200]
    message = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
