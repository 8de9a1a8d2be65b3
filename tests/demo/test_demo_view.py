"""What the operator reads, what the demo is told, and how it helps chance along."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from demo import director, results, waiting
from demo.director import Wishes
from demo.numbers import coins, money, price
from demo.options import parse
from demo.report import table
from demo.rows import Row
from demo.strategy_values import Measured, measure, speed_for, values_for
from demo.view import Fact, View
from launcher.output import wrapped
from recordings.values import BadFile
from tests.demo.good_book import START, Book, at

NOW = START + timedelta(seconds=60)
ALL = Wishes(cycles=5, assets=2, many_safety_orders=True, cooldown_run_out=True, cooldown_ended_early=True)
QUOTES: Mapping[str, Row] = {
    "BTC/USD": {"bid": "59790", "ask": "59800"},
    "ETH/USD": {"bid": "2999", "ask": "3000"},
}


def tables(book: Book) -> dict[str, Sequence[Row]]:
    return {"dca_assets": book.assets, "dca_cycles": book.cycles, "dca_orders": book.orders}


def test_the_view_tells_each_fact_once_and_in_order() -> None:
    book = Book()
    view = View()
    lines = [str(fact) for fact in view.news(book.journal, tables(book))]
    assert lines == [
        "12:00:10  BTC/USD   base order: buy 0.0004 for $24.00 at 60,000.00",
        "12:00:10  BTC/USD   filled at 60,000.00, fee 0.000001 BTC",
        "12:00:20  BTC/USD   safety order 1/2: buy 0.0004 for $23.60 at 59,000.00",
        "12:00:20  BTC/USD   filled at 59,000.00, fee 0.000001 BTC",
        "12:00:30  BTC/USD   take-profit: sell all 0.000798, bid 1.18 % above average",
        "12:00:30  BTC/USD   filled at 60,200.00, fee $0.13",
        "12:00:30  BTC/USD   cycle complete (1): net profit $0.31, $47.60 at 59,500.00, sold at 60,200.00",
        "12:00:30  BTC/USD   cooldown begins: 6 s, or until the ask falls to 59,899.00",
        "12:00:33  BTC/USD   cooldown ended early: ask 59,800.00, 0.664 % below the sale",
        "12:00:33  BTC/USD   base order: buy 0.0004 for $23.92 at 59,800.00",
        "12:00:33  BTC/USD   filled at 59,800.00, fee 0.000001 BTC",
        "12:00:40  BTC/USD   safety order 1/2: buy 0.0004 for $23.60 at 59,000.00",
        "12:00:49  BTC/USD   canceled, 0 of 0.0004 was filled",
    ]
    assert view.news([], tables(book)) == []
    assert max(len(line) for line in lines if "complete" not in line) <= 80


def test_a_cooldown_that_ran_out_says_so() -> None:
    book = Book()
    book.cycles[1]["cooldown_started_at"] = at(26)
    lines = [fact.text for fact in View().news(book.journal, tables(book))]
    assert "cooldown ran out after 6 s: next cycle" in lines


def test_the_ask_that_ended_a_cooldown_is_the_one_that_is_told() -> None:
    book = Book()
    known = {**tables(book), "cooldown_ends": [{"cycle_id": 2, "ask": "59000"}]}
    lines = [fact.text for fact in View().news(book.journal, known)]
    assert any("ask 59,000.00, 1.99 % below" in line for line in lines)


def test_locks_and_problems_are_told() -> None:
    book = Book()
    book.assets[0]["lock_reason"] = "the books disagree"
    book.cycles[2]["problem"] = "403 insufficient balance"
    lines = [fact.text for fact in View().news([], tables(book))]
    assert "locked: the books disagree" in lines
    assert "problem: 403 insufficient balance" in lines


def test_a_profit_that_a_later_fee_changes_is_told_again() -> None:
    """The story and the table at the end say the same."""
    book, view = Book(), View()
    view.news(book.journal, tables(book))
    book.cycles[0]["net_profit"] = "0.2599"
    assert [fact.text for fact in view.news([], tables(book))] == [
        "its exact fees are known: net profit $0.26, not $0.31"
    ]
    book.cycles[0]["net_profit"] = "0.2601"
    assert view.news([], tables(book)) == []


def test_every_asset_says_what_it_waits_for() -> None:
    book = Book()
    assert waiting.of_assets(tables(book), QUOTES, NOW) == [
        ("BTC/USD", "sells at 60,398.00 (+1.02 %), buys at 59,202.00 (-1.00 %)"),
        ("ETH/USD", "its base order comes next"),
    ]
    book.cycles[1].update(status="cooldown", quantity="0", cooldown_started_at=at(58))
    book.cycles[2]["status"] = "buying"
    assert waiting.of_assets(tables(book), QUOTES, NOW) == [
        ("BTC/USD", "cooldown: 4 s more, or ask 59,800.00 falls to 59,899.00"),
        ("ETH/USD", "buying: its order is open at the exchange"),
    ]


def test_it_says_how_far_it_is() -> None:
    shown = director.progress(tables(Book()))
    assert waiting.how_far(shown, ALL, shown.missing(ALL), 61.2, 160) == (
        "1 of 5 cycles complete, 61 of at most 160 s; still to come: 4 more complete cycles, a complete "
        "cycle of another asset, a complete cycle with two safety orders, a cooldown that ran out"
    )
    assert waiting.goal(ALL, 160, replay=False) == (
        "after 5 complete cycles, 2 assets among them, one with two safety orders, a cooldown that runs "
        "out, one that ends early; after 160 s at the latest"
    )


def test_what_is_not_at_rest_is_named() -> None:
    book = Book()
    assert waiting.unsettled(book.orders) == []
    book.orders[0]["fee_source"] = "assumed"
    book.orders[4]["state"] = "acked"
    assert waiting.unsettled(book.orders) == [
        "the end of 1 open order",
        "the executions of 1 order, which tell the exact fee",
    ]
    book.orders[0]["filled_qty"] = "0"
    assert waiting.unsettled(book.orders) == ["the end of 1 open order"]


def test_open_cycles_are_in_the_total() -> None:
    book = Book()
    books = replace(book.books(), state={"quotes": QUOTES})
    open_ones = results.of_open(books)
    assert [(each.symbol, each.profit) for each in open_ones] == [("BTC/USD", Decimal("-0.12"))]
    whole = results.total([*results.of_ended(books), *open_ones])
    assert (whole.bought_for, whole.profit) == (Decimal("71.52"), Decimal("0.19"))


def test_a_total_is_the_sum_of_its_rows_as_printed() -> None:
    book = Book()
    for cycle in book.cycles:
        cycle.update(status="complete", net_profit="0.0049")
    assert results.total(results.of_ended(book.books())).profit == 0
    book.cycles[2]["status"] = "error"
    assert [each.cycle for each in results.of_ended(book.books())] == ["1", "2", "error 3"]


def test_the_table_fits_80_columns() -> None:
    book = Book()
    for asset in book.assets:
        asset["asset_symbol"] = "SHIB/USD"
    books = replace(book.books(), state={"quotes": {"SHIB/USD": {"bid": "0.0000123456789", "ask": "0.1"}}})
    ended = [
        replace(each, average=Decimal("0.0000123456789"), sold_at=Decimal("0.0000123456789"))
        for each in results.of_ended(books)
    ]
    console = Console(width=200, file=io.StringIO())
    made = table([*ended, replace(ended[0], bought_for=Decimal("-12345.67"))], results.of_open(books))
    assert console.measure(made).maximum <= 80


def test_lines_break_between_words() -> None:
    fact = Fact(at=NOW, symbol="BTC/USD", text="cycle complete (12): " + "net profit $0.31, " * 9)
    lines = wrapped(str(fact), 80, 20).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line.startswith(" " * 20) and line[20] != " " for line in lines[1:])
    assert " ".join(" ".join(lines).split()) == " ".join(str(fact).split())
    assert wrapped("a path " + "/x" * 60, 80, 2).splitlines()[-1] == "  " + "/x" * 60


@pytest.mark.parametrize(
    ("value", "shown"),
    [("64000.106", "64,000.11"), ("150.5", "150.5"), ("0.000012345678", "0.0000123457"), ("0", "0")],
)
def test_prices(value: str, shown: str) -> None:
    assert price(Decimal(value)) == shown


def test_money_and_coins() -> None:
    assert money(Decimal("-0.066")) == "-$0.07"
    assert coins(Decimal("2853230.7")) == "2,853,231"
    assert coins(Decimal("0.000388667")) == "0.000388667"


def test_options_by_default() -> None:
    options = parse([])
    assert options.assets == ("BTC/USD", "ETH/USD", "SOL/USD")
    assert (options.cycles, options.seed, options.kills) == (5, 1, 0)


def test_options_of_the_short_run() -> None:
    assert parse(["--short"]).cycles == 4
    assert parse(["--assets", "eth/usd, BTC/USD,ETH/USD"]).assets == ("ETH/USD", "BTC/USD")


def test_a_replay_trades_its_symbol(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.touch()
    options = parse(["--replay", str(file), "--symbol", "shib/usd", "--speed", "100"])
    assert (options.assets, options.speed) == (("SHIB/USD",), 100)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--replay", "/nowhere/file.csv"],
        ["--speed", "5"],
        ["--assets", "BTCUSD"],
        ["--assets", ""],
        ["--cycles", "-1"],
        ["--kill-main-app", "-1"],
        ["--unknown"],
    ],
)
def test_a_wrong_option_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)
    assert stopped.value.code == 2
    assert "bot demo: error:" in capsys.readouterr().err


def test_progress_and_what_is_missing() -> None:
    shown = director.progress(tables(Book()))
    assert (shown.cycles, shown.assets, shown.cooldown_ended_early, shown.cooldown_run_out) == (
        1,
        1,
        True,
        False,
    )
    assert shown.missing(ALL) == [
        "4 more complete cycles",
        "a complete cycle of another asset",
        "a complete cycle with two safety orders",
        "a cooldown that ran out",
    ]
    assert shown.missing(Wishes(cycles=1)) == []


def test_a_push_goes_past_the_trigger_of_the_next_safety_order() -> None:
    book = Book()
    push = director.next_push(ALL, director.progress(tables(book)), tables(book), QUOTES)
    assert push is not None
    assert (push.symbol, push.change_percent) == ("BTC/USD", Decimal("-1.15"))
    assert "safety orders" in push.why


def test_a_cycle_with_two_safety_orders_is_pushed_to_its_sale() -> None:
    book = Book()
    book.cycles[1]["safety_orders"] = 2
    push = director.next_push(ALL, director.progress(tables(book)), tables(book), QUOTES)
    assert push is not None and push.change_percent == Decimal("1.17")


def test_a_cooldown_is_held_until_it_runs_out() -> None:
    book = Book()
    book.cycles[2].update(status="cooldown")
    wishes = Wishes(cycles=1, cooldown_run_out=True, cooldown_ended_early=True)
    push = director.next_push(wishes, director.progress(tables(book)), tables(book), QUOTES)
    assert push is not None and push.symbol == "ETH/USD" and push.held


def test_a_cooldown_is_ended_early_by_a_push_below_the_sale() -> None:
    book = Book()
    book.cycles[1].update(status="cooldown", quantity="0", cooldown_started_at=at(10))
    shown = director.progress(tables(book))
    push = director.next_push(Wishes(cycles=2, cooldown_ended_early=True), shown, tables(book), QUOTES)
    assert push is not None
    assert (push.symbol, push.change_percent) == ("BTC/USD", Decimal("0.02"))


def write_bars(path: Path, closes: Sequence[float]) -> None:
    rows = [f"2026-01-01T{n // 60:02}:{n % 60:02}:00Z,{c},{c},{c},{c},1" for n, c in enumerate(closes)]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")


def test_a_recording_is_measured_by_its_movement(tmp_path: Path) -> None:
    write_bars(tmp_path / "bars.csv", [100 + n % 2 for n in range(600)])
    recording = measure(tmp_path / "bars.csv")
    assert recording.seconds == 599 * 60
    assert 0.1 < recording.move_percent < 0.2


def test_a_file_that_is_no_recording_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("hello\nworld\n")
    with pytest.raises(BadFile, match=r"x\.csv: not recognized"):
        measure(path)


def test_the_speed_follows_from_the_movement_and_the_length() -> None:
    month = Measured(seconds=30 * 86_400, move_percent=0.011)
    assert speed_for(month) == pytest.approx(5289.3)
    minutes = Measured(seconds=660, move_percent=0.011)
    assert speed_for(minutes) == 6
    assert values_for(month, 10_000).take_profit_percent == Decimal("1.10")
    assert values_for(minutes, 6).take_profit_percent == Decimal("0.03")
