"""The row of an order that is about to be claimed. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from dca.core import ledger
from dca.core.errors import RowGone
from dca.core.model import Asset, Control, Cycle, Order, OrderState, Quote, TradingRules
from dca.core.strategy import Place


def as_it_is(orders: Iterable[Order], seen: Order) -> Order:
    """An order that was read before, among its cycle's of now.

    Raises:
        RowGone: the ledger does not have it any more.
    """
    for order in orders:
        if order.id == seen.id:
            return order
    raise RowGone(f"order {seen.client_order_id} is not in the ledger any more")


def new_order(
    control: Control,
    asset: Asset,
    cycle: Cycle,
    orders: Sequence[Order],
    action: Place,
    quote: Quote,
    rules: TradingRules,
    now: datetime,
) -> Order:
    """Whole and final before anything is sent; the database gives it its id."""
    seq = max((order.seq for order in orders), default=0) + 1
    return Order(
        id=0,
        asset_id=asset.id,
        cycle_id=cycle.id,
        seq=seq,
        purpose=action.purpose,
        level=action.level,
        client_order_id=ledger.client_order_id(
            control.install_id, cycle.id, seq, action.purpose, action.level
        ),
        symbol=asset.asset_symbol,
        side=action.purpose.side,
        order_type=action.order_type,
        time_in_force=action.time_in_force,
        qty=action.qty,
        limit_price=action.limit_price,
        state=OrderState.SENT,
        trigger_price=action.trigger_price,
        quote_price=action.quote_price,
        quote_age_ms=max(0, round((now - quote.at).total_seconds() * 1000)),
        base_order_amount=asset.base_order_amount,
        safety_order_amount=asset.safety_order_amount,
        max_safety_orders=asset.max_safety_orders,
        take_profit_percent=asset.take_profit_percent,
        fee_rate=control.fee_rate,
        min_order_size=rules.min_order_size,
        qty_increment=rules.qty_increment,
        epoch=control.epoch,
        created_at=now,
        last_sent_at=now,
    )
