"""The part of store.Transaction with which status and doctor look around. Nothing is locked or changed."""

from datetime import UTC, datetime, timedelta

from dca.core.model import Cycle, Order
from dca.core.operations import Incident, Mail, Server
from dca.core.order_limits import Placed
from dca.database.rows import columns, incident_from, value_from
from dca.database.statements import Statements

_INCIDENT = ", ".join(columns(Incident))
_MAIL = ", ".join(columns(Mail))
_CYCLE = ", ".join(columns(Cycle))
_ORDER = ", ".join(columns(Order))


class Looks(Statements):
    """Statements that read and lock nothing."""

    def orders_placed(self, asset_id: int, now: datetime) -> Placed:
        """How busy an asset was before `now`, for the order-rate fuse; read from an index alone."""
        return self._placed(asset_id, now)

    def orders_in_vain(self, asset_id: int, now: datetime) -> Placed:
        """The same of orders of which nothing was filled, so far."""
        return self._placed(asset_id, now, " AND filled_qty = 0")

    def _placed(self, asset_id: int, now: datetime, condition: str = "") -> Placed:
        row = self._rows(
            "SELECT COUNT(*) AS in_an_hour, COALESCE(SUM(created_at > %s), 0) AS in_a_minute"
            " FROM dca_orders WHERE created_at > %s AND created_at <= %s AND asset_id = %s"
            " AND created_at >"
            " COALESCE((SELECT MAX(mode_set_at) FROM dca_control), TIMESTAMP'2000-01-01 00:00:00')"
            f" AND purpose NOT IN ('adopted', 'outside'){condition}",
            now - timedelta(minutes=1),
            now - timedelta(hours=1),
            now,
            asset_id,
        )[0]
        return Placed(**{name: int(value) for name, value in row.items()})

    def buys_held_back(self, reason: str, now: datetime) -> int:
        """How many live cycles wait with their buys for a reason that begins so."""
        rows = self._rows(
            "SELECT COUNT(*) AS cycles FROM dca_cycles"
            " WHERE live_asset_id IS NOT NULL AND next_buy_at > %s AND problem LIKE %s",
            now,
            f"{reason}%",
        )
        return int(rows[0]["cycles"])

    def given_up_orders(self, closed_after: datetime) -> list[Order]:
        """Orders that were refused or never arrived, as far as is known. Not locked."""
        rows = self._rows(
            f"SELECT {_ORDER} FROM dca_orders WHERE state IN ('void', 'rejected') AND closed_at > %s",
            closed_after,
        )
        return [value_from(Order, row) for row in rows]

    def error_cycles(self, completed_after: datetime) -> list[Cycle]:
        """Cycles that ended as error since then. Not locked."""
        sql = f"SELECT {_CYCLE} FROM dca_cycles WHERE status = 'error' AND completed_at > %s"
        return [value_from(Cycle, row) for row in self._rows(sql, completed_after)]

    def leftover_cycles(self, completed_after: datetime) -> list[Cycle]:
        """Complete cycles that hold, again, what could be sold: a fill came too late (F73). Not locked.

        Nearly all hold dust; leftover_asset_id is set where it may be more, so only these are read."""
        rows = self._rows(
            f"SELECT {_CYCLE} FROM dca_cycles WHERE leftover_asset_id IS NOT NULL AND completed_at > %s"
            " AND quantity >= (SELECT MAX(min_order_size) FROM dca_orders WHERE cycle_id = dca_cycles.id)",
            completed_after,
        )
        return [value_from(Cycle, row) for row in rows]

    def orders_with_open_fees(self, assumed_after: datetime, uncharged_after: datetime) -> list[Order]:
        """Orders that closed since then and whose fills are not known yet; and, since another time, those of
        which it is not known what the exchange charged. Not locked."""
        rows = self._rows(
            f"SELECT {_ORDER} FROM dca_orders"
            " WHERE fee_source = 'assumed' AND closed_at > %s AND filled_qty > 0"
            f" UNION ALL SELECT {_ORDER} FROM dca_orders"
            " WHERE fee_source = 'executions' AND closed_at > %s AND filled_qty > 0"
            f" UNION ALL SELECT {_ORDER} FROM dca_orders"
            " WHERE fee_source = 'position' AND closed_at > %s AND filled_qty > 0"
            " AND exchange_order_id IS NOT NULL",
            assumed_after,
            uncharged_after,
            uncharged_after,
        )
        return [value_from(Order, row) for row in rows]

    def undecided_orders(self) -> list[Order]:
        """Orders on which the operator has to decide (Order.is_undecided), of all assets. Not locked."""
        sql = f"SELECT {_ORDER} FROM dca_orders WHERE undecided_asset_id IS NOT NULL ORDER BY id"
        return [value_from(Order, row) for row in self._rows(sql)]

    def incidents_now(self) -> list[Incident]:
        """All that are not over, oldest first."""
        rows = self._rows(f"SELECT {_INCIDENT} FROM incidents WHERE open_name IS NOT NULL ORDER BY id")
        return [incident_from(row) for row in rows]

    def last_sent_mail(self) -> Mail | None:
        rows = self._rows(
            f"SELECT {_MAIL} FROM mails WHERE sent_at IS NOT NULL"
            " ORDER BY sent_at DESC, created_at DESC, id DESC LIMIT 1"
        )
        return value_from(Mail, rows[0]) if rows else None

    def server(self) -> Server:
        """What the database server says of itself and of this connection."""
        row = self._rows(
            "SELECT VERSION() AS version, @@global.time_zone AS time_zone,"
            " @@system_time_zone AS system_time_zone, UTC_TIMESTAMP(6) AS utc, NOW(6) AS session_now,"
            " @@global.innodb_flush_log_at_trx_commit AS flush_log_at_trx_commit,"
            " CURRENT_USER() AS user, @@global.max_connections AS connections,"
            " @@session.max_user_connections AS user_connections"
        )[0]
        return value_from(Server, row)

    def columns(self) -> set[str]:
        """table.column, of all tables of this database."""
        rows = self._rows(
            "SELECT TABLE_NAME AS table_name, COLUMN_NAME AS column_name FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = DATABASE()"
        )
        return {f"{row['table_name']}.{row['column_name']}" for row in rows}

    def grants(self) -> list[str]:
        """The rights of this connection's user, as the server words them."""
        return [str(next(iter(row.values()))) for row in self._rows("SHOW GRANTS")]

    def known_orders(self, client_order_ids: list[str]) -> list[Order]:
        """Those of these orders that the ledger has."""
        possible = [each for each in client_order_ids if each.isascii()]  # ours are; others fit no column
        if not possible:
            return []
        marks = ", ".join(["%s"] * len(possible))
        rows = self._rows(f"SELECT {_ORDER} FROM dca_orders WHERE client_order_id IN ({marks})", *possible)
        return [value_from(Order, row) for row in rows]

    def orders_of_cycles(self, cycle_ids: list[int]) -> list[Order]:
        """The orders that make these cycles what they are (store.counting_orders), each cycle's oldest first;
        one statement, and nothing is locked."""
        if not cycle_ids:
            return []
        marks = ", ".join(["%s"] * len(cycle_ids))
        counting = (
            f"SELECT id FROM dca_orders WHERE counts_in_cycle_id IN ({marks})"
            " UNION SELECT (SELECT id FROM dca_orders WHERE cycle_id = c.id ORDER BY seq DESC LIMIT 1)"
            f" FROM dca_cycles c WHERE c.id IN ({marks})"
            " UNION SELECT (SELECT id FROM dca_orders WHERE cycle_id = c.id AND known_seq IS NOT NULL"
            f" ORDER BY known_seq DESC LIMIT 1) FROM dca_cycles c WHERE c.id IN ({marks})"
        )
        rows = self._rows(
            f"SELECT {_ORDER} FROM ({counting}) AS counting JOIN dca_orders USING (id)"
            " ORDER BY cycle_id, seq",
            *(cycle_ids * 3),
        )
        return [value_from(Order, row) for row in rows]

    def cycles_ended_since(self, then: datetime) -> list[Cycle]:
        """Of all assets."""
        rows = self._rows(
            f"SELECT {_CYCLE} FROM dca_cycles FORCE INDEX (end_of_cycle)"
            " WHERE status IN ('complete', 'error') AND completed_at > %s",
            then,
        )
        return [value_from(Cycle, row) for row in rows]

    def ended_cycles(self, asset_id: int, ended_after: datetime) -> list[Cycle]:
        """An asset's cycles that ended since then, newest first. That is a short time ago: the index of the
        asset would lead through all of its past."""
        rows = self._rows(
            f"SELECT {_CYCLE} FROM dca_cycles FORCE INDEX (end_of_cycle)"
            " WHERE status IN ('complete', 'error') AND completed_at > %s AND asset_id = %s ORDER BY id DESC",
            ended_after,
            asset_id,
        )
        return [value_from(Cycle, row) for row in rows]

    def last_done_run_at(self, job: str, before: datetime) -> datetime | None:
        """When the last run of a job that did all of its work, and began before then, began."""
        rows = self._rows(
            "SELECT started_at FROM job_runs FORCE INDEX (result_of_job)"
            " WHERE job = %s AND result = 'done' AND started_at < %s"
            " ORDER BY started_at DESC LIMIT 1",
            job,
            before,
        )
        return rows[0]["started_at"].replace(tzinfo=UTC) if rows else None
