"""The demo's children: what they may know, and that none outlives it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.processes import Child, minimal_environment
from demo.stage import ended
from launcher.output import ROOT


def test_children_get_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APCA_API_SECRET_KEY", "an operator's own")
    monkeypatch.setenv("DB_PASSWORD", "an operator's own")
    assert not {"APCA_API_SECRET_KEY", "DB_PASSWORD"} & set(minimal_environment())


def test_a_child_talks_into_its_file_and_ends_when_asked(tmp_path: Path) -> None:
    child = Child("talker", ["-c", "print('hello', flush=True)"], tmp_path, {})
    assert child.stop() is None
    child.start()
    while child.runs:
        time.sleep(0.01)
    assert child.stop() == 0
    assert (tmp_path / "talker.out").read_text() == "hello\n"


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(1, flush=True)\ntime.sleep(60)\n"
    )
    child = Child("deaf", ["-c", code], tmp_path, {})
    child.start()
    while not child.output.read_text():
        time.sleep(0.01)
    assert child.stop(0.1) == -signal.SIGKILL
    assert ended(child.code) == "signal 9, SIGKILL"


def test_a_child_dies_with_the_demo(tmp_path: Path) -> None:
    code = (
        "import time\nfrom pathlib import Path\nfrom demo.processes import Child\n"
        f"child = Child('sleeper', ['-c', 'import time; time.sleep(60)'], Path({str(tmp_path)!r}), {{}})\n"
        "child.start()\nprint(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as said:
        pid = int(said.readline())
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < deadline, "it outlived its parent"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
