"""Times, and what each read and write of the store means."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from dca.core.model import CycleStatus, Mode, Order, OrderState
from dca.database.store import Store, Transaction
from dca.runtime.settings import DatabaseSettings
from tests.builders import NOW, D, ours
from tests.conftest import Server, connected


@pytest.fixture
def far_east(server: Server) -> Iterator[None]:
    """A server whose clock on the wall is five and a half hours ahead."""
    (before,) = server.run("SELECT @@GLOBAL.time_zone")
    server.run("SET GLOBAL time_zone = '+05:30'")
    yield
    server.run(f"SET GLOBAL time_zone = '{before[0]}'")


def test_times_are_utc_whatever_the_server_thinks(
    far_east: None, database: DatabaseSettings, ready: Store
) -> None:
    """No column is a TIMESTAMP, which the server would convert for a person's client."""
    cycle = ready.transaction(lambda tx: tx.cycle(1))
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-8)))
    ended = replace(
        cycle,
        status=CycleStatus.ERROR,
        completed_at=elsewhere,
        cooldown_started_at=elsewhere,
        next_buy_at=NOW,
    )
    ready.transaction(lambda tx: tx.update_cycle(ended))
    found = ready.transaction(lambda tx: tx.cycle(1))
    for at in (found.completed_at, found.cooldown_started_at, found.next_buy_at):
        assert at == NOW
        assert at is not None and at.tzinfo is UTC
    person = connected(database)
    with person.cursor() as cursor:
        cursor.execute("SELECT @@time_zone, completed_at, next_buy_at FROM dca_cycles WHERE id = 1")
        zone, completed, retry = cursor.fetchone()
    person.close()
    assert zone == "+05:30", "the server does think otherwise"
    assert completed == NOW.replace(tzinfo=None)
    assert retry == NOW.replace(tzinfo=None)


def test_every_time_that_is_read_is_aware(ready: Store) -> None:
    written = ready.transaction(lambda tx: tx.insert_order(ours(closed_at=NOW)))
    for value in (written.created_at, written.last_sent_at, written.closed_at):
        assert isinstance(value, datetime) and value.tzinfo is UTC


def insert(store: Store, *orders: Order) -> list[Order]:
    return store.transaction(lambda tx: [tx.insert_order(each) for each in orders])


def test_what_may_still_fill_is_open(ready: Store) -> None:
    states = [
        (OrderState.DONE, NOW),
        (OrderState.REJECTED, NOW),
        (OrderState.VOID, NOW),
        (OrderState.GHOST, NOW),
        (OrderState.GHOST, None),
        (OrderState.ACKED, None),
    ]
    made = [
        ours(seq=seq, client_order_id=f"c{seq}", state=state, closed_at=closed_at)
        for seq, (state, closed_at) in enumerate(states, start=1)
    ]
    insert(ready, *made)
    assert [each.seq for each in ready.transaction(lambda tx: tx.open_orders())] == [5, 6]


def test_orders_are_read_in_their_order_and_found_by_their_id(ready: Store) -> None:
    insert(
        ready,
        ours(seq=2, client_order_id="second", state=OrderState.DONE),
        ours(seq=1, client_order_id="first", state=OrderState.DONE),
        ours(seq=1, client_order_id="of eth", cycle_id=2, asset_id=2),
    )
    assert [each.seq for each in ready.transaction(lambda tx: tx.orders(1))] == [1, 2]
    assert ready.transaction(lambda tx: tx.cycle_of_order("of eth")) == 2
    assert ready.transaction(lambda tx: tx.cycle_of_order("OF ETH")) is None, "ids differ by case"
    assert ready.transaction(lambda tx: tx.cycle_of_order("nobody's")) is None


def test_attempts_are_counted_and_answered_once(ready: Store) -> None:
    (written,) = insert(ready, ours())
    assert ready.transaction(lambda tx: tx.attempts(written.id)) == (1, 1)
    ready.transaction(lambda tx: tx.insert_attempt(written.id, 2, NOW + timedelta(seconds=60)))
    assert ready.transaction(lambda tx: tx.attempts(written.id)) == (2, 2)
    ready.transaction(lambda tx: tx.expire_attempts(written.id, NOW + timedelta(seconds=60)))
    assert ready.transaction(lambda tx: tx.attempts(written.id)) == (2, 1), "only what was sent before"
    ready.transaction(lambda tx: tx.answer_attempt(written.id, 1, "reject"))
    ready.transaction(lambda tx: tx.answer_attempt(written.id, 2, "accepted"))
    rows = ready.transaction(lambda tx: tx._rows("SELECT answer FROM dca_order_attempts ORDER BY attempt"))
    assert [row["answer"] for row in rows] == ["expired", "accepted"], "an answer is not overwritten"
    assert ready.transaction(lambda tx: tx.attempts(999)) == (0, 0)


def test_a_lock_keeps_its_first_reason(ready: Store) -> None:
    assert ready.transaction(lambda tx: tx.lock_asset(1, "x" * 900, NOW))
    assert not ready.transaction(lambda tx: tx.lock_asset(1, "another", NOW))
    first, second = ready.transaction(lambda tx: tx.assets())
    assert (first.lock_reason, second.lock_reason) == ("x" * 500, None)
    assert ready.transaction(lambda tx: tx.asset(1)) == first
    assert ready.transaction(lambda tx: tx.asset(9)) is None


def test_a_start_is_counted_and_the_first_account_stays(ready: Store) -> None:
    assert ready.transaction(lambda tx: tx.control()).account_id is None
    first = ready.transaction(lambda tx: tx.next_epoch("mine"))
    again = ready.transaction(lambda tx: tx.next_epoch("another"))
    assert (first.account_id, first.epoch, first.mode) == ("mine", 1, Mode.RUN)
    assert (again.account_id, again.epoch) == ("mine", 2)
    assert again.install_id == first.install_id


def test_an_ended_cycle_is_not_live_and_makes_room(ready: Store) -> None:
    cycle = ready.transaction(lambda tx: tx.cycle(1))
    ended = replace(cycle, status=CycleStatus.COMPLETE, completed_at=NOW)

    def work(tx: Transaction) -> None:
        tx.update_cycle(ended)
        tx.insert_cycle(1, CycleStatus.COOLDOWN, NOW)

    ready.transaction(work)
    live = ready.transaction(lambda tx: tx.live_cycle(1))
    assert live is not None
    assert (live.status, live.cooldown_started_at, live.quantity) == (CycleStatus.COOLDOWN, NOW, D(0))
    assert {each.asset_id for each in ready.transaction(lambda tx: tx.live_cycles())} == {1, 2}
    assert cycle.id not in {each.id for each in ready.transaction(lambda tx: tx.live_cycles())}


def test_orders_whose_fee_is_assumed_are_found(ready: Store) -> None:
    insert(
        ready,
        ours(seq=1, client_order_id="a", state=OrderState.DONE, closed_at=NOW),
        ours(
            seq=2,
            client_order_id="b",
            state=OrderState.DONE,
            closed_at=NOW,
            filled_qty=D("0.1"),
            filled_avg_price=D(100),
        ),
        ours(
            seq=3,
            client_order_id="c",
            state=OrderState.DONE,
            closed_at=NOW - timedelta(days=9),
            filled_qty=D("0.1"),
            filled_avg_price=D(100),
        ),
    )
    found = ready.transaction(lambda tx: tx.orders_with_open_fees(NOW - timedelta(days=1), NOW))
    assert [each.seq for each in found] == [2]


def test_a_new_last_sell_price_is_kept(ready: Store) -> None:
    ready.transaction(lambda tx: tx.set_last_sell_price(1, D("0.0000000001")))
    assert [each.last_sell_price for each in ready.transaction(lambda tx: tx.assets())] == [D("1e-10"), None]
