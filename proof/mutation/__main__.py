"""./bot mutate: make small mistakes in a copy of the source, one at a time; a test has to notice each."""

import argparse
import sys
from collections.abc import Sequence

from launcher.output import SetUpProblem
from proof.mutation import tool
from proof.mutation.modules import MODULES

FOUND, USAGE, STOPPED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if every mutant was killed or is accepted, 1 if one was not, 2 usage."""
    given = _parser().parse_args(arguments)
    unknown = sorted(set(given.module) - MODULES.keys())
    if unknown:
        print(f"mutate: there is no module {', '.join(unknown)}; --help lists them", file=sys.stderr)
        return USAGE
    modules = [MODULES[name] for name in given.module or MODULES]
    try:
        tool.ensure()
        from proof.mutation import portions  # what it imports has just been installed

        if given.list:
            return portions.show(modules)
        return portions.run(
            modules, minutes=given.minutes, sample=given.sample, seeds=given.seeds, jobs=given.jobs
        )
    except SetUpProblem as error:
        print(f"mutate: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nmutate: stopped; what is known is kept, and the next run goes on", file=sys.stderr)
        return STOPPED
    return FOUND


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bot mutate",
        description=__doc__.partition(": ")[2] if __doc__ else "",
        epilog=f"Modules: {', '.join(MODULES)}. Each is a file in dca/. Results are kept in "
        "var/mutation/: a run goes on where the last one ended. "
        "Survivors are tried again when their tests have changed.",
    )
    parser.add_argument("module", nargs="*", metavar="MODULE", help="only these (default: all, for hours)")
    parser.add_argument(
        "--list", action="store_true", help="show what is known and the survivors; run nothing"
    )
    parser.add_argument("--minutes", type=float, metavar="M", help="begin nothing new after so many")
    parser.add_argument(
        "--sample", type=int, metavar="K", help="only K mutants of each module that have no result yet"
    )
    parser.add_argument("--seeds", type=int, default=40, metavar="N", help="of the simulation (default 40)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many at once (default 2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
