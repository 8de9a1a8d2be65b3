"""A private database server: own folder, socket and port; it ends when we end."""

import fcntl
import getpass
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from launcher import server_packages
from launcher.commands import logged, spawn, stop
from launcher.output import LOG, VAR, SetUpProblem, make_folder, step, tail
from launcher.programs import Programs

_LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes 107, and the server makes a .lock file beside it."""
_MOST_AT_ONCE = 8
_READY = "ready"


class PrivateServer:
    """A server under var/db/ that only this operating-system user can administer; MySQL's is var/db-mysql/.

    A second one at the same time takes var/db.2/ and so on. Nothing outside the folder is read or touched: no
    my.cnf, no running server. After a crash the next start recovers what was committed.
    """

    def __init__(self, directory: Path = VAR / "db", *, options: Sequence[str] = ()) -> None:
        self._first_choice = directory
        self._options = tuple(options)
        self.directory = directory
        self.socket = Path()
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._scratch: Path | None = None
        self._programs: Programs | None = None

    def __enter__(self) -> "PrivateServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def start(self, patience_seconds: float = 60) -> None:
        """Start, and wait until it answers.

        Raises:
            SetUpProblem: it does not start; includes the end of its log.
        """
        self._programs = server_packages.ensure()
        if self._programs.is_mysql:
            self._first_choice = self._first_choice.with_name(f"{self._first_choice.name}-mysql")
        self._take_directory()
        with ExitStack() as undo:
            undo.callback(self.stop)
            if not (self.directory / _READY).exists():
                with step(f"database directory {self.directory}"):
                    self._install()
            self.socket = self._socket_path()
            self.port = _free_port()
            self._launch()
            self._wait(patience_seconds)
            undo.pop_all()

    def stop(self) -> None:
        """End the server that we started; does nothing if there is none."""
        if self._process is not None:
            stop(self._process, 20)
            self._process = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def create_database(self, name: str, user: str, password: str) -> None:
        """Create an empty database, and a user with all privileges on it alone."""
        self.create_user(user, password, f"`{_word(name)}`.*", first=f"CREATE DATABASE `{_word(name)}`;\n")

    def create_user(self, user: str, password: str, on: str = "*.*", *, first: str = "") -> None:
        """Create a user with all privileges on databases; by default on all of them."""
        secret = password.replace("\\", "\\\\").replace("'", "\\'")
        statements = [first]
        for host in ("localhost", "127.0.0.1"):
            account = f"'{_word(user)}'@'{host}'"
            statements.append(f"DROP USER IF EXISTS {account};\n")
            statements.append(f"CREATE USER {account} IDENTIFIED BY '{secret}';\n")
            statements.append(f"GRANT ALL ON {on} TO {account};\n")
        self.run("".join(statements))

    def drop_database(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS `{_word(name)}`;\n")

    def databases(self) -> list[str]:
        """The names of all databases except the server's own."""
        own = {"information_schema", "performance_schema", "mysql", "sys", "Database"}
        return [name for name in self.run("SHOW DATABASES;\n").split() if name not in own]

    def run(self, statements: str, database: str | None = None) -> str:
        """Run statements as the server's administrator with the command-line client; returns its output.

        Raises:
            SetUpProblem: with the server's message.
        """
        assert self._programs is not None, "the server has been started"
        command = [*self._programs.client, "--default-character-set=utf8mb4", "--batch"]
        user = "root" if self._programs.is_mysql else _me()
        command += ["--skip-column-names", "-u", user, "-S", str(self.socket)]
        if database is not None:
            command.append(_word(database))
        answer = subprocess.run(command, input=statements, capture_output=True, text=True)
        if answer.returncode != 0:
            raise SetUpProblem(f"the database server refused: {answer.stderr.strip()}")
        return answer.stdout

    def load(self, file: Path, database: str) -> None:
        """Run a file of statements in a database, like `mysql database < file`."""
        self.run(file.read_text(encoding="utf-8"), database)

    def _take_directory(self) -> None:
        """Lock the folder, or the next one if another launch has it."""
        make_folder(self._first_choice.parent)
        for number in range(1, _MOST_AT_ONCE + 1):
            name = self._first_choice.name if number == 1 else f"{self._first_choice.name}.{number}"
            directory = self._first_choice.with_name(name)
            make_folder(directory)
            directory.chmod(0o700)
            lock = (directory / "lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            self.directory, self._lock = directory, lock
            return
        raise SetUpProblem(
            f"{_MOST_AT_ONCE} servers already run under {self._first_choice.parent}; end one of them"
        )

    def _install(self) -> None:
        """Make an empty data directory; only this system user may log in, over the socket. MySQL's root has
        no password, and is root@localhost: without names that is the socket, whose folder is ours alone."""
        assert self._programs is not None, "the programs have been found"
        shutil.rmtree(self.directory / "data", ignore_errors=True)
        temporary = self._temporary().name
        # MariaDB's installer is a shell script that takes a path with a blank for two words.
        with tempfile.TemporaryDirectory(prefix="dca-db-") as folder:
            plain = Path(folder) / "db"
            plain.symlink_to(self.directory)
            command = [*self._programs.installer, f"--user={_me()}", f"--datadir={plain / 'data'}"]
            command.append(f"--tmpdir={plain / temporary}")
            if not self._programs.is_mysql:
                command += ["--auth-root-authentication-method=socket", f"--auth-root-socket-user={_me()}"]
                command += ["--skip-test-db", "--skip-name-resolve"]
            code = logged(command)
        if code != 0:
            raise SetUpProblem(f"could not create the database directory; end of {LOG}:\n{tail(LOG)}")
        (self.directory / _READY).touch()

    def _temporary(self) -> Path:
        """Where the server's temporary tables go: two servers in one folder would take each other's."""
        folder = self.directory / "tmp"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def _socket_path(self) -> Path:
        """In our folder, or in a private temporary one when that path is too long for a socket."""
        path = self.directory / "server.sock"
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            self._scratch = Path(tempfile.mkdtemp(prefix="dca-db-"))
            path = self._scratch / "server.sock"
        path.unlink(missing_ok=True)  # the lock is ours: whoever listened there is gone
        return path

    def _launch(self) -> None:
        assert self._programs is not None, "the programs have been found"
        options = [
            f"--datadir={self.directory / 'data'}",
            f"--socket={self.socket}",
            f"--port={self.port}",
            f"--pid-file={self.directory / 'server.pid'}",
            f"--tmpdir={self._temporary()}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-rollback-on-timeout=ON",
            "--innodb-buffer-pool-size=64M",
            "--max-connections=200",
            "--character-set-server=utf8mb4",
            *(["--user=root"] if os.geteuid() == 0 else []),
            *(["--mysqlx=OFF"] if self._programs.is_mysql else []),
            *self._options,
        ]
        with self.log.open("wb") as log:
            self._process = spawn(
                [*self._programs.server, *options],
                output=log,
                cwd=self.directory,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
                own_session=True,
            )

    def _wait(self, patience_seconds: float) -> None:
        deadline = time.monotonic() + patience_seconds
        while True:
            assert self._process is not None, "the server has been launched"
            code = self._process.poll()
            if code is not None:
                raise SetUpProblem(f"the database server ended ({code}); {self.log} ends:\n{tail(self.log)}")
            if self.socket.exists():
                with suppress(SetUpProblem):
                    self.run("SELECT 1;\n")
                    return
            if time.monotonic() > deadline:
                raise SetUpProblem(f"the database server does not answer; see {self.log}")
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _me() -> str:
    try:
        return getpass.getuser() if os.geteuid() != 0 else "root"
    except (KeyError, OSError):
        raise SetUpProblem(f"this user ({os.geteuid()}) has no name, and the server wants one") from None


def _word(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ValueError(f"not a plain name: {name!r}")
    return name
