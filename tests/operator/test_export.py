"""./bot export: every row once and exact, in files that nobody else reads and no spreadsheet runs."""

import csv
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dca.database.store import Store, Transaction
from dca.operator.views.export import PAGE, cell, targets_of
from tests import sales
from tests.builders import D
from tests.operating import Operator
from tests.processes import ROOT

bot, sold = sales.bot, sales.sold  # fixtures: an import would clash with arguments


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_export_into_a_folder(bot: Operator, sold: Store, tmp_path: Path) -> None:
    folder = tmp_path / "books"
    assert bot.types("export", "--csv", str(folder)).code == 0
    cycles, orders, fills = (read(folder / f"{name}.csv") for name in ("cycles", "orders", "fills"))
    assert [row["id"] for row in cycles] == ["1", "2", "3", "4", "5"]
    assert cycles[0]["net_profit"] == "1.885" and cycles[0]["completed_at"] == "2026-02-28T23:59:59Z"
    assert cycles[3]["completed_at"] == "" and cycles[3]["problem"] == ""
    assert [row["side"] for row in orders] == ["buy", "sell"] * 3
    assert orders[1]["limit_price"] == "" and orders[0]["limit_price"] == "100"
    assert (
        len(fills) == 6 and fills[1]["filled_value"] == "21.945" and fills[1]["at"] == "2026-02-28T23:59:59Z"
    )
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(file.name for file in folder.iterdir()) == ["cycles.csv", "fills.csv", "orders.csv"]


def test_export_alone_makes_a_folder_of_the_day(
    bot: Operator, sold: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for options in (["--csv"], ["--force"]):
        assert bot.types("export", *options).code == 0
    (folder,) = tmp_path.glob("export-20*")
    assert sorted(file.name for file in folder.iterdir()) == ["cycles.csv", "fills.csv", "orders.csv"]


def test_a_dash_is_standard_output(bot: Operator, sold: Store, tmp_path: Path) -> None:
    """The rows alone, as a file has them, for the next program in the pipe."""

    def piped(*options: str) -> bytes:
        command = [sys.executable, "-m", "dca.operator", "export", "--csv", "-", *options]
        done = subprocess.run(command, cwd=ROOT, env=_environment(bot), capture_output=True, timeout=30)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    for what, options in (("cycles", []), ("orders", ["--what", "orders"])):
        file = tmp_path / f"{what}.csv"
        bot.types("export", "--csv", str(file), *options)
        assert piped(*options) == file.read_bytes()
    assert not Path("-").exists()


def test_a_reader_may_leave(bot: Operator, ready: Store) -> None:
    ready.run_script(
        "INSERT INTO dca_cycles (asset_id, status, completed_at) WITH RECURSIVE n AS"
        " (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000), m AS (SELECT i FROM n WHERE i < 4)"
        " SELECT 1, 'error', '2026-01-01' FROM n, m;\n"
    )
    line = f"{sys.executable} -m dca.operator export --csv - | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env=_environment(bot), capture_output=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"id,") and done.stdout.count(b"\n") == 1


def _environment(bot: Operator) -> dict[str, str]:
    return {"PATH": os.defpath, "DCA_ENV_FILE": str(bot.env_file)}


def test_export_never_overwrites_unless_told(bot: Operator, sold: Store, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("precious")
    file.chmod(0o644)
    refused = bot.types("export", "--csv", str(file))
    assert refused.code == 1 and "--force" in refused.err and file.read_text() == "precious"
    assert bot.types("export", "--csv", str(file), "--what", "fills", "--force").code == 0
    assert len(read(file)) == 6 and stat.S_IMODE(file.stat().st_mode) == 0o600


def test_export_that_cannot_be_written_leaves_nothing(bot: Operator, sold: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = bot.types("export", "--csv", str(tmp_path / "file" / "x.csv"))
    assert refused.code == 1 and "file" in refused.err and refused.err.count("\n") == 1
    sold.run_script("ALTER TABLE dca_orders RENAME TO elsewhere;\n")
    broken = bot.types("export", "--csv", str(tmp_path / "half.csv"), "--what", "orders")
    assert broken.code == 1
    assert list(tmp_path.glob("half*")) == []


def test_export_goes_through_many_pages(bot: Operator, ready: Store, tmp_path: Path) -> None:
    count = 2 * PAGE + 1
    ready.run_script(
        "INSERT INTO dca_cycles (asset_id, status, completed_at) WITH RECURSIVE n AS"
        " (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000), m AS (SELECT i FROM n WHERE i < 4)"
        f" SELECT 1, 'error', '2026-01-01' FROM n, m LIMIT {count - 2};\n"
    )
    said = bot.types("export", "--csv", str(tmp_path / "all.csv"))
    assert said.code == 0 and f"{count:,} cycles" in said.flat
    ids = [int(row["id"]) for row in read(tmp_path / "all.csv")]
    assert len(ids) == len(set(ids)) == count and ids == sorted(ids)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(bot: Operator, ready: Store, tmp_path: Path, text: str) -> None:
    def write(tx: Transaction) -> None:
        cycle = tx.live_cycle(1)
        assert cycle is not None
        tx.update_cycle(replace(cycle, problem=text))

    ready.transaction(write)
    bot.types("export", "--csv", str(tmp_path / "x.csv"))
    assert read(tmp_path / "x.csv")[0]["problem"] == f"'{text}"


def test_numbers_are_no_text() -> None:
    assert cell(D("-1.50")) == "-1.5"
    assert cell(D("1E-9")) == "0.000000001"
    assert cell("insufficient = not enough") == "insufficient = not enough"


@pytest.mark.parametrize(
    ("path", "what", "files"),
    [
        ("out.csv", None, {"cycles": "out.csv"}),
        ("out.CSV", "orders", {"orders": "out.CSV"}),
        ("out", "orders", {"orders": "out/orders.csv"}),
        ("out", None, {name: f"out/{name}.csv" for name in ("cycles", "orders", "fills")}),
    ],
)
def test_where_the_rows_go(path: str, what: str | None, files: dict[str, str]) -> None:
    assert {name: str(file) for name, file in targets_of(Path(path), what).items()} == files
