"""Trades that were made outside the bot and are taken into its books: as rows of the ledger, so that
everything derived from it follows. Pure; the operator's commands adopt and accept write them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from dca.core import ledger
from dca.core.ledger import LEDGER_STEP
from dca.core.model import (
    Asset,
    Control,
    Cycle,
    CycleStatus,
    FeeSource,
    Order,
    OrderState,
    OrderType,
    Position,
    Purpose,
    Side,
    TradingRules,
    plain,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """What the operator says of it: coins, and dollars for one. `level`: for how many safety orders an
    adopted buy stands."""

    purpose: Purpose
    qty: Decimal
    price: Decimal
    level: int = 0


def row(
    trade: Trade,
    *,
    control: Control,
    asset: Asset,
    cycle: Cycle,
    orders: Sequence[Order],
    rules: TradingRules,
    now: datetime,
) -> Order:
    """The ledger's row of a trade that is over and done; no fee of it is known."""
    purpose = trade.purpose
    seq = max((order.seq for order in orders), default=0) + 1
    rounding = ROUND_UP if purpose.side is Side.BUY else ROUND_DOWN
    return Order(
        id=0,
        asset_id=asset.id,
        cycle_id=cycle.id,
        seq=seq,
        purpose=purpose,
        level=trade.level,
        client_order_id=ledger.client_order_id(control.install_id, cycle.id, seq, purpose, trade.level),
        symbol=asset.asset_symbol,
        side=purpose.side,
        order_type=OrderType.MARKET,
        time_in_force="gtc",
        qty=trade.qty,
        limit_price=None,
        state=OrderState.DONE,
        exchange_status="filled",
        filled_qty=trade.qty,
        filled_avg_price=trade.price,
        filled_value=(trade.qty * trade.price).quantize(LEDGER_STEP, rounding=rounding),
        fee_source=FeeSource.POSITION,  # nothing to ask the exchange for
        trigger_price=None,
        quote_price=trade.price,
        quote_age_ms=0,
        base_order_amount=asset.base_order_amount,
        safety_order_amount=asset.safety_order_amount,
        max_safety_orders=asset.max_safety_orders,
        take_profit_percent=asset.take_profit_percent,
        min_order_size=rules.min_order_size,
        qty_increment=rules.qty_increment,
        epoch=control.epoch,
        created_at=now,
        last_sent_at=now,
        closed_at=now,
    )


def free_to_adopt(position: Position, cycle: Cycle) -> Decimal:
    """Coins on the account that are in no cycle."""
    return max(position.qty - cycle.quantity, Decimal(0))


def why_not_adopt(
    cycle: Cycle, orders: Sequence[Order], free: Decimal, qty: Decimal, rules: TradingRules
) -> str | None:
    """Why these coins cannot be taken into this cycle now; None if they can."""
    if any(order.is_live for order in orders) or cycle.status not in {
        CycleStatus.WATCHING,
        CycleStatus.COOLDOWN,
    }:
        return f"cycle {cycle.id} has an order in flight: wait until it has ended, or cancel it"
    if qty > free:
        return f"{plain(qty)} are asked for, and only {plain(free)} on the account are in no cycle"
    if qty < rules.min_order_size:
        return f"{plain(qty)} are below the smallest sell of {plain(rules.min_order_size)}"
    return None
