"""./bot prove: the deterministic simulation, the crash points and the single faults."""

import argparse
import os
import sys
from collections.abc import Sequence

from proof.simulation import commands
from proof.simulation.commands import Options

SEEDS = 200


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bot prove", description=__doc__)
    what = parser.add_argument_group("what is proved (default: fresh seeds of the simulation)")
    what.add_argument(
        "--crash-points", action="store_true", help="a crash at every boundary of seven lifecycles"
    )
    what.add_argument(
        "--pairs", action="store_true", help="and a second one at every boundary of the recovery"
    )
    what.add_argument("--sweep", action="store_true", help="every fault at every HTTP call and SQL statement")
    what.add_argument(
        "--replay",
        nargs="+",
        metavar="FILE",
        help="recordings without faults: a digest of the orders of each",
    )
    much = parser.add_argument_group("how much")
    much.add_argument(
        "--seeds", type=int, default=SEEDS, metavar="N", help=f"so many seeds (default {SEEDS})"
    )
    much.add_argument("--first", type=int, default=1, metavar="S", help="the first seed (default 1)")
    much.add_argument("--minutes", type=float, metavar="M", help="go on with seeds for so long instead")
    much.add_argument(
        "--quick", action="store_true", help="a fixed fifth of the places, a sample of the sweep"
    )
    much.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="J", help="processes")
    one = parser.add_argument_group("one again")
    one.add_argument("--seed", type=int, metavar="S", help="run one seed and tell what happened")
    one.add_argument("--steps", metavar="1,4,5", help="with --seed: only these of its steps")
    one.add_argument("--minimise", "--minimize", action="store_true", help="with --seed: to the fewest steps")
    one.add_argument("--at", metavar="CASE", help="one case of the crash points or of the sweep")
    one.add_argument(
        "--log", type=int, default=0, metavar="N", help="with --seed or --at: the last N log lines"
    )
    other = parser.add_argument_group("other")
    other.add_argument(
        "--mysql", action="store_true", help="on a private MariaDB server instead of in memory"
    )
    other.add_argument("--export", metavar="DIR", help="with --replay: the orders as JSON lines, to compare")
    other.add_argument("--quiet", action="store_true", help="only failures and the last line")
    return parser


def main(arguments: Sequence[str]) -> int:
    given = vars(_parser().parse_args(arguments))
    return commands.run(Options(**given))


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of a set's items follows from it, and a seed has to give the same run every time.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, "-m", "proof.simulation", *sys.argv[1:]], environment)
    sys.exit(main(sys.argv[1:]))
