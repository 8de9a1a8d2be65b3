"""The schema on a real server: the documented statements work to the letter, wrong rows are refused."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from dca.core.errors import DatabaseUnavailable, StartRefused
from dca.core.model import Mode
from dca.database.store import SCHEMA_VERSION, Store
from dca.operator.setup import migrate
from dca.runtime.settings import DatabaseSettings
from tests.conftest import SCHEMA, connected

# The statements of the project's first README, to the letter.
README_ASSETS = """
CREATE TABLE dca_assets (
    id INT AUTO_INCREMENT PRIMARY KEY,
    asset_symbol VARCHAR(25) NOT NULL UNIQUE, -- e.g., 'BTC/USD'
    is_enabled BOOLEAN NOT NULL DEFAULT TRUE,
    base_order_amount DECIMAL(20, 10) NOT NULL,
    safety_order_amount DECIMAL(20, 10) NOT NULL,
    max_safety_orders INT NOT NULL,
    safety_order_deviation DECIMAL(10, 4) NOT NULL, -- Percentage price drop to trigger safety order
    take_profit_percent DECIMAL(10, 4) NOT NULL, -- Percentage price rise from avg purchase price to trigger sell
    cooldown_period INT NOT NULL, -- Seconds after a take profit
    buy_order_price_deviation_percent DECIMAL(10, 4) NOT NULL, -- Percent down from last sell to start new cycle (preempts cooldown)
    last_sell_price DECIMAL(20, 10) NULL, -- Price of the last successful take-profit sell for this asset
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
"""  # noqa: E501 - to the letter
README_CYCLES = """
CREATE TABLE dca_cycles (
    id INT AUTO_INCREMENT PRIMARY KEY,
    asset_id INT NOT NULL,
    status VARCHAR(20) NOT NULL, -- e.g., 'watching', 'buying', 'selling', 'cooldown', 'complete', 'error'
    quantity DECIMAL(30, 15) NOT NULL DEFAULT 0, -- Total quantity of the asset held in this cycle
    average_purchase_price DECIMAL(20, 10) NOT NULL DEFAULT 0, -- Weighted average purchase price for this cycle
    safety_orders INT NOT NULL DEFAULT 0, -- Number of safety orders filled in this cycle
    latest_order_id VARCHAR(255) NULL, -- Alpaca order ID of the most recent order for this cycle
    last_order_fill_price DECIMAL(20, 10) NULL, -- Fill price of the most recent BUY order in this cycle
    completed_at TIMESTAMP NULL, -- Timestamp when the cycle reached a terminal status ('complete', 'error')
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    FOREIGN KEY (asset_id) REFERENCES dca_assets(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
"""  # noqa: E501 - to the letter
README_INSERT = """
   INSERT INTO dca_assets (
       asset_symbol, is_enabled, base_order_amount, safety_order_amount,
       max_safety_orders, safety_order_deviation, take_profit_percent,
       cooldown_period, buy_order_price_deviation_percent
   ) VALUES (
       'BTC/USD', TRUE, 20.00, 20.00, -- Base and Safety order amounts in USD
       5, 1.5, 1.0, -- Max 5 safety orders, 1.5% drop for SO, 1.0% take profit
       300, 2.0 -- 300s (5 min) cooldown, 2% drop from last sell to restart early
   );
"""


@pytest.fixture
def person(database: DatabaseSettings) -> Iterator[Any]:
    """A connection as a person's client has it: the server's defaults, nothing of ours."""
    connection: Any = connected(database)
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


def tables(database: DatabaseSettings) -> dict[str, str]:
    """Every table with its definition."""
    connection: Any = connected(database)
    with connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        names = [row[0] for row in cursor.fetchall()]
        found = {}
        for name in names:
            cursor.execute(f"SHOW CREATE TABLE {name}")
            found[name] = cursor.fetchone()[1]
    connection.close()
    return found


def migrated(database: DatabaseSettings) -> list[str]:
    with Store(database) as store:
        return migrate.apply(store)


def test_the_documented_insert_works_to_the_letter(person: Any, store: Store) -> None:
    person.execute(README_INSERT)
    (found,) = store.transaction(lambda tx: tx.assets())
    assert (found.asset_symbol, found.is_enabled) == ("BTC/USD", True)
    assert (found.base_order_amount, found.safety_order_amount) == (Decimal(20), Decimal(20))
    assert (found.max_safety_orders, found.safety_order_deviation) == (5, Decimal("1.5"))
    assert (found.take_profit_percent, found.cooldown_period) == (Decimal(1), 300)
    assert found.buy_order_price_deviation_percent == Decimal(2)
    assert (found.last_sell_price, found.lock_reason) == (None, None)


def test_tables_made_by_hand_from_the_readme_become_the_same_schema(
    empty_database: DatabaseSettings, other_database: DatabaseSettings
) -> None:
    with Store(empty_database) as store:
        store.run_script(README_ASSETS + README_CYCLES + README_INSERT)
        applied = migrate.apply(store)
        assert applied == [file.stem for file in migrate.files()]
        assert applied[0] == "0001_readme_tables"
        assert [row.asset_symbol for row in store.transaction(lambda tx: tx.assets())] == ["BTC/USD"]
        store.run_script("DELETE FROM dca_assets;\nALTER TABLE dca_assets AUTO_INCREMENT = 1;\n")
    with Store(other_database) as store:
        store.run_script(SCHEMA.read_text())
    assert tables(empty_database) == tables(other_database)


def test_an_empty_database_is_migrated_to_the_same_schema(
    empty_database: DatabaseSettings, other_database: DatabaseSettings
) -> None:
    assert len(migrated(empty_database)) == len(migrate.files())
    with Store(other_database) as store:
        store.run_script(SCHEMA.read_text())
        assert store.schema_version() == SCHEMA_VERSION
    assert tables(empty_database) == tables(other_database)


def test_schema_sql_is_the_migrations_in_one() -> None:
    assert SCHEMA.read_text() == migrate.whole_schema()
    numbers = [int(file.name[:4]) for file in migrate.files()]
    assert numbers == list(range(1, SCHEMA_VERSION + 1))


def test_migrating_twice_applies_nothing(empty_database: DatabaseSettings) -> None:
    assert migrated(empty_database) != []
    before = tables(empty_database)
    assert migrated(empty_database) == []
    assert tables(empty_database) == before


def test_a_database_made_from_schema_sql_needs_no_migration(database: DatabaseSettings) -> None:
    assert migrated(database) == []


def test_the_command_line_client_takes_schema_sql(empty_database: DatabaseSettings) -> None:
    """As the README says it: mysql ... your_database < sql/schema.sql."""
    client = shutil.which("mariadb") or shutil.which("mysql")
    assert client is not None, "the client comes with the server"
    login = [f"--socket={empty_database.socket}", f"--user={empty_database.user}"]
    with SCHEMA.open("rb") as script:
        answer = subprocess.run(
            [client, "--no-defaults", *login, empty_database.name],
            stdin=script,
            capture_output=True,
            text=True,
            env={"MYSQL_PWD": empty_database.password},
        )
    assert (answer.returncode, answer.stderr) == (0, "")
    with Store(empty_database) as store:
        store.check_schema()


def test_the_program_starts_on_its_own_schema_only(empty_database: DatabaseSettings) -> None:
    with Store(empty_database) as store:
        with pytest.raises(StartRefused, match=r"no tables of ours.*\./bot migrate"):
            store.check_schema()
        store.run_script(SCHEMA.read_text())
        store.check_schema()
        store.run_script("DELETE FROM schema_migrations WHERE version > 1;\n")
        with pytest.raises(StartRefused, match=f"schema version 1, this program needs {SCHEMA_VERSION}"):
            store.check_schema()
        store.run_script(
            "INSERT INTO schema_migrations (version, name, applied_at) VALUES (99, 'x', UTC_TIMESTAMP(6));\n"
        )
        with pytest.raises(StartRefused, match="schema version 99, newer"):
            store.check_schema()
    with (
        Store(replace(empty_database, name="dca_test_not_there")) as store,
        pytest.raises(DatabaseUnavailable, match="dca_test_not_there"),
    ):
        store.check_schema()


def test_words_that_passed_before_are_put_right(empty_database: DatabaseSettings) -> None:
    """As the server's own comparison had understood them; when the row last changed stays."""
    with Store(empty_database) as store:
        store.run_script(migrate.RECORD)
        for file in migrate.files()[:5]:
            store.run_script(file.read_text() + migrate.record_of(file))
        store.run_script(README_INSERT.strip() + "\n")
        store.run_script(
            "UPDATE dca_assets SET lock_reason = 'x', lock_kind = 'Break', updated_at = '2025-01-02';\n"
            "UPDATE dca_control SET mode = 'Exits_Only ';\n"
            "INSERT INTO dca_cycles (asset_id, status, completed_at, updated_at)"
            " VALUES (1, 'COMPLETE', '2025-01-01', '2025-01-02'), (1, 'wátching', NULL, '2025-01-02');\n"
        )
        migrate.apply(store)
        (asset,) = store.transaction(lambda tx: tx._rows("SELECT lock_kind, updated_at FROM dca_assets"))
        cycles = store.transaction(
            lambda tx: tx._rows("SELECT status, updated_at FROM dca_cycles ORDER BY id")
        )
        assert asset["lock_kind"] == "break"
        assert [each["status"] for each in cycles] == ["complete", "watching"]
        assert {f"{each['updated_at']:%F}" for each in (asset, *cycles)} == {"2025-01-02"}
        assert store.transaction(lambda tx: tx.control()).mode is Mode.EXITS_ONLY


def test_every_installation_has_an_id_of_its_own(
    empty_database: DatabaseSettings, other_database: DatabaseSettings
) -> None:
    ids = []
    for database in (empty_database, other_database):
        with Store(database) as store:
            store.run_script(SCHEMA.read_text())
            ids.append(store.transaction(lambda tx: tx.control()).install_id)
    assert ids[0] != ids[1]
    assert all(len(each) == 8 and each.isalnum() for each in ids)
