"""What integration_test.py can be told."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

QUIET, NORMAL, LOUD = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`only`: numbers of scenarios, empty for all. `loudness`: how much is told on the way."""

    local: bool = False
    only: tuple[int, ...] = ()
    show_list: bool = False
    keep: bool = False
    clean_account: bool = False
    any_database: bool = False
    loudness: int = NORMAL


def parse(arguments: Sequence[str], known: Sequence[int]) -> Options:
    """Options from the command line; a mistake ends the program with a line and exit code 2."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        only = tuple(sorted({int(part) for part in given.only.split(",") if part.strip()}))
    except ValueError:
        parser.error(f"--only takes numbers like 2,4, not {given.only}")
    strange = sorted(set(only) - set(known))
    if strange:
        parser.error(f"--only: there is no scenario {strange[0]}; --list shows them")
    if given.local and (given.clean_account or given.any_database):
        parser.error("--local has an account and a database of its own; leave the other switch out")
    return Options(
        local=given.local,
        only=only,
        show_list=given.list,
        keep=given.keep,
        clean_account=given.clean_account,
        any_database=given.any_database,
        loudness=QUIET if given.quiet else LOUD if given.verbose else NORMAL,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="integration_test.py",
        description="Plays numbered scenarios with the real scripts: against the paper account of .env, "
        "whose market cannot be moved (the test shapes its own rows instead), or with --local against an "
        "exchange on this machine. Buys for $11 at a time and sells it again. Exit code: 0 all passed, "
        "1 a scenario failed, 2 refused or settings.",
    )
    parser.add_argument("--local", action="store_true", help="an exchange and a database of its own")
    parser.add_argument("--only", default="", metavar="N,N", help="these scenarios alone")
    parser.add_argument("--list", action="store_true", help="show the scenarios, and do nothing")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="no clean-up at the end: orders, positions, rows and logs stay for a look",
    )
    parser.add_argument(
        "--clean-account",
        action="store_true",
        help="cancel and sell what others left on the pairs of the test; without it that is a refusal",
    )
    parser.add_argument(
        "--any-database",
        action="store_true",
        help="accept a database without rows whose name does not end in _test",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--verbose", action="store_true", help="also what the scripts print")
    how.add_argument("--quiet", action="store_true", help="only verdicts and the summary")
    return parser
