"""./bot: what it can do, and how each command is started."""

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

DEMO = "watch the real bot trade on a local exchange, to finished cycles"
TEST = "run everything that must hold (--full: also what takes longer)"
PROOF = {
    "prove": "simulate the bot under faults by seed; crash points; single faults",
    "chaos": "real processes, and something that kills, stops and cuts them",
    "fuzz": "hostile input from everywhere",
    "bite": "plant faults in a copy of the source: each has to be caught",
    "mutate": "small mistakes by a tool, [MODULE]: a test has to notice each",
}
BENCH = "what the bot costs, each figure beside a floor of the same run"
EXCHANGE = "run the local paper exchange by itself, for any Alpaca client"
MIGRATE = "bring the database of .env to the schema of this version"
HELP = "this list"
OPERATOR = {
    "install": "ask for what .env lacks, make tables and crontab, then doctor",
    "uninstall": "take the crontab's block away; database, logs and .env stay",
    "status": "one screen: what every asset is doing, and whether all is alive",
    "why": "why BTC/USD: why it is not buying, why it is not selling",
    "doctor": "check everything there is to check, with the remedy for each",
    "assets": "the rows of dca_assets",
    "add": "add BTC/USD --base 20 ...: show the ladder, then trade a new pair",
    "set": "set BTC/USD --take-profit 1.5 ...: change an asset's settings",
    "enable": "enable BTC/USD: buy again",
    "disable": "disable BTC/USD: no more buys; what is held is sold in profit",
    "remove": "remove BTC/USD: take out the row of a pair that was never traded",
    "retire": "retire BTC/USD: trade it no more; its history stays",
    "pause": "no buys of any asset (--all: no orders at all)",
    "resume": "end a pause, or what the watchdog made of too many crashes",
    "sell": "sell BTC/USD: cancel what is open, sell what the cycle holds",
    "adopt": "adopt BTC/USD: take coins that the account holds into the cycle",
    "accept": "accept BTC/USD: book a difference as traded outside; ends a lock",
    "cycles": "cycles and what they earned",
    "orders": "orders, newest first",
    "profit": "net profit --by day, asset or month",
    "export": "cycles and orders as CSV",
    "stop": "stop main_app --for 2h: watchdog and caretakers stand down",
    "start": "end a stop before its time",
    "test-email": "send a mail by the ALERT_EMAIL_* settings",
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
        print("\nbot: stopped; the next start goes on from here", file=sys.stderr)
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
