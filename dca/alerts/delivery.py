"""Carries mail from the table to the server, one process at a time; and the ping for an outside watcher."""

import fcntl
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from dca.alerts.bundling import HOUR, Letter, plan
from dca.core.errors import DatabaseUnavailable
from dca.core.interfaces import Clock
from dca.core.operations import Mail
from dca.database.store import Store, Transaction
from dca.runtime.log_lines import fact, warn
from dca.runtime.settings import Settings

Taken = list[tuple[Mail, datetime]]
"""Mails that the server took, and when."""


class Postman:
    def __init__(
        self, settings: Settings, clock: Clock, seconds: float, trust: ssl.SSLContext | None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._seconds = seconds
        self._trust = trust

    def deliver(self, store: Store) -> None:
        """Send what waits in the table, as far as the budget goes."""
        if self._settings.email is None:
            return
        with locked(self._settings.state_dir / "alerts.lock", 0, self._clock) as is_ours:
            if not is_ours:
                return  # whoever delivers takes it along, or the next review does
            try:
                self._deliver(store)
            except DatabaseUnavailable as error:
                warn("mail", "not all is noted", why=str(error))

    def _deliver(self, store: Store) -> None:
        now = self._clock.now()
        waiting, sent_at = store.transaction(lambda tx: (tx.unsent_mails(), tx.sent_times_since(now - HOUR)))
        letters = plan(waiting, sent_at, now)
        if not letters:
            return
        taken, refused = self._send(letters, {mail.last_error for mail in waiting})

        def work(tx: Transaction) -> None:
            for mail, at in taken:
                tx.mail_was_tried(mail, at, None)
            for mail, error in refused:
                tx.mail_was_tried(mail, now, error)

        store.transaction(work)

    def send_now(self, letters: Sequence[Letter]) -> Taken:
        """Send without a table; returns what the server took."""
        if self._settings.email is None or not letters:
            return []
        with locked(self._settings.state_dir / "alerts.lock", 0, self._clock) as is_ours:
            return self._send(letters, set())[0] if is_ours else []

    def _send(
        self, letters: Sequence[Letter], known_errors: set[str | None]
    ) -> tuple[Taken, list[tuple[Mail, str]]]:
        """A letter's mails have its time; letters have different ones, because the budget counts times."""
        assert self._settings.email is not None
        from dca.alerts import smtp  # SMTP, TLS and the mail format: only where there is a mail to send

        now = self._clock.now()
        done = smtp.deliver(letters, self._settings.email, now, seconds=self._seconds, trust=self._trust)
        rest = done.trouble or "not tried"
        errors = [*done.errors, *[rest] * (len(letters) - len(done.errors))]
        taken: Taken = []
        refused: list[tuple[Mail, str]] = []
        for number, (letter, error) in enumerate(zip(letters, errors, strict=True)):
            if error is not None:
                refused += [(mail, error) for mail in letter.mails]
                continue
            fact("mail", "sent", subject=letter.subject)
            taken += [(mail, now + timedelta(microseconds=number)) for mail in letter.mails]
        for error in dict.fromkeys(error for _, error in refused):
            if error not in known_errors:
                warn("mail", "not sent; it waits, and is tried again", why=error)
        return taken, refused

    def ping(self) -> None:
        """Tell an outside watcher that all goes its way, if there is one."""
        url = self._settings.heartbeat_ping_url
        if url is not None:
            from dca.alerts.outside_ping import ping  # an HTTP client, for the few who have a watcher

            ping(url)


@contextmanager
def locked(path: Path, seconds: float, clock: Clock) -> Iterator[bool]:
    """Hold a lock file; False if somebody else still does after `seconds`. One that cannot be opened (the
    disk is full, or gone) keeps nobody from saying so."""
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        warn("review", f"{path.name} cannot be opened", why=str(error))
        yield True
        return
    with file:
        until = clock.monotonic() + seconds
        while not _held(file.fileno()):
            if clock.monotonic() >= until:
                yield False
                return
            time.sleep(0.05)
        yield True


def _held(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
