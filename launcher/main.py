"""./bot: the list of commands, and starting each of them."""

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from dca.runtime import file_owner  # standard library only
from launcher import checks, setup
from launcher.environment import PYTHON
from launcher.output import ROOT, SetUpProblem, complain

DEMO = "watch the real bot complete cycles on a local exchange"
TEST = "run all tests and checks (--full: also the slow ones)"
PROOF = {
    "prove": "simulate the bot under seeded faults and crashes at every step",
    "chaos": "run real processes while killing, stopping and cutting them off",
    "fuzz": "send hostile input from every side",
    "bite": "plant faults in a copy of the source; each must be caught",
    "mutate": "make small changes to a MODULE; a test must notice each",
}
BENCH = "measure resource use and latency, next to a floor"
EXCHANGE = "run only the local paper exchange, for any Alpaca client"
MIGRATE = "upgrade the database to this version's schema"
HELP = "show this list"
OPERATOR = {
    "install": "complete .env, create tables and crontab, then run doctor",
    "uninstall": "remove the crontab block; database, logs and .env stay",
    "status": "one screen: every asset's state, and the health of every script",
    "why": "why BTC/USD: why it is not buying or selling",
    "doctor": "run every check, with a remedy for each failure",
    "assets": "list the rows of dca_assets",
    "add": "add BTC/USD --base 20 ...: preview the ladder, then add a pair",
    "set": "set BTC/USD --take-profit 1.5 ...: change an asset's settings",
    "enable": "enable BTC/USD: allow buys again",
    "disable": "disable BTC/USD: stop buys; take-profits still sell",
    "remove": "remove BTC/USD: delete the row of a pair that was never traded",
    "retire": "retire BTC/USD: stop trading it; its history stays",
    "pause": "stop all buys (--all: all orders)",
    "resume": "end a pause; resume BTC/USD: unlock an asset",
    "sell": "sell BTC/USD: cancel the open buy, sell all it holds",
    "adopt": "adopt BTC/USD: add coins already on the account to the cycle",
    "accept": "accept BTC/USD: book a difference as traded outside, and unlock",
    "cycles": "list cycles and their profit",
    "orders": "list orders, newest first",
    "profit": "net profit --by day, asset or month",
    "export": "cycles and orders as CSV",
    "stop": "stop main_app, watchdog and caretakers for a time (--for 2h)",
    "start": "start main_app: ends a stop early, and a crash loop's stop",
    "test-email": "send a test mail",
}
PROOF_PACKAGES = {
    "prove": "simulation",
    "chaos": "chaos",
    "fuzz": "fuzz",
    "bite": "bite",
    "mutate": "mutation",
}
COMMANDS = {
    "demo": DEMO,
    "test": TEST,
    "exchange": EXCHANGE,
    "migrate": MIGRATE,
    **OPERATOR,
    **PROOF,
    "bench": BENCH,
    "help": HELP,
}


def main(arguments: Sequence[str]) -> int:
    """Run a command; returns its exit code. 2: there is no such command; 130: Ctrl-C."""
    command, rest = (arguments[0], list(arguments[1:])) if arguments else ("help", [])
    if command in {"help", "-h", "--help"}:
        print(overview())
        return 0
    if command not in COMMANDS:
        print(f"The commands are:\n{_list()}\n\n{_no_command(command)}", file=sys.stderr)
        return 2
    refusal = file_owner.refusal([ROOT], os.geteuid(), f"./bot {command}")
    if refusal is not None:
        print(f"bot: {refusal}", file=sys.stderr)
        return 1
    try:
        if command == "test":
            return checks.main(_test_options(rest))
        _become(command, rest)
    except SetUpProblem as problem:
        complain(f"bot: {problem}")
        return 1
    except KeyboardInterrupt:
        print("\nbot: stopped; run it again to continue", file=sys.stderr)
        return 130


def _no_command(command: str) -> str:
    near = difflib.get_close_matches(command, COMMANDS, 1)
    return f"bot: there is no command {command!r}" + (f"; did you mean {near[0]}?" if near else "")


def overview() -> str:
    return (
        "usage: ./bot COMMAND [options]\n\n" + _list() + "\n\n./bot COMMAND --help lists a command's options."
    )


def _list() -> str:
    return "\n".join(f"  {name:<12}{what}" for name, what in COMMANDS.items())


def _become(command: str, rest: list[str]) -> NoReturn:
    """Set up, then replace this process: signals reach the program itself."""
    setup.ensure(development=command in PROOF, database=command in {"demo", "bench"} or command in PROOF)
    modules = {"demo": ["demo"], "exchange": ["paper_exchange"], "bench": ["bench"]}
    modules["migrate"] = ["dca.operator.setup.migrate"]
    modules |= {name: [f"proof.{package}"] for name, package in PROOF_PACKAGES.items()}
    module = modules.get(command) or ["dca.operator", command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    os.execve(PYTHON, [str(PYTHON), "-m", *module, *rest], environment)


def _test_options(rest: list[str]) -> checks.Options:
    split = rest.index("--") if "--" in rest else len(rest)
    parser = argparse.ArgumentParser(prog="bot test", description=TEST)
    parser.add_argument("--full", action="store_true", help="slow tests, a long demo and a replay as well")
    parser.add_argument("--data", metavar="DIR", help="recorded market data for the replay of --full")
    parser.epilog = "What follows -- is passed on to pytest."
    given = parser.parse_args(rest[:split])
    return checks.Options(full=given.full, data=given.data, pytest=tuple(rest[split + 1 :]))
