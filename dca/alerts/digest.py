"""The daily digest and the mail about a completed cycle: numbers in, a letter out. Pure.

One fact per line and no columns: mail programs show text in proportional letters.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from dca.alerts.incidents import Draft, utc
from dca.core.model import HUNDRED, Asset, Control, Cycle, Mode, cents, plain
from dca.core.operations import Incident, JobHealth
from dca.core.valuation import Valuation, value

if TYPE_CHECKING:
    from dca.core.report_rows import CycleReport

NAME = "digest"
MOST_LINES = 100
"""Of each part, for the rare installation with more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What the digest tells of. `profits`: what it is of, completed cycles, dollars."""

    at: datetime
    control: Control
    profits: Sequence[tuple[str, int, Decimal]]
    assets: Sequence[Asset]
    cycles: Sequence[Cycle]
    """The live ones."""
    incidents: Sequence[Incident]
    jobs: Sequence[JobHealth]
    mails_waiting: int
    bids: Mapping[str, Decimal]
    """By pair; what is missing is not known."""


def is_due(now: datetime, hour_utc: int, last_at: datetime | None) -> bool:
    """Once a day, at the first look after the hour. A last one from the future (the clock was set back)
    does not count."""
    due_at = now.replace(hour=hour_utc, minute=0, second=0, microsecond=0)
    if now < due_at:
        due_at -= timedelta(days=1)
    return last_at is None or last_at < due_at or last_at > now


def letter(day: Day) -> Draft:
    """The digest of the last 24 hours."""
    label, cycles, profit = day.profits[0]
    opened = [incident for incident in day.incidents if incident.ended_at is None]
    subject = f"digest {day.at:%Y-%m-%d}: {signed_dollars(profit)} {label}, {count(cycles, 'cycle')}"
    if opened:
        subject += f", {count(len(opened), 'open incident')}"
    parts = [_profits(day), _cycles(day), _drawdown(day), _incidents(day), _jobs(day), _rest(day)]
    body = "\n\n".join("\n".join(part) for part in parts)
    return Draft(name=NAME, subject=subject, body=body)


def summary(day: Day) -> str:
    """The digest in one line, for the log of an installation without mail."""
    profits = ", ".join(f"{label} {signed_dollars(profit)}" for label, _, profit in day.profits)
    return f"net profit {profits}; {_valued(day)}; {count(len(day.incidents), 'incident')} in 24 h"


def cycle_closed(report: "CycleReport") -> Draft:
    """A completed cycle with its numbers."""
    symbol, lasted = report.asset_symbol, report.lasted(report.completed_at or report.created_at)
    percent = report.profit_percent
    share = "" if percent is None else f" ({percent:+.2f} % of what was paid)"
    lines = [
        f"Cycle {report.id} of {symbol} is complete.",
        "",
        f"Bought: {plain(report.bought_qty)} for {dollars(report.bought_cost)},"
        f" at an average of {plain(report.average_purchase_price)}",
        f"Sold: {plain(report.sold_qty)} for {dollars(report.sold_proceeds)}",
        f"Fees: {dollars(report.fees_usd)}",
        f"Net profit: {signed_dollars(report.net_profit)}{share}",
        f"Safety orders: {report.safety_orders}",
        f"Duration: {'-' if lasted is None else span(lasted)}",
        f"Completed at: {'-' if report.completed_at is None else utc(report.completed_at)}",
        "",
        "The next cycle has begun in cooldown. All of them: ./bot cycles",
    ]
    subject = f"{symbol}: cycle complete, {signed_dollars(report.net_profit)}"
    return Draft(name=f"cycle {report.id}", subject=subject, body="\n".join(lines))


# ---- the digest's parts ------------------------------------------------------------------------------------


def _profits(day: Day) -> Iterator[str]:
    yield "Net profit after fees:"
    for label, cycles, profit in day.profits:
        yield f"- {label}: {signed_dollars(profit)} from {count(cycles, 'completed cycle')}"


def _held(day: Day) -> list[tuple[str, Cycle]]:
    symbols = {asset.id: asset.asset_symbol for asset in day.assets}
    return [(symbols.get(each.asset_id, "?"), each) for each in day.cycles if each.quantity > 0]


def _valued(day: Day) -> Valuation:
    return value(_held(day), day.bids)


def _cycles(day: Day) -> Iterator[str]:
    held = _held(day)
    yield f"Open cycles: {len(day.cycles)}; {_valued(day)}"
    for symbol, cycle in held[:MOST_LINES]:
        yield (
            f"- {symbol}: {plain(cycle.quantity)} at an average of {plain(cycle.average_purchase_price)},"
            f" cost {dollars(cycle.bought_cost)}, safety orders {cycle.safety_orders}"
        )
    for symbol, reason in [(asset.asset_symbol, asset.lock_reason) for asset in day.assets]:
        if reason is not None:
            yield f"- {symbol} is locked: {reason}"


def drawdown_percent(cycle: Cycle) -> Decimal:
    """How far the last fill of a cycle is below its average price, in percent; 0 if it is not."""
    last, average = cycle.last_order_fill_price, cycle.average_purchase_price
    if last is None or average <= 0 or cycle.quantity <= 0:
        return Decimal(0)
    return max(Decimal(0), (average - last) * HUNDRED / average)


def _drawdown(day: Day) -> Iterator[str]:
    deepest = max(_held(day), key=lambda each: drawdown_percent(each[1]), default=None)
    if deepest is None or drawdown_percent(deepest[1]) == 0:
        yield "Worst drawdown: no open cycle has bought below its average."
    else:
        percent = drawdown_percent(deepest[1])
        yield (f"Worst drawdown: {deepest[0]}, whose last buy was {percent:.2f} % below its average price.")
    yield "That is from fills alone; today's prices: ./bot status"


def _incidents(day: Day) -> Iterator[str]:
    yield f"Incidents of the last 24 hours: {len(day.incidents) or 'none'}"
    for incident in day.incidents[:MOST_LINES]:
        end = "still open" if incident.ended_at is None else f"over at {utc(incident.ended_at)}"
        yield f"- {incident.subject} (began at {utc(incident.began_at)}, {end})"


def _jobs(day: Day) -> Iterator[str]:
    yield f"Jobs in the last 24 hours:{'' if day.jobs else ' none ran'}"
    for job in day.jobs[:MOST_LINES]:
        killed = f", {job.killed} without an end" if job.killed > 1 else ""
        runs = f"{count(job.runs, 'run')}, {job.failed} failed{killed}"
        yield f"- {job.job}: {runs}, last at {utc(job.last_run_at)}"


def _rest(day: Day) -> Iterator[str]:
    if day.control.mode is not Mode.RUN:
        yield f"The mode is {day.control.mode.value} ({day.control.mode_reason or 'no reason noted'})."
    yield f"Mails that wait to be sent: {day.mails_waiting}"
    yield "This mail comes every day. If it does not come, something is wrong: ./bot status"


# ---- words -------------------------------------------------------------------------------------------------


def dollars(amount: Decimal) -> str:
    rounded = cents(amount)
    return f"{'-' if rounded < 0 else ''}${abs(rounded):,.2f}"


def signed_dollars(amount: Decimal) -> str:
    return f"+{dollars(amount)}" if cents(amount) > 0 else dollars(amount)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def span(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
