"""./bot migrate: one that broke off goes on, and no time ends in 2038."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dca.core.errors import DatabaseUnavailable
from dca.core.model import CycleStatus
from dca.database.store import SCHEMA_VERSION, Store
from dca.operator.setup import migrate
from dca.runtime.settings import DatabaseSettings
from tests.database.test_schema import README_ASSETS, README_CYCLES, README_INSERT, tables

ROWS = {
    "dca_assets": "id, asset_symbol, lock_reason, lock_kind, created_at, updated_at",
    "dca_cycles": "id, status, completed_at, created_at, updated_at",
    "dca_control": "id, install_id, mode",
}
PAST = README_INSERT.strip() + (
    "\nINSERT INTO dca_cycles (asset_id, status, completed_at, created_at, updated_at) VALUES"
    " (1, 'complete', '2025-01-01 02:03:04', '2025-01-01', '2025-01-02'),"
    " (1, 'watching', NULL, '2025-01-01', '2025-01-02');\n"
)
"""What somebody has in the tables of the first README."""


def statements(file: Path) -> list[str]:
    return [f"{each};\n" for each in file.read_text().split(";\n") if each.strip()]


def rows(store: Store) -> dict[str, Any]:
    """The rows that the migrations touch, of the tables and columns that there are yet."""
    there = {
        each["name"]
        for each in store.transaction(
            lambda tx: tx._rows(
                "SELECT CONCAT(table_name, '.', column_name) AS name FROM information_schema.columns"
                " WHERE table_schema = DATABASE()"
            )
        )
    }
    found = {}
    for table, columns in ROWS.items():
        names = [name for name in columns.split(", ") if f"{table}.{name}" in there]
        if names:
            sql = f"SELECT {', '.join(names)} FROM {table} ORDER BY id"
            found[table] = store.transaction(lambda tx, sql=sql: tx._rows(sql))  # type: ignore[misc]
    return found


def test_every_statement_of_every_migration_can_be_run_again(empty_database: DatabaseSettings) -> None:
    """After each statement all of its file so far are run a second time, as by a migration that broke
    off there: neither a table nor a row is another one then."""
    with Store(empty_database) as store:
        store.run_script(README_ASSETS + README_CYCLES + PAST + migrate.RECORD)
        for file in migrate.files():
            done: list[str] = []
            for statement in statements(file):
                store.run_script(statement)
                done.append(statement)
                before = tables(empty_database), rows(store)
                store.run_script("".join(done), again=True)
                assert (tables(empty_database), rows(store)) == before, f"{file.name}: {statement}"


def test_a_migration_that_broke_off_goes_on(
    empty_database: DatabaseSettings, other_database: DatabaseSettings
) -> None:
    """A row that a rule refuses, in the middle of a file: somebody corrects it, and migrates again."""
    with Store(empty_database) as store:
        store.run_script(README_ASSETS + README_CYCLES + PAST)
        store.run_script("UPDATE dca_cycles SET status = 'finished' WHERE id = 2;\n")
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable, match="status_is_known"):
                migrate.apply(store)
        assert "lock_reason" in tables(empty_database)["dca_assets"], "half of the file is done"
        assert store.schema_version() == 1
        store.run_script("UPDATE dca_cycles SET status = 'watching' WHERE id = 2;\n")
        assert migrate.apply(store)[0] == "0002_ledger_and_rules"
        store.check_schema()
        broke_off = tables(empty_database), rows(store)
    with Store(other_database) as store:
        store.run_script(README_ASSETS + README_CYCLES + PAST)
        migrate.apply(store)
        whole = tables(other_database), rows(store)
    assert broke_off[0] == whole[0]
    for found in (broke_off[1], whole[1]):
        found["dca_control"][0].pop("install_id")
        found["dca_assets"][0].pop("created_at"), found["dca_assets"][0].pop("updated_at")
        found["dca_cycles"][1].pop("updated_at")
    assert broke_off[1] == whole[1]


def test_what_fails_for_another_reason_is_told(empty_database: DatabaseSettings) -> None:
    """Two live cycles of an asset: a key that cannot be made is no key that was there before."""
    with Store(empty_database) as store:
        store.run_script(README_ASSETS + README_CYCLES + PAST)
        store.run_script("INSERT INTO dca_cycles (asset_id, status) VALUES (1, 'watching');\n")
        with pytest.raises(DatabaseUnavailable, match="asset_id_has_one_live_cycle"):
            migrate.apply(store)
        assert store.schema_version() == 1


def test_no_time_ends_in_2038(ready: Store) -> None:
    found = ready.transaction(
        lambda tx: tx._rows(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND data_type NOT IN ('datetime')"
            " AND (data_type LIKE '%time%' OR data_type = 'date' OR column_name LIKE '%\\_at')"
        )
    )
    assert found == []
    late = datetime(2040, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
    cycle = ready.transaction(lambda tx: tx.cycle(1))
    ended = replace(cycle, status=CycleStatus.ERROR, completed_at=late)
    ready.transaction(lambda tx: tx.update_cycle(ended))
    assert ready.transaction(lambda tx: tx.cycle(1)).completed_at == late


def test_times_are_utc_whatever_the_clients_time_zone(empty_database: DatabaseSettings) -> None:
    """Those of before, and those that the server writes."""
    with Store(empty_database) as store:
        store.run_script(README_ASSETS + README_CYCLES + PAST)
        for file in migrate.files():
            store.run_script("SET time_zone = '+05:00';\n" + file.read_text(), again=True)
        store.run_script("SET time_zone = '+05:00';\n" + README_INSERT.strip().replace("BTC", "ETH") + "\n")
        (ended, _) = rows(store)["dca_cycles"]
        assert (ended["completed_at"], ended["created_at"]) == (
            datetime(2025, 1, 1, 2, 3, 4),  # noqa: DTZ001 - as the table has it
            datetime(2025, 1, 1),  # noqa: DTZ001
        )
        (new,) = store.transaction(
            lambda tx: tx._rows(
                "SELECT ABS(TIMESTAMPDIFF(SECOND, created_at, UTC_TIMESTAMP())) AS seconds FROM dca_assets"
                " WHERE asset_symbol = 'ETH/USD'"
            )
        )
        assert new["seconds"] < 600


def test_the_newest_migration_is_what_the_program_asks_for() -> None:
    assert int(migrate.files()[-1].name[:4]) == SCHEMA_VERSION
