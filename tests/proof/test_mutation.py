"""The mutation tester: what it makes of a source, who looks at it, and what it remembers."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from proof.mutation.__main__ import main
from proof.mutation.accepted import ACCEPTED, KEYS
from proof.mutation.forker import Forker
from proof.mutation.modules import MODULES, may_judge
from proof.mutation.mutant import Mutant
from proof.mutation.reach import Reach
from proof.mutation.results import Result, Results, Verdict
from tests.processes import ROOT

SOURCE = """
LIMIT = 3


def worth(qty, price, fee=0):
    # a comment
    if qty > LIMIT:
        raise ValueError("too many of them")
    return qty * price - fee
"""
MUTANT = Mutant(
    module="toy",
    file="toy.py",
    function="worth",
    function_digest="d1",
    operator="numbers",
    old="LIMIT = 3",
    new="LIMIT = 4",
    nth=0,
    source="LIMIT = 4\n",
    original="LIMIT = 3\n",
)
RESULT = Result(
    id=MUTANT.id, function_digest="d1", verdict=Verdict.SURVIVED, by="", seconds=1.0, tests_digest="t1"
)


# ---- what is mutated --------------------------------------------------------------------------------------


def test_every_module_of_the_table_is_there() -> None:
    assert [module.file for module in MODULES.values() if not (ROOT / module.file).is_file()] == []


def test_what_is_accepted_still_stands_in_the_source_and_has_a_reason() -> None:
    assert len(KEYS) == len(ACCEPTED)
    for each in ACCEPTED:
        lines = [line.strip() for line in (ROOT / MODULES[each.module].file).read_text().splitlines()]
        gone = [line for line in each.old.splitlines() if line not in lines]
        assert gone == [], f"{each.module} {each.function}: take it from proof/mutation/accepted.py"
        assert each.why and each.old != each.new


def test_only_tests_that_run_the_modules_themselves_may_judge() -> None:
    for name in ("tests/exchange/test_rest_client.py", "tests/proof/test_bitten.py"):
        assert may_judge(name), name
    for name in (
        "tests/demo/test_demo_view.py",
        "tests/proof/test_mutation.py",
        "tests/bench/test_orders.py",
        "tests/operator/test_screens.py",
        "tests/paper_exchange/test_depth.py",
    ):
        assert not may_judge(name), name


@pytest.mark.slow
def test_the_mutants_of_a_source() -> None:
    """The tool's and ours; no comment, no word for a person, and each of them once."""
    made = json.loads(
        in_a_process(f"[[m.old, m.new, m.function] for m in mutants('toy', 'toy.py', {SOURCE!r})]")
    )
    assert made == [
        ["LIMIT = 3", "LIMIT = 4", "<module>"],
        ["def worth(qty, price, fee=0):", "def worth(qty, price, fee=1):", "worth"],
        ["if qty > LIMIT:", "if (qty > LIMIT) and False:", "worth"],
        ["if qty > LIMIT:", "if (qty > LIMIT) or True:", "worth"],
        ["if qty > LIMIT:", "if filled_qty > LIMIT:", "worth"],
        ["if qty > LIMIT:", "if qty >= LIMIT:", "worth"],
        ['raise ValueError("too many of them")', "pass", "worth"],
        ["return qty * price - fee", "return qty * price + fee", "worth"],
        ["return qty * price - fee", "return qty / price - fee", "worth"],
        ["return qty * price - fee", "return filled_qty * price - fee", "worth"],
    ]


@pytest.mark.slow
def test_a_mutant_is_the_same_wherever_its_function_stands() -> None:
    shifted = SOURCE.replace("def worth", "def other():\n    return 1\n\n\ndef worth")
    told = (
        "sorted((m.id, m.function_digest) for m in mutants('toy', 'toy.py', {!r}) if m.function == 'worth')"
    )
    assert in_a_process(told.format(SOURCE)) == in_a_process(told.format(shifted))


def in_a_process(expression: str) -> str:
    """The packages of the operators are not among those of the tests."""
    code = (
        "import json; from proof.mutation import tool; tool.ensure();"
        f"from proof.mutation.mutants import mutants; print(json.dumps({expression}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_module_that_is_not_in_the_table_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["strateggy"]) == 2
    assert "there is no module strateggy" in capsys.readouterr().err


# ---- what is remembered -----------------------------------------------------------------------------------


def test_results_are_kept_until_the_function_changes(tmp_path: Path) -> None:
    Results(tmp_path, "toy").add(RESULT)
    kept = Results(tmp_path, "toy")
    assert kept.of(MUTANT) == RESULT
    assert kept.of(replace(MUTANT, function_digest="d2")) is None
    assert kept.of(replace(MUTANT, nth=1)) is None


def test_a_survivor_is_tried_again_when_its_tests_have_changed_and_the_dead_stay_dead(tmp_path: Path) -> None:
    known = Results(tmp_path, "toy")
    assert known.is_open(MUTANT, "t1")
    known.add(RESULT)
    assert not known.is_open(MUTANT, "t1")
    assert known.is_open(MUTANT, "t2")
    known.add(replace(RESULT, verdict=Verdict.KILLED, by="tests/test_toy.py::test_it"))
    assert not known.is_open(MUTANT, "t2")


def test_a_function_is_looked_at_by_the_tests_that_run_it_those_about_it_first(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_toy.py").write_text("1")
    reach = Reach(tmp_path / "reach.json", tmp_path)
    assert reach.unknown(["toy.py"]) == ["tests/test_toy.py"]
    quick, slow, other, none = (f"tests/test_toy.py::test_{name}" for name in ("a", "b", "c", "d"))
    told = {
        slow: ["toy.py:worth", "toy.py:y"],
        quick: ["toy.py:worth"],
        other: ["toy.py:x"],
        none: ["a.py:worth"],
    }
    seconds = {slow: 3.0, quick: 0.1, other: 0.2, none: 0.0}
    recorded = {name: {"seconds": seconds[name], "runs": runs} for name, runs in told.items()}
    reach.add("tests/test_toy.py", {"tests": recorded, "failed": []})
    kept = Reach(tmp_path / "reach.json", tmp_path)
    assert kept.unknown(["toy.py"]) == []
    assert (kept.of(MUTANT).nearest, kept.of(MUTANT).seconds) == ((quick, slow), 3.1)
    at_import = replace(MUTANT, function="<module>")
    assert kept.of(at_import).nearest == (quick, other, slow), "any of that file may notice"
    before = kept.of(MUTANT).digest
    (tests / "test_toy.py").write_text("2")
    assert kept.unknown(["toy.py"]) == ["tests/test_toy.py"]
    assert kept.unknown(["b.py"]) == [], "it says nothing of that file"
    kept.add("tests/test_toy.py", {"tests": recorded, "failed": []})
    assert kept.of(MUTANT).digest != before


# ---- who looks --------------------------------------------------------------------------------------------


def a_tree(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "toy.py").write_text(
        "def worth(x):\n    return [one for one in [x]]\n\n\ndef unused(): ...\n"
    )
    (tmp_path / "test_toy.py").write_text(
        "import time, threading, toy\n"
        "def test_it(): assert toy.worth(1) == [1]\n"
        "def test_elsewhere():\n"
        "    thread = threading.Thread(target=toy.worth, args=(1,)); thread.start(); thread.join()\n"
        "def test_nothing(): ...\n"
        "def test_red(): assert toy.worth(2) == [1]\n"
        "def test_hangs(): time.sleep(600)\n"
    )
    return {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}


def test_each_command_sees_the_source_as_it_is_and_one_that_hangs_is_ended(tmp_path: Path) -> None:
    environment, output = a_tree(tmp_path), tmp_path / "output"
    test = ("pytest", "-q", "-W", "ignore::pytest.PytestAssertRewriteWarning", "test_toy.py::test_it")
    with Forker(tmp_path, environment) as forker:
        assert forker.run(test, 60, output) == 0
        (tmp_path / "toy.py").write_text("def worth(x):\n    return []\n")
        assert forker.run(test, 60, output) == 1
        assert "FAILED test_toy.py::test_it" in output.read_text()
        began = time.monotonic()
        assert forker.run((*test[:-1], "test_toy.py::test_hangs"), 3, output) is None
        assert time.monotonic() - began < 300


def test_what_a_test_runs_is_recorded_in_threads_too(tmp_path: Path) -> None:
    environment, told = a_tree(tmp_path), tmp_path / "told"
    plugin = ("-p", "proof.mutation.recorder", "--record", "toy.py", "--record-to", str(told))
    command = [sys.executable, "-m", "pytest", "-q", *plugin, "test_toy.py", "-k", "not hangs"]
    subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    recorded = json.loads(told.read_text())
    assert recorded["failed"] == ["test_toy.py::test_red"]
    runs = {name.partition("::")[2]: each["runs"] for name, each in recorded["tests"].items()}
    assert runs == {"test_it": ["toy.py:worth"], "test_elsewhere": ["toy.py:worth"]}
