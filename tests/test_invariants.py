"""The invariants in production: each one planted in a real database is found, locked and mailed."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import consistency_checker
from dca import invariants
from dca.invariants import RULES
from dca.job import Job
from dca.model import CycleStatus, LockKind, Snapshot
from dca.records import Result
from dca.runtime import Context
from dca.settings import DatabaseSettings, EmailSettings, Settings
from dca.store import Transaction
from tests.builders import D
from tests.conftest import Server, connected
from tests.processes import eventually
from tests.rig import INSERT, SYMBOL, Rig
from tests.test_caretakers import Between, edit, take_away
from tests.test_settings import parsed

QUIET = timedelta(seconds=120)
NOBODY = EmailSettings(
    smtp_server="127.0.0.1", smtp_port=9, smtp_user=None, smtp_password=None, sender="a@b.c", receiver="d@e.f"
)
"""A mail server that does not answer: mails stay in their table."""


@dataclass
class Bench:
    """A rig with a second asset, and the checker as cron runs it."""

    rig: Rig
    settings: Settings

    def check(self, *, dry_run: bool = False, between: Callable[[], object] | None = None) -> Job:
        stopping = threading.Event() if between is None else Between(between)
        context = Context(name="consistency_checker", settings=self.settings, stopping=stopping)
        rig = self.rig
        job = Job(context=context, store=rig.store, clock=rig.clock, dry_run=dry_run, _broker=rig.exchange)
        consistency_checker.main(job)
        return job

    def reasons(self) -> list[str | None]:
        return [each.lock_reason for each in self.rig.store.transaction(lambda tx: tx.assets())]

    def mails(self) -> list[tuple[str, str]]:
        mails = self.rig.store.transaction(lambda tx: tx.unsent_mails())
        return [(mail.name, mail.body) for mail in mails if mail.name.startswith("break")]

    def accept(self) -> None:
        """What ./bot accept does where no coins are missing."""
        self.rig.clock.pass_seconds(1)
        now = self.rig.clock.now()

        def work(tx: Transaction) -> None:
            tx.unlock_asset(1)
            tx.insert_action("me", f"accept {SYMBOL}", SYMBOL, "seen", now)

        self.rig.store.transaction(work)

    def run_was_good(self) -> None:
        now = self.rig.clock.now()

        def work(tx: Transaction) -> None:
            run = tx.begin_run("consistency_checker", now)
            tx.end_run(run, Result.DONE, now, checked=1, changed=0, details=None)

        self.rig.store.transaction(work)


@pytest.fixture
def bench(database: DatabaseSettings, tmp_path: Path) -> Iterator[Bench]:
    rig = Rig(database)
    edit(rig, INSERT.replace("BTC/USD", "ETH/USD").rstrip(";\n"))
    rig.store.transaction(lambda tx: tx.insert_cycle(2, CycleStatus.WATCHING))
    whole = parsed(STATE_DIR=str(tmp_path), LOG_DIR=str(tmp_path))
    yield Bench(rig, replace(whole, database=database, email=NOBODY, gone_seconds=0.0))
    rig.close()


def settled(rig: Rig) -> None:
    rig.clock.pass_seconds(QUIET.total_seconds() + 1)


def filled(rig: Rig, price: str) -> None:
    """The order that a quote at this price places, filled and booked."""
    rig.look()
    rig.quote(price)
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price=price))


def one_cycle(rig: Rig) -> None:
    """Bought and sold: at the price that the fake exchange gives as its latest."""
    filled(rig, "98")
    filled(rig, "100")
    assert rig.cycle().status is CycleStatus.COOLDOWN


# ---- one of each, on a real database -----------------------------------------------------------------------


@dataclass(frozen=True)
class Plant:
    """`undo` puts right what `do` broke; without it only the operator's accept ends the lock."""

    number: str
    do: Callable[[Rig], None]
    says: str
    undo: Callable[[Rig], None] | None = None


def sql(*statements: str) -> Callable[[Rig], None]:
    return lambda rig: edit(rig, ";\n".join(statements))


def two_live_orders(rig: Rig) -> None:
    """The unique key is per asset, and this one is booked for the other asset."""
    filled(rig, "100")
    rig.quote("98")
    names = (
        "cycle_id, purpose, level, symbol, side, order_type, time_in_force, qty, limit_price, state,"
        " quote_price, quote_age_ms, base_order_amount, safety_order_amount, max_safety_orders,"
        " take_profit_percent, min_order_size, qty_increment, epoch, created_at, last_sent_at"
    )
    edit(
        rig,
        f"INSERT INTO dca_orders (asset_id, seq, client_order_id, {names})"
        f" SELECT 2, 9, 'dca-twice', {names} FROM dca_orders WHERE seq = 2",
    )


def ledger_ahead(rig: Rig) -> None:
    filled(rig, "100")
    rig.deposit("0.05")
    edit(rig, "UPDATE dca_orders SET filled_qty = 0.25")


def another_average(rig: Rig) -> None:
    filled(rig, "100")
    edit(rig, "UPDATE dca_orders SET filled_avg_price = 99.9")


def sold_too_much(rig: Rig) -> None:
    filled(rig, "100")
    rig.exchange.held[SYMBOL] = Decimal(0)
    names = (
        "asset_id, cycle_id, symbol, time_in_force, state, quote_price, quote_age_ms, base_order_amount,"
        " safety_order_amount, max_safety_orders, take_profit_percent, min_order_size, qty_increment, epoch,"
        " created_at, last_sent_at, closed_at"
    )
    edit(
        rig,
        "INSERT INTO dca_orders (seq, client_order_id, purpose, side, order_type, qty, filled_qty,"
        f" filled_avg_price, filled_value, fee_source, {names})"
        f" SELECT 2, 'dca-sold', 'outside', 'sell', 'market', 0.3, 0.3, 100, 30, 'position', {names}"
        " FROM dca_orders",
    )


def coins_missing(rig: Rig) -> None:
    filled(rig, "100")
    take_away(rig, "0.05")


def small_budget(rig: Rig) -> None:
    filled(rig, "100")
    edit(rig, "UPDATE dca_orders SET base_order_amount = 19")


def safety_budget(rig: Rig) -> None:
    filled(rig, "100")
    filled(rig, "98")
    edit(rig, "UPDATE dca_orders SET safety_order_amount = 19")


def level_twice(rig: Rig) -> None:
    for price in ("100", "98", "96"):
        filled(rig, price)
    edit(rig, "UPDATE dca_orders SET level = 1 WHERE purpose = 'safety'")


def one_safety_order_too_many(rig: Rig) -> None:
    for price in ("100", "98", "96"):
        filled(rig, price)
    edit(rig, "UPDATE dca_orders SET max_safety_orders = 1 WHERE level = 2")


def ended_with_a_live_order(rig: Rig) -> None:
    one_cycle(rig)
    edit(rig, "UPDATE dca_orders SET state = 'acked', closed_at = NULL WHERE seq = 2")
    rig.exchange.hidden_until = rig.clock.now() + timedelta(days=1)


def visible_again(rig: Rig) -> None:
    rig.exchange.hidden_until = None


def one_of_them_was_void(rig: Rig) -> None:
    edit(rig, "UPDATE dca_orders SET state = 'void' WHERE seq = 9")
    rig.exchange.fill(rig.orders()[1].client_order_id, price="98")


def unknown_there(rig: Rig) -> None:
    filled(rig, "100")
    del rig.exchange.orders[rig.last_id()]


def only_there(rig: Rig) -> None:
    filled(rig, "100")
    ours = rig.exchange.orders[rig.last_id()]
    lost = replace(ours, client_order_id=f"{rig.desk.prefix}9-1-b", exchange_order_id="lost")
    rig.exchange.orders[lost.client_order_id] = lost


PLANTS = (
    Plant("I01", two_live_orders, "cycle 1 has 2 live orders: ", one_of_them_was_void),
    Plant(
        "I05",
        ledger_ahead,
        "the ledger has 0.25 filled, the exchange 0.2",
        sql("UPDATE dca_orders SET filled_qty = 0.2"),
    ),
    Plant(
        "I06",
        another_average,
        "the ledger has an average price of 99.9, the exchange 100",
        sql("UPDATE dca_orders SET filled_avg_price = 100"),
    ),
    Plant(
        "I07",
        sql("UPDATE dca_cycles SET quantity = 3, average_purchase_price = 100 WHERE id = 1"),
        "cycle 1 says it holds 3, and no order of it is known",
        sql("UPDATE dca_cycles SET quantity = 0, average_purchase_price = 0 WHERE id = 1"),
    ),
    Plant(
        "I08",
        sold_too_much,
        "bought 0.1995 net of fees, sold 0.3 and offers 0: 0.1005 too many (dca-sold done 0.3 of 0.3)",
    ),
    Plant(
        "I09",
        coins_missing,
        "the account holds 0.1495, the ledger 0.1995: 0.05 are missing",
        lambda rig: rig.deposit("0.05"),
    ),
    Plant("I11", small_budget, "cycle 1 spent 20.00 dollars for base orders, 19.00 are allowed"),
    Plant("I11", safety_budget, "dollars for safety order 1, 19.00 are allowed"),
    Plant("I12", level_twice, "level 1 of cycle 1 was filled by 2 orders"),
    Plant("I12", one_safety_order_too_many, "is safety order 2, 1 were allowed"),
    Plant(
        "I13",
        sql(
            "ALTER TABLE dca_cycles DROP KEY asset_id_has_one_live_cycle",
            "INSERT INTO dca_cycles (asset_id, status) VALUES (1, 'cooldown')",
        ),
        "BTC/USD has 2 live cycles: cycle 1 (watching), cycle 3 (cooldown)",
        sql("DELETE FROM dca_cycles WHERE id = 3"),
    ),
    Plant("I14", ended_with_a_live_order, "cycle 1 is complete with ", visible_again),
    Plant("I30", unknown_there, "and is unknown there now"),
    Plant("I30", only_there, "is not in the ledger (an older backup?)"),
)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: f"{plant.number} {plant.do.__name__}")
def test_what_is_planted_is_found_locked_mailed_and_ends(
    bench: Bench, plant: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    plant.do(bench.rig)
    settled(bench.rig)
    bench.check(dry_run=True)
    assert bench.reasons() == [None, None], "a dry run only says it"
    bench.check()
    reason, other = bench.reasons()
    assert reason is not None and plant.says in reason
    assert invariants.numbers(reason) == [plant.number], "and nothing else"
    assert bench.rig.asset().lock_kind is LockKind.BREAK
    assert other is None, "the other asset trades on"
    assert [line for line in caplog.messages if line.startswith(f"invariant {SYMBOL} - {plant.number} ")]
    ((name, body),) = bench.mails()
    assert name == f"break {SYMBOL}"
    assert plant.says in body
    assert f"Against {plant.number}: {RULES[plant.number]}." in body
    assert f"./bot accept {SYMBOL}" in body and f"./bot why {SYMBOL}" in body
    bench.run_was_good()
    settled(bench.rig)
    assert bench.check().changed == 0, "it lasts, and is not locked twice"
    assert bench.reasons() == [reason, None]
    if plant.undo is None:
        bench.accept()
    else:
        plant.undo(bench.rig)
    bench.check()
    assert bench.reasons() == [None, None]
    settled(bench.rig)
    assert bench.check().changed == 0


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


def test_two_days_of_orders_are_compared_once_an_hour_and_while_something_is_locked(bench: Bench) -> None:
    """Each page of them is a request, and a run has sixteen (F28)."""
    rig = bench.rig
    asked: list[timedelta] = []
    list_closed = rig.exchange.closed_orders

    def counted(submitted_after: datetime) -> list[Snapshot]:
        asked.append(rig.clock.now() - submitted_after)
        return list_closed(submitted_after)

    rig.exchange.closed_orders = counted  # type: ignore[method-assign]
    rig.clock.pass_seconds(-rig.clock.now().timestamp() % 3600)  # a full hour
    for seconds in (0, 300, 3000, 300):
        rig.clock.pass_seconds(seconds)
        bench.check()
    days, hours = timedelta(days=2), timedelta(hours=2)
    assert asked == [days, hours, hours, days]
    edit(
        rig,
        "UPDATE dca_assets SET lock_reason = 'x', lock_kind = 'break', locked_at = UTC_TIMESTAMP(6)",
    )
    bench.check()
    assert min(asked[4:]) >= days


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


def test_a_ghost_is_told_when_it_turns_up_and_not_again(bench: Bench) -> None:
    """What it bought is beyond what was meant, by its nature."""
    small_budget(bench.rig)
    edit(bench.rig, "UPDATE dca_orders SET state = 'ghost'")
    settled(bench.rig)
    assert bench.check().changed == 0
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
