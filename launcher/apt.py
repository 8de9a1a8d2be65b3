"""Packages of the distribution (Debian, Ubuntu): installed if we are root, else named in one line."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from launcher.commands import logged

_POLICY = Path("/usr/sbin/policy-rc.d")
_QUIET = {"DEBIAN_FRONTEND": "noninteractive"}
_updated: list[bool] = []


def is_here() -> bool:
    return shutil.which("apt-get") is not None


def _as_root() -> list[str] | None:
    """The prefix of a command that needs root ([] or sudo); None if we cannot become root."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None:
        return None
    allowed = subprocess.run([sudo, "-n", "true"], capture_output=True, stdin=subprocess.DEVNULL)
    return [sudo, "-n"] if allowed.returncode == 0 else None


def may_install() -> bool:
    return is_here() and _as_root() is not None


def install(packages: Sequence[str], *, starts_services: bool = False) -> bool:
    """Install packages without their recommendations; removes none. Returns whether it worked.

    `starts_services`: the packages would start a server of their own, which is prevented.
    """
    root = _as_root()
    if root is None or not is_here():
        return False
    env = ["env", *(f"{name}={value}" for name, value in _QUIET.items())]
    if not _updated:
        logged([*root, *env, "apt-get", "update"])  # a mirror that is down may not matter
        _updated.append(True)
    command = [*root, *env, "apt-get", "install", "-y", "--no-install-recommends", "--no-remove", *packages]
    if not starts_services:
        return logged(command) == 0
    with _no_services(root):
        return logged(command) == 0


@contextmanager
def _no_services(root: list[str]) -> Iterator[None]:
    """A context in which no package starts a service (invoke-rc.d asks policy-rc.d)."""
    if _POLICY.exists():
        yield
        return
    script = f"printf '#!/bin/sh\\nexit 101\\n' > {_POLICY} && chmod 755 {_POLICY}"
    logged([*root, "sh", "-c", script])
    try:
        yield
    finally:
        logged([*root, "rm", "-f", str(_POLICY)])
