"""The part of store.Transaction with which status and doctor look around. Nothing is locked or changed."""

from datetime import UTC, datetime, timedelta

from dca.fuse import Placed
from dca.model import Cycle, Order
from dca.records import Incident, Mail, Server
from dca.store_rows import columns, value_from
from dca.store_statements import Statements

_INCIDENT = ", ".join(columns(Incident))
_MAIL = ", ".join(columns(Mail))
_CYCLE = ", ".join(columns(Cycle))
_ORDER = ", ".join(columns(Order))
_PAGE = 50


class Looks(Statements):
    """Statements that read and lock nothing."""

    def orders_placed(self, asset_id: int, now: datetime) -> Placed:
        """How busy we were before `now`, for the order-rate fuse; read from an index alone."""
        row = self._rows(
            "SELECT COUNT(*) AS in_an_hour,"
            " COALESCE(SUM(asset_id = %s AND created_at > %s), 0) AS of_asset_in_a_minute,"
            " (SELECT COUNT(*) FROM dca_assets WHERE is_enabled) AS enabled_assets"
            " FROM dca_orders WHERE created_at > %s AND created_at <= %s"
            " AND created_at >"
            " COALESCE((SELECT mode_set_at FROM dca_control), TIMESTAMP'2000-01-01 00:00:00')"
            " AND purpose NOT IN ('adopted', 'outside')",
            asset_id,
            now - timedelta(minutes=1),
            now - timedelta(hours=1),
            now,
        )[0]
        return Placed(**{name: int(value) for name, value in row.items()})

    def incidents_now(self) -> list[Incident]:
        """All that are not over, oldest first."""
        rows = self._rows(f"SELECT {_INCIDENT} FROM incidents WHERE open_name IS NOT NULL ORDER BY id")
        return [value_from(Incident, row) for row in rows]

    def last_sent_mail(self) -> Mail | None:
        rows = self._rows(
            f"SELECT {_MAIL} FROM mails WHERE sent_at IS NOT NULL ORDER BY sent_at DESC, id DESC LIMIT 1"
        )
        return value_from(Mail, rows[0]) if rows else None

    def server(self) -> Server:
        """What the database server says of itself and of this connection."""
        row = self._rows(
            "SELECT VERSION() AS version, @@global.time_zone AS time_zone,"
            " @@system_time_zone AS system_time_zone, UTC_TIMESTAMP(6) AS utc, NOW(6) AS session_now,"
            " @@global.innodb_flush_log_at_trx_commit AS flush_log_at_trx_commit,"
            " CURRENT_USER() AS user"
        )[0]
        return value_from(Server, row)

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

    def orders_seen(self, cycle_id: int) -> list[Order]:
        """All orders of a cycle, oldest first; not locked."""
        rows = self._rows(f"SELECT {_ORDER} FROM dca_orders WHERE cycle_id = %s ORDER BY seq", cycle_id)
        return [value_from(Order, row) for row in rows]

    def ended_cycles(self, asset_id: int, ended_after: datetime) -> list[Cycle]:
        """An asset's cycles that ended since then, newest first. They end in the order of their ids, so the
        index of the foreign key is read from its end, and no further than needed."""
        found: list[Cycle] = []
        last_id = 2**31 - 1
        while True:
            rows = self._rows(
                f"SELECT {_CYCLE} FROM dca_cycles WHERE asset_id = %s AND id < %s"
                f" AND live_asset_id IS NULL ORDER BY id DESC LIMIT {_PAGE}",
                asset_id,
                last_id,
            )
            page = [value_from(Cycle, row) for row in rows]
            new = [each for each in page if each.completed_at is not None and each.completed_at > ended_after]
            found += new
            if len(new) < _PAGE:
                return found
            last_id = page[-1].id

    def last_done_run_at(self, job: str, before: datetime) -> datetime | None:
        """When the last run of a job that did all of its work, and began before then, began."""
        rows = self._rows(
            "SELECT started_at FROM job_runs WHERE job = %s AND result = 'done' AND started_at < %s"
            " ORDER BY started_at DESC LIMIT 1",
            job,
            before,
        )
        return rows[0]["started_at"].replace(tzinfo=UTC) if rows else None
