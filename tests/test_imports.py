"""Who may import whom, who may read the clock, and how long a file may be: read from the sources."""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
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

ROOMS: dict[str, set[str]] = {
    "core": set(),
    "runtime": {"core"},
    "exchange": {"core", "runtime"},
    "database": {"core", "runtime"},
    "alerts": {"core", "runtime", "exchange", "database"},
    "trading": {"core", "runtime", "exchange", "database", "alerts"},
    "caretakers": {"core", "runtime", "exchange", "database", "alerts", "trading"},
    "watchdog": {"core", "runtime", "exchange", "database", "alerts", "trading", "caretakers"},
    "operator": {
        *("core", "runtime", "exchange", "database", "alerts", "trading", "caretakers", "watchdog"),
    },
}
"""Each room of dca and those it may import: what lies below it. exchange and database never meet."""
PURE = (
    *("alerts/digest", "alerts/incidents", "alerts/lock_details"),
    *("exchange/parsing", "exchange/refusals", "operator/asset_settings/ladder"),
)
"""Outside core, and yet without clock and I/O."""
IMPURE_STDLIB = {
    *("asyncio", "io", "multiprocessing", "os", "pathlib", "random", "secrets", "select", "shutil"),
    *("signal", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid"),
}
CLOCK_READERS = {"now", "utcnow", "today", "time", "time_ns", "gmtime", "localtime"}

ONLY = {
    "mysql": {"database/store.py", "database/connections.py", "database/create_database.py"},
    "alpaca": {"exchange/rest_client.py"},
    "requests": {"exchange/rest_client.py"},
    "asyncio": {"exchange/streams.py"},
    "websockets": {"exchange/streams.py"},
    "msgpack": {"exchange/streams.py"},
    "dotenv": {"runtime/settings.py", "operator/setup/env_file.py"},
}
"""Third parties, and the file of dca that talks to each: of two, one reads and one makes."""


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


def rooms_of(file: Path) -> set[str]:
    """The rooms of dca that a file imports from."""
    names = (name.split(".") for name in imports(file))
    return {parts[1] for parts in names if parts[0] == "dca" and len(parts) > 1}


def inside(file: Path) -> str:
    """A file's path in dca."""
    return str(file.relative_to(ROOT / "dca"))


def attributes(file: Path) -> Iterator[tuple[str, str, int]]:
    """Every `name.attribute` in a file, and its line; of `a.b.c` the last two."""
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node.value).split(".")[-1], node.attr, node.lineno


def test_there_is_something_to_read() -> None:
    assert {"database/store.py", "trading/trader.py", "core/model.py"} <= {inside(file) for file in DCA}
    assert (ROOT / "main_app.py") in SOURCES and (ROOT / "bot") in SOURCES


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    files = [file for file in DCA if inside(file).startswith(f"{room}/")]
    assert files
    for file in files:
        assert rooms_of(file) <= {room, *ROOMS[room]}, shown(file)


def test_every_file_of_dca_is_in_a_room() -> None:
    assert {inside(file).split("/")[0] for file in DCA} == {"__init__.py", *ROOMS}


def test_no_import_goes_in_a_circle() -> None:
    """Modules can be put in an order in which each imports only earlier ones."""
    modules = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in SOURCES}
    needs = {name: {each for each in imports(file) if each in modules} for name, file in modules.items()}
    list(TopologicalSorter(needs).static_order())  # raises CycleError with the circle


@pytest.mark.parametrize("name", ["core", *PURE])
def test_pure_modules_know_only_the_standard_library_and_core(name: str) -> None:
    files = [file for file in DCA if inside(file).startswith(f"{name}/") or inside(file) == f"{name}.py"]
    assert files
    for file in files:
        assert tops(file) - {"dca"} - (sys.stdlib_module_names - IMPURE_STDLIB) == set(), shown(file)
        modules = {each for each in imports(file) if each.startswith("dca.") and each.count(".") > 1}
        assert {each for each in modules if not _is_pure(each)} == set(), shown(file)
        assert [(of, what) for of, what, _ in attributes(file) if what in CLOCK_READERS] == [], shown(file)


def _is_pure(module: str) -> bool:
    path = module.removeprefix("dca.").replace(".", "/")
    return path.startswith("core/") or any(path == each or path.startswith(f"{each}/") for each in PURE)


def test_inside_core_the_layers_point_downwards() -> None:
    """strategy and lifecycle know the ledger and the model; none of those knows what is above it."""
    order = ["errors", "model", "book", "liquidity", "ledger", "selling", "lifecycle", "strategy"]
    for rank, name in enumerate(order):
        names = imports(ROOT / "dca" / "core" / f"{name}.py")
        known = {each.split(".")[2] for each in names if each.startswith("dca.core.")}
        assert known <= {*order[:rank], "cents"}, name


@pytest.mark.parametrize("package", ONLY)
def test_each_third_party_has_one_user(package: str) -> None:
    assert {inside(file) for file in DCA if package in tops(file)} == ONLY[package]


def test_scripts_talk_to_no_third_party() -> None:
    for file in SOURCES:
        if file.parent == ROOT and file.suffix == ".py":
            assert tops(file) & ONLY.keys() == set(), shown(file)


def test_only_settings_reads_the_environment() -> None:
    names = {"environ", "environb", "getenv", "putenv"}
    readers = {inside(file) for file in DCA for _, what, _ in attributes(file) if what in names}
    taken = {
        inside(file)
        for file in DCA
        for name in imports(file)
        if name.split(".")[0] == "os" and name.split(".")[-1] in names
    }
    assert readers | taken == {"runtime/settings.py"}


def test_only_clock_reads_the_clock() -> None:
    """What is written down gets its time as an argument. `monotonic` measures, and is no date."""
    modules = {"time", "datetime", "date", "dt"}
    readers = [
        f"{shown(file)}:{line} {of}.{what}"
        for file in DCA
        for of, what, line in attributes(file)
        if of in modules and what in CLOCK_READERS and inside(file) != "runtime/clock.py"
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
    assert found == ["dca/runtime/script.py", "proof/simulation/hub.py"]


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


def test_no_two_files_of_tests_have_the_same_name() -> None:
    """pytest takes the second for the first, and its tests are not run."""
    names = Counter(file.name for file in SOURCES if file.name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []
