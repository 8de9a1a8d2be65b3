"""An asset's ladder: every buy of one cycle if the price keeps falling, and its worst case.

Pure. Each step is what strategy.decide does at a price that just reaches the next level, booked by the ledger
as filled at the limit price; neither rule is duplicated here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_UP, Decimal

from dca.core import ledger, strategy
from dca.core.model import (
    HUNDRED,
    ZERO,
    Asset,
    Cycle,
    CycleStatus,
    Mode,
    Order,
    OrderState,
    Quote,
    Side,
    Snapshot,
    TradingRules,
    plain,
    round_down,
)
from dca.core.strategy import Place, worst_case

DEEP_DROP_PERCENT = Decimal(90)
"""A step that waits for a deeper drop than this is probably a mistake."""
NAMELESS_PRICE = Decimal(100)
"""First price of a ladder without a quote: all prices are then percentages of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One buy, filled: level 0 is the base order. Dollars, coins and percent as the names say.

    `spent`, `held`, `average_price`, `take_profit_price` and `break_even_price` (the sale price that recovers
    the cost after fees) are the cycle's after this buy; `rise_percent` is how far the price must rise from
    this step to the take-profit.
    """

    level: int
    price: Decimal
    drop_percent: Decimal
    qty: Decimal
    cost: Decimal
    spent: Decimal
    held: Decimal
    average_price: Decimal
    take_profit_price: Decimal
    rise_percent: Decimal
    break_even_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The buys of one cycle. `missing`: how many of them the exchange would not accept at their price."""

    asset: Asset
    steps: tuple[Step, ...]
    missing: int


def nameless_rules(symbol: str) -> TradingRules:
    """Trading rules to use when the exchange does not answer: the finest increments, almost no minimum."""
    finest = Decimal("1e-9")
    return TradingRules(
        symbol=symbol, tradable=True, min_order_size=finest, qty_increment=finest, price_increment=finest
    )


def build(asset: Asset, rules: TradingRules, first_price: Decimal, now: datetime) -> Ladder:
    """The ladder of an asset whose base order is bought at `first_price`."""
    steps = tuple(_steps(asset, rules, first_price, now))
    return Ladder(asset=asset, steps=steps, missing=1 + asset.max_safety_orders - len(steps))


def _steps(asset: Asset, rules: TradingRules, first_price: Decimal, now: datetime) -> Iterator[Step]:
    buyer = replace(asset, is_enabled=True, lock_reason=None)
    buys = replace(rules, tradable=True)
    cycle, orders = Cycle(id=0, asset_id=asset.id, status=CycleStatus.WATCHING), list[Order]()
    ask: Decimal | None = first_price
    while ask is not None:
        ask = round_down(ask, rules.price_increment)
        if ask <= 0:
            return
        quote = Quote(symbol=asset.asset_symbol, bid=ask, ask=ask, at=now, received_at=now)
        action = strategy.decide(buyer, cycle, quote, buys, now, Mode.RUN)
        if not isinstance(action, Place) or (action.purpose.side, action.level) != (Side.BUY, len(orders)):
            return
        orders.append(_filled(buyer, action, rules, len(orders) + 1, now))
        cycle = ledger.with_totals(cycle, orders)
        if not strategy.can_be_sold(cycle, rules):
            return
        yield _step(buyer, cycle, orders, rules)
        ask = strategy.safety_price(buyer, cycle)


def _filled(asset: Asset, action: Place, rules: TradingRules, seq: int, now: datetime) -> Order:
    """The order that the action places, filled completely at its limit."""
    sent = Order(
        id=seq,
        asset_id=asset.id,
        cycle_id=0,
        seq=seq,
        purpose=action.purpose,
        level=action.level,
        client_order_id=ledger.client_order_id("ladder", 0, seq, action.purpose, action.level),
        symbol=asset.asset_symbol,
        side=action.purpose.side,
        order_type=action.order_type,
        time_in_force="gtc",
        qty=action.qty,
        limit_price=action.limit_price,
        state=OrderState.SENT,
        trigger_price=action.trigger_price,
        quote_price=action.quote_price,
        quote_age_ms=0,
        base_order_amount=asset.base_order_amount,
        safety_order_amount=asset.safety_order_amount,
        max_safety_orders=asset.max_safety_orders,
        take_profit_percent=asset.take_profit_percent,
        min_order_size=rules.min_order_size,
        qty_increment=rules.qty_increment,
        epoch=0,
        created_at=now,
        last_sent_at=now,
    )
    filled = Snapshot(
        exchange_order_id=sent.client_order_id,
        client_order_id=sent.client_order_id,
        symbol=sent.symbol,
        side=sent.side.value,
        status="filled",
        qty=sent.qty,
        limit_price=sent.limit_price,
        filled_qty=sent.qty,
        filled_avg_price=sent.limit_price,
        created_at=now,
        updated_at=now,
    )
    return ledger.merge(sent, filled, now)


def _step(asset: Asset, cycle: Cycle, orders: list[Order], rules: TradingRules) -> Step:
    last = orders[-1]
    first_price, price = orders[0].limit_price, last.limit_price
    assert first_price is not None and price is not None
    take_profit = strategy.take_profit_price(cycle, asset.take_profit_percent)
    sellable = round_down(cycle.quantity, rules.qty_increment)
    return Step(
        level=last.level,
        price=price,
        drop_percent=(first_price - price) / first_price * HUNDRED,
        qty=last.filled_qty,
        cost=last.filled_value,
        spent=cycle.bought_cost,
        held=cycle.quantity,
        average_price=cycle.average_purchase_price,
        take_profit_price=take_profit,
        rise_percent=(take_profit - price) / price * HUNDRED,
        break_even_price=ledger.break_even_price(cycle.bought_cost, sellable),
    )


def fee_percent() -> Decimal:
    """The round-trip fee in percent of the price: buy and sell, without rounding."""
    kept = 1 - ledger.TAKER_FEE_RATE
    return (1 / (kept * kept) - 1) * HUNDRED


def spread_percent(quote: Quote) -> Decimal:
    return (quote.ask - quote.bid) / quote.bid * HUNDRED


def warnings(
    ladder: Ladder, quote: Quote | None, buying_power: Decimal | None, cycle: Cycle | None = None
) -> list[str]:
    """Warnings about settings that are valid but probably a mistake. `quote` must be a good one, or None if
    not known; `cycle` is the asset's live cycle, if any."""
    asset = ladder.asset
    found = [
        *_about_take_profit(asset, quote),
        *_about_depth(ladder),
    ]
    worst, to_come = worst_case(asset, cycle), strategy.still_to_come(asset, cycle)
    if buying_power is not None and to_come > buying_power:
        left = "" if to_come == worst else f" (${to_come:,.2f} still to buy)"
        found.append(
            f"the worst case of ${worst:,.2f}{left} exceeds the account's buying power of "
            f"${buying_power:,.2f}: the last buys would be rejected"
        )
    return found


def repair(ladder: Ladder, quote: Quote | None, warning: str) -> str:
    """The command that fixes a warning about a ladder."""
    symbol = ladder.asset.asset_symbol
    if warning.startswith("take_profit_percent"):
        costs = fee_percent() + (ZERO if quote is None else spread_percent(quote))
        enough = (costs * 2).quantize(Decimal("0.1"), rounding=ROUND_UP)
        return f"./bot set {symbol} --take-profit {enough}"
    if not ladder.steps:
        return f"./bot set {symbol} --base N, with more dollars"
    reached = [step.level for step in ladder.steps if step.drop_percent < DEEP_DROP_PERCENT]
    return f"./bot set {symbol} --max-safety {max(reached)}, or a smaller --deviation"


def _about_take_profit(asset: Asset, quote: Quote | None) -> Iterator[str]:
    fees, percent = fee_percent(), asset.take_profit_percent
    spread = ZERO if quote is None else spread_percent(quote)
    if percent <= fees:
        yield (
            f"take_profit_percent {plain(percent)} is below the {fees:.3f} % that the fees of buying and "
            "selling cost: every take-profit would lose money"
        )
    elif percent <= fees + spread:
        yield (
            f"take_profit_percent {plain(percent)} is below fees and spread together "
            f"({fees:.3f} % + {spread:.2f} %): almost no profit is left"
        )


def _about_depth(ladder: Ladder) -> Iterator[str]:
    asset = ladder.asset
    if ladder.missing and ladder.steps:
        yield (
            f"{ladder.missing} of {asset.max_safety_orders} safety orders can never be bought: after "
            f"{ladder.steps[-1].level} of them the price would be down 100 %"
        )
    elif ladder.missing:
        yield "base_order_amount is below the exchange's minimum order at this price"
    if ladder.steps and ladder.steps[-1].drop_percent >= DEEP_DROP_PERCENT:
        last = ladder.steps[-1]
        yield (
            f"safety order {last.level} waits for a drop of {last.drop_percent:.1f} %: use a smaller "
            "safety_order_deviation or fewer max_safety_orders"
        )
