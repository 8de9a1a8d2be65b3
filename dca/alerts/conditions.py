"""What is wrong now, from one look at tables, heartbeat and disk. Pure.

What could not be looked at is neither wrong nor right: `judged` says what the findings cover.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dca.alerts import heartbeat_conditions, start_conditions
from dca.alerts.incidents import utc
from dca.core import order_limits
from dca.core.model import Asset, Control, Cycle, Mode, Order, OrderState, plain
from dca.core.operations import Finding, IncidentKind, JobRun, Mail
from dca.runtime.heartbeat import Beat, Hurdle
from dca.runtime.maintenance import Maintenance

UNKNOWN_AFTER = timedelta(seconds=60)
AGAIN_AFTER = timedelta(minutes=10)
"""What was refused is tried again at once when its pause is over, if it is still wanted."""
LATE_AFTER = timedelta(minutes=15)
"""An order that neither fills nor ends for so long is worth a look (F89)."""
BEAT_LIMIT = timedelta(seconds=60)
PERIODS = {
    "order_manager": timedelta(minutes=1),
    "cooldown_manager": timedelta(minutes=1),
    "consistency_checker": timedelta(minutes=5),
    "watchdog": timedelta(minutes=5),
}
"""How often each caretaker runs, at the least."""
BY_WATCHDOG = "watchdog: "
"""How the reason of a kill switch that the watchdog turned begins."""
MAIL_LIMIT = timedelta(minutes=10)
LEAST_OVERDUE = timedelta(minutes=10)
LONGEST_OVERDUE = timedelta(minutes=15)
MEGABYTE = 1024 * 1024
LEAST_FREE = 500 * MEGABYTE
LEAST_FREE_SHARE, ENOUGH_FREE = 0.05, 5 * 1024 * MEGABYTE
"""A twentieth is little on a small disk only: with ENOUGH_FREE bytes left no disk counts as full."""

WAITING_STATUSES = frozenset(
    {
        *("pending_new", "pending_cancel", "pending_replace", "held", "done_for_day", "stopped"),
        *("suspended", "calculated", "accepted_for_bidding"),
    }
)
"""Alpaca's statuses in which an order waits for the exchange itself."""
DATABASE_TROUBLES = frozenset({"worker DatabaseUnavailable", "loop refresh"})
"""Names as main_app's heartbeat has them."""

MONEY_NAMES: tuple[str, ...] = ("break", "crash", "gone", "outcome unknown", "refused", "late order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What the database said. `run_starts`: of all jobs, during the last 2 * LONGEST_OVERDUE."""

    control: Control
    assets: Sequence[Asset]
    cycles: Sequence[Cycle]
    """The live ones."""
    orders: Sequence[Order]
    """Those that may still fill."""
    good_runs: dict[str, JobRun]
    run_starts: Sequence[datetime]
    errors: Sequence[Cycle] = ()
    """Cycles that ended as error within a day."""
    locked: Mapping[int, Sequence[Order]] = field(default_factory=dict)
    """The live cycles' orders of locked assets, by asset."""
    unsent: Sequence[Mail] = ()
    """Mails that wait; none where mail is off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Bytes of the file system that a folder is on."""

    folder: str
    free: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """`books` is None when the database did not answer; `database_trouble` has its words then, or `refusal`
    why it must not be used as it is. `disks` is None when they could not be asked."""

    now: datetime
    books: Books | None
    database_trouble: str | None = None
    refusal: str | None = None
    beat: Beat | None = None
    maintenance: Maintenance | None = None
    disks: Sequence[Disk] | None = None


def findings(look: Look) -> list[Finding]:
    """Everything that is wrong, as far as it could be looked at."""
    found = list(_database(look))
    if look.books is not None:
        found += _money(look.books, look.now)
        found += _kill_switch(look.books.control)
        found += _mail(look.books, look.now)
        if look.maintenance is None:
            found += _overdue(look.books, look.now)
    speaks = _beat_speaks(look)
    if look.beat is not None and speaks:
        found += heartbeat_conditions.findings(
            look.beat,
            look.now,
            has_cycles=look.books is None or bool(look.books.cycles),
        )
    found += start_conditions.findings(look.beat if speaks else None, look.refusal)
    if look.disks is not None:
        found += _disks(look.disks)
    return found


def judged(look: Look) -> tuple[str, ...]:
    """Names, or first words of names, whose absence from the findings means that they are over."""
    names: list[str] = ["database down"]
    if look.books is not None:
        names += [*MONEY_NAMES, "kill switch", "mail stuck"]
        if look.maintenance is None:
            names.append("caretaker overdue")
    if look.beat is not None and _beat_speaks(look):
        names += [*heartbeat_conditions.judged(look.beat), start_conditions.START_REFUSED]
    if look.disks is not None:
        names.append("disk full")
    return tuple(names)


# ---- money -------------------------------------------------------------------------------------------------


def _money(books: Books, now: datetime) -> Iterator[Finding]:
    cycles = {cycle.asset_id: cycle for cycle in books.cycles}
    for asset in books.assets:
        cycle = cycles.get(asset.id)
        if asset.lock_reason is not None:
            yield _locked(asset, cycle, books.locked.get(asset.id, ()))
        if cycle is not None:
            yield from _refused(asset, cycle, _pauses(asset, cycle, books.control.mode, now))
    symbols = {asset.id: asset.asset_symbol for asset in books.assets}
    for cycle in (each for each in books.errors if each.bought_qty > 0):  # a retired one has lost nothing
        yield _gone(symbols.get(cycle.asset_id, "?"), cycle)
    for order in books.orders:
        if order.state is OrderState.SENT and now - order.created_at > UNKNOWN_AFTER:
            yield _unknown(order)
        elif (since := _waits_since(order)) is not None and now - since > LATE_AFTER:
            yield _late(order, since)


def _locked(asset: Asset, cycle: Cycle | None, orders: Sequence[Order]) -> Finding:
    from dca.alerts import lock_details  # brings the rules, by which a lock is told: most looks find none

    return lock_details.finding(asset, cycle, orders)


def _gone(symbol: str, cycle: Cycle) -> Finding:
    lines = [
        f"Cycle {cycle.id} of {symbol} ended as error: {cycle.problem}.",
        f"It had bought {plain(cycle.bought_qty)} for {plain(cycle.bought_cost)} dollars.",
        "The next cycle has begun in cooldown, and trades on by itself. This is told for a day.",
        f"If the coins are there after all: ./bot adopt {symbol}, at {plain(cycle.average_purchase_price)}",
    ]
    return _money_finding(f"gone {symbol} {cycle.id}", f"{symbol}: a cycle ended as error", lines)


def _pauses(asset: Asset, cycle: Cycle, mode: Mode, now: datetime) -> list[tuple[str, datetime]]:
    """The sides that wait after a refusal and are still wanted: what, and until when. One that is not tried
    again after its pause is not wanted any more: the price has gone, the asset was disabled, it was sold."""
    may_buy = asset.is_enabled and mode is Mode.RUN and cycle.exit_requested_at is None
    may_sell = cycle.quantity > 0 and mode is not Mode.HALT
    sides = (("buy", cycle.next_buy_at, may_buy), ("sell", cycle.next_sell_at, may_sell))
    return [
        (what, at)
        for what, at, is_wanted in sides
        if at is not None and is_wanted and now - at <= AGAIN_AFTER
    ]


def _refused(asset: Asset, cycle: Cycle, pauses: Sequence[tuple[str, datetime]]) -> Iterator[Finding]:
    symbol = asset.asset_symbol
    if not (pauses and cycle.refusals > 0 and cycle.problem):
        return
    lines = [
        f"An order of {symbol} was refused or held back, {cycle.refusals} times in a row: {cycle.problem}.",
        f"Cycle {cycle.id} holds {plain(cycle.quantity)}.",
    ]
    for what, at in pauses:
        lines.append(f"The bot waits, and tries the next {what} at {utc(at)} at the earliest.")
    lines.append(f"To see what is missing: ./bot why {symbol}")
    subject = f"{symbol}: an order is refused or held back"
    yield _money_finding(f"refused {symbol}", subject, lines, f"{subject}: {cycle.problem}")


def _unknown(order: Order) -> Finding:
    lines = [
        f"{_order(order)} was sent at {utc(order.last_sent_at)}, and whether it arrived is not known.",
        "The bot keeps asking for it by its id, and places no other order of this asset meanwhile.",
        f"To see how far it is: ./bot why {order.symbol}",
    ]
    subject = f"{order.symbol}: the outcome of an order is not known"
    return _money_finding(f"outcome unknown {order.symbol}", subject, lines)


def _waits_since(order: Order) -> datetime | None:
    """Since when the exchange owes an order its next status; None if it owes nothing."""
    if order.state is OrderState.CANCEL_REQUESTED:
        return order.cancel_requested_at or order.last_sent_at
    return order.last_sent_at if order.exchange_status in WAITING_STATUSES else None


def _late(order: Order, since: datetime) -> Finding:
    lines = [
        f"{_order(order)} waits for the exchange since {utc(since)}:"
        f" its status there is {order.exchange_status or 'not known'}, ours {order.state.value};"
        f" {plain(order.filled_qty)} of {plain(order.qty)} is filled.",
        "The bot takes it for open, and places no other order of this asset meanwhile.",
        f"To see it: ./bot why {order.symbol}, and the order's page at Alpaca.",
    ]
    return _money_finding(f"late order {order.symbol}", f"{order.symbol}: an order does not end", lines)


def _order(order: Order) -> str:
    price = "at market" if order.limit_price is None else f"at {plain(order.limit_price)}"
    what = f"{order.side.value} {plain(order.qty)} {order.symbol} {price}"
    return f"Order {order.client_order_id} ({order.purpose.value}: {what})"


# ---- health ------------------------------------------------------------------------------------------------


def _database(look: Look) -> Iterator[Finding]:
    beat = look.beat
    if look.books is None and look.refusal is None:
        lines = [
            f"The database does not answer: {look.database_trouble or 'no reason given'}.",
            "The bot places no order without its database. Open orders stay open at the exchange, and are",
            "settled when the database is back. Nothing is restarted for this.",
            "To do: see whether the server runs, and ./bot doctor",
        ]
    elif beat is not None and _beat_speaks(look) and _is_database(beat):
        lines = [
            f"main_app cannot use the database ({beat.waiting_why or ', '.join(beat.troubles)}),",
            "while this look could. main_app keeps trying, and reads .env anew meanwhile.",
            "To do: ./bot doctor, and grep WARN logs/main_app.log",
        ]
    else:
        return
    yield _health_finding("database down", "The database does not answer", lines)


def _is_database(beat: Beat) -> bool:
    return beat.waiting_for == Hurdle.DATABASE or bool(DATABASE_TROUBLES & {*beat.troubles})


def is_turned_by_the_bot(control: Control) -> bool:
    """Whether the kill switch is on, and no person turned it."""
    reason = control.mode_reason or ""
    return control.mode is not Mode.RUN and reason.startswith((order_limits.NAME, BY_WATCHDOG))


def _kill_switch(control: Control) -> Iterator[Finding]:
    if control.mode is Mode.RUN:
        return
    effect = "nothing is bought; what is held is still sold"
    if control.mode is Mode.HALT:
        effect = "no order at all is placed, neither buy nor sell"
    lines = [
        f"The mode is {control.mode.value}: {effect}.",
        f"Who set it, and why: {control.mode_reason or 'not noted'}.",
        "It does not end by itself. To trade again: ./bot resume",
    ]
    subject = f"Trading is limited: {control.mode.value}"
    if (control.mode_reason or "").startswith(order_limits.NAME):
        subject = "Too many orders: buys are off"
        lines += [
            "The bot turned it by itself: several assets wanted, at once, what no strategy wants.",
            "First see ./bot orders. If each was right: ./bot resume counts anew; .env has the limits.",
        ]
    yield _health_finding("kill switch", subject, lines)


def _mail(books: Books, now: datetime) -> Iterator[Finding]:
    """Mail that the server did not take. What waits for the budget was not tried."""
    stuck = [mail for mail in books.unsent if mail.tries > 0 and now - mail.created_at > MAIL_LIMIT]
    if not stuck:
        return
    lines = [
        f"{len(stuck)} mails were not taken by the server, the oldest since {utc(stuck[0].created_at)}.",
        f"Its last answer: {stuck[-1].last_error or 'none'}.",
        "They wait, and are tried again with every review.",
        "To do: ./bot test-email says how far it comes",
    ]
    brief = (
        f"mail is not sent since {stuck[0].created_at:%m-%d %H:%M} UTC: {stuck[-1].last_error or 'no reason'}"
    )
    yield _health_finding("mail stuck", "Mail is not sent", lines, brief)


def _overdue(books: Books, now: datetime) -> Iterator[Finding]:
    """A job is late only if others ran when it should have: a machine that was off is no fault of it."""
    for job in PERIODS:
        limit = overdue_after(job)
        last = books.good_runs.get(job)
        last_at = None if last is None else last.ended_at or last.started_at
        others_ran = any(now - 2 * limit <= at <= now - limit for at in books.run_starts)
        if others_ran and (last_at is None or now - last_at > limit):
            yield _late_job(job, last_at)


def missed(good_runs: dict[str, JobRun], watched_since: datetime, now: datetime) -> dict[str, Finding]:
    """The caretakers without a good run for too long, by name, as seen by somebody who has been up since
    `watched_since`: when all of them stand still there are no others to compare with (F64)."""
    found = {}
    for job in PERIODS:
        last = good_runs.get(job)
        last_at = None if last is None else last.ended_at or last.started_at
        limit = overdue_after(job)
        if now - watched_since > limit and (last_at is None or now - last_at > limit):
            found[job] = _late_job(job, last_at)
    return found


def overdue_after(job: str) -> timedelta:
    """How old a caretaker's last good run may be."""
    return max(3 * PERIODS[job], LEAST_OVERDUE)


def _late_job(job: str, last_at: datetime | None) -> Finding:
    said = "It never had a good run" if last_at is None else f"Its last good run ended at {utc(last_at)}"
    lines = [
        f"{said}; it should run every {minutes(PERIODS[job])}: {minutes(overdue_after(job))} are the limit.",
        "The others go on without it.",
        f"To do: tail logs/{job}.log, crontab -l, and ./bot doctor",
    ]
    return _health_finding(f"caretaker overdue {job}", f"{job} does not run", lines)


def _beat_speaks(look: Look) -> bool:
    """Whether main_app's heartbeat says how things are now. A stale one is the watchdog's to tell."""
    beat = look.beat
    return beat is not None and look.maintenance is None and look.now - beat.beat_at <= BEAT_LIMIT


def _disks(disks: Sequence[Disk]) -> Iterator[Finding]:
    full = [disk for disk in disks if is_full(disk)]
    if not full:
        return
    lines = [
        f"{disk.folder}: {disk.free // MEGABYTE} MB of {disk.total // MEGABYTE} MB are free." for disk in full
    ]
    lines += [
        "Trading goes on, but logs may have gaps, and a database on this disk will stop.",
        "To do: make room. The bot's own logs stay below 200 MB.",
    ]
    yield _health_finding("disk full", "The disk is nearly full", lines)


def is_full(disk: Disk) -> bool:
    small_share = disk.free < disk.total * LEAST_FREE_SHARE and disk.free < ENOUGH_FREE
    return disk.free < LEAST_FREE or small_share


# ---- words -------------------------------------------------------------------------------------------------


def minutes(span: timedelta) -> str:
    count = round(span.total_seconds() / 60)
    return "minute" if count == 1 else f"{count} minutes"


def _money_finding(name: str, subject: str, lines: Sequence[str], brief: str = "") -> Finding:
    evidence = "\n".join(lines)
    return Finding(name=name, kind=IncidentKind.MONEY, subject=subject, evidence=evidence, brief=brief)


def _health_finding(name: str, subject: str, lines: Sequence[str], brief: str = "") -> Finding:
    evidence = "\n".join(lines)
    return Finding(name=name, kind=IncidentKind.HEALTH, subject=subject, evidence=evidence, brief=brief)
