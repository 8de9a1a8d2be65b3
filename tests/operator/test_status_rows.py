"""./bot status: the sums of a row, and what counts as stale."""

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from dca.alerts import conditions
from dca.alerts.bundling import MONEY
from dca.alerts.conditions import PERIODS, Disk
from dca.alerts.incidents import is_judged
from dca.core import ledger, valuation
from dca.core.model import ZERO, Asset, Cycle, CycleStatus, Mode, OrderState
from dca.core.operations import Incident, IncidentKind
from dca.operator.views import staleness, status_rows
from dca.operator.views.snapshot import Books, Market
from dca.operator.views.status import as_json, screen
from dca.operator.views.status_rows import Row
from dca.runtime.heartbeat import Delay
from dca.runtime.maintenance import Maintenance
from tests.builders import NOW, D, asset, cycle, done, holding, rules
from tests.builders import order as sent
from tests.looking import CONTROL, beat, books, overview, run


def row(of: Asset | None = None, live: Cycle | None = None, market: Market | None = None, **more: Any) -> Row:
    """The row of one asset, quoted at 99.9 and 100.1 unless told otherwise."""
    made = books(assets=[of or asset()], cycles={} if live is None else {1: live}, **more)
    look = overview(of=made)
    return status_rows.rows(look if market is None else replace(look, market=market))[0]


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
    price = status_rows.break_even(live, rules())
    assert price is not None
    assert ZERO <= valuation.unrealized_profit(live, price) < D("0.01")
    assert valuation.unrealized_profit(live, price - D("0.1")) < 0


def test_break_even_counts_only_what_can_be_sold() -> None:
    live = holding()
    coarse = status_rows.break_even(live, rules(qty_increment=D("0.1")))
    fine = status_rows.break_even(live, rules())
    assert coarse is not None and fine is not None and coarse > fine * D("1.9")
    assert status_rows.break_even(live, rules(qty_increment=D(1))) is None


def test_what_is_won_already_needs_no_price() -> None:
    won = holding(sold_qty=D("0.1"), sold_proceeds=D(50), sell_fee=D(1), quantity=D("0.0995"))
    assert status_rows.break_even(won, rules()) == 0
    assert valuation.spent(won) == -29


@pytest.mark.parametrize(
    ("columns", "more"),
    [
        ({"base_order_amount": D(3)}, {}),
        ({"asset_symbol": "BTC/EUR"}, {}),
        ({"lock_reason": "by hand"}, {}),
        ({}, {"market": Market(quotes={}, rules={})}),
        ({}, {"market": Market(quotes={}, rules={"BTC/USD": rules(tradable=False)})}),
        ({}, {"control": replace(CONTROL, mode=Mode.EXITS_ONLY)}),
        ({}, {"live": cycle(next_buy_at=NOW + timedelta(minutes=5), refusals=1)}),
    ],
)
def test_what_is_not_traded_is_not_bought_at_once(columns: dict[str, Any], more: dict[str, Any]) -> None:
    found = row(asset(**columns), **{"live": cycle(), **more})
    assert (found.buys_at_once, found.next_buy_price) == (False, None)


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
    ({"beat": beat(quotes_connected=False, last_quote_at=OLD)}, "quote stream is silent"),
    ({"beat": beat(not_traded={"BTC/USD": "no such pair"})}, "BTC/USD is not traded: no such pair"),
    ({"beat": beat(troubles=("clock wrong",))}, "clock is wrong"),
    ({"beat": beat(troubles=("loop settle",))}, "exchange does not answer"),
    ({"of": books(control=replace(CONTROL, mode=Mode.HALT))}, "Trading is limited: halt"),
    ({"disks": [Disk(folder="/", free=0, total=1)]}, "disk is nearly full"),
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


# ---- the last line -----------------------------------------------------------------------------------------


def last_line(**changes: Any) -> str:
    paper = io.StringIO()
    console = Console(width=100, file=paper)
    console.print(screen(overview(**changes), console))
    return paper.getvalue().strip().splitlines()[-1]


def test_all_is_well_is_earned() -> None:
    assert last_line() == "All is well."
    assert as_json(overview())["ok"] is True


PAUSE = Maintenance(until=NOW + timedelta(hours=1), who="bo", why="new disk")
YOUNG = NOW - timedelta(seconds=9)
UNEARNED: list[dict[str, Any]] = [
    {"maintenance": PAUSE},
    {"maintenance": PAUSE, "is_running": False},
    {"beat": beat(quotes_connected=False)},
    {"beat": beat(orders_connected=False, started_at=YOUNG)},
    {"beat": beat(started_at=YOUNG, last_settle_at=None)},
    {"market": Market(quotes={}, rules=None, trouble="down")},
    {"of": books(assets=[asset(is_enabled=False)])},
    {"of": books(assets=[], cycles={})},
    *(changes for changes, _ in STALE),
]


@pytest.mark.parametrize("changes", UNEARNED)
def test_all_is_not_well(changes: dict[str, Any]) -> None:
    assert "All is well" not in last_line(**changes)
    assert as_json(overview(**changes))["ok"] is False, "for programs too"


def test_the_screen_tells_whatever_mail_would() -> None:
    """One list of conditions for both."""
    seen = overview(
        of=books(
            assets=[asset(lock_reason="x"), asset(id=2, asset_symbol="ETH/USD")],
            cycles={2: holding(asset_id=2, refusals=1, problem="no", next_sell_at=NOW)},
            orders=[sent(created_at=NOW - timedelta(minutes=5))],
            control=replace(CONTROL, mode=Mode.EXITS_ONLY),
        ),
        beat=beat(
            last_quote_at=OLD,
            orders_connected=False,
            last_settle_at=OLD,
            troubles=("stream quotes late", "stream no quotes", "worker DatabaseUnavailable"),
            delays=(Delay(symbol="ETH/USD", action="sale", since=OLD, lasted_seconds=121, why="late"),),
            not_traded={"DOGE/USD": "no such pair"},
        ),
        disks=[Disk(folder="/", free=0, total=1)],
    )
    mailed = conditions.findings(seen.as_reviewed)
    told = staleness.troubles(seen)
    assert len(mailed) == len(told) == 13
    assert all((each.brief or each.subject) in told for each in mailed)
    for each in mailed:  # the queue of mails knows them by their names
        assert is_judged(each.name, MONEY) == (each.kind is IncidentKind.MONEY), each.name
