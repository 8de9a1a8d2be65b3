"""The order-rate fuse at work, inside a claim's transaction."""

from datetime import datetime

from dca import fuse, lifecycle
from dca.fuse import Fuse
from dca.logs import Troubles
from dca.model import Cycle, Mode, Side
from dca.ports import Transaction


def is_sane(
    tx: Transaction, limits: Fuse, cycle: Cycle, symbol: str, side: Side, now: datetime, troubles: Troubles
) -> bool:
    """Whether one more order is within reason (F54). If not, buys go off for all assets until the operator
    resumes; a sell waits as after a refusal. The cycle's row is locked by the caller."""
    reason = fuse.blown(limits, symbol, side, tx.orders_placed(cycle.asset_id, now))
    if reason is None:
        troubles.ends("fuse", f"{symbol} too many orders", now, symbol=symbol)
        return True
    troubles.begins("fuse", f"{symbol} too many orders", reason, now, symbol=symbol)
    if side is Side.SELL:
        tx.update_cycle(lifecycle.refused(cycle, side, reason, now))
    else:
        tx.set_mode(Mode.EXITS_ONLY, f"{fuse.NAME}: {reason}")
    return False
