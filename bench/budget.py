"""Requests a minute to the exchange, of main_app and all caretakers, counted in virtual time.

The simulation's machinery (proof/simulation) runs the bot's own code against the paper exchange's engine
without any fault; cron's times are crontab.example's, settings and rows those of .env.example and README.md.
A count, not a time: it is the same on every machine.
"""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from rich import box
from rich.table import Table

from bench.budget_count import Minute, least_left, median_count, minutes, summed_up, worst
from bench.budget_gate import DATA, LIMIT, MAIN_APP, Request
from bench.budget_scenes import (
    HOUR_SECONDS,
    PAIRS,
    START_SECONDS,
    Scene,
    busy_hour,
    calm,
    jump,
    resting,
    stale,
)
from bench.ground import Ground
from bench.row import Row, median
from bench.table import WIDTH
from dca.core.model import CycleStatus
from dca.exchange.request_budget import Kind
from dca.operator.session import Screen

MOST = 100
"""Requests a minute: half of what Alpaca takes of an account."""


def rows(ground: Ground, *, quick: bool) -> list[Row]:  # noqa: ARG001 - nothing of it is needed
    """No database and no socket: the part's own world."""
    busy = busy_hour(300.0 if quick else HOUR_SECONDS)
    found = [
        *_busy_rows(busy),
        _start_row(busy),
        _scene_row("calm", calm()),
        _scene_row("60 buys rest", resting()),
        _scene_row("60 buys go stale at once", stale()),
        _jump_row("60 safety orders at once", jump(-2)),
        _jump_row("60 sales at once", jump(2)),
    ]
    return [replace(each, met=None) for each in found] if quick else found


def _busy_rows(scene: Scene) -> list[Row]:
    found = scene.minutes()
    peak = worst(found)
    refused = scene.gate.refused
    vital = sum(refused[MAIN_APP, kind] for kind in (Kind.EXIT, Kind.LOOK_UP))
    left = {kind: least_left(found, kind) for kind in Kind}
    how = f"{_traffic(scene)}; by whom: {summed_up(_counted(scene))}"
    return [
        _row(
            "busy hour",
            median_count(found),
            float(len(peak.requests)),
            floor=_floor(found),
            goal=f"< {MOST} in the worst",
            met=len(peak.requests) < MOST,
            about=f"median / worst minute; {how}",
        ),
        _row(
            "room for exits, tightest minute",
            float(left[Kind.EXIT]),
            goal="> 0, none refused",
            met=left[Kind.EXIT] > 0 and not vital,
            about=f"sells and cancels that main_app could still have sent; refused so far: {vital}",
        ),
        _row(
            "room for look-ups, tightest minute",
            float(left[Kind.LOOK_UP]),
            goal="> 0, none refused",
            met=left[Kind.LOOK_UP] > 0 and not vital,
            about=f"room for buys: {left[Kind.ORDINARY]}; buys and other reading refused: "
            f"{refused[MAIN_APP, Kind.ORDINARY]}; caretakers' requests refused: {_caretakers_refused(scene)}",
        ),
    ]


def _start_row(scene: Scene) -> Row:
    found = minutes(scene.gate.requests, 0.0, START_SECONDS)
    peak = worst(found)
    return _row(
        "the minutes after a start",
        float(len(peak.requests)),
        floor=(peak.orders, peak.orders),
        goal=f"< {MOST}",
        met=len(peak.requests) < MOST,
        about=f"60 base orders, then the first sales; the worst minute: {summed_up(peak.requests)}",
    )


def _scene_row(name: str, scene: Scene) -> Row:
    found = scene.minutes()
    peak = worst(found)
    refused = sum(scene.gate.refused.values())
    return _row(
        name,
        median_count(found),
        float(len(peak.requests)),
        floor=_floor(found),
        goal=f"< {MOST} in the worst",
        met=len(peak.requests) < MOST,
        about=f"median / worst minute; refused by the pace: {refused}; worst: {summed_up(peak.requests)}",
    )


def _jump_row(name: str, scene: Scene) -> Row:
    """What has to go out at once may take more than usual, but nothing is to wait that ends an order."""
    peak = worst(scene.minutes())
    refused = {kind: scene.gate.refused[MAIN_APP, kind] for kind in Kind}
    rooms = ", ".join(f"{kind.value}: {peak.left_for(kind)} left, {refused[kind]} refused" for kind in Kind)
    return _row(
        name,
        float(len(peak.requests)),
        floor=(peak.orders, peak.orders),
        goal=f"no exit refused, < {LIMIT}",
        met=not refused[Kind.EXIT] and len(peak.requests) < LIMIT,
        about=f"the worst minute: {summed_up(peak.requests)}; then {rooms}",
    )


def _floor(found: list[Minute]) -> tuple[float, float] | None:
    """Median and most of a program that sends the same orders and cancels, believes all that the stream
    says and never looks. None where it would have sent nothing."""
    counts = [minute.orders for minute in found]
    return (median(counts), float(max(counts))) if any(counts) else None


def _row(
    name: str,
    ours: float,
    most: float | None = None,
    *,
    goal: str,
    met: bool | None,
    about: str,
    floor: tuple[float, float] | None = None,
) -> Row:
    return Row(
        part="budget",
        name=name,
        unit="requests/min",
        ours=ours,
        ours_p99=most,
        floor=None if floor is None else floor[0],
        floor_p99=None if floor is None or most is None else floor[1],
        goal=goal,
        met=met,
        about=about,
    )


def _counted(scene: Scene) -> list[Request]:
    return [each for each in scene.gate.requests if scene.begins < each.seconds <= scene.ends]


def _caretakers_refused(scene: Scene) -> int:
    return sum(count for (script, _), count in scene.gate.refused.items() if script != MAIN_APP)


def _traffic(scene: Scene) -> str:
    tables = scene.world.tables()
    cycles = sum(each.status is CycleStatus.COMPLETE for each in tables.cycles.values())
    bought = sum((each.bought_cost for each in tables.cycles.values()), Decimal(0))
    return f"{PAIRS} pairs, {len(tables.orders)} orders, {cycles} cycles completed, ${bought:,.0f} bought"


def who_spends_what(scene: Scene) -> Table:
    """Requests by script, call and kind of request budget: in all of the scene, and in its worst minute."""
    everything = Counter((each.script, each.call, each.kind) for each in _counted(scene))
    peak = Counter((each.script, each.call, each.kind) for each in worst(scene.minutes()).requests)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("script", "asks for", "kind"):
        table.add_column(name)
    for name in ("an hour", "a minute", "worst minute"):
        table.add_column(name, justify="right")
    hours = (scene.ends - scene.begins) / HOUR_SECONDS
    for (script, call, kind), count in everything.most_common():
        of = "data host" if call == DATA else kind.value
        hourly = count / hours
        table.add_row(script, call, of, f"{hourly:.0f}", f"{hourly / 60:.1f}", str(peak[script, call, kind]))
    return table


if __name__ == "__main__":  # python -m bench.budget: the busy hour's table
    Screen(width=WIDTH, highlight=False).print(who_spends_what(busy_hour()))
