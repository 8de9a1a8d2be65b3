"""./bot install and uninstall as processes, with an .env, a crontab and a database server of their own."""

import getpass
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import mysql.connector
import pytest
from dotenv import dotenv_values

from dca.errors import StartRefused
from dca.operator import env_file
from dca.settings import DatabaseSettings
from dca.store import SCHEMA_VERSION, Store
from dca.store_setup import make, statements
from tests.conftest import Server, connected
from tests.processes import ROOT

# ---- writing .env ----

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


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "NAME=",
        "NAME",
        "NAME=old\n",
        "NAME = 'old \\' one'  # why\nB='1'\n",
        'export NAME="old"\r\nB=1\r\n',
        "# NAME=example\nB='2'\n",
        "A='first'\nNAME=old # x\nB='last'",
        "NAME=older\nA=1\nNAME=old\n",
    ],
)
def test_values_are_read_back_as_they_were_and_the_others_stay(tmp_path: Path, text: str, value: str) -> None:
    path = tmp_path / "env"
    path.write_bytes(text.encode())
    before = dotenv_values(path, interpolate=False)
    env_file.write(path, env_file.with_values(text, {"NAME": value}))
    assert dotenv_values(path, interpolate=False) == {**before, "NAME": value}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["env"]


def test_lines_and_comments_of_a_person_stay() -> None:
    text = '\n# mine\nA=1 # one\n\nNAME="x y" # why\n# NAME=shown\nodd line\n'
    assert env_file.with_values(text, {"NAME": "new", "OTHER": "2"}) == (
        '\n# mine\nA=1 # one\n\nNAME="new" # why\n# NAME=shown\nodd line\nOTHER="2"\n'
    )


def test_a_new_name_stands_below_the_comment_that_shows_it() -> None:
    text = (ROOT / ".env.example").read_text()
    lines = env_file.with_values(text, {"WORKERS": "8"}).splitlines()
    assert lines[lines.index("# WORKERS=16") + 1] == 'WORKERS="8"'


def test_a_line_break_is_refused() -> None:
    with pytest.raises(StartRefused, match="NAME has a control character"):
        env_file.with_values("", {"NAME": "a\nB=2"})


def test_a_link_stays_a_link_and_a_wider_mode_goes(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "env"
    real.touch(0o644)
    link.symlink_to(real)
    env_file.write(link, "A=1\n")
    assert link.is_symlink() and real.read_text() == "A=1\n" and real.stat().st_mode & 0o777 == 0o600


# ---- install ----

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
        return {"PATH": path, "HOME": str(self.folder), "DCA_ENV_FILE": str(self.env), **self.outside}

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
        f"CREATE OR REPLACE USER '{user}'@'localhost' IDENTIFIED BY '{SECRETS['DB_PASSWORD']}'",
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


def test_it_installs_a_second_time_changes_nothing_and_uninstall_takes_the_block_out(
    machine: Machine, empty_database: DatabaseSettings
) -> None:
    machine.write_env()
    mine = "MAILTO=me\n0 4 * * * backup"
    machine.crontab.write_text(mine + "\n")
    steps = machine.steps("install", "--yes")
    assert steps["settings"] == "unchanged" and steps["database"] == "unchanged"
    assert steps["tables"].startswith("applied 0001_")
    text = machine.crontab.read_text()
    assert text.startswith(mine + "\n# >>> dca-suite")
    assert f"* * * * * DCA_ENV_FILE='{machine.env}' {ROOT}/venv/bin/python {ROOT}/watchdog.py" in text
    assert f">> '{machine.folder}/the logs/watchdog.log' 2>&1" in text
    for name in ("the logs", "state"):
        assert (machine.folder / name).stat().st_mode & 0o777 == 0o700
    with Store(empty_database) as store:
        assert store.schema_version() == SCHEMA_VERSION
    (action,) = machine.actions(empty_database)
    assert "install --yes: folders: made" in action and "crontab: the lines are in" in action

    before = (machine.env.read_bytes(), machine.env.stat().st_mtime_ns, machine.crontab.stat().st_mtime_ns)
    again = machine.steps("install", "--yes")
    changing = ("settings", "folders", "database", "tables", "crontab")
    assert [again[name] for name in changing] == ["unchanged"] * 5
    assert again["log rotation"].startswith("built in")
    assert before == (
        machine.env.read_bytes(),
        machine.env.stat().st_mtime_ns,
        machine.crontab.stat().st_mtime_ns,
    )
    assert len(machine.actions(empty_database)) == 1

    refused = machine.run("uninstall")  # nobody is there to say yes
    assert refused.returncode == 1 and "dca-suite" in machine.crontab.read_text()
    steps = machine.steps("uninstall", "--yes")
    assert machine.crontab.read_text() == mine + "\n"
    assert steps["crontab"].startswith("the lines are out of the crontab")
    assert "main_app" not in steps and empty_database.name in steps["what stays"]
    assert machine.actions(empty_database)[0].startswith("uninstall --yes: the lines are out")
    assert machine.env.exists()


def test_uninstall_says_that_main_app_still_runs(machine: Machine) -> None:
    machine.write_env()
    state = machine.folder / "state"
    state.mkdir()
    with _locked(state / "main_app.lock"):
        assert "./bot stop ends it" in machine.run("uninstall").stdout


def test_uninstall_needs_neither_settings_nor_a_database(machine: Machine) -> None:
    answer = machine.run("uninstall")
    assert answer.returncode == 0 and "unchanged" in answer.stdout


def test_tables_are_not_changed_under_a_running_main_app(machine: Machine) -> None:
    machine.write_env()
    state = machine.folder / "state"
    state.mkdir()
    with _locked(state / "main_app.lock"):
        answer = machine.run("install", "--yes")
    assert answer.returncode == 1 and "./bot stop" in answer.stderr
    assert not machine.crontab.exists()


def test_print_shows_everything_and_does_nothing(machine: Machine) -> None:
    machine.outside = {"APCA_API_KEY_ID": SECRETS["APCA_API_KEY_ID"]}
    shown = machine.run("install", "--print")
    assert shown.returncode == 0
    assert "from the environment: APCA_API_KEY_ID" in shown.stdout
    assert "asked for: APCA_API_SECRET_KEY, DB_USER, DB_PASSWORD" in shown.stdout
    assert "CREATE USER IF NOT EXISTS 'dca'@'localhost' IDENTIFIED BY '...', " in shown.stdout
    assert "0001_readme_tables" in shown.stdout and "# >>> dca-suite" in shown.stdout
    machine.write_env()
    again = machine.run("install", "--print").stdout
    assert "asked for" not in again and " gets it:" in again
    assert {each.name for each in machine.folder.iterdir()} == {"bin", "my env"}
    assert not machine.crontab.exists()


def test_what_is_missing_is_named_and_nothing_is_done(machine: Machine) -> None:
    machine.write_env("APCA_API_SECRET_KEY", "DB_NAME")
    before = machine.env.read_bytes()
    for arguments in (["install", "--yes"], ["install"]):
        answer = machine.run(*arguments)
        assert answer.returncode == 2
        assert "APCA_API_SECRET_KEY is missing" in answer.stderr and "DB_NAME is missing" in answer.stderr
    assert machine.env.read_bytes() == before and not machine.crontab.exists()


def test_values_of_the_environment_go_into_the_file_which_is_private(machine: Machine) -> None:
    """cron has no environment. What stands in the file already stays."""
    machine.outside = {**machine.values, "WORKERS": "8"}
    steps = machine.steps("install", "--yes")
    assert steps["settings"].startswith("wrote") and steps["tables"].startswith("applied")
    found = dotenv_values(machine.env, interpolate=False)
    assert {**found, **machine.outside} == found
    assert machine.env.stat().st_mode & 0o777 == 0o600
    assert "# ---- Alpaca" in machine.env.read_text()  # made from the example
    machine.outside = {"WORKERS": "2"}
    machine.env.chmod(0o644)
    answer = machine.run("install", "--yes").stdout
    assert "the environment has other values for WORKERS" in answer
    assert 'WORKERS="8"' in machine.env.read_text()
    assert machine.env.stat().st_mode & 0o777 == 0o600


def test_at_a_terminal_it_asks_for_what_is_missing(
    machine: Machine, empty_database: DatabaseSettings
) -> None:
    machine.write_env(*SECRETS, "DB_NAME")
    screen = machine.type(
        [
            ("Alpaca's address", "https://api.alpaca.markets/v2"),
            ("leave out the /v2", None),
            ("Alpaca's address", ""),
            ("Alpaca key id: ", SECRETS["APCA_API_KEY_ID"]),
            ("Alpaca secret key: ", "your_key"),
            ("put your own there", None),
            ("Alpaca secret key: ", SECRETS["APCA_API_SECRET_KEY"]),
            ("Database name [dca_bot_db]: ", empty_database.name),
            (f"Database user [{machine.values['DB_USER']}]: ", ""),
            ("Database password: ", SECRETS["DB_PASSWORD"]),
            ("SMTP server (empty: no mail): ", "smtp.example.com"),
            ("SMTP port [587]: ", "eighty"),
            ("SMTP port [587]: ", ""),
            ("SMTP user (empty: no login): ", ""),
            ("SMTP password (empty: no login): ", ""),
            ("Sender: ", ""),
            ("ALERT_EMAIL_SENDER is missing", None),
            ("Sender: ", "bot@example.com"),
            ("Receiver: ", "me@example.com"),
            ("Put these lines into the crontab", "y"),
        ],
        "install",
    )
    for secret in SECRETS.values():
        assert secret not in screen
    mail = {
        "ALERT_EMAIL_SMTP_SERVER": "smtp.example.com",
        "ALERT_EMAIL_SMTP_PORT": "587",
        "ALERT_EMAIL_SENDER": "bot@example.com",
        "ALERT_EMAIL_RECEIVER": "me@example.com",
    }
    assert dotenv_values(machine.env, interpolate=False) == {**machine.values, **mail}
    assert machine.env.read_text().startswith("# mine\n")
    assert "dca-suite" in machine.crontab.read_text()


def test_without_a_crontab_program_the_rest_is_done(
    machine: Machine, empty_database: DatabaseSettings
) -> None:
    machine.outside = {"PATH": str(machine.folder / "empty")}
    machine.write_env()
    answer = machine.run("install", "--yes")
    assert "apt-get install cron" in answer.stdout and "crontab:      unchanged" in answer.stdout
    assert machine.actions(empty_database)


def test_a_crontab_that_cannot_be_written_is_told(machine: Machine) -> None:
    machine.write_env()
    (machine.folder / "bin" / "crontab.broken").touch()
    answer = machine.run("install", "--yes")
    assert answer.returncode == 1 and "the crontab was not changed: disk full" in answer.stderr


def test_a_crontab_that_cannot_be_read_is_not_taken_for_an_empty_one(machine: Machine) -> None:
    machine.write_env()
    program = machine.folder / "bin" / "crontab"
    program.write_text('#!/bin/sh\n[ "$1" = - ] && exec cat > "$0.file"\necho "not allowed" >&2; exit 1\n')
    answer = machine.run("install", "--yes")
    assert answer.returncode == 1 and "not allowed" in answer.stderr
    assert not machine.crontab.exists()


# ---- database and user ----


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Another process holds the lock, as main_app does."""
    path.touch()
    with subprocess.Popen(["flock", str(path), "cat"], stdin=subprocess.PIPE) as holder:
        while subprocess.run(["flock", "-n", str(path), "true"]).returncode == 0:
            time.sleep(0.01)
        yield
        assert holder.stdin is not None
        holder.stdin.close()


def test_without_a_login_it_prints_what_an_administrator_runs(machine: Machine) -> None:
    """Here nobody is the server's root: over the network it is not tried."""
    port = str(machine.server.settings.port)
    machine.values |= {"DB_SOCKET": "", "DB_HOST": "127.0.0.1", "DB_PORT": port, "DB_USER": "stranger"}
    machine.values["DB_NAME"] = "some_name"
    machine.outside = {}
    machine.write_env()
    answer = machine.run("install")
    assert answer.returncode == 1 and "run the statements above" in answer.stderr
    lines = [line.strip() for line in answer.stdout.splitlines()]
    assert "CREATE DATABASE IF NOT EXISTS `some_name` CHARACTER SET utf8mb4;" in lines
    assert (
        "CREATE USER IF NOT EXISTS 'stranger'@'localhost' IDENTIFIED BY '...',"
        " 'stranger'@'127.0.0.1' IDENTIFIED BY '...';"
    ) in lines
    assert r"GRANT ALL ON `some\_name`.* TO 'stranger'@'localhost', 'stranger'@'127.0.0.1';" in lines
    assert not machine.crontab.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only the system's root may be the server's")
def test_the_servers_root_makes_database_and_user(machine: Machine) -> None:
    name, user = f"dca_made_{os.getpid()}", f"made{os.getpid()}"
    machine.values |= {"DB_NAME": name, "DB_USER": user}
    machine.write_env()
    try:
        steps = machine.steps("install", "--yes")
        assert steps["database"] == f"made {name} and its user {user}"
        assert steps["tables"].startswith("applied")
    finally:
        machine.server.run(
            f"DROP DATABASE IF EXISTS {name}",
            f"DROP USER IF EXISTS '{user}'@'localhost', '{user}'@'127.0.0.1'",
        )


@pytest.mark.parametrize("password", ["plain", "".join(ODD)])
def test_the_user_that_is_made_can_log_in_and_sees_nothing_else(root: Server, password: str) -> None:
    name, user = f"dca_x_{os.getpid()}", f"x{os.getpid()}"
    database = replace(root.settings, name=name, user=user, password=password)
    shown = statements(database)
    assert len(shown) == 3 and password not in "".join(shown).replace(user, "").replace("'...'", "")
    try:
        root.run(*statements(database, password))
        with Store(database) as store:
            store.run_script("CREATE TABLE t (i INT);\n")
            assert store.schema_version() == 0
        wildcard = name.replace("_", "y")  # what `_` would match if it were not escaped
        root.run(f"CREATE DATABASE {wildcard}")
        with pytest.raises(mysql.connector.Error, match="denied"):
            connected(replace(database, name=wildcard))
    finally:
        root.run(
            f"DROP DATABASE IF EXISTS {name}",
            f"DROP DATABASE IF EXISTS {name.replace('_', 'y')}",
            f"DROP USER IF EXISTS '{user}'@'localhost', '{user}'@'127.0.0.1'",
        )


def test_a_root_that_may_not_log_in_is_told_without_the_password(server: Server) -> None:
    database = replace(server.settings, name="x", password=SECRETS["DB_PASSWORD"])
    with pytest.raises(Exception, match="/nowhere") as caught:
        make(database, "/nowhere")
    assert SECRETS["DB_PASSWORD"] not in str(caught.value)
