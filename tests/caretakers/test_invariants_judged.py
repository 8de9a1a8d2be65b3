"""The invariants in production: what must not be taken for a violation, and which cycles are looked at."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

from dca.caretakers.exchange_lists import spans
from dca.core import invariants
from dca.core.model import CycleStatus
from dca.database.store import Transaction
from dca.runtime.settings import DatabaseSettings
from tests import checking
from tests.builders import D
from tests.caring import edit, take_away
from tests.checking import (
    QUIET,
    Bench,
    another_average,
    filled,
    one_cycle,
    settled,
    small_budget,
    visible_again,
)
from tests.conftest import Server, connected
from tests.processes import eventually
from tests.rig import Rig

bench = checking.bench  # a fixture: an import would clash with arguments


# ---- what must not be taken for one ------------------------------------------------------------------------


def test_what_ended_just_now_is_compared_at_a_later_run(bench: Bench) -> None:
    """A list, or the stream, may be some time behind."""
    another_average(bench.rig)
    unknown = replace(bench.rig.exchange.orders[bench.rig.last_id()], filled_qty=D("0.1"))
    bench.rig.exchange.orders[bench.rig.last_id()] = unknown
    bench.rig.clock.pass_seconds(QUIET.total_seconds())
    bench.check()
    assert bench.reasons() == [None, None]
    bench.rig.clock.pass_seconds(1)
    bench.check()
    assert invariants.numbers(bench.reasons()[0] or "") == ["I05"]


def test_a_difference_that_is_gone_at_the_second_look_is_none(bench: Bench) -> None:
    another_average(bench.rig)
    settled(bench.rig)
    bench.check(between=lambda: edit(bench.rig, "UPDATE dca_orders SET filled_avg_price = 100"))
    assert bench.reasons() == [None, None]


def test_another_difference_at_each_look_is_none_either(bench: Bench) -> None:
    another_average(bench.rig)
    settled(bench.rig)

    def instead() -> None:
        edit(bench.rig, "UPDATE dca_orders SET filled_avg_price = 100")
        take_away(bench.rig, "0.05")

    bench.check(between=instead)
    assert bench.reasons() == [None, None]
    bench.check()
    assert invariants.numbers(bench.reasons()[0] or "") == ["I09"]


def test_an_order_that_a_list_has_not_is_asked_for_before_anything_is_said(bench: Bench) -> None:
    filled(bench.rig, "100")
    settled(bench.rig)
    name = bench.rig.last_id()
    bench.rig.exchange.orders[name] = replace(bench.rig.exchange.orders[name], created_at=None)  # not listed
    assert bench.check().changed == 0
    assert bench.reasons() == [None, None]


def test_nothing_of_an_asset_in_flight_is_compared(bench: Bench) -> None:
    another_average(bench.rig)
    settled(bench.rig)
    for _ in range(2):  # at the first the row is computed anew
        bench.rig.look()
        bench.rig.quote("98")
    bench.check()
    assert bench.rig.cycle().status is CycleStatus.BUYING
    assert bench.reasons() == [None, None]


def test_F73_a_fill_after_its_end_that_nobody_told_of_is_booked(bench: Bench) -> None:
    rig = bench.rig
    rig.quote("100")
    name = rig.last_id()
    rig.exchange.fill(name, qty="0.1")
    rig.trader.books.book(rig.exchange.end(name))
    rig.exchange.orders[name] = replace(rig.exchange.fill(name, qty="0.15"), status="canceled")
    settled(rig)
    assert bench.check(dry_run=True).changed == 1
    assert bench.check().changed == 1
    assert rig.orders()[0].filled_qty == D("0.15")
    assert rig.cycle().quantity == D("0.149625")
    assert bench.reasons() == [None, None]


def test_two_days_of_orders_are_compared_once_an_hour(bench: Bench) -> None:
    """Each page of them is a request, and a run has sixteen (F28)."""
    rig, asked = bench.rig, []
    to_the_hour(rig)
    for seconds in (0, 300, 3000, 300):
        rig.clock.pass_seconds(seconds)
        bench.check()
        asked.append(rig.clock.now() - rig.exchange.lists[-1][0])
    days, hours = timedelta(days=2), timedelta(hours=2)
    assert asked == [days, hours, hours, days]


def test_a_lock_does_not_end_because_the_order_behind_it_has_grown_old(bench: Bench) -> None:
    """And what was sent since is not listed: more pages than a run has requests for."""
    rig = bench.rig
    another_average(rig)
    settled(rig)
    bench.check()
    locked_at = rig.clock.now()
    rig.clock.pass_seconds(30 * 86400)
    to_the_hour(rig)
    rig.clock.pass_seconds(600)
    rig.exchange.lists.clear()
    bench.check()
    assert set(rig.exchange.lists) == set(spans([locked_at], rig.clock.now() - timedelta(hours=2)))
    assert invariants.numbers(bench.reasons()[0] or "") == ["I06"]
    edit(rig, "UPDATE dca_orders SET filled_avg_price = 100")
    bench.check()
    assert bench.reasons() == [None, None]


def test_behind_an_old_lock_an_order_that_the_exchange_denies_is_still_missed(bench: Bench) -> None:
    rig = bench.rig
    filled(rig, "100")
    settled(rig)
    rig.exchange.hidden_until = rig.clock.now() + timedelta(days=365)
    rig.exchange.orders, hidden = {}, rig.exchange.orders
    bench.check()
    assert invariants.numbers(bench.reasons()[0] or "") == ["I30"]
    rig.clock.pass_seconds(30 * 86400)
    bench.check()
    assert invariants.numbers(bench.reasons()[0] or "") == ["I30"]
    rig.exchange.orders, rig.exchange.hidden_until = hidden, None
    bench.check()
    assert bench.reasons() == [None, None]


def to_the_hour(rig: Rig) -> None:
    rig.clock.pass_seconds(-rig.clock.now().timestamp() % 3600)


def test_an_accepted_order_that_the_exchange_denies_twice_is_told(bench: Bench) -> None:
    rig = bench.rig
    rig.quote("100")
    rig.exchange.hidden_until = rig.clock.now() + timedelta(days=1)
    rig.clock.pass_seconds(119)
    bench.check()
    rig.clock.pass_seconds(1)
    bench.check(between=lambda: visible_again(rig))
    assert bench.reasons() == [None, None]
    rig.exchange.hidden_until = rig.clock.now() + timedelta(days=1)
    bench.check()
    assert invariants.numbers(bench.reasons()[0] or "") == ["I30"]
    visible_again(rig)
    rig.exchange.fill(rig.last_id())
    bench.check()
    assert bench.reasons() == [None, None]


def _somebody_waits(server: Server) -> bool:
    time.sleep(0.15)  # the server makes this table anew only if nobody has read it for 0.1 s
    rows = server.run("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")
    return bool(rows[0][0])


def test_a_write_of_ours_is_waited_for_and_never_seen_by_halves(
    bench: Bench, database: DatabaseSettings, server: Server
) -> None:
    """As main_app writes it: the cycle's row locked first, then its order, then the row. What looks wrong at
    a glance is judged by what it has come to under the lock."""
    rig = bench.rig
    filled(rig, "100")
    filled(rig, "98")
    checking = threading.Thread(target=bench.check, daemon=True)
    person = connected(database)
    try:
        with person.cursor() as cursor:
            cursor.execute("UPDATE dca_orders SET max_safety_orders = 0 WHERE purpose = 'safety'")
            cursor.execute("START TRANSACTION")
            cursor.execute("SELECT id FROM dca_cycles WHERE id = 1 FOR UPDATE")
            cursor.fetchall()
            checking.start()
            eventually(lambda: _somebody_waits(server))
            cursor.execute("UPDATE dca_orders SET max_safety_orders = 3 WHERE purpose = 'safety'")
            cursor.execute("COMMIT")
    finally:
        person.close()
        checking.join(30)
    assert bench.reasons() == [None, None]


def test_a_ghost_waits_for_a_word_and_is_in_no_budget(bench: Bench) -> None:
    """What it bought is beyond what was meant, by its nature."""
    small_budget(bench.rig)
    edit(bench.rig, "UPDATE dca_orders SET state = 'ghost'")
    settled(bench.rig)
    bench.check()
    assert invariants.numbers(bench.reasons()[0] or "") == ["I31"]
    edit(bench.rig, "UPDATE dca_orders SET decided_at = '2026-01-02'")
    bench.check()
    assert bench.reasons() == [None, None]


def test_a_lock_tells_what_is_so_now(bench: Bench) -> None:
    small_budget(bench.rig)
    take_away(bench.rig, "0.05")
    edit(bench.rig, "UPDATE dca_orders SET base_order_amount = 20")
    bench.check()
    assert invariants.numbers(bench.reasons()[0] or "") == ["I09"]
    edit(bench.rig, "UPDATE dca_orders SET base_order_amount = 19")
    bench.rig.deposit("0.05")
    bench.check()
    assert invariants.numbers(bench.reasons()[0] or "") == ["I11"], "not unlocked: ours is wrong in itself"


def test_a_lock_by_hand_or_after_crashes_is_left_as_it_is(bench: Bench) -> None:
    small_budget(bench.rig)
    edit(bench.rig, "UPDATE dca_assets SET lock_reason = 'mine' WHERE id = 1")
    assert bench.check().changed == 0
    edit(bench.rig, "UPDATE dca_assets SET lock_kind = 'crash' WHERE id = 1")
    assert bench.check().changed == 0
    assert bench.reasons() == ["mine", None]


# ---- which cycles ------------------------------------------------------------------------------------------


def test_ended_cycles_are_looked_at_once_after_their_end(bench: Bench) -> None:
    rig = bench.rig
    one_cycle(rig)
    rig.clock.pass_seconds(300)
    bench.run_was_good()
    rig.clock.pass_seconds(300)
    edit(rig, "UPDATE dca_orders SET base_order_amount = 19")
    assert bench.check().changed == 0, "it ended before the last good run"
    edit(rig, "DELETE FROM job_runs")
    bench.check()
    assert "cycle 1 spent 20.00 dollars for base orders" in (bench.reasons()[0] or "")
    assert bench.reasons()[1] is None


def test_what_a_good_run_locked_for_is_not_forgotten_after_it(bench: Bench) -> None:
    rig = bench.rig
    bench.run_was_good()
    one_cycle(rig)
    rig.clock.pass_seconds(300)
    edit(rig, "UPDATE dca_orders SET base_order_amount = 19")
    bench.run_was_good()  # began now, and locks some moments later
    edit(rig, "UPDATE job_runs SET result = NULL WHERE id = 2")
    rig.clock.pass_seconds(2)
    bench.check()
    assert bench.reasons()[0] is not None
    edit(rig, "UPDATE job_runs SET result = 'done' WHERE id = 2")
    for _ in range(2):
        rig.clock.pass_seconds(300)
        assert bench.check().changed == 0
        assert bench.reasons()[0] is not None
        bench.run_was_good()


def test_ended_rows_that_their_orders_explain_are_computed_anew(bench: Bench) -> None:
    one_cycle(bench.rig)
    right = bench.rig.store.transaction(lambda tx: tx.cycle(1))
    edit(bench.rig, "UPDATE dca_cycles SET sold_proceeds = 77, safety_orders = 5 WHERE id = 1")
    assert bench.check(dry_run=True).changed == 1
    assert bench.check().changed == 1
    ended = bench.rig.store.transaction(lambda tx: tx.cycle(1))
    assert replace(ended, version=right.version) == right
    assert bench.reasons() == [None, None]


def test_a_cycle_from_before_the_ledger_is_not_judged(bench: Bench) -> None:
    now = f"{bench.rig.clock.now():%Y-%m-%d %H:%M:%S}"
    edit(
        bench.rig,
        "INSERT INTO dca_cycles (asset_id, status, quantity, average_purchase_price, completed_at)"
        f" VALUES (1, 'complete', 1, 100, '{now}')",
    )
    assert bench.check().changed == 0
    assert bench.reasons() == [None, None]


def test_history_costs_nothing(bench: Bench) -> None:
    """Rows read by the engine, not time."""
    rig = bench.rig
    edit(
        rig,
        "INSERT INTO dca_cycles (asset_id, status, completed_at)"
        " SELECT 1, 'error', '2025-01-01' + INTERVAL seq MINUTE FROM seq_1_to_20000",
    )
    since = rig.clock.now() - timedelta(days=30)

    def reads(tx: Transaction) -> int:
        rows = tx._rows("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(row["Value"]) for row in rows)

    def work(tx: Transaction) -> int:
        before = reads(tx)
        assert tx.ended_cycles(1, since) == []
        tx.last_done_run_at("consistency_checker", since)
        return reads(tx) - before

    assert rig.store.transaction(work) < 200
