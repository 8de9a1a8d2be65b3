"""Faults of the catalogue (docs/faults.md) that the database brings, each by its number; on a real server."""

import contextlib
import os
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import cooldown_manager
import order_manager
from dca.core.errors import DatabaseUnavailable
from dca.core.model import CycleStatus, OrderState
from dca.database.store import Store, Transaction
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import DatabaseSettings
from dca.trading.trader import Trader
from tests.caring import check, edit, run, sold
from tests.conftest import Server, connected
from tests.database.test_store import Kill, cycle_of
from tests.operator.test_holding import bot
from tests.rig import LIMITS, SYMBOL, Rig


def with_store(rig: Rig, store: Store) -> None:
    """The same trader, on another connection."""
    rig.trader = Trader(store, rig.exchange, rig.desk, rig.clock, Troubles(), LIMITS)


def test_F32_a_lock_that_was_waited_for_too_long_leaves_no_half_a_transaction(
    ready: Store, database: DatabaseSettings
) -> None:
    """The server rolls back only the statement then (error 1205); the first half must go, too."""
    person = connected(database)
    runs: list[int] = []
    with contextlib.closing(person), person.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT * FROM dca_cycles WHERE id = 2 FOR UPDATE")
        cursor.fetchall()

        def work(tx: Transaction) -> None:
            tx._write("SET SESSION innodb_lock_wait_timeout = 1", [])
            first = tx.cycle(1)
            runs.append(first.version)
            tx.update_cycle(replace(first, problem=f"run {len(runs)}"))
            if len(runs) == 2:
                person.rollback()
            tx.update_cycle(replace(tx.cycle(2), problem=f"run {len(runs)}"))

        ready.transaction(work)
    assert runs == [0, 0], "nothing of the first run was left"
    assert [cycle_of(ready, number).problem for number in (1, 2)] == ["run 2", "run 2"]
    assert [cycle_of(ready, number).version for number in (1, 2)] == [1, 1]


@pytest.mark.parametrize("when", ["before a buy", "before a sale"])
def test_F56_without_a_database_nothing_is_sent_from_memory(
    rig: Rig, database: DatabaseSettings, when: str
) -> None:
    if when == "before a sale":
        rig.bought()
    before = len(rig.exchange.posts)
    with Store(replace(database, socket="/nowhere/socket")) as nowhere:
        whole = rig.trader
        with_store(rig, nowhere)
        for price in ("100", "103", "90"):
            with contextlib.suppress(DatabaseUnavailable):
                rig.quote(price)
        assert len(rig.exchange.posts) == before
        rig.trader = whole
    rig.quote("103")
    assert len(rig.exchange.posts) == before + 1


def test_F71_F72_a_sale_and_the_next_cycle_are_written_together_or_not_at_all(rig: Rig) -> None:
    rig.bought()
    rig.quote("103")
    filled = rig.exchange.fill(rig.last_id(), price="103")
    edit(
        rig,
        "CREATE TRIGGER dies BEFORE INSERT ON dca_cycles FOR EACH ROW"
        " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'dies between the sale and the next cycle'",
    )
    with pytest.raises(DatabaseUnavailable, match="dies between"):
        rig.trader.books.book(filled)
    assert (rig.cycle().id, rig.cycle().status, rig.cycle().sold_qty) == (1, CycleStatus.SELLING, Decimal(0))
    assert rig.orders()[-1].state is OrderState.ACKED
    assert rig.asset().last_sell_price is None
    edit(rig, "DROP TRIGGER dies")
    rig.start()
    assert rig.store.transaction(lambda tx: tx.cycle(1)).status is CycleStatus.COMPLETE
    following = rig.cycle()
    assert (following.status, following.cooldown_started_at) == (CycleStatus.COOLDOWN, rig.clock.now())
    assert rig.asset().last_sell_price == 103
    rig.quote("102")
    assert rig.cycle().status is CycleStatus.COOLDOWN


def test_F83_a_table_that_is_missing_is_an_unavailable_database_and_sends_nothing(rig: Rig) -> None:
    """It is missed in the midst of the claim: the order's own row is written by then, and has to go."""
    edit(rig, "RENAME TABLE dca_order_attempts TO elsewhere")
    with pytest.raises(DatabaseUnavailable, match="dca_order_attempts"):
        rig.quote("100")
    assert rig.exchange.posts == []
    assert (rig.orders(), rig.cycle().status) == ([], CycleStatus.WATCHING)
    edit(rig, "RENAME TABLE elsewhere TO dca_order_attempts")
    rig.quote("100")
    assert len(rig.exchange.posts) == 1


def test_F85_a_table_that_is_being_changed_is_waited_for_ten_seconds_and_not_a_day(
    ready: Store, database: DatabaseSettings
) -> None:
    (row,) = ready.transaction(lambda tx: tx._rows("SELECT @@SESSION.lock_wait_timeout AS seconds"))
    assert row["seconds"] == 10
    person = connected(database)
    waited: list[int] = []
    with contextlib.closing(person), person.cursor() as cursor:
        cursor.execute("LOCK TABLES dca_assets WRITE")

        def work(tx: Transaction) -> int:
            tx._write(f"SET SESSION lock_wait_timeout = {1 if not waited else 10}", [])
            waited.append(1)
            if len(waited) == 2:
                cursor.execute("UNLOCK TABLES")
            return len(tx.assets())

        assert ready.transaction(work) == 2
    assert len(waited) == 2, "it was given up once, and done again"


def test_F65_what_no_caretaker_did_for_days_one_run_does(rig: Rig) -> None:
    sold(rig)
    rig.clock.pass_seconds(3 * 24 * 3600)
    assert run(rig, cooldown_manager.main).changed == 1
    rig.look()
    rig.quote("103")
    rig.clock.pass_seconds(3 * 24 * 3600)
    assert run(rig, order_manager.main).changed == 1
    rig.trader.books.book(rig.exchange.end(rig.last_id()))
    assert check(rig).changed == 0
    assert rig.cycle().status is CycleStatus.WATCHING


def test_F87_connections_that_die_leave_neither_files_nor_threads_behind(
    ready: Store, server: Server
) -> None:
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208

    def die_once() -> None:
        runs: list[int] = []

        def work(tx: Transaction) -> None:
            runs.append(1)
            if len(runs) == 1:
                Kill(server)(tx)
            tx.assets()

        def stumble(tx: Transaction) -> None:
            tx.assets()
            raise ValueError("a bug")

        ready.transaction(work)
        with pytest.raises(ValueError, match="a bug"):
            ready.transaction(stumble)

    die_once()
    before = held()
    for _ in range(20):
        die_once()
    files, threads = held()
    assert files <= before[0] and threads <= before[1]


def test_F95_with_the_ledger_lost_the_coins_are_taken_in_and_sold(rig: Rig, tmp_path: Path) -> None:
    """What is left is at the exchange: coins, and orders under the ids of the installation that was."""
    rig.bought()
    old = rig.exchange.orders.pop(rig.last_id())
    edit(rig, "DELETE FROM dca_order_attempts")
    edit(rig, "DELETE FROM dca_orders")
    edit(rig, "DELETE FROM dca_cycles")
    edit(rig, "ALTER TABLE dca_cycles AUTO_INCREMENT = 1")
    edit(rig, "UPDATE dca_control SET install_id = 'ffffffff'")
    earlier = replace(
        old, created_at=rig.clock.now() - timedelta(days=30), client_order_id="dca-old00000-1-1-b"
    )
    rig.exchange.orders[earlier.client_order_id] = earlier
    check(rig)
    rig.start()
    assert rig.cycle().quantity == 0 and rig.asset().lock_reason is None
    code, said = bot(rig, tmp_path, "adopt BTC/USD --price 100 --yes")
    assert code == 0, said
    assert rig.cycle().quantity == Decimal("0.1995")
    rig.look()
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    assert rig.cycle().status is CycleStatus.COOLDOWN
    assert rig.exchange.held[SYMBOL] == 0


def test_F33_what_another_process_committed_a_moment_ago_is_what_is_decided_on(
    rig: Rig, database: DatabaseSettings
) -> None:
    """The trader's own connection has read these rows before."""
    rig.bought()
    assert rig.cycle().safety_orders == 0
    with Store(database) as other:
        other.transaction(lambda tx: tx._write("UPDATE dca_assets SET take_profit_percent = 9", []))
    rig.quote("103")  # the desk still believes in 2 %
    assert len(rig.exchange.posts) == 1
