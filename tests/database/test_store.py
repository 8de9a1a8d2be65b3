"""What the trader relies on of the database, on a real server: all or nothing, once, exact, and told."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import mysql.connector
import pytest

from dca.core.errors import BrokenRule, DatabaseUnavailable, LostRace, OurBug
from dca.core.model import Cycle, CycleStatus, FeeSource, Order, OrderState
from dca.database.store import Store, Transaction
from dca.runtime.settings import DatabaseSettings
from tests.builders import NOW, D, ours
from tests.conftest import Server, connected
from tests.racers import Race
from tests.rig import Rig


@pytest.fixture
def other(database: DatabaseSettings) -> Iterator[Store]:
    """A second connection."""
    with Store(database) as store:
        yield store


def cycle_of(store: Store, asset_id: int = 1) -> Cycle:
    found = store.transaction(lambda tx: tx.live_cycle(asset_id))
    assert found is not None
    return found


def remark(store: Store, text: str, asset_id: int = 1) -> None:
    """A write of no meaning."""
    store.transaction(lambda tx: tx.update_cycle(replace(_live(tx, asset_id), problem=text)))


def _live(tx: Transaction, asset_id: int = 1) -> Cycle:
    found = tx.live_cycle(asset_id)
    assert found is not None
    return found


class Kill:
    """Ends a store's connection from outside, as an administrator or a restart does."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __call__(self, tx: Transaction) -> None:
        number = tx._rows("SELECT CONNECTION_ID() AS id")[0]["id"]
        self._server.run(f"KILL {number}")


# ---- the connection ----


def test_the_c_extension_does_the_work(ready: Store) -> None:
    assert mysql.connector.HAVE_CEXT
    ready.transaction(lambda tx: tx.assets())
    assert type(ready._connections.take().connection).__name__ == "CMySQLConnection"


def test_the_session_is_strict_and_utc_whatever_the_server_says(ready: Store, server: Server) -> None:
    asked = "SELECT @@time_zone AS zone, @@sql_mode AS mode, @@transaction_isolation AS isolation"
    if not server.run("SHOW VARIABLES LIKE 'transaction_isolation'"):
        asked = asked.replace("@@transaction_isolation", "@@tx_isolation")
    (row,) = ready.transaction(lambda tx: tx._rows(asked))
    assert (row["zone"], row["isolation"]) == ("+00:00", "READ-COMMITTED")
    assert "STRICT_TRANS_TABLES" in row["mode"]


def test_a_server_that_is_not_there_is_told(database: DatabaseSettings, tmp_path: Path) -> None:
    nowhere = replace(database, socket=str(tmp_path / "nobody"))
    closed = replace(database, socket=None, host="127.0.0.1", port=1)
    for settings in (nowhere, closed, replace(database, password="wrong"), replace(database, name="nothing")):
        with Store(settings) as store:
            with pytest.raises(DatabaseUnavailable, match="database"):
                store.transaction(lambda tx: tx.assets())
            with pytest.raises(DatabaseUnavailable, match="database"):
                store.run_script("SELECT 1;\n")


def test_a_missing_table_is_unavailable_and_not_empty(empty_database: DatabaseSettings) -> None:
    with Store(empty_database) as store, pytest.raises(DatabaseUnavailable, match="dca_assets"):
        store.transaction(lambda tx: tx.assets())


def test_a_killed_connection_is_replaced(ready: Store, server: Server) -> None:
    number = ready.transaction(lambda tx: tx._rows("SELECT CONNECTION_ID() AS id"))[0]["id"]
    server.run(f"KILL {number}")
    remark(ready, "after the kill")
    assert cycle_of(ready).problem == "after the kill"
    assert ready.transaction(lambda tx: tx._rows("SELECT CONNECTION_ID() AS id"))[0]["id"] != number


def test_a_connection_killed_just_before_the_commit_reruns_the_whole(ready: Store, server: Server) -> None:
    """The connector's own commit() raises an error that is none of mysql.connector's (found by chaos)."""
    runs: list[int] = []

    def work(tx: Transaction) -> int:
        remarked = replace(_live(tx), problem=f"run {len(runs) + 1}")
        tx.update_cycle(remarked)
        runs.append(remarked.version)
        if len(runs) == 1:
            Kill(server)(tx)
        return len(runs)

    assert ready.transaction(work) == 2 and runs[0] == runs[1]
    assert cycle_of(ready).problem == "run 2"


def test_a_silent_client_keeps_no_row_locked_for_long(ready: Store) -> None:
    (row,) = ready.transaction(lambda tx: tx._rows("SELECT @@session.wait_timeout AS seconds"))
    assert row["seconds"] == 60


def test_a_connection_killed_in_the_middle_reruns_the_whole(ready: Store, server: Server) -> None:
    runs: list[int] = []

    def work(tx: Transaction) -> None:
        cycle = _live(tx)
        runs.append(cycle.version)
        tx.update_cycle(replace(cycle, problem="first half"))
        if len(runs) == 1:
            Kill(server)(tx)
        tx.update_cycle(replace(_live(tx, 2), problem="second half"))

    ready.transaction(work)
    assert runs == [0, 0], "the first half of the first run was rolled back"
    assert (cycle_of(ready).problem, cycle_of(ready).version) == ("first half", 1)
    assert (cycle_of(ready, 2).problem, cycle_of(ready, 2).version) == ("second half", 1)


def test_a_connection_that_is_killed_each_time_is_given_up(ready: Store, server: Server) -> None:
    def work(tx: Transaction) -> None:
        tx.update_cycle(replace(_live(tx), problem="never"))
        Kill(server)(tx)
        tx.assets()

    with pytest.raises(DatabaseUnavailable):
        ready.transaction(work)
    assert cycle_of(ready).problem is None


# ---- all or nothing ----


def test_what_is_committed_is_seen_by_others(ready: Store, other: Store) -> None:
    remark(ready, "seen")
    assert cycle_of(other).problem == "seen"
    remark(other, "and back")
    assert cycle_of(ready).problem == "and back"


class Odd(BaseException):
    """As KeyboardInterrupt: no Exception at all."""


@pytest.mark.parametrize("error", [ValueError("x"), OurBug("x"), KeyError("x"), Odd("x")])
def test_any_exception_rolls_everything_back(ready: Store, other: Store, error: BaseException) -> None:
    def work(tx: Transaction) -> None:
        tx.insert_order(ours())
        tx.update_cycle(replace(_live(tx), problem="half done"))
        raise error

    with pytest.raises(type(error)):
        ready.transaction(work)
    assert cycle_of(other).problem is None
    assert other.transaction(lambda tx: tx.orders(1)) == []
    remark(ready, "goes on")
    assert cycle_of(other).problem == "goes on"


def test_a_refused_row_rolls_back_what_came_before_it(ready: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.insert_order(ours())
        tx.update_cycle(replace(_live(tx), safety_orders=-1))

    with pytest.raises(BrokenRule, match="safety_orders"):
        ready.transaction(work)
    assert ready.transaction(lambda tx: tx.orders(1)) == []


def test_a_value_that_does_not_fit_is_never_cut(ready: Store) -> None:
    with pytest.raises(OurBug, match="latest_order_id"):
        ready.transaction(lambda tx: tx.update_cycle(replace(_live(tx), latest_order_id="x" * 256)))
    assert cycle_of(ready).latest_order_id is None


def test_a_write_on_an_old_version_is_our_bug(ready: Store) -> None:
    old = cycle_of(ready)
    remark(ready, "newer")
    with pytest.raises(OurBug, match="version 0"):
        ready.transaction(lambda tx: tx.update_cycle(replace(old, problem="older")))
    assert (cycle_of(ready).problem, cycle_of(ready).version) == ("newer", 1)


# ---- against each other ----


def test_the_loser_of_a_deadlock_runs_again(database: DatabaseSettings, ready: Store) -> None:
    """Two transactions take the same two rows in opposite order, each holding its first one."""
    barrier, runs = threading.Barrier(2), []

    def racer(first: int, second: int) -> None:
        def work(tx: Transaction) -> None:
            runs.append(first)
            one = _live(tx, first)
            if runs.count(first) == 1:
                barrier.wait(20)
            two = _live(tx, second)
            for cycle in (one, two):
                tx.update_cycle(replace(cycle, problem=f"{cycle.problem or ''}+{first}"))

        with Store(database) as store:
            store.transaction(work)

    threads = [threading.Thread(target=racer, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(runs) == 3, "one of them had to run twice"
    for asset_id in (1, 2):
        assert sorted((cycle_of(ready, asset_id).problem or "").split("+")) == ["", "1", "2"]
        assert cycle_of(ready, asset_id).version == 2


@pytest.mark.parametrize(
    ("reads", "row"),
    [
        (lambda tx: tx.live_cycle(1), "dca_cycles WHERE id = 1"),
        (lambda tx: tx.cycle(1), "dca_cycles WHERE id = 1"),
        (lambda tx: tx.orders(1), "dca_orders WHERE cycle_id = 1"),
        (lambda tx: tx.control(), "dca_control"),
    ],
    ids=["live_cycle", "cycle", "orders", "control"],
)
def test_what_is_read_to_be_written_is_held(
    ready: Store, database: DatabaseSettings, reads: Callable[[Transaction], object], row: str
) -> None:
    ready.transaction(lambda tx: tx.insert_order(ours()))
    person = connected(database)

    def work(tx: Transaction) -> None:
        reads(tx)
        with (
            person.cursor() as cursor,
            pytest.raises(mysql.connector.Error, match=r"Lock wait timeout|NOWAIT is set"),
        ):
            cursor.execute(f"SELECT * FROM {row} FOR UPDATE NOWAIT")
            cursor.fetchall()

    ready.transaction(work)
    with person.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {row} FOR UPDATE NOWAIT")
        assert len(cursor.fetchall()) == 1, "free again"
    person.close()


def test_a_second_live_cycle_is_a_lost_race(ready: Store) -> None:
    with pytest.raises(LostRace, match="one_live_cycle"):
        ready.transaction(lambda tx: tx.insert_cycle(1, CycleStatus.COOLDOWN, NOW))


@pytest.mark.parametrize(
    ("second", "key"),
    [
        (ours(seq=2, client_order_id="b"), "one_live_order"),
        (ours(seq=2, client_order_id="a", state=OrderState.DONE), "client_order_id"),
        (ours(client_order_id="b", state=OrderState.DONE), "cycle_id_and_seq"),
    ],
)
def test_a_second_order_is_a_lost_race(ready: Store, second: Order, key: str) -> None:
    ready.transaction(lambda tx: tx.insert_order(ours(client_order_id="a")))
    with pytest.raises(LostRace, match=key):
        ready.transaction(lambda tx: tx.insert_order(second))
    assert len(ready.transaction(lambda tx: tx.orders(1))) == 1


@pytest.mark.parametrize(("kind", "price"), [("base", "100"), ("safety", "99"), ("take_profit", "103")])
def test_F07_fifty_quotes_from_two_processes_make_one_order(
    database: DatabaseSettings, kind: str, price: str
) -> None:
    rig = Rig(database)
    with contextlib.closing(rig):
        if kind != "base":
            rig.bought()
        before = rig.orders()
        posted = Race(database=database, price=price, held="0.1995").run()
        new = rig.orders()[len(before) :]
        assert [each.purpose.value for each in new] == [kind]
        assert posted == [new[0].client_order_id]
        assert rig.cycle().status is (CycleStatus.SELLING if kind == "take_profit" else CycleStatus.BUYING)


# ---- values ----


@pytest.mark.parametrize(
    "number",
    ["0.000000000000001", "0.1", "123456789012345.123456789012345", "999999999999999.999999999999999", "1"],
)
def test_numbers_come_back_exactly(ready: Store, number: str) -> None:
    value = Decimal(number)
    filled = ours(qty=value, limit_price=value, filled_qty=value, filled_avg_price=value, fee_qty=value)
    back = ready.transaction(lambda tx: tx.insert_order(filled))
    again = ready.transaction(lambda tx: tx.orders(1))[0]
    for found in (back, again):
        for name in ("qty", "limit_price", "filled_qty", "filled_avg_price", "fee_qty"):
            assert isinstance(getattr(found, name), Decimal)
            assert getattr(found, name) == value


WHOLE = ours(
    exchange_order_id="x-1",
    exchange_status="canceled",
    state=OrderState.DONE,
    filled_qty=D("0.1"),
    filled_avg_price=D("99.5"),
    filled_value=D("9.95"),
    fee_qty=D("0.00025"),
    fee_usd=D("0.03"),
    fee_source=FeeSource.EXECUTIONS,
    trigger_price=D("98.5"),
    quote_age_ms=7,
    created_at=NOW + timedelta(microseconds=1),
    last_sent_at=NOW + timedelta(microseconds=2),
    cancel_requested_at=NOW + timedelta(microseconds=3),
    not_found_at=NOW + timedelta(microseconds=4),
    closed_at=NOW + timedelta(microseconds=999999),
)


def test_a_whole_order_comes_back_as_it_was(ready: Store) -> None:
    written = ready.transaction(lambda tx: tx.insert_order(WHOLE))
    assert written == replace(WHOLE, id=written.id)
    changed = replace(
        written, exchange_status="filled", closed_at=NOW, not_found_at=None, filled_qty=D("0.2")
    )
    ready.transaction(lambda tx: tx.update_order(changed))
    assert ready.transaction(lambda tx: tx.orders(1)) == [replace(changed, version=1)]


def test_a_whole_cycle_comes_back_as_it_was(ready: Store) -> None:
    changed = replace(
        cycle_of(ready),
        status=CycleStatus.ERROR,
        quantity=D("0.123456789012345"),
        average_purchase_price=D("0.0000000001"),
        safety_orders=3,
        latest_order_id="x-9",
        last_order_fill_price=D("1234567890.0123456789"),
        bought_qty=D("0.2"),
        bought_cost=D("20"),
        buy_fee_qty=D("0.0005"),
        sold_qty=D("0.1"),
        sold_proceeds=D("10.5"),
        sell_fee=D("0.03"),
        completed_at=NOW,
        cooldown_started_at=NOW + timedelta(microseconds=5),
        refusals=2,
        next_buy_at=NOW + timedelta(microseconds=6),
        problem="a 'quoted' \\ \"word\" %s €",
    )
    ready.transaction(lambda tx: tx.update_cycle(changed))
    assert ready.transaction(lambda tx: tx.cycle(1)) == replace(changed, version=1)
