"""Statements of a person on any table of ours: rows of the records, rows that go, and words of every kind, of
which some get past the tables' rules."""

import random
from typing import Any, get_args, get_type_hints

from dca.core.model import Asset, Control, Cycle, Order, Word
from dca.core.operations import Incident, JobRun
from proof.fuzz import junk

_ROWS = {
    "dca_assets": Asset,
    "dca_cycles": Cycle,
    "dca_orders": Order,
    "dca_control": Control,
    "job_runs": JobRun,
    "incidents": Incident,
}


def _words_of(cls: type) -> dict[str, tuple[str, ...]]:
    found = {}
    for name, hint in get_type_hints(cls).items():
        for kind in (hint, *get_args(hint)):
            if isinstance(kind, type) and issubclass(kind, Word):
                found[name] = tuple(word.value for word in kind)
    return found


WORDS = {table: _words_of(cls) for table, cls in _ROWS.items()} | {
    "dca_order_attempts": {"answer": ("accepted", "duplicate", "reject", "expired")}
}
"""Every column whose values are words, and these."""

_TIMES = ("2026-01-02 03:04:05", "1000-01-01", "9999-12-31 23:59:59.999999", "2040-01-01", "0000-00-00", None)
_COLUMNS: dict[str, dict[str, tuple[Any, ...]]] = {
    "dca_orders": {
        "exchange_status": ("FILLED", "filled ", "", None, "new"),
        "level": (-1, 0, 1, 2, 1000),
        "fee_qty": ("0", "0.0001", "-1", "1000000"),
        "fee_usd": ("0", "-1", "1000000"),
        "version": (-1, 0, 7, 2_000_000_000),
        "client_order_id": ("", "dca-abcd1234-9-9-b", "DCA-ABCD1234-1-1-B", "mine", "x" * 64),
        "exchange_order_id": ("", None, "x-999"),
        "symbol": ("", "ADA/USD", "btc/usd", "BTCUSD"),
        "seq": (-1, 0, 99),
        "limit_price": ("0", "-1", "1000000", None),
        "fee_rate": ("-0.1", "0", "0.01", "1"),
        **dict.fromkeys(("min_order_size", "qty_increment"), ("0", "-1", "1000000")),
        **dict.fromkeys(("trigger_price", "quote_price"), ("0", "-1", None)),
        "difference": ("", "it is another", None),
        **dict.fromkeys(("created_at", "last_sent_at", "cancel_requested_at", "not_found_at"), _TIMES),
        "decided_at": _TIMES,
    },
    "dca_order_attempts": {"attempt": (-1, 0, 1, 2), "sent_at": _TIMES},
    "dca_control": {
        "install_id": ("abcd1234", "", "x", "ABCD1234"),
        "account_id": ("account", "another", "", None),
        "epoch": (-1, 0, 1, 2**31 - 1),
        "mode_reason": ("", "x" * 300, None),
        "owner": ("", None, "pi:/dca#1@2", "#", "x" * 300),
        "fee_rate": ("-0.1", "0", "0.01", "1", None),
        **dict.fromkeys(("mode_set_at", "owner_seen_at", "account_made_at"), _TIMES),
    },
    "job_runs": {
        "job": ("watchdog", "", "x" * 40),
        "checked": (-1, 0, 2**31 - 1),
        "details": ("", None, "\x1b[2J"),
        **dict.fromkeys(("started_at", "ended_at"), _TIMES),
    },
    "incidents": {
        "name": ("", "break BTC/USD", "kill switch", "x" * 120),
        "subject": ("", "\n", "x" * 200),
        "evidence": ("", "x" * 60_000, "\x00"),
        "mails": (-1, 0, 2**31 - 1),
        **dict.fromkeys(("began_at", "seen_at", "ended_at"), _TIMES),
    },
    "mails": {
        "name": ("", "digest", "over break BTC/USD"),
        "subject": ("", "\r\nBcc: x@example.com"),
        "body": ("", "x" * 60_000),
        "tries": (-1, 0, 2**31 - 1),
        "last_error": ("", None),
        **dict.fromkeys(("created_at", "sent_at"), _TIMES),
    },
    "operator_actions": {
        "at": _TIMES,
        "who": ("", "x" * 64),
        "command": ("accept BTC/USD", ""),
        "asset_symbol": ("BTC/USD", "btc/usd", None),
        "effect": ("", "x" * 1000),
    },
}
"""What a person may write into the other tables. Not what an order bought, or whether it has ended: no
program can tell a ledger that lies from one that does not."""


_INSERTED = (
    "INSERT INTO dca_control (id, install_id) VALUES (2, 'zzzzzzzz')",
    "INSERT INTO dca_cycles (asset_id, status) VALUES ({number}, 'watching')",
    "INSERT INTO dca_cycles (asset_id, status) VALUES ({number}, 'complete')",
    "INSERT INTO dca_cycles (asset_id, status, quantity) VALUES ({number}, 'error', 1)",
    "INSERT INTO dca_cycles (asset_id, status) VALUES (999, 'watching')",
    "INSERT INTO dca_order_attempts (order_id, attempt, sent_at) VALUES (999, 1, UTC_TIMESTAMP(6))",
    "UPDATE dca_orders SET id = id + 1000 WHERE asset_id = {number}",
    "UPDATE dca_cycles SET id = id + 1000 WHERE asset_id = {number}",
    "UPDATE dca_assets SET id = id + 1000 WHERE id = {number}",
    "UPDATE dca_control SET id = 2",
)
"""Rows that appear, and rows that are another number all at once."""
_TAKES_ANOTHERS = {"cycle_id": (0, 1, 2, 999), "asset_id": (0, 1, 2, 999)}
"""An order that is moved to somebody else's cycle."""


def misspelled(word: str, dice: random.Random) -> str:
    """What the server may take for the same word, or anything else."""
    forms = (word.upper(), word.capitalize(), f"{word} ", f" {word}", word[:-1], "", "nonsense", "💥", "NULL")
    return dice.choice(forms)


def statement(number: int, dice: random.Random) -> tuple[bool, str, list[Any]]:
    """Whether it goes past the tables' rules; the statement, and its values. `number` is an asset's."""
    if dice.random() < 0.5:
        table = dice.choice(sorted(WORDS))
        column = dice.choice(sorted(WORDS[table]))
        word = misspelled(dice.choice(WORDS[table][column]), dice)
        return dice.random() < 0.7, _update(table, column, number), [word]
    table = dice.choice(sorted(_COLUMNS))
    if dice.random() < 0.15:
        whose = _whose(table, number)
        return dice.random() < 0.5, f"DELETE FROM {table}{whose}", []  # noqa: S608 - names of our own
    if dice.random() < 0.1:
        return dice.random() < 0.5, dice.choice(_INSERTED).format(number=number), []
    if dice.random() < 0.1:
        column = dice.choice(sorted(_TAKES_ANOTHERS))
        return False, _update("dca_orders", column, number), [dice.choice(_TAKES_ANOTHERS[column])]
    column = dice.choice(sorted(_COLUMNS[table]))
    found = dice.choice(_COLUMNS[table][column])
    if dice.random() < 0.1:
        found = junk.brief(str(junk.value(dice))).encode("utf-8", "replace").decode()
    return False, _update(table, column, number), [found]


def _update(table: str, column: str, number: int) -> str:
    return f"UPDATE {table} SET {column} = %s{_whose(table, number)}"  # noqa: S608 - names of our own


def _whose(table: str, number: int) -> str:
    """The rows of one asset, where there are such: nobody else's are touched."""
    if table == "dca_assets":
        return f" WHERE id = {number}"
    if table in {"dca_cycles", "dca_orders"}:
        return f" WHERE asset_id = {number}"
    if table == "dca_order_attempts":
        return f" WHERE order_id IN (SELECT id FROM dca_orders WHERE asset_id = {number})"  # noqa: S608
    return ""
