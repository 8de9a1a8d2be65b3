"""What the reviews remember outside of the database, for the time that it is down: a small file.

A good review leaves a copy of what is known there; without the database the next ones go on from it, and
what they did is taken over into the tables when it is back.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dca.alerts.incidents import OVER, Changes, Known
from dca.core.operations import Incident, IncidentKind

UNWRITTEN_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A mail that went out and is not in the table yet."""

    name: str
    subject: str
    body: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """`known` has id 0 for incidents that the table does not have. `sent_at`: when letters went out during
    the last hour. `is_ahead`: there were reviews that the table knows nothing of."""

    known: tuple[Known, ...] = ()
    sent_at: tuple[datetime, ...] = ()
    unrecorded: tuple[Sent, ...] = ()
    digest_at: datetime | None = None
    """The last digest that went to the log, mail being off."""
    is_ahead: bool = False


def read(path: Path) -> Notebook:
    """An empty one if there is none, or none that can be understood: some mail is then sent twice."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Notebook(
            known=tuple(_known(each) for each in raw["known"]),
            sent_at=tuple(datetime.fromisoformat(at) for at in raw["sent_at"]),
            unrecorded=tuple(Sent(**{**each, "at": _time(each["at"])}) for each in raw["unrecorded"]),
            digest_at=_time(raw["digest_at"]),
            is_ahead=bool(raw["is_ahead"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Notebook()


def write(path: Path, notebook: Notebook) -> bool:
    """Whole or not at all; False if not at all, as on a full disk."""
    content = {
        "known": [_row(each) for each in notebook.known],
        "sent_at": [at.isoformat() for at in notebook.sent_at],
        "unrecorded": [_values(each) for each in notebook.unrecorded],
        "digest_at": _text(notebook.digest_at),
        "is_ahead": notebook.is_ahead,
    }
    scratch = path.with_suffix(".tmp")
    try:
        scratch.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        scratch.replace(path)
    except OSError:
        return False
    return True


def may_speak_unwritten(path: Path, now: datetime) -> bool:
    """Whether what cannot be written down may be mailed all the same: once an hour, which the file's time
    remembers, for that can be set on a full disk too."""
    try:
        if 0 <= now.timestamp() - path.stat().st_mtime < UNWRITTEN_EVERY.total_seconds():
            return False
        os.utime(path, (now.timestamp(), now.timestamp()))
    except OSError:
        return False  # no memory at all: rather silence than a mail with every review
    return True


def ahead(before: Notebook, changes: Changes, told: Mapping[str, Sent]) -> Notebook:
    """The notebook after a review without the table; `told` has the mails that went out, by their names.

    A mail that did not go out does not count, and so is due again.
    """
    known = {each.incident.name: each for each in before.known}
    for incident in (*changes.begun, *changes.changed):
        old = known.get(incident.name)
        if old is None or old.incident.began_at != incident.began_at:
            old = Known(incident=replace(incident, mails=0))
        mails = incident.mails if incident.name in told else old.incident.mails
        known[incident.name] = replace(old, incident=replace(incident, mails=mails))
    for name, sent in told.items():
        incident_name = name.removeprefix(OVER)
        old = known[incident_name]
        known[incident_name] = (
            replace(old, told_at=sent.at) if name == incident_name else replace(old, told_over_at=sent.at)
        )
    return replace(
        before,
        known=tuple(known.values()),
        sent_at=(*before.sent_at, *sorted({each.at for each in told.values()})),
        unrecorded=(*before.unrecorded, *told.values()),
        is_ahead=True,
    )


def _row(known: Known) -> dict[str, Any]:
    return {
        "incident": _values(known.incident),
        "told_at": _text(known.told_at),
        "told_over_at": _text(known.told_over_at),
    }


def _known(row: Mapping[str, Any]) -> Known:
    raw = row["incident"]
    times = {name: _time(raw[name]) for name in ("began_at", "seen_at", "ended_at")}
    incident = Incident(**{**raw, **times, "kind": IncidentKind(raw["kind"])})
    return Known(incident=incident, told_at=_time(row["told_at"]), told_over_at=_time(row["told_over_at"]))


def _values(value: Incident | Sent) -> dict[str, Any]:
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: _text(each) if isinstance(each, datetime) else each for name, each in found.items()}


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _time(text: str | None) -> Any:
    return None if text is None else datetime.fromisoformat(text)
