"""The part of store.Transaction with which the operator's commands change what the operator may change."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dca.core.model import Mode
from dca.database.statements import Statements

SETTABLE = (
    "asset_symbol",
    "is_enabled",
    "base_order_amount",
    "safety_order_amount",
    "max_safety_orders",
    "safety_order_deviation",
    "take_profit_percent",
    "cooldown_period",
    "buy_order_price_deviation_percent",
)
"""The columns of dca_assets that are the operator's."""


class Editing(Statements):
    """Statements that only ./bot's commands and the watchdog run."""

    def set_mode(self, mode: Mode, reason: str) -> None:
        """Turn the kill switch. The order-rate fuse counts anew from here."""
        self._write(
            "UPDATE dca_control SET mode = %s, mode_reason = %s, mode_set_at = UTC_TIMESTAMP(6)",
            [mode, reason[:300]],
        )

    def set_fee_rate(self, rate: Decimal) -> None:
        """What the account shows now; assumed of new orders."""
        self._write("UPDATE dca_control SET fee_rate = %s", [rate])

    def insert_asset(self, values: Mapping[str, Any]) -> int:
        """Write a new row of dca_assets from its columns; returns its id.

        Raises:
            LostRace: there is a row of that pair.
            BrokenRule: a value that the table does not take.
        """
        names = [name for name in SETTABLE if name in values]
        marks = ", ".join(["%s"] * len(names))
        self._write(
            f"INSERT INTO dca_assets ({', '.join(names)}) VALUES ({marks})", [values[name] for name in names]
        )
        return int(self._cursor.lastrowid)

    def remove_asset(self, asset_id: int) -> None:
        """Delete a row of dca_assets with its cycles.

        Raises:
            OurBug: an order of it is in the books.
        """
        self._write("DELETE FROM dca_assets WHERE id = %s", [asset_id])

    def remove_cycle(self, cycle_id: int) -> None:
        """Delete a cycle that never had an order."""
        self._write("DELETE FROM dca_cycles WHERE id = %s", [cycle_id])

    def change_asset(self, asset_id: int, values: Mapping[str, Any]) -> None:
        """Change these columns of a row of dca_assets, and no other.

        Raises:
            BrokenRule: a value that the table does not take.
        """
        names = [name for name in SETTABLE if name in values]
        assigned = ", ".join(f"{name} = %s" for name in names)
        self._write(
            f"UPDATE dca_assets SET {assigned} WHERE id = %s", [*(values[name] for name in names), asset_id]
        )
