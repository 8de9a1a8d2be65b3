"""python -m demo: what ./bot demo runs."""

import signal
import sys
from types import FrameType

from demo.problems import DemoProblem, Interrupted


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


def main() -> int:
    """Run the demo with the command line's options; returns the exit code."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        # Imported late: these take a moment, and Ctrl-C must already be understood.
        from demo.options import parse
        from demo.report import Terminal
        from demo.run import Run
        from launcher.output import SetUpProblem, complain

        options = parse(sys.argv[1:])
        try:
            return Run(options, Terminal()).go()
        except (DemoProblem, SetUpProblem) as problem:
            complain(f"demo: {problem}")
            return 1
    except Interrupted:
        print("demo: stopped; nothing was started yet", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
