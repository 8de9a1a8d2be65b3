"""./bot bite: plant deliberate faults in a copy of the source, one at a time; each has to be noticed."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from launcher.output import SetUpProblem
from proof.bite import report
from proof.bite.catalogue import FAULTS, sample, seed_of
from proof.bite.fault import Fault, problem
from proof.bite.judging import Outcome
from proof.bite.layers import ALL, TESTS, layers_of
from proof.bite.runner import CleanTreeIsRed, benches, clean_runs, outcomes

ROOT = Path(__file__).resolve().parent.parent.parent
FINE, FOUND, USAGE, STOPPED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if every planted fault was caught, 1 if one survived or nothing could be judged, 2 usage."""
    given = _parser().parse_args(arguments)
    console = report.console()
    wanted = _wanted(given)
    faults = [fault for fault in _chosen(given) if layers_of(fault, wanted)]
    if not faults or not wanted <= ALL:
        what = (
            f"layer {', '.join(sorted(wanted - ALL))}" if not wanted <= ALL else "such fault, or none for it"
        )
        print(f"bite: there is no {what}; --list shows the faults, --help the layers", file=sys.stderr)
        return USAGE
    if given.list:
        report.listed(console, faults)
        return FINE
    problems = [found for fault in faults if (found := problem(fault, ROOT)) is not None]
    for found in problems:
        console.print(found, markup=False, soft_wrap=True)
    if problems:
        console.print(
            f"bite: {len(problems)} faults do not fit the source any more: bring the list up to date"
        )
        return FOUND
    try:
        return _bite(console, faults, wanted, jobs=max(1, min(given.jobs, len(faults))))
    except CleanTreeIsRed as error:
        console.print(str(error), markup=False, soft_wrap=True)
    except SetUpProblem as error:
        print(f"bite: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nbite: stopped", file=sys.stderr)
        return STOPPED
    return FOUND


def _bite(console: Console, faults: Sequence[Fault], wanted: frozenset[str], *, jobs: int) -> int:
    began = time.monotonic()
    done: list[Outcome] = []
    with benches(ROOT, jobs) as at:
        clean = clean_runs(at, faults, wanted)
        tests = {test for fault in faults for test in fault.tests} if TESTS in wanted else set()
        others = sorted({layer.name for layer in clean} - {TESTS})
        what = ", ".join(filter(None, (f"{len(tests)} tests or files of tests" if tests else "", *others)))
        console.print(f"the clean tree is green: {what} ({time.monotonic() - began:.0f} s)")
        for outcome in outcomes(at, faults, wanted, clean):
            done.append(outcome)
            report.progress(console, outcome, len(done), len(faults))
    console.print()
    order = {fault.name: number for number, fault in enumerate(FAULTS)}
    done.sort(key=lambda outcome: order[outcome.fault.name])
    report.table(console, done)
    lost = [outcome for outcome in done if not outcome.is_caught]
    report.survivors(console, lost)
    tops = [outcome for outcome in done if outcome.fault.is_top]
    twice = sum(len(outcome.caught_by) > 1 for outcome in tops)
    console.print(
        f"\nbite: {len(done) - len(lost)} of {len(done)} faults caught, {twice} of the {len(tops)} worst "
        f"by two layers, {len(lost)} survived; {time.monotonic() - began:.0f} s"
    )
    return FOUND if lost else FINE


def _chosen(given: argparse.Namespace) -> list[Fault]:
    if given.only:
        return [fault for fault in FAULTS if fault.name in given.only]
    if given.top:
        return [fault for fault in FAULTS if fault.is_top]
    if given.sample:
        seed = seed_of(ROOT) if given.seed is None else given.seed
        return sample(given.sample, seed)
    return list(FAULTS)


def _wanted(given: argparse.Namespace) -> frozenset[str]:
    """A sample is for every test run: it has the tests look, and nothing slower."""
    if given.layers is not None:
        return frozenset(given.layers.split(","))
    return frozenset({TESTS}) if given.sample and not given.only else ALL


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bot bite", description=__doc__.partition(": ")[2] if __doc__ else ""
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--sample", type=int, metavar="K", help="only K different faults, with the tests only")
    which.add_argument("--only", action="append", metavar="NAME", help="this fault (may be given again)")
    which.add_argument("--top", action="store_true", help="the worst, which two layers have to catch")
    parser.add_argument("--seed", type=int, help="which sample (default: follows from the source)")
    parser.add_argument("--layers", metavar="A,B", help=f"of {', '.join(sorted(ALL))} (default: all)")
    parser.add_argument("--list", action="store_true", help="show the faults, and plant none")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many at once (default 2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
