"""Requests a minute: what is counted is what goes out, and sixty pairs stay within their budget."""

import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from bench import budget
from bench.budget_count import least_left, minutes, spenders, worst
from bench.budget_gate import DATA, LIMIT, MAIN_APP, Request, kind_of
from bench.budget_scenes import PAIRS, Scene, busy_hour, calm, jump, resting, stale
from dca.core.errors import ExchangeUnavailable
from dca.core.model import OrderState, Side
from dca.exchange.request_budget import Kind, Pace, main_app
from dca.exchange.rest_client import Broker
from dca.runtime import settings
from dca.runtime.clock import SystemClock
from tests.builders import NOW, order
from tests.good_settings import GOOD


@pytest.fixture(scope="module")
def busy() -> Scene:
    return busy_hour(420.0)


class ListeningPace(Pace):
    """Hears what a broker takes."""

    def __init__(self) -> None:
        super().__init__(SystemClock(), main_app(1000))
        self.taken: list[Kind] = []

    def take(self, kind: Kind) -> float:
        self.taken.append(kind)
        return super().take(kind)


def test_the_real_broker_takes_what_the_simulated_one_is_counted_for() -> None:
    pace = ListeningPace()
    parsed = settings.parse(GOOD, env_file_mode=0o600).exchange
    nobody = "http://127.0.0.1:9"
    broker = Broker(replace(parsed, trading_url=nobody, data_url=nobody), pace)
    ended = order(exchange_order_id="x", filled_qty=Decimal(1))
    calls: dict[str, Callable[[], object]] = {
        "order": lambda: broker.order("dca-1"),
        "open_orders": broker.open_orders,
        "closed_orders": lambda: broker.closed_orders(NOW),
        "position": lambda: broker.position("BTC/USD"),
        "positions": broker.positions,
        "executions": lambda: broker.executions([ended]),
        "sales": lambda: broker.sales("BTC/USD", NOW),
        "account": broker.account,
        "clock": broker.clock,
        "trading_rules": broker.trading_rules,
        "cancel": lambda: broker.cancel("x"),
        "latest_quotes": lambda: broker.latest_quotes(["BTC/USD"], NOW),
    }
    for name, call in calls.items():
        pace.taken.clear()
        with pytest.raises(ExchangeUnavailable):
            call()
        assert pace.taken == ([] if name == DATA else [kind_of(name)]), name


def test_sixty_pairs_in_a_busy_market_stay_below_half_the_limit(busy: Scene) -> None:
    found = busy.minutes()
    assert len(busy.world.tables().orders) > 100
    assert len(worst(found).requests) < LIMIT / 2
    assert all(least_left(found, kind) > 0 for kind in Kind)
    assert busy.gate.refused == {}
    assert busy.gate.over_limit == 0


def test_the_rows_say_so(busy: Scene) -> None:
    rows = budget._busy_rows(busy)
    assert [row.met for row in rows] == [True] * 3
    assert rows[0].ours <= (rows[0].ours_p99 or 0) == len(worst(busy.minutes()).requests)
    table = Console(file=io.StringIO(), width=100, record=True)
    table.print(budget.who_spends_what(busy))
    shown = table.export_text()
    assert "latest_quotes" in shown and "data host" in shown and "sells and cancels" in shown


def test_the_same_seed_makes_the_same_requests(busy: Scene) -> None:
    again = busy_hour(60.0)
    assert again.gate.requests == [each for each in busy.gate.requests if each.seconds <= again.ends]


def test_what_is_counted_is_what_the_exchange_was_sent(busy: Scene) -> None:
    sent = spenders(busy.gate.requests)
    journal, orders = busy.world.engine.journal, busy.world.tables().orders.values()
    posts = [each for each in journal if each["kind"] == "request" and each["method"] == "POST"]
    underway = sum(each.state is OrderState.SENT for each in orders)  # when the hour ends
    assert sent[MAIN_APP, "submit"] == len(posts) + underway == len(orders)
    assert underway <= 1
    sells = sum(each.side is Side.SELL for each in orders)
    assert (
        0 < sells <= sent[MAIN_APP, "position"] <= sells + 5
    )  # before each, and a few that were not sent then


def test_with_nothing_to_do_only_the_caretakers_ask() -> None:
    scene = calm()
    assert {each.script for each in scene.gate.requests if each.seconds > scene.begins} == {
        "watchdog",
        "order_manager",
        "consistency_checker",
    }
    assert len(worst(scene.minutes()).requests) <= 7


def test_orders_that_rest_cost_no_request_each() -> None:
    """The checker asked for each of them, and was refused by its own pace at the sixteenth."""
    scene = resting()
    assert len(scene.world.engine.open_orders()) == PAIRS
    assert scene.gate.refused == {}
    assert spenders(scene.gate.requests)["consistency_checker", "order"] == 0
    assert len(worst(scene.minutes()).requests) <= 20


def test_sixty_stale_buys_take_nothing_from_main_app() -> None:
    """The order manager wrote sixty wishes and sent eight; main_app asked until it was refused itself."""
    scene = stale()
    assert len(worst(scene.minutes()).requests) < LIMIT / 2
    assert {script for script, _ in scene.gate.refused} == {"order_manager"}  # where each of its runs ends
    assert scene.world.log.told["order: canceled dca-a"] > PAIRS / 2


def test_sixty_sales_in_the_same_second_all_go_out() -> None:
    scene = jump(2)
    orders = scene.world.tables().orders.values()
    assert sum(each.side is Side.SELL for each in orders) == PAIRS
    assert scene.gate.refused[MAIN_APP, Kind.EXIT] == 0
    assert len(worst(scene.minutes()).requests) < LIMIT


def test_a_minute_is_the_last_sixty_seconds() -> None:
    def request(seconds: float, call: str = "order") -> Request:
        return Request(seconds=seconds, script=MAIN_APP, call=call, kind=Kind.LOOK_UP)

    requests = [request(10.0), request(69.5), request(70.0), request(70.0, "latest_quotes"), request(71.0)]
    found = minutes(requests, 0.0, 71.0)
    assert [len(each.requests) for each in found][-3:] == [1, 2, 3]  # the one of 10 s is out at 70 s
    assert found[-1].left_for(Kind.EXIT) == 130 - 3
