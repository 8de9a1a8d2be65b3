"""From what is wrong now and what was known before to what is written down and mailed. Pure.

One mail when an incident begins, reminders, one when it is over. An incident that comes back soon is the
same one, and its further mails keep a distance that grows with their number (F67).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dca.core.operations import Finding, Incident

REMINDERS = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
"""After the incident began."""
SAME_AGAIN = timedelta(minutes=10)
"""What comes back within this time is the same incident; also the least distance of mails about one that
comes and goes, times the number of its mails."""
OVER = "over: "
"""The mail that says that `name` is over is named OVER + name."""
LONGEST_NAME = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An incident that is open or ended lately. `told_at`: its last mail that said that it is so;
    `told_over_at`: the last that said that it is over."""

    incident: Incident
    told_at: datetime | None = None
    told_over_at: datetime | None = None

    @property
    def believed_open(self) -> bool:
        """What a reader of the mails thinks."""
        if self.told_at is None:
            return False
        return self.told_over_at is None or self.told_at > self.told_over_at

    @property
    def last_told_at(self) -> datetime | None:
        return max(filter(None, (self.told_at, self.told_over_at)), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A mail to be queued."""

    name: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """`begun` are new rows; `changed` are rows to be written (also without news: seen_at moved on)."""

    begun: tuple[Incident, ...]
    changed: tuple[Incident, ...]
    mails: tuple[Draft, ...]
    ended: tuple[Incident, ...] = ()
    """Those of `changed` that were open until now."""


NOTHING_WORKS = ("database down", "exchange down", "keys refused", "start refused")
ECHOES = {
    "kill switch": ("main app left down",),
    "exchange down": ("keys refused",),
    "caretaker overdue": NOTHING_WORKS,
}
"""What only follows from something else is told with that, in one mail: what the watchdog does about a
main_app that it leaves down; runs that fail for the same reason. By name, or its first words."""


def without_echoes(findings: Sequence[Finding], known: Sequence[Known]) -> list[Finding]:
    """The findings without those that only follow from another one, unless they were there before it."""
    open_before = {each.incident.name for each in known if each.incident.ended_at is None}
    names = open_before | {finding.name for finding in findings}
    return [
        finding for finding in findings if finding.name in open_before or not _echoes(finding.name, names)
    ]


def _echoes(name: str, names: Collection[str]) -> bool:
    return any(
        is_judged(name, [echo]) and any(each in names for each in causes) for echo, causes in ECHOES.items()
    )


def is_judged(name: str, judged: Sequence[str]) -> bool:
    """Whether a look would have found this incident; `judged` has names or their first words."""
    return any(name == each or name.startswith(f"{each} ") for each in judged)


def decide(
    known: Sequence[Known],
    findings: Sequence[Finding],
    judged: Sequence[str],
    now: datetime,
    *,
    mails: bool = True,
) -> Changes:
    """What to write down and to mail.

    What is found is judged. An incident that was not judged is left alone: it neither ends nor is it
    reminded of. Without `mails` nothing counts as told, and what lasts is told once mail is on.
    """
    found = {finding.name[:LONGEST_NAME]: finding for finding in findings}
    begun: list[Incident] = []
    changed: list[Incident] = []
    ended: list[Incident] = []
    drafts: list[Draft] = []
    latest = _latest(known)
    for name, finding in found.items():
        before = latest.get(name)
        if before is None or _is_past(before.incident, now):
            before = Known(incident=_new(name, finding, now))
        told, draft = _still(_seen(before, finding, now), now)
        if draft is not None and mails:
            drafts.append(draft)
        incident = told if mails else replace(told, mails=before.incident.mails)
        (begun if incident.id == 0 and before.incident.seen_at == now else changed).append(incident)
    for name, each in latest.items():
        if name in found or not is_judged(name, judged):
            continue
        over = replace(each.incident, ended_at=each.incident.ended_at or now)
        if each.incident.ended_at is None:
            changed.append(over)
            ended.append(over)
        if mails and _is_over_to_be_told(each, now):
            drafts.append(_recovered(over))
    return Changes(begun=tuple(begun), changed=tuple(changed), ended=tuple(ended), mails=tuple(drafts))


def _latest(known: Sequence[Known]) -> Mapping[str, Known]:
    """The newest of each name."""
    return {each.incident.name: each for each in sorted(known, key=lambda each: each.incident.began_at)}


def _is_past(incident: Incident, now: datetime) -> bool:
    return incident.ended_at is not None and now - incident.ended_at > SAME_AGAIN


def _new(name: str, finding: Finding, now: datetime) -> Incident:
    return Incident(
        id=0,
        name=name,
        kind=finding.kind,
        subject=finding.subject,
        evidence=finding.evidence,
        began_at=now,
        seen_at=now,
    )


def _seen(before: Known, finding: Finding, now: datetime) -> Known:
    incident = replace(
        before.incident, subject=finding.subject, evidence=finding.evidence, seen_at=now, ended_at=None
    )
    return replace(before, incident=incident)


def _still(known: Known, now: datetime) -> tuple[Incident, Draft | None]:
    """The row of an incident that is so now, and the mail about it, if one is due."""
    incident = known.incident
    if incident.mails == 0 or known.last_told_at is None:
        word = ""
    elif not known.believed_open:
        if now - known.last_told_at < _distance(incident):
            return incident, None
        word = "again: "
    elif _reminder_due(known, now):
        word = "still: "
    else:
        return incident, None
    body = "\n".join(_body(incident, now, lasting=word != ""))
    draft = Draft(name=incident.name, subject=word + incident.subject, body=body)
    return replace(incident, mails=incident.mails + 1), draft


def _reminder_due(known: Known, now: datetime) -> bool:
    assert known.told_at is not None
    if now - known.told_at < SAME_AGAIN:
        return False  # it comes and goes, and was told of just now
    times = [known.incident.began_at + after for after in REMINDERS]
    return any(known.told_at < at <= now for at in times)


def _distance(incident: Incident) -> timedelta:
    return SAME_AGAIN * max(1, incident.mails)


def _is_over_to_be_told(known: Known, now: datetime) -> bool:
    """Once per mail that said that it is so; at once the first time, with a distance if it comes and goes."""
    if not known.believed_open or known.told_at is None:
        return False
    return known.told_over_at is None or now - known.told_at >= _distance(known.incident)


def _recovered(incident: Incident) -> Draft:
    assert incident.ended_at is not None
    lines = [
        f"Over: {incident.subject}",
        "",
        f"It began at {utc(incident.began_at)}.",
        f"It was seen last at {utc(incident.seen_at)}, and no more at {utc(incident.ended_at)}.",
        "There is nothing to do.",
        "",
        "What it was:",
        incident.evidence,
    ]
    return Draft(name=OVER + incident.name, subject=f"recovered: {incident.subject}", body="\n".join(lines))


def _body(incident: Incident, now: datetime, *, lasting: bool) -> Iterator[str]:
    yield incident.evidence
    yield ""
    yield f"It began at {utc(incident.began_at)}."
    if lasting:
        yield f"It was so at {utc(now)}, {_hours(now - incident.began_at)} later."
    yield "A mail follows when it is over. ./bot status shows everything that is wrong now."


def utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _hours(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
