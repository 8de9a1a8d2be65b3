"""Who may import whom, who may read the clock, and how long a file may be: read from the sources."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("dca", "paper_exchange", "demo", "launcher", "integration", "proof", "bench", "recordings")
LONGEST_FILE, LONGEST_FUNCTION = 400, 50

SOURCES = sorted(
    file
    for file in [
        *ROOT.glob("*.py"),
        ROOT / "bot",
        *(file for name in PACKAGES for file in (ROOT / name).rglob("*.py")),
    ]
    if file.is_file()
)
DCA = [file for file in SOURCES if file.is_relative_to(ROOT / "dca")]
TREES = {file: ast.parse(file.read_text()) for file in SOURCES}

PURE = (
    *("model", "ledger", "lifecycle", "strategy", "caretaking", "errors", "wire", "tripwire", "new_order"),
    *("invariants", "locks", "fuse", "fees", "answers"),
    *("reporting", "operator/ladder", "records", "incidents", "digest", "valuation", "repairs"),
)
IMPURE_STDLIB = {
    *("asyncio", "io", "multiprocessing", "os", "pathlib", "random", "secrets", "select", "shutil"),
    *("signal", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid"),
}
CLOCK_READERS = {"now", "utcnow", "today", "time", "time_ns", "gmtime", "localtime"}

ONLY = {
    "mysql": {"store.py", "store_connections.py", "store_setup.py"},
    "alpaca": {"broker.py"},
    "requests": {"broker.py"},
    "asyncio": {"feed.py"},
    "websockets": {"feed.py"},
    "msgpack": {"feed.py"},
    "dotenv": {"settings.py", "env_file.py"},
}
"""Third parties, and the file of dca that talks to each: of two, one reads and one makes."""
APART = ("store", "broker", "feed", "alerts")
"""Never each other: they know the model and the errors, and what turns wire or rows into it."""


def shown(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions, as a dotted name."""
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{shown(file)}: relative imports hide who imports whom"
            base = node.module or ""
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def tops(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(file)}


def of_dca(file: Path) -> set[str]:
    """The modules of dca that a file imports."""
    names = (name.split(".") for name in imports(file))
    return {parts[1] for parts in names if parts[0] == "dca" and len(parts) > 1}


def attributes(file: Path) -> Iterator[tuple[str, str, int]]:
    """Every `name.attribute` in a file, and its line; of `a.b.c` the last two."""
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node.value).split(".")[-1], node.attr, node.lineno


def test_there_is_something_to_read() -> None:
    assert {"store.py", "trader.py", "model.py"} <= {file.name for file in DCA}
    assert (ROOT / "main_app.py") in SOURCES and (ROOT / "bot") in SOURCES


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_know_only_the_standard_library_and_each_other(name: str) -> None:
    file = ROOT / "dca" / f"{name}.py"
    strangers = tops(file) - {"dca"} - (sys.stdlib_module_names - IMPURE_STDLIB)
    assert strangers == set()
    assert of_dca(file) <= {*PURE}
    assert [(of, what) for of, what, _ in attributes(file) if what in CLOCK_READERS] == []


def test_the_layers_point_downwards() -> None:
    """strategy and lifecycle know the ledger and the model; none of those knows what is above it."""
    order = ["errors", "model", "ledger", "lifecycle", "strategy"]
    for rank, name in enumerate(order):
        assert of_dca(ROOT / "dca" / f"{name}.py") <= set(order[:rank]), name
    assert of_dca(ROOT / "dca" / "model.py") == set()


@pytest.mark.parametrize("package", ONLY)
def test_each_third_party_has_one_user(package: str) -> None:
    assert {file.name for file in DCA if package in tops(file)} == ONLY[package]


def test_scripts_talk_to_no_third_party() -> None:
    for file in SOURCES:
        if file.parent == ROOT and file.suffix == ".py":
            assert tops(file) & ONLY.keys() == set(), shown(file)


def test_the_edges_do_not_know_each_other() -> None:
    present = [name for name in APART if (ROOT / "dca" / f"{name}.py").exists()]
    assert {"store", "broker", "feed"} <= set(present)
    for name in present:
        assert of_dca(ROOT / "dca" / f"{name}.py") & set(APART) == set(), name


def test_only_settings_reads_the_environment() -> None:
    names = {"environ", "environb", "getenv", "putenv"}
    readers = {file.name for file in DCA for _, what, _ in attributes(file) if what in names}
    taken = {
        file.name
        for file in DCA
        for name in imports(file)
        if name.split(".")[0] == "os" and name.split(".")[-1] in names
    }
    assert readers | taken == {"settings.py"}


def test_only_clock_reads_the_clock() -> None:
    """What is written down gets its time as an argument. `monotonic` measures, and is no date."""
    modules = {"time", "datetime", "date", "dt"}
    readers = [
        f"{shown(file)}:{line} {of}.{what}"
        for file in DCA
        for of, what, line in attributes(file)
        if of in modules and what in CLOCK_READERS and file.name != "clock.py"
    ]
    taken = [
        f"{shown(file)} {name}"
        for file in DCA
        for name in imports(file)
        if name.startswith("time.") and name.split(".")[-1] in CLOCK_READERS
    ]
    assert readers + taken == []


def test_nothing_in_dca_is_random() -> None:
    assert [shown(file) for file in DCA if tops(file) & {"random", "secrets", "uuid"}] == []


def test_the_bot_and_the_exchange_never_meet() -> None:
    for file in SOURCES:
        if file.is_relative_to(ROOT / "paper_exchange"):
            assert not tops(file) & {"dca", "demo", "tests"}, shown(file)
        if file.is_relative_to(ROOT / "dca"):
            assert not tops(file) & {"paper_exchange", "demo", "launcher", "tests"}, shown(file)


def test_what_judges_the_demo_shares_nothing_with_the_bot() -> None:
    for file in SOURCES:
        if file.is_relative_to(ROOT / "demo"):
            assert not tops(file) & {"dca", "paper_exchange", "tests"}, shown(file)


def test_recordings_stand_alone() -> None:
    for file in SOURCES:
        if file.is_relative_to(ROOT / "recordings"):
            assert tops(file) <= {"recordings", *sys.stdlib_module_names}, shown(file)


def test_the_integration_test_stands_outside_the_bot() -> None:
    """It shapes rows with the bot's own words; of the launcher it has the private database server."""
    of_the_launcher = {"launcher.database.PrivateServer", "launcher.output.SetUpProblem"}
    for file in SOURCES:
        if file.is_relative_to(ROOT / "integration"):
            assert not tops(file) & {"paper_exchange", "demo", "tests"}, shown(file)
            taken = {name for name in imports(file) if name.split(".")[0] == "launcher"}
            assert taken <= of_the_launcher | {"launcher.database", "launcher.output"}, shown(file)
            assert not taken or file.name == "database.py", shown(file)
        elif file.is_relative_to(ROOT / "dca"):
            assert "integration" not in tops(file), shown(file)


def test_one_broad_except_where_a_script_ends() -> None:
    found = []
    for file in SOURCES:
        for node in ast.walk(TREES[file]):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = [] if node.type is None else list(ast.walk(node.type))
            names = {each.id for each in caught if isinstance(each, ast.Name)}
            swallows = not any(isinstance(each, ast.Raise) and each.exc is None for each in node.body)
            if node.type is None or "Exception" in names or ("BaseException" in names and swallows):
                found.append(shown(file))
    # In the simulation a whole script ends where its greenlet does.
    assert found == ["dca/runtime.py", "proof/simulation/hub.py"]


def test_files_and_functions_stay_short() -> None:
    offenders = []
    for file, tree in TREES.items():
        lines = len(file.read_text().splitlines())
        if lines >= LONGEST_FILE:
            offenders.append(f"{shown(file)}: {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    offenders.append(f"{shown(file)}:{node.lineno} {node.name}: {length} lines")
    assert offenders == [], "\n".join(["", *offenders])
