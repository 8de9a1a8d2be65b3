"""The gates that are of a buy or of a sell alone. Pure; see gates.py."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from dca.core import ledger, strategy
from dca.core.model import (
    ZERO,
    Asset,
    Cycle,
    CycleStatus,
    Mode,
    Purpose,
    Quote,
    TradingRules,
    plain,
    round_down,
)
from dca.core.strategy import Place
from dca.operator import formatting
from dca.operator.asset_settings import ladder
from dca.operator.views import status_rows
from dca.operator.views.why_gate import BUYS, SELLS, Gate, Look, Part

HELD = "held"


# ---- buys --------------------------------------------------------------------------------------------------


def _buy_gate(name: str, passed: bool | None, text: str) -> Gate:
    return Gate(part=Part.BUY, name=name, passed=passed, text=text, stops=BUYS)


def of_buys(look: Look, asset: Asset, cycle: Cycle) -> Iterator[Gate]:
    if cycle.exit_requested_at is not None:
        at = cycle.exit_requested_at
        words = f"you wanted it sold at {at:%m-%d %H:%M:%S} UTC (./bot sell): no buys before that"
        yield _buy_gate("exit", False, words)
    rules = look.rules or ladder.nameless_rules(asset.asset_symbol)
    yield from _of_the_ladder(look, asset, cycle, rules)
    yield _buy_gate("pause", *_pause(look.now, cycle.next_buy_at, "buy", cycle.problem))
    yield from _of_the_order(look, asset, cycle)
    sale = strategy.take_profit_price(cycle, asset.take_profit_percent)
    held = strategy.can_be_sold(cycle, rules)
    if held and look.quote is not None and look.quote.bid >= sale and _may_sell(look.now, cycle):
        yield _buy_gate("sale first", False, "its take-profit is reached, and that comes first")


def _may_sell(now: datetime, cycle: Cycle) -> bool:
    return cycle.next_sell_at is None or now >= cycle.next_sell_at


def _of_the_ladder(look: Look, asset: Asset, cycle: Cycle, rules: TradingRules) -> Iterator[Gate]:
    if not strategy.can_be_sold(cycle, rules):
        words = "nothing is held" if cycle.quantity == 0 else f"the {plain(cycle.quantity)} held are too few"
        yield _buy_gate("price", True, f"{words}: a base order of it is bought at any price")
        return
    price = strategy.safety_price(asset, cycle)
    bought = f"{cycle.safety_orders} of at most {asset.max_safety_orders} safety orders are bought"
    yield _buy_gate("safety orders", price is not None, bought)
    if price is None:
        return
    if look.quote is None:
        yield _buy_gate(
            "price", None, f"the ask is not known; the next safety order is at {formatting.price(price)}"
        )
        return
    ask = look.quote.ask
    words = f"the ask {formatting.price(ask)} is not above the next safety order's {formatting.price(price)}"
    if ask > price:
        far = status_rows.distance(ask, price)
        words = f"the ask {formatting.price(ask)} has to fall to {formatting.price(price)} ({far:+.2f} %)"
    yield _buy_gate("price", ask <= price, words)


def _pause(now: datetime, until: datetime | None, what: str, problem: str | None) -> tuple[bool, str]:
    if until is None or now >= until:
        return True, f"no pause after a refused {what}"
    why = "" if problem is None else f": {problem}"
    return (
        False,
        f"it waits until {until:%H:%M:%S} UTC ({formatting.span(until - now)}) after a refused {what}{why}",
    )


def _of_the_order(look: Look, asset: Asset, cycle: Cycle) -> Iterator[Gate]:
    """Whether the exchange would take the order, and whether the account could pay for it."""
    if look.quote is None or look.rules is None:
        yield _buy_gate("order size", None, "prices or the smallest order are not known")
        return
    buy = next_buy(asset, cycle, look.quote, look.rules, look.now)
    least = plain(look.rules.min_order_size)
    if buy is None:
        if not strategy.can_be_sold(cycle, look.rules) or strategy.safety_price(asset, cycle) is not None:
            yield _buy_gate("order size", False, f"its amount buys less than the smallest order, {least}")
        return
    assert buy.limit_price is not None
    cost = buy.qty * buy.limit_price
    yield _buy_gate("order size", True, f"it would buy {plain(buy.qty)}, the smallest order is {least}")
    if look.buying_power is None:
        yield _buy_gate(
            "buying power", None, f"the account's buying power is not known; it takes {cost:,.2f}"
        )
        return
    words = f"it takes {cost:,.2f} dollars, the account has {look.buying_power:,.2f} to spend"
    yield _buy_gate("buying power", cost <= look.buying_power, words)


def next_buy(asset: Asset, cycle: Cycle, quote: Quote, rules: TradingRules, now: datetime) -> Place | None:
    """The order that the strategy would place were it not for anything but price and size; None if the
    exchange would not take it, or there is none to come."""
    buyer = replace(asset, is_enabled=True, lock_reason=None)
    watching = replace(
        cycle, status=CycleStatus.WATCHING, next_buy_at=None, next_sell_at=None, exit_requested_at=None
    )
    level = strategy.safety_price(asset, cycle) if strategy.can_be_sold(cycle, rules) else quote.ask
    if level is None:
        return None
    then = replace(quote, bid=ZERO, ask=min(quote.ask, level))
    action = strategy.decide(buyer, watching, then, replace(rules, tradable=True), now, Mode.RUN)
    return action if isinstance(action, Place) and action.purpose in {Purpose.BASE, Purpose.SAFETY} else None


# ---- sells -------------------------------------------------------------------------------------------------


def _sell_gate(name: str, passed: bool | None, text: str) -> Gate:
    return Gate(part=Part.SELL, name=name, passed=passed, text=text, stops=SELLS)


def of_sells(look: Look, asset: Asset, cycle: Cycle) -> Iterator[Gate]:
    yield _sell_gate(HELD, *_held(look, cycle))
    if cycle.quantity > 0:
        yield _sell_gate("price", *_sell_price(look, asset, cycle))
    yield _sell_gate("pause", *_pause(look.now, cycle.next_sell_at, "sell", cycle.problem))
    if cycle.quantity > 0:
        yield _sell_gate("position", *_position(look, cycle))


def _held(look: Look, cycle: Cycle) -> tuple[bool | None, str]:
    held = formatting.coins(cycle.quantity)
    if cycle.quantity == 0:
        return False, "it holds nothing"
    if look.rules is None:
        return None, f"it holds {held}; the smallest order is not known"
    sellable = strategy.can_be_sold(cycle, look.rules)
    return sellable, f"it holds {held}, the smallest order is {plain(look.rules.min_order_size)}"


def _sell_price(look: Look, asset: Asset, cycle: Cycle) -> tuple[bool | None, str]:
    if cycle.exit_requested_at is not None:
        return True, "you wanted it sold (./bot sell): at any price"
    price = strategy.take_profit_price(cycle, asset.take_profit_percent)
    if look.quote is None:
        return None, f"the bid is not known; the take-profit is at {formatting.price(price)}"
    bid = look.quote.bid
    if bid >= price:
        return (
            True,
            f"the bid {formatting.price(bid)} has reached the take-profit's {formatting.price(price)}",
        )
    far = status_rows.distance(bid, price)
    return False, f"the bid {formatting.price(bid)} has to rise to {formatting.price(price)} ({far:+.2f} %)"


def _position(look: Look, cycle: Cycle) -> tuple[bool | None, str]:
    """As the trader compares them before a sale (trader.py, F06)."""
    if look.position is None or look.rules is None:
        return None, f"what the account holds is not known: {look.trouble or 'the exchange does not say'}"
    account, step = look.position, look.rules.qty_increment
    both = f"the account holds {plain(account.qty)}, the ledger {plain(cycle.quantity)}"
    if cycle.quantity - account.qty > ledger.shortage_tolerance(cycle, step):
        return False, both
    sellable = min(cycle.quantity, account.qty)
    if round_down(min(sellable, account.qty_available), step) < round_down(sellable, step):
        return False, f"only {plain(account.qty_available)} of {plain(account.qty)} are free to be sold"
    return True, both
