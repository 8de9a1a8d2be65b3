"""From kill -9 to the first order: main_app dies with orders in flight, a price falls meanwhile, and one run
of the watchdog puts all right."""

import subprocess
import time
from collections.abc import Callable
from decimal import Decimal

from bench import processes_floors as floors
from bench.ground import Ground
from bench.processes_caretakers import PART
from bench.processes_scene import Scene
from bench.row import Row, median, percentile
from dca.watchdog.rules import DEATHS
from launcher.output import SetUpProblem
from paper_exchange.pairs import all_pairs

GOAL_SECONDS = 5.0
FALL_PERCENT = Decimal(-6)
"""The first safety order of a scene is five percent down."""
PATIENCE_SECONDS = 60.0


def rows(ground: Ground, *, quick: bool) -> list[Row]:
    assets, live, rounds = (4, 1, 1) if quick else (60, 10, DEATHS - 1)
    symbols = list(all_pairs(assets + 1))
    ours, floor = [], []
    with Scene(ground, "start", assets, ["--market", "still"], pairs=assets + 1) as scene:
        scene.start(calm=not quick)
        scene.fault("fill.none")
        for symbol in symbols[:live]:
            _until_ordered(scene, symbol, lambda symbol=symbol: _fall(scene, symbol))  # type: ignore[misc]
        _watchdog(scene)  # has seen it alive
        scene.wait_for_started()
        for symbol in symbols[live : live + rounds]:
            scene.kill_main_app()
            # First the floor, while nobody has the account's one quote stream.
            floor.append(_until_ordered(scene, symbols[assets], lambda: _least(scene, symbols[assets])))
            _fall(scene, symbol)
            ours.append(_until_ordered(scene, symbol, lambda: _watchdog(scene)))
    return [_row(ours, floor, assets, live, judged=not quick)]


def _fall(scene: Scene, symbol: str) -> None:
    scene.exchange.push(symbol, FALL_PERCENT)


def _watchdog(scene: Scene) -> None:
    """Start it; it ends by itself, and is waited for by the next round."""
    _start(scene, floors.script("watchdog.py"))


def _least(scene: Scene, symbol: str) -> None:
    _start(scene, floors.first_order(scene.database, scene.assets, scene.exchange.urls, symbol))


def _start(scene: Scene, command: list[str]) -> None:
    with (scene.folder / "started.out").open("ab") as output:
        scene.started.append(
            subprocess.Popen(
                command,
                cwd=scene.folder,
                env=scene.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        )


def _until_ordered(scene: Scene, symbol: str, begin: Callable[[], None]) -> float:
    """Seconds from `begin` until the exchange has an order of a pair.

    Raises:
        SetUpProblem: none came.
    """
    scene.exchange.journal()  # what was before does not count
    began = time.monotonic()
    begin()
    while time.monotonic() - began < PATIENCE_SECONDS:
        for entry in scene.exchange.journal():
            if entry["kind"] == "order" and entry["order"]["symbol"] == symbol:
                seconds = time.monotonic() - began
                scene.wait_for_started()
                return seconds
        time.sleep(0.01)
    raise SetUpProblem(f"bench: no order of {symbol} within {PATIENCE_SECONDS:.0f} s; see {scene.folder}")


def _row(ours: list[float], floor: list[float], assets: int, live: int, *, judged: bool) -> Row:
    return Row(
        part=PART,
        name="kill -9 and a watchdog run, until the first order",
        unit="s",
        ours=median(ours),
        ours_p99=percentile(ours, 99),
        floor=median(floor),
        floor_p99=percentile(floor, 99),
        goal=f"< {GOAL_SECONDS:g} s",
        met=percentile(ours, 99) < GOAL_SECONDS if judged else None,
        about=f"{len(ours)} times, {assets} assets, {live} orders in flight or more; floor: alpaca-py as it"
        " comes, a SELECT, a GET, its quote stream, a POST at the first quote",
    )
