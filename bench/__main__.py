"""./bot bench: measures what the bot costs, each figure beside a floor measured in the same run."""

import argparse
import importlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import machine, table
from bench.ground import Ground
from bench.row import Row
from dca.operator.session import Screen
from demo.problems import DemoProblem
from launcher.output import SetUpProblem

PARTS = {
    "quotes": "quotes in, statements per quiet quote, cost with the number of assets",
    "orders": "tick to order, all at once, fill to ledger, start to trading",
    "processes": "caretaker runs with nothing to do, main_app at rest",
    "history": "years of cycles and orders in the tables",
    "budget": "requests a minute in a busy hour",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0: every goal that was judged is met; 1: one is not, or a part did not start; 2: usage; 130: Ctrl-C.

    What was measured before something failed is shown all the same.
    """
    options = _options(arguments)
    rows: list[Row] = []
    facts: dict[str, object] = {}
    code = 1
    try:
        with Ground(full=options.full) as ground:
            facts |= machine.facts(ground.server)
            for row in _measured(options.parts or list(PARTS), ground, quick=options.quick):
                rows.append(row)
        code = exit_code(rows)
    except (SetUpProblem, DemoProblem) as problem:
        print(f"bench: {problem}", file=sys.stderr)
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        code = 130
    if rows:
        table.show(rows, facts, Screen(width=table.WIDTH, highlight=False))
    if options.json is not None:
        table.write_json(rows, facts, options.json)
    return code


def exit_code(rows: Sequence[Row]) -> int:
    """0 if nothing that was judged failed; a run without a single figure has shown nothing."""
    return 0 if rows and all(row.met is not False for row in rows) else 1


def _measured(parts: Sequence[str], ground: Ground, *, quick: bool) -> Iterator[Row]:
    """A part is imported when its turn comes: it brings libraries that the others do not need."""
    for name in PARTS:
        if name not in parts:
            continue
        started = time.monotonic()
        print(f"bench: {name} ...", file=sys.stderr, flush=True)
        yield from importlib.import_module(f"bench.{name}").rows(ground, quick=quick)
        print(f"bench: {name} took {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for; what makes no sense is told before minutes are spent on it."""
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; the parts are: {', '.join(PARTS)}")
    if options.json is not None:
        try:
            options.json.touch()
        except OSError as error:
            parser.error(f"{options.json} cannot be written: {error.strerror}")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./bot bench",
        description=__doc__.partition(": ")[2] if __doc__ else None,
        epilog="parts: " + "; ".join(f"{name}: {what}" for name, what in PARTS.items()),
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="measure only this; by default all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there as well")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="everything once, in seconds; judges nothing")
    length.add_argument("--full", action="store_true", help="also what takes long")
    return parser


if __name__ == "__main__":
    sys.exit(main())
