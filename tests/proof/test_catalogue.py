"""docs/faults.md against the code: every number is there, and every name in it exists."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "faults.md").read_text().replace("\n  ", " ")
"""With the wrapped lines of each item joined."""
FAULTS = [f"F{number:02}" for number in range(1, 96)]
INVARIANTS = [f"I{number:02}" for number in range(1, 34)]
NAMED = re.compile(r"`([\w/]+\.(?:py|sql))(?:::([\w.]+))?`(?:: (\w+)| \((\w+)\))?")
"""A file, perhaps with a name in it; of SQL, a word of it."""


@dataclass(frozen=True)
class Name:
    file: str
    inside: str
    word: str

    def __str__(self) -> str:
        return f"{self.file}::{self.inside}" if self.inside else self.file


def names_in(text: str) -> list[Name]:
    return [Name(found[1], found[2] or "", found[3] or found[4] or "") for found in NAMED.finditer(text)]


@cache
def defined(file: str) -> set[str]:
    """Every name a file defines, those in a class as Class.name."""
    found: set[str] = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        found |= set(_names(node))
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for member in node.body for name in _names(member)}
    return found


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def exists(name: Name) -> bool:
    path = ROOT / name.file
    if not path.is_file():
        return False
    if name.word:
        return name.word in path.read_text()
    return not name.inside or name.inside in defined(name.file)


@dataclass(frozen=True)
class Entry:
    """A fault's part of the document, by its lines' first words."""

    number: str
    title: str
    lines: dict[str, str]


def entries() -> list[Entry]:
    found = []
    for part in re.split(r"^### ", TEXT.partition("\n## The invariants")[0], flags=re.M)[1:]:
        head, _, body = part.partition("\n")
        number, _, title = head.partition(" · ")
        lines = dict(re.findall(r"^- \*\*(\w+):\*\* (.+)$", body, flags=re.M))
        found.append(Entry(number, title, lines))
    return found


ENTRIES = entries()


def test_every_fault_is_there_once_and_in_order() -> None:
    assert [entry.number for entry in ENTRIES] == FAULTS


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.number)
def test_every_fault_has_its_guard_and_a_test_that_exists(entry: Entry) -> None:
    assert entry.title
    assert [*entry.lines][:3] == ["Wrong", "Guard", "Shown"]
    assert {*entry.lines} <= {"Wrong", "Guard", "Shown", "Open"}
    shown = names_in(entry.lines["Shown"])
    assert shown and all(name.file.startswith("tests/") for name in shown)
    assert all(name.inside.startswith("test_") for name in shown), "a test, not a file of tests"
    guards = names_in(entry.lines["Guard"])
    assert guards or "as F" in entry.lines["Guard"]
    text = "\n".join(entry.lines.values())
    named = names_in(text)
    assert len(named) == len(re.findall(r"`[^`]*(?:\.py|\.sql|::)[^`]*`", text)), "each is looked up"
    assert [str(name) for name in named if not exists(name)] == []


def test_what_is_open_is_said_at_the_top() -> None:
    listed = re.search(r"^Open, in whole or in part: (.+)\.$", TEXT, flags=re.M)
    assert listed is not None
    assert listed[1].split() == [entry.number for entry in ENTRIES if "Open" in entry.lines]


def test_every_invariant_is_checked_somewhere() -> None:
    found = re.findall(r"^- \*\*(I\d\d)\*\* (.+)$", TEXT, flags=re.M)
    assert [number for number, _ in found] == INVARIANTS
    for number, line in found:
        named = names_in(line)
        assert named, number
        assert [str(name) for name in named if not exists(name)] == [], number
        for name in named:
            if name.file.startswith(("demo/", "proof/", "dca/")):
                assert number.lower() in (ROOT / name.file).read_text().lower(), (number, name.file)


def test_this_test_can_fail() -> None:
    assert not exists(Name("tests/trading/test_races.py", "test_F01_of_another_name", ""))
    assert not exists(Name("tests/test_of_nothing.py", "", ""))
    assert not exists(Name("sql/schema.sql", "", "two_live_orders"))
    assert exists(Name("dca/trading/trader.py", "Trader._claim", ""))
    assert not exists(Name("dca/trading/trader.py", "_claim", ""))


def test_F51_no_lock_lives_on_a_database_connection() -> None:
    files = [*(ROOT / "dca").rglob("*.py"), *ROOT.glob("*.py"), *(ROOT / "sql").rglob("*.sql")]
    assert len(files) > 50
    assert [file.name for file in files if "GET_LOCK" in file.read_text().upper()] == []
