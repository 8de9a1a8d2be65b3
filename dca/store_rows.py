"""Rows of the database and values of the model, each into the other. No SQL is run here.

Field names equal column names, so a dataclass is its own column list. The database keeps UTC without
saying so; here is where it is said.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from dca.model import (
    Asset,
    Control,
    Cycle,
    CycleStatus,
    FeeSource,
    LockKind,
    Mode,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Side,
)
from dca.records import Action, Incident, IncidentKind, JobRun, Mail, Result, Server
from dca.reporting import CycleReport, FillReport, OrderReport, ProfitReport

OPEN = "(live_asset_id IS NOT NULL OR (state = 'ghost' AND closed_at IS NULL))"
"""Of dca_orders: those that may still fill, as far as we know."""

Row = Mapping[str, Any]
T = TypeVar(
    "T",
    Asset,
    Cycle,
    Order,
    Control,
    JobRun,
    Incident,
    Mail,
    Action,
    Server,
    CycleReport,
    OrderReport,
    FillReport,
    ProfitReport,
)

_KINDS: dict[str, type[StrEnum] | type[bool]] = {
    "status": CycleStatus,
    "purpose": Purpose,
    "side": Side,
    "order_type": OrderType,
    "state": OrderState,
    "fee_source": FeeSource,
    "mode": Mode,
    "is_enabled": bool,
    "lock_kind": LockKind,
    "kind": IncidentKind,
    "result": Result,
}


def columns(cls: type[T], *, but: frozenset[str] = frozenset()) -> list[str]:
    """The columns of a table, in the order of the fields."""
    return [field.name for field in fields(cls) if field.name not in but]


def value_from(cls: type[T], row: Row) -> T:
    """A value from a row that has at least its columns."""
    return cls(**{name: _in(name, row[name]) for name in columns(cls)})


def _in(name: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    kind = _KINDS.get(name)
    return value if kind is None else kind(value)


def parameters(value: Asset | Cycle | Order, names: list[str]) -> list[Any]:
    """What to hand to the connector for these columns."""
    return [outward(getattr(value, name)) for name in names]


def outward(value: Any) -> Any:
    """One value as the connector takes it: enums as text, times as UTC without a zone. What is so already
    stays so: astimezone would take a time without a zone for this machine's own."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
