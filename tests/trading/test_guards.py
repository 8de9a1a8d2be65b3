"""Guards of the trader that hold when something turns between the look and the claim."""

from dataclasses import replace
from decimal import Decimal

import mysql.connector
import pytest

from dca.core.errors import DatabaseUnavailable
from dca.core.model import CycleStatus, OrderState, Position, Quote
from tests.caring import edit, sold
from tests.rig import QUIET_SECONDS, RULES, SYMBOL, Rig


def test_a_quote_that_grew_old_while_the_position_was_read_sells_nothing(rig: Rig) -> None:
    rig.bought()
    answer = rig.exchange.position

    def slowly(symbol: str) -> Position:
        rig.clock.pass_seconds(3)  # an order may take five
        return answer(symbol)

    rig.exchange.position = slowly  # type: ignore[method-assign]
    rig.quote("103", age_seconds=13)
    assert len(rig.exchange.posts) == 1
    assert rig.cycle().status is CycleStatus.WATCHING
    rig.quote("103", age_seconds=11)
    assert len(rig.exchange.posts) == 2, "one of fourteen seconds may decide"


def test_a_symbol_edited_in_a_live_cycle_locks_the_asset(rig: Rig) -> None:
    """F42: the coins of the new pair are the user's own."""
    rig.bought()
    rig.exchange.held["ETH/USD"] = Decimal(5)
    rig.store.run_script("UPDATE dca_assets SET asset_symbol = 'ETH/USD' WHERE id = 1;\n")
    rig.quote("103")
    assert len(rig.exchange.posts) == 1
    assert "asset_symbol was changed" in (rig.asset().lock_reason or "")


OTHER = "SHIB/USD"


def renamed(rig: Rig) -> None:
    """Within the two seconds before main_app reads it."""
    rig.exchange.rules[OTHER] = replace(RULES, symbol=OTHER, min_order_size=Decimal(1))
    rig.desk.rules = rig.exchange.rules
    edit(rig, f"UPDATE dca_assets SET asset_symbol = '{OTHER}'")


def test_a_symbol_edited_a_moment_ago_is_not_bought_at_the_other_s_price(rig: Rig) -> None:
    renamed(rig)
    rig.quote("1000")
    assert rig.orders() == [] and rig.exchange.posts == []
    now = rig.clock.now()
    price = Decimal("0.00002")
    rig.exchange.price = price
    rig.trader.on_quote(Quote(symbol=OTHER, bid=price, ask=price, at=now, received_at=now))
    order = rig.orders()[-1]
    assert (order.symbol, order.qty, order.limit_price) == (OTHER, Decimal(1_000_000), price)


def test_a_symbol_edited_a_moment_ago_ends_no_cooldown_at_the_other_s_price(rig: Rig) -> None:
    sold(rig)
    rig.look()
    renamed(rig)
    rig.quote("90")
    assert rig.cycle().status is CycleStatus.COOLDOWN


def test_an_order_is_not_sent_again_for_a_row_of_another_pair(rig: Rig) -> None:
    rig.exchange.lose_request = True
    rig.quote("100")
    rig.exchange.lose_request = False
    for seconds in (121, 31):
        rig.clock.pass_seconds(seconds)
        rig.quote("100")
        if seconds == 31:
            edit(rig, f"UPDATE dca_assets SET asset_symbol = '{OTHER}'")
        rig.settle()
    assert len(rig.exchange.posts) == 1
    assert rig.orders()[0].state is OrderState.VOID


def test_coins_that_no_order_explains_lock_the_asset(rig: Rig) -> None:
    rig.store.run_script("UPDATE dca_cycles SET quantity = 1, average_purchase_price = 50 WHERE id = 1;\n")
    rig.exchange.held[SYMBOL] = Decimal(1)
    rig.look()
    rig.quote("103")
    assert rig.exchange.posts == []
    assert "no order of it is known" in (rig.asset().lock_reason or "")


def test_derived_columns_edited_by_hand_are_computed_anew(rig: Rig) -> None:
    """F84."""
    rig.bought()
    rig.store.run_script("UPDATE dca_cycles SET average_purchase_price = 50 WHERE id = 1;\n")
    rig.look()
    rig.quote("99.5")
    assert len(rig.exchange.posts) == 1, "50 % above what never was paid is no reason to sell"
    assert rig.cycle().average_purchase_price == 100


@pytest.mark.parametrize("change", ["mode = 'halt'", "epoch = epoch + 1"])
def test_an_order_is_not_sent_again_against_the_kill_switch_or_a_newer_start(rig: Rig, change: str) -> None:
    rig.bought()
    rig.exchange.lose_request = True
    rig.quote("103")
    rig.exchange.lose_request = False
    rig.store.run_script(f"UPDATE dca_control SET {change};\n")
    for seconds in (QUIET_SECONDS + 1, QUIET_SECONDS / 4 + 1):
        rig.clock.pass_seconds(seconds)
        rig.quote("103")
        rig.settle()
    assert len(rig.exchange.posts) == 2, "the base order and the lost sell, and no third"


def test_a_server_that_is_read_only_is_unavailable_and_no_bug(rig: Rig) -> None:
    """F83: what goes wrong there must not be held against the asset in hand."""

    def broken(_: object) -> None:
        raise mysql.connector.DatabaseError(msg="read-only", errno=1290)

    with pytest.raises(DatabaseUnavailable):
        rig.store.transaction(broken)


def test_a_fill_without_a_price_is_left_until_it_has_one(rig: Rig) -> None:
    """F61."""
    rig.quote("100")
    filled = rig.exchange.fill(rig.last_id(), price="100")
    assert rig.trader.books.book(replace(filled, filled_avg_price=None)) is None
    assert rig.orders()[0].state is OrderState.ACKED
    rig.trader.books.book(filled)
    assert rig.cycle().quantity == Decimal("0.1995")
