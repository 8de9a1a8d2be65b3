"""A cycle with thousands of orders that bought nothing: a base order that nobody fills makes 288 a day."""

from collections.abc import Callable
from contextlib import closing
from decimal import Decimal

import pytest

import order_manager
from dca.core.model import CycleStatus, Order
from dca.database.rows import columns
from dca.database.store import Store, Transaction
from dca.runtime.settings import DatabaseSettings
from tests.caring import check, edit, run
from tests.conftest import SCHEMA
from tests.rig import Rig

FEW, MANY = 10, 2000
DEAD = {
    "canceled": "state = 'done', exchange_status = 'canceled', exchange_order_id = CONCAT('y', seq)",
    "refused": "state = 'rejected', exchange_status = NULL, exchange_order_id = NULL",
    "never arrived": "state = 'void', exchange_status = NULL, exchange_order_id = NULL",
}


def long_cycle(rig: Rig, count: int, how: str) -> None:
    """Beside the first order, which was canceled, so many others of days ago."""
    rig.quote("100")
    rig.trader.books.book(rig.exchange.end(rig.last_id()))
    names = [name for name in columns(Order) if name not in {"id", "seq", "client_order_id"}]
    edit(
        rig,
        f"INSERT INTO dca_orders ({', '.join(names)}, seq, client_order_id)"
        f" SELECT {', '.join(f'o.{name}' for name in names)}, 1 + s.seq, CONCAT('dca-x-', s.seq)"
        f" FROM dca_orders o JOIN seq_1_to_{count} s WHERE o.id = 1",
    )
    edit(
        rig,
        f"UPDATE dca_orders SET {DEAD[how]}, created_at = created_at - INTERVAL 3 DAY,"
        " last_sent_at = created_at, closed_at = created_at WHERE seq > 1",
    )
    known = f"y{count + 1}" if how == "canceled" else "x-1"
    edit(rig, f"UPDATE dca_cycles SET next_buy_at = NULL, refusals = 0, latest_order_id = '{known}'")
    rig.store.transaction(lambda tx: tx._rows("ANALYZE TABLE dca_orders"))  # as the server does in time
    rig.clock.pass_seconds(1)
    rig.look()


def reads_of(rig: Rig, work: Callable[[], object]) -> int:
    """Rows, or places in an index, that the server read for it."""

    def count(tx: Transaction) -> int:
        rows = tx._rows("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(row["Value"]) for row in rows)

    before = rig.store.transaction(count)
    work()
    return rig.store.transaction(count) - before


def costs(rig: Rig) -> dict[str, int]:
    """Each step of a life in such a cycle."""

    found = {"claim": reads_of(rig, lambda: rig.quote("100"))}
    found["settling"] = reads_of(rig, rig.settle)
    found["order manager"] = reads_of(rig, lambda: run(rig, order_manager.main))
    filled = rig.exchange.fill(rig.last_id(), price="100")
    found["fill"] = reads_of(rig, lambda: rig.trader.books.book(filled))
    found["checker"] = reads_of(rig, lambda: check(rig))
    found["take-profit"] = reads_of(rig, lambda: rig.quote("103"))
    return found


@pytest.mark.parametrize("how", DEAD)
def test_no_step_reads_what_bought_nothing(rig: Rig, other_database: DatabaseSettings, how: str) -> None:
    long_cycle(rig, FEW, how)
    few = costs(rig)
    with Store(other_database) as store:
        store.run_script(SCHEMA.read_text())
    with closing(Rig(other_database)) as other:
        long_cycle(other, MANY, how)
        assert costs(other) == few
        last = other.orders()[-1]
    assert (last.seq, last.purpose.value) == (MANY + 3, "take_profit"), "and its number is the next one"


def test_a_late_fill_of_one_that_had_bought_nothing_is_booked(rig: Rig) -> None:
    """It counted for nothing, and is read all the same when it is told of."""
    rig.quote("100")
    first = rig.last_id()
    rig.trader.books.book(rig.exchange.end(first))
    for _ in range(3):
        rig.clock.pass_seconds(4000)
        rig.look()
        rig.quote("100")
        rig.trader.books.book(rig.exchange.end(rig.last_id()))
    assert len(rig.orders()) == 4
    assert len(rig.store.transaction(lambda tx: tx.counting_orders(1))) == 1
    rig.trader.books.book(rig.exchange.fill(first))
    assert rig.cycle().quantity == Decimal("0.1995")
    assert (rig.cycle().status, rig.orders()[0].filled_qty) == (CycleStatus.WATCHING, Decimal("0.2"))


def test_which_orders_count(rig: Rig) -> None:
    """What may fill, what has, the last, and the last that the exchange knows: all that totals and the next
    order need."""
    long_cycle(rig, 3, "canceled")
    edit(rig, "UPDATE dca_orders SET exchange_order_id = NULL, state = 'rejected' WHERE seq = 4")
    edit(
        rig,
        "UPDATE dca_orders SET filled_qty = 0.1, filled_avg_price = 100, filled_value = 10 WHERE seq = 2",
    )
    counting = rig.store.transaction(lambda tx: tx.counting_orders(1))
    assert [order.seq for order in counting] == [2, 3, 4]
    assert [each.seq for each in rig.store.transaction(lambda tx: tx.orders_of_cycles([1]))] == [2, 3, 4]
    name = rig.orders()[0].client_order_id
    asked = rig.store.transaction(lambda tx: tx.counting_orders(1, name))
    assert [order.seq for order in asked] == [1, 2, 3, 4]
    assert rig.store.transaction(lambda tx: tx.counting_orders(2, name)) == [], "of another cycle"
