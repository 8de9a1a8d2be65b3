"""The disk that holds the bot's logs and state, and that can be full.

As root it is a small file system of its own, filled up with a real file. Without root, every process of the
bot is kept from writing by a resource limit: a write fails with another error (EFBIG), of the same class.
"""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from proof.chaos import processes

MEGABYTES = 48
_CHUNK = bytes(64 * 1024)


class Disk:
    """`folder` is where it is, once it is open."""

    def __init__(self, run: Path, env_file: Path) -> None:
        self._run = run
        self._env_file = env_file
        self.folder = run / "disk"
        self.is_file_system = False
        self.is_full = False

    def open(self, *, may_mount: bool = True) -> None:
        """Make it; a file system where that is possible."""
        _clean_up(self._run.parent)
        self.folder.mkdir()
        if may_mount and os.geteuid() == 0:
            size = f"size={MEGABYTES}m,mode=700"
            command = ["mount", "-t", "tmpfs", "-o", size, "dca-chaos", str(self.folder)]
            self.is_file_system = subprocess.run(command, capture_output=True).returncode == 0

    def fill(self) -> str:
        """No byte more can be written; returns how, in words."""
        self.is_full = True
        if self.is_file_system:
            with suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as file:
                while True:
                    file.write(_CHUNK)
            return f"a file system of {MEGABYTES} MB is filled up"
        self._forbid(forbidden=True)
        return "a resource limit forbids every write to a file"

    def empty(self) -> None:
        self.is_full = False
        if self.is_file_system:
            (self.folder / "ballast").unlink(missing_ok=True)
        else:
            self._forbid(forbidden=False)

    def was_started(self, pid: int) -> None:
        """A process of the bot began: what is full is full for it too."""
        if self.is_full and not self.is_file_system:
            processes.forbid_writing(pid, forbidden=True)

    def close(self) -> None:
        """Take it down; what was on it stays in the run's folder."""
        if not self.is_file_system:
            return
        self.empty()
        for each in self.folder.iterdir():
            shutil.copytree(each, self._run / each.name, dirs_exist_ok=True)
        if _unmount(self.folder):
            self.is_file_system = False
            self.folder.rmdir()

    def _forbid(self, *, forbidden: bool) -> None:
        for pid in processes.of_run(self._env_file):
            processes.forbid_writing(pid, forbidden=forbidden)


def _unmount(folder: Path) -> bool:
    return subprocess.run(["umount", "-l", str(folder)], capture_output=True).returncode == 0


def _clean_up(runs: Path) -> None:
    """File systems of runs that were killed: a run's folder ends with the number of its process."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        where = Path(line.split()[1])
        if where.name == "disk" and where.parent.parent == runs:
            pid = where.parent.name.rpartition("-")[2]
            if not Path(f"/proc/{pid}").exists():
                _unmount(where)
