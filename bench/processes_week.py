"""A week in minutes: a market so fast that main_app handles as many cycles, and sampled all the while."""

import time

from bench.ground import Ground
from bench.processes_caretakers import PART
from bench.processes_proc import Sample, sample
from bench.processes_scene import Scene
from bench.row import Row, median

CYCLES_A_WEEK = 60 * 7
"""Of sixty quiet pairs: a cycle a day each."""
QUOTES_PER_SECOND = 50
"""Of sixty quiet pairs, all together."""
MOST_GROWTH_MB = 1.0
_TICKS_PER_SECOND = 25
_HOUR = 3600


def rows(ground: Ground, *, quick: bool) -> list[Row]:
    assets, seconds, pause = (5, 6.0, 0.5) if quick else (60, 600.0, 2.0)
    market = ["--market", "walk", "--volatility", "0.2", "--ticks-per-second", str(_TICKS_PER_SECOND)]
    with Scene(ground, "week", assets, market, deviation="0.3", profit="0.6", cooldown="5") as scene:
        scene.main_app.start()
        scene.until(lambda: scene.count(_CYCLES) >= 1, 60, "a cycle is complete")
        samples, quotes = [], -scene.quotes()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            samples.append(sample(scene.main_app.pid))
            time.sleep(pause)
        quotes += scene.quotes()
        cycles, orders = scene.count(_CYCLES), scene.count(_ORDERS)
    about = (
        f"{seconds:g} s, {assets} assets: {cycles} cycles and {orders} orders (at {CYCLES_A_WEEK} cycles a"
        f" week {cycles / CYCLES_A_WEEK:.1f} weeks), {quotes:,} quotes (at {QUOTES_PER_SECOND}/s"
        f" {quotes / QUOTES_PER_SECOND / _HOUR:.1f} hours)"
    )
    return _rows(samples, about, judged=not quick)


_CYCLES = "SELECT COUNT(*) FROM dca_cycles WHERE status = 'complete';\n"
_ORDERS = "SELECT COUNT(*) FROM dca_orders;\n"


def _rows(samples: list[Sample], about: str, *, judged: bool) -> list[Row]:
    third = max(1, len(samples) // 3)
    second, last = samples[third : 2 * third] or samples, samples[-third:]
    growth = median([each.mb for each in last]) - median([each.mb for each in second])
    found = [
        Row(
            part=PART,
            name="a week: memory in the last third",
            unit="MB",
            ours=median([each.mb for each in last]),
            floor=median([each.mb for each in second]),
            goal=f"<= second third + {MOST_GROWTH_MB:g} MB",
            met=growth <= MOST_GROWTH_MB if judged else None,
            about=about,
        )
    ]
    for name, values in (
        ("threads", [float(each.threads) for each in samples]),
        ("open files", [float(each.files) for each in samples]),
    ):
        last_most, second_most = max(values[-third:]), max(values[third : 2 * third] or values)
        found.append(
            Row(
                part=PART,
                name=f"a week: most {name} in the last third",
                unit="",
                ours=last_most,
                floor=second_most,
                goal="<= second third",
                met=last_most <= second_most if judged else None,
                about="the same run",
            )
        )
    return found
