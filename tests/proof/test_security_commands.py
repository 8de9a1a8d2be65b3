"""Hostile symbols and values: typed as arguments of every command, and as rows of the table."""

import csv
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from dca.core.model import CycleStatus
from dca.database.store import Store
from dca.operator.__main__ import COMMANDS
from dca.runtime.settings import DatabaseSettings
from tests.operating import NO_EXCHANGE, Operator, Outcome
from tests.rig import INSERT

SYMBOLS = (
    "BTC/USD' OR '1'='1",
    "BTC/USD'; DROP TABLE dca_assets; -- ",
    'BTC/USD" OR ""="',
    "BTC/USD\\' OR 1=1 -- ",
    "%",
    "_TC/USD",
    "%s",
    "{symbol}",
    "[red]BTC/USD",
    "$(id)/USD",
    "../../etc/passwd",
    "BTC/USD\nBTC/USD",
    "ＢＴＣ/USD",
    "A" * 5000,
    "",
)
BY_SYMBOL: dict[str, tuple[str, ...]] = {
    "why": (),
    "add": ("--base", "20", "--safety", "20"),  # asks; some of these are pairs, and would be added
    "set": ("--take-profit", "1.5", "--yes"),
    "enable": ("--yes",),
    "disable": ("--yes",),
    "remove": ("--yes",),
    "retire": ("--yes",),
    "sell": ("--yes",),
    "adopt": ("--yes",),
    "accept": ("--yes",),
}
"""Commands whose first argument is a pair, and what else makes them act."""
ONLY_SHOWN = ("cycles", "orders")
"""Commands that may be given a pair."""
WITHOUT = {
    *("status", "doctor", "assets", "pause", "resume", "profit", "export", "stop", "start"),
    *("test-email", "install", "uninstall"),
}
ROWS = ("A';DROP\\/USD", 'B"`--/USD', "=C%S(1)/USD", "[RED]D/USD")
"""As a person may put them into the table: it takes them, since they are pairs in capital letters."""


@pytest.fixture
def operator(
    tmp_path: Path,
    database: DatabaseSettings,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Operator:
    store.run_script(INSERT)
    return Operator(tmp_path, database, NO_EXCHANGE, monkeypatch, capsys)


def everything(store: Store) -> dict[str, Any]:
    """All rows of all tables, but for the list of what was typed."""

    def read(tx: Any) -> dict[str, Any]:
        names = [str(next(iter(row.values()))) for row in tx._rows("SHOW TABLES")]
        return {name: tx._rows(f"SELECT * FROM {name}") for name in names if name != "operator_actions"}

    return store.transaction(read)


def put_row(store: Store, symbol: str) -> None:
    """A row of the table, and a cycle of it that watches."""
    values = {"asset_symbol": symbol, "base_order_amount": 20, "safety_order_amount": 20}
    values |= {"max_safety_orders": 1, "safety_order_deviation": 1, "take_profit_percent": 1}
    values |= {"cooldown_period": 1, "buy_order_price_deviation_percent": 1}
    asset_id = store.transaction(lambda tx: tx.insert_asset(values))
    store.transaction(lambda tx: tx.insert_cycle(asset_id, CycleStatus.WATCHING))


def is_calm(said: Outcome) -> None:
    """Words for a person, and none of the database about its language."""
    words = said.out + said.err
    for bad in ("SQL syntax", "Traceback", "ProgrammingError", "You have an error"):
        assert bad not in words, words[:500]


def test_every_command_is_known_here() -> None:
    """A new command has to say whether it takes a symbol."""
    assert set(COMMANDS) == {*BY_SYMBOL, *ONLY_SHOWN, *WITHOUT}


def test_a_hostile_symbol_changes_nothing(operator: Operator, store: Store) -> None:
    before = everything(store)
    for command, rest in BY_SYMBOL.items():
        for symbol in SYMBOLS:
            said = operator.types(command, symbol, *rest)
            assert said.code in {1, 2}, (command, symbol, said)
            is_calm(said)
    for command in ONLY_SHOWN:
        for symbol in SYMBOLS:
            said = operator.types(command, symbol)
            assert "BTC/USD" not in said.out, (command, symbol, said)
            is_calm(said)
    assert everything(store) == before


def test_hostile_words_and_rows_are_only_text(operator: Operator, store: Store, tmp_path: Path) -> None:
    for text in SYMBOLS:
        is_calm(operator.types("profit", "--by", text))
        is_calm(operator.types("stop", "--for", text, "--yes"))
        is_calm(operator.types("pause", "--why", text, "--yes"))
        reason = store.transaction(lambda tx: tx.control()).mode_reason or ""
        assert text.strip()[:100] in reason
    for symbol in ROWS:
        put_row(store, symbol)
    for command in (("status",), ("assets",), ("cycles",), ("orders",), ("profit",)):
        is_calm(operator.types(*command))
    for symbol in ROWS:
        said = operator.types("why", symbol)
        is_calm(said)
        assert symbol in said.flat, said
        assert operator.types("disable", symbol, "--yes").code == 0
    assert operator.types("export", "--csv", str(tmp_path / "out")).code == 0
    with (tmp_path / "out" / "cycles.csv").open(newline="") as file:
        shown = [row["asset_symbol"] for row in csv.DictReader(file)]
    assert shown == [f"'{symbol}" if symbol.startswith("=") else symbol for symbol in ROWS]


def test_a_command_keeps_to_itself_as_the_scripts_do(operator: Operator) -> None:
    """tests/proof/test_security_process.py shows it of processes; both call the same function."""
    before = os.umask(0)
    operator.types("assets")
    assert os.umask(before) == 0o077
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


def test_no_command_takes_a_secret_as_an_argument(operator: Operator) -> None:
    """It would be in the process list, in the shell's history and in operator_actions."""
    for command in COMMANDS:
        words = operator.types(command, "--help").out.lower()
        assert not any(f"--{bad}" in words for bad in ("password", "secret", "key", "token")), command
