"""A row per asset of what was looked at: where it stands, and which prices come next.

Pure. Prices come from the strategy and the ledger; no rule is said here again.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dca.core import ledger, strategy
from dca.core.model import (
    HUNDRED,
    IN_FLIGHT,
    ZERO,
    Asset,
    Cycle,
    CycleStatus,
    Mode,
    Order,
    TradingRules,
    plain,
    round_down,
)
from dca.core.valuation import Valuation, spent, unrealized_profit, value
from dca.operator.asset_settings import ladder
from dca.operator.views.snapshot import Market, Overview


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An asset. Dollars, coins and percent as in model; distances are from the ask to the next buy and from
    the bid to the take-profit, in percent of these. None: not known, or there is none.

    `spent` is what the cycle cost so far, less what came back; `buys_at_once`: no price is waited for.
    """

    asset_symbol: str
    status: CycleStatus | None
    is_enabled: bool
    lock_reason: str | None
    exit_requested: bool
    quantity: Decimal
    average_purchase_price: Decimal | None
    break_even_price: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    quote_at: datetime | None
    unrealized_profit: Decimal | None
    unrealized_profit_percent: Decimal | None
    safety_orders: int
    max_safety_orders: int
    buys_at_once: bool
    next_buy_price: Decimal | None
    next_buy_distance_percent: Decimal | None
    take_profit_price: Decimal | None
    take_profit_distance_percent: Decimal | None
    spent: Decimal
    worst_case: Decimal
    cycle_id: int | None
    cycle_began_at: datetime | None
    cooldown_ends_at: datetime | None
    order_in_flight: str | None
    problem: str | None


def rows(look: Overview) -> list[Row]:
    """A row per asset, in the order of dca_assets."""
    return [_row(look, asset) for asset in look.books.assets]


def valued(look: Overview) -> Valuation:
    """All open cycles at the bids."""
    symbols = {asset.id: asset.asset_symbol for asset in look.books.assets}
    held = [(symbols[cycle.asset_id], cycle) for cycle in look.books.cycles.values()]
    return value(held, {symbol: quote.bid for symbol, quote in look.market.quotes.items()})


def _row(look: Overview, asset: Asset) -> Row:
    books, market = look.books, look.market
    cycle = books.cycles.get(asset.id)
    quote = market.quotes.get(asset.asset_symbol)
    known = rules_of(market, asset)
    rules = known or ladder.nameless_rules(asset.asset_symbol)
    held = cycle if cycle is not None and cycle.quantity > 0 else None
    bid, ask = (None, None) if quote is None else (quote.bid, quote.ask)
    problems = strategy.asset_problems(asset, rules if market.rules is None else known)
    is_traded = not problems and asset.lock_reason is None
    buy = next_buy(asset, cycle, rules) if cycle is not None and is_traded else None
    at_once = buy is strategy.ANY_PRICE
    if at_once and not _may_buy_now(look, cycle):
        buy, at_once = None, False
    target = None if held is None else strategy.take_profit_price(held, asset.take_profit_percent)
    profit = None if held is None or bid is None else unrealized_profit(held, bid)
    mine = [order for order in books.orders if order.asset_id == asset.id and order.is_live]
    return Row(
        asset_symbol=asset.asset_symbol,
        status=None if cycle is None else cycle.status,
        is_enabled=asset.is_enabled,
        lock_reason=asset.lock_reason,
        exit_requested=cycle is not None and cycle.exit_requested_at is not None,
        quantity=ZERO if cycle is None else cycle.quantity,
        average_purchase_price=None if held is None else held.average_purchase_price,
        break_even_price=None if held is None else break_even(held, rules),
        bid=bid,
        ask=ask,
        quote_at=None if quote is None else quote.at,
        unrealized_profit=profit,
        unrealized_profit_percent=_share(profit, None if held is None else held.bought_cost),
        safety_orders=0 if cycle is None else cycle.safety_orders,
        max_safety_orders=asset.max_safety_orders,
        buys_at_once=at_once,
        next_buy_price=None if at_once else buy,
        next_buy_distance_percent=None if at_once else distance(ask, buy),
        take_profit_price=target,
        take_profit_distance_percent=distance(bid, target),
        spent=ZERO if cycle is None else spent(cycle),
        worst_case=strategy.worst_case(asset, cycle),
        cycle_id=None if cycle is None else cycle.id,
        cycle_began_at=None if cycle is None else books.began_at.get(cycle.id),
        cooldown_ends_at=None if cycle is None else strategy.cooldown_ends_at(asset, cycle),
        order_in_flight=", ".join(map(in_words, mine)) or None,
        problem="; ".join([*problems, *_words(None if cycle is None else cycle.problem)]) or None,
    )


def _may_buy_now(look: Overview, cycle: Cycle | None) -> bool:
    waits = cycle is not None and cycle.next_buy_at is not None and look.now < cycle.next_buy_at
    return look.books.control.mode is Mode.RUN and not waits


def _words(text: str | None) -> list[str]:
    return [text] if text else []


def in_words(order: Order) -> str:
    """An order in flight, in short."""
    at = "" if order.limit_price is None else f" at {plain(order.limit_price)}"
    return f"{order.side} of {plain(order.qty)}{at} ({order.client_order_id}, {order.state})"


def rules_of(market: Market, asset: Asset) -> TradingRules | None:
    return None if market.rules is None else market.rules.get(asset.asset_symbol)


def next_buy(asset: Asset, cycle: Cycle, rules: TradingRules) -> Decimal | None:
    """The ask at which this cycle would buy next if nothing but the price kept it from it (in cooldown: at
    which that ends early); strategy.ANY_PRICE if no price is waited for; None if it buys no more."""
    if not asset.is_enabled or cycle.exit_requested_at is not None:
        return None
    if cycle.status is CycleStatus.COOLDOWN:
        return strategy.early_restart_price(asset)
    if not strategy.wants_base_order(asset, cycle, rules):
        return strategy.safety_price(asset, cycle)
    return None if cycle.status in IN_FLIGHT else strategy.ANY_PRICE


def break_even(cycle: Cycle, rules: TradingRules) -> Decimal | None:
    """The price at which a sale of all that can be sold brings back what was spent, after its fee."""
    sellable = round_down(cycle.quantity, rules.qty_increment)
    if sellable <= 0:
        return None
    return ledger.break_even_price(max(spent(cycle), ZERO), sellable)


def distance(price: Decimal | None, target: Decimal | None) -> Decimal | None:
    """How far a price has to move to reach a target, in percent of the price: negative for a fall."""
    if price is None or target is None or price <= 0:
        return None
    return (target - price) * HUNDRED / price


def _share(amount: Decimal | None, of: Decimal | None) -> Decimal | None:
    return None if amount is None or not of else amount * HUNDRED / of
