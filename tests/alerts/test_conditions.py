"""What counts as wrong, and what could not be judged."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dca.alerts import conditions
from dca.alerts.conditions import MEGABYTE, Books, Disk, Look
from dca.core import strategy
from dca.core.model import Control, Cycle, LockKind, Mode, OrderState
from dca.core.operations import Finding, IncidentKind, JobRun, Mail, Result
from dca.runtime.heartbeat import Beat, Hurdle
from dca.runtime.maintenance import Maintenance
from tests.builders import NOW, D, asset, cycle, holding, order

MINUTE = timedelta(minutes=1)
UPKEEP = Maintenance(until=NOW + timedelta(hours=1), who="me", why="a new disk")


def books(**changes: Any) -> Books:
    values: dict[str, Any] = {
        "control": Control(install_id="abcd1234", account_id="a", epoch=1, mode=Mode.RUN),
        "assets": [asset()],
        "cycles": [cycle()],
        "orders": [],
        "good_runs": {name: run(name, 1) for name in conditions.PERIODS},
        "run_starts": [NOW - minute * MINUTE for minute in range(30, 0, -1)],
    }
    return Books(**{**values, **changes})


def run(name: str, minutes_ago: float) -> JobRun:
    at = NOW - minutes_ago * MINUTE
    return JobRun(id=1, job=name, started_at=at, ended_at=at, result=Result.DONE)


def beat(**changes: Any) -> Beat:
    default = Beat(
        pid=1,
        started_at=NOW - timedelta(hours=1),
        beat_at=NOW - timedelta(seconds=2),
        epoch=1,
        slowest_worker_seconds=0,
        last_settle_at=NOW - timedelta(seconds=3),
        quotes_connected=True,
        last_quote_at=NOW - timedelta(seconds=4),
        orders_connected=True,
        last_order_update_at=None,
        troubles=(),
    )
    return replace(default, **changes)


def look(**changes: Any) -> Look:
    values: dict[str, Any] = {
        "now": NOW,
        "books": books(),
        "beat": beat(),
        "disks": [Disk(folder="/x", free=50_000 * MEGABYTE, total=100_000 * MEGABYTE)],
    }
    return Look(**{**values, **changes})


def names(found: Sequence[Finding]) -> list[str]:
    return [each.name for each in found]


def only(found: Sequence[Finding], name: str) -> Finding:
    assert names(found) == [name]
    return found[0]


def test_where_all_is_well_nothing_is_found_and_all_is_judged() -> None:
    assert conditions.findings(look()) == []
    assert set(conditions.judged(look())) == {
        *(
            "database down",
            "break",
            "crash",
            "gone",
            "outcome unknown",
            "refused",
            "late order",
            "kill switch",
        ),
        *("caretaker overdue", "exchange down", "quote stream silent", "order stream silent", "disk full"),
        *("pairs without quotes", "delayed", "clock wrong", "quotes late", "not settled", "not traded"),
        *("mail stuck", "start refused"),
    }


# ---- money -------------------------------------------------------------------------------------------------


def test_a_break_has_the_numbers_and_the_commands() -> None:
    locked = asset(lock_reason="holds 0.1, the books say 0.2", lock_kind=LockKind.BREAK, locked_at=NOW)
    found = only(conditions.findings(look(books=books(assets=[locked], cycles=[holding()]))), "break BTC/USD")
    assert found.kind is IncidentKind.MONEY
    for text in (
        "holds 0.1, the books say 0.2",
        "0.1995",
        "average of 100",
        "./bot why BTC/USD",
        "./bot accept BTC/USD",
        "2026-01-02 03:04:05 UTC",
    ):
        assert text in found.evidence


def test_a_crash_is_another_thing() -> None:
    locked = asset(lock_reason="died over it", lock_kind=LockKind.CRASH)
    found = only(conditions.findings(look(books=books(assets=[locked]))), "crash BTC/USD")
    assert "./bot resume BTC/USD" in found.evidence and "accept" not in found.evidence


@pytest.mark.parametrize(("seconds", "is_found"), [(60, False), (61, True)])
def test_an_outcome_that_is_unknown_for_over_a_minute(seconds: int, is_found: bool) -> None:
    at = NOW - timedelta(seconds=seconds)
    sent = order(created_at=at, last_sent_at=at)
    assert names(conditions.findings(look(books=books(orders=[sent])))) == (
        ["outcome unknown BTC/USD"] if is_found else []
    )


def test_sending_it_again_does_not_make_it_known() -> None:
    sent = order(created_at=NOW - 5 * MINUTE, last_sent_at=NOW)
    found = only(conditions.findings(look(books=books(orders=[sent]))), "outcome unknown BTC/USD")
    assert sent.client_order_id in found.evidence


def test_a_refusal() -> None:
    refused = cycle(refusals=2, problem="403 insufficient balance", next_buy_at=NOW + 5 * MINUTE)
    found = only(conditions.findings(look(books=books(cycles=[refused]))), "refused BTC/USD")
    assert "403 insufficient balance" in found.evidence and "2 times" in found.evidence
    assert "03:09:05 UTC" in found.evidence
    assert conditions.findings(look(books=books(cycles=[replace(refused, refusals=0)]))) == []


def over_or_not(refused: Cycle, asset_changes: dict[str, Any], mode: Mode = Mode.RUN) -> bool:
    control = replace(books().control, mode=mode)
    seen = look(books=books(assets=[asset(**asset_changes)], cycles=[refused], control=control))
    return "refused BTC/USD" not in names(conditions.findings(seen))


def test_a_refusal_is_over_when_nobody_wants_that_order_any_more() -> None:
    """A lasting incident on a disabled asset: nothing would ever try again, and so nothing would end it."""
    buy = holding(refusals=2, problem="403", next_buy_at=NOW + 5 * MINUTE)
    sell = holding(refusals=2, problem="403", next_sell_at=NOW + MINUTE)
    assert not over_or_not(buy, {}) and not over_or_not(sell, {})
    assert over_or_not(buy, {"is_enabled": False})
    assert not over_or_not(sell, {"is_enabled": False}), "what is held is still to be sold"
    assert over_or_not(buy, {}, Mode.EXITS_ONLY) and not over_or_not(sell, {}, Mode.EXITS_ONLY)
    assert over_or_not(sell, {}, Mode.HALT)
    assert over_or_not(replace(sell, quantity=D(0)), {})
    assert over_or_not(replace(buy, exit_requested_at=NOW), {})
    gone = replace(buy, next_buy_at=NOW - 11 * MINUTE)
    assert over_or_not(gone, {}), "its pause is over, and it was not tried again: the price has gone"


def test_what_lasts_ends_with_the_cycles_it_was_about() -> None:
    """Nothing is subscribed where no asset has a cycle: then no quote is missed."""
    mute = beat(last_quote_at=NOW - timedelta(hours=1))
    only(conditions.findings(look(beat=mute)), "quote stream silent")
    assert conditions.findings(look(beat=mute, books=books(cycles=[]))) == []
    assert conditions.findings(look(beat=replace(mute, pairs=0))) == []
    off = replace(mute, pairs=0, quotes_connected=False)
    assert conditions.findings(look(beat=off)) == []


@pytest.mark.parametrize(("tries", "minutes", "is_found"), [(1, 11, True), (0, 59, False), (3, 9, False)])
def test_mail_that_the_server_does_not_take(tries: int, minutes: int, is_found: bool) -> None:
    """One that waits for the budget was not tried; one that was refused a moment ago is tried again."""
    at = NOW - minutes * MINUTE
    mail = Mail(id=1, name="x", subject="s", body="b", created_at=at, tries=tries, last_error="535 no")
    found = conditions.findings(look(books=books(unsent=[mail])))
    assert names(found) == (["mail stuck"] if is_found else [])
    assert not found or ("535 no" in found[0].evidence and "./bot test-email" in found[0].evidence)


def test_orders_in_flight_that_cannot_be_settled() -> None:
    late = beat(last_settle_at=NOW - timedelta(seconds=61))
    only(conditions.findings(look(beat=late)), "not settled")
    only(conditions.findings(look(beat=replace(late, troubles=("loop settle",)))), "exchange down")


def test_a_row_that_can_never_trade() -> None:
    why = "; ".join(strategy.asset_problems(asset(base_order_amount=D(5)), None))
    found = only(conditions.findings(look(beat=beat(not_traded={"BTC/USD": why}))), "not traded BTC/USD")
    assert "no such pair" in found.evidence
    for remedy in ("./bot set BTC/USD --base 10.5", "./bot remove BTC/USD", "./bot disable BTC/USD"):
        assert remedy in found.evidence


@pytest.mark.parametrize(
    "status", ["pending_cancel", "pending_replace", "held", "done_for_day", "pending_new"]
)
def test_F89_an_order_that_waits_for_the_exchange_for_a_quarter_of_an_hour(status: str) -> None:
    acked = order(state=OrderState.ACKED, exchange_status=status, last_sent_at=NOW - 15 * MINUTE)
    assert conditions.findings(look(books=books(orders=[acked]))) == []
    late = replace(acked, last_sent_at=NOW - 16 * MINUTE)
    found = only(conditions.findings(look(books=books(orders=[late]))), "late order BTC/USD")
    assert status in found.evidence


def test_F89_a_cancel_that_does_not_come_about() -> None:
    asked = order(
        state=OrderState.CANCEL_REQUESTED,
        exchange_status="new",
        created_at=NOW - timedelta(hours=9),
        last_sent_at=NOW - timedelta(hours=9),
        cancel_requested_at=NOW - 14 * MINUTE,
    )
    assert conditions.findings(look(books=books(orders=[asked]))) == []
    late = replace(asked, cancel_requested_at=NOW - 16 * MINUTE)
    only(conditions.findings(look(books=books(orders=[late]))), "late order BTC/USD")


def test_an_open_order_may_stay_open() -> None:
    acked = order(state=OrderState.ACKED, exchange_status="new", last_sent_at=NOW - timedelta(days=1))
    assert conditions.findings(look(books=books(orders=[acked]))) == []


# ---- health ------------------------------------------------------------------------------------------------


def test_no_quotes_for_two_minutes() -> None:
    quiet = beat(last_quote_at=NOW - timedelta(seconds=119))
    assert conditions.findings(look(beat=quiet)) == []
    mute = replace(quiet, last_quote_at=NOW - timedelta(seconds=121))
    only(conditions.findings(look(beat=mute)), "quote stream silent")
    assert conditions.findings(look(beat=mute, books=books(assets=[], cycles=[]))) == []


def test_streams_that_are_not_connected() -> None:
    off = beat(quotes_connected=False, orders_connected=False, last_quote_at=NOW - timedelta(seconds=61))
    assert names(conditions.findings(look(beat=off))) == ["quote stream silent", "order stream silent"]
    young = replace(off, started_at=NOW - timedelta(seconds=20), last_quote_at=None)
    assert conditions.findings(look(beat=young)) == []


@pytest.mark.parametrize(
    "silent",
    [
        {"beat": None},
        {"beat": beat(beat_at=NOW - 2 * MINUTE, quotes_connected=False, orders_connected=False)},
        {"beat": beat(quotes_connected=False, orders_connected=False), "maintenance": UPKEEP},
    ],
    ids=["none", "stale", "maintenance"],
)
def test_without_a_heartbeat_to_go_by_streams_are_not_judged(silent: dict[str, Any]) -> None:
    seen = look(**silent)
    assert conditions.findings(seen) == []
    assert not {"quote stream silent", "order stream silent", "exchange down"} & {*conditions.judged(seen)}


def test_an_exchange_that_does_not_answer_main_app() -> None:
    for trouble in ("worker ExchangeUnavailable", "loop settle"):
        found = only(conditions.findings(look(beat=beat(troubles=(trouble,)))), "exchange down")
        assert trouble in found.evidence and "03:04:02 UTC" in found.evidence
    only(conditions.findings(look(beat=beat(troubles=("worker DatabaseUnavailable",)))), "database down")


def test_a_main_app_that_waits_at_its_start_while_the_database_answers() -> None:
    silent = {"quotes_connected": False, "orders_connected": False, "waiting_why": "because of it"}
    for hurdle, name in (
        (Hurdle.EXCHANGE, "exchange down"),
        (Hurdle.DATABASE, "database down"),
        (Hurdle.KEYS, "keys refused"),
        (Hurdle.SCHEMA, "start refused"),
        (Hurdle.OTHER, "start refused"),
    ):
        waiting = beat(troubles=("start waiting",), waiting_for=hurdle, **silent)
        found = only(conditions.findings(look(beat=waiting)), name)
        assert "because of it" in found.evidence
        assert "quote stream silent" not in conditions.judged(look(beat=waiting))
    waiting = beat(troubles=("start waiting",), waiting_for=Hurdle.DATABASE, **silent)
    assert names(conditions.findings(look(beat=waiting, books=None))) == ["database down"]
    stale = beat(waiting_for=Hurdle.KEYS, beat_at=NOW - 2 * MINUTE)
    assert "start refused" not in conditions.judged(look(beat=stale))
    assert conditions.findings(look(beat=stale)) == []
    refused = look(books=None, database_trouble="database: no column", refusal="run ./bot migrate")
    assert "run ./bot migrate" in only(conditions.findings(refused), "start refused").evidence


def test_without_a_database_nothing_of_it_is_judged() -> None:
    blind = look(books=None, database_trouble="database: connection refused")
    found = only(conditions.findings(blind), "database down")
    assert "connection refused" in found.evidence
    assert not {*conditions.MONEY_NAMES, "kill switch", "caretaker overdue"} & {*conditions.judged(blind)}


def test_a_caretaker_is_overdue_after_three_periods_and_ten_minutes_at_least() -> None:
    for name, limit in (("order_manager", 10), ("consistency_checker", 15)):
        for minutes, late in ((limit - 1, False), (limit + 1, True)):
            runs = {**books().good_runs, name: run(name, minutes)}
            found = conditions.findings(look(books=books(good_runs=runs)))
            assert names(found) == ([f"caretaker overdue {name}"] if late else []), (name, minutes)


def test_a_caretaker_that_never_ran_counts_once_the_others_have_run_long_enough() -> None:
    runs = {name: each for name, each in books().good_runs.items() if name != "watchdog"}
    early = books(good_runs=runs, run_starts=[NOW - 9 * MINUTE, NOW - MINUTE])
    assert conditions.findings(look(books=early)) == []
    only(conditions.findings(look(books=books(good_runs=runs))), "caretaker overdue watchdog")


def test_a_machine_that_was_off_is_no_fault_of_the_caretakers() -> None:
    runs = {name: run(name, 500) for name in conditions.PERIODS}
    assert conditions.findings(look(books=books(good_runs=runs, run_starts=[NOW - MINUTE]))) == []


def test_during_maintenance_caretakers_are_not_judged() -> None:
    seen = look(books=books(good_runs={}), maintenance=UPKEEP)
    assert conditions.findings(seen) == []
    assert "caretaker overdue" not in conditions.judged(seen)


@pytest.mark.parametrize(
    ("free", "total", "is_full"),
    [(499, 1000, True), (501, 1000, False), (900, 20_000, True), (1100, 20_000, False), (6000, 10**6, False)],
)
def test_a_disk(free: int, total: int, is_full: bool) -> None:
    disk = Disk(folder="/logs", free=free * MEGABYTE, total=total * MEGABYTE)
    found = conditions.findings(look(disks=[disk]))
    assert names(found) == (["disk full"] if is_full else [])
    if is_full:
        assert f"/logs: {free} MB of {total} MB" in found[0].evidence
    assert "disk full" not in conditions.judged(look(disks=None))


@pytest.mark.parametrize("mode", [Mode.EXITS_ONLY, Mode.HALT])
def test_the_kill_switch(mode: Mode) -> None:
    control = replace(books().control, mode=mode, mode_reason="me: holidays")
    found = only(conditions.findings(look(books=books(control=control))), "kill switch")
    assert found.kind is IncidentKind.HEALTH
    assert "me: holidays" in found.evidence and "./bot resume" in found.evidence


def test_all_texts_are_short_and_have_a_remedy() -> None:
    locked = asset(lock_reason="x", lock_kind=LockKind.BREAK)
    seen = look(
        books=books(
            assets=[locked],
            cycles=[holding(refusals=1, problem="no", next_sell_at=NOW)],
            orders=[order(created_at=NOW - 5 * MINUTE)],
            good_runs={},
            control=replace(books().control, mode=Mode.EXITS_ONLY),
        ),
        beat=beat(
            quotes_connected=False, last_quote_at=None, orders_connected=False, troubles=("loop settle",)
        ),
        disks=[Disk(folder="/", free=0, total=1)],
    )
    found = conditions.findings(seen)
    assert len(found) == len({*names(found)}) == 3 + 1 + 4 + 2 + 1 + 1
    for each in found:
        assert len(each.name) <= 60 and len(each.subject) <= 80
        assert "./bot" in each.evidence or "make room" in each.evidence, each.name
