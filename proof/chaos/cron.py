"""Cron on a fast clock: starts each caretaker again a few seconds after it was last due."""

import time
from collections.abc import Mapping
from pathlib import Path

from demo.processes import Child
from launcher.output import ROOT

PERIODS = {"watchdog": 4.0, "order_manager": 6.0, "cooldown_manager": 9.0, "consistency_checker": 15.0}
"""Seconds. The crontab says a minute, the checker five."""
SMOKE_PERIODS = {**dict.fromkeys(PERIODS, 60.0), "watchdog": 4.0}
"""Each start takes a second of a processor: the others come once."""
FIRST_AFTER = {"watchdog": 0.0, "order_manager": 3.0, "cooldown_manager": 4.5, "consistency_checker": 6.0}


class Cron:
    """One run of each script at a time, as their locks would have it anyway."""

    def __init__(self, folder: Path, env: Mapping[str, str], periods: Mapping[str, float]) -> None:
        self._periods = periods
        self.children = {name: Child(name, [str(ROOT / f"{name}.py")], folder, dict(env)) for name in PERIODS}
        self.runs = dict.fromkeys(PERIODS, 0)
        self.paused = False
        now = time.monotonic()
        self._due = {name: now + after for name, after in FIRST_AFTER.items()}

    def tick(self) -> list[int]:
        """Start what is due; returns the pids of what was started."""
        if self.paused:
            return []
        now, started = time.monotonic(), []
        for name, child in self.children.items():
            if now >= self._due[name] and not child.runs:
                child.start()
                self.runs[name] += 1
                self._due[name] = now + self._periods[name]
                started.append(child.pid)
        return started

    def running(self) -> dict[str, int]:
        """Names and pids of those at work."""
        return {name: child.pid for name, child in self.children.items() if child.runs}

    def hurry(self, name: str) -> None:
        """Have it run at the next tick."""
        self._due[name] = 0.0

    def stop(self) -> None:
        self.paused = True
        for child in self.children.values():
            child.stop(1)
