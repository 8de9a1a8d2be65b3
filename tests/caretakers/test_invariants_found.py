"""The invariants in production: each one planted in a real database is found, locked and mailed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from dca.core import invariants
from dca.core.invariants import RULES
from dca.core.model import LockKind
from tests import checking
from tests.caring import edit, take_away
from tests.checking import Bench, another_average, filled, one_cycle, settled, small_budget, visible_again
from tests.rig import SYMBOL, Rig

bench = checking.bench  # a fixture: an import would clash with arguments


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
    assert f"./bot why {SYMBOL}" in body
    assert (f"./bot accept {SYMBOL}" in body) == (plant.number not in invariants.EDITED)
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
