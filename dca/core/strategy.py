"""The whole trading idea: what to do about an asset, seeing its cycle and a quote.

Pure. `levels` says which prices matter; `decide` says what to do when one of them is reached. Both
start from the same levels, so a quote that `levels` would let pass can never lead to an action.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from dca.core.model import (
    HUNDRED,
    ZERO,
    Asset,
    Cycle,
    CycleStatus,
    Mode,
    OrderType,
    Purpose,
    Quote,
    TradingRules,
    plain,
    round_down,
)
from dca.core.selling import AT_MARKET, GTC, IOC, Selling

MIN_BUY_DOLLARS = Decimal("10.50")
"""Alpaca refuses buys of USD pairs under $10 (alpaca.md 3); quantities are rounded down, so a margin."""
NOT_NOW = "the exchange does not trade it now"
MAX_BUY_DOLLARS = Decimal(200_000)
"""Alpaca's largest order (alpaca.md 3)."""
MAX_SELL_DOLLARS = Decimal(190_000)
"""A market order is worth what the price is when it arrives, so a margin."""
LEAST_BASE_BUDGET = Decimal(12)
"""Dollars that base orders of a cycle may come to, however small the amount: a first part too small to be
sold (the exchange's smallest order is worth about a dollar) and the smallest buy there is."""
ANY_PRICE = Decimal("Infinity")
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An order worth placing. `trigger_price` is what the rule compared the quote with."""

    purpose: Purpose
    level: int
    order_type: OrderType
    qty: Decimal
    limit_price: Decimal | None
    trigger_price: Decimal | None
    quote_price: Decimal
    reason: str
    time_in_force: str = GTC


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelBuy:
    """The take-profit is reached while a buy is live: it has to go first."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCooldown:
    """`early_at`: the ask at which it ends before its time; None: its time is up."""

    early_at: Decimal | None
    reason: str


Action = Place | CancelBuy | EndCooldown


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What would make an asset act: ask at or below, bid at or above, or a time reached.

    None: no such reason. After a refusal the one side waits, and the other does not.
    """

    ask_at_most: Decimal | None = None
    bid_at_least: Decimal | None = None
    wake_at: datetime | None = None
    buys_from: datetime | None = None
    sells_from: datetime | None = None

    def reached(self, quote: Quote, now: datetime) -> bool:
        """Whether this quote, or the time, is a reason to look closer. Costs no query."""
        if self.wake_at is not None and now >= self.wake_at:
            return True
        return self.asks_for_buy(quote, now) or self.asks_for_sell(quote, now)

    def asks_for_buy(self, quote: Quote, now: datetime) -> bool:
        if self.ask_at_most is None or quote.ask > self.ask_at_most:
            return False
        return self.buys_from is None or now >= self.buys_from

    def asks_for_sell(self, quote: Quote, now: datetime) -> bool:
        if self.bid_at_least is None or quote.bid < self.bid_at_least:
            return False
        return self.sells_from is None or now >= self.sells_from


NOTHING = Levels()


def quote_problem(
    quote: Quote, now: datetime, *, max_age_seconds: Decimal, max_spread_percent: Decimal
) -> str | None:
    """Say why a quote must not decide anything; None for a good one (F16, F26)."""
    bid, ask = quote.bid, quote.ask
    if not (bid.is_finite() and ask.is_finite()):
        return "a price is not a number"
    if bid <= 0 or ask <= 0:
        return f"a price is not positive: bid {bid} ask {ask}"
    if bid > ask:
        return f"crossed: bid {bid} above ask {ask}"
    if (ask - bid) * HUNDRED > max_spread_percent * bid:
        return f"spread above {plain(max_spread_percent)} %: bid {bid} ask {ask}"
    age_seconds = (now - quote.at).total_seconds()
    if abs(age_seconds) > max_age_seconds:
        return f"{age_seconds:.0f} s old"
    return None


def is_dollar_pair(asset: Asset) -> bool:
    """Amounts in dca_assets are dollars, so only what is quoted in dollars is traded."""
    return asset.asset_symbol.endswith("/USD")


def asset_problems(asset: Asset, rules: TradingRules | None) -> list[str]:
    """Say what keeps an asset from being traded, column by column; empty if nothing does."""
    amounts = {"base_order_amount": asset.base_order_amount}
    if asset.max_safety_orders > 0:
        amounts["safety_order_amount"] = asset.safety_order_amount
    problems = [
        f"{column} is {plain(amount)}, below {MIN_BUY_DOLLARS}: "
        f"the exchange refuses buys under $10 and quantities are rounded down; raise it"
        for column, amount in amounts.items()
        if amount < MIN_BUY_DOLLARS
    ]
    problems += [
        f"{column} is {plain(amount)}, above the exchange's largest order of {MAX_BUY_DOLLARS}; lower it"
        for column, amount in amounts.items()
        if amount > MAX_BUY_DOLLARS
    ]
    if not is_dollar_pair(asset):
        problems.append(f"asset_symbol is {asset.asset_symbol}: only pairs against USD are traded")
    elif rules is None:
        problems.append(f"asset_symbol is {asset.asset_symbol}: the exchange has no such pair")
    elif not rules.tradable:
        problems.append(f"asset_symbol is {asset.asset_symbol}: {NOT_NOW}")
    return problems


def take_profit_price(cycle: Cycle, take_profit_percent: Decimal) -> Decimal:
    return cycle.average_purchase_price * (1 + take_profit_percent / HUNDRED)


def can_be_sold(cycle: Cycle, rules: TradingRules) -> bool:
    """Whether what is held makes an order that the exchange takes."""
    return round_down(cycle.quantity, rules.qty_increment) >= rules.min_order_size


def sell_orders(quantity: Decimal, bid: Decimal, min_order_size: Decimal) -> int:
    """In how many orders so many coins are sold at a bid: in even parts, so that none is too small."""
    needed = (quantity * bid / MAX_SELL_DOLLARS).to_integral_value(rounding=ROUND_UP)
    possible = (quantity / min_order_size).to_integral_value(rounding=ROUND_DOWN)
    return max(1, int(min(needed, possible)))


def top_up_amount(asset: Asset, cycle: Cycle) -> Decimal | None:
    """Dollars for another base order, if what was bought is too little to be sold; None where it would cost
    more than base orders may. The exchange's smallest order moves: what a fall has made too small is not
    bought again and again, but waits for the price to rise."""
    amount = max(asset.base_order_amount - cycle.bought_cost, MIN_BUY_DOLLARS)
    budget = max(asset.base_order_amount, LEAST_BASE_BUDGET)
    return amount if cycle.bought_cost + amount <= budget else None


def wants_base_order(asset: Asset, cycle: Cycle, rules: TradingRules) -> bool:
    """Whether the next buy is a base order, and no step of the ladder."""
    return not can_be_sold(cycle, rules) and top_up_amount(asset, cycle) is not None


def still_to_come(asset: Asset, cycle: Cycle | None) -> Decimal:
    """Dollars that buys of a cycle may still cost at the most; of the next one, if none holds anything."""
    budget = max(asset.base_order_amount, LEAST_BASE_BUDGET)
    if cycle is None:
        return budget + asset.max_safety_orders * asset.safety_order_amount
    base = ZERO if top_up_amount(asset, cycle) is None else budget - cycle.bought_cost
    return base + max(asset.max_safety_orders - cycle.safety_orders, 0) * asset.safety_order_amount


def worst_case(asset: Asset, cycle: Cycle | None = None) -> Decimal:
    """Dollars that a cycle costs at the most: its whole ladder; or what it has cost, adopted coins and all,
    and what may still come, if that is more."""
    ladder = still_to_come(asset, None)
    return ladder if cycle is None else max(ladder, still_to_come(asset, cycle) - cycle.net_profit)


def safety_price(asset: Asset, cycle: Cycle) -> Decimal | None:
    """The ask at which the next safety order is bought; None if there is none to come."""
    if cycle.safety_orders >= asset.max_safety_orders or cycle.last_order_fill_price is None:
        return None
    return cycle.last_order_fill_price * (1 - asset.safety_order_deviation / HUNDRED)


def early_restart_price(asset: Asset) -> Decimal | None:
    """The ask at which a cooldown ends before its time; None without a last sale."""
    if asset.last_sell_price is None:
        return None
    return asset.last_sell_price * (1 - asset.buy_order_price_deviation_percent / HUNDRED)


def cooldown_ends_at(asset: Asset, cycle: Cycle) -> datetime | None:
    """None for a cooldown with no sale behind it: it has nothing to wait for."""
    if cycle.cooldown_started_at is None:
        return None
    span = timedelta(seconds=asset.cooldown_period)
    return min(cycle.cooldown_started_at, _END_OF_TIME - span) + span  # somebody may have written 9999 there


def levels(
    asset: Asset,
    cycle: Cycle,
    rules: TradingRules,
    now: datetime,
    mode: Mode,
    selling: Selling = AT_MARKET,
) -> Levels:
    """The prices and times that matter to an asset now."""
    if asset.lock_reason is not None or mode is Mode.HALT:
        return NOTHING
    if cycle.status is CycleStatus.COOLDOWN:
        return Levels(ask_at_most=early_restart_price(asset), wake_at=cooldown_ends_at(asset, cycle) or now)
    sellable = can_be_sold(cycle, rules)
    target = take_profit_price(cycle, asset.take_profit_percent)
    sell = selling.level(cycle, rules, target) if sellable else None
    if cycle.exit_requested_at is not None:
        sell = ZERO if sellable or cycle.status is CycleStatus.BUYING else None
    if cycle.status is CycleStatus.BUYING:
        return Levels(bid_at_least=sell)
    if cycle.status is not CycleStatus.WATCHING:
        return NOTHING
    may_buy = asset.is_enabled and mode is Mode.RUN and rules.tradable and cycle.exit_requested_at is None
    base = may_buy and wants_base_order(asset, cycle, rules)
    buy = ANY_PRICE if base else safety_price(asset, cycle) if may_buy else None
    return Levels(
        ask_at_most=buy, bid_at_least=sell, buys_from=cycle.next_buy_at, sells_from=cycle.next_sell_at
    )


def decide(
    asset: Asset,
    cycle: Cycle,
    quote: Quote,
    rules: TradingRules,
    now: datetime,
    mode: Mode,
    selling: Selling = AT_MARKET,
) -> Action | None:
    """What to do about an asset on this quote; None for nothing. The quote must be a good one."""
    reach = levels(asset, cycle, rules, now, mode, selling)
    if not reach.reached(quote, now):
        return None
    if cycle.status is CycleStatus.COOLDOWN:
        return _end_cooldown(reach, quote, now)
    if reach.bid_at_least is not None and reach.asks_for_sell(quote, now):
        return _sell(asset, cycle, quote, rules, reach.bid_at_least, selling)
    if reach.ask_at_most is None or not reach.asks_for_buy(quote, now):
        return None
    if wants_base_order(asset, cycle, rules):
        return _base_order(asset, cycle, quote, rules)
    return _safety_order(asset, cycle, quote, rules, reach.ask_at_most)


def _end_cooldown(reach: Levels, quote: Quote, now: datetime) -> EndCooldown:
    if reach.wake_at is not None and now >= reach.wake_at:
        return EndCooldown(early_at=None, reason="its time is up")
    assert reach.ask_at_most is not None
    reason = f"ask {plain(quote.ask)} fell to the restart price {_rounded(reach.ask_at_most)}"
    return EndCooldown(early_at=reach.ask_at_most, reason=reason)


def with_all_of(sell: Place, before: Cycle, after: Cycle, rules: TradingRules) -> Place:
    """A sell of all that a cycle held, of all that it holds by now; one of several parts as it is."""
    if sell.qty != round_down(before.quantity, rules.qty_increment):
        return sell
    return replace(sell, qty=round_down(after.quantity, rules.qty_increment))


def _sell(
    asset: Asset, cycle: Cycle, quote: Quote, rules: TradingRules, price: Decimal, selling: Selling
) -> Place | CancelBuy:
    wished = cycle.exit_requested_at is not None
    reason = (
        f"the operator wants it sold, bid {plain(quote.bid)}"
        if wished
        else f"bid {plain(quote.bid)} reached {_rounded(price)}, {plain(asset.take_profit_percent)} % above "
        f"average {plain(cycle.average_purchase_price)}"
    )
    if cycle.status is CycleStatus.BUYING:
        return CancelBuy(reason=reason)
    held = round_down(cycle.quantity, rules.qty_increment)
    parts = sell_orders(cycle.quantity, quote.bid, rules.min_order_size)
    if parts > 1:
        reason += f"; it takes {parts} orders, as one may be worth {MAX_BUY_DOLLARS} dollars"
    target = take_profit_price(cycle, asset.take_profit_percent)
    limit_price = None if wished else selling.limit_price(cycle, rules, target)
    return Place(
        purpose=Purpose.EXIT if wished else Purpose.TAKE_PROFIT,
        level=0,
        order_type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
        time_in_force=GTC if limit_price is None else IOC,
        qty=round_down(held / parts, rules.qty_increment),
        limit_price=limit_price,
        trigger_price=None if wished else price,
        quote_price=quote.bid,
        reason=reason,
    )


def _safety_order(
    asset: Asset, cycle: Cycle, quote: Quote, rules: TradingRules, price: Decimal
) -> Place | None:
    assert cycle.last_order_fill_price is not None
    reason = (
        f"ask {plain(quote.ask)} fell to {_rounded(price)}, {plain(asset.safety_order_deviation)} % below "
        f"last fill {plain(cycle.last_order_fill_price)}"
    )
    level = cycle.safety_orders + 1
    return _buy(Purpose.SAFETY, level, asset.safety_order_amount, quote, rules, price, reason)


def _base_order(asset: Asset, cycle: Cycle, quote: Quote, rules: TradingRules) -> Place | None:
    """Open a cycle; or top up a base order of which too little was filled to be sold again."""
    amount = top_up_amount(asset, cycle)
    assert amount is not None, "wants_base_order has asked"
    reason = f"nothing is held, ask {plain(quote.ask)}"
    if cycle.quantity > 0:
        reason = f"the {plain(cycle.quantity)} held are too few to be sold"
    return _buy(Purpose.BASE, 0, amount, quote, rules, None, reason)


def _buy(
    purpose: Purpose,
    level: int,
    amount: Decimal,
    quote: Quote,
    rules: TradingRules,
    trigger_price: Decimal | None,
    reason: str,
) -> Place | None:
    """A limit buy at the ask for an amount of dollars, or None if the exchange would not take it."""
    limit_price = round_down(quote.ask, rules.price_increment)
    qty = round_down(amount / limit_price, rules.qty_increment) if limit_price > 0 else ZERO
    if qty < rules.min_order_size:
        return None
    return Place(
        purpose=purpose,
        level=level,
        order_type=OrderType.LIMIT,
        qty=qty,
        limit_price=limit_price,
        trigger_price=trigger_price,
        quote_price=quote.ask,
        reason=reason,
    )


def _rounded(price: Decimal) -> str:
    """A computed price for a sentence: eight significant digits are more than anyone reads."""
    digits = max(0, 7 - price.adjusted())
    return plain(price.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_DOWN))
