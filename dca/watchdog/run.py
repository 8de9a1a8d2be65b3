"""One watchdog run: observe, decide, act, and report."""

import time
from dataclasses import replace
from datetime import timedelta

from dca.alerts import start_conditions
from dca.alerts.conditions import BY_WATCHDOG
from dca.caretakers.job import Job
from dca.core.errors import DatabaseUnavailable, ExchangeUnavailable, StartRefused
from dca.core.interfaces import Transaction
from dca.core.model import Mode
from dca.core.operations import Finding, IncidentKind
from dca.exchange import account_checks
from dca.runtime import database_owner
from dca.runtime.log_lines import fact, warn
from dca.runtime.script import BAD_SETTINGS
from dca.watchdog import rules
from dca.watchdog.process import Started, Supervisor
from dca.watchdog.rules import Decision, Memory, Observation, Verdict

CONFIRM_SECONDS = 15.0
"""How long main_app must look hung, at least the time between two heartbeats of a healthy one: after the
clock was set forward or the machine slept, the last heartbeat is old and means nothing."""

_RESUME = "Find the cause in logs/main_app.log, then ./bot start; ./bot resume allows buys again."


MAIN_APP = ("main app down", "main app ended", "main app hung", "main app left down", "settings")
KEYS = start_conditions.KEYS_REFUSED
ASKS_WITH_THE_KEYS = "order_manager"
KEYS_GOOD_FOR = timedelta(seconds=90)
"""Longest age of the order manager's answer; after one failed run the watchdog checks the keys itself."""


class Guard:
    """The result of a run. `findings`: what is wrong now, for the mail. `judged`: the names that were
    checked; those not among the findings are resolved."""

    def __init__(self, job: Job, supervisor: Supervisor, *, confirm_seconds: float = CONFIRM_SECONDS) -> None:
        self._job = job
        self._supervisor = supervisor
        self._confirm_seconds = confirm_seconds
        self._memory: Memory = supervisor.memory()
        self.findings: list[Finding] = []
        self.judged: list[str] = []

    def watch(self) -> None:
        """Make sure that main_app is running, within limits."""
        self._job.checked = 1
        before = self._memory
        seen, decision = self._decide()
        if decision.verdict is Verdict.END:
            if not self._end(decision):
                return
            self._remember(rules.died(self._memory, self._job.clock.now()))
            seen, decision = self._decide()
            if decision.verdict is Verdict.START:
                decision = replace(decision, why="the previous one hung")
        elif (ended := rules.was_ended(before, seen)) is not None:
            decision = replace(decision, why=f"it was ended: {ended}")
            self._was_ended(ended)
        elif self._memory.deaths[-1:] not in {(), before.deaths[-1:]}:
            self._died(decision)
        self._do(decision)

    def ask_for_keys(self) -> None:
        """Check whether the exchange accepts the keys. Others report an exchange that does not answer.

        The order manager uses the same keys every minute: if it was answered, this does not ask again.
        """
        if self._keys_were_good():
            self.judged.append(KEYS)
            return
        try:
            account_checks.read_account(self._job.broker, self._job.settings.exchange)
        except StartRefused as error:
            self._find(KEYS, "The exchange refuses the keys", str(error))
        except ExchangeUnavailable:
            return
        self.judged.append(KEYS)

    def _keys_were_good(self) -> bool:
        now = self._job.clock.now()
        try:
            at = self._job.store.transaction(lambda tx: tx.last_done_run_at(ASKS_WITH_THE_KEYS, now))
        except DatabaseUnavailable:
            return False
        return at is not None and now - at < KEYS_GOOD_FOR

    # ---- deciding ----------------------------------------------------------------------------------------

    def _decide(self) -> tuple[Observation, Decision]:
        """Observe until the decision is certain: a hang must last."""
        until = self._job.clock.monotonic() + self._confirm_seconds
        while True:
            seen = self._supervisor.look()
            memory = rules.observed(self._memory, seen)
            decision = rules.decide(seen, memory)
            if decision.verdict is not Verdict.END or self._job.clock.monotonic() >= until:
                self._remember(memory)
                return seen, decision
            time.sleep(min(0.5, self._confirm_seconds))

    def _remember(self, memory: Memory) -> None:
        if memory != self._memory and not self._job.dry_run:
            self._supervisor.remember(memory)
        self._memory = memory

    # ---- acting ------------------------------------------------------------------------------------------

    def _do(self, decision: Decision) -> None:
        if decision.verdict is Verdict.NOTHING:
            self.judged += MAIN_APP
        elif decision.verdict is Verdict.START:
            self._job.act("start main_app", "-", lambda: self._start(decision.why))
        elif decision.verdict is Verdict.LEAVE_DOWN:
            self._leave_down(decision.why)
        elif decision.verdict is Verdict.STAND_DOWN:
            self._job.notes.append(f"standing down: {decision.why}")

    def _end(self, decision: Decision) -> bool:
        """End a hung main_app; returns whether it is gone, so that a new one can be started."""
        if self._job.dry_run:
            self._job.act("end main_app and start it again", "-", lambda: None)
            return False
        ended = self._supervisor.end()
        if ended.why_not is not None:
            self._job.failed("main_app hangs and could not be ended", f"{decision.why}; {ended.why_not}")
            self._find(
                "main app hung",
                "main_app hangs and could not be ended",
                f"{decision.why[:1].upper()}{decision.why[1:]}. It could not be ended: {ended.why_not}. "
                "No second one is started while the lock is held. End it manually.",
            )
            return False
        self._job.changed += 1
        seconds = f"{ended.seconds:.1f}"
        warn_why = f"it hung: {decision.why}"
        fact("watchdog", "ended main_app", pid=ended.pid, by=ended.how, seconds=seconds, why=warn_why)
        self._find(
            "main app hung",
            "main_app hung and was ended",
            f"{decision.why[:1].upper()}{decision.why[1:]}. Pid {ended.pid} was ended ({ended.how}, after "
            f"{seconds} s). {self._last_words()} The next start settles open orders.",
        )
        return True

    def _start(self, why: str) -> bool:
        started = self._supervisor.start()
        if started.exit_code is not None:
            self._came_down(started)
            return False
        self.judged += MAIN_APP
        self._remember(rules.started(self._memory, self._job.clock.now()))
        if started.by_us:
            fact("watchdog", "started main_app", pid=started.pid, why=why)
        return started.by_us

    def _came_down(self, started: Started) -> None:
        """Report a start that exited immediately. Only a crash counts toward the crash loop; with invalid
        settings or an external signal, the start is retried every run."""
        said = started.last_words or "nothing"
        code = started.exit_code
        if started.asked_to_stop is not None:
            self._was_ended(started.asked_to_stop)
            return
        self._job.failed("main_app exited immediately", f"exit code {code}; last output: {said}")
        evidence = f"It was started and exited immediately with exit code {code}. Last output: {said}\n"
        again = "The watchdog retries it every minute"
        if code == BAD_SETTINGS:
            self._find("settings", "main_app cannot start: its settings", f"{evidence}{again}.")
            return
        evidence = f"{evidence}{again}, until it has crashed too often."
        self._find("main app down", "main_app is down and cannot start", evidence)
        self._remember(rules.died(self._memory, self._job.clock.now()))
        if self._memory.left_down_at is not None:
            self._do(Decision(verdict=Verdict.LEAVE_DOWN, why="it cannot start"))

    def _leave_down(self, why: str) -> None:
        """Record the crash loop and turn buys off, in case it is started manually before the cause is
        found."""
        self._job.notes.append(f"main_app is not restarted (crash loop): {why}")
        self._find(
            "main app left down",
            "main_app crashed repeatedly and is not restarted",
            f"{why[:1].upper()}{why[1:]}. It is no longer restarted, and buys are off. "
            f"{self._last_words()} {_RESUME}",
        )

        def work(tx: Transaction) -> bool:
            settings, now = self._job.settings, self._job.clock.now()
            us = database_owner.ours(settings.state_dir)
            if database_owner.refusal(tx.owner(), us, now, settings.database.name) is not None:
                return False  # another installation trades there, and well
            if tx.control().mode is not Mode.RUN:
                return False
            tx.set_mode(Mode.EXITS_ONLY, f"{BY_WATCHDOG}main_app not restarted, {why}")
            return True

        if self._job.dry_run:
            return
        try:
            if self._job.store.transaction(work):
                warn("watchdog", "main_app not restarted (crash loop), buys are off", why=why)
                self._job.changed += 1
        except DatabaseUnavailable as error:
            warn("watchdog", "buys could not be turned off; the next run tries again", why=str(error))

    # ---- reporting ---------------------------------------------------------------------------------------

    def _was_ended(self, why: str) -> None:
        """Report that main_app was asked to stop from outside; this does not count as a crash."""
        warn("watchdog", "main_app was ended", why=why)
        self._find(
            "main app ended",
            "main_app was ended from outside",
            f"It stopped cleanly; reason: {why}. The signal came from this machine: kill, a service "
            "manager, a reboot. It is started again and settles open orders. To keep it "
            "stopped for a while: ./bot stop --for 2h",
        )

    def _died(self, decision: Decision) -> None:
        words = self._last_words()
        number, limit = len(self._memory.deaths), rules.DEATHS
        again = "It is started again and settles open orders. " if decision.verdict is Verdict.START else ""
        warn("watchdog", "main_app had crashed", why=words)
        self._find(
            "main app down",
            "main_app was down",
            f"It was not running, although nobody had stopped it. {words} {again}"
            f"That was crash {number} within ten minutes; after {limit} it is not restarted.",
        )

    def _last_words(self) -> str:
        words = self._supervisor.last_words()
        return f"Its log says: {words}" if words else "Its log does not say why."

    def _find(self, name: str, subject: str, evidence: str) -> None:
        """Add a finding, replacing an earlier one of the same name."""
        self.findings = [each for each in self.findings if each.name != name]
        self.findings.append(Finding(name=name, kind=IncidentKind.HEALTH, subject=subject, evidence=evidence))
