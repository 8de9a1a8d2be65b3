"""The file that says that main_app is alive, and what it last heard."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from dca.core.interfaces import Clock


class Hurdle(StrEnum):
    """What keeps main_app from trading since its start."""

    DATABASE = "database"
    EXCHANGE = "exchange"
    KEYS = "keys"
    SCHEMA = "schema"
    OTHER = "other"


class Heartbeat:
    """Written whole or not at all: a reader never sees half of it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._started_at: datetime = clock.now()
        self._content: dict[str, object] = {}

    def last(self, why: str) -> None:
        """Say that the process ends because it was asked to: what is found down then has not died."""
        self.beat({**self._content, "asked_to_stop": why})

    def beat(self, content: dict[str, object]) -> None:
        """Say that the loop goes round."""
        self._content = content
        beat = {
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(timespec="milliseconds"),
            "beat_at": self._clock.now().isoformat(timespec="milliseconds"),
            **content,
        }
        write_whole(self._path, json.dumps(beat, indent=1))


def write_whole(path: Path, text: str) -> None:
    """Replace a file whole, or leave the old one: a full disk stops no trading, and the file's age tells."""
    scratch = path.with_suffix(".tmp")
    with suppress(OSError):
        scratch.write_text(text + "\n", encoding="utf-8")
        scratch.replace(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """A level that is reached and was not acted on. `action` is what is due: sale, buy or end of cooldown.
    `lasted_seconds`: from the first quote that reached the level to the newest. `why`: what held it back.
    """

    symbol: str
    action: str
    since: datetime
    lasted_seconds: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What main_app last said of itself. Times are aware UTC; None: not yet, or not known.

    `slowest_worker_seconds`: since the worker that is longest at one task began it. `troubles`: what does
    not work, as the log named it when it began. `quote_lag_seconds`: received less quote time, of the newest;
    `clock_ahead_seconds`: of ours before the exchange's, when they were compared last; `pairs`: whose quotes
    are asked for. `not_traded`: pairs whose row or exchange keeps them from being traded, and why.
    `waiting_for`: what keeps it from trading since its start (one of Hurdle), and `waiting_why` in words.
    `asked_to_stop`: it ended, or is about to, in good order, because of this.
    """

    pid: int
    started_at: datetime
    beat_at: datetime
    epoch: int | None
    slowest_worker_seconds: float
    last_settle_at: datetime | None
    quotes_connected: bool
    last_quote_at: datetime | None
    orders_connected: bool
    last_order_update_at: datetime | None
    troubles: tuple[str, ...]
    quote_lag_seconds: float | None = None
    clock_ahead_seconds: float | None = None
    pairs: int | None = None
    delays: tuple[Delay, ...] = ()
    not_traded: Mapping[str, str] = field(default_factory=dict)
    waiting_for: str | None = None
    waiting_why: str = ""
    asked_to_stop: str | None = None


def read(path: Path) -> Beat | None:
    """The last beat; None if there is none, or none that can be understood."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return _beat(raw)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _beat(raw: dict[str, Any]) -> Beat:
    quotes, orders = raw.get("quotes") or {}, raw.get("orders") or {}
    return Beat(
        pid=int(raw["pid"]),
        started_at=datetime.fromisoformat(raw["started_at"]),
        beat_at=datetime.fromisoformat(raw["beat_at"]),
        epoch=raw.get("epoch"),
        slowest_worker_seconds=float(raw.get("slowest_worker_seconds") or 0),
        last_settle_at=_time(raw.get("last_settle_at")),
        quotes_connected=bool(quotes.get("connected")),
        last_quote_at=_time(quotes.get("last_quote_at")),
        orders_connected=bool(orders.get("connected")),
        last_order_update_at=_time(orders.get("last_order_update_at")),
        troubles=tuple(str(name) for name in raw.get("troubles") or ()),
        quote_lag_seconds=_number(raw.get("quote_lag_seconds")),
        clock_ahead_seconds=_number(raw.get("clock_ahead_seconds")),
        pairs=raw.get("pairs"),
        not_traded={str(symbol): str(why) for symbol, why in (raw.get("not_traded") or {}).items()},
        delays=tuple(_delay(each) for each in raw.get("delays") or ()),
        waiting_for=raw.get("waiting_for"),
        waiting_why=str(raw.get("waiting_why") or ""),
        asked_to_stop=raw.get("asked_to_stop"),
    )


def _delay(raw: dict[str, Any]) -> Delay:
    return Delay(
        symbol=str(raw["symbol"]),
        action=str(raw["action"]),
        since=datetime.fromisoformat(raw["since"]),
        lasted_seconds=float(raw["lasted_seconds"]),
        why=str(raw["why"]),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
