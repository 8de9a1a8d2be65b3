"""The rows of our tables in memory, by id."""

from dataclasses import dataclass, field
from datetime import datetime

from dca.core.model import Asset, Control, Cycle, Mode, Order
from dca.core.operations import MissingPosition, Owner

Key = tuple[str, object]
"""A table's name, and a row's id or what else is unique in it."""

INSTALL_ID = "a1b2c3d4"


@dataclass(slots=True)
class Tables:
    """The rows by id."""

    control: Control = field(
        default_factory=lambda: Control(install_id=INSTALL_ID, account_id=None, epoch=0, mode=Mode.RUN)
    )
    owner: Owner | None = None
    assets: dict[int, Asset] = field(default_factory=dict)
    cycles: dict[int, Cycle] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    attempts: dict[tuple[int, int], tuple[datetime, str | None]] = field(default_factory=dict)
    missing: dict[int, MissingPosition] = field(default_factory=dict)
    by_client_id: dict[str, int] = field(default_factory=dict)
    of_cycle: dict[int, tuple[int, ...]] = field(default_factory=dict)
    live_cycle: dict[int, int] = field(default_factory=dict)
    live_order: dict[int, int] = field(default_factory=dict)
    open_orders: dict[int, None] = field(default_factory=dict)
    last_id: dict[str, int] = field(default_factory=dict)
    """Counters are not rolled back, as InnoDB's are not."""

    def next_id(self, table: str) -> int:
        self.last_id[table] = self.last_id.get(table, 0) + 1
        return self.last_id[table]
