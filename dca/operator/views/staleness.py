"""What is stale or wrong in what was looked at, by the limits of the alerts (conditions.py). Pure."""

from dataclasses import dataclass
from datetime import datetime

from dca.alerts import conditions, heartbeat_conditions, start_conditions
from dca.alerts.conditions import BEAT_LIMIT, PERIODS, overdue_after
from dca.alerts.incidents import LONGEST_NAME
from dca.core.operations import Result
from dca.operator.setup import server_version
from dca.operator.views.snapshot import Books, Overview


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
    return any(each.name == "quote stream silent" for each in conditions.findings(look.as_reviewed))


def troubles(look: Overview) -> list[str]:
    """What is wrong: by the conditions that mail is sent for, and where nobody is there to send it.
    Empty when nothing needs anybody."""
    found = [] if look.maintenance is not None else [*_about_process(look), *_about_caretakers(look)]
    too_old = server_version.problem(look.books.server_version)
    found += [] if too_old is None else [f"the database server {too_old}"]
    wrong = [each for each in conditions.findings(look.as_reviewed) if not _is_told(each.name)]
    known = {incident.name: incident for incident in look.books.incidents}
    names = {each.name[:LONGEST_NAME] for each in wrong}
    found += [each.brief or each.subject for each in wrong]
    found += [
        f"open incident since {incident.began_at:%m-%d %H:%M} UTC: {incident.subject}"
        for name, incident in known.items()
        if name not in names
    ]
    return found


def _is_told(name: str) -> bool:
    """By what `caretakers` says, which needs no other to compare with."""
    return name.startswith("caretaker overdue")


def not_yet(look: Overview) -> list[str]:
    """What keeps all from being well where nothing is wrong."""
    found = []
    if look.maintenance is not None:
        found.append(f"maintenance until {look.maintenance.until:%m-%d %H:%M} UTC: nothing is looked after")
    if look.market.trouble is not None:
        found.append("the exchange does not answer here")
    beat = look.beat
    if beat is not None and look.is_running:
        found += [] if beat.quotes_connected or beat.pairs == 0 else ["the quote stream is not connected"]
        found += [] if beat.orders_connected else ["the order stream is not connected"]
        found += [] if beat.last_settle_at is not None else ["orders in flight are not settled yet"]
    if not any(asset.is_enabled for asset in look.books.assets):
        found.append("no asset is enabled, so nothing is bought")
    return found


def is_left_down(look: Overview) -> bool:
    """Whether the watchdog does not start main_app any more."""
    return any(incident.name == "main app left down" for incident in look.books.incidents)


def _why_down(look: Overview) -> str:
    if is_left_down(look):
        return "main_app is left down after too many deaths: see its log, then ./bot resume"
    return "main_app is not running: the watchdog starts it (is cron there? ./bot doctor)"


def about_main_app(look: Overview) -> list[str]:
    """Whether it is there, alive, and hears what it has to."""
    beat, process = look.beat, _about_process(look)
    if process or beat is None:
        return process
    found = [
        *heartbeat_conditions.findings(beat, look.now, has_cycles=bool(look.books.cycles)),
        *start_conditions.findings(beat, None),
    ]
    return [each.brief or each.subject for each in found]


def _about_process(look: Overview) -> list[str]:
    if not look.is_running:
        return [_why_down(look)]
    beat = look.beat
    if beat is None:
        return ["main_app is running, and there is no heartbeat of it yet"]
    if look.now - beat.beat_at > BEAT_LIMIT:
        seconds = (look.now - beat.beat_at).total_seconds()
        return [f"main_app's last beat is {seconds:.0f} s old: it hangs, and the watchdog restarts it"]
    return []


def _about_caretakers(look: Overview) -> list[str]:
    late = [each for each in caretakers(look.books, look.now) if each.is_overdue]
    if len(late) == len(PERIODS) and all(each.last_run_at is None for each in late):
        return [f"no caretaker has ever run: {look.cron_trouble or './bot install writes the crontab'}"]
    why = [look.cron_trouble] if late and look.cron_trouble is not None else []
    return why + [
        f"{each.name} is overdue: "
        + (
            "it has had no good run"
            if each.last_good_run_at is None
            else f"its last good run was at {each.last_good_run_at:%m-%d %H:%M} UTC"
        )
        for each in late
    ]
