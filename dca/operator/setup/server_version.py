"""Which database servers are new enough. Pure."""

import re

_OLDEST = {"MariaDB": (10, 6, 0), "MySQL": (8, 0, 19)}


def label(version: str) -> str:
    """A server's version as it names itself, with its kind."""
    return f"{_kind(version)} {version}"


def problem(version: str) -> str | None:
    """Why it is too old; None if it is not, or if its version has no number."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", version.removeprefix("5.5.5-"))
    if found is None or tuple(int(part or 0) for part in found.groups()) >= _OLDEST[_kind(version)]:
        return None
    return f"{label(version)} is too old (MariaDB 10.6 or MySQL 8.0.19 at least)"


def _kind(version: str) -> str:
    return "MariaDB" if "mariadb" in version.lower() else "MySQL"
