"""Quotes at full rate, for real but short: that each is handled, and that a quiet one costs no statement."""

from pathlib import Path
from typing import Any

import msgpack
import pytest

from bench import quotes, quotes_wire
from bench.ground import Ground
from bench.quotes_rows import (
    PAIRS,
    PER_FRAME,
    Quiet,
    Samples,
    Taken,
    asset_rows,
    quiet_rows,
    speed_rows,
)
from launcher import server_packages

SHORT = quotes.Size(rounds=1, seconds=0.2, prepared=2000, quiet_seconds=0.5, counts=())


@pytest.mark.slow
@pytest.mark.skipif(server_packages.found() is None, reason="MariaDB is not installed here")
def test_main_app_hears_every_quote_at_full_rate_and_asks_nobody_about_the_quiet_ones(tmp_path: Path) -> None:
    with Ground(tmp_path) as ground:
        samples = quotes.measured(ground, SHORT)
    assert samples.reacted == [PAIRS], "after the flood each pair has to react to a quote that crosses"
    for per_frame in PER_FRAME:
        (ours,), (floor,) = samples.ours[per_frame], samples.floor[per_frame]
        assert ours.quotes > 0 and ours.cpu_seconds > 0 and floor.quotes > 0
    (quiet,) = samples.quiet
    assert quiet.quotes > 10_000
    assert quiet.requests == (0, 0)
    assert quiet.statements[1] < 100, "a refresh or two is all that such a span has room for"


def test_quotes_have_alpacas_shape_and_cross_nothing() -> None:
    symbols = ["A/USD", "B/USD", "C/USD"]
    pieces = list(quotes_wire.frames(quotes_wire.wandering(symbols, 1_700_000_000_000_000_123), 10, 8000))
    assert len(pieces) == 2
    messages = [each for piece in pieces for frame in unframed(piece) for each in frame]
    assert len(messages) == 8000
    assert list(messages[0]) == ["T", "S", "bp", "bs", "ap", "as", "t"]
    assert messages[0]["T"] == "q" and messages[0]["t"].to_unix_nano() == 1_700_000_000_000_000_123
    assert [each["S"] for each in messages[:4]] == [*symbols, "A/USD"]
    assert all(99 < each["bp"] < each["ap"] < 102 for each in messages)
    assert len({each["bp"] for each in messages}) > 100, "prices that move"
    assert quotes_wire.quote("A/USD", quotes_wire.CROSSING, 0)["ap"] < 99


def unframed(data: bytes) -> list[list[dict[str, Any]]]:
    """The messages of whole, unmasked binary frames below 64 KB (RFC 6455, 5.2)."""
    found, at = [], 0
    while at < len(data):
        assert data[at] == 0x82
        size, start = data[at + 1], at + 2
        if size == 126:
            size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        found.append(msgpack.unpackb(data[start : start + size]))
        at = start + size
    return found


def taken(per_second: float, cpu_us: float) -> Taken:
    return Taken(quotes=1000, seconds=1000 / per_second, cpu_seconds=cpu_us / 1000)


def samples_of(ours: float, floor: float, reacted: int = PAIRS) -> Samples:
    """Quotes a second; a quote's core time is what one core allows."""
    samples = Samples(reacted=[reacted])
    for per_frame in PER_FRAME:
        samples.ours[per_frame] = [taken(ours, 1e6 / ours)]
        samples.floor[per_frame] = [taken(floor, 1e6 / floor)]
    return samples


@pytest.mark.parametrize(("per_frame", "enough", "too_few"), [(1, 301.0, 299.0), (10, 201.0, 199.0)])
def test_the_verdict_on_speed(per_frame: int, enough: float, too_few: float) -> None:
    assert [row.met for row in speed_rows(samples_of(enough, 100), per_frame, judge=True)] == [True, True]
    assert [row.met for row in speed_rows(samples_of(too_few, 100), per_frame, judge=True)] == [False, False]
    assert [row.met for row in speed_rows(samples_of(enough, 100), per_frame, judge=False)] == [None, None]


def test_who_is_fast_and_deaf_has_not_won() -> None:
    rows = speed_rows(samples_of(1000, 100, reacted=PAIRS - 1), 1, judge=True)
    assert [row.met for row in rows] == [False, False] and f"{PAIRS - 1} of {PAIRS}" in rows[0].about


def test_what_main_app_does_anyway_is_not_counted_against_the_quotes() -> None:
    at_rest = Quiet(seconds=(10, 20), statements=(35, 71), requests=(0, 0), quotes=1_000_000)
    assert [(row.ours, row.met) for row in quiet_rows([at_rest], judge=True)] == [(0, True), (0, True)]


def test_a_statement_or_a_request_for_a_quote_in_a_thousand_is_seen() -> None:
    some = Quiet(seconds=(10, 10), statements=(35, 1035), requests=(3, 1003), quotes=1_000_000)
    assert [(row.ours, row.met) for row in quiet_rows([some], judge=True)] == [(0.001, False)] * 2


def test_assets_are_compared_with_ten() -> None:
    samples = Samples(by_pairs={500: [taken(1, 1.3)], 10: [taken(1, 1.0)], 1: [taken(1, 0.9)]})
    rows = asset_rows(samples, judge=True)
    assert [(row.name.rpartition(", ")[2], row.met) for row in rows] == [
        ("1 asset", True),
        ("500 assets", False),
    ]
    assert rows[1].ratio == pytest.approx(1.3)
