"""Addresses that lead nowhere, on this machine, and a name whose first address is one."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT

DEAD, LIVING = "127.0.0.3", "127.0.0.1"
_HOSTS = "::1 localhost\n127.0.0.1 localhost\n"


@contextlib.contextmanager
def hole(host: str = DEAD, port: int = 0) -> Iterator[int]:
    """Nobody answers there: its queue of connections is full. Its port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket(family))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        where = listener.getsockname()
        for _ in range(20):
            filling = held.enter_context(socket.socket(family))
            filling.settimeout(0.5)
            try:
                filling.connect(where)
            except TimeoutError:
                break
        else:
            pytest.fail("the queue is never full")
        yield int(where[1])


@contextlib.contextmanager
def mute(host: str = DEAD, port: int = 0) -> Iterator[int]:
    """It takes every connection, and says nothing. Its port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(50)
        yield int(listener.getsockname()[1])


def with_two_addresses(folder: Path) -> list[str]:
    """What is written before a command, for which localhost is ::1 first and then 127.0.0.1."""
    hosts = folder / "hosts"
    hosts.write_text(_HOSTS)
    inside = f'mount --bind "{hosts}" /etc/hosts && exec "$@"'
    flags = "-m" if os.geteuid() == 0 else "-rm"
    command = ["unshare", flags, "sh", "-c", inside, "sh"]
    look = "from dca.runtime import addresses; print([where[0] for _, where in addresses.of('localhost', 1)])"
    try:
        said = subprocess.run(
            [*command, sys.executable, "-c", look], capture_output=True, text=True, timeout=60, cwd=ROOT
        )
    except OSError as error:
        pytest.skip(f"takes unshare: {error}")
    if said.returncode != 0:
        pytest.skip(f"takes a mount namespace: {said.stderr.strip()}")
    if said.stdout.strip() != "['::1', '127.0.0.1']":
        pytest.skip(f"localhost is not ::1 first: {said.stdout.strip()}")
    return command
