"""Every screen is made for 80 x 24 first: nothing is cut, nothing breaks inside a word, the top stays."""

import io
import os
import pty
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console, Group
from rich.text import Text

from dca.core.model import OrderState, Purpose
from dca.database.store import Store, Transaction
from dca.operator.sheet import Pair, Sheet
from dca.operator.views.status import screen
from dca.operator.window import Cut
from tests import operating
from tests.builders import NOW, D, asset, done, holding, quote, rules
from tests.looking import books, overview
from tests.operating import Operator
from tests.processes import ROOT
from tests.sales import Sale, complete

bot = operating.lonely  # a fixture: an import would clash with arguments
COMMANDS = [
    "status",
    "assets",
    "cycles",
    "orders",
    "profit",
    "why SHIB/USD",
    "doctor",
    "set SHIB/USD --base 30",
]
LOCK = "the exchange has 0.123456789 SHIB less than the ledger says: 0.5 there, 0.623456789 here"


@pytest.fixture
def full(bot: Operator, ready: Store) -> Operator:
    """Twelve assets, of which one is locked and one disabled; long names, many digits, large amounts."""

    def work(tx: Transaction) -> None:
        for number in range(3, 13):
            values: dict[str, Any] = {"asset_symbol": f"COIN{number}/USD", "is_enabled": number != 12}
            values |= {"base_order_amount": D(20), "safety_order_amount": D(25000)}
            values |= {"max_safety_orders": 1000 if number == 3 else 8}
            values |= {"safety_order_deviation": D("0.75"), "take_profit_percent": D("1.25")}
            values |= {"cooldown_period": 86400, "buy_order_price_deviation_percent": D("12.5")}
            tx.insert_asset(values)
        tx._write("UPDATE dca_assets SET asset_symbol = 'SHIB/USD' WHERE id = 3", [])
        tx.lock_asset(4, LOCK, NOW)
        many: dict[str, Any] = {"qty": D("694551628.330123456"), "filled_qty": D("694551628.330123456")}
        many |= {"filled_value": D("9000000.12"), "filled_avg_price": D("0.000012958123")}
        many |= {"fee_qty": D("1736379.070123456"), "exchange_status": "partially_filled"}
        name = "dca-abcd1234-123456-100-s12"
        order = done(Purpose.SAFETY, level=12, filled="1", cycle_id=2, asset_id=2, client_order_id=name)
        tx.insert_order(replace(order, state=OrderState.CANCEL_REQUESTED, closed_at=None, **many))

    complete(ready, Sale(1, NOW, lasted=timedelta(days=99)))
    ready.transaction(work)
    return bot


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_cut_or_broken_at_80_columns(full: Operator, command: str) -> None:
    """Operator.types judges the width; every word of the narrow screen is one of the wide screen."""
    narrow, wide = (full.types(*command.split(), columns=columns).out for columns in (80, 1000))
    assert narrow and "…" not in narrow
    whole = set(wide.split())
    long = [word for word in whole if len(word) > 60]  # a path that no line has room for
    broken = {word for word in narrow.split() if word.isalpha()} - whole
    assert not [word for word in broken if not any(word in each for each in long)]


def test_a_row_is_one_line_where_there_is_room(full: Operator) -> None:
    for command in ("status", "assets", "cycles", "orders"):
        narrow, wide = (full.types(command, columns=columns).out for columns in (80, 200))
        assert len(wide.splitlines()) < len(narrow.splitlines()) or command == "status"
    heads = next(line for line in full.types("status", columns=200).out.splitlines() if "break-even" in line)
    assert heads.split()[:4] == ["asset", "status", "held", "average"]


def test_an_order_of_the_longest_names_keeps_every_word(full: Operator) -> None:
    out = full.types("orders", "--last", "1").out
    for word in ("dca-abcd1234-123456-100-s12", "cancel requested", "partially filled", "0.000012958"):
        assert word in out


def drawn(assets: int, width: int, height: int, **changes: Any) -> list[str]:
    """What `status --watch` shows of so many holdings."""
    rows = [asset(id=number, asset_symbol=f"COIN{number}/USD") for number in range(1, assets + 1)]
    cycles = {each.id: replace(holding(), id=each.id, asset_id=each.id) for each in rows}
    made = books(assets=rows, cycles=cycles, began_at={each.id: NOW for each in rows})
    look = overview(of=made)
    quotes = {each.asset_symbol: quote("100", symbol=each.asset_symbol) for each in rows}
    known = {each.asset_symbol: rules(symbol=each.asset_symbol) for each in rows}
    look = replace(look, market=replace(look.market, quotes=quotes, rules=known), **changes)
    paper = io.StringIO()
    console = Console(width=width, height=height, file=paper, force_terminal=False)
    console.print(Cut(screen(look, console, height), instead="./bot status"))
    return paper.getvalue().splitlines()


@pytest.mark.parametrize(("assets", "forms"), [(1, "break-even"), (12, "to buy %"), (40, "more lines")])
def test_watch_keeps_its_top_on_80_x_24(assets: int, forms: str) -> None:
    lines = drawn(assets, 80, 24)
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert lines[0].startswith(" PAPER   trading")
    assert "All is well." in lines[-1]
    assert any(forms in line for line in lines)


def test_a_large_window_shows_everything() -> None:
    lines = drawn(12, 160, 50)
    assert any("break-even" in line and "to buy" not in line for line in lines)
    assert sum("COIN" in line for line in lines) == 12


def test_what_has_no_room_is_counted() -> None:
    paper = io.StringIO()
    console = Console(width=40, height=4, file=paper)
    whole = Group(*[Text(f"line {number}") for number in range(1, 10)])
    console.print(Cut(whole, instead="look elsewhere"))
    assert paper.getvalue().splitlines() == ["line 1", "line 2", "... 6 more lines: look elsewhere", "line 9"]
    console = Console(width=40, height=9, file=(paper := io.StringIO()))
    console.print(Cut(whole, instead="look elsewhere"))
    assert "more lines" not in paper.getvalue()


def test_a_table_that_is_too_wide_runs_over_and_is_not_cut() -> None:
    sheet = Sheet(pairs=(Pair(top="left", bottom="below", is_text=True), Pair(top="right")))
    sheet.add(("a" * 30, "b"), ("1234567890", ""))
    paper = io.StringIO()
    sheet.show(Console(width=20, file=paper))
    assert "a" * 30 in paper.getvalue() and "1234567890" in paper.getvalue()


def test_errors_break_between_words_on_a_terminal() -> None:
    """And are whole lines in a pipe."""
    environment = {"PATH": os.defpath, "TERM": "xterm", "COLUMNS": "70", "DCA_ENV_FILE": "/nowhere/env"}
    command = [sys.executable, "-m", "dca.operator", "status"]
    piped = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30)
    assert piped.returncode == 2
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=theirs)
    os.close(theirs)
    said = b""
    with suppress(OSError):  # the other end is closed
        while part := os.read(ours, 4096):
            said += part
    process.wait(30)
    os.close(ours)
    assert said.decode().split() == piped.stderr.split()
    assert len(said.splitlines()) > len(piped.stderr.splitlines())
