"""Rows of the database and values of the model, each into the other. No SQL is run here.

Field names equal column names, so a dataclass is its own column list. The database keeps UTC without
saying so; here is where it is said.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

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

if TYPE_CHECKING:
    from dca.reporting import CycleReport, FillReport, OrderReport, ProfitReport

OPEN = "(live_asset_id IS NOT NULL OR (state = 'ghost' AND closed_at IS NULL))"
"""Of dca_orders: those that may still fill, as far as we know."""

SELLABLE = (
    ", sellable_from = (SELECT MAX(o.min_order_size) FROM dca_orders o WHERE o.cycle_id = dca_cycles.id)"
)
"""What else is written with a complete cycle: leftover_of_asset, an index, is made of it."""

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
    "CycleReport",
    "OrderReport",
    "FillReport",
    "ProfitReport",
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


def columns(cls: type[T], *, but: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The columns of a table, in the order of the fields."""
    return tuple(field.name for field in fields(cls) if field.name not in but)


def value_from(cls: type[T], row: Row) -> T:
    """A value from a row that has at least its columns."""
    return cls(**{name: _in(row[name], kind) for name, kind in _kinds(cast(Any, cls))})


@cache
def _kinds(cls: type[Any]) -> tuple[tuple[str, type[StrEnum] | type[bool] | None], ...]:
    return tuple((name, _KINDS.get(name)) for name in columns(cls))


def _in(value: Any, kind: type[StrEnum] | type[bool] | None) -> Any:
    if value is None:
        return None
    if kind is not None:
        return kind(value)
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def parameters(value: Asset | Cycle | Order, names: Iterable[str]) -> list[Any]:
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
