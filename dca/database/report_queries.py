"""The part of store.Transaction that reads what reports show. Nothing here is locked or changed.

The rows' classes are imported where they are made: they are for people, and a run by cron makes none.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dca.database.rows import OPEN, T, value_from
from dca.database.statements import Statements

if TYPE_CHECKING:
    from dca.core.report_rows import CycleReport, FillReport, OrderReport, ProfitReport

_PORTION = 50_000
"""Ids of cycles."""


class Which(StrEnum):
    """Which cycles a report is about."""

    ALL = "all"
    LIVE = "live"
    CLOSED = "closed"


class By(StrEnum):
    """What profits are added up by; days and months are UTC's."""

    DAY = "day"
    MONTH = "month"
    ASSET = "asset"


_BUY_FEE = "c.buy_fee_qty * c.average_purchase_price"

# Read along the cycles' ids (STRAIGHT_JOIN), so that a page costs its rows and no sorting of the table.
# The inner query is one look at the ledger's key (cycle_id, seq) per cycle that is shown.
_CYCLES = f"""
SELECT c.id, a.asset_symbol, c.status, c.created_at, c.completed_at, c.safety_orders, c.quantity,
       c.average_purchase_price, c.bought_qty, c.bought_cost, c.buy_fee_qty, {_BUY_FEE} AS buy_fee_usd,
       c.sold_qty, c.sold_proceeds, c.sell_fee, c.net_profit, c.problem,
       (SELECT MIN(o.created_at) FROM dca_orders o
         WHERE o.cycle_id = c.id AND o.side = 'buy' AND o.filled_qty > 0) AS first_buy_at
  FROM dca_cycles c
"""
_THEIR_ASSETS = "STRAIGHT_JOIN dca_assets a ON a.id = c.asset_id"
_OF_ASSET = "(SELECT id FROM dca_assets WHERE asset_symbol = %s)"

_ORDERS = """
SELECT id, created_at, closed_at, cycle_id, symbol AS asset_symbol, purpose, level, side, order_type, qty,
       limit_price, filled_qty, filled_avg_price, filled_value, fee_qty, fee_usd, fee_source, state,
       exchange_status, client_order_id, exchange_order_id
  FROM dca_orders
"""

_FILLS = """
SELECT id, COALESCE(closed_at, created_at) AS at, cycle_id, symbol AS asset_symbol, side, purpose, filled_qty,
       filled_avg_price, filled_value, fee_qty, fee_usd, client_order_id, exchange_order_id
  FROM dca_orders
"""

_LIVE = {
    Which.ALL: "TRUE",
    Which.LIVE: "c.live_asset_id IS NOT NULL",
    Which.CLOSED: "c.completed_at IS NOT NULL",  # not "live_asset_id IS NULL": its index has them all
}

_BY_ASSET = "IGNORE INDEX FOR ORDER BY (PRIMARY)"
"""Else the newest rows of an asset may be looked for among those of all."""
_LIVE_INDEX = "FORCE INDEX (asset_id_has_one_live_cycle)"
"""A limit that is never reached would lead past it, through all cycles."""

_LABEL = {
    By.DAY: "DATE_FORMAT(c.completed_at, '%Y-%m-%d')",
    By.MONTH: "DATE_FORMAT(c.completed_at, '%Y-%m')",
    By.ASSET: "a.asset_symbol",
}


class Reports(Statements):
    """Statements that only read, for people."""

    def cycle_reports(self, asset_symbol: str | None, which: Which, limit: int) -> "list[CycleReport]":
        """The newest first."""
        of_asset = "TRUE" if asset_symbol is None else f"c.asset_id = {_OF_ASSET}"
        args = [] if asset_symbol is None else [asset_symbol]
        return self._cycle_reports(
            f"WHERE {_LIVE[which]} AND {of_asset} ORDER BY c.id DESC LIMIT %s",
            [*args, limit],
            index=_LIVE_INDEX if which is Which.LIVE else "" if asset_symbol is None else _BY_ASSET,
        )

    def order_reports(self, asset_symbol: str | None, limit: int) -> "list[OrderReport]":
        """The newest first."""
        from dca.core.report_rows import OrderReport

        if asset_symbol is None:
            return self._reports(OrderReport, f"{_ORDERS} ORDER BY id DESC LIMIT %s", [limit])
        return self._reports(
            OrderReport,
            f"{_ORDERS} {_BY_ASSET} WHERE asset_id = {_OF_ASSET} ORDER BY id DESC LIMIT %s",
            [asset_symbol, limit],
        )

    def open_order_reports(self) -> "list[OrderReport]":
        """Those that may still fill, the newest first."""
        from dca.core.report_rows import OrderReport

        found = self._reports(OrderReport, f"{_ORDERS} WHERE {OPEN}", [])
        return sorted(found, key=lambda order: order.id, reverse=True)

    def profits(self, by: By) -> "list[ProfitReport]":
        """Completed cycles added up, in the order of the labels. Each is rounded to cents first, as it is
        told everywhere (model.cents), so that every sum is that of what was printed. They are read in
        portions: all at once, years of them would take longer than a statement may."""
        from dca.core.report_rows import ProfitReport, total

        label = _LABEL[by]
        found: dict[str, ProfitReport] = {}
        newest = self._rows("SELECT MAX(id) AS id FROM dca_cycles")[0]["id"] or 0
        for after in range(0, newest, _PORTION):
            portion = self._reports(
                ProfitReport,
                f"SELECT {label} AS label, COUNT(*) AS cycles, SUM(ROUND(c.bought_cost, 2)) AS bought,"
                f" SUM(ROUND(c.sold_proceeds, 2)) AS sold, SUM(ROUND(c.sell_fee + {_BUY_FEE}, 2)) AS fees,"
                " SUM(ROUND(c.net_profit, 2)) AS net_profit"
                " FROM dca_cycles c JOIN dca_assets a ON a.id = c.asset_id"
                f" WHERE c.id > %s AND c.id <= %s AND c.status = 'complete' GROUP BY {label}",
                [after, after + _PORTION],
            )
            for row in portion:
                found[row.label] = total(row.label, [row, *filter(None, [found.get(row.label)])])
        return [found[each] for each in sorted(found)]

    def profit_since(self, then: datetime | None) -> tuple[int, Decimal]:
        """How many cycles were completed since then (None: ever), and their net profits in dollars, each
        rounded to cents, added up."""
        row = self._rows(
            "SELECT COUNT(*) AS cycles, COALESCE(SUM(ROUND(net_profit, 2)), 0) AS profit FROM dca_cycles"
            " WHERE status = 'complete' AND (%s IS NULL OR completed_at >= %s)",
            then,
            then,
        )[0]
        return int(row["cycles"]), Decimal(row["profit"])

    def cycles_without_mail(self, completed_after: datetime, assumed_until: datetime) -> "list[CycleReport]":
        """Completed cycles about which no mail was queued (mails.name 'cycle ID'), oldest first; with an
        assumed fee only if completed by `assumed_until`."""
        return self._cycle_reports(
            "WHERE c.status = 'complete' AND c.completed_at > %s"
            " AND NOT EXISTS (SELECT 1 FROM mails m WHERE m.name = CONCAT('cycle ', c.id))"
            " AND (c.completed_at <= %s OR NOT EXISTS (SELECT 1 FROM dca_orders o"
            " WHERE o.cycle_id = c.id AND o.fee_source = 'assumed' AND o.filled_qty > 0))"
            " ORDER BY c.id",
            [completed_after, assumed_until],
        )

    def cycles_after(self, last_id: int, limit: int) -> "list[CycleReport]":
        """A page of all cycles by id."""
        return self._cycle_reports("WHERE c.id > %s ORDER BY c.id LIMIT %s", [last_id, limit])

    def orders_after(self, last_id: int, limit: int) -> "list[OrderReport]":
        """A page of all orders by id."""
        from dca.core.report_rows import OrderReport

        return self._reports(OrderReport, f"{_ORDERS} WHERE id > %s ORDER BY id LIMIT %s", [last_id, limit])

    def fills_after(self, last_id: int, limit: int) -> "list[FillReport]":
        """A page of all orders of which something was filled, by id."""
        from dca.core.report_rows import FillReport

        return self._reports(
            FillReport,
            f"{_FILLS} WHERE filled_qty > 0 AND id > %s ORDER BY id LIMIT %s",
            [last_id, limit],
        )

    def count_live_cycles(self) -> int:
        rows = self._rows(
            "SELECT COUNT(live_asset_id) AS live FROM dca_cycles WHERE live_asset_id IS NOT NULL"
        )
        return int(rows[0]["live"])

    def _cycle_reports(self, rest: str, args: Sequence[Any], *, index: str = "") -> "list[CycleReport]":
        from dca.core.report_rows import CycleReport

        return self._reports(CycleReport, f"{_CYCLES} {index} {_THEIR_ASSETS} {rest}", args)

    def _reports(self, cls: type[T], sql: str, args: Sequence[Any]) -> list[T]:
        return [value_from(cls, row) for row in self._rows(sql, *args)]
