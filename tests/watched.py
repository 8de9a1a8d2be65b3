"""An installation for tests of the watchdog, and processes that hold main_app's lock."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from dotenv import dotenv_values

from dca.caretakers.job import Job
from dca.database.store import Store
from dca.runtime import settings
from dca.runtime.clock import SystemClock
from dca.runtime.script import Context
from dca.runtime.settings import Settings
from dca.watchdog.process import Patience, Supervisor, is_locked
from dca.watchdog.run import Guard
from tests.processes import ROOT, BotProcess

SHORT = Patience(terminate=0.5, kill=10, start=10)

STAND_IN = f"""
import signal, sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from dca.runtime import script, settings
lock = script._lock(settings.load().state_dir / "main_app.lock")
if lock is None:
    print("already running")
    sys.exit(0)
"""
"""Holds main_app's lock, as main_app does."""


class Installation:
    """An .env file, and the watchdog that looks after it: in this process, or as cron runs it."""

    def __init__(self, bot: BotProcess, patch: pytest.MonkeyPatch) -> None:
        self.bot = bot
        env_file = bot.environment()["DCA_ENV_FILE"]
        values = {name: value or "" for name, value in dotenv_values(env_file).items()}
        for name in values:
            patch.delenv(name, raising=False)
        patch.setenv("DCA_ENV_FILE", env_file)
        self.settings: Settings = settings.parse(values, env_file_mode=0o600)
        self.state = self.settings.state_dir
        self.lock = self.state / "main_app.lock"
        self.state.mkdir(exist_ok=True)
        self._supervisors: list[Supervisor] = []

    def supervisor(self, script: Path = ROOT / "main_app.py", patience: Patience = SHORT) -> Supervisor:
        made = Supervisor(self.settings, SystemClock(), script=script, patience=patience)
        self._supervisors.append(made)
        return made

    def stand_in(self, text: str) -> Path:
        script = self.bot.folder / "stand_in.py"
        script.write_text(STAND_IN + text)
        return script

    def guard(self, supervisor: Supervisor, *, confirm: float = 0.0, dry_run: bool = False) -> Guard:
        """A run of the watchdog in this process."""
        context = Context(name="watchdog", settings=self.settings)
        with Store(self.settings.database) as store:
            job = Job(context=context, store=store, clock=SystemClock(), dry_run=dry_run)
            guard = Guard(job, supervisor, confirm_seconds=confirm)
            guard.watch()
        return guard

    def holder(self) -> int | None:
        return int(self.lock.read_text()) if is_locked(self.lock) else None

    def make_heartbeat_old(self, seconds: float) -> None:
        beat = self.bot.beat()
        beat["beat_at"] = (datetime.fromisoformat(beat["beat_at"]) - timedelta(seconds=seconds)).isoformat()
        self.bot.heartbeat.write_text(json.dumps(beat))

    def close(self) -> None:
        ended = self.supervisor(patience=Patience(terminate=0, kill=10)).end()
        assert ended.why_not is None
        for supervisor in self._supervisors:
            for child in supervisor.children:
                child.kill()
                child.wait(10)


def names(guard: Guard) -> list[str]:
    return [finding.name for finding in guard.findings]
