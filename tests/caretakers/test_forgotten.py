"""Orders with our id that the ledger does not know: which of them lock their asset."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from dca.caretakers.exchange_lists import LOOK_BACK, RECENT
from dca.core.model import Snapshot
from tests import checking
from tests.checking import Bench, filled

bench = checking.bench  # a fixture: an import would clash with arguments


def unknown(bench: Bench, name: str, **changes: object) -> Snapshot:
    """At the exchange, like the base order that is known, but of another id."""
    rig = bench.rig
    known = next(iter(rig.exchange.orders.values()))
    lost = replace(known, client_order_id=name, exchange_order_id=f"x-{name}", **changes)  # type: ignore[arg-type]
    rig.exchange.orders[name] = lost
    return lost


@pytest.mark.parametrize(
    ("status", "qty", "locks"),
    [("filled", "0.2", True), ("canceled", "0.1", True), ("new", "0", True), ("canceled", "0", False)],
)
def test_one_that_may_still_fill_or_has_filled_locks(
    bench: Bench, status: str, qty: str, *, locks: bool
) -> None:
    filled(bench.rig, "100")
    unknown(bench, f"{bench.rig.desk.prefix}9-1-b", status=status, filled_qty=Decimal(qty))
    bench.check()
    assert [reason is not None for reason in bench.reasons()] == [locks, False]


@pytest.mark.parametrize("name", ["person-1", "dca-00000000-9-1-b", "dcaXYZ"])
def test_orders_of_people_and_of_other_installations_are_their_own(bench: Bench, name: str) -> None:
    filled(bench.rig, "100")
    unknown(bench, name)
    bench.check()
    assert bench.reasons() == [None, None]


@pytest.mark.parametrize(("minute", "back"), [(0, LOOK_BACK), (4, LOOK_BACK), (5, RECENT), (59, RECENT)])
def test_the_first_run_of_an_hour_looks_two_days_back_and_the_others_two_hours(
    bench: Bench, minute: int, back: timedelta
) -> None:
    clock = bench.rig.clock
    clock.pass_seconds(((minute - clock.now().minute) % 60) * 60)
    bench.rig.exchange.lists.clear()
    bench.check()
    assert {(clock.now() - after, before) for after, before in bench.rig.exchange.lists} == {(back, None)}


def test_a_look_that_changes_nothing_always_looks_two_days_back(bench: Bench) -> None:
    bench.rig.clock.pass_seconds(30 * 60)
    bench.check(dry_run=True)
    assert {bench.rig.clock.now() - after for after, _ in bench.rig.exchange.lists} == {LOOK_BACK}
