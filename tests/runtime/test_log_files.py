"""Log files under rotation, several writers, full disks and missing folders."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dca.database.store import Store
from dca.runtime.log_files import LogFile, sweep
from dca.runtime.log_lines import LineFormatter
from dca.runtime.settings import DatabaseSettings
from tests.operating import NO_EXCHANGE
from tests.processes import ROOT, BotProcess

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "main_app.log"


@contextmanager
def opened(path: Path, *, max_bytes: int = 10_000_000, kept: int = 2) -> Iterator[LogFile]:
    file = LogFile(path, max_bytes=max_bytes, kept=kept)
    file.setFormatter(LineFormatter())
    with closing(file):
        yield file


def say(file: LogFile, text: str, at: datetime = NOW) -> None:
    record = logging.LogRecord("dca", logging.INFO, "", 0, text, (), None)
    record.created = at.timestamp()
    file.handle(record)


def texts(path: Path) -> list[str]:
    return [line.split(maxsplit=2)[2] for line in path.read_text().splitlines()]


def numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def test_a_line_is_written_to_a_file_of_ours_alone(path: Path) -> None:
    with opened(path) as file:
        say(file, "it began, at 5 € ")
    assert path.read_text() == "2026-11-21T08:00:00.000Z INFO  it began, at 5 € \n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_full_is_moved_away_and_two_old_ones_are_kept(path: Path) -> None:
    with opened(path, max_bytes=100) as file:
        for number in range(8):
            say(file, f"{number} {'x' * 20}")  # 54 bytes: one fits, two do not
    assert [texts(each)[0][0] for each in (path, numbered(path, 1), numbered(path, 2))] == ["7", "6", "5"]
    assert len(list(path.parent.iterdir())) == 3


def test_a_line_longer_than_a_file_is_written_whole(path: Path) -> None:
    with opened(path, max_bytes=10) as file:
        say(file, "x" * 1000)
        say(file, "next")
    assert texts(numbered(path, 1)) == ["x" * 1000]
    assert texts(path) == ["next"]


@pytest.mark.parametrize(("days", "rotated"), [(6.9, False), (7.1, True)])
def test_a_file_that_was_begun_a_week_ago_is_moved_away(path: Path, days: float, rotated: bool) -> None:
    path.parent.mkdir()
    path.write_text("raw output of something\n")
    with opened(path) as file:
        say(file, "first")
    with opened(path) as file:  # another process, for which the first line with a time counts
        say(file, "later", NOW + timedelta(days=days))
    assert texts(path) == (["later"] if rotated else ["of something", "first", "later"])
    assert numbered(path, 1).exists() is rotated


def test_a_file_without_any_time_counts_from_its_last_change(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("raw\n")
    os.utime(path, (0, (NOW - timedelta(days=8)).timestamp()))
    with opened(path) as file:
        say(file, "first")
    assert numbered(path, 1).read_text() == "raw\n"


def test_a_file_that_another_process_moved_is_opened_anew(path: Path) -> None:
    with opened(path) as file:
        say(file, "one")
        path.rename(numbered(path, 1))
        say(file, "two")
        path.unlink()
        say(file, "three")
    assert texts(numbered(path, 1)) == ["one"]
    assert texts(path) == ["three"]


def test_a_folder_that_is_gone_is_made_again(path: Path) -> None:
    with opened(path) as file:
        say(file, "one")
        path.rename(path.parent.parent / "taken")
        path.parent.rmdir()
        say(file, "two")
    assert texts(path) == ["two"]
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_cannot_be_written_is_no_error_and_comes_again_when_it_can(path: Path) -> None:
    with opened(path) as file:
        path.unlink()
        path.parent.rmdir()
        path.parent.write_text("no folder at all")
        say(file, "lost")
        path.parent.unlink()
        say(file, "found")
    assert texts(path) == ["found"]


def test_a_full_disk_is_no_error(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    with opened(path, max_bytes=10) as file:
        say(file, "lost")
        say(file, "lost as well")
        path.unlink()
        say(file, "found")
    assert texts(path) == ["found"]


def test_a_log_that_may_not_be_written_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "x.log").mkdir()
    with pytest.raises(IsADirectoryError):
        LogFile(tmp_path / "x.log")


def test_a_process_that_stopped_amid_a_rotation_holds_nobody_up(path: Path) -> None:
    """The folder's lock is never waited for: the next line that finds it free rotates."""
    with opened(path, max_bytes=100) as file:
        say(file, "one" * 20)
        holder = subprocess.Popen(["flock", str(path.parent), "cat"], stdin=subprocess.PIPE)
        try:
            _until_locked(path.parent)
            say(file, "two" * 20)
            assert len(texts(path)) == 2
        finally:
            holder.communicate()
        say(file, "three")
    assert texts(path) == ["three"]
    assert len(texts(numbered(path, 1))) == 2


def _until_locked(folder: Path) -> None:
    while subprocess.run(["flock", "-n", str(folder), "true"]).returncode == 0:
        pass


WRITER = """
import logging, sys
from pathlib import Path
from dca.runtime.log_files import LogFile
file = LogFile(Path(sys.argv[1]), max_bytes=20_000, kept=50)
log = logging.getLogger("dca"); log.addHandler(file); log.setLevel(logging.INFO)
sys.stdin.read()
for number in range(3000):
    log.info("%s %04d %s.", sys.argv[2], number, "x" * (number % 90))
"""


def test_processes_that_write_one_file_lose_no_line_and_tear_none(path: Path) -> None:
    names = ["a", "b", "c"]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            stdin=subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT)},
        )
        for name in names
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    files = list(path.parent.iterdir())
    found = sorted(line for file in files for line in file.read_text().splitlines())
    assert found == sorted(f"{name} {n:04d} {'x' * (n % 90)}." for name in names for n in range(3000))
    sizes = sorted(file.stat().st_size for file in files)
    # Rotated twice by two of them, a file would have a few lines only. Larger than they should be they
    # may get, while the one that rotates has to wait for the processor.
    assert len(files) > 5 and sizes[1] > 15_000, sizes


# ---- standard output ----

SCRIPT = """
import logging, os, sys
from pathlib import Path
from dca.runtime.log_files import LogFile
path = Path(sys.argv[1])
if sys.argv[2] == "moved before":
    path.rename(str(path) + ".1")
if sys.argv[2] == "gone before":
    path.rename(str(path) + ".2")
    other = path.with_name("other")
    other.touch()
    other.replace(str(path) + ".2")
file = LogFile(path, max_bytes=60)
handlers = [file] if file.owns(1) else [file, logging.StreamHandler(sys.stdout)]
logging.basicConfig(level=logging.INFO, handlers=handlers, format="%(message)s")
for number in range(int(sys.argv[3])):
    logging.info("line %d %s", number, "x" * 40)
print("a stray word", flush=True)
print("a traceback", file=sys.stderr, flush=True)
"""


@pytest.mark.parametrize("before", ["nothing", "moved before", "gone before"])
@pytest.mark.parametrize("lines", [1, 3])
def test_the_output_that_cron_sends_to_the_log_follows_its_rotation(
    path: Path, before: str, lines: int
) -> None:
    """No line twice, and what the interpreter says stands in the newest file."""
    path.parent.mkdir()
    with path.open("a") as output:
        command = [sys.executable, "-c", SCRIPT, str(path), before, str(lines)]
        subprocess.run(command, stdout=output, stderr=output, check=True, env={"PYTHONPATH": str(ROOT)})
    last = f"line {lines - 1} {'x' * 40}"
    assert path.read_text().splitlines() == [last, "a stray word", "a traceback"]
    everything = "".join(each.read_text() for each in path.parent.iterdir())
    assert [everything.count(f"line {number} ") for number in range(lines)] == [1] * lines


def test_output_that_goes_elsewhere_stays_there_and_gets_the_lines_too(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with (tmp_path / "elsewhere").open("w") as output:
        command = [sys.executable, "-c", SCRIPT, str(path), "nothing", "1"]
        subprocess.run(command, stdout=output, stderr=output, check=True, env={"PYTHONPATH": str(ROOT)})
    line = f"line 0 {'x' * 40}"
    assert path.read_text().splitlines() == [line]
    assert (tmp_path / "elsewhere").read_text().splitlines() == [line, "a stray word", "a traceback"]


# ---- the whole folder ----


def made(folder: Path, name: str, size: int, days_ago: float = 0.0) -> Path:
    file = folder / name
    file.write_bytes(b"x" * size)
    then = (NOW - timedelta(days=days_ago)).timestamp()
    os.utime(file, (then, then))
    return file


def test_a_folder_below_its_limit_is_left_as_it_is(tmp_path: Path) -> None:
    made(tmp_path, "a.log", 600)
    made(tmp_path, "a.log.1", 400, days_ago=89)
    assert sweep(tmp_path, now=NOW, limit_bytes=1000) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.log", "a.log.1"]


def test_rotated_files_go_after_ninety_days_and_live_ones_never(tmp_path: Path) -> None:
    made(tmp_path, "a.log", 10, days_ago=300)
    made(tmp_path, "a.log.1", 10, days_ago=91)
    assert sweep(tmp_path, now=NOW) == ["removed a.log.1 (0.0 MB)"]
    assert [each.name for each in tmp_path.iterdir()] == ["a.log"]


def test_the_oldest_rotated_file_goes_first(tmp_path: Path) -> None:
    for name, days in (("a.log.1", 1), ("b.log.2", 3), ("b.log.17", 2)):
        made(tmp_path, name, 400, days_ago=days)
    made(tmp_path, "a.log", 500, days_ago=9)
    sweep(tmp_path, now=NOW, limit_bytes=1000)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.log", "a.log.1"]


def test_what_is_being_written_is_emptied_if_nothing_else_helps(tmp_path: Path) -> None:
    """The largest first; a process that has it open writes on from its beginning."""
    small, large = made(tmp_path, "a.log", 300), made(tmp_path, "b.log", 900)
    made(tmp_path, "b.log.1", 100)
    with large.open("ab") as output:
        assert len(sweep(tmp_path, now=NOW, limit_bytes=1000)) == 2
        output.write(b"on")
    assert (small.stat().st_size, large.read_bytes()) == (300, b"on")


def test_other_files_and_links_are_left_alone(tmp_path: Path) -> None:
    kept = [made(tmp_path, name, 5000) for name in ("a.txt", "a.log.gz", ".gitkeep", "catalog")]
    (tmp_path / "x.log").symlink_to(kept[0])
    assert sweep(tmp_path, now=NOW, limit_bytes=100) == []
    assert all(each.stat().st_size == 5000 for each in kept)


def test_whoever_rotates_sweeps(path: Path) -> None:
    """So that the folder stays small also where no watchdog runs."""
    with opened(path, max_bytes=100) as file:
        huge = path.with_name("other.log.1")
        huge.touch()
        os.truncate(huge, 190_000_000)  # without taking the space
        say(file, "x" * 60)
        assert huge.exists()
        say(file, "x" * 60)
        assert not huge.exists()


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert sweep(tmp_path / "none", now=NOW) == []


def test_a_real_disk_that_fills_up(tmp_path: Path) -> None:
    """Lines are lost while it is full, none is torn into another, and they come again afterwards."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("takes the right to mount")
    try:
        path, filler = disk / "main_app.log", disk / "filler"
        filler.write_bytes(b"x" * 32_000)
        with opened(path) as file:
            for number in range(1000):
                say(file, f"{number:04d} {'x' * 100}")
            assert 20_000 < path.stat().st_size < 33_000
            assert not path.read_text().endswith("\n")  # what fitted of the last line
            filler.unlink()
            say(file, "found")
            say(file, "and more")
            assert [line.split()[2] for line in path.read_text().splitlines()[-2:]] == ["found", "and"]
        with opened(path, max_bytes=10) as file:
            say(file, "rotated")
        assert texts(path) == ["rotated"]
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("trouble", ["log", "state"])
def test_a_script_does_its_work_on_a_full_disk(
    tmp_path: Path, ready: Store, database: DatabaseSettings, trouble: str
) -> None:
    """Neither the log nor the pid in the lock's file can be written."""
    bot = BotProcess(tmp_path, NO_EXCHANGE, database)
    full = tmp_path / {"log": "logs/cooldown_manager.log", "state": "state/cooldown_manager.lock"}[trouble]
    full.parent.mkdir()
    full.symlink_to("/dev/full")
    answer = bot.run("cooldown_manager.py")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "checked 2 changed 0" in answer.stdout
    assert ready.transaction(lambda tx: tx.last_good_runs())["cooldown_manager"].checked == 2
