"""The launcher: its commands from anywhere, and set-up that is taken once."""

import ast
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launcher import apt, checks, environment, mysql, server_packages
from launcher.main import COMMANDS
from launcher.output import ROOT, SetUpProblem, make_folder, tail
from tests.processes import eventually

BOT = ROOT / "bot"
SHARED = {"dca.runtime"}
"""dca.runtime.file_owner, which needs no package either."""


def bot(*arguments: str, program: Path = BOT, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, program, *arguments], capture_output=True, text=True, cwd=cwd, timeout=60
    )


def test_help_lists_every_command() -> None:
    answer = bot("help")
    assert answer.returncode == 0
    for name in COMMANDS:
        assert f"  {name}" in answer.stdout


def test_help_fits_80_columns() -> None:
    assert max(map(len, bot("help").stdout.splitlines())) <= 80


def test_an_unknown_command_is_a_list_and_then_the_error() -> None:
    """What is said last stands above the prompt."""
    answer = bot("frobnicate")
    assert answer.returncode == 2
    assert answer.stderr.startswith("The commands are:\n  demo")
    assert answer.stderr.splitlines()[-1] == "bot: there is no command 'frobnicate'"
    assert bot("statsu").stderr.splitlines()[-1] == "bot: there is no command 'statsu'; did you mean status?"


def test_it_runs_from_anywhere_and_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(BOT)
    for program in (BOT, link):
        assert bot("help", program=program, cwd=tmp_path).returncode == 0
    assert os.access(BOT, os.X_OK)


def test_an_old_python_can_read_the_script() -> None:
    ast.parse(BOT.read_text(), feature_version=(3, 6))


def test_the_launcher_needs_only_the_standard_library() -> None:
    """It runs before the virtual environment exists."""
    for file in [BOT, ROOT / "dca" / "runtime" / "file_owner.py", *(ROOT / "launcher").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                ours = top == "launcher" or name in SHARED
                assert ours or top in sys.stdlib_module_names, f"{file.name} imports {name}"


def test_the_demo_shares_nothing_with_what_it_checks() -> None:
    for file in (ROOT / "demo").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {name.partition(".")[0] for name in names} & {"dca", "paper_exchange"}, file.name


def test_a_shim_that_leads_nowhere_is_no_python(tmp_path: Path) -> None:
    """pyenv has one for every version that any of its Pythons has."""
    shims, real = tmp_path / "shims", tmp_path / "real"
    for folder in (shims, real):
        folder.mkdir()
    shim = shims / "python3.12"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    (real / "python3.12").symlink_to(sys.executable)
    tree = ast.parse(BOT.read_text())
    kept: list[ast.stmt] = [node for node in tree.body if isinstance(node, ast.Import | ast.FunctionDef)]
    code = ast.unparse(ast.Module(body=kept, type_ignores=[]))
    code += "\nprint(*filter(runs, everywhere('python3.12')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": f"{shims}:{real}"},
    )
    assert done.stdout.split() == [str(real / "python3.12")], done.stderr
    assert "found" not in done.stderr


KILLED = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from pathlib import Path
from launcher import commands, setup
setup.VAR, commands.LOG = Path(sys.argv[1]), Path(sys.argv[1]) / "setup.log"
child = "import os, subprocess, sys, time\\n"
child += "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\\n"
child += "print(os.getpid(), inner.pid, file=open(sys.argv[1], 'w'), flush=True)\\ntime.sleep(600)\\n"
with setup._alone():
    commands.logged([sys.executable, "-c", child, Path(sys.argv[1]) / "pids"])
"""


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_set_up_that_is_killed_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    """Also nothing that its programs started: the venv module starts pip."""
    set_up = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], cwd=ROOT, stderr=subprocess.DEVNULL)
    noted = tmp_path / "pids"
    pids = eventually(lambda: noted.read_text().split() if noted.exists() else [])
    set_up.send_signal(number)
    set_up.wait(20)
    with (tmp_path / "setup.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the next set-up waits for all of it
    assert [pid for pid in pids if is_alive(pid)] == []


def is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_wrong_options_of_test_end_with_2() -> None:
    assert bot("test", "--frobnicate").returncode == 2


def test_the_steps_of_test() -> None:
    names = [step.name for step in checks.steps(checks.Options())]
    proofs = ["simulation", "crash points", "bite"]
    assert names == ["lint", "format", "types", "tests", *proofs, "integration", "demo"]
    passed_on = checks.steps(checks.Options(pytest=("-k", "x")))[3].command
    assert passed_on[-2:] == ("-k", "x")


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder of its own, whose venv is this interpreter's and has no packages to install."""
    folder = tmp_path / "venv"
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "VENV", folder)
    monkeypatch.setattr(environment, "PYTHON", folder / "bin" / "python")
    monkeypatch.setattr(environment, "STAMP", folder / ".set-up.json")
    monkeypatch.setattr(environment, "UNFINISHED", folder / ".set-up-unfinished")
    for name in (environment.RUN, environment.DEVELOPMENT):
        (tmp_path / name).write_text("# nothing\n")
    return folder


def test_set_up_is_shown_once_and_repeated_when_the_requirements_change(
    venv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.ensure()
    first = capsys.readouterr().out
    assert "virtual environment venv/ ... done" in first and "requirements.txt" in first
    environment.ensure()
    assert capsys.readouterr().out == ""
    environment.ensure(development=True)
    assert "requirements-dev.txt" in capsys.readouterr().out
    (venv.parent / "requirements.txt").write_text("# still nothing\n")
    environment.ensure()
    changed = capsys.readouterr().out
    assert "Python packages" in changed and "virtual environment" not in changed


def test_an_interrupted_installation_is_done_again(venv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment.ensure()
    (venv / ".set-up-unfinished").touch()
    capsys.readouterr()
    environment.ensure()
    assert "Python packages" in capsys.readouterr().out
    assert not (venv / ".set-up-unfinished").exists()


def test_a_venv_made_by_hand_is_completed_and_never_removed(
    venv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (venv / "mine").touch()
    (venv / "bin" / "python").unlink()
    with pytest.raises(SetUpProblem, match="does not run; remove"):
        environment.ensure()
    assert (venv / "mine").exists()


def test_packages_that_cannot_be_installed_show_the_end_of_the_log(venv: Path) -> None:
    (venv.parent / "requirements.txt").write_text("./there-is-no-such-package\n")
    with pytest.raises(SetUpProblem, match=r"pip could not install requirements\.txt"):
        environment.ensure()
    assert (venv / ".set-up-unfinished").exists()


def test_a_missing_server_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_packages, "found", lambda: None)
    monkeypatch.setattr(apt, "is_here", lambda: True)
    monkeypatch.setattr(apt, "may_install", lambda: False)
    with pytest.raises(SetUpProblem) as problem:
        server_packages.ensure()
    assert str(problem.value) == (
        "MariaDB is missing; run:  sudo apt-get install mariadb-server-core mariadb-client-core"
    )


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetUpProblem, match="cannot be made"):
        make_folder(tmp_path / "file" / "below")
    assert tail(tmp_path / "nothing") == ""


def test_mysql_is_tested_where_the_environment_names_one(capsys: pytest.CaptureFixture[str]) -> None:
    without = [step.name for step in checks.steps(checks.Options(full=True))]
    assert not any("MySQL" in name for name in without)
    assert "MySQL: skipped, DCA_MYSQL is not set" in capsys.readouterr().out
    wanted = checks.steps(checks.Options(full=True, mysql="/somewhere"))
    assert [step.name for step in wanted if step.mysql == "/somewhere"] == ["tests on MySQL", "demo on MySQL"]
    assert all((ROOT / name).is_file() for name in checks.ON_MYSQL)


def test_an_unpacked_mysql_runs_with_its_own_libraries(tmp_path: Path) -> None:
    with pytest.raises(SetUpProblem, match=r"DCA_MYSQL is .*, and there is no .*/usr/sbin/mysqld and no"):
        mysql.programs(tmp_path)
    for name in ("usr/sbin/mysqld", "usr/bin/mysql"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(SetUpProblem, match="its C library"):
        mysql.programs(tmp_path)
    libraries = tmp_path / "usr" / "lib" / "x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    (libraries / "ld-linux-x86-64.so.2").touch()
    found = mysql.programs(tmp_path)
    assert found.is_mysql
    start, option, folders, server, no_defaults, *_ = found.server
    assert (start, option) == (str(libraries / "ld-linux-x86-64.so.2"), "--library-path")
    assert str(libraries) in folders.split(":")
    assert (server, no_defaults) == (str(tmp_path / "usr/sbin/mysqld"), "--no-defaults")
