"""A locked asset as its mail tells it: why, the numbers of both sides, its orders, how it ends. Pure."""

from collections.abc import Sequence

from dca.alerts.incidents import utc
from dca.core import invariants
from dca.core.model import Asset, Cycle, LockKind, Order, plain
from dca.core.operations import Finding, IncidentKind

MOST_ORDERS = 6


def finding(asset: Asset, cycle: Cycle | None, orders: Sequence[Order]) -> Finding:
    """What is wrong with a locked asset, for its mail. `orders` are its live cycle's."""
    symbol = asset.asset_symbol
    since = "" if asset.locked_at is None else f" since {utc(asset.locked_at)}"
    lines = [f"{symbol} is locked{since}: {asset.lock_reason}."]
    broken = invariants.numbers(asset.lock_reason or "")
    lines += [f"Against {number}: {invariants.RULES[number]}." for number in broken]
    if cycle is not None:
        lines.append(
            f"Our books: cycle {cycle.id} ({cycle.status.value}) holds {plain(cycle.quantity)}"
            f" at an average of {plain(cycle.average_purchase_price)};"
            f" bought {plain(cycle.bought_qty)}, sold {plain(cycle.sold_qty)}."
        )
    if orders:
        lines += ["Its orders, the newest last:", *(f"  {_in_both(each)}" for each in orders[-MOST_ORDERS:])]
    lines.append("The bot neither buys nor sells it meanwhile; all other assets trade on.")
    if asset.lock_kind is LockKind.CRASH:
        lines += [
            "It does not end by itself: main_app died over this asset, again and again.",
            f"To do: read logs/main_app.log, then ./bot why {symbol} and ./bot resume {symbol}",
        ]
        name, subject = f"crash {symbol}", f"{symbol} is locked: the bot died over it"
    elif asset.lock_kind is None:
        lines += ["Somebody locked it by hand, and it ends by hand.", f"To do: ./bot resume {symbol}"]
        name, subject = f"break {symbol}", f"{symbol} is locked by hand"
    else:
        lines += _how_it_ends(symbol, broken)
        name, subject = f"break {symbol}", f"{symbol} is locked: the books disagree"
    brief = f"{symbol} is locked: {asset.lock_reason}"
    return Finding(
        name=name, kind=IncidentKind.MONEY, subject=subject, evidence="\n".join(lines), brief=brief
    )


def _how_it_ends(symbol: str, broken: Sequence[str]) -> list[str]:
    if "I31" in broken:
        return [
            "It does not end by itself: what was bought or sold is in the books, and it is yours to say what",
            "becomes of it. An order that is still open is canceled.",
            f"To see the numbers: ./bot why {symbol}, ./bot orders {symbol}, and its orders at Alpaca",
            f"To go on with it: ./bot accept {symbol}. To sell what the cycle holds: ./bot sell {symbol}",
        ]
    if broken and invariants.EDITED.issuperset(broken):
        return [
            "It ends by itself as soon as the row says what is true: somebody edited it, most likely.",
            f"To see the numbers of both sides: ./bot why {symbol}, ./bot orders {symbol}",
            "To put the row right: docs/operations.md, by the number of the rule",
        ]
    if invariants.PAST.isdisjoint(broken):
        return [
            "It ends by itself as soon as the books agree.",
            f"To see the numbers of both sides: ./bot why {symbol}",
            f"If you traded it outside the bot: ./bot accept {symbol}",
        ]
    return [
        "It does not end by itself: what was bought or sold cannot be undone.",
        f"To see the numbers: ./bot why {symbol}, ./bot orders {symbol}, and its orders at Alpaca",
        f"Once you have seen why, and if it is no bug that goes on: ./bot accept {symbol}",
    ]


def _in_both(order: Order) -> str:
    """An order under both its ids, and how far it is."""
    at = "" if order.filled_avg_price is None else f" at {plain(order.filled_avg_price)}"
    return (
        f"{order.client_order_id} ({order.purpose.value}, {order.state.value}): {order.side.value}"
        f" {plain(order.filled_qty)} of {plain(order.qty)}{at};"
        f" at the exchange {order.exchange_order_id or 'not known'}, {order.exchange_status or 'no status'}"
    )
