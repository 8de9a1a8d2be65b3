"""What is run as the wrong user, by the wrong Python or without settings says so in one line, once."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dca.runtime import file_owner, startup_errors
from tests.processes import ROOT

SCRIPTS = ("main_app.py", "watchdog.py", "order_manager.py", "cooldown_manager.py", "consistency_checker.py")
IS_ROOT = os.geteuid() == 0
SOMEBODY = "daemon" if IS_ROOT else pwd.getpwuid(os.geteuid()).pw_name


def somebody_s(folder: Path) -> Path:
    """A folder of a user who is not root."""
    folder.mkdir(exist_ok=True)
    if IS_ROOT:
        shutil.chown(folder, SOMEBODY)
    return folder


def test_root_makes_nothing_in_a_user_s_folder(tmp_path: Path) -> None:
    theirs = somebody_s(tmp_path / "theirs")
    words = file_owner.refusal([Path("/"), theirs], 0, "./bot status")
    assert words is not None and f"{theirs} belongs to {SOMEBODY}" in words
    assert f"sudo -u {SOMEBODY} ./bot status" in words
    assert file_owner.refusal([theirs], 1234, "./bot status") is None, "the system itself refuses others"
    assert file_owner.refusal([Path("/"), tmp_path / "nowhere"], 0, "./bot status") is None


@pytest.mark.skipif(not IS_ROOT, reason="takes root")
def test_a_user_whom_the_machine_does_not_know_has_no_bot_here(tmp_path: Path) -> None:
    os.chown(tmp_path, 54_321, 54_321)
    assert file_owner.owner(tmp_path) is None
    assert file_owner.refusal([tmp_path], 0, "./bot status") is None


def test_a_file_of_another_user_s_says_whose_and_what_to_do(tmp_path: Path) -> None:
    denied = PermissionError(13, "Permission denied", "/etc/shadow")
    if not IS_ROOT:
        assert "/etc/shadow belongs to root" in file_owner.remedy(denied)
    theirs = somebody_s(tmp_path / "theirs")
    denied.filename = str(theirs / "main_app.lock")
    mine = pwd.getpwuid(os.geteuid()).pw_name
    expected = f"{theirs} belongs to {SOMEBODY}, and this runs as {mine}: sudo chown -R {mine} {theirs}"
    assert file_owner.remedy(denied) == (
        expected if IS_ROOT else "check LOG_DIR and STATE_DIR and their rights"
    )
    assert "check LOG_DIR" in file_owner.remedy(OSError(30, "Read-only file system", str(theirs)))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project, in a user's folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("dca", "launcher", "bot", "run_script_wrapper.sh", *SCRIPTS):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return somebody_s(folder)


@pytest.mark.skipif(not IS_ROOT, reason="takes root")
def test_every_script_and_command_refuses_root_there_and_makes_no_file(copy: Path) -> None:
    settings = copy / ".env"
    settings.write_text(
        "APCA_API_KEY_ID=PKxxxxxxxxxxxxxxxxx\nAPCA_API_SECRET_KEY=yyyyyyyyyyyyyyy\n"
        'APCA_API_BASE_URL="https://paper-api.alpaca.markets"\n'
        "DB_HOST=localhost\nDB_USER=dca\nDB_PASSWORD=secret-password\nDB_NAME=dca_bot_db\n"
    )
    settings.chmod(0o600)
    before = sorted(copy.iterdir())
    commands: list[list[str | Path]] = [[sys.executable, "-B", copy / name] for name in SCRIPTS]
    commands += [[sys.executable, "-B", copy / "bot", name] for name in ("demo", "status", "install", "test")]
    commands += [[copy / "run_script_wrapper.sh", "watchdog.py"]]
    for command in commands:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"]}
        )
        said = (done.stdout + done.stderr).splitlines()
        assert done.returncode in {1, 2}, said
        assert len(said) == 1 and f"belongs to {SOMEBODY}" in said[0], said
    assert sorted(copy.iterdir()) == before
    for name in ("var", "logs"):
        assert not (copy / name).exists()


@pytest.mark.parametrize("script", [*SCRIPTS, "integration_test.py"])
def test_without_its_venv_a_script_says_how_it_is_started(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-S", ROOT / script], capture_output=True, text=True, timeout=60, cwd="/"
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{script}: No module named ")
    assert str(ROOT) in line and ("venv/bin/python" in line or "bot install" in line)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_missing_env_file_is_one_line_with_the_remedy_and_once_in_each_log(
    tmp_path: Path, script: str
) -> None:
    log = tmp_path / "log"
    log.write_text("2026-01-01T00:00:00Z INFO  run - - checked 1 changed 0\n")
    environment = {"PATH": os.environ["PATH"], "DCA_ENV_FILE": str(tmp_path / ".env")}
    for _ in range(3):  # as cron does, every minute
        with log.open("a") as output:
            code = subprocess.run(
                [sys.executable, ROOT / script], stdout=output, stderr=output, env=environment, timeout=60
            ).returncode
            assert code == 2
    _, said = log.read_text().splitlines()
    assert said.startswith(f"{script[:-3]}: there is no {tmp_path / '.env'}: ./bot install makes it")
    assert not (tmp_path / "logs").exists()


def test_the_same_complaint_again_is_said_after_something_else(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom dca.runtime import startup_errors as complaints\n"
        "for text in ('a', 'a', 'b\\nc', 'b\\nc', 'a'):\n    complaints.say(text)\n"
    )
    with (tmp_path / "log").open("a") as log:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=log, timeout=60, check=True)
    assert (tmp_path / "log").read_text() == "a\nb\nc\na\n"
    piped = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert piped.stderr == "a\na\nb\nc\nb\nc\na\n"


def test_many_problems_are_a_list_and_one_is_a_line() -> None:
    assert startup_errors.about_settings("x", ["A is missing"]) == "x: A is missing"
    assert startup_errors.about_settings("x", ["A", "B"]) == "x: the settings need attention:\n  - A\n  - B"
