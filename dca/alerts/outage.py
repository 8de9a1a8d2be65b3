"""The small file that remembers an outage of the database: since when, and when it was mailed."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

REPEAT_EVERY = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """`name` and `subject` of its incident; `mailed_at`: its last mail that the server took."""

    name: str
    subject: str
    began_at: datetime
    mailed_at: datetime | None = None

    def is_mail_due(self, now: datetime) -> bool:
        """Also after a clock that was set back."""
        return self.mailed_at is None or not timedelta(0) <= now - self.mailed_at < REPEAT_EVERY


def read(path: Path) -> Outage | None:
    """None if there is none, or none that can be understood: a mail is then sent twice."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        at = raw["mailed_at"]
        return Outage(
            name=str(raw["name"]),
            subject=str(raw["subject"]),
            began_at=datetime.fromisoformat(raw["began_at"]),
            mailed_at=None if at is None else datetime.fromisoformat(at),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(path: Path, outage: Outage) -> bool:
    """Whole or not at all; False if not at all, as on a full disk."""
    return write_text(path, json.dumps(asdict(outage), default=datetime.isoformat))


def write_text(path: Path, text: str) -> bool:
    """Replace a file whole; False if that cannot be done."""
    scratch = path.with_suffix(".tmp")
    try:
        scratch.write_text(text + "\n", encoding="utf-8")
        scratch.replace(path)
    except OSError:
        return False
    return True


def read_time(path: Path) -> datetime | None:
    """Of a file that holds one time."""
    try:
        return datetime.fromisoformat(path.read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return None
