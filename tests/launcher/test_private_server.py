"""The private database server, for real."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import server_packages
from launcher.database import PrivateServer
from launcher.output import ROOT, SetUpProblem

pytestmark = pytest.mark.skipif(server_packages.found() is None, reason="MariaDB is not installed here")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data directory, shared by the tests here."""
    path = tmp_path_factory.mktemp("server") / "db"
    with PrivateServer(path):
        pass
    return path


@pytest.fixture
def server(folder: Path) -> Iterator[PrivateServer]:
    with PrivateServer(folder) as server:
        yield server


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def eventually(check: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def test_a_database_and_its_user(server: PrivateServer) -> None:
    server.create_database("one", "someone", "it's \\ secret")
    server.run("CREATE TABLE t (a INT); INSERT INTO t VALUES (7);", "one")
    assert server.run("SELECT a FROM t", "one") == "7\n"
    assert server.databases() == ["one"]
    server.drop_database("one")
    assert server.databases() == []
    assert server.socket.parent.stat().st_mode & 0o077 == 0


def test_nobody_logs_in_as_root_over_the_network(server: PrivateServer) -> None:
    programs = server_packages.found()
    assert programs is not None
    command = [*programs.client, "-h", "127.0.0.1", "-P", str(server.port), "-uroot"]
    answer = subprocess.run([*command, "-e", "SELECT 1"], capture_output=True, text=True)
    assert answer.returncode != 0
    assert "denied" in answer.stderr or "not allowed" in answer.stderr


def test_what_was_committed_survives_a_kill(folder: Path) -> None:
    with PrivateServer(folder) as first:
        first.run(
            "CREATE DATABASE kept; CREATE TABLE kept.t (a INT) ENGINE=InnoDB; INSERT INTO kept.t VALUES (1);"
        )
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: is_gone(first.pid or 0))
    with PrivateServer(folder) as second:
        assert second.run("SELECT a FROM kept.t") == "1\n"
        second.drop_database("kept")


def test_a_second_one_at_the_same_time_has_a_folder_of_its_own(folder: Path, server: PrivateServer) -> None:
    with PrivateServer(folder) as other:
        assert other.directory == server.directory.with_name(f"{server.directory.name}.2")
        assert other.port != server.port


def test_a_deep_folder_has_its_socket_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60) / "db"
    with PrivateServer(deep) as server:
        assert not server.socket.is_relative_to(tmp_path)
        assert len(os.fsencode(server.socket)) < 107
        scratch = server.socket.parent
    assert not scratch.exists()


@pytest.mark.parametrize("name", ["my bot", "Müller & Söhne's $HOME; 100%"])
def test_a_folder_may_be_called_as_people_call_folders(tmp_path: Path, name: str) -> None:
    with PrivateServer(tmp_path / name / "db") as server:
        server.create_database("one", "someone", "secret")
        assert server.databases() == ["one"]
        assert server.directory.parent == tmp_path / name


def test_it_dies_with_whoever_started_it(folder: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom launcher.database import PrivateServer\n"
        f"server = PrivateServer(Path({str(folder)!r}))\nserver.start()\n"
        "print(server.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as said:
        pid = int(said.readline())
        parent.kill()
        parent.wait()
    eventually(lambda: is_gone(pid))


def test_a_refusal_carries_the_servers_words(server: PrivateServer) -> None:
    with pytest.raises(SetUpProblem, match="You have an error in your SQL syntax"):
        server.run("FROBNICATE;")
    with pytest.raises(ValueError, match="not a plain name"):
        server.create_database("a; b", "u", "p")
