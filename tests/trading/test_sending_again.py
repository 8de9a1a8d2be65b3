"""An order that never arrived is sent again only if it would be right, to the letter, at the newest quote."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from dca.core.model import Mode, Order, OrderState
from tests.caring import edit
from tests.rig import QUIET_SECONDS, SYMBOL, Rig

Change = Callable[[Rig], object]
WISH = "UPDATE dca_cycles SET exit_requested_at = {}, version = version + 1 WHERE status = '{}'"


def lost(rig: Rig, price: str) -> Order:
    """What a quote leads to, lost on the way, and denied once after the quiet period."""
    rig.exchange.lose_request = True
    rig.quote(price)
    rig.exchange.lose_request = False
    order = rig.orders()[-1]
    assert rig.exchange.posts[-1] == order.client_order_id
    rig.clock.pass_seconds(QUIET_SECONDS + 1)
    assert not rig.trader.settle(order).denied_for_good
    rig.clock.pass_seconds(QUIET_SECONDS / 4)
    return rig.orders()[-1]


def quoted(bid: str, ask: str) -> Change:
    def change(rig: Rig) -> None:
        rig.exchange.price, rig.exchange.best_ask = Decimal(bid), Decimal(ask)

    return change


def edited(statement: str) -> Change:
    def change(rig: Rig) -> None:
        edit(rig, statement)
        rig.look()

    return change


def is_sent_again(rig: Rig, order: Order, change: Change) -> bool:
    change(rig)
    before = len(rig.exchange.posts)
    assert rig.trader.settle(order).denied_for_good
    again = rig.exchange.posts[before:]
    assert again in ([], [order.client_order_id]), "under the same id or not at all"
    assert rig.orders()[-1].state is (OrderState.ACKED if again else OrderState.VOID)
    return bool(again)


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (quoted("99", "100"), True),
        (quoted("99.99", "100.01"), False),
        (lambda rig: setattr(rig.exchange, "down", False), True),
        (lambda rig: setattr(rig.exchange, "quoted_at", rig.clock.now() - timedelta(seconds=16)), False),
        (lambda rig: setattr(rig.desk, "mode", Mode.EXITS_ONLY), False),
        (edited("UPDATE dca_assets SET is_enabled = FALSE"), False),
        (edited("UPDATE dca_assets SET lock_reason = 'mine'"), False),
        (edited("UPDATE dca_assets SET base_order_amount = 5"), False),
    ],
    ids=[
        "at its limit",
        "above it",
        "as it was",
        "an old quote",
        "exits only",
        "disabled",
        "locked",
        "too small",
    ],
)
def test_a_buy_is_sent_again_while_it_would_be_bought(rig: Rig, change: Change, again: bool) -> None:
    assert is_sent_again(rig, lost(rig, "100"), change) is again


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (quoted("102", "103"), True),
        (quoted("101.99", "103"), False),
        (lambda rig: setattr(rig.desk, "mode", Mode.EXITS_ONLY), True),
        (edited("UPDATE dca_assets SET is_enabled = FALSE"), True),
        (edited("UPDATE dca_assets SET lock_reason = 'mine'"), False),
        (edited("UPDATE dca_control SET mode = 'halt'"), False),
    ],
    ids=["at its target", "below it", "exits only", "disabled", "locked", "halted"],
)
def test_a_take_profit_is_sent_again_while_buyers_pay_its_target(
    rig: Rig, change: Change, again: bool
) -> None:
    """By the ask, which is always higher, it would be sold below."""
    rig.bought()
    rig.look()
    assert is_sent_again(rig, lost(rig, "102"), change) is again


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (quoted("50", "51"), True),
        (edited(WISH.format("NULL", "selling")), False),
        (lambda rig: rig.desk.put(rig.asset(), None, (), rig.clock.now()), False),
    ],
    ids=["at any price", "taken back", "of a cycle that is gone"],
)
def test_a_wished_sale_is_sent_again_while_it_is_wished(rig: Rig, change: Change, again: bool) -> None:
    rig.bought()
    edit(rig, WISH.format("UTC_TIMESTAMP(6)", "watching"))
    rig.look()
    assert is_sent_again(rig, lost(rig, "100"), change) is again


def test_a_pair_that_nobody_watches_any_more_is_not_sent_again(rig: Rig) -> None:
    order = lost(rig, "100")
    rig.desk.forget_others(set())
    assert rig.desk.watch(SYMBOL) is None
    assert rig.trader.settle(order).denied_for_good
    assert (rig.orders()[-1].state, len(rig.exchange.posts)) == (OrderState.VOID, 1)
