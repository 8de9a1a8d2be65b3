"""F54: what no strategy wants makes an asset wait; several at once turn buys off; a fall does neither."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from dca.alerts import conditions
from dca.core import order_limits
from dca.core.model import CycleStatus, Mode, Order, OrderState, Purpose, Side
from dca.core.order_limits import Fuse, Placed
from dca.database.store import Store, Transaction
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import DatabaseSettings
from dca.trading.trader import Trader
from dca.trading.worker import limits_of
from tests.alerts.test_conditions import books, look, only
from tests.builders import NOW, D, asset, done, ours
from tests.conftest import connected
from tests.good_settings import parsed
from tests.rig import INSERT, LIMITS, SYMBOL, Rig

FUSE = Fuse(per_minute=4, per_hour=60)


def placed(minute: int = 0, hour: int = 0) -> Placed:
    return Placed(in_a_minute=minute, in_an_hour=max(minute, hour))


@pytest.mark.parametrize(
    ("side", "before", "words"),
    [
        (Side.BUY, placed(3, 59), None),
        (Side.BUY, placed(4), "4 orders of BTC/USD within a minute"),
        (Side.BUY, placed(0, 60), "60 orders of BTC/USD within an hour"),
        (Side.BUY, placed(0, 60), "MAX_ORDERS_PER_HOUR=60"),
        (Side.SELL, placed(15, 10_000), None),
        (Side.SELL, placed(16), "16 orders of BTC/USD within a minute"),
    ],
)
def test_how_many_in_vain_are_too_many(side: Side, before: Placed, words: str | None) -> None:
    reason = order_limits.blown(FUSE, SYMBOL, side, before)
    assert (reason is None) == (words is None)
    assert words is None or words in str(reason)
    assert order_limits.reached(FUSE, side, before) == (words is not None)


BASE = done(seq=1, filled="0.2")
SAFETY = done(Purpose.SAFETY, seq=2, filled="0.2", level=1)


@pytest.mark.parametrize(
    ("orders", "wanted", "words"),
    [
        ([], (Purpose.BASE, 0), None),
        ([done(seq=1, filled="0.009")], (Purpose.BASE, 0), None),
        ([BASE], (Purpose.BASE, 0), "the cycle's orders hold 0.1995"),
        ([BASE, SAFETY], (Purpose.SAFETY, 2), None),
        ([BASE, SAFETY], (Purpose.SAFETY, 1), "dca-abcd1234-12-2-x has bought it"),
        ([BASE, replace(SAFETY, filled_qty=D(0))], (Purpose.SAFETY, 1), None),
        ([BASE, done(Purpose.ADOPTED, seq=2, filled="1", level=3)], (Purpose.SAFETY, 4), "3 of 3 are bought"),
        (
            [done(seq=n, filled="0.2", purpose=Purpose.SAFETY, level=n) for n in (1, 2, 3)],
            (Purpose.SAFETY, 4),
            "3 of 3 are bought",
        ),
        ([BASE, SAFETY, done(Purpose.TAKE_PROFIT, seq=3, filled="0.399")], (Purpose.BASE, 0), None),
        ([BASE], (Purpose.TAKE_PROFIT, 0), None),
    ],
)
def test_what_the_orders_of_a_cycle_speak_against(
    orders: list[Order], wanted: tuple[Purpose, int], words: str | None
) -> None:
    found = order_limits.contradiction(asset(), orders, *wanted, D("0.01"))
    assert (found is None) == (words is None)
    assert words is None or words in str(found)


def test_the_limits_come_from_the_settings() -> None:
    assert limits_of(parsed()).fuse == FUSE
    given = parsed(MAX_ORDERS_PER_MINUTE="9", MAX_ORDERS_PER_HOUR="200")
    assert limits_of(given).fuse == Fuse(per_minute=9, per_hour=200)


def test_the_mail_about_it_says_what_happened_and_what_to_do() -> None:
    last = order_limits.blown(FUSE, SYMBOL, Side.BUY, placed(4))
    reason = f"{order_limits.NAME}: 3 assets at once, the last: {last}"
    control = replace(books().control, mode=Mode.EXITS_ONLY, mode_reason=reason)
    found = only(conditions.findings(look(books=books(control=control))), "kill switch")
    assert found.subject == "Too many orders: buys are off"
    for words in ("4 orders of BTC/USD", "MAX_ORDERS_PER_MINUTE=4", "./bot orders", "./bot resume", ".env"):
        assert words in found.evidence


# ---- in the claim ------------------------------------------------------------------------------------------


@pytest.fixture
def rig(database: DatabaseSettings) -> Iterator[Rig]:
    """An asset with many safety orders, and the fuse as it is by default."""
    rig = Rig(database)
    rig.store.run_script("UPDATE dca_assets SET max_safety_orders = 50;\n")
    rig.look()
    limits = replace(LIMITS, fuse=FUSE)
    rig.trader = Trader(rig.store, rig.exchange, rig.desk, rig.clock, Troubles(), limits)
    yield rig
    rig.close()


def fall(rig: Rig, price: Decimal, steps: int, seconds: float) -> Decimal:
    """So many steps down, one order each if it may be; each is filled at once."""
    for _ in range(steps):
        before = len(rig.exchange.posts)
        rig.quote(str(price))
        if len(rig.exchange.posts) > before:
            rig.trader.books.book(rig.exchange.fill(rig.exchange.posts[-1], price=str(price)))
        price = round(price * Decimal("0.985"), 4)
        rig.clock.pass_seconds(seconds)
    return price


def in_vain(rig: Rig, count: int) -> None:
    """So many safety orders, one a second, each canceled at our own wish before anything of it is filled: as
    by a bug that takes each for stale."""
    for _ in range(count):
        before = len(rig.exchange.posts)
        rig.quote("98")
        if len(rig.exchange.posts) > before:
            rig.trader.cancel(rig.orders(rig.cycle().id)[-1], "a bug")
            rig.trader.books.book(rig.exchange.end(rig.exchange.posts[-1]))
        rig.clock.pass_seconds(1)


def mode(rig: Rig) -> tuple[Mode, str]:
    control = rig.store.transaction(lambda tx: tx.control())
    return control.mode, control.mode_reason or ""


def test_a_fall_through_all_levels_within_a_minute_is_bought(rig: Rig) -> None:
    """Base order and fifty safety orders, a second apart: what the ladder has, each level once."""
    fall(rig, Decimal(1000), steps=52, seconds=1)
    assert (len(rig.exchange.posts), mode(rig)[0]) == (51, Mode.RUN)
    assert (rig.cycle().safety_orders, rig.cycle().problem) == (50, None)
    assert rig.violations() == []


def test_the_fifth_order_in_vain_within_a_minute_waits_and_sells_still_go(rig: Rig) -> None:
    rig.bought()
    in_vain(rig, 7)
    cycle = rig.cycle()
    assert len(rig.exchange.posts) == 1 + 4
    assert str(cycle.problem).startswith("order-rate fuse: 4 orders of BTC/USD within a minute")
    assert cycle.next_buy_at is not None and cycle.next_buy_at > rig.clock.now() + timedelta(minutes=4)
    assert mode(rig)[0] is Mode.RUN, "nothing else stops"
    rig.quote("120")
    assert rig.last_id().endswith("-tp")
    assert rig.violations() == []


def test_it_waits_longer_each_time_and_a_fill_ends_that(rig: Rig) -> None:
    rig.bought()
    for minutes in (5, 10):
        in_vain(rig, 6)
        until = rig.cycle().next_buy_at
        assert until is not None
        assert timedelta(minutes=minutes - 1) < until - rig.clock.now() <= timedelta(minutes=minutes)
        rig.clock.pass_seconds(minutes * 60)
        rig.look()
    fall(rig, Decimal(98), steps=2, seconds=1)
    cycle = rig.cycle()
    assert (cycle.safety_orders, cycle.refusals, cycle.problem) == (2, 0, None)


def test_all_of_an_hour_count_together_and_not_what_is_older(rig: Rig) -> None:
    rig.trader._limits = replace(LIMITS, fuse=Fuse(per_minute=1000, per_hour=10))
    rig.bought()
    in_vain(rig, 1)
    for _ in range(9):
        rig.clock.pass_seconds(390)
        in_vain(rig, 1)
    rig.clock.pass_seconds(100)  # the first is older than an hour
    in_vain(rig, 2)
    assert len(rig.exchange.posts) == 1 + 10 + 1
    assert "10 orders of BTC/USD within an hour" in str(rig.cycle().problem)


def held_back(rig: Rig, others: int, minutes: int) -> None:
    """So many more assets that wait because of the fuse until so many minutes from now."""
    until = (rig.clock.now() + timedelta(minutes=minutes)).replace(tzinfo=None)
    for number in range(2, 2 + others):
        rig.store.run_script(INSERT.replace("BTC/USD", f"C{'ABC'[number - 2]}/USD"))
        begin = partial(Transaction.insert_cycle, asset_id=number, status=CycleStatus.WATCHING)
        rig.store.transaction(begin)
        rig.store.run_script(
            "UPDATE dca_cycles SET problem = 'order-rate fuse: x', refusals = 1,"
            f" next_buy_at = '{until}' WHERE asset_id = {number};\n"
        )


@pytest.mark.parametrize(
    ("others", "minutes", "expected"),
    [(1, 5, Mode.RUN), (2, 5, Mode.EXITS_ONLY), (2, -1, Mode.RUN)],
    ids=["two of them", "three of them", "not at the same time"],
)
def test_buys_of_all_assets_go_off_only_when_several_are_held_back_at_once(
    rig: Rig, others: int, minutes: int, expected: Mode
) -> None:
    rig.bought()
    held_back(rig, others, minutes)
    in_vain(rig, 6)
    turned, reason = mode(rig)
    assert turned is expected
    if expected is Mode.EXITS_ONLY:
        assert reason.startswith("order-rate fuse: 3 assets at once, the last: 4 orders of BTC/USD")
        rig.clock.pass_seconds(3600)
        fall(rig, Decimal(90), steps=1, seconds=1)
        assert len(rig.exchange.posts) == 5, "it does not end by itself"
        rig.quote("120")
        assert rig.last_id().endswith("-tp")


def test_a_level_that_was_bought_is_not_bought_again_whatever_the_sums_say(rig: Rig) -> None:
    """Somebody's hand makes safety order 3 of what was the first."""
    fall(rig, Decimal(100), steps=3, seconds=1)
    rig.store.run_script("UPDATE dca_orders SET level = 3 WHERE level = 1;\n")
    rig.quote("90")
    assert len(rig.exchange.posts) == 3
    assert "safety order 3 is wanted" in str(rig.cycle().problem)
    assert mode(rig)[0] is Mode.RUN


def test_after_resume_it_counts_anew(rig: Rig) -> None:
    rig.bought()
    in_vain(rig, 6)
    assert rig.cycle().next_buy_at is not None
    rig.store.transaction(lambda tx: tx.set_mode(Mode.RUN, "anna: resumed"))
    at = rig.clock.now().replace(tzinfo=None)  # the rig's clock is not the server's
    rig.store.run_script(f"UPDATE dca_control SET mode_set_at = '{at}';\n")
    rig.store.run_script("UPDATE dca_cycles SET next_buy_at = NULL, version = version + 1;\n")
    rig.clock.pass_seconds(1)
    rig.look()
    in_vain(rig, 6)
    assert len(rig.exchange.posts) == 1 + 4 + 4


def test_a_halt_by_the_operator_is_not_weakened(rig: Rig) -> None:
    rig.bought()
    in_vain(rig, 4)
    rig.store.transaction(lambda tx: tx.set_mode(Mode.HALT, "anna"))
    in_vain(rig, 2)
    assert mode(rig) == (Mode.HALT, "anna")


def test_sells_that_run_away_wait_and_nothing_else_stops(rig: Rig) -> None:
    """As if each sell were of dust."""
    rig.bought()
    cycle, bought = rig.cycle(), rig.orders()[0]
    for number in range(16):
        write(
            rig.store,
            created_at=rig.clock.now(),
            cycle_id=cycle.id,
            seq=bought.seq + 1 + number,
            client_order_id=f"dca-dust-{number}",
            purpose=Purpose.TAKE_PROFIT,
            side=Side.SELL,
        )
    rig.quote("103")
    assert rig.exchange.posts == [bought.client_order_id]
    held_back = rig.cycle()
    assert held_back.next_sell_at is not None and "16 orders of BTC/USD" in str(held_back.problem)
    assert mode(rig)[0] is Mode.RUN
    rig.clock.pass_seconds(61)
    rig.quote("103")
    assert len(rig.exchange.posts) == 2


def test_a_buy_is_never_sized_by_the_position_that_was_read_for_a_sell(rig: Rig) -> None:
    """The operator took the wish to sell back after main_app had read it: what the rows say now is a safety
    order, and the position says nothing about that."""
    rig.bought()
    rig.store.run_script("UPDATE dca_cycles SET exit_requested_at = UTC_TIMESTAMP(6);\n")
    rig.look()
    rig.store.run_script("UPDATE dca_cycles SET exit_requested_at = NULL;\n")
    rig.quote("98")
    assert len(rig.exchange.posts) == 1
    rig.quote("98")
    assert rig.last_id().endswith("-s1")
    assert rig.orders()[-1].qty == Decimal("0.204081632"), "for $20"


# ---- the query ---------------------------------------------------------------------------------------------


def write(store: Store, **changes: Any) -> None:
    """An order of no consequence."""

    def work(tx: Transaction) -> None:
        written = tx.insert_order(ours(**changes))
        tx.update_order(replace(written, state=OrderState.VOID, closed_at=written.created_at))

    store.transaction(work)


def test_what_counts_as_placed_and_as_in_vain(ready: Store) -> None:
    for seq, seconds in enumerate([0, 59, 60, 61, 3599, 3600, 7200, -5], start=1):
        at = NOW - timedelta(seconds=seconds)
        write(ready, seq=seq, client_order_id=f"dca-{seq}", created_at=at, purpose=Purpose.SAFETY, level=1)
    write(ready, seq=99, client_order_id="dca-99", created_at=NOW, purpose=Purpose.ADOPTED)
    for count in (Transaction.orders_placed, Transaction.orders_in_vain):
        assert ready.transaction(partial(count, asset_id=1, now=NOW)) == placed(2, 5)
        assert ready.transaction(partial(count, asset_id=2, now=NOW)) == placed(0, 0)
    ready.run_script("UPDATE dca_orders SET filled_qty = 0.1, filled_avg_price = 100 WHERE seq IN (1, 4);\n")
    assert ready.transaction(lambda tx: tx.orders_placed(1, NOW)) == placed(2, 5)
    assert ready.transaction(lambda tx: tx.orders_in_vain(1, NOW)) == placed(1, 3)
    at = (NOW - timedelta(seconds=60)).replace(tzinfo=None)
    ready.run_script(f"UPDATE dca_control SET mode_set_at = '{at}';\n")
    assert ready.transaction(lambda tx: tx.orders_placed(1, NOW)) == placed(2, 2)


class Explaining(Transaction):
    """Asks the server how it would answer, instead of for the answer."""

    def _rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        self.plan = super()._rows(f"EXPLAIN FORMAT=TRADITIONAL {sql}", *args)
        return [{"in_an_hour": 0, "in_a_minute": 0}]


def test_the_ledger_is_not_read_for_it(database: DatabaseSettings, ready: Store) -> None:
    """However many orders there are: an index alone answers, and of that the last hour."""
    for seq in range(1, 300):
        at = NOW - timedelta(minutes=seq)
        write(ready, seq=seq, client_order_id=f"dca-{seq}", created_at=at)
    person = connected(database)
    with person.cursor() as cursor:
        cursor.execute("ANALYZE TABLE dca_orders")
        cursor.fetchall()
        explaining = Explaining(cursor)
        explaining.orders_placed(1, NOW)
    person.close()
    (orders,) = [row for row in explaining.plan if row["table"] == "dca_orders"]
    assert (orders["key"], orders["type"]) == ("time_of_order", "range")
    assert "Using index" in orders["Extra"]
    assert int(orders["rows"]) < 100
