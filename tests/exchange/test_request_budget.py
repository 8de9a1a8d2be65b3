"""F28: never more requests than the exchange takes, and of too many the right ones go."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dca.caretakers.job import Job
from dca.core.errors import RateLimited
from dca.core.model import Order, OrderState, Side, Unknown
from dca.database.store import Store
from dca.exchange import request_budget
from dca.exchange.request_budget import ALL_OF_MAIN_APP, Kind, Pace
from dca.exchange.rest_client import Broker
from dca.runtime.script import Context
from dca.runtime.settings import ExchangeSettings, Venue
from tests.exchange.test_rest_client import BUY
from tests.fake_exchange import FakeClock
from tests.good_settings import parsed
from tests.rig import QUIET_SECONDS, Rig

ACCOUNT_LIMIT = 200
SELL = replace(BUY, side=Side.SELL)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def main_app(clock: FakeClock) -> Pace:
    return Pace(clock, request_budget.main_app(ALL_OF_MAIN_APP))


def taken(found: Pace, kind: Kind, most: int = 1000) -> int:
    """How many requests of a kind go right now."""
    for count in range(most):
        try:
            found.take(kind)
        except RateLimited:
            return count
    return most


def headers(clock: FakeClock, *, left: int, seconds: float, limit: int = ACCOUNT_LIMIT) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(left),
        "X-RateLimit-Reset": str(int(clock.now().timestamp() + seconds)),
    }


def test_all_processes_together_stay_below_the_account_s_limit() -> None:
    one, other = request_budget.main_app(ALL_OF_MAIN_APP), request_budget.others(ALL_OF_MAIN_APP)
    assert max(one.values()) + 3 * max(other.values()) <= 180, "main_app and the caretakers (I23)"
    assert max(one.values()) + 4 * max(other.values()) < ACCOUNT_LIMIT, "and a command of the operator"


def test_each_caretaker_has_a_small_share(store: Store, clock: FakeClock) -> None:
    context = Context(name="order_manager", settings=parsed())
    job = Job(context=context, store=store, clock=clock, dry_run=False)
    broker = job.broker
    assert isinstance(broker, Broker)
    assert [taken(broker._pace, kind) for kind in (Kind.ORDINARY, Kind.EXIT)] == [16, 0]


def test_buys_and_reading_leave_room_for_look_ups_and_those_for_sells(main_app: Pace) -> None:
    assert taken(main_app, Kind.ORDINARY) == 78, "sixty pairs can all buy at once"
    assert taken(main_app, Kind.LOOK_UP) == 26
    assert taken(main_app, Kind.EXIT) == 26
    assert taken(main_app, Kind.EXIT) == 0


def test_sixty_pairs_can_all_sell_at_once(main_app: Pace) -> None:
    assert taken(main_app, Kind.EXIT, 60 * 2) == 60 * 2, "the position, and the sell"


def test_what_was_sent_a_minute_ago_counts_no_more(main_app: Pace, clock: FakeClock) -> None:
    assert taken(main_app, Kind.EXIT) == ALL_OF_MAIN_APP
    clock.pass_seconds(59.9)
    with pytest.raises(RateLimited, match="sells and cancels wait: 130 requests within a minute"):
        main_app.take(Kind.EXIT)
    clock.pass_seconds(0.1)
    assert taken(main_app, Kind.EXIT) == ALL_OF_MAIN_APP


def test_a_burst_of_sells_a_minute_ago_keeps_no_buy_back(main_app: Pace, clock: FakeClock) -> None:
    taken(main_app, Kind.EXIT)
    clock.pass_seconds(60)
    main_app.take(Kind.ORDINARY)


def test_what_is_given_back_can_be_taken_again(main_app: Pace, clock: FakeClock) -> None:
    taken(main_app, Kind.EXIT, 129)
    last = main_app.take(Kind.EXIT)
    main_app.give_back(last)
    main_app.take(Kind.EXIT)
    with pytest.raises(RateLimited):
        main_app.take(Kind.EXIT)
    clock.pass_seconds(61)
    main_app.take(Kind.EXIT)
    main_app.give_back(last)  # forgotten long ago
    assert taken(main_app, Kind.EXIT) == ALL_OF_MAIN_APP - 1


def test_all_threads_share_one_count(main_app: Pace) -> None:
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(taken(main_app, Kind.EXIT))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == ALL_OF_MAIN_APP


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "86400"}, 60),
        ({"Retry-After": "0"}, 2),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 2),
        ({"X-RateLimit-Reset": "reset"}, 2),
        ({"X-RateLimit-Reset": "1767323062"}, 17),
        ({"X-RateLimit-Reset": "1767329999"}, 60),
        ({"X-RateLimit-Reset": "9"}, 2),
        ({"X-RateLimit-Reset": "9" * 500}, 2),
        ({}, 2),
    ],
)
def test_a_429_keeps_buys_and_reading_back_as_long_as_it_says(
    main_app: Pace, clock: FakeClock, stated: dict[str, str], seconds: float
) -> None:
    main_app.answered(429, stated)
    main_app.take(Kind.EXIT)
    main_app.take(Kind.LOOK_UP)
    clock.pass_seconds(seconds - 0.1)
    with pytest.raises(RateLimited, match="buys and reading wait: the exchange answered 429"):
        main_app.take(Kind.ORDINARY)
    clock.pass_seconds(0.2)
    main_app.take(Kind.ORDINARY)


def test_each_429_in_a_row_doubles_the_pause_up_to_a_minute(main_app: Pace, clock: FakeClock) -> None:
    pauses = []
    for _ in range(8):
        main_app.answered(429, {})
        main_app.answered(429, {})  # of another thread, at the same time
        seconds = 0
        while taken(main_app, Kind.ORDINARY, 1) == 0:
            clock.pass_seconds(1)
            seconds += 1
        pauses.append(seconds)
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    main_app.answered(200, {})
    main_app.answered(429, {})
    clock.pass_seconds(2)
    main_app.take(Kind.ORDINARY)


def test_an_answer_to_an_older_request_does_not_end_the_pause(main_app: Pace, clock: FakeClock) -> None:
    main_app.answered(429, {"Retry-After": "10"})
    main_app.answered(200, {})
    clock.pass_seconds(9)
    assert taken(main_app, Kind.ORDINARY) == 0


@pytest.mark.parametrize(
    ("left", "going"),
    [
        (61, {Kind.ORDINARY, Kind.LOOK_UP, Kind.EXIT}),
        (60, {Kind.LOOK_UP, Kind.EXIT}),
        (31, {Kind.LOOK_UP, Kind.EXIT}),
        (30, {Kind.EXIT}),
        (0, {Kind.EXIT}),
    ],
)
def test_what_others_use_of_the_account_s_limit_counts_too(
    main_app: Pace, clock: FakeClock, left: int, going: set[Kind]
) -> None:
    """The exchange's own count: caretakers, commands, and whoever else has the keys."""
    main_app.answered(200, headers(clock, left=left, seconds=20))
    assert {kind for kind in Kind if taken(main_app, kind, 1)} == going
    clock.pass_seconds(20)
    assert {kind for kind in Kind if taken(main_app, kind, 1)} == set(Kind)


@pytest.mark.parametrize("lost", ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"])
def test_half_of_what_it_says_of_its_limit_says_nothing(main_app: Pace, clock: FakeClock, lost: str) -> None:
    told = headers(clock, left=0, seconds=20)
    del told[lost]
    main_app.answered(200, told)
    main_app.take(Kind.ORDINARY)


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "\u00b2", "9" * 13])
def test_what_is_no_number_of_requests_is_not_believed(main_app: Pace, clock: FakeClock, text: str) -> None:
    told = headers(clock, left=0, seconds=20)
    main_app.answered(200, {**told, "X-RateLimit-Remaining": text})
    main_app.take(Kind.ORDINARY)


def test_an_exchange_without_a_limit_is_not_at_its_limit(main_app: Pace, clock: FakeClock) -> None:
    main_app.answered(200, headers(clock, left=0, seconds=60, limit=0))
    main_app.take(Kind.ORDINARY)


def test_a_busy_hour_with_sixty_symbols(main_app: Pace, clock: FakeClock) -> None:
    """As many orders as the fuse lets pass, in waves that all pairs are in at once, each order with what
    main_app asks about it; and every five seconds the list of open orders. Counted by the minute."""
    chance = random.Random(1)
    due: dict[int, list[Kind]] = {second: [Kind.LOOK_UP] for second in range(0, 3600, 5)}
    for wave in range(12):  # of which every other one sells
        orders = [Kind.EXIT, Kind.EXIT] if wave % 2 else [Kind.ORDINARY]
        for _ in range(60):
            second = wave * 300 + chance.randrange(180)
            due.setdefault(second, []).extend(orders)
            due.setdefault(second + 1, []).append(Kind.ORDINARY)  # its executions
            if chance.random() < 0.2:
                due.setdefault(second + 2, []).append(Kind.LOOK_UP)  # it was not on the list
    all_of_them = sum(map(len, due.values()))
    minutes: Counter[int] = Counter()
    waited: Counter[Kind] = Counter()
    for second in range(3700):
        for kind in due.get(second, []):
            try:
                main_app.take(kind)
                minutes[second // 60] += 1
            except RateLimited:
                waited[kind] += 1
                due.setdefault(second + 5, []).append(kind)  # the next quote, the next round
        clock.pass_seconds(1)
    assert waited[Kind.EXIT] == waited[Kind.LOOK_UP] == 0
    assert sum(minutes.values()) == all_of_them
    assert max(minutes.values()) < 100, "issue 5's figure for the busy hour"


# ---- with the real broker ----------------------------------------------------------------------------------


class Counting(BaseHTTPRequestHandler):
    """Counts, and knows no order."""

    protocol_version = "HTTP/1.1"
    seen: list[str]
    status = 404

    def do_GET(self) -> None:
        self.seen.append(f"{self.command} {self.path.partition('?')[0]}")
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b'{"code": 40410000, "message": "order not found"}'
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


@contextmanager
def counting(status: int = 404) -> Iterator[tuple[ExchangeSettings, list[str]]]:
    """A server and what it is asked for."""
    seen: list[str] = []
    handler = type("Answering", (Counting,), {"seen": seen, "status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        nowhere = "ws://127.0.0.1:1"
        yield (
            ExchangeSettings(
                key_id="k",
                secret_key="s",
                trading_url=url,
                data_url=url,
                trading_stream_url=nowhere,
                data_stream_url=nowhere,
                venue=Venue.LOCAL,
            ),
            seen,
        )
        server.shutdown()
        thread.join()


def test_when_buys_have_used_up_their_share_look_ups_and_sells_still_go(main_app: Pace) -> None:
    """Sixty pairs over four workers, all of them wanting more than there is."""
    with counting() as (settings, seen):
        workers = [Broker(settings, main_app) for _ in range(4)]
        bought = 0
        for number in range(120):
            with suppress(RateLimited):
                workers[number % 4].reserve(Side.BUY)
                workers[number % 4].submit(BUY)
                bought += 1
        assert bought == 78 and len(seen) == 78
        for worker in workers:
            with pytest.raises(RateLimited):
                worker.closed_orders(BUY.created_at)
        for number in range(26):
            assert workers[number % 4].order("dca-1") is None
        with pytest.raises(RateLimited):
            workers[0].order("dca-1")
        for number in range(8):
            worker = workers[number % 4]
            assert worker.position("BTC/USD").qty == 0
            worker.reserve(Side.SELL)
            assert not isinstance(worker.submit(SELL), Unknown)
            worker.cancel("x")
        assert Counter(line.split()[0] for line in seen) == {"POST": 78 + 8, "GET": 26 + 8, "DELETE": 8}
        with suppress(RateLimited):
            for _ in range(100):
                workers[0].position("BTC/USD")
        assert len(seen) == ALL_OF_MAIN_APP


def test_what_was_reserved_for_no_order_is_used_for_the_next(main_app: Pace, clock: FakeClock) -> None:
    with counting() as (settings, seen):
        broker = Broker(settings, main_app)
        for _ in range(1000):
            broker.reserve(Side.BUY)
        broker.submit(BUY)
        assert len(seen) == 1
        assert taken(main_app, Kind.ORDINARY) == 77


def test_an_order_for_which_nothing_is_reserved_or_left_is_not_sent(main_app: Pace) -> None:
    with counting() as (settings, seen):
        broker = Broker(settings, main_app)
        taken(main_app, Kind.ORDINARY)
        outcome = broker.submit(BUY)
        assert isinstance(outcome, Unknown) and "wait" in outcome.reason
        assert seen == []


def test_the_broker_tells_the_pace_of_a_429(main_app: Pace) -> None:
    with counting(status=429) as (settings, seen):
        broker = Broker(settings, main_app)
        assert isinstance(broker.submit(BUY), Unknown)
        with pytest.raises(RateLimited, match="429"):
            broker.reserve(Side.BUY)
        broker.reserve(Side.SELL)
        assert len(seen) == 1


def test_quotes_are_asked_for_at_a_host_with_a_limit_of_its_own(main_app: Pace) -> None:
    with counting(status=200) as (settings, seen):
        broker = Broker(settings, main_app)
        taken(main_app, Kind.EXIT)
        with pytest.raises(Exception, match="latest quotes"):
            broker.latest_quotes(["BTC/USD"], BUY.created_at)
        assert len(seen) == 1


# ---- with the trader ---------------------------------------------------------------------------------------


def test_a_buy_that_cannot_be_sent_now_is_not_claimed(rig: Rig) -> None:
    rig.exchange.limited = True
    with pytest.raises(RateLimited):
        rig.quote("100")
    assert (rig.orders(), rig.exchange.posts) == ([], [])
    rig.exchange.limited = False
    rig.quote("100")
    assert [order.state for order in rig.orders()] == [OrderState.ACKED]


def test_an_order_that_cannot_be_sent_again_now_waits_as_it_is(rig: Rig) -> None:
    rig.exchange.lose_request = True
    rig.quote("100")
    rig.exchange.lose_request = False
    for seconds in (QUIET_SECONDS + 1, QUIET_SECONDS / 4 + 1):
        rig.clock.pass_seconds(seconds)
        rig.exchange.limited = seconds < QUIET_SECONDS
        rig.quote("100")
        if not rig.exchange.limited:
            rig.settle()
    before: list[Order] = rig.orders()
    with pytest.raises(RateLimited):
        rig.settle()
    assert rig.orders() == before
    rig.exchange.limited = False
    rig.clock.pass_seconds(1)
    rig.settle()
    (order,) = rig.orders()
    assert (order.state, rig.exchange.posts) == (OrderState.ACKED, [order.client_order_id] * 2)
    assert order.last_sent_at - order.created_at > timedelta(seconds=QUIET_SECONDS)
