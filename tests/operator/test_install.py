"""./bot install and uninstall as processes, with an .env, a crontab and a database server of their own."""

import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dotenv import dotenv_values

from dca.database.store import SCHEMA_VERSION, Store
from dca.operator.setup import crontab
from dca.runtime.settings import DatabaseSettings
from tests import installing
from tests.installing import SECRETS, Machine
from tests.processes import ROOT, ExchangeProcess

machine, root = installing.machine, installing.root  # fixtures: an import would clash with arguments


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
    python, script = (shlex.quote(str(ROOT / each)) for each in ("venv/bin/python", "watchdog.py"))
    assert f"* * * * * DCA_ENV_FILE='{machine.env}' {python} {script}" in text
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


def test_it_takes_out_the_lines_of_a_folder_that_moved(machine: Machine) -> None:
    old = machine.folder / "old bot"
    gone = crontab.block(crontab.Place(root=old, log_dir=old / "logs", env_file=None))
    machine.crontab.write_bytes(b"# mine\n" + gone + b"# mine too\n")
    machine.write_env()
    machine.steps("install", "--yes")
    text = machine.crontab.read_text()
    assert "old bot" not in text and f"# >>> dca-suite {ROOT} >>>" in text
    assert text.startswith("# mine\n# mine too\n")


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


def test_at_a_terminal_it_asks_again_for_keys_that_were_refused(machine: Machine, tmp_path: Path) -> None:
    """Also where .env lacks nothing; whoever keeps them is told by doctor."""
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    try:
        machine.values["APCA_API_BASE_URL"] = exchange.settings.trading_url
        machine.write_env()
        refused, good = ("does not accept the keys", None), exchange.settings.secret_key
        name, secret = "Alpaca key id [kept]: ", "Alpaca secret key [kept]: "
        first = [refused, (name, exchange.settings.key_id), (secret, "still wrong")]
        again = [*first, refused, (name, ""), (secret, good)]
        screen = machine.type([*again, ("Put these lines into the crontab", "y")], "install")
        assert "keys: accepted" in screen
        assert exchange.settings.secret_key not in screen
        written = machine.env.read_text()
        assert exchange.settings.secret_key in written and "still wrong" not in written
        machine.env.write_text(written.replace(exchange.settings.secret_key, "wrong"))
        kept = machine.type([refused, (name, ""), (secret, "")], "install")
        assert re.search(r"FAIL\S* keys:", kept)
    finally:
        exchange.stop()


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
