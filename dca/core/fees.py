"""What the account shows of its fees: the rate of its tier, believed both ways.

Pure. Alpaca tells no rate. A buy's fee is taken in coin, so the position shows it: what was bought, less what
was sold, less what is there. Only a fee that a rate of the published tiers makes is taken for one, or one
that the known tier makes of single fills: anything else may be coins of the operator's, dust, or a position
that lags behind. A sale's fee is in no position; the exchange's list of fees has it later (charges.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import combinations_with_replacement, product
from math import comb, prod

from dca.core import ledger
from dca.core.ledger import COIN_FEE_STEP
from dca.core.model import ZERO, Cycle, Execution, FeeSource, Order, Purpose, Side

RATES = tuple(Decimal(each) / 10_000 for each in (25, 22, 20, 18, 15, 13, 12, 10))
"""Of all tiers, for takers; a maker's of the lower tiers is among them (alpaca.md 4). What is lower still is
told from a fee that is taken some seconds late by nothing."""
MAKERS = {
    Decimal(taker) / 10_000: Decimal(maker) / 10_000
    for taker, maker in ((25, 15), (22, 12), (20, 10), (18, 8), (15, 5), (13, 2), (12, 2), (10, 0))
}
"""By the taker's rate of a tier: what a fill pays whose buy had rested before it."""
ROUNDINGS = 20 * COIN_FEE_STEP
"""Each execution's fee is rounded up by itself, and how many there were may not be known yet."""
SETTLED = timedelta(seconds=60)
"""A fee may be taken some seconds after the fill: of several buys, one whose fee is still to come looks like
a lower rate of all."""
MOST_SUMS = 128
"""Of more sums of maker's and taker's fees one would be near any number."""
MOST_LATE = 5000
"""Of more sums of which a fee is missing it is not asked which: what they may explain waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The orders whose fees the position makes others, and the rate that is to be assumed of new orders."""

    changed: tuple[Order, ...]
    rate: Decimal


def are_unclear(cycle: Cycle, held: Decimal) -> bool:
    """Whether the account holds a little more than a cycle: less may have been charged for its buys."""
    return COIN_FEE_STEP <= held - cycle.quantity <= cycle.buy_fee_qty


def charged(orders: Sequence[Order]) -> list[Order]:
    """The buys that a fee was taken of: what the operator brought was bought elsewhere."""
    filled = (each for each in orders if each.side is Side.BUY and each.filled_qty > 0)
    return sorted((each for each in filled if each.purpose is not Purpose.ADOPTED), key=lambda each: each.seq)


def shown_by(
    orders: Sequence[Order], held: Decimal, known: Decimal, now: datetime, fills: Sequence[Execution] = ()
) -> Shown | None:
    """What a position of `held` coins says of the fees of a cycle's buys; None if it says nothing of which a
    rate could be made, or nothing new. No order of the cycle is live. `known` is what is assumed of new
    orders, and stays so while its tier explains what is seen. `fills`: the buys' single ones, if known."""
    filled = [order for order in orders if order.filled_qty > 0]
    buys = [order for order in filled if order.side is Side.BUY]
    bought = charged(orders)
    sold = sum((order.filled_qty for order in filled if order.side is Side.SELL), ZERO)
    fees = sum((order.filled_qty for order in buys), ZERO) - sold - held
    newest = [(bought[:-number], bought[-number:]) for number in range(1, len(bought) + 1)]
    # What was shown of older ones holds, if that explains it.
    of_newer = [(newer, fees - sum((order.fee_qty for order in older), ZERO)) for older, newer in newest]
    for newer, fee in of_newer:
        rate = _rate_of(newer, fee)
        if rate is not None:
            return _news(newer, rate, fee, known, now, fills)
    for newer, fee in of_newer:
        mixed = _mixed(newer, fee, known, now, fills)
        if mixed is not None:
            return Shown(changed=tuple(mixed), rate=known)
    return None


def _news(
    buys: Sequence[Order],
    rate: Decimal,
    fees: Decimal,
    known: Decimal,
    now: datetime,
    fills: Sequence[Execution],
) -> Shown | None:
    new = known if _may_be_of_tier(buys, rate, fees, known, fills) else rate
    assumed = sum((order.fee_qty for order in buys), ZERO)
    if abs(fees - assumed) < COIN_FEE_STEP and new == known:
        return None
    if fees < assumed and len(buys) > 1 and not _have_settled(buys, now):
        return None
    return Shown(changed=tuple(_with_fees(buys, rate, fees)), rate=new)


def _may_be_of_tier(
    buys: Sequence[Order], rate: Decimal, fees: Decimal, tier: Decimal, fills: Sequence[Execution]
) -> bool:
    """Whether a tier's taker and maker rates, or a mixture of the two, may explain what a lower rate does."""
    if not MAKERS.get(tier, tier) <= rate <= tier:
        return False
    sums = _sums(buys, (tier, MAKERS.get(tier, tier)), fills)
    return sums is None or _nearest(sums, fees) is not None


def _mixed(
    buys: Sequence[Order], fees: Decimal, tier: Decimal, now: datetime, fills: Sequence[Execution]
) -> list[Order] | None:
    """The buys with fees of which some fills paid the taker's rate of the known tier, and others the maker's.

    Less than is assumed may also be a fee that is still to come.
    """
    rates = (tier, MAKERS.get(tier, tier))
    sums = _sums(buys, rates, fills)
    found = None if sums is None else _nearest(sums, fees)
    if sums is None or found is None or fees > sum((order.fee_qty for order in buys), ZERO):
        return None
    late = _sums(buys, (*rates, ZERO), fills, MOST_LATE)
    if not _have_settled(buys, now) and (late is None or _nearest({*late} - {*sums}, fees) is not None):
        return None
    exact = [ledger.with_executions(order, fills_of(order, fills)) or order for order in buys]
    after = [
        replace(order, fee_qty=fee, fee_source=FeeSource.POSITION)
        for order, fee in zip(exact, found, strict=True)
    ]
    return [order for order in after if order not in buys] or None


def fills_of(order: Order, fills: Iterable[Execution]) -> list[Execution]:
    """An order's, oldest first, as all of them are."""
    return [each for each in fills if each.exchange_order_id == order.exchange_order_id]


def _sums(
    buys: Sequence[Order], rates: Sequence[Decimal], fills: Sequence[Execution], most: int = MOST_SUMS
) -> list[tuple[Decimal, ...]] | None:
    """All that these buys may have been charged, order by order, if the first fills of each paid the first of
    these rates, and those that came after them the next; None if fills are missing, or the sums too many."""
    of_order = [[each.qty for each in fills_of(order, fills)] for order in buys]
    whole = all(sum(parts, ZERO) == order.filled_qty for order, parts in zip(buys, of_order, strict=True))
    if not whole or prod(comb(len(parts) + len(rates) - 1, len(parts)) for parts in of_order) > most:
        return None
    choices: list[set[Decimal]] = []
    for parts in of_order:
        ways = combinations_with_replacement(rates, len(parts))
        choices.append(
            {sum((ledger.coin_fee(*each) for each in zip(parts, way, strict=True)), ZERO) for way in ways}
        )
    return list(product(*choices))


def _nearest(sums: Iterable[tuple[Decimal, ...]], fees: Decimal) -> tuple[Decimal, ...] | None:
    return next((each for each in sums if abs(sum(each, ZERO) - fees) < COIN_FEE_STEP), None)


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
