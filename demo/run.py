"""A run of the demo: start everything, watch, help chance along, come to rest, audit."""

import random
import re
import signal
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from demo import director, waiting
from demo.audit import Violation, audit, verdict
from demo.director import Progress, Push, Wishes
from demo.options import Options
from demo.problems import DemoProblem, Interrupted
from demo.report import Terminal
from demo.rows import Books, Row, export
from demo.stage import Plan, Stage, ended
from demo.strategy_values import (
    ROUND_TRIP_FEES_PERCENT,
    Values,
    measure,
    speed_for,
    values_for,
)
from demo.view import Fact, View
from launcher.output import ROOT
from recordings.values import BadFile

POLL_SECONDS = 0.2
CAP_SECONDS = 160.0
PATIENCE_SECONDS = 55.0
SHORT_PATIENCE_SECONDS = 10.0
PUSH_EVERY_SECONDS = 1.3
ORDER_MANAGER_EVERY_SECONDS = 5.0
SILENCE_SECONDS = 15.0
REST_SECONDS = 60.0
LEAST_REST_SECONDS = 1.0
PROGRESS_SECONDS = 15.0
RESTING_SECONDS = 5.0
MOST_DEATHS = 8

_EARLY_END = re.compile(r' cycle (\S+) c(\d+) cooldown ended early .*why="ask (\S+) fell')


def plan(options: Options) -> Plan:
    """Values and speed of a run.

    Raises:
        DemoProblem: the recording cannot be read.
    """
    if options.replay is None:
        return Plan(values=Values(), speed=None, lasts_seconds=None)
    try:
        recording = measure(options.replay)
    except BadFile as error:
        raise DemoProblem(str(error)) from error
    speed = options.speed or speed_for(recording)
    return Plan(
        values=values_for(recording, speed),
        speed=speed,
        lasts_seconds=recording.seconds / speed,
        recording=recording.what,
    )


def wishes(options: Options) -> Wishes:
    """What has to be seen. A replay is taken as it comes, and the short run is only a proof of life."""
    assets = min(2, len(options.assets))
    if options.replay is not None or options.short:
        return Wishes(cycles=options.cycles, assets=min(assets, options.cycles))
    return Wishes(
        cycles=options.cycles,
        assets=assets,
        many_safety_orders=True,
        cooldown_run_out=True,
        cooldown_ended_early=True,
    )


class Run:
    """One demo, from start to verdict."""

    def __init__(self, options: Options, terminal: Terminal) -> None:
        self._options = options
        self._terminal = terminal
        self._wishes = wishes(options)
        self._stage = Stage(options, plan(options))
        self._view = View()
        self._most_seconds = min(CAP_SECONDS, self._stage.plan.lasts_seconds or CAP_SECONDS)
        self._random = random.Random(options.seed)  # noqa: S311 - moments to kill at, no secret
        self._started = time.monotonic()
        self._kills = self._moments_to_kill()
        self._deaths = 0
        self._due: dict[str, float] = {}
        self._held: set[str] = set()
        self._latest: dict[str, list[Row]] = {}
        self._observations: list[Row] = []
        self._observed: dict[object, object] = {}
        self._last_fact = time.monotonic()

    def go(self) -> int:
        """Run it; returns the exit code: 0 no violation, 1 some or cut short, 130 interrupted."""
        try:
            self._stage.open()
            self._introduce()
            missing = self._watch()
            left = self._come_to_rest()
            return self._conclude(missing, left)
        except Interrupted:
            _ignore_signals()
            self._terminal.line()
            self._terminal.line("stopped; ending what was started ...")
            self._stage.close()
            self._tell_what_is_left()
            return 130
        finally:
            _ignore_signals()
            self._stage.close()

    def _tell_what_is_left(self) -> None:
        stage = self._stage
        until = "kept, as wished" if self._options.keep_database else "until the next demo"
        self._terminal.line("every process has ended. Left behind:")
        self._terminal.line(f"  logs      {_short(stage.folder)}/")
        self._terminal.line(f"  database  {stage.database} in {_short(stage.server.directory)}/ ({until})")
        self._terminal.line("  export    none: there is one at the end only")

    def _introduce(self) -> None:
        stage = self._stage
        what = f"demo: the real bot (main_app.py, pid {stage.main_app.pid}) trades on a local paper exchange"
        self._terminal.line(what)
        facts = {
            "assets": ", ".join(self._options.assets),
            "prices": self._prices(),
            **({"recording": stage.plan.recording} if stage.plan.recording else {}),
            **_strategy(stage.plan.values),
            "ends": waiting.goal(self._wishes, self._most_seconds, replay=self._options.replay is not None),
            "logs": f"{_short(stage.folder)}/ (the bot's: logs/main_app.log)",
            "database": f"{stage.database} in {_short(stage.server.directory)}/",
            "times": "UTC",
        }
        for name, text in facts.items():
            self._terminal.line(f"  {name.strip():<12}{text}", indent=14)
        self._terminal.line()

    def _prices(self) -> str:
        if self._options.replay is None:
            return f"made up: a random walk, seed {self._options.seed}"
        return f"{self._options.replay.name}, {self._stage.plan.speed:,.0f} market seconds a second"

    def _watch(self) -> list[str]:
        """Until everything has been shown or the time is up; returns what is missing then."""
        while True:
            self._look()
            self._supervise()
            shown = director.progress(self._latest)
            missing = shown.missing(self._wishes)
            if self._kills:
                missing.append("a kill -9 of main_app")
            if not missing:
                return []
            state = self._stage.exchange.state()
            if self._is_over(state):
                return missing
            self._help(shown, state)
            self._tell_how_far(shown, missing, state)
            time.sleep(POLL_SECONDS)

    def _is_over(self, state: Row) -> bool:
        replay = state.get("replay")
        if replay and replay.get("done"):
            self._market("the recording has ended")
            return True
        if time.monotonic() - self._started > CAP_SECONDS:
            self._market(f"time is up: {CAP_SECONDS:.0f} s")
            return True
        return False

    def _look(self) -> None:
        """Read both sides, the journal first, and tell what is new."""
        entries = self._stage.exchange.journal()
        self._latest = {**self._stage.tables.read(), "cooldown_ends": self._cooldown_ends()}
        for row in self._latest["dca_orders"]:
            if self._observed.get(row["id"]) != row["version"]:
                self._observed[row["id"]] = row["version"]
                names = ("id", "client_order_id", "state", "filled_qty", "version")
                self._observations.append({name: row[name] for name in names})
        for fact in self._view.news(entries, self._latest):
            self._terminal.fact(fact)
            self._last_fact = time.monotonic()

    def _supervise(self) -> None:
        """What cron and the watchdog do: caretakers at their times, and main_app up again if it died."""
        stage = self._stage
        if not stage.exchange.child.runs:
            raise DemoProblem(f"the exchange died ({ended(stage.exchange.child.code)})")
        if self._is_due("order_manager", ORDER_MANAGER_EVERY_SECONDS) and not stage.order_manager.runs:
            stage.order_manager.start()
        if self._kills and time.monotonic() - self._started > self._kills[0]:
            self._kills.pop(0)
            self._market(f"kill -9 of main_app (pid {stage.main_app.pid})", "bot")
            stage.main_app.signal(signal.SIGKILL)
            stage.main_app.stop()
        if not stage.main_app.runs:
            self._start_again()

    def _start_again(self) -> None:
        code = self._stage.main_app.code
        self._deaths += 1
        if code == 2 or self._deaths > MOST_DEATHS:
            raise DemoProblem(
                f"main_app does not stay up ({ended(code)}); see {self._stage.main_app.output} and "
                f"{self._stage.bot_log}"
            )
        time.sleep(1)
        self._stage.main_app.start()
        text = f"main_app died ({ended(code)}), started again (pid {self._stage.main_app.pid})"
        self._market(text, "bot")

    def _help(self, shown: Progress, state: Row) -> None:
        """Move a price when chance alone has not shown something for a while; and say so."""
        self._let_go()
        patience = SHORT_PATIENCE_SECONDS if self._options.short else PATIENCE_SECONDS
        if self._options.replay is not None or time.monotonic() - self._started < patience:
            return
        if not self._is_due("push", PUSH_EVERY_SECONDS):
            return
        push = director.next_push(self._wishes, shown, self._latest, state["quotes"])
        if push is not None:
            self._push(push)

    def _push(self, push: Push) -> None:
        if push.held:
            if push.symbol not in self._held:
                self._held.add(push.symbol)
                self._stage.exchange.hold(push.symbol, held=True)
                self._market(f"held still {push.why}", push.symbol)
            return
        self._stage.exchange.push(push.symbol, push.change_percent)
        where = "down" if push.change_percent < 0 else "up"
        self._market(f"pushed {where} {abs(push.change_percent)} % {push.why}", push.symbol)

    def _let_go(self) -> None:
        """Prices that were held for a cooldown move again when it is over."""
        cooling = {cycle["asset_id"] for cycle in self._latest["dca_cycles"] if cycle["status"] == "cooldown"}
        for asset in self._latest["dca_assets"]:
            symbol = str(asset["asset_symbol"])
            if symbol in self._held and asset["id"] not in cooling:
                self._held.discard(symbol)
                self._stage.exchange.hold(symbol, held=False)

    def _tell_how_far(self, shown: Progress, missing: Sequence[str], state: Row) -> None:
        """Every so often what is waited for; by asset as well when nothing has happened for a while."""
        seconds = time.monotonic() - self._started
        if seconds < PROGRESS_SECONDS or not self._is_due("progress", PROGRESS_SECONDS):
            return
        far = waiting.how_far(shown, self._wishes, missing, seconds, self._most_seconds)
        self._market(far, "demo")
        if time.monotonic() - self._last_fact > SILENCE_SECONDS:
            for symbol, text in waiting.of_assets(self._latest, state["quotes"], datetime.now(UTC)):
                self._terminal.fact(Fact(at=datetime.now(UTC), symbol=symbol, text=f"waiting: {text}"))

    def _market(self, text: str, who: str = "market") -> None:
        what = f"market: {text}" if "/" in who else text
        self._terminal.fact(Fact(at=datetime.now(UTC), symbol=who, text=what, kind="market"))

    def _is_due(self, name: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(name, 0):
            return False
        self._due[name] = now + seconds
        return True

    def _moments_to_kill(self) -> list[float]:
        """Seconds after the start, one in each stretch of nine."""
        return [8 + 9 * number + self._random.uniform(0, 8) for number in range(self._options.kills)]

    def _come_to_rest(self) -> int | None:
        """No new buys, nothing in flight, main_app asked to leave; returns how it left."""
        stage = self._stage
        stage.tables.disable_assets()
        stage.exchange.hold(None, held=True)
        self._market("enough seen: no new buys, and what is in flight is waited for", "demo")
        began = time.monotonic()
        self._due["resting"] = began + RESTING_SECONDS
        while (seconds := time.monotonic() - began) < REST_SECONDS:
            self._look()
            self._supervise()
            waits_for = waiting.unsettled(self._latest["dca_orders"])
            if not waits_for and seconds > LEAST_REST_SECONDS:
                break
            if waits_for and self._is_due("resting", RESTING_SECONDS):
                self._market(_resting(waits_for, REST_SECONDS - seconds), "demo")
            time.sleep(POLL_SECONDS)
        stage.order_manager.stop(10)
        return stage.main_app.finish(20)

    def _conclude(self, missing: Sequence[str], left: int | None) -> int:
        """Audit, and print table, violations and verdict."""
        self._look()
        self._terminal.line()
        books = self._books()
        violations = audit(books) + self._leaks()
        if left != 0:
            violations.append(Violation(number="exit", text=f"main_app left with {ended(left)}"))
        if self._options.export is not None:
            export(books, self._options.export)
            self._terminal.line(f"exported to {self._options.export}")
        self._terminal.cycles(books)
        for words in waiting.unsettled(books.orders):
            self._terminal.line(f"not waited for any longer: {words}")
        if missing:
            self._terminal.line(f"not seen in this time: {'; '.join(missing)}")
        for violation in violations:
            self._terminal.line(str(violation), "bad")
        self._terminal.line(verdict(books, violations), "bad" if violations else "good")
        cut_short = bool(missing) and self._options.replay is None
        return 1 if violations or cut_short else 0

    def _books(self) -> Books:
        return Books(
            journal=self._stage.exchange.whole_journal(),
            assets=self._latest["dca_assets"],
            cycles=self._latest["dca_cycles"],
            orders=self._latest["dca_orders"],
            attempts=self._latest["dca_order_attempts"],
            control=self._latest["dca_control"],
            cooldown_ends=self._latest["cooldown_ends"],
            observations=self._observations,
            state=self._stage.exchange.state(),
        )

    def _cooldown_ends(self) -> list[Row]:
        """When the bot said that a fallen price ended a cooldown, and at which ask."""
        try:
            log = self._stage.bot_log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        found = (_EARLY_END.search(line) for line in log.splitlines())
        return [{"symbol": m[1], "cycle_id": int(m[2]), "ask": m[3]} for m in found if m is not None]

    def _leaks(self) -> list[Violation]:
        """I24: no secret in anything that was written down, but for the file that is made of them."""
        files = [each for each in self._stage.folder.rglob("*") if each.is_file() and each.name != "env"]
        files = [each for each in files if each.name != "exchange.out"]  # its first line hands out the keys
        return [
            Violation(number="I24", text=f"a secret is in {file}")
            for file in files
            if any(secret.encode() in file.read_bytes() for secret in self._stage.secrets)
        ]


def _resting(waits_for: Iterable[str], seconds_left: float) -> str:
    return f"waits for {' and '.join(waits_for)}; {seconds_left:.0f} s more at most"


def _strategy(values: Values) -> dict[str, str]:
    """The asset's values in words, line by line."""
    lines = {
        "strategy": f"base order ${values.base_order_amount}, up to {values.max_safety_orders} safety orders "
        f"of ${values.safety_order_amount}, each {values.safety_order_deviation} % down",
        " ": f"take-profit {values.take_profit_percent} %, cooldown {values.cooldown_period} s "
        f"or until {values.buy_order_price_deviation_percent} % below the sale",
    }
    if values.take_profit_percent < ROUND_TRIP_FEES_PERCENT:
        fees = f"fees are {ROUND_TRIP_FEES_PERCENT} % there and back: these prices move too little to win"
        lines["  "] = f"({fees})"
    return lines


def _short(path: object) -> str:
    return str(path).removeprefix(f"{ROOT}/")


def _ignore_signals() -> None:
    """The way out is not to be interrupted; it is short, and bounded."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
