"""The file in which main_app reports, asset by asset, what it waits for and what holds it back.

./bot why prints it instead of deriving it again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from dca.core.model import Quote
from dca.core.strategy import NOTHING, Levels
from dca.runtime.heartbeat import write_whole

FILE_NAME = "main_app.assets.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetReport:
    """What main_app knows of one asset. `problem`: why it is not traded. `quote`: the stream's newest.
    `quote_problem`: why that cannot decide anything now. `due`: what it is a reason for (sale, buy or end of
    cooldown) and has not led to since `due_since`, because of `held_back`. `resting_until`: its quotes are
    left alone until then.
    """

    symbol: str
    problem: str | None = None
    levels: Levels = NOTHING
    quote: Quote | None = None
    quote_problem: str | None = None
    due: str | None = None
    due_since: datetime | None = None
    held_back: str | None = None
    resting_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """All assets that main_app has read, as of `written_at`."""

    written_at: datetime
    assets: Mapping[str, AssetReport]


def write(folder: Path, now: datetime, reports: Sequence[AssetReport]) -> None:
    """Replace the file. On a full disk the old one stays, and its age tells."""
    content = {"written_at": now, "assets": [asdict(report) for report in reports]}
    write_whole(folder / FILE_NAME, json.dumps(content, default=_text))


def read(folder: Path) -> Reports | None:
    """The last reports; None if there are none, or none that can be understood."""
    try:
        raw = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        reports = [_report(each) for each in raw["assets"]]
        at = datetime.fromisoformat(raw["written_at"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidOperation):
        return None
    return Reports(written_at=at, assets={report.symbol: report for report in reports})


def _report(raw: Mapping[str, Any]) -> AssetReport:
    quote = None if raw["quote"] is None else Quote(**_values(raw["quote"]))
    known = _values({field.name: raw[field.name] for field in fields(AssetReport)})
    return AssetReport(**{**known, "levels": Levels(**_values(raw["levels"])), "quote": quote})


def _values(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in raw.items()}


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in {"bid", "ask", "ask_at_most", "bid_at_least"}:
        return Decimal(value)
    return datetime.fromisoformat(value) if name in _TIMES else value


_TIMES = {"at", "received_at", "wake_at", "buys_from", "sells_from", "due_since", "resting_until"}


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
