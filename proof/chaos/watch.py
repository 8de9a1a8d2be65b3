"""main_app as seen from outside: which process it is, whether it trades, how long it took to get back."""

import time
from dataclasses import dataclass, field

from dca.runtime import heartbeat
from proof.chaos import processes
from proof.chaos.world import World


@dataclass(slots=True, kw_only=True)
class Recovery:
    """From a death of main_app to trading again. `disturbed`: something else was wrong meanwhile.

    `left_down`: the watchdog had had enough, and a person had to start it.
    """

    killed_at: float
    pid: int
    seconds: float | None = None
    disturbed: bool = False
    left_down: bool = False


@dataclass(slots=True)
class Watch:
    """Looks at every tick. Times are monotonic seconds."""

    world: World
    recoveries: list[Recovery] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    codes: dict[int, int] = field(default_factory=dict)
    looks: int = 0
    looks_trading: int = 0

    def pid(self) -> int | None:
        """Who holds main_app's lock."""
        try:
            pid = int((self.world.state_dir / "main_app.lock").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return self._by_its_beat()
        return pid if processes.belongs(pid, self.world.env_file) else self._by_its_beat()

    def _by_its_beat(self) -> int | None:
        beat = heartbeat.read(self.world.state_dir / "main_app.heartbeat.json")
        return beat.pid if beat is not None and processes.belongs(beat.pid, self.world.env_file) else None

    def trading_pid(self) -> int | None:
        """The pid of a main_app that hears both streams and has settled what was open; None if none does."""
        beat = heartbeat.read(self.world.state_dir / "main_app.heartbeat.json")
        if beat is None or beat.last_settle_at is None:
            return None
        if not (beat.quotes_connected and beat.orders_connected):
            return None
        return beat.pid if processes.belongs(beat.pid, self.world.env_file) else None

    def killed(self, pid: int) -> None:
        self.recoveries.append(Recovery(killed_at=time.monotonic(), pid=pid))

    def tick(self, *, disturbed: bool, left_down: bool) -> None:
        """Look; `disturbed`: something goes on that may keep main_app from trading."""
        trading = self.trading_pid()
        self.looks += 1
        self.looks_trading += trading is not None
        pid = self.pid()
        if pid is not None:
            self.seen.add(pid)
        for known in self.seen - self.codes.keys():
            code = processes.reap(known)
            if code is not None:
                self.codes[known] = code
        waiting = [each for each in self.recoveries if each.seconds is None]
        if not waiting:
            return
        for each in waiting:
            each.disturbed |= disturbed
            each.left_down |= left_down
            if trading is not None and trading != each.pid:
                each.seconds = time.monotonic() - each.killed_at
