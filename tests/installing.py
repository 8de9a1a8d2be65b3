"""A machine with a crontab that a test's person installs on, its administrator, and values hard to quote."""

import getpass
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import mysql.connector
import pytest

from dca.database.store import Store
from dca.operator.setup import env_file
from dca.runtime.settings import DatabaseSettings
from tests.conftest import Server
from tests.processes import ROOT

ODD = [
    "plain",
    'with "double" quotes',
    "with 'single' quotes",
    """both ' and " of them""",
    "a # b",
    "#first",
    "$HOME ${DB_USER} `id`",
    "back\\slash \\n \\\\ end\\",
    '\\"',
    "\\'",
    "=a=b",
    "ä€😀",
    "%s {x}",
]


CRONTAB = """#!/bin/sh
case "$1" in
-l) [ -f "$0.file" ] && exec cat "$0.file"; echo "no crontab for somebody" >&2; exit 1 ;;
-) [ -f "$0.broken" ] && { echo "disk full" >&2; exit 1; }; exec cat > "$0.file" ;;
esac
"""
SECRETS = {"APCA_API_SECRET_KEY": "s3cret'key", "DB_PASSWORD": 'p4ss "w#rd', "APCA_API_KEY_ID": "PKPLANTED"}


@dataclass
class Machine:
    """A machine with a crontab program, and a person who installs on it."""

    folder: Path
    server: Server
    values: dict[str, str]
    outside: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> Path:
        return self.folder / "my env"

    @property
    def crontab(self) -> Path:
        return self.folder / "bin" / "crontab.file"

    def write_env(self, *without: str) -> None:
        lines = [
            f"{name}={env_file.quoted(text)}\n" for name, text in self.values.items() if name not in without
        ]
        self.env.write_text("# mine\n" + "".join(lines))
        self.env.chmod(0o600)

    def environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:/usr/bin:/bin"
        wide = {"COLUMNS": "300"}  # long paths, and whole lines to look for
        return {"PATH": path, "HOME": str(self.folder), "DCA_ENV_FILE": str(self.env), **wide, **self.outside}

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        answer = subprocess.run(
            [sys.executable, "-m", "dca.operator", *arguments],
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        for secret in SECRETS.values():
            assert secret not in answer.stdout + answer.stderr
        return answer

    def steps(self, *arguments: str) -> dict[str, str]:
        """What the steps said, by name."""
        output = self.run(*arguments).stdout
        return {
            name: " ".join(said.split())
            for name, said in re.findall(r"^([a-z][a-z_ ]+): +((?:.|\n(?![a-z_ ]+:|# >>>))*)", output, re.M)
        }

    def type(self, answers: list[tuple[str, str | None]], *arguments: str) -> str:
        """Wait for texts at a terminal and answer them; returns all that stood on it."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "dca.operator", *arguments],
            cwd=ROOT,
            env=self.environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        screen, seen = b"", 0
        try:
            for prompt, answer in answers:
                while (found := screen.find(prompt.encode(), seen)) < 0:
                    screen += _next(ours, screen)
                seen = found + len(prompt.encode())
                if answer is not None:
                    os.write(ours, answer.encode() + b"\n")
            with suppress(EOFError):
                while True:
                    screen += _next(ours, screen)
        finally:
            os.close(ours)  # which also ends a process that waits for an answer
            process.wait(20)
        return screen.decode()

    def actions(self, database: DatabaseSettings) -> list[str]:
        with Store(database) as store:
            return [f"{each.command}: {each.effect}" for each in store.transaction(lambda tx: tx.actions())]


def _next(terminal: int, so_far: bytes) -> bytes:
    ready, _, _ = select.select([terminal], [], [], 20)
    assert ready, f"nothing more came after {so_far.decode()!r}"
    try:
        more = os.read(terminal, 10_000)
    except OSError:  # what a terminal says whose other side is closed
        more = b""
    if not more:
        raise EOFError
    return more


@pytest.fixture
def root(server: Server) -> Server:
    """The server as its administrator, who logs in over the socket and may give rights."""
    for name in ("root", getpass.getuser()):
        administrator = Server(replace(server.settings, user=name, password=""))
        with suppress(mysql.connector.Error):
            administrator.run("SELECT 1")
            return administrator
    pytest.skip("takes a server whose administrator may log in over the socket")


@pytest.fixture
def machine(tmp_path: Path, root: Server, empty_database: DatabaseSettings) -> Iterator[Machine]:
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(CRONTAB)
    program.chmod(0o700)
    user = f"u{os.getpid()}"
    root.run(
        f"DROP USER IF EXISTS '{user}'@'localhost'",
        f"CREATE USER '{user}'@'localhost' IDENTIFIED BY '{SECRETS['DB_PASSWORD']}'",
        f"GRANT ALL ON {empty_database.name}.* TO '{user}'@'localhost'",
    )
    values = {
        **SECRETS,
        "APCA_API_BASE_URL": "http://127.0.0.1:9",
        "DB_SOCKET": str(root.settings.socket),
        "DB_USER": user,
        "DB_NAME": empty_database.name,
        "LOG_DIR": str(tmp_path / "the logs"),
        "STATE_DIR": str(tmp_path / "state"),
    }
    yield Machine(tmp_path, root, values)
    root.run(f"DROP USER '{user}'@'localhost'")
