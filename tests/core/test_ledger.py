"""Merging what is seen of an order, and adding up a cycle's orders, as properties."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca.core import ledger
from dca.core.ledger import merge, totals
from dca.core.model import (
    CLOSED_AT_EXCHANGE,
    GIVEN_UP_STATES,
    LIVE_STATES,
    Cycle,
    Execution,
    FeeSource,
    Order,
    OrderState,
    Purpose,
    Side,
    Snapshot,
)
from tests.builders import NOW, D, cycle, done, holding, order, snapshot

RATE = Fraction(25, 10_000)
LATER = NOW + timedelta(seconds=30)
QTY_STEP, PRICE_STEP = D("1e-9"), D("1e-10")

quantities = st.decimals(min_value=D("0.000000001"), max_value=1000, places=9)
prices = st.one_of(
    st.decimals(min_value=D("0.000001"), max_value=D("0.01"), places=9),
    st.decimals(min_value=1, max_value=100_000, places=2),
)


def steps(value: Fraction, step: Decimal) -> Fraction:
    """Rounded up to a multiple of the step, in fractions."""
    return -(-value // Fraction(step)) * Fraction(step)


# ---- merge: F34, F35 ----


@st.composite
def histories(draw: st.DrawFn) -> tuple[Order, list[Snapshot], list[Execution]]:
    """An order as we may have it, and everything the exchange ever truly says of it, in order.

    Also fills that come after the cancellation, and statuses that are not in the books.
    """
    purpose = draw(st.sampled_from(Purpose))
    parts = draw(st.lists(st.tuples(quantities, prices), max_size=4))
    filled = sum((qty for qty, _ in parts), D(0))
    rest = draw(st.just(D(0)) | quantities) if filled else draw(quantities)
    start = order(
        purpose,
        qty=filled + rest,
        state=draw(st.sampled_from([*LIVE_STATES, OrderState.REJECTED, OrderState.VOID])),
    )
    if start.state not in LIVE_STATES:
        start = replace(start, closed_at=NOW)
    seen = [snapshot(start, draw(st.sampled_from(["pending_new", "accepted"]))), snapshot(start, "new")]
    qty, value = D(0), D(0)
    executions: list[Execution] = []
    canceled_after = draw(st.integers(0, len(parts)) | st.none())
    for number, (part, price) in enumerate(parts):
        if canceled_after == number:
            seen.append(replace(seen[-1], status="canceled"))
        qty, value = qty + part, value + part * price
        status = "canceled" if seen[-1].status == "canceled" else "partially_filled"
        status = "filled" if qty == start.qty else status
        seen.append(replace(seen[-1], status=status, filled_qty=qty, filled_avg_price=value / qty))
        executions.append(Execution(id=f"e{number}", exchange_order_id="x-1", qty=part, price=price))
    end = draw(st.sampled_from(["canceled", "expired", None, "suspended", "pending_cancel"]))
    if end is not None and seen[-1].status not in CLOSED_AT_EXCHANGE:
        seen.append(replace(seen[-1], status=end))
    return start, seen, executions


History = tuple[Order, list[Snapshot], list[Execution]]


def told(start: Order, seen: Sequence[Snapshot]) -> Order:
    for each in seen:
        start = merge(start, each, LATER)
    return start


@given(histories(), st.data())
def test_merge_is_commutative_associative_and_idempotent(history: History, data: st.DataObject) -> None:
    """Some of the snapshots, any number of times, in any order: the same row."""
    start, seen, _ = history
    heard = data.draw(st.lists(st.sampled_from(seen), min_size=1, max_size=6))
    once = [each for number, each in enumerate(heard) if each not in heard[:number]]
    shuffled = data.draw(st.permutations(heard))
    assert told(start, shuffled) == told(start, once)
    assert told(told(start, once), shuffled) == told(start, once)


@given(histories())
def test_merge_ends_where_the_exchange_ended(history: History) -> None:
    start, seen, _ = history
    end = told(start, seen)
    assert end.filled_qty == max(each.filled_qty for each in seen)
    assert (end.closed_at is not None) == any(each.is_closed for each in seen)
    if end.closed_at is not None:
        assert end.exchange_status in CLOSED_AT_EXCHANGE
    if start.state in GIVEN_UP_STATES:
        assert end.state is OrderState.GHOST
    else:
        assert end.is_live == (end.closed_at is None)


@given(histories(), st.data())
def test_a_fill_only_grows_and_what_is_closed_stays_closed(history: History, data: st.DataObject) -> None:
    start, seen, _ = history
    known = start
    for second, each in enumerate(data.draw(st.permutations(seen))):
        after = merge(known, each, LATER + timedelta(seconds=second))
        assert after.filled_qty >= known.filled_qty
        assert after.filled_qty == max(known.filled_qty, each.filled_qty)
        if known.exchange_status in CLOSED_AT_EXCHANGE:
            assert after.exchange_status in CLOSED_AT_EXCHANGE
            assert (after.state, after.closed_at) == (known.state, known.closed_at)
        known = after


@given(histories())
def test_merge_writes_only_what_the_exchange_knows_better(history: History) -> None:
    start, seen, _ = history
    end = told(start, seen)
    for name in ("id", "client_order_id", "qty", "limit_price", "purpose", "seq", "created_at", "version"):
        assert getattr(end, name) == getattr(start, name)


def test_an_answer_ends_the_doubt() -> None:
    doubted = order(not_found_at=NOW)
    acked = merge(doubted, snapshot(doubted), LATER)
    assert (acked.state, acked.not_found_at, acked.exchange_order_id) == (OrderState.ACKED, None, "x-1")
    assert acked.closed_at is None


def test_a_wish_to_cancel_outlives_an_open_snapshot_and_ends_with_a_closed_one() -> None:
    asked = order(state=OrderState.CANCEL_REQUESTED, cancel_requested_at=NOW)
    assert merge(asked, snapshot(asked, "pending_cancel"), LATER).state is OrderState.CANCEL_REQUESTED
    ended = merge(asked, snapshot(asked, "canceled"), LATER)
    assert (ended.state, ended.closed_at, ended.cancel_was_ours) == (OrderState.DONE, LATER, True)


@pytest.mark.parametrize("state", [OrderState.REJECTED, OrderState.VOID])
def test_an_order_given_up_that_turns_up_is_a_ghost(state: OrderState) -> None:
    given_up = order(state=state, closed_at=NOW)
    ghost = merge(given_up, snapshot(given_up), LATER)
    assert (ghost.state, ghost.closed_at) == (OrderState.GHOST, None), "open at the exchange"
    gone = merge(ghost, snapshot(ghost, "filled", "0.2", "100"), LATER)
    assert (gone.state, gone.closed_at, gone.filled_qty) == (OrderState.GHOST, LATER, D("0.2"))


def test_an_unknown_status_may_still_fill() -> None:
    strange = merge(order(), snapshot(order(), "held_by_moonlight"), LATER)
    assert (strange.state, strange.closed_at) == (OrderState.ACKED, None)
    assert merge(strange, snapshot(order(), "new"), LATER).exchange_status == "new"


@pytest.mark.parametrize("price", [None, "0"])
def test_F61_a_fill_without_a_price_is_incomplete(price: str | None) -> None:
    assert ledger.is_incomplete(snapshot(order(), "partially_filled", "0.1", price))
    assert not ledger.is_incomplete(snapshot(order(), "partially_filled", "0.1", "100"))
    assert not ledger.is_incomplete(snapshot(order(), "new", "0", price))


# ---- fees ----


@given(quantities, prices)
def test_fees_are_rounded_up(qty: Decimal, price: Decimal) -> None:
    coins, dollars = ledger.coin_fee(qty), ledger.dollar_fee(qty * price)
    assert Fraction(coins) == min(steps(Fraction(qty) * RATE, D("1e-9")), Fraction(qty))
    assert Fraction(dollars) == steps(Fraction(qty) * Fraction(price) * RATE, D("0.01"))


@given(histories())
def test_what_is_booked_is_never_better_than_the_truth(history: History) -> None:
    """With the executions known: exactly what the exchange took, at the higher of its rates. Before:
    the fee on the whole, which misses at most the rounding of each execution."""
    start, seen, executions = history
    assumed = told(start, seen)
    exact = ledger.with_executions(assumed, [*executions, *executions])
    if not executions:
        assert exact is None
        return
    assert exact is not None and exact.fee_source is FeeSource.EXECUTIONS
    value = sum((Fraction(e.qty) * Fraction(e.price) for e in executions), Fraction(0))
    if start.side is Side.BUY:
        fee = sum(min(steps(Fraction(e.qty) * RATE, QTY_STEP), Fraction(e.qty)) for e in executions)
        assert (Fraction(exact.fee_qty), exact.fee_usd) == (fee, D(0))
        assert 0 <= exact.fee_qty - assumed.fee_qty <= (len(executions) - 1) * QTY_STEP
        assert value <= Fraction(exact.filled_value) < value + Fraction(ledger.LEDGER_STEP)
    else:
        fee = sum(steps(Fraction(e.qty) * Fraction(e.price) * RATE, D("0.01")) for e in executions)
        assert (exact.fee_qty, Fraction(exact.fee_usd)) == (D(0), fee)
        assert value - Fraction(ledger.LEDGER_STEP) < Fraction(exact.filled_value) <= value
    assert exact.filled_qty == assumed.filled_qty


@given(histories())
def test_executions_that_do_not_add_up_are_waited_for(history: History) -> None:
    start, seen, executions = history
    assert ledger.with_executions(told(start, seen), executions[1:]) is None


def test_a_shortage_of_coins_is_booked_as_fee_of_the_last_buy() -> None:
    base, safety = done(seq=1, filled="0.2"), done(Purpose.SAFETY, 2, filled="0.1")
    sold = done(Purpose.TAKE_PROFIT, 3, filled="0.05")
    poorer = ledger.with_shortage_as_fee([safety, base, sold], D("0.00002"))
    assert poorer is not None
    assert (poorer.id, poorer.fee_qty, poorer.fee_source) == (2, D("0.00027"), FeeSource.POSITION)
    assert ledger.with_shortage_as_fee([safety], D("0.09975")) is not None
    assert ledger.with_shortage_as_fee([safety], D("0.099750001")) is None, "more than it ever bought"
    assert ledger.with_shortage_as_fee([sold, order()], D("0.00002")) is None


def test_the_tolerance_explains_rounding_and_nothing_more() -> None:
    assert ledger.shortage_tolerance(holding(bought="1", fee="0.0025"), D("1e-9")) == D("0.00050001")


def test_the_tolerance_explains_the_highest_rate_again_where_a_lower_one_was_assumed() -> None:
    assert ledger.shortage_tolerance(holding(bought="1", fee="0.0010"), D("1e-9")) == D("0.00200001")


# ---- totals ----


@st.composite
def ledgers(draw: st.DrawFn) -> list[Order]:
    """A cycle's orders: fills of any price, unfilled ones between them, sells of what is held."""
    orders: list[Order] = []
    held = D(0)
    for seq in range(1, draw(st.integers(0, 6)) + 1):
        purpose = draw(st.sampled_from(Purpose))
        filled = draw(st.just(D(0)) | quantities)
        if purpose.side is Side.SELL:
            filled = min(filled, held)
        level = draw(st.integers(0, 5))
        made = done(purpose, seq, filled=str(filled), price=str(draw(prices)), level=level)
        made = replace(made, fee_qty=ledger.coin_fee(filled) if made.side is Side.BUY else D(0))
        held += -filled if made.side is Side.SELL else filled - made.fee_qty
        orders.append(made)
    return orders


def added(orders: list[Order], name: str) -> Fraction:
    return sum((Fraction(getattr(each, name)) for each in orders), Fraction(0))


@given(ledgers(), st.randoms(use_true_random=False))
def test_totals_against_a_recomputation_in_fractions(orders: list[Order], random: Any) -> None:
    buys = [each for each in orders if each.side is Side.BUY and each.filled_qty]
    sells = [each for each in orders if each.side is Side.SELL and each.filled_qty]
    shuffled = list(orders)
    random.shuffle(shuffled)
    found = totals(shuffled)
    held = added(buys, "filled_qty") - added(buys, "fee_qty") - added(sells, "filled_qty")
    assert Fraction(found.quantity) == held >= 0
    assert Fraction(found.bought_qty) == added(buys, "filled_qty")
    assert Fraction(found.bought_cost) == added(buys, "filled_value")
    assert Fraction(found.buy_fee_qty) == added(buys, "fee_qty")
    assert Fraction(found.sold_qty) == added(sells, "filled_qty")
    assert Fraction(found.sold_proceeds) == added(sells, "filled_value")
    assert Fraction(found.sell_fee) == added(sells, "fee_usd")
    adopted = [each.level for each in buys if each.purpose is Purpose.ADOPTED]
    assert found.safety_orders == sum(each.purpose is Purpose.SAFETY for each in buys) + sum(adopted)
    assert found.latest_order_id == (orders[-1].exchange_order_id if orders else None)
    if not buys:
        assert (found.average_purchase_price, found.last_order_fill_price) == (D(0), None)
        return
    exact = added(buys, "filled_value") / added(buys, "filled_qty")
    assert exact <= Fraction(found.average_purchase_price) < exact + Fraction(PRICE_STEP), "rounded up"
    assert found.last_order_fill_price is not None
    assert buys[-1].filled_avg_price == found.last_order_fill_price


@given(ledgers())
def test_a_cycle_with_its_totals_breaks_no_rule(orders: list[Order]) -> None:
    start = cycle(refusals=2, problem="kept")
    derived = ledger.with_totals(start, orders)
    assert derived.violations() == []
    assert ledger.with_totals(derived, orders) == derived
    assert (derived.refusals, derived.problem, derived.status) == (2, "kept", start.status)


def test_more_sold_than_the_assumed_fee_left_is_not_negative() -> None:
    sold = done(Purpose.TAKE_PROFIT, 2, filled="0.1999")
    derived: Cycle = ledger.with_totals(cycle(), [done(filled="0.2"), sold])
    assert derived.quantity == 0
    assert derived.violations() == []


# ---- ids ----

rows = st.tuples(
    st.integers(1, 2**31 - 1),
    st.integers(1, 2**31 - 1),
    st.sampled_from(
        [(Purpose.BASE, 0), (Purpose.TAKE_PROFIT, 0), *((Purpose.SAFETY, n) for n in (1, 12, 1000))]
    ),
)


@given(rows, rows)
def test_different_rows_have_different_ids_that_fit(
    one: tuple[int, int, tuple[Purpose, int]], other: tuple[int, int, tuple[Purpose, int]]
) -> None:
    ids = [ledger.client_order_id("abcd1234", row[0], row[1], *row[2]) for row in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)
    for text in ids:
        assert len(text) <= 48 and text.isascii()
        assert text.startswith(ledger.id_prefix("abcd1234"))


@pytest.mark.parametrize(
    ("one", "other"),
    [((1, 11, "s1"), (11, 1, "s1")), ((1, 2, "s11"), (1, 21, "s1")), ((12, 3, "b"), (1, 23, "b"))],
)
def test_digits_never_run_together(one: tuple[int, int, str], other: tuple[int, int, str]) -> None:
    def named(cycle_id: int, seq: int, tail: str) -> str:
        purpose = Purpose.BASE if tail == "b" else Purpose.SAFETY
        return ledger.client_order_id("abcd1234", cycle_id, seq, purpose, int(tail[1:] or 0))

    assert named(*one) != named(*other)
    assert named(*one).endswith(f"-{one[0]}-{one[1]}-{one[2]}")


# ---- is it the same order? ----

OURS = order()
SAME: list[tuple[str, Callable[[], Snapshot]]] = [
    ("as sent", lambda: snapshot(OURS)),
    ("without the slash", lambda: snapshot(OURS, symbol="BTCUSD")),
    ("no quantity told", lambda: snapshot(OURS, qty=None)),
    ("other digits", lambda: snapshot(OURS, qty=D("0.20000"))),
    ("rounded to a tick", lambda: snapshot(OURS, limit_price=D("99.99"))),
    ("one percent off", lambda: snapshot(OURS, limit_price=D(101))),
    ("our clock is behind", lambda: snapshot(OURS, created_at=NOW - timedelta(minutes=10))),
    ("no time told", lambda: snapshot(OURS, created_at=None)),
]
OTHER: list[tuple[str, Callable[[], Snapshot]]] = [
    ("symbol", lambda: snapshot(OURS, symbol="ETH/USD")),
    ("side", lambda: snapshot(OURS, side="sell")),
    ("quantity", lambda: snapshot(OURS, qty=D("0.200000001"))),
    ("limit price", lambda: snapshot(OURS, limit_price=D("101.01"))),
    ("limit price", lambda: snapshot(OURS, limit_price=D(0))),
    ("made at", lambda: snapshot(OURS, created_at=NOW - timedelta(minutes=10, seconds=1))),
]


@pytest.mark.parametrize("seen", [row[1] for row in SAME], ids=[row[0] for row in SAME])
def test_the_same_order_is_taken_for_it(seen: Callable[[], Snapshot]) -> None:
    assert ledger.mismatch(OURS, seen()) is None


@pytest.mark.parametrize(("word", "seen"), OTHER, ids=[row[0] for row in OTHER])
def test_another_order_is_not_taken_for_ours(word: str, seen: Callable[[], Snapshot]) -> None:
    found = ledger.mismatch(OURS, seen())
    assert found is not None and word in found


def test_a_market_order_has_no_limit() -> None:
    sale = order(Purpose.TAKE_PROFIT)
    assert ledger.mismatch(sale, snapshot(sale)) is None
    assert ledger.mismatch(sale, snapshot(sale, limit_price=D(100))) is not None
