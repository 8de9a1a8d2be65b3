"""./bot status: the sums of a row, what counts as stale, and the screen."""

import io
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
from typing import Any

import pytest
from rich.console import Console

from dca import ledger
from dca.health import PERIODS
from dca.maintenance import Maintenance, begin
from dca.model import ZERO, Asset, Cycle, CycleStatus, Mode, OrderState, Quote, TradingRules
from dca.operator import rows, staleness
from dca.operator.overview import QUOTES_SECONDS, Books, Eye, Market
from dca.operator.rows import Row
from dca.operator.status import screen
from dca.operator.tools import Tools
from dca.records import Finding, Incident, IncidentKind, Result
from dca.settings import DatabaseSettings
from dca.store import Store, Transaction
from tests.builders import NOW, SYMBOL, D, asset, cycle, done, holding, quote, rules
from tests.fake_exchange import FakeClock, FakeExchange
from tests.looking import beat, books, overview, run
from tests.operating import NO_EXCHANGE, Operator
from tests.processes import ROOT, BotProcess, ExchangeProcess, eventually
from tests.test_main_app import ROW
from tests.test_store import ours


def row(of: Asset | None = None, live: Cycle | None = None, market: Market | None = None, **more: Any) -> Row:
    """The row of one asset, quoted at 99.9 and 100.1 unless told otherwise."""
    made = books(assets=[of or asset()], cycles={} if live is None else {1: live}, **more)
    look = overview(of=made)
    return rows.rows(look if market is None else replace(look, market=market))[0]


# ---- a row -------------------------------------------------------------------------------------------------


def test_a_holding() -> None:
    """Bought 0.2 at 100, 0.1995 left of it after the fee; the next safety order 1.5 % lower."""
    found = row(live=holding(safety_orders=1))
    assert (found.quantity, found.average_purchase_price) == (D("0.1995"), D(100))
    assert (found.safety_orders, found.max_safety_orders) == (1, 3)
    assert (found.spent, found.worst_case) == (D(20), D(20 + 3 * 30))
    assert (found.next_buy_price, found.take_profit_price) == (D("98.5"), D(101))
    assert found.next_buy_distance_percent == (D("98.5") - D("100.1")) * 100 / D("100.1")
    assert found.take_profit_distance_percent == (D(101) - D("99.9")) * 100 / D("99.9")
    value = D("0.1995") * D("99.9")
    assert found.unrealized_profit == value - ledger.dollar_fee(value) - 20
    assert found.unrealized_profit_percent == found.unrealized_profit * 5
    assert found.cycle_began_at == NOW - timedelta(hours=2)
    assert not found.buys_at_once


@pytest.mark.parametrize("sold", ["0", "0.05"])
def test_a_sale_at_break_even_wins_nothing_and_loses_nothing(sold: str) -> None:
    """Also of what is left after a part was sold: what that brought counts."""
    proceeds = D(sold) * 98
    live = holding(sold_qty=D(sold), sold_proceeds=proceeds, sell_fee=ledger.dollar_fee(proceeds))
    live = replace(live, quantity=D("0.1995") - D(sold))
    price = rows.break_even(live, rules())
    assert price is not None
    assert ZERO <= rows.unrealized_profit(live, price) < D("0.01")
    assert rows.unrealized_profit(live, price - D("0.1")) < 0


def test_break_even_counts_only_what_can_be_sold() -> None:
    live = holding()
    coarse = rows.break_even(live, rules(qty_increment=D("0.1")))
    fine = rows.break_even(live, rules())
    assert coarse is not None and fine is not None and coarse > fine * D("1.9")
    assert rows.break_even(live, rules(qty_increment=D(1))) is None


def test_what_is_won_already_needs_no_price() -> None:
    won = holding(sold_qty=D("0.1"), sold_proceeds=D(50), sell_fee=D(1), quantity=D("0.0995"))
    assert rows.break_even(won, rules()) == 0
    assert rows.spent(won) == -29


NEXT_BUYS: list[tuple[dict[str, Any], Cycle, Any]] = [
    ({}, cycle(), "at once"),
    ({}, holding(safety_orders=3), None),
    ({}, holding(exit_requested_at=NOW), None),
    ({"is_enabled": False}, holding(), None),
    ({"is_enabled": False}, cycle(), None),
    ({}, cycle(CycleStatus.BUYING), None),
    ({"last_sell_price": D(100)}, cycle(CycleStatus.COOLDOWN, cooldown_started_at=NOW), D(98)),
    ({}, cycle(CycleStatus.COOLDOWN), None),
    ({}, holding(bought="0.009", fee="0"), "at once"),
]


@pytest.mark.parametrize(("columns", "live", "price"), NEXT_BUYS)
def test_the_next_buy(columns: dict[str, Any], live: Cycle, price: Any) -> None:
    found = row(asset(**columns), live)
    assert ("at once" if found.buys_at_once else found.next_buy_price) == price


def test_without_a_quote_prices_stay_and_distances_go() -> None:
    found = row(live=holding(), market=Market(quotes={}, rules=None, trouble="down"))
    assert (found.bid, found.unrealized_profit, found.take_profit_distance_percent) == (None, None, None)
    assert (found.take_profit_price, found.next_buy_price) == (D(101), D("98.5"))
    assert found.problem is None  # that the pair is not known is no problem of the row's


def test_problems_of_the_row_and_of_the_cycle() -> None:
    found = row(asset(base_order_amount=D(3)), holding(problem="no cash"))
    assert found.problem is not None
    assert found.problem.startswith("base_order_amount is 3, below 10.50")
    assert found.problem.endswith("; no cash")
    gone = row(live=holding(), market=Market(quotes={}, rules={}))
    assert gone.problem is not None and gone.problem.endswith("the exchange has no such pair")


def test_an_order_in_flight_is_named_and_an_ended_one_is_not() -> None:
    flying = replace(done(), state=OrderState.ACKED)
    assert row(live=cycle(CycleStatus.BUYING), orders=[done()]).order_in_flight is None
    named = row(live=cycle(CycleStatus.BUYING), orders=[flying]).order_in_flight
    assert named == f"buy of 0.2 at 100 ({flying.client_order_id}, acked)"


# ---- what is stale -----------------------------------------------------------------------------------------


def late(job: str, minutes_ago: float) -> Books:
    """All ran half a minute ago, that one well only so long ago."""
    whole = books()
    return replace(whole, good_runs={**whole.good_runs, job: run(job, minutes_ago)})


def test_nothing_is_stale() -> None:
    assert staleness.troubles(overview()) == []


@pytest.mark.parametrize(
    ("job", "minutes_ago", "is_overdue"),
    [
        ("order_manager", 9.9, False),
        ("order_manager", 10.1, True),
        ("cooldown_manager", 10.1, True),
        ("consistency_checker", 14.9, False),
        ("consistency_checker", 15.1, True),
        ("watchdog", 15.1, True),
    ],
)
def test_a_caretaker_is_overdue(job: str, minutes_ago: float, is_overdue: bool) -> None:
    found = {each.name: each.is_overdue for each in staleness.caretakers(late(job, minutes_ago), NOW)}
    assert found == {name: is_overdue and name == job for name in PERIODS}
    assert len(staleness.troubles(overview(of=late(job, minutes_ago)))) == is_overdue


def test_a_caretaker_that_never_ran_is_given_time() -> None:
    runs = {name: run(name) for name in PERIODS if name != "watchdog"}
    young = books(last_runs=runs, good_runs=runs, first_run_at=NOW - timedelta(minutes=14))
    assert staleness.troubles(overview(of=young)) == []
    old = replace(young, first_run_at=NOW - timedelta(minutes=16))
    assert staleness.troubles(overview(of=old)) == ["watchdog is overdue: it has had no good run"]
    none = replace(young, last_runs={}, good_runs={}, first_run_at=None)
    assert staleness.troubles(overview(of=none)) == [
        "no caretaker has ever run: ./bot install writes the crontab"
    ]


OLD = NOW - timedelta(seconds=121)
INCIDENT = Incident(
    id=1, name="x", kind=IncidentKind.HEALTH, subject="disk full", evidence="", began_at=NOW, seen_at=NOW
)

STALE: list[tuple[dict[str, Any], str]] = [
    ({"is_running": False}, "main_app is not running"),
    ({"beat": None}, "no heartbeat"),
    ({"beat": beat(beat_at=OLD)}, "121 s old"),
    ({"beat": beat(last_quote_at=OLD)}, "quote stream is silent"),
    ({"beat": beat(last_quote_at=None)}, "quote stream is silent"),
    ({"beat": beat(quotes_connected=False)}, "quote stream is silent"),
    ({"beat": beat(orders_connected=False)}, "order stream is down"),
    ({"beat": beat(last_settle_at=OLD)}, "could not be settled"),
    ({"beat": beat(last_settle_at=None)}, "could not be settled"),
    ({"of": books(assets=[asset(lock_reason="0.1 missing")])}, "BTC/USD is locked: 0.1 missing"),
    ({"of": books(incidents=[INCIDENT])}, "since 01-02 03:04 UTC: disk full"),
]


@pytest.mark.parametrize(("changes", "words"), STALE)
def test_each_thing_that_is_stale(changes: dict[str, Any], words: str) -> None:
    found = staleness.troubles(overview(**changes))
    assert len(found) == 1 and words in found[0]


def test_a_start_just_now_has_time_to_connect() -> None:
    nothing = {"last_quote_at": None, "quotes_connected": False, "orders_connected": False}
    young = beat(started_at=NOW - timedelta(seconds=59), last_settle_at=None, **nothing)
    assert staleness.troubles(overview(beat=young)) == []
    assert len(staleness.troubles(overview(beat=replace(young, started_at=OLD)))) == 3


def test_no_cycles_no_quotes() -> None:
    idle = overview(of=books(assets=[], cycles={}), beat=beat(last_quote_at=None))
    assert staleness.troubles(idle) == []


def test_during_maintenance_only_money_counts() -> None:
    pause = Maintenance(until=NOW + timedelta(hours=1), who="bo", why="new disk")
    down: dict[str, Any] = {"is_running": False, "maintenance": pause}
    assert staleness.troubles(overview(of=late("watchdog", 60), **down)) == []
    locked = books(assets=[asset(lock_reason="0.1 missing")])
    assert staleness.troubles(overview(of=locked, **down)) == ["BTC/USD is locked: 0.1 missing"]


def test_large_numbers_fit_the_screen() -> None:
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
    console = Console(width=100, file=paper)
    console.print(screen(overview(of=made, market=market), console))
    lost = f"{rows.unrealized_profit(rich, D('98765.43')):,.0f}"
    for text in ("MATIC/USD", "12314.8189", "98,765.43", "998/1000", "364d23h", lost):
        assert text in paper.getvalue()
    assert "…" not in paper.getvalue()


# ---- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def bot(
    tmp_path: Path,
    database: DatabaseSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Operator:
    """Its exchange does not answer, and main_app does not run."""
    return Operator(tmp_path, database, NO_EXCHANGE, monkeypatch, capsys)


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
        *("at", "ok", "wrong", "venue", "mode", "mode_reason", "maintenance", "main_app", "caretakers"),
        *("mail", "incidents", "exchange_trouble", "assets"),
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
        env={**bot.environment(), "COLUMNS": "100", "LINES": "60", "TERM": "xterm"},
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
