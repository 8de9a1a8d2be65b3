"""What is stale or wrong in what was looked at, by the limits of the alerts (health.py). Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dca import pulse
from dca.health import BEAT_LIMIT, PERIODS, overdue_after
from dca.operator.overview import Books, Overview
from dca.pulse import QUOTES_LIMIT
from dca.records import Result

SETTLE_LIMIT = timedelta(seconds=60)
START_LIMIT = timedelta(seconds=60)
"""So long a start may take until everything is connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caretaker:
    """The last run of a cron script that ended. `is_overdue`: its last good one is too long ago."""

    name: str
    last_run_at: datetime | None
    result: Result | None
    details: str | None
    last_good_run_at: datetime | None
    is_overdue: bool


def caretakers(books: Books, now: datetime) -> list[Caretaker]:
    """Each caretaker's last run; one that never ran is overdue once the others have had time to."""
    found = []
    for name in PERIODS:
        last, good = books.last_runs.get(name), books.good_runs.get(name)
        since = good.started_at if good is not None else books.first_run_at
        found.append(
            Caretaker(
                name=name,
                last_run_at=None if last is None else last.started_at,
                result=None if last is None else last.result,
                details=None if last is None else last.details,
                last_good_run_at=None if good is None else good.started_at,
                is_overdue=since is None or now - since > overdue_after(name),
            )
        )
    return found


def quotes_are_silent(look: Overview) -> bool:
    """Whether main_app should hear quotes and does not. Its start counts as having heard one."""
    beat = look.beat
    if beat is None or not look.books.cycles:
        return False
    heard = max(filter(None, (beat.last_quote_at, beat.started_at)))
    return not beat.quotes_connected or look.now - heard > QUOTES_LIMIT


def troubles(look: Overview) -> list[str]:
    """What is stale or wrong, each with what to do; empty when all is well."""
    found = [] if look.maintenance is not None else [*about_main_app(look), *_about_caretakers(look)]
    found += [
        f"{asset.asset_symbol} is locked: {asset.lock_reason}"
        for asset in look.books.assets
        if asset.lock_reason is not None
    ]
    found += [
        f"open incident since {incident.began_at:%m-%d %H:%M} UTC: {incident.subject}"
        for incident in look.books.incidents
    ]
    return found


def is_left_down(look: Overview) -> bool:
    """Whether the watchdog does not start main_app any more."""
    return any(incident.name == "main app left down" for incident in look.books.incidents)


def _why_down(look: Overview) -> str:
    if is_left_down(look):
        return "main_app is left down after too many deaths: see its log, then ./bot resume"
    return "main_app is not running: the watchdog starts it (is cron there? ./bot doctor)"


def about_main_app(look: Overview) -> list[str]:
    if not look.is_running:
        return [_why_down(look)]
    beat = look.beat
    if beat is None:
        return ["main_app is running, and there is no heartbeat of it yet"]
    if look.now - beat.beat_at > BEAT_LIMIT:
        seconds = (look.now - beat.beat_at).total_seconds()
        return [f"main_app's last beat is {seconds:.0f} s old: it hangs, and the watchdog restarts it"]
    if look.now - beat.started_at < START_LIMIT:
        return []
    found = []
    if quotes_are_silent(look):
        found.append("the quote stream is silent: nothing is decided until it speaks")
    found += [
        f"{each.symbol}: {each.action} due since {each.since:%m-%d %H:%M} UTC, held back last: {each.why}"
        for each in pulse.delayed(beat)
    ]
    if not beat.orders_connected:
        found.append("the order stream is down: orders in flight are asked for every few seconds instead")
    settled = beat.last_settle_at
    if settled is None or look.now - settled > SETTLE_LIMIT:
        found.append("orders in flight could not be settled for a minute: no order is placed before")
    return found


def _about_caretakers(look: Overview) -> list[str]:
    late = [each for each in caretakers(look.books, look.now) if each.is_overdue]
    if len(late) == len(PERIODS) and all(each.last_run_at is None for each in late):
        return ["no caretaker has ever run: ./bot install writes the crontab"]
    return [
        f"{each.name} is overdue: "
        + (
            "it has had no good run"
            if each.last_good_run_at is None
            else f"its last good run was at {each.last_good_run_at:%m-%d %H:%M} UTC"
        )
        for each in late
    ]
