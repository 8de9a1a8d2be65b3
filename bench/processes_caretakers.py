"""A run of each caretaker with nothing to do, as a whole process, beside the least program of its kind."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import processes_floors as floors
from bench.ground import Ground
from bench.processes_scene import Scene
from bench.row import Row, median, percentile
from launcher.output import ROOT, SetUpProblem

PART = "processes"
QUERY, REQUEST, LEAN = "query", "query and request", "query and lean request"
LIGHT, HEAVY = 100 / 63, 250 / 455
"""The goals in milliseconds over the floors that were measured on the machine that they were set for."""
SCATTER = 1.6
"""Samples of the floor whose quarters lie further apart say nothing of anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caretaker:
    """What it is measured by: its floor, how many times that it may take, and MB."""

    name: str
    floor: str
    times: float
    most_mb: float


CARETAKERS = (
    Caretaker(name="cooldown_manager", floor=QUERY, times=LIGHT, most_mb=30),
    Caretaker(name="watchdog", floor=QUERY, times=LIGHT, most_mb=30),
    Caretaker(name="order_manager", floor=REQUEST, times=HEAVY, most_mb=45),
    Caretaker(name="consistency_checker", floor=REQUEST, times=HEAVY, most_mb=45),
)

Runs = Mapping[str, Sequence[Mapping[str, float]]]


def rows(ground: Ground, *, quick: bool) -> list[Row]:
    assets, rounds = (5, 2) if quick else (60, 25)
    with Scene(ground, "caretakers", assets, ["--market", "still"]) as scene:
        scene.start(calm=not quick)
        runs = in_turn(_commands(scene), scene, rounds)
    found = [row for each in CARETAKERS for row in _rows(each, runs, assets, judged=not quick)]
    return [*found, *_limits(runs)]


def _commands(scene: Scene) -> dict[str, list[str]]:
    return {
        QUERY: floors.query(scene.database, scene.assets),
        REQUEST: floors.query_and_request(scene.database, scene.assets, scene.exchange.urls),
        LEAN: floors.query_and_lean_request(scene.database, scene.assets, scene.exchange.urls),
        **{each.name: floors.script(f"{each.name}.py") for each in CARETAKERS},
    }


def in_turn(commands: Mapping[str, list[str]], scene: Scene, rounds: int) -> Runs:
    """Run all commands one after the other, that often; the first round warms caches and does not count.

    Raises:
        SetUpProblem: one of them failed.
    """
    each = {
        name: {"argv": argv, "env": scene.env, "cwd": str(scene.folder)} for name, argv in commands.items()
    }
    wish = json.dumps({"rounds": rounds + 1, "commands": each})
    small = [sys.executable, "-I", "-S", str(ROOT / "bench" / "processes_spawn.py")]
    said = subprocess.run(small, input=wish, capture_output=True, text=True)
    if said.returncode != 0:
        raise SetUpProblem(f"bench: processes_spawn.py failed: {said.stderr.strip()[-300:]}")
    taken: dict[str, list[dict[str, float]]] = json.loads(said.stdout)
    failed = {name for name, runs in taken.items() if any(run["exit"] for run in runs)}
    if failed:
        raise SetUpProblem(f"bench: {', '.join(sorted(failed))} failed; see {scene.bot / 'logs'}")
    return {name: runs[1:] for name, runs in taken.items()}


def _rows(caretaker: Caretaker, runs: Runs, assets: int, *, judged: bool) -> list[Row]:
    ours, floor = runs[caretaker.name], runs[caretaker.floor]
    sees = judged and not _scatters([run["wall"] for run in floor])
    about = f"{len(ours)} runs in turn, {assets} assets, nothing to do; floor: {_words(caretaker.floor)}"
    times = f"<= {caretaker.times:.2f} x floor"
    return [
        _row(caretaker, "wall", 1000, "ms", ours, floor, goal=times, met=sees, about=about),
        _row(caretaker, "cpu", 1000, "ms", ours, floor, goal=times, met=judged, about=about),
        _peak(caretaker, ours, floor, judged=judged, about=about),
    ]


def _limits(runs: Runs) -> list[Row]:
    """How far it is to what cannot be had without giving up a library."""
    ours, floor = runs["order_manager"], runs[LEAN]
    about = "floor: python, mysql.connector, a SELECT; a GET through alpaca-py's RESTClient alone"
    return [
        Row(
            part=PART,
            name=f"order_manager and the limit, {what}",
            unit=unit,
            ours=median([run[key] * factor for run in ours]),
            floor=median([run[key] * factor for run in floor]),
            goal="(as it is)",
            about=about,
        )
        for what, key, factor, unit in (("cpu", "cpu", 1000, "ms"), ("peak memory", "mb", 1, "MB"))
    ]


def _row(
    caretaker: Caretaker,
    what: str,
    factor: float,
    unit: str,
    ours: Sequence[Mapping[str, float]],
    floor: Sequence[Mapping[str, float]],
    *,
    goal: str,
    met: bool,
    about: str,
) -> Row:
    mine, least = [run[what] * factor for run in ours], [run[what] * factor for run in floor]
    return Row(
        part=PART,
        name=f"{caretaker.name}, {what}",
        unit=unit,
        ours=median(mine),
        ours_p99=percentile(mine, 99),
        floor=median(least),
        floor_p99=percentile(least, 99),
        goal=goal,
        met=median(mine) <= caretaker.times * median(least) if met else None,
        about=about,
    )


def _peak(
    caretaker: Caretaker,
    ours: Sequence[Mapping[str, float]],
    floor: Sequence[Mapping[str, float]],
    *,
    judged: bool,
    about: str,
) -> Row:
    peak = median([run["mb"] for run in ours])
    return Row(
        part=PART,
        name=f"{caretaker.name}, peak memory",
        unit="MB",
        ours=peak,
        floor=median([run["mb"] for run in floor]),
        goal=f"<= {caretaker.most_mb:g} MB",
        met=peak <= caretaker.most_mb if judged else None,
        about=about,
    )


def _scatters(samples: Sequence[float]) -> bool:
    return percentile(samples, 75) > SCATTER * percentile(samples, 25)


def _words(floor: str) -> str:
    return f"python, mysql.connector, a SELECT{'' if floor == QUERY else '; alpaca-py as it comes, a GET'}"
