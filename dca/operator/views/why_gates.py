"""Every gate that an order of an asset has to pass, in order. Pure.

What main_app decides is what main_app reports of it (asset_reports.py): its quote, its levels, what holds it
back. Added is only what the database and the exchange know. Without a report the books alone speak.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from dca.alerts.conditions import BEAT_LIMIT
from dca.core import remedies, strategy
from dca.core.model import (
    Asset,
    Control,
    Cycle,
    CycleStatus,
    Mode,
    Order,
    Quote,
    Side,
    TradingRules,
    plain,
)
from dca.core.strategy import Levels
from dca.operator import formatting
from dca.operator.asset_settings import ladder
from dca.operator.views import status_rows
from dca.runtime.asset_reports import AssetReport, Reports
from dca.runtime.heartbeat import Beat
from dca.runtime.maintenance import Maintenance

BUYS, SELLS = frozenset({Side.BUY}), frozenset({Side.SELL})
BOTH = BUYS | SELLS
HELD = "held"
REPORT_LIMIT = timedelta(seconds=15)
"""main_app reports every two seconds; while it waits for an answer it may be late."""


class Part(StrEnum):
    """Of the list of gates: who says it, or what it keeps the asset from."""

    MAIN_APP = "main_app"
    BOOKS = "books"
    BUY = "buy"
    SELL = "sell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """`passed` None: not known. `text` is a clause with the number and its limit; it can follow "because".
    A gate that is not passed keeps the asset from the orders that `stops` names."""

    part: Part
    name: str
    passed: bool | None
    text: str
    stops: frozenset[Side] = BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All that decides about one asset. What the exchange did not say is None; `trouble` then says why.

    `reports`: main_app's file, however old. `orders` are the asset's open ones.
    """

    now: datetime
    symbol: str
    is_running: bool
    beat: Beat | None
    reports: Reports | None
    maintenance: Maintenance | None
    control: Control
    asset: Asset | None
    cycle: Cycle | None = None
    orders: Sequence[Order] = ()
    buying_power: Decimal | None = None
    rules: Mapping[str, TradingRules] | None = None
    """Of every pair that the exchange lists."""
    trouble: str | None = None

    @property
    def report(self) -> AssetReport | None:
        """What main_app says of the asset now; None if it says nothing, or is not running."""
        if not self.is_running or self.reports is None or self.now - self.reports.written_at > REPORT_LIMIT:
            return None
        return self.reports.assets.get(self.symbol)


def gates(look: Look) -> list[Gate]:
    """All gates, in the order in which main_app comes to them. Without asset or cycle the list ends there."""
    found = list(_of_main_app(look))
    if look.asset is None:
        return [
            *found,
            _of_books("exists", False, f"there is no row of {look.symbol}: ./bot add {look.symbol}"),
        ]
    found += _of_the_report(look)
    found += _of_the_row(look, look.asset)
    if look.cycle is None:
        when = "" if look.asset.is_enabled else " when enabled"
        return [*found, _of_books("cycle", False, f"it has no live cycle: main_app begins one{when}")]
    found += _of_the_cycle(look, look.asset, look.cycle)
    found += _of_buys(look, look.asset, look.cycle, is_stopped=bool(stoppers(found, Side.BUY)))
    found += _of_sells(look, look.asset, look.cycle)
    return found


def stoppers(found: Sequence[Gate], side: Side) -> list[Gate]:
    """The gates that keep the asset from such an order, in order."""
    return [gate for gate in found if gate.passed is False and side in gate.stops]


def sentence(found: Sequence[Gate], side: Side) -> str:
    """The verdict in plain words. That nothing keeps it from trading is never said: main_app would trade."""
    verb = "buying" if side is Side.BUY else "selling"
    against = stoppers(found, side)
    if any(gate.name == HELD for gate in against):
        against = [gate for gate in against if gate.name == HELD]  # nothing else matters then
    if against:
        return f"It is not {verb} because {'; and because '.join(gate.text for gate in against[:2])}."
    unknown = [gate.name for gate in found if gate.passed is None and side in gate.stops]
    if unknown:
        return f"Why it is not {verb} is not known, for lack of: {', '.join(unknown)}."
    return f"Why it is not {verb} is not known: it has just changed; ask again in a few seconds."


# ---- what main_app says ------------------------------------------------------------------------------------


def _of_app(name: str, passed: bool | None, text: str, stops: frozenset[Side] = BOTH) -> Gate:
    return Gate(part=Part.MAIN_APP, name=name, passed=passed, text=text, stops=stops)


def _of_main_app(look: Look) -> Iterator[Gate]:
    beat = look.beat if look.is_running else None
    yield _of_app("main app", *_liveness(look, beat))
    pause = look.maintenance
    if pause is not None:
        words = f"maintenance until {pause.until:%m-%d %H:%M} UTC ({pause.why}): nobody starts main_app"
        yield _of_app("maintenance", None if look.is_running else False, words)
    if beat is None or beat.waiting_for is not None:
        return
    if not beat.quotes_connected:
        yield _of_app("quote stream", False, "the quote stream is not connected")


def _liveness(look: Look, beat: Beat | None) -> tuple[bool, str]:
    if not look.is_running:
        return False, "main_app is not running"
    if beat is None:
        return False, "main_app is running but has not beaten yet"
    if beat.waiting_for is not None:
        return False, f"main_app waits since its start: {beat.waiting_why}"
    if beat.epoch is not None and beat.epoch != look.control.epoch:
        return False, "another main_app has started on this database: this one is ending"
    age, limit = look.now - beat.beat_at, BEAT_LIMIT
    words = f"main_app's last beat is {formatting.span(age)} old, the limit {formatting.span(limit)}"
    return age <= limit, words


def _of_the_report(look: Look) -> Iterator[Gate]:
    """What main_app itself says of the asset: the only one who knows its own stream and waits."""
    report = look.report
    if report is None:
        yield _of_app("report", None, _no_report(look))
        return
    yield _of_app("quote", *_quote(report))
    if report.resting_until is not None and report.resting_until > look.now:
        words = (
            f"it rests until {report.resting_until:%H:%M:%S} UTC: the exchange or the database did not answer"
        )
        yield _of_app("rest", False, words)
    if report.due is not None:
        since = "" if report.due_since is None else f" since {report.due_since:%H:%M:%S} UTC"
        why = "" if report.quote_problem is not None else f", held back by: {report.held_back}"
        words = f"its {report.due} is due{since}{why}"
        yield _of_app("due", False, words, BOTH if report.due == "sale" else BUYS)


def _no_report(look: Look) -> str:
    if not look.is_running:
        return "main_app reports nothing while it is down; the rest is what the books alone say"
    if look.reports is None:
        return (
            "main_app has not reported yet, or its file cannot be read; the rest is what the books alone say"
        )
    age = look.now - look.reports.written_at
    if age > REPORT_LIMIT:
        return f"main_app's last report is {formatting.span(age)} old; the rest is what the books alone say"
    return f"main_app has not read {look.symbol} yet"


def _quote(report: AssetReport) -> tuple[bool, str]:
    if report.quote_problem is not None:
        return False, f"main_app rejects its newest quote: {report.quote_problem}"
    assert report.quote is not None
    bid, ask = formatting.price(report.quote.bid), formatting.price(report.quote.ask)
    return True, f"bid {bid}, ask {ask}, spread {ladder.spread_percent(report.quote):.3f} %"


def _prices(look: Look) -> Quote | None:
    """main_app's newest quote; None if there is none that it accepts."""
    report = look.report
    return None if report is None or report.quote_problem is not None else report.quote


def _levels(look: Look, asset: Asset, cycle: Cycle) -> Levels:
    """main_app's own; without a report what the books come to."""
    if look.report is not None:
        return look.report.levels
    rules = ladder.nameless_rules(asset.asset_symbol)
    return strategy.levels(asset, cycle, rules, look.now, look.control.mode)


# ---- what the database says --------------------------------------------------------------------------------


def _of_books(name: str, passed: bool | None, text: str, stops: frozenset[Side] = BOTH) -> Gate:
    return Gate(part=Part.BOOKS, name=name, passed=passed, text=text, stops=stops)


def _of_the_row(look: Look, asset: Asset) -> Iterator[Gate]:
    mode, why = look.control.mode, look.control.mode_reason
    reason = "" if why is None else f" ({why})"
    words = {
        Mode.RUN: "the kill switch says run",
        Mode.EXITS_ONLY: f"the kill switch says exits_only{reason}: no buys; ./bot resume",
        Mode.HALT: f"the kill switch says halt{reason}: no orders; ./bot resume",
    }
    yield _of_books("kill switch", mode is Mode.RUN, words[mode], BUYS if mode is Mode.EXITS_ONLY else BOTH)
    if not asset.is_enabled:
        words_ = f"it is disabled: no buys; ./bot enable {asset.asset_symbol}"
        yield _of_books("enabled", False, words_, BUYS)
    if asset.lock_reason is not None:
        yield _of_books("lock", False, f"it is locked: {asset.lock_reason}")
    rules = ladder.nameless_rules(asset.asset_symbol) if look.rules is None else look.rules.get(look.symbol)
    problem = "; ".join(strategy.asset_problems(asset, rules))
    sells = strategy.is_dollar_pair(asset)
    if look.report is not None and asset.lock_reason is None:
        problem, sells = look.report.problem or "", look.report.levels.bid_at_least is not None
    if problem:
        words_ = f"{problem} ({'; '.join(remedies.against_all(asset.asset_symbol, problem))})"
        yield _of_books("traded", False, words_, BUYS if sells else BOTH)


def _of_the_cycle(look: Look, asset: Asset, cycle: Cycle) -> Iterator[Gate]:
    yield _of_books("cycle", cycle.status is CycleStatus.WATCHING, _status(look, asset, cycle))
    for order in look.orders:
        if order.is_live:
            since = formatting.span(look.now - order.created_at)
            words = (
                f"{status_rows.in_words(order)} is in flight since {since}, filled {plain(order.filled_qty)}"
            )
            yield _of_books("order in flight", False, words)


def _status(look: Look, asset: Asset, cycle: Cycle) -> str:
    if cycle.status is not CycleStatus.COOLDOWN:
        return f"the status of cycle {cycle.id} is {cycle.status}"
    levels, ends = _levels(look, asset, cycle), strategy.cooldown_ends_at(asset, cycle)
    if ends is None or ends <= look.now:
        return "its cooldown is over and ends at the next quote"
    words = f"its cooldown lasts until {ends:%Y-%m-%d %H:%M:%S} UTC ({formatting.span(ends - look.now)})"
    if levels.ask_at_most is None:
        return words
    quote = _prices(look)
    far = (
        "" if quote is None else f", {_far(quote.ask, levels.ask_at_most)} from {formatting.price(quote.ask)}"
    )
    return f"{words}, or until the ask is at most {formatting.price(levels.ask_at_most)}{far}"


# ---- buys --------------------------------------------------------------------------------------------------


def _of_buy(name: str, passed: bool | None, text: str) -> Gate:
    return Gate(part=Part.BUY, name=name, passed=passed, text=text, stops=BUYS)


def _of_buys(look: Look, asset: Asset, cycle: Cycle, *, is_stopped: bool) -> Iterator[Gate]:
    if cycle.exit_requested_at is not None:
        at = cycle.exit_requested_at
        words = f"you wanted it sold at {at:%m-%d %H:%M:%S} UTC (./bot sell): no buys before that"
        yield _of_buy("exit", False, words)
    is_watching = cycle.status is CycleStatus.WATCHING
    if is_watching and (not is_stopped or _levels(look, asset, cycle).ask_at_most is not None):
        yield _buy_price(look, asset, cycle)
    yield from _pause(look.now, cycle.next_buy_at, Side.BUY, cycle.problem)
    costs = asset.base_order_amount if cycle.quantity == 0 else asset.safety_order_amount
    if look.buying_power is None:
        yield _of_buy("buying power", None, f"it takes {costs:,.2f} dollars; not known: {look.trouble}")
        return
    words = f"it takes {costs:,.2f} dollars, the account has {look.buying_power:,.2f} to spend"
    yield _of_buy("buying power", costs <= look.buying_power, words)


def _buy_price(look: Look, asset: Asset, cycle: Cycle) -> Gate:
    level, quote = _levels(look, asset, cycle).ask_at_most, _prices(look)
    if level is None:
        bought = f"{cycle.safety_orders} of at most {asset.max_safety_orders} safety orders are bought"
        return _of_buy("price", False, f"no ask is waited for ({bought})")
    if level == strategy.ANY_PRICE:
        return _of_buy(
            "price", True, "nothing, or too little to sell, is held: a base order is bought at any price"
        )
    if quote is None:
        return _of_buy(
            "price", None, f"the ask is not known; the next safety order is at {formatting.price(level)}"
        )
    ask = formatting.price(quote.ask)
    if quote.ask > level:
        words = f"the ask {ask} has to fall to {formatting.price(level)} ({_far(quote.ask, level)})"
        return _of_buy("price", False, words)
    return _of_buy(
        "price", True, f"the ask {ask} is not above the next safety order's {formatting.price(level)}"
    )


def _far(price: Decimal, level: Decimal) -> str:
    return f"{status_rows.distance(price, level):+.2f} %"


def _pause(now: datetime, until: datetime | None, side: Side, problem: str | None) -> Iterator[Gate]:
    if until is None or now >= until:
        return
    why = "" if problem is None else f": {problem}"
    text = f"it waits until {until:%H:%M:%S} UTC ({formatting.span(until - now)}) after a refused {side}{why}"
    yield _of_buy("pause", False, text) if side is Side.BUY else _of_sell("pause", False, text)


# ---- sells -------------------------------------------------------------------------------------------------


def _of_sell(name: str, passed: bool | None, text: str) -> Gate:
    return Gate(part=Part.SELL, name=name, passed=passed, text=text, stops=SELLS)


def _of_sells(look: Look, asset: Asset, cycle: Cycle) -> Iterator[Gate]:
    yield _of_sell(HELD, *_held(cycle))
    if cycle.quantity == 0:
        return
    yield _of_sell("price", *_sell_price(look, asset, cycle))
    yield from _pause(look.now, cycle.next_sell_at, Side.SELL, cycle.problem)


def _held(cycle: Cycle) -> tuple[bool, str]:
    if cycle.quantity == 0:
        return False, "it holds nothing"
    return True, f"it holds {formatting.coins(cycle.quantity)}"


def _sell_price(look: Look, asset: Asset, cycle: Cycle) -> tuple[bool | None, str]:
    level = _levels(look, asset, cycle).bid_at_least
    if level is None:
        price = strategy.take_profit_price(cycle, asset.take_profit_percent)
        words = "no bid is waited for: it cannot be sold now, or is too little for an order"
        return False, f"{words}; the take-profit is at {formatting.price(price)}"
    if cycle.exit_requested_at is not None:
        return True, "you wanted it sold (./bot sell): at any price"
    quote = _prices(look)
    if quote is None:
        return None, f"the bid is not known; the take-profit is at {formatting.price(level)}"
    bid = formatting.price(quote.bid)
    if quote.bid >= level:
        return True, f"the bid {bid} has reached the take-profit's {formatting.price(level)}"
    return False, f"the bid {bid} has to rise to {formatting.price(level)} ({_far(quote.bid, level)})"
