"""The store in memory and the real one keep one contract: what the simulation proves holds for both."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from dca.core.errors import BrokenRule, LostRace, OurBug
from dca.core.model import Cycle, CycleStatus, FeeSource, Mode, Order, OrderState
from dca.core.operations import MissingPosition
from dca.core.order_limits import Placed
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from proof.simulation.database import Transaction
from proof.simulation.lifecycles import BY_NAME, live
from proof.simulation.mysql import MySqlDatabase
from proof.simulation.plan import Step
from proof.simulation.tables import Tables
from proof.simulation.world import World, quiet_logging
from tests.builders import NOW, order

ASSET = {
    "asset_symbol": "BTC/USD",
    "is_enabled": True,
    "base_order_amount": Decimal(20),
    "safety_order_amount": Decimal(20),
    "max_safety_orders": 3,
    "safety_order_deviation": Decimal(1),
    "take_profit_percent": Decimal(2),
    "cooldown_period": 300,
    "buy_order_price_deviation_percent": Decimal(3),
}
Run = Callable[[Callable[[Any], Any]], Any]


@pytest.fixture(params=["memory", "server"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a function in a transaction of either store, on one asset with a cycle that watches."""
    if request.param == "memory":
        yield _memory()
        return
    settings: DatabaseSettings = request.getfixturevalue("database")
    with Store(settings) as store:
        store.transaction(_begin)
        yield store.transaction


def _begin(tx: Any) -> None:
    tx.insert_asset(ASSET)
    tx.insert_cycle(1, CycleStatus.WATCHING)


def _memory() -> Run:
    tables = Tables()

    def run(work: Callable[[Any], Any]) -> Any:
        tx = Transaction(tables, lambda _: None)
        try:
            return work(tx)
        except BaseException:
            tx.roll_back()
            raise

    run(_begin)
    return run


def _update(order: Order, tx: Any) -> None:
    tx.update_order(order)


def sent(number: int = 1, **changes: Any) -> Order:
    """An order of the asset's cycle as it is claimed."""
    name = f"dca-test-1-{number}-b"
    new = order(id=0, asset_id=1, cycle_id=1, seq=number, client_order_id=name, state=OrderState.SENT)
    return replace(new, **changes)


def test_an_order_is_read_as_it_was_written(run: Run) -> None:
    written = run(lambda tx: tx.insert_order(sent()))
    assert run(lambda tx: tx.orders(1)) == [written] == run(lambda tx: tx.open_orders())
    assert run(lambda tx: tx.orders_of_cycles([1])) == [written]
    assert run(lambda tx: tx.known_orders([written.client_order_id, "other"])) == [written]
    assert run(lambda tx: tx.cycle_of_order(written.client_order_id)) == 1
    assert run(lambda tx: tx.known_ids([written.client_order_id, "other"])) == {written.client_order_id}
    assert run(lambda tx: tx.attempts(written.id)) == (1, 1)


def test_orders_are_counted_by_time_and_by_what_was_filled(run: Run) -> None:
    written = run(lambda tx: tx.insert_order(sent()))
    at = written.created_at

    def counted(seconds: int) -> list[Placed]:
        now = at + timedelta(seconds=seconds)
        return [run(lambda tx: tx.orders_placed(1, now)), run(lambda tx: tx.orders_in_vain(1, now))]

    assert counted(1) == counted(59) == [Placed(in_a_minute=1, in_an_hour=1)] * 2
    assert counted(60) == [Placed(in_a_minute=0, in_an_hour=1)] * 2
    assert counted(-1) == counted(3600) == [Placed(in_a_minute=0, in_an_hour=0)] * 2
    filled = replace(written, filled_qty=Decimal("0.1"), filled_avg_price=Decimal(100))
    run(lambda tx: tx.update_order(filled))
    assert counted(1) == [Placed(in_a_minute=1, in_an_hour=1), Placed(in_a_minute=0, in_an_hour=0)]
    assert run(lambda tx: tx.orders_placed(2, at)) == Placed(in_a_minute=0, in_an_hour=0)


def test_buys_that_are_held_back_are_counted_by_reason_and_time(run: Run) -> None:
    cycle = run(lambda tx: tx.cycle(1))
    assert run(lambda tx: tx.buys_held_back("a reason", NOW)) == 0
    waits = replace(cycle, refusals=1, problem="a reason: words", next_buy_at=NOW + timedelta(minutes=5))
    run(lambda tx: tx.update_cycle(waits))
    assert run(lambda tx: tx.buys_held_back("a reason", NOW)) == 1
    assert run(lambda tx: tx.buys_held_back("another", NOW)) == 0
    assert run(lambda tx: tx.buys_held_back("a reason", NOW + timedelta(minutes=5))) == 0


@pytest.mark.parametrize("second", [sent(2), sent(1, client_order_id="dca-test-1-1-b", seq=2)])
def test_a_second_live_order_or_the_same_id_loses_the_race(run: Run, second: Order) -> None:
    run(lambda tx: tx.insert_order(sent()))
    with pytest.raises(LostRace):
        run(lambda tx: tx.insert_order(second))
    assert len(run(lambda tx: tx.orders(1))) == 1


def test_a_second_live_cycle_loses_the_race(run: Run) -> None:
    with pytest.raises(LostRace):
        run(lambda tx: tx.insert_cycle(1, CycleStatus.WATCHING))


def test_an_older_version_is_not_written(run: Run) -> None:
    first = run(lambda tx: tx.insert_order(sent()))
    run(lambda tx: tx.update_order(replace(first, state=OrderState.ACKED)))
    with pytest.raises(OurBug):
        run(lambda tx: tx.update_order(replace(first, state=OrderState.DONE)))
    cycle = run(lambda tx: tx.cycle(1))
    run(lambda tx: tx.update_cycle(replace(cycle, refusals=1)))
    with pytest.raises(OurBug):
        run(lambda tx: tx.update_cycle(replace(cycle, refusals=2)))


def test_what_raises_leaves_nothing_behind(run: Run) -> None:
    def work(tx: Any) -> None:
        tx.insert_order(sent())
        tx.update_cycle(replace(tx.cycle(1), status=CycleStatus.BUYING))
        tx.lock_asset(1, "for a moment", NOW)
        tx.set_mode(Mode.HALT, "for a moment")
        tx.next_epoch("account")
        raise OurBug("on purpose")

    with pytest.raises(OurBug, match="on purpose"):
        run(work)
    assert run(lambda tx: tx.orders(1)) == [] == run(lambda tx: tx.open_orders())
    assert run(lambda tx: tx.cycle(1)).status is CycleStatus.WATCHING
    assert run(lambda tx: tx.asset(1)).lock_reason is None
    control = run(lambda tx: tx.control())
    assert (control.mode, control.epoch, control.account_id) == (Mode.RUN, 0, None)


def test_the_rate_of_fees_is_assumed_until_it_is_known(run: Run) -> None:
    assert run(lambda tx: tx.control()).fee_rate == Decimal("0.0025")
    run(lambda tx: tx.set_fee_rate(Decimal("0.0018")))
    assert run(lambda tx: tx.control()).fee_rate == Decimal("0.0018")
    written = run(lambda tx: tx.insert_order(sent(1, fee_rate=Decimal("0.0018"))))
    assert run(lambda tx: tx.orders(1))[0].fee_rate == written.fee_rate == Decimal("0.0018")


def test_the_first_start_says_which_account_it_is(run: Run) -> None:
    assert run(lambda tx: tx.next_epoch("first", NOW)).account_made_at == NOW
    again = run(lambda tx: tx.next_epoch("first", NOW + timedelta(days=1)))
    assert (again.epoch, again.account_id, again.account_made_at) == (2, "first", NOW)


def test_live_closed_and_ghost_orders(run: Run) -> None:
    first = run(lambda tx: tx.insert_order(sent()))
    run(lambda tx: tx.update_order(replace(first, state=OrderState.VOID, closed_at=NOW)))
    assert run(lambda tx: tx.open_orders()) == []
    assert [each.id for each in run(lambda tx: tx.given_up_orders(NOW - timedelta(1)))] == [first.id]
    second = run(lambda tx: tx.insert_order(sent(2)))
    ghost = run(lambda tx: tx.orders(1))[0]
    run(lambda tx: tx.update_order(replace(ghost, state=OrderState.GHOST, closed_at=None)))
    assert {each.id for each in run(lambda tx: tx.open_orders())} == {first.id, second.id}
    assert run(lambda tx: tx.given_up_orders(NOW - timedelta(1))) == []


def test_attempts_are_counted_answered_once_and_expire(run: Run) -> None:
    written = run(lambda tx: tx.insert_order(sent()))
    later = written.last_sent_at + timedelta(seconds=30)
    run(lambda tx: tx.insert_attempt(written.id, 2, later))
    run(lambda tx: tx.expire_attempts(written.id, later))
    assert run(lambda tx: tx.attempts(written.id)) == (2, 1)
    run(lambda tx: tx.answer_attempt(written.id, 2, "reject"))
    run(lambda tx: tx.answer_attempt(written.id, 2, "accepted"))
    assert run(lambda tx: tx.attempts(written.id)) == (2, 0)
    with pytest.raises(LostRace):
        run(lambda tx: tx.insert_attempt(written.id, 2, later))


def test_columns_round_half_up_and_times_keep_their_fractions(run: Run) -> None:
    """What a longer value becomes, without a word: it must not be written in the first place, and both
    stores do the same to it if it is."""
    cycle = run(lambda tx: tx.cycle(1))
    odd = replace(
        cycle,
        bought_cost=Decimal("1.0000000000000005"),
        last_order_fill_price=Decimal("2.00000000005"),
        status=CycleStatus.ERROR,
        completed_at=NOW.replace(microsecond=999_999),
    )
    run(lambda tx: tx.update_cycle(odd))
    stored = run(lambda tx: tx.cycle(1))
    assert stored.bought_cost == Decimal("1.000000000000001")
    assert stored.last_order_fill_price == Decimal("2.0000000001")
    assert stored.completed_at == NOW.replace(microsecond=999_999)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": Decimal(-1)},
        {"quantity": Decimal(1)},
        {"status": CycleStatus.COMPLETE},
        {"completed_at": NOW},
        {"safety_orders": -1},
        {"refusals": -1},
    ],
)
def test_an_impossible_cycle_is_refused(run: Run, wrong: dict[str, Any]) -> None:
    cycle = run(lambda tx: tx.cycle(1))
    with pytest.raises(BrokenRule):
        run(lambda tx: tx.update_cycle(replace(cycle, **wrong)))


@pytest.mark.parametrize(
    "wrong",
    [{"filled_qty": Decimal(1)}, {"fee_qty": Decimal(1)}, {"fee_usd": Decimal(-1)}, {"limit_price": None}],
)
def test_an_impossible_order_is_refused(run: Run, wrong: dict[str, Any]) -> None:
    with pytest.raises(BrokenRule):
        run(lambda tx: tx.insert_order(sent(1, **wrong)))


def test_ended_cycles_and_what_they_left_behind(run: Run) -> None:
    filled = {"filled_qty": Decimal("0.2"), "filled_avg_price": Decimal(100), "closed_at": NOW}
    run(lambda tx: tx.insert_order(sent(1, state=OrderState.DONE, **filled)))
    cycle = run(lambda tx: tx.cycle(1))
    ended = {"status": CycleStatus.COMPLETE, "completed_at": NOW, "average_purchase_price": Decimal(100)}
    run(lambda tx: tx.update_cycle(replace(cycle, quantity=Decimal("0.2"), **ended)))
    run(lambda tx: tx.insert_cycle(1, CycleStatus.COOLDOWN, NOW))
    before = NOW - timedelta(days=1)
    assert [each.id for each in run(lambda tx: tx.leftover_cycles(before))] == [1]
    assert [each.id for each in run(lambda tx: tx.ended_cycles(1, before))] == [1]
    assert [each.id for each in run(lambda tx: tx.cycles_ended_since(before))] == [1]
    assert run(lambda tx: tx.cycles_ended_since(NOW)) == []
    assert [each.seq for each in run(lambda tx: tx.orders_of_cycles([1, 2]))] == [1]
    assert run(lambda tx: tx.orders_of_cycles([])) == []
    assert run(lambda tx: tx.ended_cycles(1, NOW)) == [] == run(lambda tx: tx.error_cycles(before))
    assert [each.seq for each in run(lambda tx: tx.orders_with_open_fees(before, NOW))] == [1]
    assert run(lambda tx: tx.orders_with_open_fees(NOW, before)) == [], "its fills are not known"
    for source, is_open in (("position", False), ("executions", True), ("charged", False)):
        (known,) = run(lambda tx: tx.orders(1))
        known = replace(known, fee_source=FeeSource(source))
        run(partial(_update, known))
        assert bool(run(lambda tx: tx.orders_with_open_fees(NOW, before))) == is_open
        assert run(lambda tx: tx.orders_with_open_fees(before, NOW)) == []
    live: Cycle = run(lambda tx: tx.live_cycle(1))
    assert (live.status, live.cooldown_started_at) == (CycleStatus.COOLDOWN, NOW)
    assert run(lambda tx: tx.live_cycles()) == [live]


def test_what_is_missing_is_left_for_the_next_run(run: Run) -> None:
    seen = MissingPosition(cycle_id=1, first_seen_at=NOW - timedelta(minutes=5), last_seen_at=NOW, looks=2)
    assert run(lambda tx: tx.missing_positions()) == []
    run(lambda tx: tx.replace_missing_positions([seen]))
    assert run(lambda tx: tx.missing_positions()) == [seen]
    again = replace(seen, looks=3)
    run(lambda tx: tx.replace_missing_positions([again]))
    assert run(lambda tx: tx.missing_positions()) == [again]
    run(lambda tx: tx.replace_missing_positions([]))
    assert run(lambda tx: tx.missing_positions()) == []


def test_locks_and_last_sell_price(run: Run) -> None:
    assert run(lambda tx: tx.lock_asset(1, "first", NOW))
    assert not run(lambda tx: tx.lock_asset(1, "second", NOW))
    assert run(lambda tx: tx.assets())[0].lock_reason == "first"
    assert run(lambda tx: tx.unlock_asset(1))
    assert not run(lambda tx: tx.unlock_asset(1))
    run(lambda tx: tx.set_last_sell_price(1, Decimal("1.5")))
    assert run(lambda tx: tx.asset(1)).last_sell_price == Decimal("1.5")


def test_a_row_with_a_word_that_is_not_known_is_not_written(run: Run) -> None:
    cycle, written = run(lambda tx: tx.cycle(1)), run(lambda tx: tx.insert_order(sent()))
    run(lambda tx: tx.update_cycle(replace(cycle, status=CycleStatus.read("asleep"))))
    run(lambda tx: tx.update_order(replace(written, state=OrderState.read("lost"))))
    assert run(lambda tx: tx.cycle(1)) == cycle and run(lambda tx: tx.orders(1)) == [written]


def test_a_whole_life_is_the_same_on_both(database: DatabaseSettings) -> None:
    """The strongest form: not a line or a place of a life under faults differs."""
    quiet_logging()
    faults = ("db.lost", "db.deadlock", "db.swallow_commit_ok", "db.swallow_commit_ok")
    steps = tuple(Step(at=4.0 + 3 * n, kind=kind, args={"count": 3}) for n, kind in enumerate(faults))
    life = replace(BY_NAME["partial"], steps=(*BY_NAME["partial"].steps, *steps))

    def prepare(world: World) -> None:
        world.weather.arm("submit.accept_then_drop")
        world.weather.crash_at.add(120)

    memory = live(life, prepare, and_heal=False)
    server = live(life, prepare, lambda *arguments: MySqlDatabase(database, *arguments), and_heal=False)
    assert len(memory.lines) > 10 and any("main_app#2" in name for name in memory.boundaries)
    assert server.lines == memory.lines
    assert server.boundaries == memory.boundaries and server.calls == memory.calls
    assert server.violations == memory.violations == []
