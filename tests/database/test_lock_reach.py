"""What one asset's transaction locks, no other asset's ever waits for: sixty may act in the same second."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from dca.core.errors import DatabaseUnavailable
from dca.core.model import CycleStatus, Order, OrderState
from dca.database.store import Store, Transaction
from dca.runtime.settings import DatabaseSettings
from tests.builders import D, order
from tests.rig import INSERT

SYMBOLS = tuple(f"{letter * 3}/USD" for letter in "ABCDEFGHIJKL")
NOW = datetime.now(UTC)
Act = Callable[[Transaction, int], None]


def first_order(asset_id: int, cycle_id: int) -> Order:
    name = f"dca-abcd1234-{cycle_id}-1-b"
    symbol = SYMBOLS[asset_id - 1]
    return order(id=0, asset_id=asset_id, cycle_id=cycle_id, symbol=symbol, client_order_id=name)


def claim(tx: Transaction, asset_id: int) -> None:
    """A cycle's first order: trader.py's statements, in its order."""
    tx.control()
    tx.asset(asset_id)
    cycle = tx.live_cycle(asset_id)
    assert cycle is not None and tx.orders(cycle.id) == []
    tx.orders_placed(asset_id, NOW)
    tx.insert_order(first_order(asset_id, cycle.id))
    tx.update_cycle(replace(cycle, status=CycleStatus.BUYING))


def book(tx: Transaction, asset_id: int) -> None:
    """A fill of an order in flight: bookkeeper.py's."""
    live = tx.live_cycle(asset_id)
    assert live is not None
    (sent,) = tx.orders_of_cycles([live.id])
    cycle_id = tx.cycle_of_order(sent.client_order_id)
    assert cycle_id is not None
    cycle, (current,) = tx.cycle(cycle_id), tx.orders(cycle_id)
    tx.answer_attempt(current.id, 1, "accepted")
    tx.update_order(
        replace(current, state=OrderState.DONE, filled_qty=D("0.2"), filled_avg_price=D(100), closed_at=NOW)
    )
    tx.update_cycle(
        replace(cycle, quantity=D("0.2"), average_purchase_price=D(100), status=CycleStatus.WATCHING)
    )


def sell_out(tx: Transaction, asset_id: int) -> None:
    """A sale's fill: the cycle is complete, and the next one begins in the same transaction."""
    cycle = tx.live_cycle(asset_id)
    assert cycle is not None
    tx.orders(cycle.id)
    tx.update_cycle(replace(cycle, status=CycleStatus.COMPLETE, completed_at=NOW))
    tx.set_last_sell_price(asset_id, D(100))
    tx.insert_cycle(asset_id, CycleStatus.COOLDOWN, NOW)


ACTS: dict[str, Act] = {"claim": claim, "book": book, "sell out": sell_out}


ASSETS = {"claim": (1, 3), "book": (5, 7), "sell out": (9, 11)}
"""Two assets for each, and none beside another: where an entry of a unique index was taken away and is not
cleaned up yet, InnoDB checks for duplicates and holds the next entry too, until the commit. Of neighbors, one
may wait for that long."""


@pytest.fixture
def all_of_them(store: Store) -> Store:
    """Each asset has a cycle at the end of its table; where a fill is to be booked, an order is in flight."""
    store.run_script("".join(INSERT.replace("BTC/USD", symbol) for symbol in SYMBOLS))
    for asset_id in range(1, len(SYMBOLS) + 1):
        store.transaction(lambda tx, asset_id=asset_id: tx.insert_cycle(asset_id, CycleStatus.WATCHING))  # type: ignore[misc]
    for asset_id in ASSETS["book"]:
        store.transaction(lambda tx, asset_id=asset_id: claim(tx, asset_id))  # type: ignore[misc]
    return store


@pytest.fixture
def other(database: DatabaseSettings) -> Iterator[Store]:
    with Store(database) as other:
        yield other


class _Undo(Exception):
    """The rows are the same for each pair of acts."""


@pytest.mark.parametrize("turned", [False, True])
def test_assets_do_not_wait_for_each_other(all_of_them: Store, other: Store, turned: bool) -> None:
    """`turned`: the one with the higher ids goes first, whose rows are the last of every index."""
    waited = []
    for first, second in product(ACTS, ACTS):

        def impatient(
            tx: Transaction, act: Act = ACTS[second], asset_id: int = ASSETS[second][not turned]
        ) -> None:
            tx._cursor.execute("SET SESSION innodb_lock_wait_timeout = 0")
            act(tx, asset_id)
            raise _Undo

        def work(tx: Transaction, act: Act = ACTS[first], asset_id: int = ASSETS[first][turned]) -> None:
            act(tx, asset_id)
            with suppress(_Undo):
                other.transaction(impatient)
            raise _Undo

        try:
            with suppress(_Undo):
                all_of_them.transaction(work)
        except DatabaseUnavailable as error:
            waited.append((first, second, str(error)))
    assert waited == []


def test_of_one_asset_the_second_waits(all_of_them: Store, other: Store) -> None:
    """So the test above can fail."""

    def impatient(tx: Transaction) -> None:
        tx._cursor.execute("SET SESSION innodb_lock_wait_timeout = 0")
        tx.live_cycle(1)

    def work(tx: Transaction) -> None:
        claim(tx, 1)
        other.transaction(impatient)

    with pytest.raises(DatabaseUnavailable, match="Lock wait timeout"):
        all_of_them.transaction(work)
