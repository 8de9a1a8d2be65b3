"""The operator at the keyboard: ./bot's commands run in this process, on an .env file of a test's own."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dca.operator.__main__ import main
from dca.runtime.settings import DatabaseSettings, ExchangeSettings, Venue
from tests.processes import BotProcess

NO_EXCHANGE = ExchangeSettings(
    key_id="PKTEST",
    secret_key="not a secret",
    trading_url="http://127.0.0.1:9",
    data_url="http://127.0.0.1:9",
    trading_stream_url="ws://127.0.0.1:9/stream",
    data_stream_url="ws://127.0.0.1:9/v1beta3/crypto/us",
    venue=Venue.LOCAL,
)
"""Nobody listens there."""


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code, and both outputs with their lines joined."""

    code: int
    out: str
    err: str

    @property
    def flat(self) -> str:
        """Standard output in one line: where the words were wrapped does not matter."""
        return " ".join(self.out.split())

    def json(self) -> Any:
        return json.loads(self.out)


class Operator:
    """Types commands. Nothing of the environment of the person who runs the tests is seen."""

    def __init__(
        self,
        folder: Path,
        database: DatabaseSettings,
        exchange: ExchangeSettings,
        patch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        BotProcess(folder, exchange, database)  # writes the file
        self.env_file = folder / "env"
        self.state_dir = folder / "state"
        self.state_dir.mkdir()
        self._capsys, self._patch = capsys, patch
        for line in self.env_file.read_text().splitlines():
            patch.delenv(line.partition("=")[0], raising=False)
        patch.setenv("DCA_ENV_FILE", str(self.env_file))

    def types(self, *command: str, columns: int = 80) -> Outcome:
        """./bot COMMAND, with standard input that is no terminal, on a screen of so many columns."""
        self._capsys.readouterr()
        self._patch.setenv("COLUMNS", str(columns))
        try:
            code = main(command)
        except SystemExit as exit_:  # argparse
            code = int(str(exit_.code))
        captured = self._capsys.readouterr()
        if "--json" not in command:  # a program reads that
            assert all(len(line) <= columns for line in captured.out.splitlines()), captured.out
        return Outcome(code, captured.out, captured.err)


@pytest.fixture
def lonely(
    tmp_path: Path,
    database: DatabaseSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Operator:
    """A bot whose exchange does not answer, beside no main_app."""
    return Operator(tmp_path, database, NO_EXCHANGE, monkeypatch, capsys)
