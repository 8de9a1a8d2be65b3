"""F54: a bot that wants to place far too many orders has a fault, and its buys go off."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dca import fuse, health
from dca.fuse import Fuse, Placed
from dca.logs import Troubles
from dca.model import Mode, OrderState, Purpose, Side
from dca.settings import DatabaseSettings
from dca.store import Store, Transaction
from dca.trader import Trader
from dca.worker import limits_of
from tests.builders import NOW, ours
from tests.conftest import connected
from tests.good_settings import parsed
from tests.rig import LIMITS, SYMBOL, Rig
from tests.test_health import books, look, only

FUSE = Fuse(per_minute=4, per_hour=60)


def placed(minute: int = 0, hour: int = 0, assets: int = 1) -> Placed:
    return Placed(of_asset_in_a_minute=minute, in_an_hour=hour, enabled_assets=assets)


@pytest.mark.parametrize(
    ("side", "before", "words"),
    [
        (Side.BUY, placed(3, 59), None),
        (Side.BUY, placed(4, 4), "4 orders of BTC/USD within a minute"),
        (Side.BUY, placed(0, 60, 5), "60 orders within an hour"),
        (Side.BUY, placed(0, 71, 6), None),
        (Side.BUY, placed(0, 72, 6), "72 for 6 enabled assets"),
        (Side.BUY, placed(0, 719, 60), None),
        (Side.BUY, placed(0, 720, 60), "MAX_ORDERS_PER_HOUR=60"),
        (Side.SELL, placed(15, 10_000), None),
        (Side.SELL, placed(16, 16), "16 orders of BTC/USD within a minute"),
    ],
)
def test_how_many_are_too_many(side: Side, before: Placed, words: str | None) -> None:
    reason = fuse.blown(FUSE, SYMBOL, side, before)
    assert (reason is None) == (words is None)
    assert words is None or words in str(reason)


def test_the_limits_come_from_the_settings() -> None:
    assert limits_of(parsed()).fuse == FUSE
    given = parsed(MAX_ORDERS_PER_MINUTE="9", MAX_ORDERS_PER_HOUR="200")
    assert limits_of(given).fuse == Fuse(per_minute=9, per_hour=200)


def test_the_mail_about_it_says_what_happened_and_what_to_do() -> None:
    reason = f"{fuse.NAME}: {fuse.blown(FUSE, SYMBOL, Side.BUY, placed(4))}"
    control = replace(books().control, mode=Mode.EXITS_ONLY, mode_reason=reason)
    found = only(health.findings(look(books=books(control=control))), "kill switch")
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


def mode(rig: Rig) -> tuple[Mode, str]:
    control = rig.store.transaction(lambda tx: tx.control())
    return control.mode, control.mode_reason or ""


def test_the_fifth_order_within_a_minute_turns_buys_off_and_sells_still_go(rig: Rig) -> None:
    fall(rig, Decimal(100), steps=4, seconds=1)
    assert (len(rig.exchange.posts), mode(rig)[0]) == (4, Mode.RUN)
    fall(rig, Decimal(90), steps=3, seconds=1)
    assert len(rig.exchange.posts) == 4
    turned, reason = mode(rig)
    assert turned is Mode.EXITS_ONLY
    assert reason.startswith("order-rate fuse: 4 orders of BTC/USD within a minute")
    rig.clock.pass_seconds(3600)
    fall(rig, Decimal(90), steps=1, seconds=1)
    assert len(rig.exchange.posts) == 4, "it does not end by itself"
    rig.quote("120")
    assert rig.last_id().endswith("-tp")
    assert rig.violations() == []


def test_a_fast_fall_that_the_limit_allows_is_bought(rig: Rig) -> None:
    fall(rig, Decimal(100), steps=20, seconds=15.1)
    assert (len(rig.exchange.posts), mode(rig)[0]) == (20, Mode.RUN)


def test_all_orders_of_an_hour_count_together_and_from_then_on_no_more(rig: Rig) -> None:
    rig.trader._limits = replace(LIMITS, fuse=Fuse(per_minute=1000, per_hour=10))
    price = fall(rig, Decimal(100), steps=10, seconds=300)
    rig.clock.pass_seconds(601)  # the first is older than an hour
    price = fall(rig, price, steps=1, seconds=1)
    assert (len(rig.exchange.posts), mode(rig)[0]) == (11, Mode.RUN)
    fall(rig, price, steps=1, seconds=1)
    assert (len(rig.exchange.posts), mode(rig)[0]) == (11, Mode.EXITS_ONLY)


def test_after_resume_it_counts_anew(rig: Rig) -> None:
    price = fall(rig, Decimal(100), steps=5, seconds=1)
    assert mode(rig)[0] is Mode.EXITS_ONLY
    rig.store.transaction(lambda tx: tx.set_mode(Mode.RUN, "anna: resumed"))
    at = rig.clock.now().replace(tzinfo=None)  # the rig's clock is not the server's
    rig.store.run_script(f"UPDATE dca_control SET mode_set_at = '{at}';\n")
    rig.clock.pass_seconds(1)
    rig.look()
    fall(rig, price, steps=4, seconds=1)
    assert (len(rig.exchange.posts), mode(rig)[0]) == (8, Mode.RUN)


def test_a_halt_by_the_operator_is_not_weakened(rig: Rig) -> None:
    price = fall(rig, Decimal(100), steps=4, seconds=1)
    rig.store.transaction(lambda tx: tx.set_mode(Mode.HALT, "anna"))
    fall(rig, price, steps=1, seconds=1)
    assert mode(rig) == (Mode.HALT, "anna")


def test_sells_that_run_away_wait_and_nothing_else_stops(rig: Rig) -> None:
    """As if each sell were of dust."""
    rig.bought()
    cycle, bought = rig.cycle(), rig.orders()[0]
    for number in range(15):
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


def test_what_counts_as_placed(ready: Store) -> None:
    for seq, seconds in enumerate([0, 59, 60, 61, 3599, 3600, 7200, -5], start=1):
        at = NOW - timedelta(seconds=seconds)
        write(ready, seq=seq, client_order_id=f"dca-{seq}", created_at=at)
    write(ready, seq=99, client_order_id="dca-99", created_at=NOW, purpose=Purpose.ADOPTED)
    assert ready.transaction(lambda tx: tx.orders_placed(1, NOW)) == placed(2, 5, 2)
    assert ready.transaction(lambda tx: tx.orders_placed(2, NOW)) == placed(0, 5, 2)
    ready.run_script("UPDATE dca_assets SET is_enabled = FALSE WHERE id = 2;\n")
    at = (NOW - timedelta(seconds=60)).replace(tzinfo=None)
    ready.run_script(f"UPDATE dca_control SET mode_set_at = '{at}';\n")
    assert ready.transaction(lambda tx: tx.orders_placed(1, NOW)) == placed(2, 2, 1)


class Explaining(Transaction):
    """Asks the server how it would answer, instead of for the answer."""

    def _rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        self.plan = super()._rows(f"EXPLAIN {sql}", *args)
        return [{"in_an_hour": 0, "of_asset_in_a_minute": 0, "enabled_assets": 0}]


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
