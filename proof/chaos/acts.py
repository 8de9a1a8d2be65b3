"""How each kind of fault is done, and undone."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from random import Random

from dca.operator.actions.pause_resume import forget_crashes
from dca.watchdog.process import read_memory
from dca.watchdog.rules import DEATHS
from demo.problems import DemoProblem
from proof.chaos import processes
from proof.chaos.exchange_faults import Drawer, Trouble
from proof.chaos.kinds import Pace
from proof.chaos.person import Person, Undo, nothing
from proof.chaos.watch import Watch
from proof.chaos.world import World

LEFT_DOWN_SHARE = 0.12
"""How often main_app may die once too often for the watchdog; else somebody has said ./bot resume before."""


class Acts:
    """`begin` does a kind and returns how to undo it; None if it cannot be done just now."""

    def __init__(self, world: World, watch: Watch, person: Person, random: Random) -> None:
        self._world = world
        self._watch = watch
        self._person = person
        self._random = random
        self._pace: Pace = world.pace
        self._drawer = Drawer(random, world.pace)
        self.blind: list[tuple[datetime, datetime]] = []
        """When main_app's log lost lines, by its own clock."""
        self.names: dict[str, int] = {}
        """How often each of the exchange's faults was asked for."""

    def begin(self, kind: str) -> tuple[Undo, str] | None:
        """Do it. Returns how to end it, and what was done in words."""
        what, _, rest = kind.partition(".")
        ways: dict[str, Callable[[str], tuple[Undo, str] | None]] = {
            "kill": self._kill,
            "restart": lambda _: self._restart_database(),
            "pause": self._pause,
            "net": self._net,
            "exchange": lambda _: self._exchange(kind),
            "clock": self._clock,
            "disk": lambda _: self._fill_disk(),
            "mail": lambda _: self._hang_mail(),
            "database": lambda _: self._read_only(),
            "person": self._person_acts,
        }
        return ways[what](rest)

    # ---- kill -9 -----------------------------------------------------------------------------------------

    def _kill(self, target: str) -> tuple[Undo, str] | None:
        target = target.removesuffix(" calm")
        if target == "database":
            if not self._world.database_answers:
                return None
            self._world.kill_database()
            return self._world.start_database, "kill -9, started again after that time"
        pid = self._watch.pid() if target == "main_app" else self._caretaker()
        if pid is None or (target == "main_app" and not self._may_kill()):
            return None
        if not processes.send(pid, signal.SIGKILL):
            return None
        if target == "main_app":
            self._watch.killed(pid)
            now = self._world.bots_clock()
            self.blind.append((now, now))
        return nothing, f"pid {pid}"

    def _may_kill(self) -> bool:
        """Mostly a main_app that trades: one that never gets anywhere shows little."""
        if self._pace.smoke:
            return True
        if self._watch.trading_pid() is None and self._random.random() > 0.02:  # asked every tick
            return False
        deaths = len(read_memory(self._world.state_dir).deaths)
        if deaths >= DEATHS - 1 and self._random.random() > LEFT_DOWN_SHARE:
            forget_crashes(self._world.state_dir)
        return True

    def _caretaker(self) -> int | None:
        running = self._world.cron.running()
        if not running or self._random.random() > 0.2:  # so that it dies at any moment of its run
            return None
        return running[self._random.choice(sorted(running))]

    def _restart_database(self) -> tuple[Undo, str] | None:
        if not self._world.database_answers:
            return None
        self._world.stop_database()
        return self._world.start_database, "asked to end, started again after that time"

    # ---- SIGSTOP -----------------------------------------------------------------------------------------

    def _pause(self, target: str) -> tuple[Undo, str] | None:
        pid = self._pid_of(target)
        if pid is None or not processes.send(pid, signal.SIGSTOP):
            return None
        self._answers(target, yes=False)
        self._world.forget_tables()

        def resume() -> None:
            if target in {"database", "exchange"} or processes.belongs(pid, self._world.env_file):
                processes.send(pid, signal.SIGCONT)
            self._answers(target, yes=True)

        return resume, f"SIGSTOP for pid {pid}"

    def _pid_of(self, target: str) -> int | None:
        if target == "main_app":
            return self._watch.pid()
        if target == "caretaker":
            return self._caretaker()
        if target == "exchange":
            return self._world.bourse.child.pid
        return self._world.server.pid if self._world.database_answers else None

    def _answers(self, target: str, *, yes: bool) -> None:
        if target == "database":
            self._world.database_answers = yes
        if target == "exchange":
            self._world.exchange_answers = yes

    # ---- network -----------------------------------------------------------------------------------------

    def _net(self, rest: str) -> tuple[Undo, str] | None:
        link, _, mode = rest.partition(".")
        if mode == "cut":
            cut = self._world.links.do(link=link, cut=True)["cut"]
            return (nothing, f"{cut} connections reset") if cut else None
        delay = round(self._random.uniform(0.05, 2.0), 2) if mode == "slow" else 0
        self._world.links.do(link=link, mode=mode, delay=delay)

        def heal() -> None:
            self._world.links.do(link=link, mode="pass")

        return heal, f"delay {delay} s" if delay else mode

    # ---- the exchange ------------------------------------------------------------------------------------

    def _exchange(self, kind: str) -> tuple[Undo, str] | None:
        if not self._world.exchange_answers:
            return None
        trouble = self._drawer.draw(kind)
        symbol = self._random.choice(self._world.symbols) if trouble.one_symbol else None
        args = dict(trouble.args)
        if trouble.name == "asset.halt":
            args["symbol"] = symbol
        number = self._world.bourse.fault(trouble.name, trouble.count, symbol, args)
        self.names[trouble.name] = self.names.get(trouble.name, 0) + 1
        what = f"{trouble.name} {args or ''} {symbol or ''}".strip()
        return lambda: self._end_trouble(trouble, symbol, number), what

    def _end_trouble(self, trouble: Trouble, symbol: str | None, number: int) -> None:
        bourse = self._world.bourse
        if not trouble.lasts and number in bourse.waiting_faults():
            self.names[f"{trouble.name} (not all came up)"] = 1 + self.names.get(
                f"{trouble.name} (not all came up)", 0
            )
        bourse.clear_faults()
        if trouble.name == "account.block":
            bourse.unblock()
        if trouble.name == "asset.halt" and symbol is not None:
            bourse.admit(symbol)

    # ---- the machine -------------------------------------------------------------------------------------

    def _clock(self, where: str) -> tuple[Undo, str]:
        seconds = self._random.choice([3.0, 12.0, 12.0, 40.0, 40.0, 300.0]) * (
            1 if where == "forward" else -1
        )
        self._world.step_clock(seconds)
        return lambda: self._world.step_clock(0), f"{seconds:+.0f} s, and back after that time"

    def _fill_disk(self) -> tuple[Undo, str]:
        began = self._world.bots_clock()
        how = self._world.disk.fill()

        def empty() -> None:
            self._world.disk.empty()
            # The clock may have been stepped meanwhile: by the true one and by the bot's.
            self.blind.append((min(began, self._world.bots_clock()), max(began, self._world.bots_clock())))

        return empty, how

    def _hang_mail(self) -> tuple[Undo, str]:
        self._world.links.do(mail="hang")
        return lambda: void(self._world.links.do(mail="take")), "accepts and says nothing"

    def _read_only(self) -> tuple[Undo, str] | None:
        if not self._world.database_answers:
            return None
        self._world.server.run("SET GLOBAL read_only = 1;\n")
        return self._writable, "read_only = 1"

    def _writable(self) -> None:
        if self._world.database_answers:
            self._world.server.run("SET GLOBAL read_only = 0;\n")

    def _person_acts(self, act: str) -> tuple[Undo, str] | None:
        if not (self._world.exchange_answers and self._world.database_answers):
            return None
        with suppress(DemoProblem):
            undo = self._person.acts[act]()
            return None if undo is None else (undo, "")
        return None


def void(_: object) -> None:
    """For a call whose answer is of no interest."""


def wait_for(check: Callable[[], bool], seconds: float) -> bool:
    """Whether something came to be so in time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
