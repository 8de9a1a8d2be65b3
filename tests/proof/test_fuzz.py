"""./bot fuzz: two thousand hostile inputs with every test run; and that the fuzzer finds what is there."""

import io
import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from rich.console import Console

from dca.core.model import Quote, Snapshot
from dca.runtime.settings import DatabaseSettings
from proof.fuzz import acting, junk, runner, samples, sane
from proof.fuzz.__main__ import main, table
from proof.fuzz.kinds import DOORS, opened, shares
from proof.fuzz.runner import Result
from proof.fuzz.verdicts import BrokenPromise, Verdict, dice_of, promise

INPUTS, SEED = 2000, 4
COUNTS = shares(INPUTS, list(DOORS))


def fuzzed(name: str, database: DatabaseSettings | None = None) -> None:
    result = Result()
    with opened(name, database) as kind:
        tally = runner.run(kind, SEED, range(COUNTS[name]), result, lambda _found: None)
    lines = [f"{found.problem}\n  {found.shown}\n  {found.command}" for found in result.findings]
    assert lines == [], "\n".join(["", *lines])
    assert tally.inputs == COUNTS[name]
    assert min(tally.counts.values()) > 0, "every kind of input is refused sometimes, and taken sometimes"


@pytest.mark.parametrize("name", [name for name, door in DOORS.items() if door.make is not None])
def test_whatever_comes_from_outside_is_taken_or_refused(name: str) -> None:
    fuzzed(name)


def test_whatever_a_person_does_to_the_rows_is_taken_or_refused(empty_database: DatabaseSettings) -> None:
    fuzzed("edits", empty_database)


def test_two_thousand_are_two_thousand() -> None:
    assert sum(COUNTS.values()) >= INPUTS
    assert all(count >= INPUTS * DOORS[name].share / 1000 for name, count in COUNTS.items())


class Odd:
    """A kind whose code under test fails at every third input."""

    name = "rest"
    shown = "what was sent"

    def trial(self, dice: random.Random) -> Verdict:
        number = dice.randrange(3)
        if number == 0:
            raise ZeroDivisionError("of all things")
        promise(number != 1, "an answer that must not be")
        return Verdict.ACCEPTED

    def close(self) -> None:
        """Nothing is held."""


def test_what_escapes_is_found_with_the_command_that_repeats_it() -> None:
    result = Result()
    tally = runner.run(Odd(), 7, range(30), result, lambda _found: None)
    assert tally.escaped == len(result.findings) == 30 - tally.counts[Verdict.ACCEPTED] > 0
    words = {found.problem.split(":")[0] for found in result.findings}
    assert words == {"escaped", "an answer that must not be"}
    first = result.findings[0]
    assert first.command == f"./bot fuzz --seed 7 --only rest --at {first.index}"
    again = Result()
    runner.run(Odd(), 7, [first.index], again, lambda _found: None)
    assert again.findings == [first]


@pytest.mark.parametrize("name", ["rest", "order-frames", "quote-frames", "rows", "env", "replay"])
def test_an_input_is_the_same_whatever_came_before_it(name: str) -> None:
    with opened(name) as kind, opened(name) as other:
        for index in range(8):
            verdict = kind.trial(dice_of(SEED, name, index))
        assert other.trial(dice_of(SEED, name, 7)) == verdict
        if name != "replay":  # a packed file carries the time at which it was packed
            assert other.shown == kind.shown


def test_the_tool_s_own_words() -> None:
    words = io.StringIO()
    assert main(["--only", "rows", "--at", "3", "--seed", "4"], Console(file=words, width=100)) == 0
    assert "input: " in words.getvalue() and "1 inputs" in words.getvalue()
    for usage in (["--at", "3"], ["--only", "nothing"], ["--inputs", "0"], ["--at", "-1", "--only", "rest"]):
        with pytest.raises(SystemExit) as ended:
            main(usage)
        assert ended.value.code == 2
    console = Console(file=words, width=100)
    console.print(table(Result()))


GOOD = Snapshot(
    exchange_order_id="x-1",
    client_order_id=samples.BUY_ID,
    symbol=samples.SYMBOL,
    side="buy",
    status="filled",
    qty=Decimal("0.2"),
    limit_price=Decimal(100),
    filled_qty=Decimal("0.2"),
    filled_avg_price=Decimal(100),
    created_at=samples.NOW,
    updated_at=samples.NOW,
)


@pytest.mark.parametrize(
    "bad",
    [
        {"filled_qty": Decimal("NaN")},
        {"qty": Decimal("1e999999999")},
        {"filled_qty": Decimal(0)},
        {"filled_avg_price": Decimal(-1)},
        {"status": "\ud800"},
        {"symbol": "x" * 1000},
        {"created_at": samples.NOW.replace(tzinfo=None)},
        {"created_at": samples.NOW.replace(year=1)},
    ],
)
def test_the_judge_sees_an_insane_order(bad: dict[str, object]) -> None:
    sane.snapshot(GOOD)
    with pytest.raises(BrokenPromise):
        sane.snapshot(replace(GOOD, **bad))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad",
    [
        {"exchange_order_id": "x" * 65},
        {"exchange_order_id": "ключ"},
        {"filled_avg_price": Decimal("1e11"), "limit_price": None},
    ],
)
def test_the_judge_sees_an_order_that_no_row_can_hold(bad: dict[str, object]) -> None:
    sane.booked([samples.BUY], samples.BUYING, GOOD)
    with pytest.raises(BrokenPromise):
        sane.booked([samples.BUY], samples.BUYING, replace(GOOD, **bad))  # type: ignore[arg-type]


def test_the_judge_sees_an_order_beyond_the_budget() -> None:
    price = Decimal(100)
    at = samples.NOW - timedelta(seconds=1)
    quote = Quote(symbol=samples.SYMBOL, bid=price, ask=price, at=at, received_at=samples.NOW)
    action = acting.decided(samples.ASSET, samples.WATCHING, [], quote)
    assert action is not None
    poorer = replace(samples.ASSET, base_order_amount=Decimal(15))
    with pytest.raises(BrokenPromise, match="where 15 are allowed"):
        acting._acted(poorer, samples.WATCHING, action, quote, None)


def test_junk_is_of_every_sort() -> None:
    """What the issue asks for: missing, null, wrong type, huge, NaN, cut, not JSON, not UTF-8."""
    body = {"id": "1", "qty": "0.2"}
    dice = dice_of(1, "junk", 0)
    mutants = [junk.mutated(body, dice) for _ in range(3000)]
    assert any(isinstance(each, dict) and "qty" not in each for each in mutants)
    assert any(isinstance(each, dict) and each.get("qty", "") is None for each in mutants)
    assert any(isinstance(each, dict) and isinstance(each.get("qty"), list) for each in mutants)
    data = [junk.encoded(each, dice) for each in mutants]
    damaged = [junk.damaged(each, dice) for each in data]
    assert any(b"NaN" in each for each in data) and any(b"[" * 400 in each for each in data)
    assert any(b"8" * 400 in each for each in data) and any(b"\xff\xfe" in each for each in damaged)
    assert b"" in damaged and any(b"<html>" in each for each in damaged)
    assert body == {"id": "1", "qty": "0.2"}, "the good body stays good"
