"""Virtual time, and everything that happens in it, one thing after the other.

A process of the simulation is some greenlets: the product's plain blocking code, switched away from only
where it would wait (a database, an exchange, a pause). Who goes on next follows from virtual time alone,
so a run is a function of its seed.
"""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from greenlet import getcurrent, greenlet

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_TOO_MANY_EVENTS = 2_000_000


class Killed(BaseException):
    """The process has died: nothing may catch it."""


class VirtualClock:
    """A process's clock. `step_seconds` is how wrong the machine's wall clock is; monotonic time is right."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self.step_seconds = 0.0

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self._hub.seconds + self.step_seconds)

    def monotonic(self) -> float:
        return self._hub.seconds


class Hub:
    """The events to come, in order of time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.main = getcurrent()

    def now(self) -> datetime:
        """The true time, which is the exchange's."""
        return BEGIN + timedelta(seconds=self.seconds)

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something done at a moment; those of the same moment in the order they were asked for."""
        self._count += 1
        heapq.heappush(self._events, (max(seconds, self.seconds), self._count, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(self.seconds + seconds, action)

    def run(self, until: float, *, done: Callable[[], bool] | None = None) -> bool:
        """Let time pass; stops early once `done` says so. Returns whether it did."""
        self.main = getcurrent()
        while self._events and self._events[0][0] <= until:
            at, number, action = heapq.heappop(self._events)
            if number > _TOO_MANY_EVENTS:
                raise AssertionError("the simulation does not end: something happens again and again at once")
            self.seconds = at
            action()
            if done is not None and done():
                return True
        self.seconds = max(self.seconds, until)
        return done is not None and done()

    def switch_back(self) -> None:
        """From a greenlet: let others go on until somebody switches here again."""
        self.main.switch()


class Process:
    """A process of the simulated machine: it can be killed, and stopped for a while, anywhere.

    `boundary` is told every boundary that is reached, and says whether the process dies there.
    """

    def __init__(
        self,
        hub: Hub,
        name: str,
        boundary: Callable[[str], bool],
        crashed: Callable[["Process", Exception], None],
    ) -> None:
        self.hub = hub
        self.name = name
        self.clock = VirtualClock(hub)
        self.alive = True
        self.stopped_until = 0.0
        self.on_death: list[Callable[[], None]] = []
        self.in_transaction = False
        self._crashed = crashed
        self._boundary = boundary
        self._tasks: list[greenlet] = []

    def spawn(self, work: Callable[[], None]) -> None:
        """Begin a thread of the process."""
        task = greenlet(lambda: self._guard(work), parent=self.hub.main)
        self._tasks.append(task)
        self.hub.after(0.0, lambda: self._resume(task))

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001 - whatever kills the product is a finding
            self._crashed(self, error)

    def _resume(self, task: greenlet) -> None:
        if task.dead or not self.alive:
            return
        if self.hub.seconds < self.stopped_until:
            self.hub.at(self.stopped_until, lambda: self._resume(task))
            return
        task.switch()

    def pause(self, seconds: float) -> None:
        """Let time pass for the calling thread of this process."""
        task = getcurrent()
        self.hub.after(seconds, lambda: self._resume(task))
        self.hub.switch_back()
        self.check_alive()

    def reach(self, name: str, seconds: float) -> None:
        """A boundary: the process may die here, and others go on while this waits so long."""
        self.crash_point(name)
        self.pause(seconds)

    def crash_point(self, name: str) -> None:
        """A boundary at which nobody else goes on.

        Raises:
            Killed: it died here.
        """
        self.check_alive()
        if self._boundary(f"{self.name}: {name}"):
            self.die()
            raise Killed

    def wait(self) -> Callable[[], None]:
        """What has to be called to let the calling thread go on after `sleep`."""
        task = getcurrent()
        return lambda: self.hub.after(0.0, lambda: self._resume(task))

    def sleep(self) -> None:
        """Until woken."""
        self.hub.switch_back()
        self.check_alive()

    def check_alive(self) -> None:
        """Raises:
        Killed: nothing that a dead process wants has an effect.
        """
        if not self.alive:
            raise Killed

    def stop(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        self.stopped_until = max(self.stopped_until, self.hub.seconds + seconds)

    def die(self) -> None:
        """Kill -9, from outside or from the thread that is running."""
        if not self.alive:
            return
        self.alive = False
        mine = getcurrent()
        for task in self._tasks:
            if task is not mine and task and not task.dead:
                task.parent = mine  # it ends there, and this goes on here
                task.throw(Killed)
        for tell in self.on_death:
            tell()
