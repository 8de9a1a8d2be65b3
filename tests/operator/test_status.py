"""./bot status: the screen, the command, and how often it asks the exchange."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from dca.alerts.conditions import PERIODS
from dca.core.model import Mode, Quote, TradingRules
from dca.core.operations import Finding, IncidentKind, Result
from dca.core.valuation import unrealized_profit
from dca.database.store import Store, Transaction
from dca.operator.session import Tools
from dca.operator.views.snapshot import QUOTES_SECONDS, Eye, Market
from dca.operator.views.status import screen
from dca.operator.views.status_rows import Row
from dca.runtime.maintenance import Maintenance, begin
from dca.runtime.settings import DatabaseSettings
from tests import operating
from tests.builders import NOW, SYMBOL, D, asset, holding, ours, quote, rules
from tests.fake_exchange import FakeClock, FakeExchange
from tests.looking import books, overview
from tests.operating import Operator
from tests.processes import ROOT, ROW, BotProcess, ExchangeProcess, eventually


@pytest.mark.parametrize("width", [100, 160])
def test_large_numbers_fit_the_screen(width: int) -> None:
    """Prices above 100,000, amounts of millions, coins of a dozen digits: nothing is cut off."""
    rich = holding(bought="12345.678901234", fee="30.86", average="123456.78", last_fill="123456.78")
    many = holding(bought="98765432.1", fee="246913.58", average="0.000012345", safety_orders=998)
    large = asset(asset_symbol="MATIC/USD", max_safety_orders=1000, base_order_amount=D(200000))
    made = books(
        assets=[large, asset(id=2, asset_symbol="SHIB/USD", max_safety_orders=1000)],
        cycles={1: rich, 2: replace(many, id=13, asset_id=2)},
        began_at={12: NOW - timedelta(days=364, hours=23), 13: NOW},
    )
    prices = {"MATIC/USD": "98765.43", "SHIB/USD": "0.00001"}
    market = Market(
        quotes={name: quote(price, symbol=name) for name, price in prices.items()},
        rules={name: rules(symbol=name) for name in prices},
    )
    paper = io.StringIO()
    console = Console(width=width, file=paper)
    console.print(screen(overview(of=made, market=market), console))
    assert max(map(len, paper.getvalue().splitlines())) <= width
    lost = f"{unrealized_profit(rich, D('98765.43')):,.0f}"
    for text in ("MATIC/USD", "12314.8189", "98,765.43", "998/1000", "364d23h", lost):
        assert text in paper.getvalue()
    assert "…" not in paper.getvalue()


# ---- the command -------------------------------------------------------------------------------------------


bot = operating.lonely  # a fixture: an import would clash with arguments


def test_an_empty_database_says_what_to_do_next(bot: Operator, store: Store) -> None:
    told = bot.types("status")
    assert told.code == 1
    assert "./bot add BTC/USD" in told.flat
    assert "main app not running" in told.flat
    assert "The exchange does not answer" not in told.flat  # nobody asked it


def test_without_main_app_and_exchange(bot: Operator, ready: Store) -> None:
    ready.transaction(lambda tx: tx.insert_order(ours()))
    ready.transaction(lambda tx: tx.lock_asset(2, "[0.1] missing", datetime.now(UTC)))
    ready.transaction(lambda tx: tx.set_mode(Mode.EXITS_ONLY, "bo: [news]"))
    told = bot.types("status")
    assert told.code == 1, told.err
    assert told.out.startswith(" LOCAL   exits_only: no buys (bo: [news])")
    assert "The exchange does not answer, so no bids are known" in told.flat
    assert "BTC/USD: in flight: buy of 0.2 at 100" in told.flat
    assert "WRONG: ETH/USD is locked: [0.1] missing" in told.flat
    assert "LOCKED" in told.flat
    assert "mail off (ALERT_EMAIL_* in .env)" in told.flat


def test_maintenance_is_shown_and_nothing_is_wrong(bot: Operator, ready: Store) -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    begin(bot.state_dir, Maintenance(until=until, who="bo", why="new disk"))
    told = bot.types("status")
    assert told.code == 0, told.out
    assert f"maintenance until {until:%m-%d %H:%M} UTC, by bo: new disk" in told.flat


def test_incidents_and_mail(bot: Operator, store: Store) -> None:
    finding = Finding(name="disk", kind=IncidentKind.HEALTH, subject="the disk is full", evidence="0 left")
    now = datetime.now(UTC)
    store.transaction(lambda tx: tx.insert_incident(finding, now))
    store.transaction(lambda tx: tx.insert_mail("disk", "[DCA LOCAL] disk", "body", now))
    store.transaction(lambda tx: tx.insert_mail("disk", "[DCA LOCAL] more", "body", now))
    first = store.transaction(lambda tx: tx.unsent_mails())[0]
    store.transaction(lambda tx: tx.mail_was_tried(first, now, None))
    settings = bot.env_file.read_text()
    mail = "ALERT_EMAIL_SENDER='a@example.com'\nALERT_EMAIL_RECEIVER='b@example.com'\n"
    bot.env_file.write_text(f"{settings}{mail}ALERT_EMAIL_SMTP_SERVER='smtp.example.com'\n")
    told = bot.types("status")
    assert "mail on, last sent 0s ago: [DCA LOCAL] disk, 1 waiting to be sent" in told.flat
    assert "incidents 1 open" in told.flat
    assert "UTC: the disk is full" in told.flat


def test_json_is_complete(bot: Operator, ready: Store) -> None:
    told = bot.types("status", "--json")
    assert told.code == 1
    found = told.json()
    assert list(found) == [
        *("at", "ok", "wrong", "not_yet", "venue", "mode", "mode_reason", "maintenance", "main_app"),
        *("caretakers", "mail", "incidents", "exchange_trouble", "assets"),
    ]
    assert (found["ok"], found["venue"], found["main_app"]) == (
        False,
        "LOCAL",
        {"is_running": False, "beat": None},
    )
    first = found["assets"][0]
    assert set(first) == {*Row.__slots__, "cycle_age_seconds"}
    assert (first["asset_symbol"], first["status"], first["worst_case"]) == ("BTC/USD", "watching", "80")
    assert [each["name"] for each in found["caretakers"]] == list(PERIODS)


# ---- with all of it running --------------------------------------------------------------------------------


@pytest.fixture
def running(tmp_path: Path, database: DatabaseSettings, store: Store) -> Iterator[BotProcess]:
    """A bot that holds BTC/USD bought at 50000, and caretakers that ran just now."""
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    bot = BotProcess(tmp_path, exchange.settings, database)
    try:
        exchange.price(SYMBOL, "50000")
        store.run_script(ROW.format(symbol=SYMBOL, base=20))
        bot.start()
        for name in PERIODS:
            store.transaction(partial(_ran, name))
        eventually(lambda: any(each.quantity for each in store.transaction(lambda tx: tx.live_cycles())))
        eventually(bot.is_trading)
        yield bot
    finally:
        bot.stop()
        exchange.stop()


def _ran(name: str, tx: Transaction) -> None:
    now = datetime.now(UTC)
    number = tx.begin_run(name, now)
    tx.end_run(number, Result.DONE, now, checked=1, changed=0, details=None)


def operator(bot: BotProcess, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "dca.operator", *command],
        cwd=ROOT,
        env=bot.environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_all_is_well_until_main_app_dies(running: BotProcess) -> None:
    told = operator(running, "status")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "All is well." in told.stdout
    assert json.loads(operator(running, "status", "--json").stdout)["ok"] is True
    assert max(map(len, told.stdout.splitlines())) <= 100
    watching = _watch(running)
    assert "BTC/USD" in watching and "All is well." in watching
    running.signal(signal.SIGKILL)
    told = operator(running, "status")
    assert told.returncode == 1
    assert "WRONG: main_app is not running" in told.stdout


def _watch(bot: BotProcess) -> str:
    """`status --watch` on a terminal, left with Ctrl-C; what it had drawn."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dca.operator", "status", "--watch", "0.2"],
        cwd=ROOT,
        env={**bot.environment(), "COLUMNS": "80", "LINES": "24", "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    drawn = bytearray()

    def draws(is_enough: Callable[[], bool]) -> bool:
        drawn.extend(_what_is_there(ours))
        return is_enough()

    try:
        eventually(lambda: draws(lambda: drawn.count(b"All is well.") >= 2))
        process.send_signal(signal.SIGINT)
        eventually(lambda: draws(lambda: process.poll() is not None))
    finally:
        process.kill()
        process.wait(10)
    assert process.returncode == 0
    os.close(ours)
    assert b"Traceback" not in drawn
    return drawn.decode()


def _what_is_there(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nothing, or the other end is closed
        return b""


class StepClock(FakeClock):
    """Begins at second 100."""

    def monotonic(self) -> float:
        return super().monotonic() - NOW.timestamp() + 100


class CountingExchange(FakeExchange):
    """Notes when it was asked for rules and quotes."""

    asked: list[float]

    def trading_rules(self) -> dict[str, TradingRules]:
        self.asked.append(self.clock.monotonic())
        return {SYMBOL: rules()}

    def latest_quotes(self, symbols: list[str], received_at: datetime) -> dict[str, Quote]:
        self.asked.append(self.clock.monotonic())
        return super().latest_quotes(symbols, received_at)


def test_the_exchange_is_asked_at_most_every_five_seconds(bot: Operator, ready: Store) -> None:
    tools, clock = Tools("status"), StepClock()
    exchange = CountingExchange(clock=clock)
    exchange.asked = []
    tools.clock = clock
    tools.__dict__["broker"] = exchange  # where a cached property keeps its value
    eye = Eye(tools)
    for _ in range(4):
        look = eye.look()
        clock.pass_seconds(QUOTES_SECONDS / 2)
    assert look.market.quotes[SYMBOL].bid == 100
    assert exchange.asked == [100, 100, 105]
