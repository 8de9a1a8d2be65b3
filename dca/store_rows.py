"""Rows of the database and values of the model, each into the other. No SQL is run here.

Field names equal column names, so a dataclass is its own column list. The database keeps UTC without
saying so; here is where it is said.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_type_hints

from dca.model import Asset, Control, Cycle, Order
from dca.records import Action, Incident, JobRun, Mail, MissingPosition, Server

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
    MissingPosition,
    Incident,
    Mail,
    Action,
    Server,
    "CycleReport",
    "OrderReport",
    "FillReport",
    "ProfitReport",
)


def columns(cls: type[T], *, but: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The columns of a table, in the order of the fields."""
    return tuple(field.name for field in fields(cls) if field.name not in but)


def value_from(cls: type[T], row: Row) -> T:
    """A value from a row that has at least its columns."""
    names, conversions = _reading(cast(Any, cls))
    values = {name: row[name] for name in names}
    for name, convert in conversions:
        if values[name] is not None:
            values[name] = convert(values[name])
    return cls(**values)


@cache
def _reading(cls: type[Any]) -> tuple[tuple[str, ...], tuple[tuple[str, Callable[[Any], Any]], ...]]:
    """A table's columns, and what makes values of the model of those that the database keeps otherwise."""
    conversions: list[tuple[str, Callable[[Any], Any]]] = []
    for name, kind in get_type_hints(cls).items():
        for each in (kind, *get_args(kind)):
            if each is datetime:
                conversions.append((name, _in_utc))
            elif isinstance(each, type) and (each is bool or issubclass(each, StrEnum)):
                conversions.append((name, each))
    return columns(cls), tuple(conversions)


def _in_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC)


def outward(value: Any) -> Any:
    """One value as the connector takes it: enums as text, times as UTC without a zone. What is so already
    stays so: astimezone would take a time without a zone for this machine's own."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
