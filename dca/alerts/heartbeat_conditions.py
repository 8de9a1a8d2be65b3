"""What main_app's heartbeat shows to be wrong. Pure; conditions.py asks, if the beat is of now."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from dca.alerts.incidents import utc
from dca.core import remedies
from dca.core.operations import Finding, IncidentKind
from dca.runtime.heartbeat import Beat, Delay, Hurdle

SETTLE_LIMIT = timedelta(seconds=60)
QUOTES_LIMIT = timedelta(seconds=120)
RECONNECT_LIMIT = timedelta(seconds=60)
DELAY_LIMIT = timedelta(minutes=2)
"""A level that is reached for longer, and not acted on, is an incident of its asset, whatever the cause."""

EXCHANGE_TROUBLES = frozenset(
    {"worker ExchangeUnavailable", "loop settle", "loop rules", "loop silence", "loop clock"}
)
START_TROUBLE = "start waiting"
PAIRS_TROUBLE = "stream no quotes"
"""Also of one pair, which it names then."""
LATE_TROUBLE, CLOCK_TROUBLE = "stream quotes late", "clock wrong"
"""Names as main_app's heartbeat has them."""

NAMES = ("exchange down", "delayed", "not traded", "clock wrong", "quotes late")
CONNECTED_NAMES = ("quote stream silent", "order stream silent", "pairs without quotes", "not settled")
"""Those that a start is given time for."""


def findings(beat: Beat, now: datetime, *, has_cycles: bool) -> list[Finding]:
    """Everything that is wrong, as far as the heartbeat shows it. Quotes are asked for where a cycle is."""
    found = [*_delays(beat), *_not_traded(beat), *_timing(beat), *_exchange(beat)]
    if START_TROUBLE not in beat.troubles and now - beat.started_at >= RECONNECT_LIMIT:
        if has_cycles and beat.pairs != 0:
            found += _quotes(beat, now)
        found += _other_streams(beat)
        if not any(each.name == "exchange down" for each in found):
            found += _settling(beat, now)
    return found


def judged(beat: Beat) -> tuple[str, ...]:
    """Names, or first words of names, whose absence from the findings means that they are over."""
    return NAMES if START_TROUBLE in beat.troubles else (*NAMES, *CONNECTED_NAMES)


def delayed(beat: Beat) -> list[Delay]:
    """What has been due for too long."""
    return [each for each in beat.delays if each.lasted_seconds > DELAY_LIMIT.total_seconds()]


def _delays(beat: Beat) -> Iterator[Finding]:
    for each in delayed(beat):
        lines = [
            f"{each.symbol}: {each.action} due since {utc(each.since)}: it can be done, and it is not.",
            f"What held it back last: {each.why}.",
            "main_app tries again with every quote.",
            f"To do: ./bot why {each.symbol}; grep {each.symbol} logs/main_app.log",
        ]
        subject = f"{each.symbol}: {each.action} overdue"
        brief = f"{subject}, due since {each.since:%m-%d %H:%M} UTC; held back last: {each.why}"
        yield _finding(IncidentKind.MONEY, f"delayed {each.symbol}", subject, lines, brief)


def _not_traded(beat: Beat) -> Iterator[Finding]:
    for symbol, why in beat.not_traded.items():
        steps = [*remedies.against_all(symbol, why), f"./bot disable {symbol}"]
        lines = [
            f"{symbol} is not traded: {why}.",
            "main_app reads the row again every two seconds, and what the exchange says of it every hour.",
            f"To do: {'; or '.join(steps)}",
        ]
        subject = f"{symbol} is not traded"
        yield _finding(IncidentKind.HEALTH, f"not traded {symbol}", subject, lines, f"{subject}: {why}")


def _settling(beat: Beat, now: datetime) -> Iterator[Finding]:
    settled = beat.last_settle_at
    if settled is not None and now - settled <= SETTLE_LIMIT:
        return
    lines = [
        f"Orders in flight were last settled {'never' if settled is None else f'at {utc(settled)}'}.",
        "main_app asks for them every five seconds, and places no order before all were settled.",
        "To do: grep WARN logs/main_app.log; ./bot doctor",
    ]
    brief = "orders in flight could not be settled for a minute: no order is placed before"
    yield _finding(IncidentKind.HEALTH, "not settled", "Orders in flight are not settled", lines, brief)


def _quotes(beat: Beat, now: datetime) -> Iterator[Finding]:
    heard_at = beat.last_quote_at
    silence = now - (heard_at or beat.started_at)
    limit = QUOTES_LIMIT if beat.quotes_connected else RECONNECT_LIMIT
    if silence > limit:
        brief = "the quote stream is silent: nothing is decided until it speaks"
        state = "connected, and brings nothing" if beat.quotes_connected else "not connected"
        last = "none since main_app started" if heard_at is None else f"at {utc(heard_at)}"
        lines = [
            f"main_app's quote stream is {state}; the last quote: {last}.",
            "Without quotes nothing is bought and nothing is sold. main_app keeps reconnecting by itself.",
            "To do: ./bot status; at https://status.alpaca.markets see whether it is Alpaca",
        ]
        yield _finding(IncidentKind.HEALTH, "quote stream silent", "No quotes arrive", lines, brief)


def _other_streams(beat: Beat) -> Iterator[Finding]:
    if not beat.orders_connected:
        brief = "the order stream is down: orders in flight are asked for every few seconds instead"
        lines = [
            "main_app's stream of order updates is not connected. It keeps reconnecting by itself,",
            "and asks for each open order meanwhile: fills are booked some seconds later, none is lost.",
            "To do: ./bot status; at https://status.alpaca.markets see whether it is Alpaca",
        ]
        yield _finding(IncidentKind.HEALTH, "order stream silent", "No order updates arrive", lines, brief)
    if missing := [trouble for trouble in beat.troubles if trouble.startswith(PAIRS_TROUBLE)]:
        lines = [
            f"The quotes of some pairs do not come (in main_app's heartbeat: {', '.join(missing)}):",
            "those are neither bought nor sold; the others trade on. main_app asks for them again with its",
            "next connection.",
            "To do: grep 'no quotes' logs/main_app.log names them; restart main_app to ask at once",
        ]
        yield _finding(IncidentKind.HEALTH, "pairs without quotes", "Some pairs get no quotes", lines)


def _timing(beat: Beat) -> Iterator[Finding]:
    lag = "-" if beat.quote_lag_seconds is None else f"{beat.quote_lag_seconds:.1f} s"
    if CLOCK_TROUBLE in beat.troubles:
        ahead = beat.clock_ahead_seconds or 0.0
        side = "ahead of" if ahead > 0 else "behind"
        lines = [
            f"This machine's clock is {abs(ahead):.0f} s {side} the exchange's. How old a quote is cannot be",
            f"told by it (they come {lag} after their time), and an old one decides nothing.",
            "main_app compares the clocks again every minute.",
            "To do: timedatectl set-ntp true, and timedatectl to see whether it took",
        ]
        yield _finding(IncidentKind.HEALTH, "clock wrong", "This machine's clock is wrong", lines)
    elif LATE_TROUBLE in beat.troubles:
        lines = [
            f"The quotes come {lag} after their time. What is older than MAX_QUOTE_AGE_SECONDS in .env",
            "decides nothing: no buy, no sale.",
            "main_app opens the stream anew if the exchange itself has newer ones.",
            "To do: see how busy machine and network are; https://status.alpaca.markets for Alpaca itself",
        ]
        yield _finding(IncidentKind.HEALTH, "quotes late", "Quotes come late", lines)


def _exchange(beat: Beat) -> Iterator[Finding]:
    if beat.waiting_for != Hurdle.EXCHANGE and not EXCHANGE_TROUBLES & {*beat.troubles}:
        return
    settled = "never yet" if beat.last_settle_at is None else f"at {utc(beat.last_settle_at)}"
    lines = [
        f"main_app gets no good answer from Alpaca ({beat.waiting_why or ', '.join(beat.troubles)}).",
        f"Orders were last settled {settled}.",
        "It asks again by itself, with pauses. Nothing is restarted for this, and nothing is taken for a no.",
        "To do: at https://status.alpaca.markets see whether it is Alpaca; else ./bot doctor",
    ]
    yield _finding(IncidentKind.HEALTH, "exchange down", "The exchange does not answer", lines)


def _finding(kind: IncidentKind, name: str, subject: str, lines: Sequence[str], brief: str = "") -> Finding:
    return Finding(name=name, kind=kind, subject=subject, evidence="\n".join(lines), brief=brief)
