"""./bot: what it can do, and how each command is started."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from launcher import checks, setup
from launcher.environment import PYTHON
from launcher.output import ROOT, SetUpProblem

DEMO = "watch the real bot trade on a local paper exchange, to finished cycles"
TEST = "run everything that must hold (--full: also what takes longer)"
EXCHANGE = "run the local paper exchange by itself, for any Alpaca client"
MIGRATE = "bring the database of .env to the schema of this version"
HELP = "this list"
COMMANDS = {"demo": DEMO, "test": TEST, "exchange": EXCHANGE, "migrate": MIGRATE, "help": HELP}


def main(arguments: Sequence[str]) -> int:
    """Run a command; returns its exit code. 2: there is no such command; 130: Ctrl-C."""
    command, rest = (arguments[0], list(arguments[1:])) if arguments else ("help", [])
    if command in {"help", "-h", "--help"}:
        print(overview())
        return 0
    if command not in COMMANDS:
        print(f"bot: there is no command {command!r}; the commands are:\n{_list()}", file=sys.stderr)
        return 2
    try:
        if command == "test":
            return checks.main(_test_options(rest))
        _become(command, rest)
    except SetUpProblem as problem:
        print(f"bot: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbot: stopped; the next start goes on from here", file=sys.stderr)
        return 130


def overview() -> str:
    return (
        "usage: ./bot COMMAND [options]\n\n" + _list() + "\n\n./bot COMMAND --help lists a command's options."
    )


def _list() -> str:
    return "\n".join(f"  {name:<10}{what}" for name, what in COMMANDS.items())


def _become(command: str, rest: list[str]) -> NoReturn:
    """Set up, then replace this process: signals reach the program itself."""
    setup.ensure(database=command == "demo")
    module = {"demo": "demo", "exchange": "paper_exchange", "migrate": "dca.operator.migrate"}[command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    os.execve(PYTHON, [str(PYTHON), "-m", module, *rest], environment)


def _test_options(rest: list[str]) -> checks.Options:
    split = rest.index("--") if "--" in rest else len(rest)
    parser = argparse.ArgumentParser(prog="bot test", description=TEST)
    parser.add_argument("--full", action="store_true", help="slow tests, a long demo and a replay as well")
    parser.add_argument("--data", metavar="DIR", help="recorded market data for the replay of --full")
    parser.epilog = "What follows -- is passed on to pytest."
    given = parser.parse_args(rest[:split])
    return checks.Options(full=given.full, data=given.data, pytest=tuple(rest[split + 1 :]))
