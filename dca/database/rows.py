"""Rows of the database and values of the model, each into the other. No SQL is run here.

Field names equal column names, so a dataclass is its own column list. The database keeps UTC without
saying so; here is where it is said.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_type_hints

from dca.core.model import Asset, Control, Cycle, Mode, Order, Word
from dca.core.operations import Action, Incident, IncidentKind, JobRun, Mail, MissingPosition, Owner, Server

if TYPE_CHECKING:
    from dca.core.report_rows import CycleReport, FillReport, OrderReport, ProfitReport

OPEN = "(live_asset_id IS NOT NULL OR (state = 'ghost' AND closed_at IS NULL))"
"""Of dca_orders: those that may still fill, as far as we know."""

COUNTING = (
    "SELECT id FROM dca_orders WHERE counts_in_cycle_id = %s"
    " UNION (SELECT id FROM dca_orders WHERE cycle_id = %s ORDER BY seq DESC LIMIT 1)"
    " UNION (SELECT id FROM dca_orders WHERE cycle_id = %s AND known_seq IS NOT NULL"
    " ORDER BY known_seq DESC LIMIT 1)"
    " UNION SELECT id FROM dca_orders WHERE client_order_id = %s AND cycle_id = %s"
)
"""The orders that make a cycle what it is: the cycle's id three times, and one more by its own id."""

SELLABLE = (
    ", sellable_from = (SELECT MAX(o.min_order_size) FROM dca_orders o WHERE o.cycle_id = dca_cycles.id)"
)
"""What else is written with a complete cycle: leftover_of_asset, an index, is made of it."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

Row = Mapping[str, Any]
T = TypeVar(
    "T",
    Asset,
    Cycle,
    Order,
    Control,
    JobRun,
    MissingPosition,
    Owner,
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
    names, conversions, times = _reading(cast(Any, cls))
    values = {name: row[name] for name in names}
    for name, convert in conversions:
        if values[name] is not None:
            values[name] = convert(values[name])
    for name in times:
        if values[name] is None:  # how 0000-00-00 is read, which a server that is not strict makes of NULL
            values[name] = LONG_AGO
    return cls(**values)


def asset_from(row: Row) -> Asset:
    """A lock of a kind that is not known ends by hand."""
    asset = value_from(Asset, row)
    kind = asset.lock_kind
    if kind is None or kind.is_known:
        return asset
    words = f"{asset.lock_reason} (its lock_kind is {kind.value!r}, which this program does not know)"
    return replace(asset, lock_kind=None, lock_reason=words)


def control_from(row: Row) -> Control:
    """A mode that is not known is a halt: whoever wrote it wanted something other than a bot that trades."""
    control = value_from(Control, row)
    if control.mode.is_known:
        return control
    words = f"dca_control.mode is {control.mode.value!r}, which is none of {', '.join(Mode)}"
    return replace(control, mode=Mode.HALT, mode_reason=words)


def incident_from(row: Row) -> Incident:
    """One of a kind that is not known is about money: nothing is lost by taking it for too much."""
    incident = value_from(Incident, row)
    return incident if incident.kind.is_known else replace(incident, kind=IncidentKind.MONEY)


@cache
def _reading(
    cls: type[Any],
) -> tuple[tuple[str, ...], tuple[tuple[str, Callable[[Any], Any]], ...], tuple[str, ...]]:
    """A table's columns, what makes values of the model of those that the database keeps otherwise, and the
    times that every row has."""
    conversions: list[tuple[str, Callable[[Any], Any]]] = []
    times = tuple(name for name, kind in get_type_hints(cls).items() if kind is datetime)
    for name, kind in get_type_hints(cls).items():
        for each in (kind, *get_args(kind)):
            if each is datetime:
                conversions.append((name, _in_utc))
            elif each is bool:
                conversions.append((name, bool))
            elif isinstance(each, type) and issubclass(each, Word):
                conversions.append((name, each.read))
    return columns(cls), tuple(conversions), times


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
