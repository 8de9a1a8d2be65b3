"""Wrong rows, and that the database itself refuses each of them with an error that names the column."""

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import mysql.connector
import pytest

from dca.core.model import Asset, Control, Cycle, Order, Word
from dca.core.operations import Incident, JobRun
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from tests.conftest import SCHEMA, Server, connected

GOOD: dict[str, dict[str, str]] = {
    "dca_assets": {
        "asset_symbol": "'ETH/USD'",
        "is_enabled": "TRUE",
        "base_order_amount": "20",
        "safety_order_amount": "20",
        "max_safety_orders": "5",
        "safety_order_deviation": "1.5",
        "take_profit_percent": "1",
        "cooldown_period": "300",
        "buy_order_price_deviation_percent": "2",
        "last_sell_price": "NULL",
    },
    "dca_cycles": {
        "asset_id": "2",
        "status": "'watching'",
        "quantity": "0",
        "average_purchase_price": "0",
        "safety_orders": "0",
        "last_order_fill_price": "NULL",
        "completed_at": "NULL",
        "refusals": "0",
    },
    "dca_orders": {
        "asset_id": "2",
        "cycle_id": "2",
        "seq": "1",
        "purpose": "'base'",
        "level": "0",
        "client_order_id": "'dca-abcd1234-2-1-b'",
        "symbol": "'SOL/USD'",
        "side": "'buy'",
        "order_type": "'limit'",
        "time_in_force": "'gtc'",
        "qty": "0.2",
        "limit_price": "100",
        "state": "'sent'",
        "filled_qty": "0",
        "filled_avg_price": "NULL",
        "fee_qty": "0",
        "fee_usd": "0",
        "quote_price": "100",
        "quote_age_ms": "5",
        "base_order_amount": "20",
        "safety_order_amount": "20",
        "max_safety_orders": "5",
        "take_profit_percent": "1",
        "min_order_size": "0.01",
        "qty_increment": "0.0001",
        "epoch": "1",
        "created_at": "UTC_TIMESTAMP(6)",
        "last_sent_at": "UTC_TIMESTAMP(6)",
    },
    "dca_order_attempts": {"order_id": "1", "attempt": "2", "sent_at": "UTC_TIMESTAMP(6)", "answer": "NULL"},
    "dca_control": {"id": "1", "install_id": "'abcd1234'", "mode": "'run'"},
}


def insert(table: str, **changes: str) -> str:
    """The good row of a table, with these columns changed."""
    row = {**GOOD[table], **changes}
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def asset(**changes: str) -> str:
    return insert("dca_assets", **changes)


def cycle(**changes: str) -> str:
    return insert("dca_cycles", **changes)


def order(**changes: str) -> str:
    return insert("dca_orders", **changes)


@pytest.fixture(scope="module")
def shared_database(server: Server) -> Iterator[DatabaseSettings]:
    """One for all rows here: each of them is rolled back."""
    made = server.create()
    with Store(made) as store:
        store.run_script(SCHEMA.read_text())
    yield made
    server.drop(made)


@pytest.fixture(scope="module")
def person(shared_database: DatabaseSettings) -> Iterator[Any]:
    """A person at the database of a bot that trades: BTC has a cycle with a live order, SOL a cycle."""
    connection: Any = connected(shared_database)
    with connection.cursor() as cursor:
        for statement in (
            asset(asset_symbol="'BTC/USD'"),
            asset(asset_symbol="'SOL/USD'"),
            cycle(asset_id="1", status="'buying'"),
            cycle(asset_id="2"),
            order(asset_id="1", cycle_id="1", client_order_id="'dca-abcd1234-1-1-b'", symbol="'BTC/USD'"),
            insert("dca_order_attempts", attempt="1"),
        ):
            cursor.execute(statement)
        yield cursor
    connection.close()


ENDED = "UTC_TIMESTAMP()"
WRONG = [
    # dca_assets: what a person may get wrong.
    ("asset_symbol", asset(asset_symbol="'BTC/USD'")),
    ("asset_symbol", asset(asset_symbol="'ETHUSD'")),
    ("asset_symbol", asset(asset_symbol="'eth/usd'")),
    ("asset_symbol", asset(asset_symbol="'Eth/USD'")),
    ("asset_symbol", asset(asset_symbol="'ETH /USD'")),
    ("asset_symbol", asset(asset_symbol="' ETH/USD'")),
    ("asset_symbol", asset(asset_symbol="'ETH/USD '")),
    ("asset_symbol", asset(asset_symbol="'ETH/USD/USD'")),
    ("asset_symbol", asset(asset_symbol="'/USD'")),
    ("asset_symbol", asset(asset_symbol="'ETH/'")),
    ("asset_symbol", asset(asset_symbol="''")),
    ("asset_symbol", asset(asset_symbol="NULL")),
    ("asset_symbol", asset(asset_symbol="'ABCDEFGHIJKLMNOPQRSTUVWXYZ/USD'")),
    ("is_enabled", asset(is_enabled="2")),
    ("is_enabled", asset(is_enabled="-1")),
    ("is_enabled", asset(is_enabled="'yes'")),
    ("base_order_amount", asset(base_order_amount="0")),
    ("base_order_amount", asset(base_order_amount="-20")),
    ("base_order_amount", asset(base_order_amount="NULL")),
    ("base_order_amount", asset(base_order_amount="'twenty'")),
    ("base_order_amount", asset(base_order_amount="'20,00'")),
    ("base_order_amount", asset(base_order_amount="1e11")),
    ("safety_order_amount", asset(safety_order_amount="-0.01")),
    ("safety_order_amount", asset(safety_order_amount="0")),
    ("safety_order_amount", asset(safety_order_amount="-1", max_safety_orders="0")),
    ("max_safety_orders", asset(max_safety_orders="-1")),
    ("max_safety_orders", asset(max_safety_orders="1001")),
    ("max_safety_orders", asset(max_safety_orders="'many'")),
    ("safety_order_deviation", asset(safety_order_deviation="0")),
    ("safety_order_deviation", asset(safety_order_deviation="100")),
    ("safety_order_deviation", asset(safety_order_deviation="-1.5")),
    ("take_profit_percent", asset(take_profit_percent="0")),
    ("take_profit_percent", asset(take_profit_percent="-1")),
    ("take_profit_percent", asset(take_profit_percent="NULL")),
    ("cooldown_period", asset(cooldown_period="-1")),
    ("cooldown_period", asset(cooldown_period="'5 min'")),
    ("buy_order_price_deviation_percent", asset(buy_order_price_deviation_percent="-0.1")),
    ("buy_order_price_deviation_percent", asset(buy_order_price_deviation_percent="100")),
    ("last_sell_price", asset(last_sell_price="0")),
    ("take_profit_percent", "UPDATE dca_assets SET take_profit_percent = 0"),
    ("asset_symbol", "UPDATE dca_assets SET asset_symbol = 'SOL/USD' WHERE id = 1"),
    ("base_order_amount", "UPDATE dca_assets SET base_order_amount = -base_order_amount"),
    ("order_is_of", "DELETE FROM dca_assets WHERE id = 1"),
    # dca_cycles.
    ("asset_id", cycle()),
    ("asset_id", cycle(status="'cooldown'")),
    ("asset_id", cycle(asset_id="99")),
    ("asset_id", cycle(asset_id="NULL")),
    ("status", "UPDATE dca_cycles SET status = 'waiting' WHERE id = 2"),
    ("status", "UPDATE dca_cycles SET status = '' WHERE id = 2"),
    ("status", "UPDATE dca_cycles SET status = NULL WHERE id = 2"),
    ("quantity", "UPDATE dca_cycles SET quantity = -0.1, average_purchase_price = 100 WHERE id = 2"),
    ("quantity", "UPDATE dca_cycles SET quantity = 1, average_purchase_price = 1, status = 'cooldown'"),
    ("average_purchase_price", "UPDATE dca_cycles SET quantity = 0.1 WHERE id = 2"),
    ("average_purchase_price", "UPDATE dca_cycles SET average_purchase_price = -1 WHERE id = 2"),
    ("safety_orders", "UPDATE dca_cycles SET safety_orders = -1 WHERE id = 2"),
    ("last_order_fill_price", "UPDATE dca_cycles SET last_order_fill_price = 0 WHERE id = 2"),
    ("completed_at", cycle(status="'complete'")),
    ("completed_at", cycle(status="'error'")),
    ("completed_at", f"UPDATE dca_cycles SET completed_at = {ENDED} WHERE id = 2"),
    ("refusals", "UPDATE dca_cycles SET refusals = -1 WHERE id = 2"),
    ("net_profit", "UPDATE dca_cycles SET net_profit = 1000 WHERE id = 2"),
    ("cycle", "DELETE FROM dca_cycles WHERE id = 1"),
    # dca_orders: the ledger.
    ("asset_id", order(asset_id="1", cycle_id="1", seq="2")),
    ("asset_id", order(asset_id="99")),
    ("cycle_id", order(cycle_id="99")),
    ("cycle_id", order(cycle_id="1")),
    ("client_order_id", order(client_order_id="'dca-abcd1234-1-1-b'")),
    ("client_order_id", order(client_order_id="NULL")),
    ("client_order_id", order(client_order_id=f"'{'x' * 49}'")),
    ("purpose", order(purpose="'fun'")),
    ("side", order(side="'sell'")),
    ("side", order(purpose="'take_profit'")),
    ("level", order(level="-1")),
    ("order_type", order(order_type="'stop'")),
    ("qty", order(qty="0")),
    ("qty", order(qty="-1")),
    ("limit_price", order(limit_price="0")),
    ("limit_price", order(order_type="'market'")),
    ("state", order(state="'lost'")),
    ("filled_qty", order(filled_qty="-0.1")),
    ("fee_qty", order(filled_qty="0.1", filled_avg_price="100", fee_qty="0.11")),
    ("fee_qty", order(fee_qty="-0.001")),
    ("fee_usd", order(fee_usd="-0.01")),
    ("quote_price", order(quote_price="NULL")),
    ("state", "UPDATE dca_orders SET state = NULL"),
    # The rest.
    ("answer", insert("dca_order_attempts", answer="'maybe'")),
    ("order_id", insert("dca_order_attempts", order_id="99")),
    ("id", insert("dca_control", id="2")),
    ("mode", "UPDATE dca_control SET mode = 'panic'"),
    ("mode", "UPDATE dca_control SET mode = NULL"),
]


WORDS = {
    "dca_assets": {"lock_kind": "break"},
    "dca_cycles": {"status": "watching"},
    "dca_orders": {
        "purpose": "base",
        "side": "buy",
        "order_type": "limit",
        "state": "sent",
        "fee_source": "assumed",
    },
    "dca_order_attempts": {"answer": "accepted"},
    "dca_control": {"mode": "halt"},
    "job_runs": {"result": "done"},
    "incidents": {"kind": "money"},
}
"""Each column whose values are words, with one that it takes."""


def misspelled(word: str) -> list[str]:
    """What the server itself takes for the same word, and what it does not."""
    return [word.upper(), word.capitalize(), f"{word} ", f"{word}\t", word.replace("a", "á"), "", "nonsense"]


@pytest.mark.parametrize(
    ("table", "column", "wrong"),
    [
        (table, column, wrong)
        for table, columns in WORDS.items()
        for column, word in columns.items()
        for wrong in misspelled(word)
        if wrong != word
    ],
)
def test_a_word_is_taken_to_the_letter(person: Any, table: str, column: str, wrong: str) -> None:
    """The program compares letter by letter: what passed here in capitals could be read by no process."""
    person.execute("START TRANSACTION")
    try:
        person.execute("INSERT INTO job_runs (job, started_at) VALUES ('watchdog', UTC_TIMESTAMP(6))")
        person.execute(
            "INSERT INTO incidents (name, kind, subject, evidence, began_at, seen_at)"
            " VALUES ('break BTC/USD', 'money', 's', 'e', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))"
        )
        person.execute(f"UPDATE {table} SET {column} = %s", [WORDS[table][column]])
        with pytest.raises(mysql.connector.Error) as refusal:
            person.execute(f"UPDATE {table} SET {column} = %s", [wrong])
        assert column in str(refusal.value.msg)
    finally:
        person.execute("ROLLBACK")


def test_every_column_of_words_is_among_them() -> None:
    """Read from the classes of the rows: a new one has to be added here, and so to get its rule."""
    rows = {
        "dca_assets": Asset,
        "dca_cycles": Cycle,
        "dca_orders": Order,
        "dca_control": Control,
        "job_runs": JobRun,
        "incidents": Incident,
    }
    found = {
        table: {
            name
            for name, kind in get_type_hints(cls).items()
            if any(isinstance(each, type) and issubclass(each, Word) for each in (kind, *get_args(kind)))
        }
        for table, cls in rows.items()
    }
    assert {table: {*columns} for table, columns in WORDS.items() if table in rows} == found


@pytest.mark.parametrize(("column", "statement"), WRONG)
def test_wrong_rows_are_refused_by_column(person: Any, column: str, statement: str) -> None:
    person.execute("START TRANSACTION")
    try:
        with pytest.raises(mysql.connector.Error) as refusal:
            person.execute(statement)
        assert column in str(refusal.value.msg)
    finally:
        person.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("column", "statement"),
    [("limit_price", order(limit_price="NULL")), ("filled_avg_price", order(filled_qty="0.1"))],
)
def test_a_missing_value_does_not_slip_through_its_rule(person: Any, column: str, statement: str) -> None:
    person.execute("START TRANSACTION")
    try:
        with pytest.raises(mysql.connector.Error, match=column):
            person.execute(statement)
    finally:
        person.execute("ROLLBACK")


RIGHT = [
    asset(),
    asset(asset_symbol="'1INCH/USD'", max_safety_orders="0", safety_order_amount="0"),
    asset(asset_symbol="'A/B'", max_safety_orders="1000", cooldown_period="0", is_enabled="0"),
    asset(asset_symbol="'SHIB/USD'", safety_order_deviation="99.9999", take_profit_percent="0.0001"),
    asset(asset_symbol="'PEPE/USD'", last_sell_price="0.0000000001", buy_order_price_deviation_percent="0"),
    cycle(status="'complete'", completed_at=ENDED),
    cycle(status="'error'", completed_at=ENDED),
    cycle(status="'error'", completed_at=ENDED, quantity="0.1", average_purchase_price="100"),
    cycle(asset_id="(SELECT id FROM dca_assets WHERE asset_symbol = 'ETH/USD')", status="'cooldown'"),
    order(),
    order(seq="2", client_order_id="'b'", state="'done'", filled_qty="0.1", filled_avg_price="100"),
    order(
        seq="3", client_order_id="'B'", state="'ghost'", fee_qty="0.2", filled_qty="0.2", filled_avg_price="1"
    ),
    order(
        seq="4",
        client_order_id="'c'",
        purpose="'take_profit'",
        side="'sell'",
        order_type="'market'",
        limit_price="NULL",
        state="'void'",
    ),
    insert("dca_order_attempts", answer="'expired'"),
    "UPDATE dca_control SET mode = 'exits_only'",
    "UPDATE dca_cycles SET quantity = 0.1, average_purchase_price = 0.0000000001 WHERE id = 2",
    "DELETE FROM dca_assets WHERE asset_symbol = 'A/B'",
]


def test_right_rows_are_taken(person: Any) -> None:
    """The same rows with nothing wrong in them: so it is the wrong thing that was refused."""
    person.execute("START TRANSACTION")
    for statement in RIGHT:
        person.execute(statement)
        assert person.rowcount == 1, statement
    person.execute("ROLLBACK")
