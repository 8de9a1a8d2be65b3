"""The part `processes` of the bench, for real but short; and what its verdicts rest on."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import processes_caretakers as caretakers
from bench import processes_start, processes_week
from bench.ground import Ground
from bench.processes_caretakers import CARETAKERS, QUERY, REQUEST
from bench.processes_proc import Sample, percent_of_a_core, sample
from bench.processes_scene import Scene
from bench.row import Row
from launcher import server_packages
from launcher.output import SetUpProblem

MARIADB = pytest.mark.skipif(server_packages.found() is None, reason="MariaDB is not installed here")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Ground(tmp_path_factory.mktemp("ground")) as made:
        yield made


@pytest.mark.slow
@MARIADB
def test_caretakers_and_floors_run_to_their_end(ground: Ground) -> None:
    rows = caretakers.rows(ground, quick=True)
    named = {row.name: row for row in rows}
    assert len(named) == len(rows) == 3 * len(CARETAKERS) + 2
    for row in rows:
        assert row.met is None and row.floor is not None and row.floor > 0 and row.ours > 0
    memory = named["order_manager, peak memory"]
    assert memory.ratio is not None and memory.ratio < 0.8, (
        "alpaca-py as it comes brings pandas, ours does not"
    )


@MARIADB
def test_a_command_that_fails_is_no_measurement(ground: Ground) -> None:
    with Scene(ground, "failing", 1, ["--market", "still"]) as scene:
        with pytest.raises(SetUpProblem, match="three failed"):
            caretakers.in_turn({"three": [sys.executable, "-c", "raise SystemExit(3)"]}, scene, 1)
        (slept,) = caretakers.in_turn(
            {"slept": [sys.executable, "-c", "import time; time.sleep(0.2); bytearray(50_000_000)"]}, scene, 1
        )["slept"]
    assert slept["wall"] > 0.2 > slept["cpu"] and 50 < slept["mb"] < 90


@MARIADB
def test_from_kill_to_the_first_order(ground: Ground) -> None:
    (row,) = processes_start.rows(ground, quick=True)
    assert 0.2 < row.ours < processes_start.PATIENCE_SECONDS, "an interpreter and its imports take longer"
    assert row.floor is not None and row.floor > 0.2


def runs(milliseconds: float, mb: float) -> list[dict[str, float]]:
    return [{"wall": milliseconds / 1000, "cpu": milliseconds / 1000, "mb": mb, "exit": 0}] * 5


def verdicts(ours: float, mb: float) -> dict[str, bool | None]:
    watchdog = next(each for each in CARETAKERS if each.name == "watchdog")
    taken = {"watchdog": runs(ours, mb), QUERY: runs(63, 26), REQUEST: runs(455, 93)}
    return {row.name: row.met for row in caretakers._rows(watchdog, taken, 60, judged=True)}


def test_a_caretaker_is_judged_by_its_floor_and_its_memory() -> None:
    assert set(verdicts(99, 30).values()) == {True}
    assert verdicts(101, 31) == {
        "watchdog, wall": False,
        "watchdog, cpu": False,
        "watchdog, peak memory": False,
    }


def test_a_floor_that_scatters_judges_nobody_by_the_clock() -> None:
    watchdog = next(each for each in CARETAKERS if each.name == "watchdog")
    floor = runs(63, 26)[:3] + runs(200, 26)[:3]
    rows = caretakers._rows(watchdog, {"watchdog": runs(99, 26), QUERY: floor}, 60, judged=True)
    assert {row.name: row.met for row in rows}["watchdog, wall"] is None


def flat(*mb: float, threads: int = 5) -> list[bool | None]:
    samples = [Sample(at=float(at), cpu_seconds=0, mb=each, threads=5, files=9) for at, each in enumerate(mb)]
    last = Sample(at=99, cpu_seconds=0, mb=mb[-1], threads=threads, files=9)
    rows: list[Row] = processes_week._rows([*samples[:-1], last], "", judged=True)
    return [row.met for row in rows]


def test_what_grows_over_the_week_is_seen() -> None:
    assert flat(40, 45, 50, 50, 50.5, 50.9) == [True, True, True], "the first third warms up"
    assert flat(40, 45, 50, 50, 51.5, 53) == [False, True, True]
    assert flat(50, 50, 50, 50, 50, 50, threads=6) == [True, False, True]


def test_the_kernels_numbers(tmp_path: Path) -> None:
    before = sample(os.getpid())
    kept = bytearray(os.urandom(30_000_000))
    file = (tmp_path / "one").open("w")
    after = sample(os.getpid())
    file.close()
    assert after.mb - before.mb > 20 and len(kept) == 30_000_000
    assert after.files == before.files + 1
    assert percent_of_a_core(before, after) > 0
