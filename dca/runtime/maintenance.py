"""The file that says that the operator is at work: the watchdog and the caretakers stand down meanwhile.

A file beside the locks, not a row: maintenance may well be the database's.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """Begun by `who`, over by itself at `until` (aware UTC)."""

    until: datetime
    who: str
    why: str


def _path(state_dir: Path) -> Path:
    return state_dir / "maintenance.json"


def begin(state_dir: Path, maintenance: Maintenance) -> None:
    """Begin, or change how long it lasts."""
    content = {"until": maintenance.until.isoformat(), "who": maintenance.who, "why": maintenance.why}
    scratch = _path(state_dir).with_suffix(".tmp")
    scratch.write_text(json.dumps(content) + "\n", encoding="utf-8")
    scratch.replace(_path(state_dir))


def end(state_dir: Path) -> bool:
    """End it before its time; False if there was none."""
    try:
        _path(state_dir).unlink()
    except FileNotFoundError:
        return False
    return True


def current(state_dir: Path, now: datetime) -> Maintenance | None:
    """The maintenance that goes on; None if there is none, or its time is over, or the file cannot be
    understood: the bot must not stay down over a broken file."""
    try:
        raw = json.loads(_path(state_dir).read_text(encoding="utf-8"))
        found = Maintenance(
            until=datetime.fromisoformat(raw["until"]), who=str(raw["who"]), why=str(raw["why"])
        )
        return found if now < found.until else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
