"""Years in the tables: what a million cycles and five million orders make slower, which should be nothing.

Two databases on one server have the same live rows; one has a past (history_fill.py). Statements, caretakers
and commands are run on both in turn, so that a slow moment of the machine meets both. The server is as the
demo starts it, with a buffer pool of 64 MB: a hundredth of what the past takes.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import requests

from bench import history_fill, history_present
from bench.ground import Ground
from bench.history_life import Life, in_turn
from bench.row import Row, median, percentile
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from demo.exchange import Exchange
from demo.processes import Child
from launcher.output import ROOT, SetUpProblem
from paper_exchange.pairs import all_pairs
from paper_exchange.values import Pair

PART = "history"
MOST = 1.2
GOAL = f"<= {MOST} x empty"
_TRIES = 4
_TABLES = "dca_cycles, dca_orders, dca_order_attempts, job_runs, mails, incidents, operator_actions"
_ANALYZE = f"ANALYZE TABLE {_TABLES};\n"
"""The server does so by itself, some time after many rows have changed."""
_ASSETS = 60
_EMPTY, _YEARS = "empty", "years"

_CARETAKERS = ("cooldown_manager", "watchdog", "order_manager", "consistency_checker")
_COMMANDS = {
    "status": ["status"],
    "why": ["why", "BTC/USD"],
    "orders": ["orders", "--last", "20"],
    "cycles": ["cycles", "BTC/USD"],
}
_READS_ALL = {"profit --by month": ["profit", "--by", "month"]}
"""Shown, not judged: it adds up all there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """`lives`: cycles from buy to sale that are timed; `runs` of each process."""

    cycles: int
    lives: int
    runs: int


_QUICK = Size(cycles=20_000, lives=4, runs=1)
_USUAL = Size(cycles=100_000, lives=150, runs=9)
_FULL = Size(cycles=1_000_000, lives=300, runs=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One of the two: a database, an exchange that has what the ledger says, and settings for the bot."""

    name: str
    database: DatabaseSettings
    exchange: Exchange
    env: dict[str, str]


@dataclass(slots=True, kw_only=True)
class Samples:
    """Seconds: first of the empty database, then of the one with the past."""

    size: Size
    fill_seconds: float = 0
    megabytes: float = 0
    statements: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    processes: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)


def rows(ground: Ground, *, quick: bool) -> list[Row]:
    """Raises:
    SetUpProblem, DemoProblem: something does not start.
    """
    size = _QUICK if quick else _FULL if ground.full else _USUAL
    return list(_rows(measured(ground, size), judged=not quick))


def measured(ground: Ground, size: Size) -> Samples:
    """Build both databases; run processes, then statements, on both in turn."""
    samples = Samples(size=size)
    pairs = list(all_pairs(_ASSETS).values())[:_ASSETS]
    folder = ground.folder / "history"
    folder.mkdir()
    with ExitStack() as stack:
        homes = [_home(ground, name, folder, stack) for name in (_EMPTY, _YEARS)]
        stores = [stack.enter_context(Store(home.database)) for home in homes]
        for store in stores:
            history_present.add_assets(store, pairs)
        began = time.monotonic()
        _fill(ground, homes[1].database, size.cycles, pairs)
        samples.fill_seconds = time.monotonic() - began
        samples.megabytes = _megabytes(ground, homes[1].database)
        for home, store in zip(homes, stores, strict=True):
            for symbol, qty in history_present.begin(store, pairs).items():
                _deposit(home.exchange, symbol, str(qty))
            ground.server.run(_ANALYZE, home.database.name)
            main_app = Child(f"main_app-{home.name}", [str(ROOT / "main_app.py")], folder, home.env)
            stack.callback(main_app.stop, 20)
            main_app.start()
            _until_it_trades(home)
        samples.processes = _processes(homes, folder, size.runs)
    with Store(homes[0].database) as empty, Store(homes[1].database) as years:
        samples.statements = _statements(empty, years, size)
    return samples


def _statements(empty: Store, years: Store, size: Size) -> dict[str, tuple[list[float], list[float]]]:
    """Of forty statements one is always the worst: if one is too slow, all are timed again, a few times over.
    Chance goes away with more samples."""
    lives = (Life(empty), Life(years))
    taken: dict[str, tuple[list[float], list[float]]] = {}
    for _ in range(_TRIES):
        in_turn(lives, _ASSETS, size.lives)
        first, second = (life.watch.samples for life in lives)
        taken = {name: (first[name], second[name]) for name in first}
        if _ratio(taken[_worst_of(taken)[0]]) <= MOST:
            break
    return taken


def _home(ground: Ground, name: str, folder: Path, stack: ExitStack) -> Home:
    own = folder / name
    own.mkdir()
    options = ["--market", "still", "--pairs", str(_ASSETS), "--rate-limit", "0"]
    exchange = Exchange.start(options, own)
    stack.callback(exchange.stop)
    database = ground.database(f"history_{name}")
    return Home(name=name, database=database, exchange=exchange, env=ground.bot_env(database, exchange.urls))


def _fill(ground: Ground, database: DatabaseSettings, cycles: int, pairs: Sequence[Pair]) -> None:
    """With what is safe slackened for as long as it takes: nothing is lost if this is cut short."""
    slack = ("innodb_flush_log_at_trx_commit = 0", f"innodb_buffer_pool_size = {1 << 30}")
    tight = ("innodb_flush_log_at_trx_commit = 1", f"innodb_buffer_pool_size = {64 << 20}")
    past = history_fill.Past(cycles=cycles)
    ground.server.run("".join(f"SET GLOBAL {each};\n" for each in slack))
    session = "SET time_zone = '+00:00', unique_checks = 0, foreign_key_checks = 0;\n"
    for statement in history_fill.statements(past, [pair.symbol for pair in pairs]):
        ground.server.run(f"{session}{statement};\n", database.name)
    ground.server.run("".join(f"SET GLOBAL {each};\n" for each in tight))


def _megabytes(ground: Ground, database: DatabaseSettings) -> float:
    said = ground.server.run(
        "SELECT SUM(data_length + index_length) / 1048576 FROM information_schema.tables"
        " WHERE table_schema = DATABASE();\n",
        database.name,
    )
    return float(said)


def _deposit(exchange: Exchange, symbol: str, qty: str) -> None:
    """What the ledger says that the account has."""
    answer = requests.post(
        f"{exchange.urls['admin']}/positions", json={"symbol": symbol, "qty": qty}, timeout=10
    )
    if not answer.ok:
        raise SetUpProblem(f"bench: the exchange took no deposit of {symbol}: {answer.text[:200]}")


def _until_it_trades(home: Home, seconds: float = 60) -> None:
    beat = Path(home.env["DCA_ENV_FILE"]).parent / "state" / "main_app.heartbeat.json"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if beat.exists() and json.loads(beat.read_text() or "{}").get("last_settle_at"):
            return
        time.sleep(0.2)
    raise SetUpProblem(f"bench: main_app does not trade after {seconds:.0f} s; see {beat.parent.parent}")


# ---- whole processes ---------------------------------------------------------------------------------------


def _processes(homes: Sequence[Home], folder: Path, runs: int) -> dict[str, tuple[list[float], list[float]]]:
    """Each caretaker and command on both in turn; the first round warms caches and does not count.

    Raises:
        SetUpProblem: one of them failed.
    """
    commands = {name: [str(ROOT / f"{name}.py")] for name in _CARETAKERS}
    for name, words in {**_COMMANDS, **_READS_ALL}.items():
        commands[name] = ["-m", "dca.operator", *words]
    each = {
        f"{name}|{home.name}": {"argv": [sys.executable, *argv], "env": home.env, "cwd": str(ROOT)}
        for name, argv in commands.items()
        for home in homes
    }
    wish = json.dumps({"rounds": runs + 1, "commands": each})
    small = [sys.executable, "-I", "-S", str(ROOT / "bench" / "processes_spawn.py")]
    said = subprocess.run(small, input=wish, capture_output=True, text=True)
    if said.returncode != 0:
        raise SetUpProblem(f"bench: processes_spawn.py failed: {said.stderr.strip()[-300:]}")
    taken: dict[str, list[dict[str, float]]] = json.loads(said.stdout)
    failed = sorted(name for name, found in taken.items() if any(run["exit"] for run in found[1:]))
    if failed:
        raise SetUpProblem(f"bench: {', '.join(failed)} failed; see {folder.parent}")
    walls = {name: [run["wall"] for run in found[1:]] for name, found in taken.items()}
    return {name: (walls[f"{name}|{_EMPTY}"], walls[f"{name}|{_YEARS}"]) for name in commands}


# ---- rows --------------------------------------------------------------------------------------------------


def _rows(samples: Samples, *, judged: bool) -> Iterator[Row]:
    size = samples.size
    past = f"{size.cycles:,} cycles, {size.cycles * history_fill.ORDERS_PER_CYCLE:,} orders"
    yield _worst(samples.statements, past, judged=judged)
    for name in ("claim, committed", "book, committed", "sell out, committed"):
        yield _row(name, samples.statements[name], f"a transaction; {past}", judged=judged)
    for name in (*_CARETAKERS, *_COMMANDS):
        yield _row(name, samples.processes[name], f"a whole process; {past}", judged=judged)
    made = f"filled in {samples.fill_seconds:.0f} s, {samples.megabytes:,.0f} MB"
    for name in _READS_ALL:
        about = f"reads all completed cycles, by design; {past}; {made}"
        yield _row(name, samples.processes[name], about, judged=False, goal="-")


def _worst(
    statements: Mapping[str, tuple[Sequence[float], Sequence[float]]], past: str, *, judged: bool
) -> Row:
    name, second, *others = _worst_of(statements)
    about = (
        f"{name}, of {2 + len(others)} statements the one with the highest ratio (then {second}:"
        f" {_ratio(statements[second]):.2f}); {len(statements[name][0])} samples of each; {past}"
    )
    return _row("worst hot statement", statements[name], about, judged=judged)


def _worst_of(statements: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> list[str]:
    """The names of single statements, the one with the highest ratio first."""
    single = [name for name in statements if not name.endswith("committed")]
    return sorted(single, key=lambda name: -_ratio(statements[name]))


def _ratio(both: tuple[Sequence[float], Sequence[float]]) -> float:
    return median(both[1]) / median(both[0])


def _row(
    name: str, both: tuple[Sequence[float], Sequence[float]], about: str, *, judged: bool, goal: str = GOAL
) -> Row:
    empty, years = ([1000 * each for each in samples] for samples in both)
    return Row(
        part=PART,
        name=name,
        unit="ms",
        ours=median(years),
        ours_p99=percentile(years, 99),
        floor=median(empty),
        floor_p99=percentile(empty, 99),
        goal=goal,
        met=_ratio(both) <= MOST if judged else None,
        about=about,
    )
