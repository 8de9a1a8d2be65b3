"""The part of store.Transaction with which status and doctor look around. Nothing is locked or changed."""

from dca.records import Incident, Mail, Server
from dca.store_rows import columns, value_from
from dca.store_statements import Statements

_INCIDENT = ", ".join(columns(Incident))
_MAIL = ", ".join(columns(Mail))


class Looks(Statements):
    """Statements that read and lock nothing."""

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
