"""A review: looks at tables, heartbeat and disk, notes what began and what is over, and sends the mail.

Called by the watchdog and the consistency checker at the end of their runs. The only writer of incidents
and mails, and the only place where the database and the mail meet.
"""

import shutil
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from dca.alerts import conditions, delivery, digest, incidents, outage
from dca.alerts.bundling import DEADLINE_SECONDS, plan
from dca.alerts.conditions import Books, Disk, Look
from dca.alerts.digest import Day
from dca.alerts.incidents import OVER, Changes, Draft, Known
from dca.alerts.outage import Outage
from dca.core.errors import DatabaseUnavailable, LostRace, StartRefused
from dca.core.interfaces import Clock
from dca.core.model import Control
from dca.core.operations import Finding, Incident, IncidentKind, Mail
from dca.database.store import Store, Transaction
from dca.exchange import account_checks
from dca.runtime import database_owner, heartbeat, maintenance
from dca.runtime.log_lines import fact, warn
from dca.runtime.settings import Settings

TURN_SECONDS = 30.0
"""How long another review is waited for; one takes some 10 s if the mail server hangs."""
KEEP = timedelta(days=90)
DAY = timedelta(hours=24)
CYCLES_SINCE = timedelta(hours=6)
"""How old a completed cycle may be and still get its mail; the digest has the others."""
EXACT_FEES = timedelta(minutes=5)
"""How long the mail about a completed cycle waits for its exact fees: usually they are known in seconds."""
SHORTEST_SECRET = 6
"""What is shorter is part of many words."""
LONGEST_TEXT = 15_000
"""Letters: a column of TEXT takes 65535 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a transaction of a review left."""

    changes: Changes
    is_digest_due: bool
    needs_somebody: bool


Bids = Callable[[list[str]], Mapping[str, Decimal]]
"""Asks the exchange for the bids of pairs; those that it does not tell are missing."""


def _no_bids(_: list[str]) -> Mapping[str, Decimal]:
    return {}


def review(
    settings: Settings,
    clock: Clock,
    extra: Sequence[Finding] = (),
    judged_extra: Sequence[str] = (),
    *,
    seconds: float = DEADLINE_SECONDS,
    trust: ssl.SSLContext | None = None,
    bids: Bids = _no_bids,
) -> None:
    """Look, note, and mail. Raises nothing that a network, a database or a disk can do.

    `extra` is what the caller found wrong; `judged_extra` has the names (or their first words) that it would
    have found: those of its incidents that are not in `extra` are over. `seconds` is for all mail together;
    `trust` takes the place of the system's certificates. `bids` is asked once a day, for the digest.
    """
    with delivery.locked(settings.state_dir / "review.lock", TURN_SECONDS, clock) as is_ours:
        if not is_ours:
            warn("review", "another one does not end; the next looks again")
            return
        _Review(settings, clock, extra, judged_extra, seconds, trust, bids).run()


class _Review:
    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        extra: Sequence[Finding],
        judged_extra: Sequence[str],
        seconds: float,
        trust: ssl.SSLContext | None,
        bids: Bids,
    ) -> None:
        self._bids = bids
        self._settings = settings
        self._clock = clock
        self._extra = extra
        self._judged_extra = judged_extra
        self._post = delivery.Postman(settings, clock, seconds, trust)
        self._scrub = _scrubber(settings)
        self._path = settings.state_dir / "outage.json"
        self._digest_path = settings.state_dir / "digest.time"
        self._us = database_owner.ours(settings.state_dir)
        self._now = clock.now()

    def run(self) -> None:
        before = outage.read(self._path)
        with Store(self._settings.database) as store:
            try:
                outcome = store.transaction(lambda tx: self._note(tx, before))
            except DatabaseUnavailable as error:
                self._without_database(before, self._look(None, str(error), _refusal(store)))
                return
            except StartRefused as error:  # its incidents are another installation's
                self._without_database(before, self._look(None, "", str(error)))
                return
            except LostRace as error:
                warn("review", "another installation reviews this database too", why=str(error))
                return
            with suppress(OSError):  # what stays is recorded already
                self._path.unlink()
            _tell(outcome.changes)
            line = self._digest(store) if outcome.is_digest_due else None
            if line is not None:
                fact("digest", line)
                outage.write_text(self._digest_path, self._now.isoformat())
            self._post.deliver(store)
        if not outcome.needs_somebody:
            self._post.ping()

    # ---- with the database -------------------------------------------------------------------------------

    def _note(self, tx: Transaction, before: Outage | None) -> Outcome:
        account_checks.check_owner(tx, self._us, self._now, self._settings.database.name)
        if before is not None:
            _record(tx, before)
        look = self._look(read_books(tx, self._now, is_mail=self._settings.email is not None), None)
        known = _known(tx, self._now)
        changes = self._decide(known, look)
        for incident in changes.begun:
            tx.put_incident(incident)
        for incident in changes.changed:
            tx.update_incident(incident)
        for draft in changes.mails:
            self._queue(tx, draft)
        self._cycles(tx)
        if changes.begun or changes.changed or changes.mails:
            known = _known(tx, self._now)
        return Outcome(
            changes=changes,
            is_digest_due=self._is_digest_due(tx),
            needs_somebody=_needs_somebody(known, tx.control()),
        )

    def _look(self, books: Books | None, trouble: str | None, refusal: str | None = None) -> Look:
        state_dir = self._settings.state_dir
        return Look(
            now=self._now,
            books=books,
            database_trouble=trouble,
            refusal=refusal,
            beat=heartbeat.read(state_dir / "main_app.heartbeat.json"),
            maintenance=maintenance.current(state_dir, self._now),
            disks=disks(self._settings.log_dir, state_dir),
        )

    def _decide(self, known: Sequence[Known], look: Look) -> Changes:
        found = [
            replace(each, subject=self._scrub(each.subject), evidence=self._scrub(each.evidence))
            for each in (*conditions.findings(look), *self._extra)
        ]
        found = incidents.without_echoes(found, known)
        judged = (*conditions.judged(look), *self._judged_extra)
        return incidents.decide(known, found, judged, self._now, mails=self._settings.email is not None)

    def _queue(self, tx: Transaction, draft: Draft) -> None:
        ready = self._addressed(draft)
        tx.insert_mail(ready.name, ready.subject, ready.body, self._now)

    def _addressed(self, draft: Draft) -> Draft:
        subject = f"[DCA {self._settings.exchange.venue.value}] {draft.subject}"
        return replace(draft, subject=self._scrub(subject)[:200], body=self._scrub(draft.body))

    def _is_digest_due(self, tx: Transaction) -> bool:
        last = tx.last_mail(digest.NAME)
        last_at = None if last is None else last.created_at
        if self._settings.email is None:
            last_at = outage.read_time(self._digest_path)
        return digest.is_due(self._now, self._settings.digest_hour_utc, last_at)

    def _digest(self, store: Store) -> str | None:
        """Once a day: the digest, and old rows go. Returns the digest's line if it is for the log.

        The exchange is asked between two transactions, never in one.
        """
        try:
            bids = self._bids(store.transaction(_held_symbols))
            return store.transaction(lambda tx: self._daily(tx, bids))
        except (DatabaseUnavailable, LostRace) as error:
            warn("review", "the digest waits for the next review", why=str(error))
            return None

    def _daily(self, tx: Transaction, bids: Mapping[str, Decimal]) -> str | None:
        tx.forget_before(self._now - KEEP)
        day = _day(tx, self._now, bids)
        if self._settings.email is None:
            return digest.summary(day)
        self._queue(tx, digest.letter(day))
        return None

    def _cycles(self, tx: Transaction) -> None:
        if self._settings.email is not None and self._settings.send_mail_on_closed_cycles:
            spans = (self._now - CYCLES_SINCE, self._now - EXACT_FEES)
            for report in tx.cycles_without_mail(*spans):
                self._queue(tx, digest.cycle_closed(report))

    # ---- without it --------------------------------------------------------------------------------------

    def _without_database(self, before: Outage | None, look: Look) -> None:
        """One thing is to be said: that the database is no use. What else is wrong is in the same mail, and
        waits for the tables otherwise. Where nothing can be remembered nothing is sent: rather silence than
        a mail with every review."""
        finding, *others = conditions.findings(look)
        now = before or Outage(name=finding.name, subject=finding.subject, began_at=self._now)
        if before is None:
            warn("incident", "begins", why=self._scrub(f"{finding.name}: {finding.subject}"))
        is_due = now.is_mail_due(self._now) and self._settings.email is not None
        kept = outage.write(self._path, replace(now, mailed_at=self._now if is_due else now.mailed_at))
        if kept and is_due and not self._send(now, finding, [*others, *self._extra]):
            outage.write(self._path, now)

    def _send(self, known: Outage, finding: Finding, others: Sequence[Finding]) -> bool:
        """Whether the mail server took it."""
        lines = [finding.evidence, "", f"It began at {incidents.utc(known.began_at)}."]
        lines += [f"Also wrong: {each.subject}. {each.evidence}" for each in others]
        word = "" if known.mailed_at is None else "still: "
        draft = Draft(name=known.name, subject=word + finding.subject, body="\n".join(lines))
        ready = self._addressed(draft)
        mail = Mail(id=1, name=ready.name, subject=ready.subject, body=ready.body, created_at=self._now)
        return bool(self._post.send_now(plan([mail], (), self._now)))


def _needs_somebody(known: Sequence[Known], control: Control) -> bool:
    """Whether anything is wrong that no person wished for: an outside watcher that hears nothing tells them,
    also where mail does not."""
    wished = set() if conditions.is_turned_by_the_bot(control) else {"kill switch"}
    names = {each.incident.name for each in known if each.incident.ended_at is None}
    return bool(names - wished)


# ---- gathering ---------------------------------------------------------------------------------------------


def _refusal(store: Store) -> str | None:
    """Whether the database that was no use answers, and is of another version: then this is why."""
    try:
        store.check_schema()
    except StartRefused as error:
        return str(error)
    except DatabaseUnavailable:
        return None
    return None


def read_books(tx: Transaction, now: datetime, *, is_mail: bool) -> Books:
    """What the tables say, for the conditions of mail and screen."""
    assets, cycles = tx.assets(), tx.live_cycles()
    locked = {asset.id for asset in assets if asset.lock_reason is not None}
    return Books(
        control=tx.control(),
        assets=assets,
        cycles=cycles,
        locked={each.asset_id: tx.orders_of_cycles([each.id]) for each in cycles if each.asset_id in locked},
        orders=tx.open_orders(),
        good_runs=tx.last_good_runs(),
        run_starts=tx.run_starts_since(now - 2 * conditions.LONGEST_OVERDUE),
        errors=tx.error_cycles(now - DAY),
        unsent=tx.unsent_mails() if is_mail else (),
    )


def _known(tx: Transaction, now: datetime) -> tuple[Known, ...]:
    """Open incidents and those that ended within a day, with what was mailed about them."""
    found = [*tx.open_incidents(), *tx.incidents_ended_since(now - DAY)]
    mailed = tx.newest_mails([name for each in found for name in (each.name, OVER + each.name)])

    def since_it_began(name: str, incident: Incident) -> datetime | None:
        at = mailed.get(name)
        return at if at is not None and at >= incident.began_at else None

    return tuple(
        Known(
            incident=each,
            told_at=since_it_began(each.name, each),
            told_over_at=since_it_began(OVER + each.name, each),
        )
        for each in found
    )


def _held_symbols(tx: Transaction) -> list[str]:
    held = {cycle.asset_id for cycle in tx.live_cycles() if cycle.quantity > 0}
    return [asset.asset_symbol for asset in tx.assets() if asset.id in held]


def _day(tx: Transaction, now: datetime, bids: Mapping[str, Decimal]) -> Day:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    spans = {"today": midnight, "7 days": now - 7 * DAY, "30 days": now - 30 * DAY, "in all": None}
    return Day(
        at=now,
        control=tx.control(),
        profits=[(label, *tx.profit_since(since)) for label, since in spans.items()],
        assets=tx.assets(),
        cycles=tx.live_cycles(),
        incidents=tx.incidents_since(now - DAY),
        jobs=tx.job_health_since(now - DAY),
        mails_waiting=len(tx.unsent_mails()),
        bids=bids,
    )


def _record(tx: Transaction, known: Outage) -> None:
    """Write into the tables what reviews said while the database was no use; this review then ends it."""
    lately = [*tx.open_incidents(), *tx.incidents_since(known.began_at)]
    if known.name not in {each.name for each in lately}:
        incident = Incident(
            id=0,
            name=known.name,
            kind=IncidentKind.HEALTH,
            subject=known.subject,
            evidence=known.subject,
            began_at=known.began_at,
            seen_at=known.mailed_at or known.began_at,
            mails=int(known.mailed_at is not None),
        )
        tx.put_incident(incident)
    last = tx.newest_mails([known.name]).get(known.name)
    if known.mailed_at is not None and (last is None or last < known.mailed_at):
        tx.put_sent_mail(known.name, known.subject, known.subject, known.mailed_at)


def disks(*folders: Path) -> list[Disk] | None:
    """One of each file system; None if one cannot be asked."""
    found: dict[int, Disk] = {}
    try:
        for folder in folders:
            usage = shutil.disk_usage(folder)
            found.setdefault(
                folder.stat().st_dev, Disk(folder=str(folder), free=usage.free, total=usage.total)
            )
    except OSError:
        return None
    return list(found.values())


# ---- saying ------------------------------------------------------------------------------------------------


def _tell(changes: Changes) -> None:
    for incident in changes.begun:
        warn("incident", "begins", why=f"{incident.name}: {incident.subject}")
    for incident in changes.ended:
        fact("incident", "over", why=f"{incident.name}: {incident.subject}")


def _scrubber(settings: Settings) -> Callable[[str], str]:
    """No secret of the settings is in a mail or a row, whoever wrote the text; and the text can be stored."""
    email, exchange = settings.email, settings.exchange
    secrets = {
        exchange.secret_key,
        exchange.key_id,
        settings.database.password,
        settings.heartbeat_ping_url or "",
        email.smtp_password or "" if email is not None else "",
    }
    hidden = sorted((each for each in secrets if len(each) >= SHORTEST_SECRET), key=len, reverse=True)

    def scrub(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, "***")
        return text.encode("utf-8", "replace").decode()[:LONGEST_TEXT]

    return scrub
