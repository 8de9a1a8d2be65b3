"""main_app with quotes that cross nothing: what it costs, beside alpaca-py's own stream doing nothing."""

import time

from bench import processes_floors as floors
from bench.ground import Ground
from bench.processes_caretakers import PART, in_turn
from bench.processes_proc import Sample, percent_of_a_core, sample
from bench.processes_scene import Scene
from bench.row import Row, median
from demo.exchange import Exchange
from demo.processes import Child
from paper_exchange.pairs import all_pairs

ASSETS, QUOTES_PER_SECOND = 20, 50.0
MOST_PERCENT, MOST_MORE_MB = 2.0, 25.0
SETTLED_SECONDS = 3.0


def rows(ground: Ground, *, quick: bool) -> list[Row]:
    """The prices move less in a day than a trigger is away."""
    seconds = 2.0 if quick else 20.0
    market = ["--market", "walk", "--volatility", "0.0002"]
    market += ["--ticks-per-second", str(QUOTES_PER_SECOND / ASSETS)]
    with Scene(ground, "rest", ASSETS, market) as scene:
        scene.start(calm=not quick)
        (scene.folder / "beside").mkdir()
        beside = Exchange.start(market, scene.folder / "beside")  # an account has one quote stream
        code = floors.listener(beside.urls, list(all_pairs(ASSETS))[:ASSETS])
        listener = Child("listener", code[1:], scene.folder, scene.env)
        listener.start()
        try:
            scene.until(lambda: "quotes" in listener.output.read_text(), 30, "alpaca-py hears quotes")
            time.sleep(SETTLED_SECONDS)
            quotes = -scene.quotes()
            before = sample(scene.main_app.pid), sample(listener.pid)
            time.sleep(seconds)
            after = sample(scene.main_app.pid), sample(listener.pid)
            quotes += scene.quotes()
        finally:
            listener.stop()
            beside.stop()
        imported = in_turn({"import": floors.stream()}, scene, 1 if quick else 5)["import"]
    import_mb = median([run["mb"] for run in imported])
    about = f"{ASSETS} symbols, {quotes / seconds:.0f} quotes/s in all, {seconds:g} s"
    return _rows(before, after, import_mb, about, judged=not quick)


def _rows(
    before: tuple[Sample, Sample],
    after: tuple[Sample, Sample],
    import_mb: float,
    about: str,
    *,
    judged: bool,
) -> list[Row]:
    percent, floor_percent = (percent_of_a_core(a, b) for a, b in zip(before, after, strict=True))
    main_app = after[0]
    return [
        Row(
            part=PART,
            name="main_app at rest, cpu",
            unit="% of a core",
            ours=percent,
            floor=floor_percent,
            goal=f"< {MOST_PERCENT:g} %",
            met=percent < MOST_PERCENT if judged else None,
            about=f"{about}; floor: alpaca-py's raw stream with an empty handler, the same seconds",
        ),
        Row(
            part=PART,
            name="main_app at rest, memory",
            unit="MB",
            ours=main_app.mb,
            floor=import_mb,
            goal=f"< floor + {MOST_MORE_MB:g} MB",
            met=main_app.mb < import_mb + MOST_MORE_MB if judged else None,
            about=f"{about}, {main_app.threads} threads, {main_app.files} open files; floor: importing"
            " TradingClient and CryptoDataStream",
        ),
    ]
