"""Orders that nobody asked for like that: changed by the exchange, given up and there after all, or gone."""

from decimal import Decimal
from pathlib import Path

import pytest

import order_manager
from dca.core import invariants
from dca.core.model import CycleStatus, DefiniteReject, LockKind, Order, OrderState, Purpose
from dca.database.store import Transaction
from tests.caring import check, edit, run, sold
from tests.operator.test_holding import bot
from tests.rig import SYMBOL, Rig

NO = DefiniteReject(code=40310000, message="a no that was none")
DAY = 86_400


def numbers(rig: Rig) -> list[str]:
    return invariants.numbers(rig.asset().lock_reason or "")


def undecided(rig: Rig) -> list[Order]:
    return rig.store.transaction(lambda tx: tx.undecided_orders())


def cycle_of(rig: Rig, number: int) -> CycleStatus:
    return rig.store.transaction(lambda tx: tx.cycle(number)).status


def checked_for_days(rig: Rig) -> None:
    for seconds in (200, 300, DAY, 3 * DAY, 40 * DAY):
        rig.clock.pass_seconds(seconds)
        check(rig)


CHANGES = [
    ("limit price is 98, not 100", {"limit_price": Decimal(98)}),
    ("limit price is 102, not 100", {"limit_price": Decimal(102)}),
    ("quantity is 0.199999999, not 0.2", {"qty": Decimal("0.199999999")}),
    ("quantity is 0.2001, not 0.2", {"qty": Decimal("0.2001")}),
    ("quantity is 7, not 0.2", {"qty": Decimal(7)}),
]


@pytest.mark.parametrize(("words", "changes"), CHANGES, ids=[words for words, _ in CHANGES])
def test_an_order_that_came_back_changed_is_booked_and_locks_until_accepted(
    rig: Rig, tmp_path: Path, words: str, changes: dict[str, Decimal | str]
) -> None:
    rig.exchange.changes = changes
    rig.quote("100")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="98"))
    order, taken = rig.orders()[0], rig.exchange.orders[rig.last_id()]
    assert (order.state, order.filled_qty) == (OrderState.DONE, taken.qty)
    assert abs(rig.cycle().quantity - rig.exchange.held[SYMBOL]) < Decimal("1e-9")
    checked_for_days(rig)
    assert words in (rig.asset().lock_reason or "") and numbers(rig) == ["I31"]
    rig.exchange.changes = {}
    rig.look()
    rig.quote("90")
    assert len(rig.orders()) == 1, "locked"
    code, said = bot(rig, tmp_path, "accept BTC/USD --yes")
    assert code == 0 and words in said.replace("\n", " ")
    assert (rig.asset().lock_reason, undecided(rig)) == (None, [])
    checked_for_days(rig)
    assert rig.asset().lock_reason is None, "what was accepted is not told again"
    rig.look()
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    assert cycle_of(rig, 1) is CycleStatus.COMPLETE
    assert rig.violations() == []


@pytest.mark.parametrize("caretaker", [False, True])
def test_what_is_open_of_a_changed_order_is_canceled(rig: Rig, caretaker: bool) -> None:
    rig.exchange.changes = {"limit_price": Decimal(98)}
    rig.quote("100")
    wanted = [rig.exchange.orders[rig.last_id()].exchange_order_id]
    if caretaker:
        rig.clock.pass_seconds(400)
        run(rig, order_manager.main)
    else:
        rig.settle()
    assert rig.exchange.cancels == wanted
    rig.exchange.end(rig.last_id())
    rig.settle()
    assert (rig.orders()[0].state, rig.cycle().status) == (OrderState.DONE, CycleStatus.WATCHING)
    assert "98, not 100" in (rig.asset().lock_reason or ""), "it would come back changed again"


def test_a_changed_sale_ends_its_cycle_and_the_next_waits_for_the_word(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    rig.exchange.changes = {"qty": Decimal("0.199499999")}
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    assert (cycle_of(rig, 1), rig.cycle().status) == (CycleStatus.COMPLETE, CycleStatus.COOLDOWN)
    checked_for_days(rig)
    assert numbers(rig) == ["I31"]
    assert bot(rig, tmp_path, "accept BTC/USD --yes")[0] == 0
    assert rig.asset().lock_reason is None


def test_a_changed_answer_that_was_lost_is_found_by_settling(rig: Rig) -> None:
    rig.exchange.changes, rig.exchange.lose_answer = {"qty": Decimal("0.19")}, True
    rig.quote("100")
    assert rig.orders()[0].state is OrderState.SENT
    rig.settle()
    assert rig.orders()[0].state is OrderState.CANCEL_REQUESTED
    rig.exchange.fill(rig.last_id(), "0.1")
    rig.exchange.end(rig.last_id())
    rig.settle()
    assert (rig.cycle().status, rig.cycle().bought_qty) == (CycleStatus.WATCHING, Decimal("0.1"))
    assert numbers(rig) == ["I31"]


# ---- given up, and there after all -------------------------------------------------------------------------


def ghost(rig: Rig, price: str = "100") -> None:
    """A refused order that the exchange had taken, and fills."""
    rig.exchange.refuse_what_it_took = NO
    rig.quote(price)
    rig.exchange.refuse_what_it_took = None
    assert rig.orders(rig.cycle().id)[-1].state is OrderState.REJECTED
    rig.exchange.fill(rig.last_id(), price=price)


@pytest.mark.parametrize("told", ["by the stream", "by the list"])
def test_what_a_ghost_bought_stays_locked_until_it_is_decided(rig: Rig, tmp_path: Path, told: str) -> None:
    ghost(rig)
    if told == "by the stream":
        rig.trader.books.book(rig.exchange.orders[rig.last_id()])
    checked_for_days(rig)
    assert (rig.orders()[0].state, rig.cycle().quantity) == (OrderState.GHOST, Decimal("0.1995"))
    assert numbers(rig) == ["I31"] and rig.asset().lock_kind is LockKind.BREAK
    rig.look()
    for price in ("100", "98", "110"):
        rig.quote(price)
    assert len(rig.exchange.posts) == 1, "neither bought again nor sold"
    code, said = bot(rig, tmp_path, "accept BTC/USD --yes")
    assert code == 0 and "its buy of 0.2 at 100 stays booked in cycle 1" in said.replace("\n", " ")
    checked_for_days(rig)
    assert rig.asset().lock_reason is None
    rig.look()
    rig.quote("103")
    assert (rig.orders()[-1].purpose, rig.orders()[-1].qty) == (Purpose.TAKE_PROFIT, Decimal("0.1995"))


def test_sell_is_a_word_on_it_and_is_carried_out(rig: Rig, tmp_path: Path) -> None:
    ghost(rig)
    check(rig)
    assert rig.asset().lock_reason is not None
    code, said = bot(rig, tmp_path, "sell BTC/USD --yes")
    assert code == 0 and "sells within seconds" in said
    assert (rig.asset().lock_reason, undecided(rig)) == (None, [])
    rig.clock.pass_seconds(300)
    check(rig)
    rig.look()
    rig.quote("95")
    assert rig.orders()[-1].purpose is Purpose.EXIT


def test_sell_ends_no_lock_that_is_for_something_else_too(rig: Rig, tmp_path: Path) -> None:
    ghost(rig)
    check(rig)
    edit(rig, "UPDATE dca_assets SET lock_reason = 'coins are missing (I31, I09)'")
    assert "sold once unlocked" in bot(rig, tmp_path, "sell BTC/USD --yes")[1]
    assert rig.asset().lock_reason is not None


def test_a_ghost_that_has_filled_nothing_yet_locks_too(rig: Rig) -> None:
    rig.exchange.refuse_what_it_took = NO
    rig.quote("100")
    rig.trader.books.book(rig.exchange.orders[rig.last_id()])
    assert "given up and turned up" in (rig.asset().lock_reason or "")
    rig.exchange.end(rig.last_id())
    rig.settle()
    rig.clock.pass_seconds(300)
    check(rig)
    assert rig.asset().lock_reason is None, "it ended, and bought nothing"


def test_a_ghost_s_sale_completes_its_cycle(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    ghost(rig, "103")
    rig.trader.books.book(rig.exchange.orders[rig.last_id()])
    assert (cycle_of(rig, 1), rig.cycle().status) == (CycleStatus.COMPLETE, CycleStatus.COOLDOWN)
    assert rig.asset().last_sell_price == Decimal(103)
    checked_for_days(rig)
    assert numbers(rig) == ["I31"], "nothing is bought before somebody has looked"
    assert bot(rig, tmp_path, "accept BTC/USD --yes")[0] == 0
    rig.look()
    rig.quote("103")
    assert rig.orders(2)[0].purpose is Purpose.BASE


def late_ghost(rig: Rig) -> None:
    """A buy of a cycle that is complete by the time it turns up."""
    ghost(rig)
    rig.clock.pass_seconds(301)
    rig.look()
    sold(rig)
    rig.exchange.orders = dict(sorted(rig.exchange.orders.items()))
    first = rig.orders(1)[0]
    rig.trader.books.book(rig.exchange.orders[first.client_order_id])


def test_a_ghost_s_coins_in_an_ended_cycle_are_adopted_into_the_live_one(rig: Rig, tmp_path: Path) -> None:
    late_ghost(rig)
    checked_for_days(rig)
    assert "I31" in numbers(rig)
    code, said = bot(rig, tmp_path, "adopt BTC/USD --price 100 --yes")
    assert code == 0 and "0.1995 of them leave cycle 1" in said
    assert rig.store.transaction(lambda tx: tx.cycle(1)).quantity == 0
    assert (rig.cycle().id, rig.cycle().quantity) == (2, Decimal("0.1995"))
    rig.clock.pass_seconds(300)
    check(rig)
    assert rig.asset().lock_reason is None


def test_a_ghost_s_coins_in_an_ended_cycle_are_accepted_as_sold(rig: Rig, tmp_path: Path) -> None:
    late_ghost(rig)
    checked_for_days(rig)
    assert bot(rig, tmp_path, "accept BTC/USD --price 99 --yes")[0] == 0
    assert rig.store.transaction(lambda tx: tx.cycle(1)).quantity == 0
    checked_for_days(rig)
    assert rig.asset().lock_reason is None


def test_what_fills_after_the_word_needs_another(rig: Rig, tmp_path: Path) -> None:
    rig.exchange.changes = {"qty": Decimal("0.3")}
    rig.quote("100")
    rig.exchange.fill(rig.last_id(), "0.1")
    rig.trader.books.book(rig.exchange.end(rig.last_id()))
    assert bot(rig, tmp_path, "accept BTC/USD --yes")[0] == 0
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), "0.3"))
    assert numbers(rig) == ["I31"] and len(undecided(rig)) == 1


# ---- under our id, and not ours; in our books, and not there -----------------------------------------------


def test_another_order_under_our_id_is_never_booked(rig: Rig, tmp_path: Path) -> None:
    """Ours was not taken and never can be; what the other one is, somebody has to see."""
    rig.exchange.changes, rig.exchange.lose_answer = {"side": "sell"}, True
    rig.quote("100")
    rig.exchange.lose_answer = False
    rig.settle()
    assert (rig.orders()[0].state, rig.cycle().status) == (OrderState.REJECTED, CycleStatus.WATCHING)
    checked_for_days(rig)
    assert "side is sell, not buy" in (rig.asset().lock_reason or "")
    assert bot(rig, tmp_path, "accept BTC/USD --yes")[0] == 0
    rig.exchange.changes = {}
    rig.look()
    rig.quote("100")
    assert rig.orders()[-1].state is OrderState.ACKED


@pytest.mark.parametrize("how", ["denied", "another", "impossible"])
def test_accept_ends_an_order_that_the_exchange_does_not_have(rig: Rig, tmp_path: Path, how: str) -> None:
    rig.quote("100")
    name = rig.last_id()
    if how == "denied":
        del rig.exchange.orders[name]
    elif how == "another":
        rig.exchange.changes = {"symbol": "ETH/USD"}
        del rig.exchange.orders[name]
        rig.exchange.submit(rig.orders()[0])
    else:
        rig.exchange.fill(name, "0.3")
        rig.exchange.held[SYMBOL] = Decimal(0)
    rig.settle()
    assert rig.orders()[0].state is OrderState.ACKED and rig.cycle().quantity == 0
    if how == "denied":
        rig.clock.pass_seconds(-121)
        assert "wait until it has ended" in bot(rig, tmp_path, "accept BTC/USD --yes")[1]
    rig.clock.pass_seconds(300)
    check(rig)
    assert rig.asset().lock_reason is not None
    code, said = bot(rig, tmp_path, "accept BTC/USD --yes")
    assert code == 0 and f"The exchange has no order {name}" in said
    assert (rig.orders()[0].state, rig.cycle().status) == (OrderState.VOID, CycleStatus.WATCHING)
    assert rig.asset().lock_reason is None


def test_accept_gives_nothing_up_that_the_exchange_has(rig: Rig, tmp_path: Path) -> None:
    rig.quote("100")
    rig.clock.pass_seconds(DAY)
    assert "wait until it has ended" in bot(rig, tmp_path, "accept BTC/USD --yes")[1]
    assert rig.orders()[0].state is OrderState.ACKED


def test_orders_are_undecided_in_the_table_as_in_the_model(rig: Rig) -> None:
    rig.bought()
    filled = rig.orders()[0]

    def seen(tx: Transaction) -> list[int]:
        return [order.id for order in tx.undecided_orders() if order.is_undecided]

    for column, is_so in {
        "difference = 'x'": True,
        "difference = 'x', decided_at = '2026-01-01'": False,
        "state = 'ghost'": True,
        "state = 'ghost', decided_at = '2026-01-01'": False,
        "state = 'ghost', filled_qty = 0, fee_qty = 0": False,
        "state = 'done'": False,
    }.items():
        edit(
            rig,
            f"UPDATE dca_orders SET state = 'done', difference = NULL, decided_at = NULL,"
            f" filled_qty = {filled.filled_qty}, {column}",
        )
        assert rig.store.transaction(seen) == ([filled.id] if is_so else []), column
