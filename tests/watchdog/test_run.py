"""A run of the watchdog, decision by decision: what it does, what it says, and of what it can say that it is
over. The supervisor is a stand-in; real processes are in test_watchdog.py and test_ended.py."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dca.caretakers.job import Job
from dca.core.model import Mode
from dca.runtime.script import BAD_SETTINGS, Context
from dca.runtime.settings import DatabaseSettings
from dca.watchdog import rules
from dca.watchdog.process import Started
from dca.watchdog.rules import Memory, Observation
from dca.watchdog.run import MAIN_APP, Guard
from tests.caring import SETTINGS, edit
from tests.rig import Rig

PID = 4711


class Machine:
    """What the watchdog sees of main_app, and what it did to it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.kept = Memory(was_running=True)
        self.starts = Started(pid=PID, by_us=True)
        self.did: list[str] = []

    def memory(self) -> Memory:
        return self.kept

    def remember(self, memory: Memory) -> None:
        self.kept = memory
        self.did.append("remember")

    def look(self) -> Observation:
        return Observation(now=self.rig.clock.now(), is_held=False)

    def start(self) -> Started:
        self.did.append("start")
        return self.starts

    def last_words(self) -> str:
        return "its last line"


@pytest.fixture
def rig(database: DatabaseSettings) -> Iterator[Rig]:
    rig = Rig(database)
    yield rig
    rig.close()


def watched(rig: Rig, machine: Machine, *, dry_run: bool = False) -> tuple[Guard, Job]:
    context = Context(name="watchdog", settings=SETTINGS)
    job = Job(context=context, store=rig.store, clock=rig.clock, dry_run=dry_run, _broker=rig.exchange)
    guard = Guard(job, machine, confirm_seconds=0.0)  # type: ignore[arg-type]
    guard.watch()
    return guard, job


def mode(rig: Rig) -> Mode:
    return rig.store.transaction(lambda tx: tx.control()).mode


def names(guard: Guard) -> list[str]:
    return [each.name for each in guard.findings]


def died(machine: Machine, times: int) -> None:
    now = machine.rig.clock.now()
    for number in range(times):
        machine.kept = rules.died(machine.kept, now - timedelta(seconds=100 - number))
    machine.kept = replace(machine.kept, was_running=True, left_down_at=None)


def test_one_that_is_down_is_started_and_what_it_was_about_is_over(rig: Rig) -> None:
    machine = Machine(rig)
    guard, job = watched(rig, machine)
    assert "start" in machine.did and job.changed == 1
    assert names(guard) == ["main app down"]
    assert "It is started again" in guard.findings[0].evidence
    assert set(MAIN_APP) <= set(guard.judged)
    assert MAIN_APP == ("main app down", "main app ended", "main app hung", "main app left down", "settings")


def test_started_by_somebody_else_is_not_our_doing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(rig)
    machine.starts = replace(machine.starts, by_us=False)
    with caplog.at_level("INFO"):
        _, job = watched(rig, machine)
    assert job.changed == 0 and "started main_app" not in caplog.text


def test_a_dry_run_starts_nothing(rig: Rig) -> None:
    machine = Machine(rig)
    guard, _ = watched(rig, machine, dry_run=True)
    assert machine.did == [] and "main app down" not in guard.judged


def test_settings_that_it_cannot_use_are_no_death(rig: Rig) -> None:
    machine = Machine(rig)
    machine.kept = Memory()
    machine.starts = Started(pid=PID, by_us=True, exit_code=BAD_SETTINGS, last_words="DB_USER is missing")
    guard, job = watched(rig, machine)
    assert names(guard) == ["settings"] and "DB_USER is missing" in guard.findings[0].evidence
    assert machine.kept.deaths == () and job.changed == 0
    assert len(job.failures) == 1 and "main_app exited immediately: exit code" in job.failures[0]
    assert guard.judged == []


def test_the_fifth_death_leaves_it_down_with_buys_off_once(rig: Rig) -> None:
    machine = Machine(rig)
    died(machine, 4)
    guard, job = watched(rig, machine)
    assert "start" not in machine.did and job.changed == 1
    assert "main app left down" in names(guard) and mode(rig) is Mode.EXITS_ONLY
    down = next(each for each in guard.findings if each.name == "main app down")
    assert "It is started again" not in down.evidence and "crash 5" in down.evidence
    since = machine.kept.left_down_at
    assert since is not None
    rig.clock.pass_seconds(60)
    guard, job = watched(rig, machine)
    assert (job.changed, machine.kept.left_down_at) == (0, since), "turned off already"
    assert "main app left down" in names(guard)


def test_in_a_dry_run_buys_stay_on(rig: Rig) -> None:
    machine = Machine(rig)
    died(machine, 5)
    _, job = watched(rig, machine, dry_run=True)
    assert (mode(rig), job.changed) == (Mode.RUN, 0)


@pytest.mark.parametrize("halted", ["halt", "exits_only"])
def test_what_is_limited_already_stays_as_it_is(rig: Rig, halted: str) -> None:
    machine = Machine(rig)
    died(machine, 5)
    edit(rig, f"UPDATE dca_control SET mode = '{halted}', mode_reason = 'mine'")
    _, job = watched(rig, machine)
    control = rig.store.transaction(lambda tx: tx.control())
    assert (control.mode.value, control.mode_reason, job.changed) == (halted, "mine", 0)


def test_another_installation_s_buys_are_left_alone(rig: Rig) -> None:
    machine = Machine(rig)
    died(machine, 5)
    rig.store.transaction(lambda tx: tx.set_owner("elsewhere /srv/dca 0123456789abcdef", rig.clock.now()))
    _, job = watched(rig, machine)
    assert (mode(rig), job.changed) == (Mode.RUN, 0)


def test_the_keys_are_asked_for_unless_a_run_was_answered_a_moment_ago(rig: Rig) -> None:
    asked: list[int] = []

    class Counting(type(rig.exchange)):  # type: ignore[misc]
        def account(self) -> Any:
            asked.append(1)
            return super().account()

    rig.exchange.__class__ = Counting
    guard, _ = watched(rig, Machine(rig))
    for seconds, count in ((None, 1), (89, 1), (90, 2)):
        if seconds is not None:
            ended = f"{rig.clock.now() - timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"
            edit(
                rig,
                "INSERT INTO job_runs (job, started_at, ended_at, result)"
                f" VALUES ('order_manager', '{ended}', '{ended}', 'done')",
            )
        guard.judged.clear()
        guard.ask_for_keys()
        assert (len(asked), guard.judged) == (count, ["keys refused"])
        edit(rig, "DELETE FROM job_runs")
