"""A pair about which nothing answered is left alone for a moment, and no other."""

import pytest

from dca.trading.worker import REST_SECONDS, Rests
from tests.fake_exchange import FakeClock

BTC, ETH = "BTC/USD", "ETH/USD"


class Given:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.rests = Rests(self.clock)

    def resting(self) -> list[bool]:
        return [self.rests.is_resting(symbol) for symbol in (BTC, ETH)]


@pytest.fixture
def given() -> Given:
    return Given()


def test_only_the_pair_that_failed_rests_and_not_for_long(given: Given) -> None:
    given.rests.failed(BTC)
    assert given.resting() == [True, False]
    given.clock.pass_seconds(REST_SECONDS - 0.1)
    assert given.resting() == [True, False]
    given.clock.pass_seconds(0.1)
    assert given.resting() == [False, False]


def test_a_failure_about_no_pair_lets_none_rest_and_ends_with_the_first_answer(given: Given) -> None:
    given.rests.failed(None)
    assert given.resting() == [False, False]
    assert given.rests.answered(ETH), "all is well again"
    assert not given.rests.answered(ETH), "which is told once"


def test_an_answer_about_one_pair_is_none_about_another_that_rests(given: Given) -> None:
    given.rests.failed(BTC)
    given.rests.failed(ETH)
    assert not given.rests.answered(ETH)
    assert given.resting() == [True, False]
    assert given.rests.answered(BTC)
    assert given.resting() == [False, False]


def test_what_failed_long_ago_keeps_nobody_from_saying_that_all_is_well(given: Given) -> None:
    given.rests.failed(BTC)
    given.clock.pass_seconds(REST_SECONDS)
    assert given.rests.answered(ETH)
