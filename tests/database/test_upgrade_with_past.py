"""Upgrading a database that has a past, and what is kept beside complete cycles since."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dca.core.model import CycleStatus
from dca.database.report_queries import By
from dca.database.store import Store, Transaction
from dca.operator.setup import migrate
from dca.runtime.settings import DatabaseSettings
from tests.builders import NOW, D, done
from tests.conftest import Server
from tests.rig import INSERT

LONG_AGO = NOW - timedelta(days=10_000)


def complete(tx: Transaction, asset_id: int, quantity: str) -> int:
    """A complete cycle that holds so much; the smallest sell of its orders was 0.01, then 0.02."""
    cycle = tx.live_cycle(asset_id)
    assert cycle is not None
    for seq, least in enumerate(("0.01", "0.02"), start=1):
        name = f"dca-abcd1234-{cycle.id}-{seq}"
        tx.insert_order(
            done(
                seq=seq,
                id=0,
                asset_id=asset_id,
                cycle_id=cycle.id,
                client_order_id=name,
                min_order_size=D(least),
            )
        )
    ended = replace(cycle, status=CycleStatus.COMPLETE, completed_at=NOW, average_purchase_price=D(100))
    tx.update_cycle(replace(ended, quantity=D(quantity)))
    tx.insert_cycle(asset_id, CycleStatus.WATCHING)
    return cycle.id


def leftovers(store: Store) -> list[int]:
    return [each.id for each in store.transaction(lambda tx: tx.leftover_cycles(LONG_AGO))]


def test_a_past_is_taken_along(empty_database: DatabaseSettings) -> None:
    """Complete cycles of an older schema are found by what they hold; when they last changed stays."""
    older = [file for file in migrate.files() if int(file.name[:4]) < 5]
    with Store(empty_database) as store:
        store.run_script(migrate.RECORD)
        for file in older:
            store.run_script(file.read_text() + migrate.record_of(file))
        store.run_script(INSERT + PAST)
        before = store.transaction(lambda tx: tx._rows("SELECT id, updated_at FROM dca_cycles ORDER BY id"))
        assert "0005_history" in migrate.apply(store)
        assert leftovers(store) == [2]
        after = store.transaction(lambda tx: tx._rows("SELECT id, updated_at FROM dca_cycles ORDER BY id"))
        assert before == after


PAST = "".join(
    "INSERT INTO dca_cycles (id, asset_id, status, quantity, average_purchase_price, completed_at,"
    f" updated_at) VALUES ({cycle_id}, 1, '{status}', {quantity}, 100, '2025-01-01', '2025-01-02');\n"
    "INSERT INTO dca_orders (asset_id, cycle_id, seq, purpose, client_order_id, symbol, side, order_type,"
    " time_in_force, qty, limit_price, state, quote_price, quote_age_ms, base_order_amount,"
    " safety_order_amount, max_safety_orders, take_profit_percent, min_order_size, qty_increment, epoch,"
    f" created_at, last_sent_at, closed_at) VALUES (1, {cycle_id}, 1, 'base', 'c{cycle_id}', 'BTC/USD',"
    " 'buy', 'limit', 'gtc', 0.2, 100, 'done', 100, 5, 20, 20, 3, 1, 0.01, 0.0001, 1, '2025-01-01',"
    " '2025-01-01', '2025-01-01');\n"
    for cycle_id, status, quantity in [(1, "complete", "0.009"), (2, "complete", "0.01"), (3, "error", "1")]
)


def test_only_what_can_be_sold_again_is_a_leftover(ready: Store) -> None:
    """Also after an edit by hand, which writes nothing beside the quantity."""
    dust = ready.transaction(lambda tx: complete(tx, 1, "0.019"))
    coins = ready.transaction(lambda tx: complete(tx, 2, "0.02"))
    assert leftovers(ready) == [coins]
    ready.run_script(f"UPDATE dca_cycles SET quantity = 0.5 WHERE id = {dust};\n")
    ready.run_script(f"UPDATE dca_cycles SET quantity = 0 WHERE id = {coins};\n")
    assert leftovers(ready) == [dust]


def test_a_cycle_that_was_ended_by_hand_is_looked_at(ready: Store) -> None:
    """Nothing tells what it could be sold from, so its orders are asked."""
    cycle_id = ready.transaction(lambda tx: complete(tx, 1, "0.5"))
    ready.run_script(f"UPDATE dca_cycles SET sellable_from = NULL WHERE id = {cycle_id};\n")
    assert leftovers(ready) == [cycle_id]


def test_profits_are_the_same_in_one_portion_or_many(ready: Store, server: Server) -> None:
    """Ids far apart are in different portions."""
    first = ready.transaction(lambda tx: complete(tx, 1, "0"))
    ready.run_script("UPDATE dca_cycles SET bought_cost = 20, sold_proceeds = 21 WHERE id = 1;\n")
    ready.run_script("ALTER TABLE dca_cycles AUTO_INCREMENT = 200000;\n")
    ready.transaction(lambda tx: complete(tx, 1, "0"))
    second = ready.transaction(lambda tx: complete(tx, 1, "0"))
    ready.run_script(f"UPDATE dca_cycles SET bought_cost = 10, sold_proceeds = 12 WHERE id = {second};\n")
    assert second > first + 100_000
    (row,) = ready.transaction(lambda tx: tx.profits(By.MONTH))
    assert (row.cycles, row.bought, row.sold, row.net_profit) == (3, D(30), D(33), D(3))


@pytest.mark.slow
def test_a_statement_of_a_migration_may_take_longer_than_the_bots_own(ready: Store) -> None:
    """An index on years of orders takes minutes; the bot waits ten seconds for an answer."""
    ready.run_script("DO SLEEP(11);\n")
