"""What may come of rows and quotes, however odd: no action that the rows do not allow."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from dca.core import strategy
from dca.core.model import Asset, Cycle, Mode, Order, Quote, Side, TradingRules
from dca.core.strategy import Action, Place
from dca.trading.watchlist import Desk
from proof.fuzz import sane
from proof.fuzz.samples import NOW, RULES
from proof.fuzz.verdicts import promise

MAX_AGE_SECONDS, MAX_SPREAD_PERCENT = Decimal(15), Decimal(2)
LEAST_DOLLARS, MOST_DOLLARS = Decimal(10), Decimal(200_000)
"""The exchange's own limits of an order (alpaca.md 3)."""


def good(quote: Quote) -> bool:
    """Whether the strategy's gate lets a quote decide; what it lets through has to be a price."""
    problem = strategy.quote_problem(
        quote, NOW, max_age_seconds=MAX_AGE_SECONDS, max_spread_percent=MAX_SPREAD_PERCENT
    )
    if problem is not None:
        sane.text(problem, "the quote's problem", 1000)
        return False
    promise(quote.bid.is_finite() and quote.ask.is_finite(), "a price that is no number decides")
    promise(Decimal(0) < quote.bid <= quote.ask, f"bid {quote.bid} and ask {quote.ask} decide")
    age = abs(NOW - quote.at)
    promise(age <= timedelta(seconds=float(MAX_AGE_SECONDS)), f"a quote that is {age} old decides")
    return True


def decided(
    asset: Asset, cycle: Cycle, orders: Sequence[Order], quote: Quote, rules: TradingRules = RULES
) -> Action | None:
    """Put an asset on the desk and let a good quote decide, as main loop and trader do it; judged."""
    action, problem = looked(asset, cycle, orders, quote, rules)
    _acted(asset, cycle, action, quote, problem)
    return action


def looked(
    asset: Asset, cycle: Cycle, orders: Sequence[Order], quote: Quote, rules: TradingRules = RULES
) -> tuple[Action | None, str | None]:
    """What memory makes of rows that nobody has compared with their orders yet, and the asset's problem."""
    desk = Desk("abcd1234", 1)
    desk.rules = {rules.symbol: rules}
    desk.put(asset, cycle, [order for order in orders if order.is_live], NOW)
    watch = desk.watch(asset.asset_symbol)
    assert watch is not None
    promise(watch.problem is None or 0 < len(watch.problem) <= 1500, f"the problem says {watch.problem!r}")
    if not watch.levels.reached(quote, NOW):
        return None, watch.problem
    tradable = desk.tradable_form(asset)
    action = strategy.decide(tradable, cycle, quote, rules, NOW, desk.mode)
    for mode in (Mode.EXITS_ONLY, Mode.HALT):
        other = strategy.decide(tradable, cycle, quote, rules, NOW, mode)
        allowed = not isinstance(other, Place) or (
            mode is Mode.EXITS_ONLY and other.purpose.side is Side.SELL
        )
        promise(allowed, f"an order in mode {mode}")
    return action, watch.problem


def _acted(asset: Asset, cycle: Cycle, action: Action | None, quote: Quote, problem: str | None) -> None:
    """One action: within the budget, within what is held, at the quote."""
    if action is None:
        return
    sane.value(action.reason, "the reason")
    if not isinstance(action, Place):
        return
    promise(asset.lock_reason is None, "an order of a locked asset")
    promise(action.qty.is_finite() and action.qty > 0, f"an order for {action.qty}")
    if action.purpose.side is Side.SELL:
        promise(action.qty <= cycle.quantity, f"a sell of {action.qty} of {cycle.quantity}")
        dollars, smallest = action.qty * quote.bid, action.qty < 2 * RULES.min_order_size
        promise(smallest or dollars <= MOST_DOLLARS, f"a sell of {dollars} dollars")
    else:
        _bought(asset, action, quote, problem)


def _bought(asset: Asset, action: Place, quote: Quote, problem: str | None) -> None:
    promise(problem is None, f"a buy although: {problem}")
    promise(asset.is_enabled, "a buy of a disabled asset")
    promise(action.limit_price is not None and action.limit_price > 0, f"a buy at {action.limit_price}")
    assert action.limit_price is not None
    promise(action.limit_price <= quote.ask, f"a buy at {action.limit_price} above the ask {quote.ask}")
    dollars = action.limit_price * action.qty
    budget = asset.safety_order_amount if action.level else asset.base_order_amount
    promise(dollars <= budget, f"a buy of {dollars} dollars where {budget} are allowed")
    promise(dollars <= MOST_DOLLARS, f"a buy of {dollars} dollars")
    promise(
        action.level <= asset.max_safety_orders, f"safety order {action.level} of {asset.max_safety_orders}"
    )
