"""The nouns of running the suite: runs of the caretakers, incidents, mails, what the operator did.

Pure. Field names equal column names; times are aware UTC.
"""

from dataclasses import dataclass
from datetime import datetime

from dca.core.model import Word


class Result(Word):
    """How a caretaker's run ended. STOOD_DOWN: there was maintenance, and it did nothing."""

    DONE = "done"
    FAILED = "failed"
    STOOD_DOWN = "stood_down"


class IncidentKind(Word):
    MONEY = "money"
    HEALTH = "health"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """One run of a caretaker: a row of job_runs. Without `ended_at` it still runs, or was killed."""

    id: int
    job: str
    started_at: datetime
    ended_at: datetime | None = None
    result: Result | None = None
    checked: int = 0
    changed: int = 0
    details: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPosition:
    """A live cycle whose coins the account does not show: a row of missing_positions. `looks` counts the runs
    of the consistency checker that saw it so, one after the other."""

    cycle_id: int
    first_seen_at: datetime
    last_seen_at: datetime
    looks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The installation whose main_app started last on a database, and its last sign of life."""

    name: str
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong now, whoever looks. `name` says what and whose, and stays the same for as
    long as it lasts; `evidence` has the numbers, what the bot did by itself, and what to run. `brief` is for
    a line of a screen, where there is more to say than the subject."""

    name: str
    kind: IncidentKind
    subject: str
    evidence: str
    brief: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A finding that lasts: a row of incidents. `mails` counts the first one and the reminders."""

    id: int
    name: str
    kind: IncidentKind
    subject: str
    evidence: str
    began_at: datetime
    seen_at: datetime
    ended_at: datetime | None = None
    mails: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail to be sent, or sent: a row of mails."""

    id: int
    name: str
    subject: str
    body: str
    created_at: datetime
    sent_at: datetime | None = None
    tries: int = 0
    last_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHealth:
    """A job's runs of some time, added up. `killed`: did not end in time, or still runs."""

    job: str
    runs: int
    failed: int
    killed: int
    last_run_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A command of the operator that changed something: a row of operator_actions."""

    id: int
    at: datetime
    who: str
    command: str
    asset_symbol: str | None
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a database server says of itself. `utc` is its clock; `session_now` the same in our connection's
    time zone; `user` as whom it took us; `connections` how many it grants at a time, `user_connections` how
    many of them to this user (0: all)."""

    version: str
    time_zone: str
    system_time_zone: str
    utc: datetime
    session_now: datetime
    flush_log_at_trx_commit: int
    user: str
    connections: int
    user_connections: int

    @property
    def connection_limit(self) -> int:
        return min(filter(None, (self.connections, self.user_connections)))
