"""Databases as they are in the middle of trading: pairs that hold the coins of a base order.

Written with the bot's own parts, so that its books agree with what it finds.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dca.core import ledger, lifecycle
from dca.core.interfaces import Transaction
from dca.core.model import (
    Asset,
    CycleStatus,
    FeeSource,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Side,
    Snapshot,
    round_down,
)
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings

BASE_PRICE = Decimal(100)
AMOUNT = Decimal(20)
DEVIATION_PERCENT = Decimal(1)
NO_SALE, SALE = Decimal(50), Decimal(3)
"""Take-profits in percent that a bench does not reach, and that it does."""
MIN_ORDER_SIZE, QTY_INCREMENT = Decimal("0.01"), Decimal("1e-9")
"""As bench.orders_exchange says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """`take_profit_percent`: high where only buys are measured."""

    symbols: list[str]
    take_profit_percent: Decimal


def symbols(count: int) -> list[str]:
    return [f"C{number:02d}/USD" for number in range(count)]


def plant(database: DatabaseSettings, seed: Seed) -> dict[str, Decimal]:
    """Every pair with a cycle that holds a filled base order of two hours ago; returns the coins."""
    rows = ",\n".join(
        f"('{symbol}', {AMOUNT}, {AMOUNT}, 1000, {DEVIATION_PERCENT}, {seed.take_profit_percent}, 0, 0)"
        for symbol in seed.symbols
    )
    with Store(database) as store:
        store.run_script(
            "INSERT INTO dca_assets (asset_symbol, base_order_amount, safety_order_amount, max_safety_orders,"
            " safety_order_deviation, take_profit_percent, cooldown_period,"
            f" buy_order_price_deviation_percent) VALUES\n{rows};\n"
        )
        return store.transaction(_plant_cycles)


def _plant_cycles(tx: Transaction) -> dict[str, Decimal]:
    coins = {}
    for asset in tx.assets():
        coins[asset.asset_symbol] = _plant_cycle(tx, asset)
    return coins


def _plant_cycle(tx: Transaction, asset: Asset) -> Decimal:
    at = datetime.now(UTC) - timedelta(hours=2)
    tx.insert_cycle(asset.id, CycleStatus.WATCHING)
    cycle = tx.live_cycle(asset.id)
    assert cycle is not None
    install_id = tx.control().install_id
    sent = tx.insert_order(_base_order(asset, cycle.id, install_id, at))
    tx.answer_attempt(sent.id, 1, "accepted")
    merged = ledger.merge(sent, _filled(sent, at), at)
    tx.update_order(_with_known_fee(merged))
    buying = lifecycle.placed(cycle, Side.BUY)
    held = lifecycle.book(buying, tx.orders(cycle.id), at).cycle
    tx.update_cycle(held)
    return held.quantity


def _with_known_fee(order: Order) -> Order:
    return replace(order, fee_source=FeeSource.EXECUTIONS)


def _base_order(asset: Asset, cycle_id: int, install_id: str, at: datetime) -> Order:
    return Order(
        id=0,
        asset_id=asset.id,
        cycle_id=cycle_id,
        seq=1,
        purpose=Purpose.BASE,
        level=0,
        client_order_id=ledger.client_order_id(install_id, cycle_id, 1, Purpose.BASE, 0),
        symbol=asset.asset_symbol,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force="gtc",
        qty=round_down(AMOUNT / BASE_PRICE, QTY_INCREMENT),
        limit_price=BASE_PRICE,
        state=OrderState.SENT,
        trigger_price=None,
        quote_price=BASE_PRICE,
        quote_age_ms=1,
        base_order_amount=AMOUNT,
        safety_order_amount=AMOUNT,
        max_safety_orders=asset.max_safety_orders,
        take_profit_percent=asset.take_profit_percent,
        min_order_size=MIN_ORDER_SIZE,
        qty_increment=QTY_INCREMENT,
        epoch=0,
        created_at=at,
        last_sent_at=at,
    )


def _filled(order: Order, at: datetime) -> Snapshot:
    return Snapshot(
        exchange_order_id=f"seed-{order.id}",
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side.value,
        status="filled",
        qty=order.qty,
        limit_price=order.limit_price,
        filled_qty=order.qty,
        filled_avg_price=BASE_PRICE,
        created_at=at,
        updated_at=at,
    )
