"""What the watchdog makes of what it sees. Pure.

Running is a held lock, not a pid. Alive is a heartbeat of the deciding loop, which beats on while
streams, database or exchange are down: those are never a reason to restart (F37).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from dca.runtime.heartbeat import Beat
from dca.runtime.maintenance import Maintenance

HUNG_AFTER = timedelta(seconds=60)
"""Without a sign of life for so long, main_app is hung. Its slowest single wait takes some 15 s."""
SLOWEST_WORKER_SECONDS = 180.0
"""One task of a worker is a few requests and transactions of at most 10 s each."""
DEATHS, DEATHS_WITHIN = 5, timedelta(minutes=10)
"""So many deaths within that time, and main_app is left down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What there is to see of main_app.

    `holder` is the pid of who holds the lock, if `is_held`; None if there is nothing to tell it by.
    `locked_at` is when the lock's file was written. `can_write`: the disk takes heartbeats.
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
        """Why the one that held the lock last ended in good order; None if it did not."""
        if self.is_held or self.beat is None or self.beat.pid != self.holder:
            return None
        return self.beat.asked_to_stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the watchdog remembers from run to run.

    `was_running`: main_app was seen running, or was started, and nobody asked it to stop since: if it is
    down, it has died. `left_down_at`: since when it is not started any more.
    """

    deaths: tuple[datetime, ...] = ()
    was_running: bool = False
    last_start_at: datetime | None = None
    left_down_at: datetime | None = None


class Verdict(StrEnum):
    NOTHING = "nothing"
    START = "start"
    END = "end"
    """It hangs: end it, then look again."""
    LEAVE_DOWN = "leave down"
    STAND_DOWN = "stand down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do about main_app; `why` is for the log and the mail."""

    verdict: Verdict
    why: str


def hung(look: Look) -> str | None:
    """Why the main_app that holds the lock is taken for hung; None if it is not.

    A sign of life from the future is one: the clock was set back. The heartbeat that an earlier main_app
    left says nothing of one that took the lock since. On a full disk nobody can leave a sign (F68).
    """
    if not (look.is_held and look.can_write):
        return None
    if (beat := look.beat) is not None and beat.pid == look.holder:
        if beat.slowest_worker_seconds >= SLOWEST_WORKER_SECONDS:
            return f"a worker has been at one task for {beat.slowest_worker_seconds:.0f} s"
        silence, what = look.now - beat.beat_at, "its last heartbeat is {:.0f} s old"
    else:
        silence, what = timedelta(0), "it has held its lock for {:.0f} s without a heartbeat"
        if look.locked_at is not None:
            silence = look.now - look.locked_at
    return what.format(silence.total_seconds()) if silence >= HUNG_AFTER else None


def observed(memory: Memory, look: Look) -> Memory:
    """The memory after a look: it notices a death, and when there were too many.

    Whoever starts main_app by hand after it was left down has taken care of it. One that was asked to stop
    has not died: a signal that somebody sends again and again is no crash.
    """
    memory = _recent(memory, look.now)
    if look.is_held:
        return replace(memory, was_running=True, left_down_at=None)
    if look.maintenance is not None or look.asked_to_stop is not None:
        return replace(memory, was_running=False)
    return died(memory, look.now) if memory.was_running else memory


def was_ended(memory: Memory, look: Look) -> str | None:
    """What ended main_app in good order, if it ran when `memory` was kept and nobody announced it with
    ./bot stop."""
    return look.asked_to_stop if memory.was_running and look.maintenance is None else None


def died(memory: Memory, now: datetime) -> Memory:
    """The memory after a death: main_app was found down, or came down as soon as it was started."""
    memory = _recent(memory, now)
    deaths = (*memory.deaths, now)
    left_down_at = memory.left_down_at or (now if len(deaths) >= DEATHS else None)
    return replace(memory, deaths=deaths, was_running=False, left_down_at=left_down_at)


def started(memory: Memory, now: datetime) -> Memory:
    """The memory after a start that went well."""
    return replace(memory, was_running=True, last_start_at=now)


def decide(look: Look, memory: Memory) -> Decision:
    """What to do; `memory` has observed the look."""
    if look.maintenance is not None:
        return Decision(verdict=Verdict.STAND_DOWN, why=look.maintenance.why)
    if look.is_held:
        why = hung(look)
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
        f"it died {DEATHS} times within {minutes:.0f} minutes, last at "
        f"{memory.left_down_at:%Y-%m-%d %H:%M:%S} UTC"
    )


def _recent(memory: Memory, now: datetime) -> Memory:
    """Without deaths that are too long ago, or, because the clock was set back, not yet."""
    kept = tuple(at for at in memory.deaths if timedelta(0) <= now - at < DEATHS_WITHIN)
    return memory if kept == memory.deaths else replace(memory, deaths=kept)
