"""./bot chaos: real processes under a nemesis, then both books compared."""

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from demo.problems import DemoProblem, Interrupted
from launcher.output import SetUpProblem
from proof.chaos.kinds import WEIGHTS, matches
from proof.chaos.report import Terminal
from proof.chaos.run import Run
from proof.chaos.world import ChaosProblem

FOUND_NOTHING, FOUND, USAGE = 0, 1, 2


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./bot chaos",
        description="Runs the whole suite as real processes, kills, stops and cuts off every part of it, "
        "then compares the exchange's book with the bot's.",
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="of faults (default: %(default)s)")
    parser.add_argument("--seconds", type=float, help="instead of minutes; up to 45 at a pace of its own")
    parser.add_argument("--seed", type=int, default=1, help="of what happens when (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep logs and books, also if nothing is found")
    parser.add_argument(
        "--only",
        type=_kinds,
        default=(),
        metavar="KIND,...",
        help="only kinds that begin so, like kill,net.rest,exchange.orders; then none has to happen",
    )
    found = parser.parse_args(given)
    if (found.seconds if found.seconds is not None else found.minutes) <= 0:
        parser.error("there has to be some time")
    return found


def _kinds(text: str) -> tuple[str, ...]:
    """Raises:
    argparse.ArgumentTypeError: nothing begins so.
    """
    wanted = tuple(text.split(","))
    for each in wanted:
        if not any(matches(kind, [each]) for kind in WEIGHTS):
            raise argparse.ArgumentTypeError(f"no kind begins with {each!r}; there are: {', '.join(WEIGHTS)}")
    return wanted


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


def main(given: Sequence[str] | None = None) -> int:
    """Exit code 0: nothing was found, 1: something was, 2: usage, 130: interrupted."""
    arguments = _arguments(given)
    seconds = arguments.minutes * 60 if arguments.seconds is None else arguments.seconds
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    terminal = Terminal()
    try:
        run = Run(seconds, arguments.seed, terminal, keep=arguments.keep, only=arguments.only)
        return run.go()
    except Interrupted:
        terminal.line("chaos: stopped; every process has ended")
        return 130
    except (ChaosProblem, DemoProblem, SetUpProblem) as error:
        terminal.line(f"chaos: {error}", "bold red")
        return FOUND


if __name__ == "__main__":
    sys.exit(main())
