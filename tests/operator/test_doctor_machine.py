"""What doctor, status and install notice around the bot: cron, a moved folder, lost columns, old servers."""

import shutil
from pathlib import Path

import pytest

from dca.database.store import Store
from dca.operator.setup import columns, cron_checks, crontab, doctor_checks, server_version
from dca.operator.setup.doctor_checks import Level, Line
from dca.operator.views import staleness
from tests import operating
from tests.builders import NOW
from tests.looking import books, overview, run
from tests.operating import Operator

lonely = operating.lonely  # a fixture: an import would clash with arguments


def levels(lines: list[Line]) -> list[Level]:
    return [line.level for line in lines]


# ---- cron ----


def test_a_folder_that_moved_is_noticed(tmp_path: Path) -> None:
    """The block of the old folder goes on starting what is not there."""
    old, new = tmp_path / "my bot", tmp_path / "moved"
    for folder in (old, new):
        folder.mkdir()
        (folder / "watchdog.py").touch()
    block = crontab.block(crontab.Place(root=old, log_dir=old / "logs", env_file=None))
    place = crontab.Place(root=new, log_dir=new / "logs", env_file=None)
    for name in {name for _, name in crontab.JOBS}:
        (old / f"{name}.py").touch()
    assert [each.fact for each in cron_checks.of_crontab(block, place)] == ["nothing of ours is in it"]
    shutil.rmtree(old)
    lines = list(cron_checks.of_crontab(block, place))
    assert levels(lines) == [Level.WARN, Level.WARN]
    assert lines[1].fact == f"it starts scripts of {old}, which are gone"


def test_cron_s_daemon() -> None:
    runs = books().last_runs
    never = books(last_runs={}, good_runs={}, first_run_at=None)
    stopped = books(good_runs={name: run(name, 60) for name in runs})
    for daemon, look, level in (
        (True, stopped, Level.OK),
        (None, stopped, Level.OK),
        (False, books(), Level.OK),
        (False, never, Level.WARN),
        (False, None, Level.WARN),
        (False, stopped, Level.FAIL),
    ):
        line = cron_checks.of_cron(daemon, look, NOW)
        assert (line.name, line.level) == ("cron", level)
        assert (line.remedy is None) == (level is Level.OK)


def test_columns_that_are_gone_are_named() -> None:
    wanted = {"dca_orders.id", "dca_orders.fee_source", "mails.name"}
    assert doctor_checks.of_columns(wanted | {"dca_assets.my_own"}, wanted) == []
    (line,) = doctor_checks.of_columns({"dca_orders.id", "mails.name"}, wanted)
    assert line.level is Level.FAIL and line.fact == "dca_orders has no column fee_source"
    assert "ALTER TABLE dca_orders ADD COLUMN fee_source" in (line.remedy or "")


def test_the_wanted_columns_are_those_of_the_schema(store: Store) -> None:
    assert store.transaction(lambda tx: tx.columns()) == columns.wanted()


def test_a_column_that_is_gone_is_named_by_doctor_and_leads_there_from_status(
    lonely: Operator, store: Store
) -> None:
    store.run_script("ALTER TABLE dca_cycles DROP COLUMN last_order_fill_price;\n")
    assert "tables: dca_cycles has no column last_order_fill_price" in lonely.types("doctor").flat
    said = lonely.types("status")
    assert said.code == 1 and "./bot doctor says which columns are gone" in " ".join(said.err.split())


# ---- the server ----


@pytest.mark.parametrize(
    ("version", "is_old"),
    [
        ("10.6.0-MariaDB", False),
        ("5.5.5-10.11.4-MariaDB-log", False),
        ("10.5.29-MariaDB", True),
        ("8.0.18", True),
        ("8.0.19-0ubuntu1", False),
        ("5.7.44-log", True),
        ("8.4.2", False),
        ("9.7.0", False),
        ("unknown", False),
    ],
)
def test_a_server_that_is_too_old_is_told_by_doctor_and_status(version: str, is_old: bool) -> None:
    assert (doctor_checks.of_version(version).level is Level.FAIL) is is_old
    look = overview(of=books(server_version=version))
    assert any("too old" in each for each in staleness.troubles(look)) is is_old
    assert (server_version.problem(version) is not None) is is_old


def test_status_says_why_nobody_looks_after_anything() -> None:
    never = books(last_runs={}, good_runs={}, first_run_at=None)
    assert "no caretaker has ever run: it is asleep" in staleness.troubles(
        overview(of=never, cron_trouble="it is asleep")
    )
    late = books(good_runs={name: run(name, 60) for name in books().good_runs})
    assert "it is asleep" in staleness.troubles(overview(of=late, cron_trouble="it is asleep"))
    assert "it is asleep" not in staleness.troubles(overview(cron_trouble="it is asleep"))
