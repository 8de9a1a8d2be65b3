"""What the exchange's list of fees says of single orders: the only place that tells what a sale cost.

Pure. Its rows carry no order's id and come hours late (alpaca.md 4). Rows are an order's if published rates
make their amounts of its fills, and no rows of another sum would do as well.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import combinations_with_replacement

from dca.core import ledger
from dca.core.fees import MAKERS, RATES, fills_of
from dca.core.model import ENDED, ZERO, Cycle, Execution, FeeSource, Order, Side

_RATES = {*RATES, *MAKERS.values()} - {ZERO}
"""Of a fee of nothing there is no row."""
CLOCKS_DIFFER = timedelta(minutes=1)
"""The exchange's clock and ours, at the most, while orders are placed at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A row of that list: coins of the pair `symbol` (without its slash), or dollars if it has none."""

    symbol: str | None
    amount: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """What an order was charged: coins of a buy, dollars of a sale. `rates`: those that make it so."""

    fee: Decimal
    rates: frozenset[Decimal]


def of_orders(
    orders: Sequence[Order], fills: Sequence[Execution], charges: Sequence[Charge]
) -> dict[int, Charged]:
    """By order's id, for those whose fills all have their row by now. A row that has what is assumed is that
    order's before it may be another's."""
    left = list(charges)
    found: dict[int, Charged] = {}
    for is_assumed in (True, False):
        for order in orders:
            if order.id in found:
                continue
            parts = _parts(order, fills)
            ways = [(order.fee_rate,) * len(parts)] if is_assumed else _ways(len(parts))
            mine = [charge for charge in left if _may_be_of(charge, order)]
            amounts = _the_one(order, parts, ways, Counter(charge.amount for charge in mine))
            for amount in amounts:
                left.remove(next(charge for charge in mine if charge.amount == amount and charge in left))
            if amounts:
                found[order.id] = _charged(order, parts, amounts)
    return found


def _parts(order: Order, fills: Sequence[Execution]) -> list[Decimal]:
    """What is charged for one by one, coins or dollars; the order as a whole if its fills are not listed."""
    mine = fills_of(order, fills)
    is_buy = order.side is Side.BUY
    if sum((each.qty for each in mine), ZERO) != order.filled_qty:
        return [order.filled_qty if is_buy else order.filled_value]
    return [each.qty if is_buy else each.qty * each.price for each in mine]


def _ways(parts: int) -> Iterator[tuple[Decimal, ...]]:
    """The rates that an order's fills may have paid: one for all, or first the taker's, then the maker's."""
    yield from ((rate,) * parts for rate in _RATES)
    for tier in MAKERS.items():
        yield from (rates for rates in combinations_with_replacement(tier, parts) if ZERO not in rates)


def _the_one(
    order: Order, parts: Sequence[Decimal], ways: Iterable[tuple[Decimal, ...]], listed: Counter[Decimal]
) -> list[Decimal]:
    """The amounts, part by part, that the list has; empty if it has none, or several of different sums."""
    found: dict[Decimal, list[Decimal]] = {}
    for rates in ways:
        amounts = [_fee(order, part, rate) for part, rate in zip(parts, rates, strict=True)]
        if not Counter(amounts) - listed:
            found.setdefault(sum(amounts, ZERO), amounts)
    return next(iter(found.values())) if len(found) == 1 else []


def _may_be_of(charge: Charge, order: Order) -> bool:
    symbol = order.symbol.replace("/", "") if order.side is Side.BUY else None
    return charge.symbol == symbol and charge.at >= order.created_at - CLOCKS_DIFFER


def _fee(order: Order, part: Decimal, rate: Decimal) -> Decimal:
    return ledger.coin_fee(part, rate) if order.side is Side.BUY else ledger.dollar_fee(part, rate)


def _charged(order: Order, parts: Sequence[Decimal], amounts: Sequence[Decimal]) -> Charged:
    fee = sum(amounts, ZERO)
    rates = {rate for rate in _RATES if sum((_fee(order, part, rate) for part in parts), ZERO) == fee}
    return Charged(fee=fee, rates=frozenset(rates))


def confirmed(
    order: Order, cycle: Cycle, executions: Sequence[Execution], charged: Charged | None
) -> Order | None:
    """The order with what is known of its fee by now: first by its executions, then by what was charged.
    None if that says nothing new. Coins of a cycle that has ended are in no cycle any more, whatever they
    were charged."""
    if order.fee_source is FeeSource.ASSUMED:
        return ledger.with_executions(order, executions)
    if charged is None or order.fee_source is FeeSource.CHARGED:
        return None
    return None if order.side is Side.BUY and cycle.status in ENDED else _with_charge(order, charged)


def _with_charge(order: Order, charged: Charged) -> Order:
    rates, is_buy = charged.rates, order.side is Side.BUY
    return replace(
        order,
        fee_qty=charged.fee if is_buy else ZERO,
        fee_usd=ZERO if is_buy else charged.fee,
        fee_rate=order.fee_rate if order.fee_rate in rates or not rates else max(rates),
        fee_source=FeeSource.CHARGED,
    )


def account_rate(order: Order, charged: Charged, known: Decimal) -> Decimal:
    """What is to be assumed of new orders. A sale at the market takes, so its rate is the account's, if only
    one of a taker makes it; unless another was learned since it was claimed."""
    takers = charged.rates & set(RATES)
    if order.side is Side.BUY or order.fee_rate != known or len(takers) != 1:
        return known
    return next(iter(takers))
