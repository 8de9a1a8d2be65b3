"""Every gate that an order of an asset has to pass, in order, each with its number and its limit.

Pure. Which price counts, and what an order would be, is asked of strategy and ledger: no rule is said here
again, and a test holds the verdict against strategy.decide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from dca.alerts.conditions import BEAT_LIMIT
from dca.alerts.heartbeat_conditions import QUOTES_LIMIT, SETTLE_LIMIT
from dca.core import remedies, strategy
from dca.core.model import Asset, Cycle, CycleStatus, Mode, Quote, Side, plain
from dca.operator import formatting
from dca.operator.asset_settings import ladder
from dca.operator.views import status_rows
from dca.operator.views.why_gate import BOTH, BUYS, SELLS, Gate, Look, Part
from dca.operator.views.why_order_gates import HELD, of_buys, of_sells
from dca.runtime.heartbeat import Beat

_WORTH_TELLING_SECONDS = 10
_NO_LIMIT = Decimal(10**12)


def gates(look: Look) -> list[Gate]:
    """All gates, in the order in which main_app comes to them. Without asset or cycle the list ends there."""
    found = [*_of_main_app(look), *_of_the_quote(look)]
    if look.quote is not None and _nonsense(look, look.quote) is not None:
        look = replace(look, quote=None)  # no sums with what is no price
    if look.asset is None:
        return [
            *found,
            _asset_gate("exists", False, f"there is no row of {look.symbol}: ./bot add {look.symbol}"),
        ]
    found += _of_the_row(look, look.asset)
    if look.cycle is None:
        words = "it has no live cycle: main_app begins one" + (
            "" if look.asset.is_enabled else " when enabled"
        )
        return [*found, _asset_gate("live cycle", False, words)]
    found += _of_the_cycle(look, look.asset, look.cycle)
    found += of_buys(look, look.asset, look.cycle)
    return [*found, *of_sells(look, look.asset, look.cycle)]


def stoppers(found: Sequence[Gate], side: Side) -> list[Gate]:
    """The gates that keep the asset from such an order, in order."""
    return [gate for gate in found if gate.passed is False and side in gate.stops]


def sentence(found: Sequence[Gate], side: Side) -> str:
    """The verdict in plain words."""
    verb = "buying" if side is Side.BUY else "selling"
    against = stoppers(found, side)
    if any(gate.name == HELD for gate in against):
        against = [gate for gate in against if gate.name == HELD]  # nothing else matters then
    if against:
        return f"It is not {verb} because {'; and because '.join(gate.text for gate in against[:3])}."
    unknown = [gate.name for gate in found if gate.passed is None and side in gate.stops]
    if unknown:
        return f"Nothing known keeps it from {verb}, but this is not known: {', '.join(unknown)}."
    return f"Nothing keeps it from {verb}: main_app does it at the next quote."


def _everything(name: str, passed: bool | None, text: str, stops: frozenset[Side] = BOTH) -> Gate:
    return Gate(part=Part.EVERYTHING, name=name, passed=passed, text=text, stops=stops)


def _asset_gate(name: str, passed: bool | None, text: str, stops: frozenset[Side] = BOTH) -> Gate:
    return Gate(part=Part.ASSET, name=name, passed=passed, text=text, stops=stops)


# ---- what holds for everything -----------------------------------------------------------------------------


def _of_main_app(look: Look) -> Iterator[Gate]:
    beat = look.beat if look.is_running else None
    yield _everything("main app", *_liveness(look, beat))
    pause = look.maintenance
    if pause is not None:
        words = f"maintenance until {pause.until:%m-%d %H:%M} UTC ({pause.why}): nobody starts main_app"
        yield _everything("maintenance", None if look.is_running else False, words)
    yield from _of_the_mode(look)
    if beat is not None:
        yield from _delay(look, beat)
        yield _everything("settled", *_settled(look, beat))
        yield _everything("quote stream", *_quote_stream(look, beat))
        words = "order updates are connected"
        if not beat.orders_connected:
            words = "order updates are not connected; orders in flight are asked for instead"
        yield _everything("order stream", beat.orders_connected, words, frozenset())


def _liveness(look: Look, beat: Beat | None) -> tuple[bool, str]:
    if not look.is_running:
        return False, "main_app is not running"
    if beat is None:
        return False, "main_app is running but has not beaten yet"
    if beat.waiting_for is not None:
        return False, f"main_app waits since its start: {beat.waiting_why}"
    age, limit = look.now - beat.beat_at, BEAT_LIMIT
    words = f"main_app's last beat is {formatting.span(age)} old, the limit {formatting.span(limit)}"
    return age <= limit, words


def _of_the_mode(look: Look) -> Iterator[Gate]:
    reason = "" if look.mode_reason is None else f" ({look.mode_reason})"
    words = {
        Mode.RUN: "the kill switch says run",
        Mode.EXITS_ONLY: f"the kill switch says exits_only{reason}: no buys; ./bot resume",
        Mode.HALT: f"the kill switch says halt{reason}: no orders; ./bot resume",
    }
    stops = BUYS if look.mode is Mode.EXITS_ONLY else BOTH
    yield _everything("kill switch", look.mode is Mode.RUN, words[look.mode], stops)


def _settled(look: Look, beat: Beat) -> tuple[bool, str]:
    if beat.last_settle_at is None:
        return False, "orders in flight have not been settled since the start"
    age, limit = look.now - beat.last_settle_at, SETTLE_LIMIT
    return (
        age <= limit,
        f"orders in flight were settled {formatting.span(age)} ago, the limit {formatting.span(limit)}",
    )


def _delay(look: Look, beat: Beat) -> Iterator[Gate]:
    """What main_app itself says of it: the only one who knows of its own stream and waits."""
    for each in beat.delays:
        if each.symbol == look.symbol and each.lasted_seconds >= _WORTH_TELLING_SECONDS:
            stops = SELLS if each.action == "sale" else BUYS
            words = f"its {each.action} is due since {each.since:%H:%M:%S} UTC, held back last: {each.why}"
            yield _everything("held back", False, words, stops)


def _quote_stream(look: Look, beat: Beat) -> tuple[bool, str]:
    if not beat.quotes_connected:
        return False, "the quote stream is not connected"
    if beat.last_quote_at is None:
        return False, "the quote stream is connected and has brought no quote yet"
    age, limit = look.now - beat.last_quote_at, QUOTES_LIMIT
    return (
        age <= limit,
        f"the stream's newest quote is {formatting.span(age)} old, "
        f"the limit {formatting.span(limit)}{_lag(beat)}",
    )


def _lag(beat: Beat) -> str:
    lag = beat.quote_lag_seconds
    return "" if lag is None else f"; they come {lag:.1f} s after their time"


def _of_the_quote(look: Look) -> Iterator[Gate]:
    quote = look.quote
    if quote is None:
        yield _everything("quote", None, look.trouble or f"the exchange has no quote of {look.symbol}")
        return
    sense = _nonsense(look, quote)
    if sense is not None:
        yield _everything("quote makes sense", False, f"the quote makes no sense: {sense}")
        return
    prices = f"bid {formatting.price(quote.bid)}, ask {formatting.price(quote.ask)}"
    yield _everything("quote makes sense", True, prices)
    spread = _problem(look, quote, age=_NO_LIMIT, spread=look.max_spread_percent)
    width = f"{ladder.spread_percent(quote):.3f} %, the limit {plain(look.max_spread_percent)} %"
    yield _everything("spread", spread is None, f"the spread is {width}")
    late = _problem(look, quote, age=look.max_quote_age_seconds, spread=_NO_LIMIT)
    seconds = (look.now - quote.at).total_seconds()
    words = f"the pair's newest quote is {seconds:.0f} s old, the limit {plain(look.max_quote_age_seconds)} s"
    yield _everything("quote is fresh", late is None, words)


def _nonsense(look: Look, quote: Quote) -> str | None:
    return _problem(look, quote, age=_NO_LIMIT, spread=_NO_LIMIT)


def _problem(look: Look, quote: Quote, *, age: Decimal, spread: Decimal) -> str | None:
    return strategy.quote_problem(quote, look.now, max_age_seconds=age, max_spread_percent=spread)


# ---- the asset ---------------------------------------------------------------------------------------------


def _of_the_row(look: Look, asset: Asset) -> Iterator[Gate]:
    yield _asset_gate("exists", True, f"{asset.asset_symbol} is in dca_assets")
    words = (
        "it is enabled" if asset.is_enabled else f"it is disabled: no buys; ./bot enable {asset.asset_symbol}"
    )
    yield _asset_gate("enabled", asset.is_enabled, words, BUYS)
    lock = "it is not locked" if asset.lock_reason is None else f"it is locked: {asset.lock_reason}"
    yield _asset_gate("lock", asset.lock_reason is None, lock)
    columns = strategy.asset_problems(asset, ladder.nameless_rules(asset.asset_symbol))
    stops = BUYS if strategy.is_dollar_pair(asset) else BOTH
    words = _with_repairs(asset, columns) or "its amounts make sense"
    yield _asset_gate("columns", not columns, words, stops)
    if look.rules is None and look.trouble is not None:
        yield _asset_gate("pair", None, f"what the exchange says of the pair is not known: {look.trouble}")
        return
    pair = [each for each in strategy.asset_problems(asset, look.rules) if each not in columns]
    words = _with_repairs(asset, pair) or "the exchange trades the pair"
    yield _asset_gate("pair", not pair, words, BOTH if look.rules is None else BUYS)


def _with_repairs(asset: Asset, problems: Sequence[str]) -> str:
    return "; ".join(f"{each} ({remedies.against(asset.asset_symbol, each)})" for each in problems)


def _of_the_cycle(look: Look, asset: Asset, cycle: Cycle) -> Iterator[Gate]:
    yield _asset_gate("live cycle", True, f"cycle {cycle.id} is live")
    yield _asset_gate("status", cycle.status is CycleStatus.WATCHING, _status(look, asset, cycle))
    flying = [order for order in look.orders if order.is_live]
    if not flying:
        yield _asset_gate("order in flight", True, "no order of it is in flight")
    for order in flying:
        since = formatting.span(look.now - order.created_at)
        words = f"{status_rows.in_words(order)} is in flight since {since}, filled {plain(order.filled_qty)}"
        yield _asset_gate("order in flight", False, words)


def _status(look: Look, asset: Asset, cycle: Cycle) -> str:
    if cycle.status is not CycleStatus.COOLDOWN:
        return f"its status is {cycle.status}"
    ends, early = strategy.cooldown_ends_at(asset, cycle), strategy.early_restart_price(asset)
    if ends is None or ends <= look.now:
        return "its cooldown is over and ends at the next quote"
    words = f"it rests until {ends:%Y-%m-%d %H:%M:%S} UTC ({formatting.span(ends - look.now)})"
    if early is None:
        return words
    ask = None if look.quote is None else look.quote.ask
    return f"{words}, or until the ask is at most {formatting.price(early)}{_from_here(ask, early)}"


def _from_here(price: Decimal | None, target: Decimal) -> str:
    """How far it is, for the end of a clause."""
    percent = status_rows.distance(price, target)
    return "" if percent is None else f", {percent:+.2f} % from {formatting.price(price)}"
