"""The watchdog's decisions. Pure.

Running means that the lock is held, not that a pid exists. Alive means a heartbeat of the main loop, which
continues while streams, database or exchange are down: those are never a reason to restart (F37).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from dca.runtime.heartbeat import Beat
from dca.runtime.maintenance import Maintenance

HUNG_AFTER = timedelta(seconds=60)
"""main_app counts as hung after this long without a heartbeat. Its slowest single wait takes about 15 s."""
SLOWEST_WORKER_SECONDS = 180.0
"""Longest time for one task of a worker, which is a few requests and transactions of at most 10 s each."""
DEATHS, DEATHS_WITHIN = 5, timedelta(minutes=10)
"""This many crashes within this time are a crash loop: main_app is not restarted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The observed state of main_app.

    `holder`: pid of the lock's holder, if `is_held`; None if not known. `locked_at`: when the lock's file was
    written. `can_write`: heartbeats can be written to disk.
    """

    now: datetime
    is_held: bool
    holder: int | None = None
    locked_at: datetime | None = None
    beat: Beat | None = None
    maintenance: Maintenance | None = None
    can_write: bool = True

    @property
    def asked_to_stop(self) -> str | None:
        """Why the last holder of the lock was asked to stop; None if it was not."""
        if self.is_held or self.beat is None or self.beat.pid != self.holder:
            return None
        return self.beat.asked_to_stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The watchdog's memory between runs.

    `was_running`: main_app was running or was started, and has not been asked to stop: if it is down now, it
    crashed. `left_down_at`: since when it is no longer restarted.
    """

    deaths: tuple[datetime, ...] = ()
    was_running: bool = False
    last_start_at: datetime | None = None
    left_down_at: datetime | None = None


class Verdict(StrEnum):
    NOTHING = "nothing"
    START = "start"
    END = "end"
    """It hangs: end it, then check again."""
    LEAVE_DOWN = "leave down"
    STAND_DOWN = "stand down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do about main_app; `why` goes into the log and the mail."""

    verdict: Verdict
    why: str


def hung(seen: Observation) -> str | None:
    """Why the main_app that holds the lock counts as hung; None if it does not.

    A heartbeat from the future counts as alive: the clock was set back. A heartbeat of an earlier main_app
    says nothing about one that took the lock since. On a full disk no heartbeat can be written (F68).
    """
    if not (seen.is_held and seen.can_write):
        return None
    if (beat := seen.beat) is not None and beat.pid == seen.holder:
        if beat.slowest_worker_seconds >= SLOWEST_WORKER_SECONDS:
            return f"a worker has spent {beat.slowest_worker_seconds:.0f} s on one task"
        silence, what = seen.now - beat.beat_at, "its last heartbeat is {:.0f} s old"
    else:
        silence, what = timedelta(0), "it has held its lock for {:.0f} s without a heartbeat"
        if seen.locked_at is not None:
            silence = seen.now - seen.locked_at
    return what.format(silence.total_seconds()) if silence >= HUNG_AFTER else None


def observed(memory: Memory, seen: Observation) -> Memory:
    """The memory after an observation: counts a crash, and detects a crash loop.

    A manual start after a crash loop clears it. A main_app that was asked to stop has not crashed, however
    often it is sent a signal.
    """
    memory = _recent(memory, seen.now)
    if seen.is_held:
        return replace(memory, was_running=True, left_down_at=None)
    if seen.maintenance is not None or seen.asked_to_stop is not None:
        return replace(memory, was_running=False)
    return died(memory, seen.now) if memory.was_running else memory


def was_ended(memory: Memory, seen: Observation) -> str | None:
    """Why main_app was asked to stop, if it was running when `memory` was written and ./bot stop was not
    used."""
    return seen.asked_to_stop if memory.was_running and seen.maintenance is None else None


def died(memory: Memory, now: datetime) -> Memory:
    """The memory after a crash: main_app was found down, or exited immediately after a start."""
    memory = _recent(memory, now)
    deaths = (*memory.deaths, now)
    left_down_at = memory.left_down_at or (now if len(deaths) >= DEATHS else None)
    return replace(memory, deaths=deaths, was_running=False, left_down_at=left_down_at)


def started(memory: Memory, now: datetime) -> Memory:
    """The memory after a successful start."""
    return replace(memory, was_running=True, last_start_at=now)


def decide(seen: Observation, memory: Memory) -> Decision:
    """Decide what to do; `memory` is the memory after `seen`."""
    if seen.maintenance is not None:
        return Decision(verdict=Verdict.STAND_DOWN, why=seen.maintenance.why)
    if seen.is_held:
        why = hung(seen)
        if why is not None:
            return Decision(verdict=Verdict.END, why=why)
        return Decision(verdict=Verdict.NOTHING, why="it is alive")
    if memory.left_down_at is not None:
        return Decision(verdict=Verdict.LEAVE_DOWN, why=_too_often(memory))
    return Decision(verdict=Verdict.START, why="it was not running")


def _too_often(memory: Memory) -> str:
    assert memory.left_down_at is not None
    minutes = DEATHS_WITHIN.total_seconds() / 60
    return (
        f"it crashed {DEATHS} times within {minutes:.0f} minutes, last at "
        f"{memory.left_down_at:%Y-%m-%d %H:%M:%S} UTC"
    )


def _recent(memory: Memory, now: datetime) -> Memory:
    """Without crashes that are too old, or in the future because the clock was set back."""
    kept = tuple(at for at in memory.deaths if timedelta(0) <= now - at < DEATHS_WITHIN)
    return memory if kept == memory.deaths else replace(memory, deaths=kept)
