"""A run: everything up, faults for a while, everything healed, both books compared."""

import signal
import time
from collections.abc import Iterable, Sequence
from random import Random

from demo.audit import Violation
from demo.problems import DemoProblem
from demo.rows import export
from proof.chaos import checks, kinds, processes
from proof.chaos.acts import Acts, wait_for
from proof.chaos.books import Ledgers
from proof.chaos.nemesis import Nemesis
from proof.chaos.person import Person
from proof.chaos.report import Figures, Terminal
from proof.chaos.settle import Settling
from proof.chaos.watch import Watch
from proof.chaos.world import ChaosProblem, World

TICK_SECONDS = 0.05
CHECK_SECONDS = 5.0
UP_SECONDS = 60.0
EXIT_SECONDS = 30.0
MOST_TOLD = 40
SMOKE_SHARE, SMOKE_LEAST_SECONDS, SMOKE_LONGER_SECONDS = 0.65, 4.0, 25.0


class Run:
    """One run, from start to verdict."""

    def __init__(
        self,
        seconds: float,
        seed: int,
        terminal: Terminal,
        *,
        keep: bool = False,
        only: Sequence[str] = (),
    ) -> None:
        self._only = only
        self._keep = keep
        self._is_clean = False
        self._seconds = seconds
        self._seed = seed
        self._terminal = terminal
        self._began = time.monotonic()
        self._pace = kinds.pace_for(seconds)
        random = Random(seed)  # noqa: S311 - moments of faults, no secret
        self._world = World(seed, self._pace)
        self._watch = Watch(self._world)
        self._person = Person(self._world, random)
        self._acts = Acts(self._world, self._watch, self._person, random)
        log = self._world.folder / "nemesis.log"
        self._nemesis = Nemesis(self._acts, random, self._pace, log, only)
        self._ledgers = Ledgers(self._world)
        self._figures = Figures()
        self._violations: dict[str, Violation] = {}
        self._due: dict[str, float] = {}

    def go(self) -> int:
        """Run it; returns the exit code: 0 nothing found, 1 something found."""
        try:
            self._world.open()
            self._introduce()
            if not wait_for(self._trades, UP_SECONDS):
                raise ChaosProblem(f"main_app does not come up; see {self._world.folder}")
            self._suffer()
            self._heal()
            self._settle()
            return self._conclude()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            self._person.stop()
            self._world.close()
            if self._is_clean and not self._keep:
                self._world.remove()

    def _introduce(self) -> None:
        length = f"{self._seconds / 60:g} minutes" if self._seconds > 90 else f"{self._seconds:g} s"
        self._terminal.line(
            f"chaos: {length} of faults, seed {self._seed}, {len(self._world.symbols)} assets"
        )
        self._terminal.line(
            f"  everything of it is in {self._world.folder} (nemesis.log: what was done when)"
        )

    def _trades(self) -> bool:
        self._tick()
        return self._watch.trading_pid() is not None

    def _tick(self) -> None:
        """What goes on at all times: caretakers, the person, watching."""
        for pid in self._world.cron.tick():
            self._world.disk.was_started(pid)
        self._watch.tick(disturbed=self._nemesis.disturbs, left_down=self._person.is_left_down)
        pauses = "person.pauses" in self._nemesis.going()
        if self._world.database_answers:
            self._person.tick(pauses=pauses)

    # ---- faults ------------------------------------------------------------------------------------------

    def _suffer(self) -> None:
        began = time.monotonic()
        end = began + self._seconds
        if self._pace.smoke:  # its seconds are those of all: setting up and settling take theirs
            end = max(self._began + self._seconds * SMOKE_SHARE, began + SMOKE_LEAST_SECONDS)
        self._nemesis.note("main_app trades; the faults begin")
        while time.monotonic() < end or self._is_slow(end):
            self._tick()
            self._nemesis.tick()
            self._check_now_and_then()
            self._tell_now_and_then(began)
            time.sleep(TICK_SECONDS)
        self._figures.seconds = time.monotonic() - began
        self._figures.trading_part = self._watch.looks_trading / self._watch.looks

    def _is_slow(self, end: float) -> bool:
        """A smoke on a machine that is busy goes on until it has seen what it must."""
        if not self._pace.smoke or time.monotonic() > end + SMOKE_LONGER_SECONDS:
            return False
        return bool(self._lacking())

    def _lacking(self) -> list[str]:
        """What should have happened and has not."""
        return [] if self._only else kinds.missing(self._nemesis.counts, self._seconds, self._pace)

    def _check_now_and_then(self) -> None:
        """Class S, when both sides can be read."""
        both = self._world.database_answers and self._world.exchange_answers
        if not both or not self._is_due("check", 2.0 if self._pace.smoke else CHECK_SECONDS):
            return
        self._check()

    def _check(self) -> None:
        try:
            self._found(checks.live(self._ledgers, self._person.sold_by_hand))
            self._figures.checks += 1
        except DemoProblem:
            self._world.forget_tables()
        self._person.tables = self._ledgers.tables

    def _found(self, violations: Iterable[Violation]) -> None:
        """Tell each violation once, at the time when it is first seen."""
        for each in violations:
            if str(each) in self._violations:
                continue
            self._violations[str(each)] = each
            self._nemesis.note(str(each))
            if len(self._violations) <= MOST_TOLD:
                self._terminal.violation(each)

    def _tell_now_and_then(self, began: float) -> None:
        if not self._is_due("tell", 5.0 if self._pace.smoke else 30.0):
            return
        sums = kinds.totals(self._nemesis.counts)
        orders = self._ledgers.tables.get("dca_orders", ())
        cycles = self._ledgers.tables.get("dca_cycles", ())
        complete = sum(row["status"] == "complete" for row in cycles)
        trading = "trading" if self._watch.trading_pid() is not None else "not trading"
        figures = ", ".join(f"{name} {count}" for name, count in sums.items())
        self._terminal.line(
            f"{time.monotonic() - began:6.0f} s  {sum(self._nemesis.counts.values())} acts ({figures})  "
            f"{complete} cycles, {len(orders)} orders  {trading}  {len(self._violations)} violations"
        )

    def _is_due(self, name: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(name, 0):
            return False
        self._due[name] = now + seconds
        return True

    # ---- the end -----------------------------------------------------------------------------------------

    def _heal(self) -> None:
        """No faults any more, and whatever a person can put right is put right."""
        self._nemesis.stop()
        self._world.bourse.clear_faults()
        for link in kinds.LINKS:
            self._world.links.do(link=link, mode="pass")
        self._person.put_right()
        self._nemesis.note("healed")

    def _settle(self) -> None:
        began = time.monotonic()
        settling = Settling(self._world, self._ledgers, self._person, self._tick)
        self._figures.again = settling.trade_again(self._pace.settle_seconds)
        for symbol, seconds in self._figures.again.items():
            if seconds is None:
                self._found([self._stuck(symbol)])
        for order in settling.come_to_rest():
            text = f"{order}, a minute after everything was healed"
            self._found([Violation(number="I20", text=text)])
        self._figures.rest_seconds = time.monotonic() - began
        self._nemesis.note("at rest")
        self._leave()
        self._nemesis.note("main_app has left")

    def _stuck(self, symbol: str) -> Violation:
        """I21, with what is known of why."""
        asset = next(row for row in self._ledgers.tables["dca_assets"] if row["asset_symbol"] == symbol)
        cycle = next(
            (
                row
                for row in self._ledgers.tables["dca_cycles"]
                if row["asset_id"] == asset["id"] and row["live_asset_id"] is not None
            ),
            {},
        )
        names = ("id", "status", "quantity", "problem", "next_buy_at", "next_sell_at", "cooldown_started_at")
        known = ", ".join(f"{name} {cycle.get(name)}" for name in names)
        text = f"{symbol} did not trade again; lock {asset['lock_reason']}; cycle: {known}"
        return Violation(number="I21", text=text)

    def _leave(self) -> None:
        """main_app is asked to end, as ./bot stop does it."""
        self._world.cron.stop()
        pid = self._watch.pid()
        if pid is None:
            self._found([Violation(number="exit", text="main_app was not running at the end")])
            return
        self._watch.seen.add(pid)
        processes.send(pid, signal.SIGTERM)
        if not wait_for(lambda: self._has_left(pid), EXIT_SECONDS):
            self._found([Violation(number="exit", text=f"main_app (pid {pid}) did not leave")])
        elif self._watch.codes.get(pid) != 0:
            code = self._watch.codes.get(pid)
            self._found([Violation(number="exit", text=f"main_app (pid {pid}) left with {code}")])

    def _has_left(self, pid: int) -> bool:
        self._watch.tick(disturbed=False, left_down=False)
        return pid in self._watch.codes

    def _conclude(self) -> int:
        self._ledgers.read()
        books = self._ledgers.whole()
        self._found(checks.at_rest(books, self._world.clock_steps, self._acts.blind))
        self._found(checks.crashes(self._world.folder))
        self._found(checks.leaks(self._world.folder, self._world.secrets))
        self._nemesis.note("audited")
        self._found(Violation(number="E11", text=text) for text in self._lacking())
        self._fill_in()
        self._terminal.figures(self._figures)
        found = len(self._violations)
        if found or self._keep:
            export(books, self._world.folder / "books")
            self._terminal.line(f"both books, logs and nemesis.log: {self._world.folder}")
        if found:
            self._terminal.line(f"again: ./bot chaos {self._again()} --seed {self._seed}")
        self._terminal.line(f"chaos: {found} violations", "bold red" if found else "bold green")
        self._is_clean = not found
        return 1 if found else 0

    def _again(self) -> str:
        """The argument that says how long."""
        minutes = self._seconds / 60
        length = f"--minutes {minutes:g}" if minutes >= 1 else f"--seconds {self._seconds:g}"
        return f"{length} --only {','.join(self._only)}" if self._only else length

    def _fill_in(self) -> None:
        figures, tables = self._figures, self._ledgers.tables
        figures.counts = self._nemesis.counts
        figures.passed_over = self._nemesis.passed_over
        figures.troubles = self._acts.names
        figures.duties = self._person.done
        figures.runs = self._world.cron.runs
        figures.recoveries = self._watch.recoveries
        figures.cycles = sum(row["status"] == "complete" for row in tables["dca_cycles"])
        figures.errors = sum(row["status"] == "error" for row in tables["dca_cycles"])
        figures.orders = len(tables["dca_orders"])
        figures.executions = sum(entry["kind"] == "execution" for entry in self._ledgers.journal)
        figures.requests = sum(entry["kind"] == "request" for entry in self._ledgers.journal)
