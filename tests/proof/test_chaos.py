"""./bot chaos in small: a real run of a few seconds, and that its checks bite."""

import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from demo.rows import Row, when
from proof.chaos import checks
from tests.demo.good_book import PREFIX, Book, at
from tests.demo.test_demo_audit import TAMPERINGS, Tamper
from tests.processes import ROOT

WORDED_OTHERWISE = {"I11", "I27"}
"""Tampered with below: the demo's tamperings are no faults once a person may edit rows."""


def test_a_run_of_seconds_finds_nothing(tmp_path: Path) -> None:
    """Everything real: processes, database server, kill -9, connections cut; then both books compared."""
    output = tmp_path / "output"
    with output.open("w") as file:
        run = subprocess.run(
            [sys.executable, "-m", "proof.chaos", "--seconds", "15", "--seed", "7"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            timeout=150,
        )
    said = output.read_text()
    assert run.returncode == 0, said
    assert said.rstrip().endswith("chaos: 0 violations")
    assert "│ kill -9 " in said


def found(book: Book) -> set[str]:
    return {violation.number for violation in checks.at_rest(book.books())}


def tell_purposes(book: Book) -> Book:
    """The checks ask every order for its purpose and its fee's source."""
    for order in book.orders:
        order.setdefault("fee_source", "confirmed")
    return book


def test_good_books_pass() -> None:
    assert list(checks.at_rest(tell_purposes(Book()).books())) == []


@pytest.mark.parametrize(
    ("number", "tamper"),
    [
        pytest.param(number, tamper, id=f"{number} {name}")
        for number, name, tamper in TAMPERINGS
        if number not in WORDED_OTHERWISE
    ],
)
def test_a_tampering_is_caught(number: str, tamper: Tamper) -> None:
    book = tell_purposes(Book())
    tamper(book)
    assert number in found(book)


def test_every_invariant_has_a_tampering() -> None:
    checked = {number for number, _ in checks.AT_REST} - {"ghost"} | {"I04", "I27"}
    assert checked <= {number for number, _, _ in TAMPERINGS}


def test_a_cycle_over_its_largest_budget_is_caught() -> None:
    book = tell_purposes(Book())
    for order in book.orders:
        order.update(safety_order_amount="1", base_order_amount="5", max_safety_orders=1)
    assert "I11" in found(book)


def test_an_amount_that_a_person_lowered_is_no_violation() -> None:
    book = tell_purposes(Book())
    last = next(order for order in book.orders if order["client_order_id"] == PREFIX + "1-2-s1")
    last.update(base_order_amount="5")
    assert "I11" not in found(book)


def order(book: Book, name: str) -> Row:
    return next(each for each in book.orders if each["client_order_id"] == PREFIX + name)


def early(book: Book) -> None:
    """Cycle 2 begins before its cooldown is over, and the price had not fallen."""
    next(each for each in book.orders if each["client_order_id"] == PREFIX + "2-1-b").update(
        quote_price="60100", limit_price="60100"
    )


def test_a_cooldown_cut_short_is_caught_unless_the_log_lost_lines_then() -> None:
    book = tell_purposes(Book())
    early(book)
    assert "I27" in found(book)
    moment = when(order(book, "2-1-b"), "created_at")
    assert moment is not None
    blind = {each.number for each in checks.at_rest(book.books(), blind=[(moment, moment)])}
    assert "I27" not in blind


def test_written_too_late_is_excused_only_by_a_clock_that_was_ahead_then() -> None:
    book = tell_purposes(Book())
    tamper: Callable[[Book], object] = next(
        t for _, name, t in TAMPERINGS if name == "written down after it was seen"
    )
    tamper(book)
    begin = when({"at": at(0)}, "at")
    assert begin is not None
    for ahead, caught in ((0.0, True), (0.1, True), (60.0, False)):
        numbers = {each.number for each in checks.at_rest(book.books(), steps=[(begin, ahead)])}
        assert ("I04" in numbers) is caught


def test_a_sale_by_hand_that_was_accepted_explains_the_difference() -> None:
    book = tell_purposes(Book())
    book.cycles[1].update(quantity="0", status="complete", completed_at=at(60), sold_qty="0.000399")
    assert "I09" in found(book)
    outside = {
        **order(book, "2-1-b"),
        "id": 99,
        "seq": 9,
        "client_order_id": PREFIX + "2-9-o",
        "purpose": "outside",
        "side": "sell",
        "filled_qty": "0.000399",
    }
    book.orders.append(outside)
    assert not {"I06", "I09", "I17", "I30"} & found(book)


def test_a_profit_may_only_be_told_too_low_by_the_fee_that_a_sale_was_spared() -> None:
    cases = (("0.07", "0.06", False), ("0.07", "0.08", True), ("0.07", "-0.02", True), ("0.13", "0.06", True))
    for fee, too_low, is_caught in cases:
        book = tell_purposes(Book())
        sale = next(each for each in book.journal if each["kind"] == "execution" and each["side"] == "sell")
        truth = Decimal(book.cycles[0]["net_profit"]) + Decimal(sale["fee_usd"]) - Decimal(fee)
        sale["fee_usd"] = fee
        book.cycles[0]["net_profit"] = str(truth - Decimal(too_low))
        told = [each.text for each in checks.at_rest(book.books()) if "net_profit" in each.text]
        assert bool(told) is is_caught, (fee, too_low, told)


def test_an_order_that_was_given_up_and_was_there_is_caught() -> None:
    book = tell_purposes(Book())
    book.orders[0]["state"] = "ghost"
    assert "ghost" in found(book)


def test_a_lock_is_caught_unless_a_person_sold_by_hand() -> None:
    asset = {"asset_symbol": "BTC/USD", "lock_reason": "coins are missing"}
    (text,) = checks.locked_for_no_reason([asset], set())
    assert "coins are missing" in text
    assert not list(checks.locked_for_no_reason([asset], {"BTC/USD"}))
    assert not list(checks.locked_for_no_reason([{**asset, "lock_reason": None}], set()))


def test_a_trace_in_a_log_and_a_secret_are_caught(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "main_app.log").write_text("fine\nTraceback (most recent call last):\n")
    (tmp_path / "watchdog.out").write_text("the password is hush-hush\n")
    (tmp_path / "env").write_text("hush-hush\n")
    (tmp_path / "exchange.out").write_text("Traceback of a connection that a fault dropped\n")
    (crash,) = checks.crashes(tmp_path)
    assert "main_app.log" in crash.text and "lines 2" in crash.text
    (leak,) = checks.leaks(tmp_path, ["hush-hush"])
    assert leak.text.endswith("watchdog.out")
