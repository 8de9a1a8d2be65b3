"""The order-rate fuse at work, inside a claim's transaction."""

from collections.abc import Sequence
from datetime import datetime

from dca.core import lifecycle, order_limits
from dca.core.interfaces import Transaction
from dca.core.model import Asset, Cycle, Mode, Order, Side, TradingRules
from dca.core.order_limits import Fuse
from dca.core.strategy import Place
from dca.runtime.log_lines import Troubles


def is_sane(
    tx: Transaction,
    limits: Fuse,
    asset: Asset,
    cycle: Cycle,
    orders: Sequence[Order],
    action: Place,
    rules: TradingRules,
    now: datetime,
    troubles: Troubles,
) -> bool:
    """Whether one more order is within reason (F54). If not, that side of the asset waits as after a refusal.
    Buys go off for all assets, until the operator resumes, once it holds several back at a time. The cycle's
    row is locked by the caller."""
    symbol, side = asset.asset_symbol, action.purpose.side
    reason = order_limits.contradiction(asset, orders, action.purpose, action.level, rules.min_order_size)
    reason = reason or _too_many(tx, limits, asset, side, now)
    if reason is None:
        troubles.ends("fuse", f"{symbol} too many orders", now, symbol=symbol)
        return True
    troubles.begins("fuse", f"{symbol} too many orders", reason, now, symbol=symbol)
    tx.update_cycle(lifecycle.refused(cycle, side, f"{order_limits.NAME}: {reason}", now))
    held_back = tx.buys_held_back(order_limits.NAME, now)
    if side is Side.BUY and held_back >= order_limits.ASSETS_BEYOND_DOUBT:
        tx.set_mode(Mode.EXITS_ONLY, f"{order_limits.NAME}: {held_back} assets at once, the last: {reason}")
    return False


def _too_many(tx: Transaction, limits: Fuse, asset: Asset, side: Side, now: datetime) -> str | None:
    """In a quiet market an index alone answers; only after many orders it is asked what became of them."""
    if not order_limits.reached(limits, side, tx.orders_placed(asset.id, now)):
        return None
    return order_limits.blown(limits, asset.asset_symbol, side, tx.orders_in_vain(asset.id, now))
