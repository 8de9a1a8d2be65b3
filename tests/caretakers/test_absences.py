"""F57: when coins that the account does not show are gone, and when they only are not shown."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from dca.caretakers.job import Job
from dca.core.errors import ExchangeUnavailable
from dca.core.model import CycleStatus, Execution, LockKind, Position, Quote
from dca.core.operations import MissingPosition
from dca.core.order_cleanup import GONE_FOR, GONE_LOOKS, is_beyond_doubt, missing_again
from tests.builders import NOW, cycle
from tests.caring import check, edit, take_away
from tests.checking import Bench, bench
from tests.rig import RULES, SYMBOL, Rig

__all__ = ["bench"]
MISSING = "the account holds 0, the ledger 0.1995: 0.1995 are missing (I09)"


def every_five_minutes(rig: Rig, runs: int) -> Job:
    """So many runs of the checker, as cron has them; returns the last."""
    for _ in range(runs):
        rig.clock.pass_seconds(300)
        job = check(rig)
    return job


def missing(rig: Rig) -> list[MissingPosition]:
    return rig.store.transaction(lambda tx: tx.missing_positions())


def test_F57_a_position_that_is_gone_ends_its_cycle_and_the_next_begins_in_cooldown(rig: Rig) -> None:
    """Not before several runs have seen it, over a quarter of an hour; until then it is locked."""
    rig.bought()
    take_away(rig, "0.1995")
    assert check(rig, dry_run=True).changed == 1
    assert (rig.asset().lock_reason, missing(rig)) == (None, [])
    check(rig)
    every_five_minutes(rig, 2)
    assert (rig.cycle().id, rig.asset().lock_reason, rig.asset().lock_kind) == (1, MISSING, LockKind.BREAK)
    assert check(rig, dry_run=True).changed == 0
    every_five_minutes(rig, 1)
    ended = rig.store.transaction(lambda tx: tx.cycle(1))
    assert ended.status is CycleStatus.ERROR
    assert "the account holds 0 where the ledger has 0.1995, for 15 minutes or more" in (ended.problem or "")
    assert (rig.cycle().status, missing(rig)) == (CycleStatus.COOLDOWN, [])
    every_five_minutes(rig, 1)
    assert rig.asset().lock_reason is None, "the books agree again"
    assert check(rig).changed == 0


def test_many_runs_within_a_few_minutes_prove_nothing(rig: Rig) -> None:
    """Somebody runs it by hand, again and again."""
    rig.bought()
    take_away(rig, "0.1995")
    for _ in range(3 * GONE_LOOKS):
        rig.clock.pass_seconds(60)
        check(rig)
    assert rig.cycle().id == 1


def test_two_runs_far_apart_prove_nothing(rig: Rig) -> None:
    rig.bought()
    for _ in range(3 * GONE_LOOKS):
        rig.clock.pass_seconds(GONE_FOR.total_seconds() + 1)
        take_away(rig, "0.1995")
        check(rig)
        rig.deposit("0.1995")
    assert (rig.cycle().id, missing(rig)[0].looks) == (1, 1)


def test_one_run_that_sees_the_coins_again_begins_anew(rig: Rig) -> None:
    """Also when it is its second look that sees them."""
    rig.bought()
    take_away(rig, "0.1995")
    every_five_minutes(rig, 3)
    assert missing(rig)[0].looks == 3
    reads = rig.exchange.position_reads
    rig.exchange.on_positions = lambda read: rig.deposit("0.1995") if read == reads + 2 else None
    every_five_minutes(rig, 1)
    assert (rig.cycle().id, missing(rig)) == (1, [])
    rig.exchange.on_positions = None
    every_five_minutes(rig, 1)
    assert (rig.asset().lock_reason, missing(rig)) == (None, [])
    take_away(rig, "0.1995")
    every_five_minutes(rig, 3)
    assert rig.cycle().id == 1
    every_five_minutes(rig, 1)
    assert rig.cycle().id == 2


def test_runs_that_cannot_look_are_no_evidence_and_take_none_away(rig: Rig) -> None:
    rig.bought()
    take_away(rig, "0.1995")
    every_five_minutes(rig, 2)
    rig.exchange.down = True
    for _ in range(2):
        rig.clock.pass_seconds(300)
        with pytest.raises(ExchangeUnavailable):
            check(rig)
    rig.exchange.down = False
    every_five_minutes(rig, 1)
    assert (rig.cycle().id, missing(rig)[0].looks) == (1, 3)
    every_five_minutes(rig, 1)
    assert rig.cycle().id == 2


def test_an_asset_that_was_locked_for_a_part_needs_as_long_for_all(rig: Rig) -> None:
    rig.bought()
    take_away(rig, "0.05")
    every_five_minutes(rig, 6)
    assert missing(rig) == []
    take_away(rig, "0.1495")
    every_five_minutes(rig, 3)
    assert rig.cycle().id == 1
    every_five_minutes(rig, 1)
    assert rig.cycle().id == 2


# ---- more than one at once ---------------------------------------------------------------------------------


def both_bought(rig: Rig) -> None:
    """A cycle of BTC/USD and one of ETH/USD that hold coins."""
    rig.exchange.rules["ETH/USD"] = replace(RULES, symbol="ETH/USD")
    rig.desk.rules = rig.exchange.rules
    rig.bought()
    asset, live = rig.store.transaction(lambda tx: (tx.assets()[1], tx.live_cycle(2)))
    rig.desk.put(asset, live, (), rig.clock.now())
    now = rig.clock.now()
    hundred = Decimal(100)
    rig.trader.on_quote(Quote(symbol="ETH/USD", bid=hundred, ask=hundred, at=now, received_at=now))
    name = rig.store.transaction(lambda tx: tx.orders(2))[-1].client_order_id
    rig.trader.books.book(rig.exchange.fill(name))


def live_ids(rig: Rig) -> list[int]:
    return sorted(each.id for each in rig.store.transaction(lambda tx: tx.live_cycles()))


def test_an_empty_list_of_positions_ends_no_cycle_however_long_it_lasts(bench: Bench) -> None:
    both_bought(bench.rig)
    held = dict(bench.rig.exchange.held)
    bench.rig.exchange.held.clear()
    for _ in range(3 * GONE_LOOKS):
        bench.rig.clock.pass_seconds(300)
        bench.check()
    assert live_ids(bench.rig) == [1, 2]
    for reason in bench.reasons():
        assert "0.1995 are missing; of 1 more the account shows too little" in (reason or "")
    reads = bench.rig.exchange.position_reads
    bench.check()
    assert bench.rig.exchange.position_reads == reads + 1, "what is told is not waited for again"
    bench.rig.exchange.held.update(held)
    bench.check()
    assert bench.reasons() == [None, None]


def test_a_list_that_was_empty_makes_what_was_seen_before_worthless(bench: Bench) -> None:
    rig = bench.rig
    both_bought(rig)
    bitcoin, ether = rig.exchange.held.pop(SYMBOL), rig.exchange.held["ETH/USD"]
    for held in (ether, ether, ether, Decimal(0), ether, ether, ether):
        rig.exchange.held["ETH/USD"] = held
        rig.clock.pass_seconds(300)
        bench.check()
    assert live_ids(rig) == [1, 2]
    bench.check()
    rig.clock.pass_seconds(300)
    bench.check()
    assert live_ids(rig) == [2, 3], f"{bitcoin} are gone, those of the other pair never were"


def test_a_list_that_is_empty_at_the_second_look_ends_nothing(bench: Bench) -> None:
    """Of the run that would have been the last one."""
    rig = bench.rig
    both_bought(rig)
    del rig.exchange.held[SYMBOL]
    for _ in range(GONE_LOOKS - 1):
        rig.clock.pass_seconds(300)
        bench.check()
    reads = rig.exchange.position_reads
    rig.exchange.on_positions = lambda read: rig.exchange.held.clear() if read == reads + 2 else None
    rig.clock.pass_seconds(300)
    bench.check()
    assert (live_ids(rig), missing(rig)) == ([1, 2], [])


def test_of_several_that_drift_none_is_gone(bench: Bench) -> None:
    """One is not there at all, another is there by half."""
    rig = bench.rig
    both_bought(rig)
    del rig.exchange.held[SYMBOL]
    rig.exchange.held["ETH/USD"] /= 2
    for _ in range(3 * GONE_LOOKS):
        rig.clock.pass_seconds(300)
        bench.check()
    assert live_ids(rig) == [1, 2]


def test_a_pair_with_an_order_in_flight_is_counted_among_the_missing(bench: Bench) -> None:
    """It is not judged itself, and an empty list is an empty list."""
    rig = bench.rig
    both_bought(rig)
    edit(rig, "UPDATE dca_cycles SET status = 'buying' WHERE id = 2")
    edit(
        rig,
        "UPDATE dca_orders SET state = 'acked', closed_at = NULL, exchange_status = 'partially_filled',"
        " qty = qty * 2 WHERE cycle_id = 2",
    )
    ether = next(name for name, each in rig.exchange.orders.items() if each.symbol == "ETH/USD")
    open_there = rig.exchange.orders[ether]
    assert open_there.qty is not None
    rig.exchange.orders[ether] = replace(open_there, status="partially_filled", qty=open_there.qty * 2)
    rig.exchange.held.clear()
    for _ in range(3 * GONE_LOOKS):
        rig.clock.pass_seconds(300)
        bench.check()
    assert live_ids(rig) == [1, 2]


def test_one_that_is_missing_among_several_that_are_there_ends(bench: Bench) -> None:
    rig = bench.rig
    both_bought(rig)
    del rig.exchange.held[SYMBOL]
    for _ in range(GONE_LOOKS):
        rig.clock.pass_seconds(300)
        bench.check()
    assert live_ids(rig) == [2, 3]
    assert bench.reasons()[1] is None


# ---- what was sold past the bot ----------------------------------------------------------------------------


def sell_past_the_bot(rig: Rig, *, price: str = "97") -> None:
    """All that the cycle holds, in the dashboard."""
    bought = rig.exchange.orders[rig.orders()[0].client_order_id]
    sold = replace(
        bought,
        client_order_id="person-1",
        exchange_order_id="x-person",
        side="sell",
        limit_price=None,
        updated_at=rig.clock.now(),
    )
    rig.exchange.orders["person-1"] = sold
    execution = Execution(id="e", exchange_order_id="x-person", qty=Decimal("0.1995"), price=Decimal(price))
    rig.exchange.executions_of["x-person"] = [execution]
    take_away(rig, "0.1995")


def test_F57_all_sold_by_hand_is_told_with_its_price_and_ends_by_accept(rig: Rig) -> None:
    rig.bought()
    sell_past_the_bot(rig)
    every_five_minutes(rig, 3 * GONE_LOOKS)
    assert rig.cycle().id == 1
    assert rig.asset().lock_reason == (
        "the account holds 0, the ledger 0.1995: 0.1995 are missing; 0.1995 were sold past the bot, "
        "last at 97 by the exchange's order x-person (I09)"
    )


def test_a_sale_that_the_list_tells_late_is_found_before_the_end(rig: Rig) -> None:
    rig.bought()
    take_away(rig, "0.1995")
    every_five_minutes(rig, 3)
    rig.deposit("0.1995")
    sell_past_the_bot(rig)
    every_five_minutes(rig, 3 * GONE_LOOKS)
    assert rig.cycle().id == 1


def test_sales_of_the_bot_explain_nothing(rig: Rig) -> None:
    """Those of the cycle before, some minutes ago."""
    rig.bought()
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    rig.clock.pass_seconds(301)
    rig.look()
    rig.quote("100")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="100"))
    assert rig.cycle().quantity == Decimal("0.1995")
    rig.exchange.held[SYMBOL] = Decimal(0)
    every_five_minutes(rig, GONE_LOOKS)
    assert rig.store.transaction(lambda tx: tx.cycle(2)).status is CycleStatus.ERROR


def test_what_was_sold_cannot_be_had_is_no_evidence(rig: Rig) -> None:
    rig.bought()
    take_away(rig, "0.1995")

    def silent(symbol: str, after: object) -> list[Execution]:
        raise ExchangeUnavailable(f"{symbol} {after}")

    rig.exchange.sales = silent  # type: ignore[method-assign]
    job = every_five_minutes(rig, 3 * GONE_LOOKS)
    assert job.context.failed
    assert (rig.cycle().id, rig.asset().lock_reason, missing(rig)) == (1, MISSING, [])


# ---- the evidence itself -----------------------------------------------------------------------------------


def test_how_many_runs_and_how_long() -> None:
    seen = missing_again(None, cycle(), NOW)
    assert (seen.looks, seen.first_seen_at, is_beyond_doubt(seen)) == (1, NOW, False)
    for minutes, beyond_doubt in ((5, False), (10, False), (14.9, False), (15, True)):
        seen = missing_again(seen, cycle(), NOW + timedelta(minutes=minutes))
        assert is_beyond_doubt(seen) is beyond_doubt
    assert not is_beyond_doubt(replace(seen, looks=GONE_LOOKS - 1))


@pytest.mark.parametrize("minutes", [-1, 15.1])
def test_a_pause_and_a_clock_that_was_set_back_begin_anew(minutes: float) -> None:
    seen = missing_again(None, cycle(), NOW)
    assert missing_again(seen, cycle(), NOW + timedelta(minutes=minutes)).looks == 1


def test_nothing_is_held_is_no_absence(bench: Bench) -> None:
    """An empty list on an account of which the bot holds nothing, and of one that holds only dust."""
    bench.rig.exchange.positions = dict[str, Position]  # type: ignore[method-assign]
    bench.check()
    assert (bench.reasons(), missing(bench.rig)) == ([None, None], [])
