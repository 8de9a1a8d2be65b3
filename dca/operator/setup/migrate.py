"""./bot migrate: brings the database of .env to the schema this program needs.

To be run with main_app stopped: a change of a table waits for its readers (F85).
"""

import argparse
import sys
from pathlib import Path

import dca.runtime.settings
from dca.core.errors import DatabaseUnavailable, SettingsProblem
from dca.database.store import Store
from dca.operator import formatting
from dca.runtime import heartbeat
from dca.runtime.heartbeat import Hurdle
from dca.watchdog.process import is_locked

SQL = Path(__file__).resolve().parents[3] / "sql"
RECORD = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INT NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    applied_at DATETIME(6) NOT NULL COMMENT 'UTC'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
"""


def files() -> list[Path]:
    """The migrations, oldest first; a file's number is its version."""
    return sorted((SQL / "migrations").glob("[0-9]*.sql"))


def record_of(file: Path) -> str:
    """The statement that notes a file as applied."""
    return (
        "INSERT INTO schema_migrations (version, name, applied_at) "  # noqa: S608 - a file name of ours
        f"VALUES ({int(file.name[:4])}, '{file.stem}', UTC_TIMESTAMP(6));\n"
    )


def whole_schema() -> str:
    """What sql/schema.sql says: all migrations one after the other, each with its record."""
    head = (
        "-- The whole schema for an empty database:  mysql ... your_database < sql/schema.sql\n"
        "-- It is sql/migrations/*.sql one after the other, with the record of what was applied; a test\n"
        "-- keeps the two the same. A database that has some of it is brought up by ./bot migrate instead.\n"
    )
    parts = [f"\n-- ---- {file.name} ----\n\n{file.read_text()}\n{record_of(file)}" for file in files()]
    return head + RECORD + "".join(parts)


def apply(store: Store) -> list[str]:
    """Apply what is missing; returns the names of the files that were. One that broke off in the middle, by
    a row that a rule refuses or a lost connection, goes on when it is applied again.

    Raises:
        DatabaseUnavailable: with the server's words.
    """
    version = store.schema_version()
    store.run_script(RECORD)
    missing = [file for file in files() if int(file.name[:4]) > version]
    for file in missing:
        store.run_script(file.read_text(), again=True)
        store.run_script(record_of(file))
    return [file.stem for file in missing]


def is_main_app_in_the_way(state_dir: Path) -> bool:
    """Whether main_app runs. One that waits for just this holds no table, and goes on by itself after it."""
    if not is_locked(state_dir / "main_app.lock"):
        return False
    beat = heartbeat.read(state_dir / "main_app.heartbeat.json")
    return beat is None or beat.waiting_for != Hurdle.SCHEMA


def main() -> int:
    argparse.ArgumentParser(prog="bot migrate", description=__doc__).parse_args()
    try:
        settings = dca.runtime.settings.load()
        if is_main_app_in_the_way(settings.state_dir):
            print("migrate: main_app is running: ./bot stop first", file=sys.stderr)
            return 1
        with Store(settings.database) as store:
            applied = apply(store)
    except SettingsProblem as error:
        for problem in error.problems:
            formatting.complain(f"  - {problem}")
        return 2
    except DatabaseUnavailable as error:
        formatting.complain(f"migrate: {error}")
        return 1
    for name in applied:
        print(f"applied {name}")
    print(f"database {settings.database.name} is up to date ({len(applied)} migrations applied)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
