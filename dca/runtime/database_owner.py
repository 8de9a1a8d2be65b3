"""Whose a database is: one installation's, for as long as it gives signs of life; any other stands down.

Two main_apps in two folders, or on two machines, would end each other's starts for ever: a lock file keeps
only those of one folder apart.
"""

import os
import socket
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from dca.core.operations import Owner
from dca.runtime.settings import ROOT

FREE_AFTER = timedelta(minutes=3)
"""Cron gives a sign of life every minute, also while main_app is stopped or left down."""
RENEW_SECONDS = 30.0
_LONGEST = 280


def ours(state_dir: Path) -> str:
    """What this installation is called: machine, folder, and a mark that no copy of the folder elsewhere has
    by chance: machines and folders are often named alike."""
    return f"{socket.gethostname()}:{ROOT}"[:_LONGEST] + f"#{_mark(state_dir / 'installation')}"


def refusal(owner: Owner | None, us: str, now: datetime, database: str) -> str | None:
    """Why this installation must leave the database alone; None if it is ours, or nobody's any more."""
    if owner is None or owner.name == us:
        return None
    silent = now - owner.seen_at
    if not -FREE_AFTER < silent < FREE_AFTER:  # a time far ahead is of a clock that was wrong
        return None
    return (
        f"the database {database} belongs to the installation {owner.name}, seen "
        f"{silent.total_seconds():.0f} s ago: give this one ({us}) a database of its own in .env, or end "
        "one of the two (./bot uninstall and ./bot stop there); it is free "
        f"{FREE_AFTER.total_seconds() / 60:.0f} minutes later"
    )


def _mark(file: Path) -> str:
    """Made once; "-" where nothing can be kept."""
    with suppress(OSError):
        with suppress(FileExistsError):
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as made:
                made.write(os.urandom(4).hex())
        return "".join(letter for letter in file.read_text(encoding="ascii") if letter.isalnum())[:8] or "-"
    return "-"
