"""What the account shows of its fees: the rate of its tier, believed both ways.

Pure. Alpaca tells no rate. A buy's fee is taken in coin, so the position shows it: what was bought, less what
was sold, less what is there. Only a fee that a rate of the published tiers makes is taken for one: anything
else may be coins of the operator's, dust, or a position that lags behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from dca.core import ledger
from dca.core.ledger import COIN_FEE_STEP
from dca.core.model import ZERO, FeeSource, Order, Purpose, Side

RATES = tuple(Decimal(each) / 10_000 for each in (25, 22, 20, 18, 15, 13, 12, 10))
"""Of all tiers, for takers; a maker's of the lower tiers is among them (alpaca.md 4). What is lower still is
told from a fee that is taken some seconds late by nothing."""
MAKERS = {
    Decimal(taker) / 10_000: Decimal(maker) / 10_000
    for taker, maker in ((25, 15), (22, 12), (20, 10), (18, 8), (15, 5), (13, 2), (12, 2), (10, 0))
}
"""By the taker's rate of a tier: what a buy pays that rested before it was filled. One that was filled in
parts pays any mixture of the two, so what lies between them says nothing of the tier."""
ROUNDINGS = 20 * COIN_FEE_STEP
"""Each execution's fee is rounded up by itself, and how many there were may not be known yet."""
SETTLED = timedelta(seconds=60)
"""A fee may be taken some seconds after the fill: of several buys, one whose fee is still to come looks like
a lower rate of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The orders whose fees the position makes others, and the rate that is to be assumed of new orders."""

    changed: tuple[Order, ...]
    rate: Decimal


def shown_by(orders: Sequence[Order], held: Decimal, known: Decimal, now: datetime) -> Shown | None:
    """What a position of `held` coins says of the fees of a cycle's buys; None if it says nothing of which a
    rate could be made, or nothing new. No order of the cycle is live. `known` is what is assumed of new
    orders, and stays so while its tier explains what is seen."""
    filled = [order for order in orders if order.filled_qty > 0]
    buys = [order for order in filled if order.side is Side.BUY]
    charged = sorted((o for o in buys if o.purpose is not Purpose.ADOPTED), key=lambda order: order.seq)
    sold = sum((order.filled_qty for order in filled if order.side is Side.SELL), ZERO)
    fees = sum((order.filled_qty for order in buys), ZERO) - sold - held
    for newest in range(1, len(charged) + 1):  # what was shown of older ones holds, if that explains it
        older, newer = charged[:-newest], charged[-newest:]
        of_newer = fees - sum((order.fee_qty for order in older), ZERO)
        rate = _rate_of(newer, of_newer)
        if rate is not None:
            return _news(newer, rate, of_newer, known, now)
    return None


def _news(buys: Sequence[Order], rate: Decimal, fees: Decimal, known: Decimal, now: datetime) -> Shown | None:
    new = known if MAKERS.get(known, known) <= rate <= known else rate
    assumed = sum((order.fee_qty for order in buys), ZERO)
    if abs(fees - assumed) < COIN_FEE_STEP and new == known:
        return None
    if fees < assumed and len(buys) > 1 and not _have_settled(buys, now):
        return None
    return Shown(changed=tuple(_with_fees(buys, rate, fees)), rate=new)


def _rate_of(buys: Sequence[Order], fees: Decimal) -> Decimal | None:
    """The one rate that makes these fees of all these buys."""
    for rate in RATES:
        least = sum((ledger.coin_fee(order.filled_qty, rate) for order in buys), ZERO)
        if least - len(buys) * COIN_FEE_STEP <= fees <= least + ROUNDINGS:
            return rate
    return None


def _have_settled(buys: Sequence[Order], now: datetime) -> bool:
    return all(order.closed_at is not None and now - order.closed_at >= SETTLED for order in buys)


def _with_fees(buys: Sequence[Order], rate: Decimal, fees: Decimal) -> list[Order]:
    """Each with the fee of this rate, and the last with what roundings leave of the sum."""
    *others, last = sorted(buys, key=lambda order: order.seq)
    found = [_with_fee(order, rate, ledger.coin_fee(order.filled_qty, rate)) for order in others]
    left = fees - sum((order.fee_qty for order in found), ZERO)
    found.append(_with_fee(last, rate, min(max(left, ZERO), last.filled_qty)))
    return [after for after in found if after not in buys]


def _with_fee(order: Order, rate: Decimal, fee: Decimal) -> Order:
    if (order.fee_rate, order.fee_qty) == (rate, fee):
        return order
    # What it cost to the cent is still to be asked for, if it was.
    asked = order.fee_source is not FeeSource.ASSUMED
    source = FeeSource.POSITION if asked else FeeSource.ASSUMED
    return replace(order, fee_rate=rate, fee_qty=fee, fee_source=source)
