"""What the kernel says of a running process."""

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """`cpu_seconds`: of the threads that live, since they began; `mb` resident now."""

    at: float
    cpu_seconds: float
    mb: float
    threads: int
    files: int


def sample(pid: int) -> Sample:
    """Raises:
    OSError: there is no such process.
    """
    folder = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return Sample(
        at=time.monotonic(),
        cpu_seconds=sum(map(_nanoseconds, (folder / "task").iterdir())) / 1e9,
        mb=int(status["VmRSS"].split()[0]) / 1024,
        threads=int(status["Threads"]),
        files=len(list((folder / "fd").iterdir())),
    )


def _nanoseconds(task: Path) -> int:
    """On a processor; /proc/PID/stat counts in hundredths of a second, which is much for somebody at rest."""
    return int((task / "schedstat").read_text().split()[0])


def percent_of_a_core(before: Sample, after: Sample) -> float:
    return 100 * (after.cpu_seconds - before.cpu_seconds) / (after.at - before.at)
