"""What the watchdog makes of what it sees."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dca.runtime.heartbeat import Beat
from dca.runtime.maintenance import Maintenance
from dca.watchdog import rules
from dca.watchdog.rules import Memory, Observation, Verdict

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
PID = 4711


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def beat(seconds_old: float, *, pid: int = PID, slowest: float = 0.0) -> Beat:
    return Beat(
        pid=pid,
        started_at=ago(10_000),
        beat_at=ago(seconds_old),
        epoch=1,
        slowest_worker_seconds=slowest,
        last_settle_at=None,
        quotes_connected=False,
        last_quote_at=None,
        orders_connected=False,
        last_order_update_at=None,
        troubles=("database", "order stream"),
    )


def held(found: Beat | None, *, locked: float = 10_000, holder: int | None = PID) -> Observation:
    return Observation(now=NOW, is_held=True, holder=holder, locked_at=ago(locked), beat=found)


DOWN = Observation(now=NOW, is_held=False, holder=PID, locked_at=ago(10_000), beat=beat(1))
AT_WORK = Maintenance(until=NOW + timedelta(hours=1), who="me", why="a new disk")


def verdict(seen: Observation, memory: Memory | None = None) -> Verdict:
    return rules.decide(seen, rules.observed(memory or Memory(), seen)).verdict


@pytest.mark.parametrize(
    ("seen", "is_hung"),
    [
        (held(beat(2)), False),
        (held(beat(59)), False),
        (held(beat(61)), True),
        (held(beat(-7200)), False),  # the clock was set back
        (held(beat(2, slowest=179)), False),
        (held(beat(2, slowest=180)), True),
        (held(None, locked=59), False),
        (held(None, locked=61), True),
        (held(None, locked=-30), False),
        # what an earlier main_app left counts for nothing, neither against the new one nor for it
        (held(beat(5000, pid=1, slowest=900), locked=20), False),
        (held(beat(30, pid=1), locked=70), True),
        (replace(held(beat(5000)), can_write=False), False),
        (replace(held(None, locked=0), locked_at=None), False),
    ],
)
def test_alive_is_a_young_heartbeat_of_its_own(seen: Observation, *, is_hung: bool) -> None:
    assert (rules.hung(seen) is not None) is is_hung
    assert verdict(seen) is (Verdict.END if is_hung else Verdict.NOTHING)


def test_running_is_a_held_lock_and_not_a_heartbeat() -> None:
    assert verdict(DOWN) is Verdict.START
    assert rules.hung(replace(DOWN, beat=beat(5000))) is None


def test_the_first_start_and_one_after_maintenance_are_no_death() -> None:
    assert rules.observed(Memory(), DOWN).deaths == ()
    at_work = replace(DOWN, maintenance=AT_WORK)
    memory = rules.observed(Memory(was_running=True), at_work)
    assert verdict(at_work, memory) is Verdict.STAND_DOWN
    assert rules.observed(memory, DOWN) == Memory()
    assert verdict(held(beat(5000), locked=0), memory) is Verdict.END
    assert verdict(replace(held(beat(5000)), maintenance=AT_WORK)) is Verdict.STAND_DOWN


def test_one_that_ran_and_is_down_has_died_once() -> None:
    memory = rules.observed(Memory(), held(beat(2)))
    assert memory.was_running
    memory = rules.observed(memory, DOWN)
    assert memory.deaths == (NOW,)
    assert rules.observed(memory, DOWN) == memory, "it is still the same death"


def test_five_deaths_within_ten_minutes_and_it_is_left_down() -> None:
    four = Memory(deaths=tuple(ago(each) for each in (590, 400, 200, 60)), was_running=True)
    fifth = rules.observed(four, DOWN)
    assert fifth.left_down_at == NOW
    decision = rules.decide(DOWN, fifth)
    assert decision.verdict is Verdict.LEAVE_DOWN
    assert "5 times within 10 minutes" in decision.why
    later = replace(DOWN, now=NOW + timedelta(days=3))
    assert verdict(later, fifth) is Verdict.LEAVE_DOWN
    assert verdict(DOWN, replace(four, deaths=(ago(601), *four.deaths[1:]))) is Verdict.START


def test_a_start_that_fails_is_a_death_too() -> None:
    memory = Memory()
    for second in range(5):
        assert verdict(DOWN, memory) is Verdict.START
        memory = rules.died(memory, ago(300 - second))
    assert verdict(DOWN, memory) is Verdict.LEAVE_DOWN


def test_who_starts_it_by_hand_has_taken_care_of_it() -> None:
    memory = Memory(deaths=(ago(700),), left_down_at=ago(700))
    memory = rules.observed(memory, held(beat(2)))
    assert memory == Memory(was_running=True)
    assert verdict(DOWN, memory) is Verdict.START


def test_deaths_from_the_future_do_not_count() -> None:
    memory = Memory(deaths=tuple(ago(-each) for each in (60, 70, 80, 90)), was_running=True)
    assert verdict(DOWN, memory) is Verdict.START


def test_one_that_was_asked_to_stop_has_not_died() -> None:
    ended = replace(DOWN, beat=replace(beat(1), asked_to_stop="SIGTERM"))
    memory = Memory(deaths=(ago(5),), was_running=True)
    assert rules.observed(memory, ended) == Memory(deaths=(ago(5),))
    assert verdict(ended, memory) is Verdict.START
    assert rules.was_ended(memory, ended) == "SIGTERM"
    assert rules.was_ended(Memory(), ended) is None, "it is told once"
    assert rules.was_ended(memory, replace(ended, maintenance=AT_WORK)) is None
    # a later one held the lock since, and died without a word
    later = replace(ended, holder=PID + 1)
    assert rules.observed(memory, later).deaths == (ago(5), NOW)
    assert rules.was_ended(memory, replace(ended, is_held=True)) is None


def test_a_start_is_remembered() -> None:
    memory = rules.started(Memory(deaths=(ago(5),)), NOW)
    assert memory == Memory(deaths=(ago(5),), was_running=True, last_start_at=NOW)
