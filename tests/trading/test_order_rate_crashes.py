"""F54: no fall of the market trips the order-rate fuse, with default settings: neither one that is made up, a
price each second, nor the worst hours of recordings.

DCA_RECORDINGS names a folder with bars of a minute or five (docs/recordings.md); without it only what is made
up is played.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from dca.core.model import CycleStatus, Mode
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import DatabaseSettings
from dca.trading.trader import Trader
from dca.trading.worker import limits_of
from recordings.recording import Recording
from recordings.values import Bar
from tests.good_settings import parsed
from tests.rig import LIMITS, Rig

FOLDER = os.environ.get("DCA_RECORDINGS")
FILES = sorted(Path(FOLDER).glob("*min_*.csv.gz")) if FOLDER else []
LADDERS = {
    "the README's": {"max_safety_orders": 5, "safety_order_deviation": "1.5", "take_profit_percent": 1},
    "a long one": {"max_safety_orders": 40, "safety_order_deviation": "0.4", "take_profit_percent": "0.7"},
}
AROUND = timedelta(hours=3)


@pytest.fixture
def rig(database: DatabaseSettings) -> Iterator[Rig]:
    """The fuse as it is by default."""
    rig = Rig(database)
    limits = replace(LIMITS, fuse=limits_of(parsed()).fuse)
    rig.trader = Trader(rig.store, rig.exchange, rig.desk, rig.clock, Troubles(), limits)
    yield rig
    rig.close()


def use(rig: Rig, ladder: str) -> None:
    values = ", ".join(f"{name} = {value}" for name, value in LADDERS[ladder].items())
    rig.store.run_script(
        f"UPDATE dca_assets SET {values}, base_order_amount = 20, safety_order_amount = 20,"
        " cooldown_period = 300, buy_order_price_deviation_percent = 2;\n"
    )
    rig.look()


def play(rig: Rig, prices: Iterator[float], seconds: float = 1.0) -> int:
    """Each order is filled at once. Returns the most orders within a minute."""
    placed_at: list[float] = []
    most = 0
    for price in prices:
        before = len(rig.exchange.posts)
        rig.quote(f"{price:.6f}")
        while len(rig.exchange.posts) > before:
            before = len(rig.exchange.posts)
            name = rig.exchange.posts[-1]
            limit = rig.exchange.orders[name].limit_price
            rig.trader.books.book(rig.exchange.fill(name, price=str(limit or f"{price:.6f}")))
            placed_at.append(rig.clock.monotonic())
            most = max(most, sum(at > placed_at[-1] - 60 for at in placed_at[-80:]))
        rig.clock.pass_seconds(seconds)
    control = rig.store.transaction(lambda tx: tx.control())
    assert (control.mode, control.mode_reason) == (Mode.RUN, None)
    cycle = rig.cycle()
    assert (cycle.refusals, cycle.problem) == (0, None)
    assert rig.violations() == []
    return most


def fall(percent: float, seconds: int) -> Iterator[float]:
    """From 100 down by so much, a step each second."""
    return (100 * (1 - percent / 100 * second / seconds) for second in range(seconds + 1))


def swings(percent: float, seconds: int, times: int) -> Iterator[float]:
    """Up and down, each within so many seconds."""
    for _ in range(times):
        yield from (100 * (1 - percent / 100 * step / seconds) for step in range(seconds))
        yield from (100 * (1 - percent / 100 * (1 - step / seconds)) for step in range(seconds))


@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("percent", [15.0, 60.0])
def test_prices_that_fall_a_second_apart(rig: Rig, ladder: str, percent: float) -> None:
    use(rig, ladder)
    assert play(rig, fall(percent, 30)) > 4, "it is about more than the limit of a minute"


def test_a_fall_within_a_few_seconds_and_back_again_and_again(rig: Rig) -> None:
    """Each swing fills the whole ladder, sells it, and ends the cooldown by the price."""
    use(rig, "the README's")
    assert play(rig, swings(9.0, 8, 30)) > 10


def test_a_wild_walk(rig: Rig) -> None:
    """Steps of a percent each second for half an hour."""
    use(rig, "a long one")
    walk = random.Random(7)

    def prices() -> Iterator[float]:
        price = 100.0
        for _ in range(1800):
            price *= 1 + walk.gauss(0, 0.01)
            yield price

    assert play(rig, prices()) > 4
    assert rig.cycle().status in CycleStatus


@pytest.mark.skipif(not FILES, reason="DCA_RECORDINGS names no folder with bars")
@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.partition(".")[0])
def test_the_worst_hour_of_a_recording(rig: Rig, path: Path, ladder: str) -> None:
    use(rig, ladder)
    bars = worst_hours(path)
    first = float(bars[0].open)
    spacing = min(after.at - before.at for before, after in pairwise(bars)).total_seconds()
    most = play(rig, (price / first * 100 for price in each_second(bars, int(spacing))))
    print(f"{path.name}: {len(rig.exchange.posts)} orders, at most {most} within a minute")
    assert rig.exchange.posts


def worst_hours(path: Path) -> list[Bar]:
    """The bars around the deepest fall of an hour."""
    bars = [moment for moment in Recording(path).moments() if isinstance(moment, Bar)]
    closes = [float(bar.close) for bar in bars]
    back = max(1, int(3600 / (bars[1].at - bars[0].at).total_seconds()))
    deepest = min(range(back, len(bars)), key=lambda at: closes[at] / closes[at - back])
    moment = bars[deepest].at
    return [bar for bar in bars if moment - AROUND <= bar.at <= moment + AROUND]


def each_second(bars: list[Bar], seconds: int) -> Iterator[float]:
    """Through each bar's low and high, along straight lines."""
    for bar in bars:
        rising = bar.close >= bar.open
        turns = (bar.low, bar.high) if rising else (bar.high, bar.low)
        corners = [float(each) for each in (bar.open, *turns, bar.close)]
        steps = max(1, seconds // 3)
        for start, end in pairwise(corners):
            yield from (start + (end - start) * step / steps for step in range(1, steps + 1))
