"""What may go out now, and how many mails go in one. Pure.

Apart from `alerts`, which sends it: most reviews have nothing to send, and do without what SMTP takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dca.alerts.conditions import MONEY_NAMES
from dca.alerts.incidents import OVER, is_judged
from dca.core.operations import Mail

DEADLINE_SECONDS = 10.0
"""For connecting and sending everything in hand: the whole of it, not each wait."""
BUDGET = 10
"""Mails an hour, over all processes."""
HOUR = timedelta(hours=1)
SINGLES = 6
"""So many go out one by one; the rest of the budget is for mails that carry all that wait."""
BUNDLE_EVERY = timedelta(minutes=10)
MOST_BUNDLED = 200
MONEY = (*MONEY_NAMES, "delayed")
ONLY_TOLD = ("digest", "cycle")
"""Names of mails, or their first words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail as it goes out. `id` makes the Message-ID: the same letter sent twice is known as one."""

    id: str
    subject: str
    body: str
    mails: tuple[Mail, ...] = ()
    """The rows that it delivers."""


def plan(waiting: Sequence[Mail], sent_at: Sequence[datetime], now: datetime) -> list[Letter]:
    """What may go out now, the most urgent first. `sent_at`: when letters went out lately.

    The first SINGLES of an hour go one by one; after that one letter every BUNDLE_EVERY carries all that
    wait, so nothing waits for long and nothing is dropped.
    """
    recent = [at for at in sent_at if timedelta(0) <= now - at < HOUR]
    if not waiting or len(recent) >= BUDGET:
        return []
    waiting = urgent_first(waiting)
    singles = max(0, SINGLES - len(recent))
    if len(waiting) <= singles:
        return [_single(mail) for mail in waiting]
    if singles:
        head, tail = waiting[: singles - 1], waiting[singles - 1 :]
        return [*(_single(mail) for mail in head), _bundle(tail)]
    if now - max(recent) < BUNDLE_EVERY:
        return []
    return [_bundle(waiting)]


def urgent_first(waiting: Sequence[Mail]) -> list[Mail]:
    """Money, then what else is wrong, then what is over and what is only told. The mails about one incident
    stay together in their order, and are as urgent as the newest of them: the last word must be the last."""
    about: dict[str, list[Mail]] = {}
    for mail in waiting:
        about.setdefault(mail.name.removeprefix(OVER), []).append(mail)
    groups = sorted(about.values(), key=lambda mails: _rank(mails[-1].name))
    return [mail for mails in groups for mail in mails]


def _rank(name: str) -> int:
    if name.startswith(OVER) or is_judged(name, ONLY_TOLD):
        return 2
    return 0 if is_judged(name, MONEY) else 1


def _single(mail: Mail) -> Letter:
    return Letter(id=_id(mail), subject=mail.subject, body=mail.body, mails=(mail,))


def _bundle(waiting: Sequence[Mail]) -> Letter:
    mails = tuple(waiting[:MOST_BUNDLED])
    if len(mails) == 1:
        return _single(mails[0])
    first = mails[0].subject
    venue = first[: first.index("]") + 1] if first.startswith("[") and "]" in first else ""
    head = [
        f"{len(mails)} mails in one, the most urgent first: there is a limit of {BUDGET} mails an hour.",
        "",
        *(f"{number}. {mail.subject}" for number, mail in enumerate(mails, 1)),
    ]
    parts = [
        f"---- {number} of {len(mails)}, written at {mail.created_at:%Y-%m-%d %H:%M:%S} UTC\n"
        f"{mail.subject}\n\n{mail.body}"
        for number, mail in enumerate(mails, 1)
    ]
    return Letter(
        id=f"{_id(mails[0])}-{mails[-1].id}",
        subject=f"{venue} {len(mails)} mails in one".strip(),
        body="\n\n".join(["\n".join(head), *parts]),
        mails=mails,
    )


def _id(mail: Mail) -> str:
    return f"{mail.id}-{mail.created_at:%Y%m%d%H%M%S%f}"
