"""Whose the folders are: what root makes in a user's folder, that user's bot cannot use any more.

Standard library only: the launcher asks too, before there are any packages.
"""

import os
import pwd
from collections.abc import Iterable
from pathlib import Path


def refusal(folders: Iterable[Path], euid: int, command: str) -> str | None:
    """Why this process must make nothing in these folders; None if it may.

    Only root is asked about: others cannot write where they must not. A folder whose owner this machine does
    not know, as in a container, is nobody's here.
    """
    if euid != 0:
        return None
    for folder in folders:
        user = owner(folder)
        if user is not None and user != "root":
            return (
                f"{folder} belongs to {user}, whose bot could not use what root makes in it: run this as "
                f"{user}, like  sudo -u {user} {command}"
            )
    return None


def owner(path: Path) -> str | None:
    """The name of the user whose a file is; None: there is no such file, or no such user."""
    try:
        return pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError):
        return None


def remedy(error: OSError) -> str:
    """What to do about a file that may not be used."""
    path = Path(str(error.filename or "."))
    nearest = next((each for each in (path, *path.parents) if each.exists()), path)
    name, me = owner(nearest), pwd.getpwuid(os.geteuid()).pw_name if _has_name() else str(os.geteuid())
    if isinstance(error, PermissionError) and name not in {None, me}:
        return f"{nearest} belongs to {name}, and this runs as {me}: sudo chown -R {me} {nearest}"
    return "check LOG_DIR and STATE_DIR and their rights"


def _has_name() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True
