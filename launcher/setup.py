"""The set-up steps, one launch at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from launcher import environment, server_packages
from launcher.output import VAR, make_folder, say


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the set-up lock: two launches at once must not install into the same folder."""
    make_folder(VAR)
    with (VAR / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("set-up: another launch is at it; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock.fileno(), True)  # what set-up runs holds it too, for as long as it runs
        yield


def ensure(*, development: bool = False, database: bool = False) -> None:
    """Take the steps that have not been taken yet; silent when there are none.

    Raises:
        SetUpProblem: with what to do.
    """
    with _alone():
        if database:
            server_packages.ensure()  # first: what is missing here may need the operator
        environment.ensure(development=development)
