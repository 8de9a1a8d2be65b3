"""The part of store.Transaction that keeps the records of operation: runs and what they saw, incidents,
mails, actions."""

from datetime import UTC, datetime

from dca.core.operations import (
    Action,
    Finding,
    Incident,
    JobHealth,
    JobRun,
    Mail,
    MissingPosition,
    Owner,
    Result,
)
from dca.database.rows import columns, incident_from, value_from
from dca.database.statements import Statements

_RUN = ", ".join(columns(JobRun))
_INCIDENT = ", ".join(columns(Incident))
_MAIL = ", ".join(columns(Mail))
_ACTION = ", ".join(columns(Action))
_MISSING = ", ".join(columns(MissingPosition))


class Journal(Statements):
    """Statements about job_runs, missing_positions, incidents, mails and operator_actions."""

    def owner(self) -> Owner | None:
        """Whose main_app started last here; None: nobody's yet."""
        rows = self._rows(
            "SELECT owner AS name, owner_seen_at AS seen_at FROM dca_control"
            " WHERE owner IS NOT NULL AND owner_seen_at IS NOT NULL"
        )
        return value_from(Owner, rows[0]) if rows else None

    def set_owner(self, name: str, now: datetime) -> None:
        """Note whose main_app trades here from now on."""
        self._write("UPDATE dca_control SET owner = %s, owner_seen_at = %s", [name, now])

    def owner_lives(self, name: str, now: datetime) -> None:
        """Note a sign of life; of anybody but the owner it counts for nothing."""
        self._write("UPDATE dca_control SET owner_seen_at = %s WHERE owner = %s", [now, name])

    def begin_run(self, job: str, now: datetime) -> int:
        """Note that a caretaker has started; returns the run's id."""
        self._write("INSERT INTO job_runs (job, started_at) VALUES (%s, %s)", [job, now])
        return int(self._cursor.lastrowid)

    def end_run(
        self, run_id: int, result: Result, now: datetime, *, checked: int, changed: int, details: str | None
    ) -> None:
        self._write(
            "UPDATE job_runs SET ended_at = %s, result = %s, checked = %s, changed = %s, details = %s"
            " WHERE id = %s",
            [now, result, checked, changed, None if details is None else details[:500], run_id],
        )

    def last_runs(self) -> dict[str, JobRun]:
        """Each job's last run that ended, by name; a job that never ran is not in it."""
        return self._newest("ended_at IS NOT NULL")

    def last_good_runs(self) -> dict[str, JobRun]:
        """Each job's last run that was done or stood down, by name."""
        return self._newest("result IN ('done', 'stood_down')")

    def _newest(self, condition: str) -> dict[str, JobRun]:
        """One step into the index per job: months of runs are hundreds of thousands of rows."""
        found = {}
        for row in self._rows("SELECT DISTINCT job FROM job_runs"):
            newest = self._rows(
                f"SELECT {_RUN} FROM job_runs FORCE INDEX (job_and_time) WHERE job = %s AND {condition}"
                " ORDER BY started_at DESC LIMIT 1",
                row["job"],
            )
            found.update({run.job: run for run in (value_from(JobRun, each) for each in newest)})
        return found

    def first_run_at(self) -> datetime | None:
        """When any job first ran, as far as rows are kept."""
        rows = self._rows(f"SELECT {_RUN} FROM job_runs ORDER BY id LIMIT 1")
        return value_from(JobRun, rows[0]).started_at if rows else None

    def run_starts_since(self, then: datetime) -> list[datetime]:
        """When any job's runs began, oldest first."""
        rows = self._rows("SELECT started_at FROM job_runs WHERE started_at > %s ORDER BY id", then)
        return [row["started_at"].replace(tzinfo=UTC) for row in rows]

    def job_health_since(self, then: datetime) -> list[JobHealth]:
        """Each job's runs that began after then, added up, by name."""
        rows = self._rows(
            "SELECT job, COUNT(*) AS runs, CAST(SUM(result <=> 'failed') AS SIGNED) AS failed,"
            " CAST(SUM(ended_at IS NULL) AS SIGNED) AS killed, MAX(started_at) AS last_run_at"
            " FROM job_runs WHERE started_at > %s GROUP BY job ORDER BY job",
            then,
        )
        return [
            JobHealth(
                job=row["job"],
                runs=int(row["runs"]),
                failed=int(row["failed"]),
                killed=int(row["killed"]),
                last_run_at=row["last_run_at"].replace(tzinfo=UTC),
            )
            for row in rows
        ]

    def forget_before(self, then: datetime) -> int:
        """Drop runs, ended incidents and sent mails that are older; returns how many rows went."""
        return (
            self._write("DELETE FROM job_runs WHERE started_at < %s", [then])
            + self._write("DELETE FROM incidents WHERE ended_at < %s", [then])
            + self._write("DELETE FROM mails WHERE sent_at < %s", [then])
        )

    def missing_positions(self) -> list[MissingPosition]:
        """What the checker's last run left behind; few or none."""
        rows = self._rows(f"SELECT {_MISSING} FROM missing_positions ORDER BY cycle_id")
        return [value_from(MissingPosition, row) for row in rows]

    def replace_missing_positions(self, found: list[MissingPosition]) -> None:
        """What this run found takes the place of what was known."""
        self._write("DELETE FROM missing_positions", [])
        for each in found:
            self._write(
                f"INSERT INTO missing_positions ({_MISSING}) VALUES (%s, %s, %s, %s)",
                [each.cycle_id, each.first_seen_at, each.last_seen_at, each.looks],
            )

    def open_incidents(self) -> list[Incident]:
        """All that are not over, locked, oldest first."""
        rows = self._rows(
            f"SELECT {_INCIDENT} FROM incidents WHERE open_name IS NOT NULL ORDER BY id FOR UPDATE"
        )
        return [incident_from(row) for row in rows]

    def incidents_since(self, then: datetime) -> list[Incident]:
        """All that began or ended after then, oldest first."""
        rows = self._rows(
            f"SELECT {_INCIDENT} FROM incidents WHERE began_at > %s OR ended_at > %s ORDER BY id", then, then
        )
        return [incident_from(row) for row in rows]

    def incidents_ended_since(self, then: datetime) -> list[Incident]:
        """Those that are over, oldest first."""
        rows = self._rows(f"SELECT {_INCIDENT} FROM incidents WHERE ended_at > %s ORDER BY id", then)
        return [incident_from(row) for row in rows]

    def put_incident(self, incident: Incident) -> None:
        """Write a new incident as it is; its id is not looked at.

        Raises:
            LostRace: one of that name is open.
        """
        self._write(
            "INSERT INTO incidents (name, kind, subject, evidence, began_at, seen_at, ended_at, mails)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                incident.name[:120],
                incident.kind,
                incident.subject[:200],
                incident.evidence,
                incident.began_at,
                incident.seen_at,
                incident.ended_at,
                incident.mails,
            ],
        )

    def insert_incident(self, finding: Finding, now: datetime) -> None:
        """Raises:
        LostRace: another process has noted it.
        """
        self._write(
            "INSERT INTO incidents (name, kind, subject, evidence, began_at, seen_at, mails)"
            " VALUES (%s, %s, %s, %s, %s, %s, 0)",
            [finding.name[:120], finding.kind, finding.subject[:200], finding.evidence, now, now],
        )

    def update_incident(self, incident: Incident) -> None:
        self._write(
            "UPDATE incidents SET kind = %s, subject = %s, evidence = %s, seen_at = %s, ended_at = %s,"
            " mails = %s WHERE id = %s",
            [
                incident.kind,
                incident.subject[:200],
                incident.evidence,
                incident.seen_at,
                incident.ended_at,
                incident.mails,
                incident.id,
            ],
        )

    def insert_mail(self, name: str, subject: str, body: str, now: datetime) -> None:
        """Put a mail where the next one who can send finds it."""
        self._write(
            "INSERT INTO mails (name, subject, body, created_at) VALUES (%s, %s, %s, %s)",
            [name[:120], subject[:200], body, now],
        )

    def put_sent_mail(self, name: str, subject: str, body: str, sent_at: datetime) -> None:
        """Note a mail that went out while it could not be queued."""
        self._write(
            "INSERT INTO mails (name, subject, body, created_at, sent_at, tries)"
            " VALUES (%s, %s, %s, %s, %s, 1)",
            [name[:120], subject[:200], body, sent_at, sent_at],
        )

    def unsent_mails(self) -> list[Mail]:
        """Oldest first."""
        rows = self._rows(f"SELECT {_MAIL} FROM mails WHERE sent_at IS NULL ORDER BY id")
        return [value_from(Mail, row) for row in rows]

    def mails_sent_since(self, then: datetime) -> int:
        return int(self._rows("SELECT COUNT(*) AS mails FROM mails WHERE sent_at > %s", then)[0]["mails"])

    def sent_times_since(self, then: datetime) -> list[datetime]:
        """When mails went out, oldest first; those that went together in one count once."""
        rows = self._rows("SELECT DISTINCT sent_at FROM mails WHERE sent_at > %s ORDER BY sent_at", then)
        return [row["sent_at"].replace(tzinfo=UTC) for row in rows]

    def newest_mails(self, names: list[str]) -> dict[str, datetime]:
        """When the newest mail of each of these names was queued."""
        if not names:
            return {}
        marks = ", ".join(["%s"] * len(names))
        rows = self._rows(
            f"SELECT name, MAX(created_at) AS at FROM mails WHERE name IN ({marks}) GROUP BY name", *names
        )
        return {str(row["name"]): row["at"].replace(tzinfo=UTC) for row in rows}

    def last_mail(self, name: str) -> Mail | None:
        """The newest mail of that name, sent or not."""
        rows = self._rows(
            f"SELECT {_MAIL} FROM mails WHERE id = (SELECT MAX(id) FROM mails WHERE name = %s)", name
        )
        return value_from(Mail, rows[0]) if rows else None

    def mail_was_tried(self, mail: Mail, now: datetime, error: str | None) -> None:
        """Note that a mail went out (`error` None), or why not."""
        self._write(
            "UPDATE mails SET tries = tries + 1, sent_at = %s, last_error = %s WHERE id = %s",
            [now if error is None else None, None if error is None else error[:300], mail.id],
        )

    def insert_action(
        self, who: str, command: str, asset_symbol: str | None, effect: str, now: datetime
    ) -> None:
        """Write down what the operator did, in the transaction that does it."""
        self._write(
            "INSERT INTO operator_actions (at, who, command, asset_symbol, effect)"
            " VALUES (%s, %s, %s, %s, %s)",
            [now, who[:64], command[:300], asset_symbol, effect[:1000]],
        )

    def known_ids(self, client_order_ids: list[str]) -> set[str]:
        """Which of these orders the ledger has."""
        possible = [each for each in client_order_ids if each.isascii()]  # ours are; others fit no column
        if not possible:
            return set()
        marks = ", ".join(["%s"] * len(possible))
        rows = self._rows(
            f"SELECT client_order_id FROM dca_orders WHERE client_order_id IN ({marks})", *possible
        )
        return {str(row["client_order_id"]) for row in rows}

    def last_fill_at(self, asset_id: int) -> datetime | None:
        """When an order of the asset that has filled was last closed. Orders of an asset follow one another,
        so the newest ones tell."""
        rows = self._rows(
            "SELECT MAX(closed_at) AS at FROM (SELECT closed_at FROM dca_orders"
            " IGNORE INDEX FOR ORDER BY (PRIMARY)"
            " WHERE asset_id = %s AND filled_qty > 0 ORDER BY id DESC LIMIT 5) newest",
            asset_id,
        )
        at: datetime | None = rows[0]["at"]
        return None if at is None else at.replace(tzinfo=UTC)

    def last_action_at(self, asset_symbol: str, command: str) -> datetime | None:
        """When the operator last gave that command for that asset."""
        rows = self._rows(
            f"SELECT {_ACTION} FROM operator_actions WHERE id = (SELECT MAX(id) FROM operator_actions"
            " WHERE asset_symbol = %s AND command LIKE %s)",
            asset_symbol,
            f"{command} %",
        )
        return value_from(Action, rows[0]).at if rows else None

    def actions(self, limit: int = 50) -> list[Action]:
        """The newest first."""
        rows = self._rows(f"SELECT {_ACTION} FROM operator_actions ORDER BY id DESC LIMIT %s", limit)
        return [value_from(Action, row) for row in rows]
