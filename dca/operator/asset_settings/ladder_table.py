"""Prints a ladder, together with the pair's current quote and the account's buying power."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console

from dca.core import strategy
from dca.core.errors import ExchangeUnavailable
from dca.core.model import HUNDRED, Asset, Cycle, Quote, TradingRules
from dca.operator import formatting
from dca.operator.asset_settings import ladder
from dca.operator.asset_settings.ladder import Ladder, Step
from dca.operator.session import Tools
from dca.operator.sheet import Pair, Sheet

SHOWN_STEPS = 14
"""Most steps shown; of a longer ladder, the first ones and the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOnExchange:
    """A pair's trading rules and quote, and the account's buying power, as far as the exchange gave them.

    `trouble`: why nothing, or no price, is known.
    """

    rules: TradingRules | None = None
    quote: Quote | None = None
    buying_power: Decimal | None = None
    trouble: str | None = None

    def problems(self, asset: Asset) -> list[str]:
        """Known reasons why the asset cannot be traded."""
        known = self.rules if self.answered else ladder.nameless_rules(asset.asset_symbol)
        return strategy.asset_problems(asset, known)

    @property
    def answered(self) -> bool:
        return self.buying_power is not None

    def ladder(self, asset: Asset, tools: Tools) -> Ladder:
        """The asset's ladder from the ask, or from ladder.NAMELESS_PRICE without a quote."""
        now = tools.clock.now()
        if self.rules is None or self.quote is None:
            return ladder.build(asset, ladder.nameless_rules(asset.asset_symbol), ladder.NAMELESS_PRICE, now)
        return ladder.build(asset, self.rules, self.quote.ask, now)


def ask_exchange(tools: Tools, symbol: str) -> PairOnExchange:
    """Ask the exchange about a pair; if it does not answer, `trouble` says so."""
    try:
        power = tools.broker.account().non_marginable_buying_power
        rules = tools.broker.trading_rules().get(symbol)
    except ExchangeUnavailable as error:
        return PairOnExchange(trouble=f"the exchange does not answer ({error})")
    if rules is None:
        return PairOnExchange(buying_power=power)
    try:
        quote = tools.broker.latest_quotes([symbol], tools.clock.now()).get(symbol)
    except ExchangeUnavailable as error:
        return PairOnExchange(
            rules=rules, buying_power=power, trouble=f"the exchange gives no quote ({error})"
        )
    problem = "it has none" if quote is None else _problem_of(quote, tools)
    if problem is not None:
        return PairOnExchange(
            rules=rules, buying_power=power, trouble=f"no usable quote for {symbol}: {problem}"
        )
    return PairOnExchange(rules=rules, quote=quote, buying_power=power)


def _problem_of(quote: Quote, tools: Tools) -> str | None:
    """Why a quote is not good enough for an example, or None; its age does not matter."""
    return strategy.quote_problem(
        quote, quote.at, max_age_seconds=Decimal(1), max_spread_percent=tools.settings.max_spread_percent
    )


def show(console: Console, built: Ladder, market: PairOnExchange) -> None:
    """Print the ladder as a table, and where its first price comes from."""
    if market.quote is None:
        formatting.tell(
            console, f"{market.trouble or 'no price is known'}: prices are percentages of the first."
        )
    else:
        at = market.quote.at
        formatting.tell(
            console,
            f"From the exchange's ask of {formatting.price(market.quote.ask)} ({at:%Y-%m-%d %H:%M:%S} UTC), "
            "if the price keeps falling:",
        )
    if built.steps:
        _sheet(built.steps, relative=market.quote is None).show(console)


_HELD = Pair(top="coins held", bottom="average")
_PAIRS = (
    Pair(top="step", is_text=True),
    Pair(top="price", bottom="drop %"),
    Pair(top="buys $", bottom="spent $"),
    _HELD,
    Pair(top="take-profit", bottom="rise %"),
    Pair(top="break-even"),
)
_RELATIVE = tuple(Pair(top="average") if pair is _HELD else pair for pair in _PAIRS)


def _sheet(steps: Sequence[Step], *, relative: bool) -> Sheet:
    made = Sheet(pairs=_RELATIVE if relative else _PAIRS)
    price = formatting.percent if relative else formatting.price
    for step in _some(steps):
        if step is None:
            made.add(("...", ""), *[("", "")] * (len(_PAIRS) - 1))
            continue
        average = price(step.average_price)
        made.add(
            ("base" if step.level == 0 else str(step.level), ""),
            (price(step.price), formatting.percent(step.drop_percent)),
            (formatting.dollars(step.cost), formatting.dollars(step.spent)),
            (average, "") if relative else (formatting.coins(step.held), average),
            (price(step.take_profit_price), formatting.percent(step.rise_percent)),
            (price(step.break_even_price), ""),
        )
    return made


def _some(steps: Sequence[Step]) -> list[Step | None]:
    if len(steps) <= SHOWN_STEPS:
        return list(steps)
    return [*steps[: SHOWN_STEPS - 2], None, steps[-1]]


def show_worst_case(
    console: Console,
    asset: Asset,
    cycle: Cycle | None,
    market: PairOnExchange,
    others: Sequence[tuple[Asset, Cycle | None]],
) -> None:
    """Print the worst case in dollars, alone and with the `others` that are enabled, and the share of the
    account's buying power that the buys still to come would take."""
    worst = strategy.worst_case(asset, cycle)
    to_come = strategy.still_to_come(asset, cycle)
    formatting.tell(
        console,
        f"Worst case of a cycle: ${formatting.dollars(worst)} ({_parts(asset, cycle)})"
        + _share(to_come, market.buying_power),
    )
    if others:
        total = worst + sum(strategy.worst_case(*each) for each in others)
        to_come += sum(strategy.still_to_come(*each) for each in others)
        names = f"{len(others)} other enabled asset{'s' if len(others) > 1 else ''}"
        formatting.tell(
            console,
            f"Together with {names}: ${formatting.dollars(total)}{_share(to_come, market.buying_power)}",
        )


def _parts(asset: Asset, cycle: Cycle | None) -> str:
    """The terms of a worst case, in words."""
    if cycle is not None and cycle.bought_cost > 0:
        spent, to_come = -cycle.net_profit, strategy.still_to_come(asset, cycle)
        return f"spent {formatting.dollars(spent)} + still to come {formatting.dollars(to_come)}"
    base = max(asset.base_order_amount, strategy.LEAST_BASE_BUDGET)
    safety = f"{asset.max_safety_orders} x {formatting.dollars(asset.safety_order_amount)}"
    return f"base {formatting.dollars(base)} + safety {safety}"


def _share(amount: Decimal, buying_power: Decimal | None) -> str:
    if not buying_power:
        return "" if buying_power is None else "; the account has no buying power"
    share = amount * HUNDRED / buying_power
    power = formatting.dollars(buying_power)
    return f", {formatting.percent(share)} % of the account's buying power of ${power}"


def show_warnings(console: Console, warnings: Sequence[str]) -> None:
    for warning in warnings:
        formatting.tell(console, f"WARNING: {warning}", "yellow")
