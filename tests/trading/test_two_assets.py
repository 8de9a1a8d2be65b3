"""What is done about one asset is nothing to another."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from dca.core.model import CycleStatus, Quote
from tests.caring import edit
from tests.operator.test_holding import bot
from tests.rig import INSERT, RULES, SYMBOL, Rig

OTHER = "ETH/USD"


@pytest.fixture
def both(rig: Rig) -> Rig:
    """Two assets that look alike; each has a base order filled, and a safety order open."""
    edit(rig, INSERT.replace(SYMBOL, OTHER).rstrip(";\n"))
    rig.store.transaction(lambda tx: tx.insert_cycle(2, CycleStatus.WATCHING))
    rig.exchange.rules[OTHER] = rig.desk.rules[OTHER] = replace(RULES, symbol=OTHER)
    for asset in rig.store.transaction(lambda tx: tx.assets()):
        rig.desk.put(asset, None, (), rig.clock.now())
        rig.trader.books.look(asset.asset_symbol)
        quoted(rig, asset.asset_symbol, "100")
        base = rig.orders(asset.id)[-1].client_order_id
        rig.trader.books.book(rig.exchange.fill(base))
        quoted(rig, asset.asset_symbol, "98")
    return rig


def quoted(rig: Rig, symbol: str, price: str) -> None:
    value, now = Decimal(price), rig.clock.now()
    rig.exchange.price = value
    rig.trader.on_quote(Quote(symbol=symbol, bid=value, ask=value, at=now, received_at=now))


def test_an_asset_is_remembered_with_its_own_orders_only(both: Rig) -> None:
    for number, symbol in ((1, SYMBOL), (2, OTHER)):
        both.trader.books.look(symbol)
        watch = both.desk.watch(symbol)
        assert watch is not None
        assert [order.cycle_id for order in watch.open_orders] == [number]


def test_a_take_profit_cancels_the_buys_of_its_own_asset_only(both: Rig) -> None:
    quoted(both, OTHER, "103")
    buy = both.orders(2)[-1]
    assert both.exchange.cancels == [buy.exchange_order_id]
    assert both.orders(1)[-1].cancel_requested_at is None


def test_accepting_of_one_books_nothing_of_what_the_other_has_left(both: Rig, tmp_path: Path) -> None:
    """Each buys a little more after its cycle has ended: coins that wait for a word of the operator."""
    for number, symbol in ((1, SYMBOL), (2, OTHER)):
        buy = both.orders(number)[-1].client_order_id
        both.trader.books.book(both.exchange.end(buy))
        quoted(both, symbol, "103")
        both.trader.books.book(both.exchange.fill(both.orders(number)[-1].client_order_id, price="103"))
        both.trader.books.book(both.exchange.fill(buy, price="98"))
    assert left_over(both) == [1, 2]
    assert bot(both, tmp_path, f"accept {SYMBOL} --yes")[0] == 0
    assert left_over(both) == [2]
    assert [asset.lock_reason is None for asset in both.store.transaction(lambda tx: tx.assets())] == [
        True,
        False,
    ]


def left_over(rig: Rig) -> list[int]:
    return [
        each.id
        for each in rig.store.transaction(lambda tx: tx.leftover_cycles(datetime(2000, 1, 1, tzinfo=UTC)))
    ]
