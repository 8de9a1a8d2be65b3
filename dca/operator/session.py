"""What the operator's commands have in common."""

import argparse
import getpass
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from rich.console import Console

import dca.runtime.settings
from dca.core.errors import StartRefused
from dca.core.interfaces import Clock
from dca.core.model import Asset
from dca.database.store import Store, Transaction
from dca.exchange.request_budget import Pace, others
from dca.exchange.rest_client import Broker
from dca.runtime import file_owner
from dca.runtime.clock import SystemClock
from dca.runtime.settings import Settings

LEAST_WIDTH = 40
PIPE_SIZE = (80, 24)
"""A pipe has no width of its own, and is mostly read on a terminal. COLUMNS is heeded."""


class Screen(Console):
    """A console whose reader may leave: ./bot pause | head has to do its work all the same."""

    def on_broken_pipe(self) -> None:
        """Write nothing any more."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _width() -> int:
    return max(LEAST_WIDTH, shutil.get_terminal_size(PIPE_SIZE).columns)


class Tools:
    """Settings, database, exchange and screen; each made when first asked for."""

    def __init__(self, command: str) -> None:
        self.command = command
        """As it was typed, for the audit table."""
        self.clock: Clock = SystemClock()
        self.console: Console = Screen(width=_width(), highlight=False, soft_wrap=False)

    @cached_property
    def settings(self) -> Settings:
        """Raises:
        SettingsProblem: with every problem there is.
        """
        settings = dca.runtime.settings.load()
        folders = (settings.state_dir, settings.log_dir)  # ./bot has asked for the project's
        refusal = file_owner.refusal(folders, os.geteuid(), f"./bot {self.command}")
        if refusal is not None:
            raise StartRefused(refusal)
        return settings

    @cached_property
    def store(self) -> Store:
        """A database of the right schema.

        Raises:
            StartRefused, DatabaseUnavailable: with what to do.
        """
        store = Store(self.settings.database)
        store.check_schema()
        return store

    @cached_property
    def broker(self) -> Broker:
        pace = Pace(self.clock, others(self.settings.requests_per_minute))
        return Broker(self.settings.exchange, pace)

    @property
    def who(self) -> str:
        return getpass.getuser()

    def asset(self, symbol: str) -> Asset:
        """The row of a pair, however its letters are written.

        Raises:
            StartRefused: there is none; with those that there are.
        """
        assets = self.store.transaction(lambda tx: tx.assets())
        for asset in assets:
            if asset.asset_symbol == symbol.upper():
                return asset
        known = ", ".join(asset.asset_symbol for asset in assets) or "none yet"
        name = symbol.upper()
        raise StartRefused(f"there is no asset {name} (./bot add {name} adds it); there are: {known}")

    def confirmed(self, question: str, *, yes: bool) -> bool:
        """Ask before something is changed; `yes` is the answer given on the command line."""
        if yes:
            return True
        if not sys.stdin.isatty():
            self.console.print(f"{question} Not a terminal: give --yes to do it.")
            return False
        return self.console.input(f"{question} [y/N] ", markup=False).strip().lower() in {"y", "yes"}

    def note(self, tx: Transaction, asset_symbol: str | None, effect: str) -> None:
        """Write the audit row, in the transaction that does the thing."""
        tx.insert_action(self.who, self.command, asset_symbol, effect, self.clock.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of ./bot. `run` returns the exit code; main tells what it raises of core/errors."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Tools], int]


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """For commands that take none."""
