"""What the pace says of requests that wait, and for how long at the least."""

import pytest

from dca.core.errors import RateLimited
from dca.exchange import request_budget
from dca.exchange.request_budget import Kind, Pace
from tests.fake_exchange import FakeClock


def test_shares_are_whole_requests() -> None:
    assert request_budget.main_app(33) == {Kind.EXIT: 33, Kind.LOOK_UP: 26, Kind.ORDINARY: 19}
    assert set(request_budget.others(33).values()) == {4}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind.EXIT, "sells and cancels wait: 10 requests within a minute"),
        (Kind.LOOK_UP, "look-ups wait: 8 requests within a minute"),
        (Kind.ORDINARY, "buys and reading wait: 6 requests within a minute"),
    ],
)
def test_a_kind_that_has_to_wait_says_what_it_is_and_why(kind: Kind, words: str) -> None:
    pace = Pace(FakeClock(), request_budget.main_app(10))
    with pytest.raises(RateLimited) as caught:
        for _ in range(11):
            pace.take(kind)
    assert str(caught.value) == words


def test_a_429_is_heard_for_a_second_at_the_least() -> None:
    clock = FakeClock()
    pace = Pace(clock, request_budget.main_app(100))
    clock.pass_seconds(0.75)
    pace.answered(429, {"X-RateLimit-Reset": str(int(clock.now().timestamp()) + 1)})
    clock.pass_seconds(0.9)
    with pytest.raises(RateLimited, match="the exchange answered 429; for 0 s more"):
        pace.take(Kind.ORDINARY)
    clock.pass_seconds(0.1)
    pace.take(Kind.ORDINARY)
