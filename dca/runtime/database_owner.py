"""Whose a database is: one installation's, for as long as it gives signs of life; any other stands down.

Two main_apps in two folders, or on two machines, would end each other's starts for ever: a lock file keeps
only those of one folder apart. A machine that was cloned, disk and all, differs from the other by its boot.
"""

import os
import socket
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from dca.core.operations import Owner
from dca.runtime.clock import seconds_since_boot
from dca.runtime.settings import ROOT

FREE_AFTER = timedelta(minutes=3)
"""Cron gives a sign of life every minute, also while main_app is stopped or left down."""
RENEW_SECONDS = 30.0
_LONGEST = 270
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def ours(state_dir: Path) -> str:
    """What this installation is called: machine, folder, a mark that no copy of the folder elsewhere has by
    chance, as machines and folders are often named alike, and the machine's boot."""
    return f"{socket.gethostname()}:{ROOT}"[:_LONGEST] + f"#{_mark(state_dir / 'installation')}@{_boot()}"


def is_ours(owner: Owner, us: str, now: datetime, since_boot: float | None = None) -> bool:
    """Whether the owner is this installation, or was it before this boot of the machine. One of our name that
    gave a sign of life since then, from another boot, is a clone."""
    if owner.name == us:
        return True
    (theirs, boot), (name, _) = _in_two(owner.name), _in_two(us)
    if theirs != name:
        return False
    up = seconds_since_boot() if since_boot is None else since_boot
    return boot == "" or owner.seen_at < now - timedelta(seconds=up)


def refusal(
    owner: Owner | None, us: str, now: datetime, database: str, since_boot: float | None = None
) -> str | None:
    """Why this installation must leave the database alone; None if it is ours, or nobody's any more."""
    if owner is None or is_ours(owner, us, now, since_boot):
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


def _in_two(name: str) -> tuple[str, str]:
    """The installation, and the boot; a folder may have any letter in its name."""
    place, _, rest = name.rpartition("#")
    mark, _, boot = rest.partition("@")
    return f"{place}#{mark}", boot


def _boot() -> str:
    with suppress(OSError):
        return _BOOT.read_text(encoding="ascii")[:8]
    return "-"


def _mark(file: Path) -> str:
    """Made once; "-" where nothing can be kept."""
    with suppress(OSError):
        with suppress(FileExistsError):
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as made:
                made.write(os.urandom(4).hex())
        return "".join(letter for letter in file.read_text(encoding="ascii") if letter.isalnum())[:8] or "-"
    return "-"
