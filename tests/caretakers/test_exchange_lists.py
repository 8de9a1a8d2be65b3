"""Which parts of the past the consistency checker has listed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca.caretakers.exchange_lists import LOOK_BACK, RECENT, _is_late, spans
from dca.core.model import Order, OrderState, Purpose, Snapshot
from tests.builders import done, order, snapshot

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def test_without_a_lock_the_recent_past() -> None:
    assert spans([], ago(hours=2)) == [(ago(hours=2), None)]


def test_around_an_old_lock_and_the_recent_past_but_not_what_is_between() -> None:
    lock = ago(days=30)
    assert spans([lock], ago(hours=2)) == [(lock - LOOK_BACK, lock + RECENT), (ago(hours=2), None)]


def test_a_lock_of_now_begins_two_days_ago() -> None:
    assert spans([NOW], ago(hours=2)) == [(ago(days=2), None)]


def test_locks_of_one_moment_are_one_list() -> None:
    """After an older backup all pairs are locked within a second."""
    locks = [ago(days=30, seconds=second) for second in range(60)]
    assert spans(locks, ago(hours=2)) == [
        (locks[-1] - LOOK_BACK, locks[0] + RECENT),
        (ago(hours=2), None),
    ]


@given(st.lists(st.timedeltas(timedelta(0), timedelta(days=400)).map(lambda age: NOW - age)))
def test_every_lock_is_covered_and_nothing_twice(locks: list[datetime]) -> None:
    recent = ago(hours=2)
    found = spans(locks, recent)
    assert found[-1][1] is None
    assert found[-1][0] <= recent
    for at in locks:
        assert any(
            after <= at - LOOK_BACK and (before is None or before >= at + RECENT) for after, before in found
        )
    for (_, before), (after, _) in pairwise(found):
        assert before is not None
        assert before < after


GIVEN_UP = done(state=OrderState.VOID, exchange_order_id=None, exchange_status=None)
PARTLY = done(filled="0.1")


@pytest.mark.parametrize(
    ("mine", "seen", "is_late"),
    [
        pytest.param(GIVEN_UP, snapshot(GIVEN_UP, "new"), True, id="given up, and open"),
        pytest.param(GIVEN_UP, snapshot(GIVEN_UP, "filled", "0.2", "100"), True, id="given up, and filled"),
        pytest.param(GIVEN_UP, snapshot(GIVEN_UP, "canceled"), False, id="given up, and nothing came of it"),
        pytest.param(PARTLY, snapshot(PARTLY, "canceled", "0.2", "100"), True, id="more filled than we know"),
        pytest.param(PARTLY, snapshot(PARTLY, "canceled", "0.1", "100"), False, id="as we know it"),
        pytest.param(PARTLY, snapshot(PARTLY, "canceled", "0.2"), False, id="filled, but at no price"),
        pytest.param(order(), snapshot(order(), "filled", "0.2", "100"), False, id="live: asked for anyway"),
        pytest.param(
            PARTLY, snapshot(done(Purpose.TAKE_PROFIT), "filled", "0.2", "100"), False, id="another order's"
        ),
    ],
)
def test_what_is_booked_late(mine: Order, seen: Snapshot, *, is_late: bool) -> None:
    """Of the orders that nobody asks for any more."""
    assert _is_late(mine, seen) is is_late
