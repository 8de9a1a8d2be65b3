"""The lines of ./bot bench, the table and the JSON that are made of them, and its exit code."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench import table
from bench.__main__ import PARTS, exit_code, main
from bench.row import Row, median, percentile

ROOT = Path(__file__).resolve().parent.parent.parent
ROW = Row(part="orders", name="tick to order, quiet", unit="ms", ours=1.4, floor=1.0, goal="at most 1.3 x")


def shown(*rows: Row) -> list[str]:
    out = io.StringIO()
    table.show(rows, {"cores": 2}, Console(file=out, width=100, highlight=False))
    return out.getvalue().splitlines()


def test_the_median_is_the_middle_and_the_percentile_a_sample() -> None:
    assert median([3, 1, 2]) == 2 and median([1, 2, 3, 10]) == 2.5
    samples = [float(each) for each in range(1, 201)]
    assert percentile(samples, 99) == 198 and percentile(samples, 100) == 200 and percentile(samples, 0) == 1
    assert percentile([7.0], 99) == 7


@pytest.mark.parametrize("percent", [-1, 101])
def test_what_cannot_be_summed_up_is_refused(percent: float) -> None:
    with pytest.raises(ValueError):
        median([])
    with pytest.raises(ValueError):
        percentile([], 50)
    with pytest.raises(ValueError):
        percentile([1.0], percent)


def test_the_ratio_is_ours_over_the_floor() -> None:
    assert ROW.ratio == pytest.approx(1.4)
    assert replace(ROW, floor=None).ratio is None and replace(ROW, floor=0.0).ratio is None


def test_a_line_shows_what_was_measured_and_the_verdict() -> None:
    lines = shown(replace(ROW, ours_p99=2.5, floor_p99=12.34, met=False, about="500 orders"))
    line = next(each for each in lines if "tick to order, quiet, ms" in each)
    assert line.split("ms")[1].split() == [
        "1.40",
        "/",
        "2.50",
        "1",
        "/",
        "12.3",
        "1.40",
        *["at", "most", "1.3", "x", "no"],
    ]
    assert "orders, tick to order, quiet: 500 orders" in lines
    assert lines[-1].rstrip() == "machine: cores 2"


def test_nothing_is_wider_than_a_hundred_columns_or_lost() -> None:
    name, goal = "quotes in " + "and more " * 12 + "last", "at most so many " * 5 + "done"
    lines = shown(
        replace(ROW, name=name, goal=goal, ours=1234567.0, ours_p99=7654321.0, floor=1e9, about="x " * 90)
    )
    assert max(map(len, lines)) <= 100
    text = " ".join(lines)
    for part in ("last", "done", "1,234,567", "7,654,321", "1,000,000,000"):
        assert part in text


def test_words_in_brackets_are_not_taken_for_colors() -> None:
    assert any("[red]" in line for line in shown(replace(ROW, name="a [red] name")))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (60.0, "60"), (0.0312, "0.031"), (4.456, "4.46"), (18.05, "18.1"), (246123.4, "246,123")],
)
def test_figures_have_the_digits_that_matter(value: float, text: str) -> None:
    assert table.figure(value) == text


def test_the_json_has_every_line_with_its_ratio_and_the_machine(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    table.write_json([ROW, replace(ROW, floor=None, met=True)], {"cores": 2}, file)
    document = json.loads(file.read_text())
    assert document["machine"] == {"cores": 2}
    first, second = document["rows"]
    assert first["ratio"] == pytest.approx(1.4) and first["met"] is None and first["unit"] == "ms"
    assert second["ratio"] is None and second["met"] is True


def test_one_goal_that_is_not_met_makes_the_run_fail() -> None:
    met, missed = replace(ROW, met=True), replace(ROW, met=False)
    assert exit_code([met, ROW]) == 0, "what is not judged does no harm"
    assert exit_code([met, missed, met]) == 1
    assert exit_code([]) == 1, "nothing measured is nothing shown"


def test_an_unknown_part_is_a_matter_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["quotes", "no-such-part"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "no-such-part" in said and all(name in said for name in PARTS)


def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--json", str(tmp_path / "no-such-folder" / "bench.json")])
    assert ended.value.code == 2 and "cannot be written" in capsys.readouterr().err


def test_help_needs_no_server() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "bench", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 0 and "--json" in said.stdout and "--quick" in said.stdout
