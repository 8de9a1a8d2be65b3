"""`./bot prove --replay`: recordings without faults, by which two versions of the bot can be compared."""

import json
from pathlib import Path

import pytest

from proof.simulation.__main__ import main
from proof.simulation.replay import replay, scaled

PRICES = (50.0, 49.9, 49.4, 48.8, 48.2, 48.9, 49.6, 50.4, 50.1, 49.5, 48.9, 48.4, 49.2, 50.0, 50.6)


def a_recording(folder: Path, prices: tuple[float, ...] = PRICES) -> Path:
    """Bars of a minute; each begins where the one before ended."""
    lines = ["timestamp,open,high,low,close,volume"]
    for number in range(4 * len(prices) - 1):
        start, end = prices[number % len(prices)], prices[(number + 1) % len(prices)]
        values = f"{start},{max(start, end) + 0.1},{min(start, end) - 0.1},{end},3"
        lines.append(f"2026-03-01T{number // 60:02}:{number % 60:02}:00Z,{values}")
    path = folder / "bars.csv"
    path.write_text("\n".join((*lines, "")))
    return path


def test_the_same_recording_gives_the_same_orders(tmp_path: Path) -> None:
    path = a_recording(tmp_path)
    first, second = replay(path), replay(path)
    assert first == second and first.violations == ()
    assert first.cycles >= 3 and len(first.orders) > 12
    purposes = {json.loads(line)["purpose"] for line in first.orders}
    assert purposes == {"base", "safety", "take_profit"}
    other = replay(a_recording(tmp_path, (*PRICES[:5], 48.1, *PRICES[5:])))
    assert other.digest != first.digest


def test_a_bar_gives_four_prices_and_the_first_is_the_simulations(tmp_path: Path) -> None:
    assert [f"{price:.1f}" for price in list(scaled(a_recording(tmp_path)))[:4]] == [
        "100.0",
        "100.2",  # it closes lower: up first
        "99.6",
        "99.8",
    ]


def test_orders_are_exported_to_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = a_recording(tmp_path)
    assert main(["--replay", str(path), "--export", str(tmp_path / "out"), "--jobs", "1"]) == 0
    exported = (tmp_path / "out" / "bars.csv.jsonl").read_text().splitlines()
    assert tuple(exported) == replay(path).orders
    assert f"{replay(path).digest}  {len(exported):>5} orders  bars.csv" in capsys.readouterr().out


def test_a_file_that_is_no_recording_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir\n")
    assert main(["--replay", str(path), "--jobs", "1"]) == 2
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 1 and told[0].startswith(f"prove: {path}: not recognized")
