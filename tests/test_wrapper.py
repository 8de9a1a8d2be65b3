"""run_script_wrapper.sh as cron calls it: from nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

SCRIPT = """
import os, sys
print("got", sys.argv[1:], os.getcwd(), sorted(os.environ.keys() & {"HOME", "USER", "SECRET"}))
print("and an error", file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with a blank in its path, the wrapper and one script."""
    folder = tmp_path / "my bot 100%"
    folder.mkdir()
    shutil.copy(ROOT / "run_script_wrapper.sh", folder)
    (folder / "some_job.py").write_text(SCRIPT)
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "bin" / "python").symlink_to(sys.executable)
    return folder


def wrapped(wrapper: Path | str, *arguments: str, cwd: str = "/") -> "subprocess.CompletedProcess[str]":
    command = ["env", "-i", str(wrapper), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=30)


def test_it_runs_a_script_from_an_empty_environment_and_appends_to_its_log(project: Path) -> None:
    for _ in range(2):
        answer = wrapped(project / "run_script_wrapper.sh", "some_job.py", "--dry-run", "two words")
        assert (answer.returncode, answer.stdout, answer.stderr) == (7, "", "")
    log = project / "logs" / "some_job.log"
    said = log.read_text().splitlines()
    assert sorted(said) == ["and an error"] * 2 + ["got ['--dry-run', 'two words'] / []"] * 2
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700


def test_it_finds_its_folder_through_a_link_and_from_anywhere(project: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(project / "run_script_wrapper.sh")
    assert wrapped(link, "some_job.py", cwd=str(tmp_path)).returncode == 7
    assert wrapped("./run_script_wrapper.sh", "./some_job.py", cwd=str(project)).returncode == 7
    assert wrapped(link, str(project / "some_job.py")).returncode == 7
    assert (project / "logs" / "some_job.log").read_text().count("got") == 3


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "usage: run_script_wrapper.sh SCRIPT.py [options]"),
        (["nothing.py"], "there is no script nothing.py in {project}"),
        (["../outside.py"], "../outside.py is not a script of {project}"),
        (["linked.py"], "linked.py is not a script of {project}"),
        (["inner/deep.py"], "inner/deep.py is not a script of {project}"),
        (["run_script_wrapper.sh"], "run_script_wrapper.sh does not end in .py"),
        (["inner"], "there is no script inner in {project}"),
    ],
)
def test_what_it_does_not_run(project: Path, arguments: list[str], complaint: str) -> None:
    outside = project.parent / "outside.py"
    outside.write_text(SCRIPT)
    (project / "linked.py").symlink_to(outside)
    (project / "inner").mkdir()
    (project / "inner" / "deep.py").write_text(SCRIPT)
    answer = wrapped(project / "run_script_wrapper.sh", *arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == f"run_script_wrapper.sh: {complaint.format(project=project)}\n"
    assert not (project / "logs").exists()


def test_without_the_virtual_environment_it_says_what_to_do(project: Path) -> None:
    (project / "venv" / "bin" / "python").unlink()
    answer = wrapped(project / "run_script_wrapper.sh", "some_job.py")
    assert answer.returncode == 2
    assert answer.stderr.endswith(f"there is no {project}/venv/bin/python: run {project}/bot install\n")


@pytest.mark.parametrize("trouble", ["folder", "file"])
def test_without_a_log_the_script_runs_all_the_same(project: Path, trouble: str) -> None:
    """The watchdog must start the bot also when nothing can be written down; cron mails the output."""
    if trouble == "folder":
        (project / "logs").write_text("")
    else:
        (project / "logs" / "some_job.log").mkdir(parents=True)
    answer = wrapped(project / "run_script_wrapper.sh", "some_job.py")
    assert answer.returncode == 7
    assert "got []" in answer.stdout and "and an error" in answer.stderr


def test_a_real_script_of_ours_runs_from_nothing() -> None:
    answer = wrapped(ROOT / "run_script_wrapper.sh", "order_manager.py", "--help")
    assert answer.returncode == 0
    assert os.access(ROOT / "run_script_wrapper.sh", os.X_OK)


def test_the_example_of_a_crontab_has_both_forms_of_every_job() -> None:
    lines = (ROOT / "crontab.example").read_text().splitlines()
    jobs = [
        ("* * * * *", "watchdog"),
        ("@reboot", "watchdog"),
        ("* * * * *", "order_manager"),
        ("* * * * *", "cooldown_manager"),
        ("*/5 * * * *", "consistency_checker"),
    ]
    there = "/path/to/project"
    direct = [
        f"{when} {there}/venv/bin/python {there}/{name}.py >> {there}/logs/{name}.log 2>&1"
        for when, name in jobs
    ]
    assert [line for line in lines if line and not line.startswith("#")] == direct
    wrapped_lines = [f"# {when} {there}/run_script_wrapper.sh {name}.py" for when, name in jobs]
    assert [line for line in lines if line.startswith(("# *", "# @"))] == wrapped_lines
    for _, name in jobs:
        assert (ROOT / f"{name}.py").is_file()
