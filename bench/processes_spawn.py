"""Runs commands in turn and prints what each run took, as JSON. A program of its own, and a small one:

the kernel counts what the parent occupied at the fork as the child's peak memory, so a large parent would
make every child look large. It is run without site-packages, and reads from its standard input
{"rounds": N, "commands": {name: {"argv": [...], "env": {...}, "cwd": "..."}}}.
"""

import json
import os
import sys
from time import perf_counter


def run(argv: list[str], env: dict[str, str]) -> dict[str, float]:
    """Seconds on the clock and of the processor, peak resident memory in MB, and the exit code."""
    nothing = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, nothing, descriptor) for descriptor in (0, 1, 2)]
    began = perf_counter()
    pid = os.posix_spawn(argv[0], argv, env, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    seconds = perf_counter() - began
    os.close(nothing)
    return {
        "wall": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "mb": usage.ru_maxrss / 1024,
        "exit": os.waitstatus_to_exitcode(status),
    }


def main() -> None:
    wish = json.load(sys.stdin)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in wish["commands"]}
    for _ in range(wish["rounds"]):
        for name, command in wish["commands"].items():
            os.chdir(command["cwd"])
            taken[name].append(run(command["argv"], command["env"]))
    json.dump(taken, sys.stdout)


if __name__ == "__main__":
    main()
