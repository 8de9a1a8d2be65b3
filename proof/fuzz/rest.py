"""Answers of the REST API: every endpoint that the Broker reads or posts to, through the real Broker."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
import urllib3

from dca.core.errors import Unavailable
from dca.core.model import Accepted, DefiniteReject, Duplicate, SubmitOutcome, Unknown
from proof.fuzz import junk, samples, sane
from proof.fuzz.samples import BOUGHT, BUY, BUY_ID, NOW, SELL, SYMBOL, Json
from proof.fuzz.transport import SETTINGS, Answer, broker_with
from proof.fuzz.verdicts import BrokenPromise, Verdict, promise

STATUSES = (100, 201, 202, 204, 206, 299, 301, 302, 304, 307, 400, 401, 402, 403, 404, 405, 408, 409, 410)
MORE_STATUSES = (418, 422, 422, 422, 425, 429, 451, 499, 500, 502, 503, 504, 520, 599, 600, 999)
SURE = {400, 401, 403, 404, 422}
"""Statuses of a POST that are a no (faults.md D.2); with any other nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`bodies` are good ones; `judge` gets what the call returned and the body that led to it."""

    name: str
    call: Callable[[Any], Any]
    bodies: tuple[Any, ...]
    judge: Callable[[Any, Answer], None]
    weight: int = 2


def _parsed(answer: Answer) -> Any:
    """The body as JSON, for the judge; nothing of the code under test."""
    try:
        return json.loads(answer.body.decode(json.detect_encoding(answer.body), "replace"))
    except (ValueError, RecursionError):
        return BrokenPromise


def _is_list_of_objects(body: Any) -> bool:
    return isinstance(body, list) and all(isinstance(each, dict) for each in body)


def _judge_order(found: Any, answer: Answer) -> None:
    if found is None:
        body = _parsed(answer)
        known = answer.status == 404 and isinstance(body, dict) and str(body.get("code")) == "40410000"
        promise(known, "no such order, says the broker; the exchange did not say that")
        return
    sane.snapshot(found)
    promise(found.client_order_id == BUY_ID, f"asked for {BUY_ID}, got {found.client_order_id}")
    sane.booked([BUY], samples.BUYING, found)


def _judge_orders(found: Any, answer: Answer) -> None:
    """Odd orders of other people may be left out of a list; what is no list of orders is no list."""
    promise(_is_list_of_objects(_parsed(answer)), f"{len(found)} orders out of what is no list of orders")
    for each in found:
        sane.snapshot(each)
        sane.booked([BUY], samples.BUYING, each)
        sane.booked([BOUGHT, SELL], samples.SELLING, each)


def _judge_position(found: Any, answer: Answer) -> None:
    sane.value(found, "the position")
    body = _parsed(answer)
    if answer.status == 404:
        promise(
            isinstance(body, dict) and str(body.get("code")) == "40410000", "a gateway's 404 is no answer"
        )
        return
    promise(isinstance(body, dict), "a position out of what is none")
    named = str(body.get("symbol")).replace("/", "")
    promise(named == SYMBOL.replace("/", ""), f"asked for {SYMBOL}, got {named}")
    promise(body.get("qty") not in (None, ""), "an amount that nobody said")


def _judge_positions(found: Any, answer: Answer) -> None:
    sane.value(found, "the positions")
    body = _parsed(answer)
    promise(_is_list_of_objects(body), "positions out of what is no list of positions")
    promise(len({str(each.get("symbol")).replace("/", "") for each in body}) == len(found), "one is missing")


def _judge_fills_and_fees(found: Any, answer: Answer) -> None:
    _judge_executions(found[0], answer)


def _judge_executions(found: Any, answer: Answer) -> None:
    promise(_is_list_of_objects(_parsed(answer)), "executions out of what is no list of them")
    for each in found:
        sane.execution(each)


def _judge_rules(found: Any, _answer: Answer) -> None:
    promise(bool(found), "no pair at all")
    sane.value(found, "the rules")
    for each in found.values():
        positive = min(each.min_order_size, each.qty_increment, each.price_increment) > 0
        promise(positive, f"a size or step that is not positive: {each}")


def _judge_account(found: Any, answer: Answer) -> None:
    sane.value(found, "the account")
    body = _parsed(answer)
    for name in ("trading_blocked", "account_blocked", "trade_suspended_by_user"):
        said = body.get(name)
        clear = said is None or said is False
        promise(getattr(found, name) or clear, f"{name} is {body.get(name)!r}, and was taken for no")


def _judge_clock(found: Any, _answer: Answer) -> None:
    sane.value(found, "the time")


def _judge_quotes(found: Any, answer: Answer) -> None:
    sane.value(found, "the quotes")
    body = _parsed(answer)
    quotes = body.get("quotes") if isinstance(body, dict) else None
    if not isinstance(quotes, dict):
        raise BrokenPromise("quotes out of what is none")
    promise(len(quotes) == len(found), "one is missing")


def _judge_cancel(_found: Any, answer: Answer) -> None:
    promise(answer.status < 300 or answer.status in {404, 422}, f"{answer.status} was taken for a yes")


def _judge_submit(found: SubmitOutcome, answer: Answer) -> None:
    match found:
        case Accepted(snapshot=snapshot):
            promise(answer.status < 300, f"{answer.status} was taken for a yes")
            promise(snapshot.client_order_id == BUY_ID, f"another order: {snapshot.client_order_id}")
            sane.snapshot(snapshot)
            sane.booked([BUY], samples.BUYING, snapshot)
        case DefiniteReject(code=code, message=message):
            promise(answer.status in SURE, f"{answer.status} was taken for a no")
            body = _parsed(answer)
            own = isinstance(body, dict) and isinstance(body.get("message"), str)
            promise(own and code // 100_000 in SURE, f"a no that is not the exchange's own: {body!r:.80}")
            sane.message(f"{code} {message}")
        case Duplicate():
            promise(answer.status == 422, f"{answer.status} was taken for a duplicate")
        case Unknown(reason=reason):
            sane.message(reason)
        case _:
            raise BrokenPromise(f"a fifth outcome: {found!r}")


_ORDER_LISTS: tuple[list[Json], ...] = (
    list(samples.ORDERS),
    [samples.ORDERS[2]],
    [samples.order(), samples.order("by-hand-1")],
    [],
)
ENDPOINTS = (
    Endpoint(
        name="submit", call=lambda b: b.submit(BUY), bodies=samples.ORDERS, judge=_judge_submit, weight=8
    ),
    Endpoint(
        name="order", call=lambda b: b.order(BUY_ID), bodies=samples.ORDERS, judge=_judge_order, weight=6
    ),
    Endpoint(
        name="open_orders", call=lambda b: b.open_orders(), bodies=_ORDER_LISTS, judge=_judge_orders, weight=4
    ),
    Endpoint(
        name="closed_orders", call=lambda b: b.closed_orders(NOW), bodies=_ORDER_LISTS, judge=_judge_orders
    ),
    Endpoint(name="cancel", call=lambda b: b.cancel("x-1"), bodies=({}, None), judge=_judge_cancel, weight=1),
    Endpoint(
        name="position",
        call=lambda b: b.position(SYMBOL),
        bodies=(samples.POSITION,),
        judge=_judge_position,
        weight=3,
    ),
    Endpoint(
        name="positions",
        call=lambda b: b.positions(),
        bodies=([samples.POSITION], [samples.POSITION, {**samples.POSITION, "symbol": "TSLA"}], []),
        judge=_judge_positions,
        weight=3,
    ),
    Endpoint(
        name="executions",
        call=lambda b: b.executions([samples.SENT]),
        bodies=([samples.FILL], [samples.FILL, {**samples.FILL, "order_id": "another"}], []),
        judge=_judge_executions,
        weight=3,
    ),
    Endpoint(
        name="sales",
        call=lambda b: b.sales(SYMBOL, NOW),
        bodies=([samples.FILL], [{**samples.FILL, "side": "sell"}, samples.FILL], []),
        judge=_judge_executions,
        weight=3,
    ),
    Endpoint(
        name="fills_and_fees",
        call=lambda b: b.fills_and_fees([samples.SENT]),
        bodies=(
            [samples.CHARGE, samples.FILL],
            [{**samples.CHARGE, "symbol": "", "net_amount": "-0.05"}],
            [],
        ),
        judge=_judge_fills_and_fees,
        weight=1,
    ),
    Endpoint(name="account", call=lambda b: b.account(), bodies=(samples.ACCOUNT,), judge=_judge_account),
    Endpoint(name="clock", call=lambda b: b.clock(), bodies=(samples.CLOCK,), judge=_judge_clock, weight=1),
    Endpoint(
        name="trading_rules",
        call=lambda b: b.trading_rules(),
        bodies=([samples.PAIR], [samples.PAIR, {**samples.PAIR, "symbol": "ETH/USD"}]),
        judge=_judge_rules,
        weight=3,
    ),
    Endpoint(
        name="latest_quotes",
        call=lambda b: b.latest_quotes([SYMBOL], NOW),
        bodies=(samples.QUOTES,),
        judge=_judge_quotes,
    ),
    Endpoint(
        name="latest_quote_times",
        call=lambda b: b.latest_quote_times([SYMBOL]),
        bodies=(samples.QUOTES,),
        judge=_judge_quotes,
    ),
)


class Rest:
    """One answer to one request of the Broker."""

    name = "rest"

    def __init__(self) -> None:
        self.shown = ""
        self._answer = Answer()
        self._broker = broker_with(lambda _request: self._answer, SETTINGS)

    def trial(self, dice: random.Random) -> Verdict:
        endpoint = dice.choices(ENDPOINTS, weights=[each.weight for each in ENDPOINTS])[0]
        answer = self._answer = _made(endpoint, dice)
        shown = repr(answer.error) if answer.error else f"{answer.status} {junk.brief(answer.body)}"
        self.shown = f"{endpoint.name}: {shown} {answer.headers or ''}"
        try:
            found = endpoint.call(self._broker)
        except Unavailable as error:
            promise(endpoint.name != "submit", "a POST has four outcomes, and no error")
            sane.message(str(error))
            return Verdict.REFUSED
        promise(answer.error is None or endpoint.name == "submit", "an answer where there was none")
        endpoint.judge(found, answer)
        return (
            Verdict.REFUSED if isinstance(found, DefiniteReject | Duplicate | Unknown) else Verdict.ACCEPTED
        )

    def close(self) -> None:
        """Nothing is held."""


def _made(endpoint: Endpoint, dice: random.Random) -> Answer:
    if dice.random() < 0.04:
        return Answer(error=copy.copy(dice.choice(_FAILURES)))
    status = 200 if dice.random() < 0.7 else dice.choice(STATUSES + MORE_STATUSES)
    good = dice.choice(endpoint.bodies if status < 400 else samples.ERRORS)
    body = junk.encoded(junk.mutated(good, dice) if dice.random() < 0.9 else good, dice)
    if dice.random() < 0.2:
        body = junk.damaged(body, dice)
    return Answer(status=status, body=body, headers=_headers(body, dice))


def _headers(body: bytes, dice: random.Random) -> dict[str, str]:
    if dice.random() < 0.6:
        return {"Content-Type": "application/json"}
    lies = (
        {"Content-Type": "text/html; charset=utf-16"},
        {"Content-Type": "application/json; charset=no-such-code"},
        {"Content-Type": "application/json; charset=\x00"},
        {"Content-Type": "text/plain"},
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "deflate"},
        {"Content-Length": str(len(body) + 7)},
        {"Content-Length": "-1"},
        {"Content-Length": "one"},
        {"Set-Cookie": "a=b; expires=never; domain=.."},
        {"Location": "http://["},
        {"X-RateLimit-Remaining": "NaN", "X-RateLimit-Reset": "-1", "Retry-After": "soon"},
    )
    return dict(dice.choice(lies))


_FAILURES: tuple[Exception, ...] = (
    requests.ConnectTimeout("timed out"),
    requests.ReadTimeout("timed out"),
    requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError())),
    requests.exceptions.SSLError("certificate verify failed"),
    requests.exceptions.ChunkedEncodingError("Response ended prematurely"),
    requests.exceptions.ContentDecodingError("incorrect header check"),
    requests.exceptions.InvalidURL("no host"),
)
