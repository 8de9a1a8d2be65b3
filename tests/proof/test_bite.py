"""The list of deliberate faults fits the source; and what the runner makes of the layers' answers."""

import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from proof.bite import judging, layers, runner
from proof.bite.__main__ import main
from proof.bite.bench import Bench, copy_tree
from proof.bite.catalogue import FAULTS, sample, seed_of
from proof.bite.fault import Fault, diff, planted, problem
from proof.bite.judging import Finding, Outcome, Run, Verdict
from proof.bite.layers import ALL, TESTS, WHOLE, Layer
from tests.processes import ROOT, eventually

TOY = Fault(
    name="toy",
    number="F01",
    file="toy.py",
    old="x = 1\n",
    new="x = 2\n",
    costs="a lot",
    tests=("test_toy.py",),
    also=("prove", "crash"),
)
LAYER = Layer(name=TESTS, command=("pytest",), limit_seconds=100)


# ---- the list --------------------------------------------------------------------------------------------


def test_every_fault_can_be_planted_and_compiles() -> None:
    """What does not fit any more has to follow the code: ./bot bite --list, proof/bite/faults_*.py."""
    problems = [found for fault in FAULTS if (found := problem(fault, ROOT)) is not None]
    assert problems == [], "\n".join(["", *problems])


def test_the_list_is_long_and_every_entry_is_whole() -> None:
    assert len(FAULTS) >= 50
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
    for fault in FAULTS:
        assert re.fullmatch(r"F(0[1-9]|[1-8]\d|9[0-5])", fault.number), fault.name
        assert fault.costs and fault.tests, fault.name


def test_the_worst_have_two_layers() -> None:
    worst = [fault for fault in FAULTS if fault.is_top]
    assert len(worst) >= 15
    for fault in worst:
        assert set(fault.also) <= WHOLE.keys(), fault.name
        assert len(layers.layers_of(fault, ALL)) >= 2, fault.name


def test_samples_follow_from_the_source_and_are_different() -> None:
    seed = seed_of(ROOT)
    five = sample(5, seed)
    assert five == sample(5, seed)
    assert len({fault.name for fault in five}) == 5
    assert len({fault.file for fault in five}) == 5
    assert any(sample(5, other) != five for other in range(3))
    quick = sorted(fault.name for fault in FAULTS if not fault.hangs)
    assert sorted(fault.name for fault in sample(1000, seed)) == quick


# ---- planting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\nx = 1\n", "2 times in toy.py"),
        ("y = 1\n", "0 times in toy.py"),
        ("def f(:\nx = 1\n", "does not compile"),
    ],
)
def test_what_cannot_be_planted_is_told(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "test_toy.py").touch()
    (tmp_path / "toy.py").write_text(source)
    assert words in (problem(TOY, tmp_path) or "")


def test_files_and_tests_that_are_gone_are_told(tmp_path: Path) -> None:
    assert "no test_toy.py" in (problem(TOY, tmp_path) or "")
    (tmp_path / "test_toy.py").write_text("def test_it() -> None: ...\n")
    assert "no toy.py" in (problem(TOY, tmp_path) or "")
    (tmp_path / "toy.py").write_text("x = 1\n")
    assert problem(TOY, tmp_path) is None
    assert diff(TOY, tmp_path).splitlines()[-2:] == ["-x = 1", "+x = 2"]


def test_all_edits_of_a_fault_are_planted() -> None:
    fault = Fault(
        name="two",
        number="F01",
        file="toy.py",
        old="a",
        new="b",
        more=(("c", "d"),),
        costs="more",
        tests=("t",),
    )
    assert planted(fault, "a c") == "b d"


def test_a_copy_is_the_source_without_what_is_secret_or_not_source(tmp_path: Path) -> None:
    root, copy = tmp_path / "root", tmp_path / "copy"
    for name in (".git", "venv", "var", "logs", "dca/core/__pycache__", ".mypy_cache"):
        (root / name).mkdir(parents=True)
    for name in (".env", ".env.example", "main_app.py", "dca/core/model.py"):
        (root / name).write_text("")
    copy_tree(root, copy)
    assert {path.name for path in copy.iterdir()} - {"__pycache__"} == {
        ".env.example",
        "main_app.py",
        "dca",
        "venv",
    }
    assert (copy / "venv").is_symlink()


def test_a_planted_fault_is_what_runs_and_the_source_comes_back(tmp_path: Path) -> None:
    """Also where bytecode of the same length was made in the same second."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "toy.py").write_text("x = 1\n")
    bench = Bench(tmp_path)
    copy_tree(tmp_path / "root", bench.tree)
    three = replace(TOY, new="x = 3\n")

    def runs() -> str:
        command = [sys.executable, "-c", "import toy; print(toy.x)"]
        environment = {"PYTHONPATH": str(bench.tree)}
        return subprocess.run(command, capture_output=True, text=True, env=environment).stdout.strip()

    assert runs() == "1"
    for fault, expected in ((TOY, "2"), (three, "3"), (TOY, "2")):
        with bench.with_fault(fault):
            assert runs() == expected
        assert runs() == "1"


# ---- judging ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "clean_seconds", "verdict"),
    [
        (0, 1.0, Verdict.MISSED),
        (1, 1.0, Verdict.CAUGHT),
        (2, 1.0, Verdict.UNCLEAR),
        (-9, 1.0, Verdict.UNCLEAR),
        (None, 24.0, Verdict.CAUGHT),
        (None, 26.0, Verdict.UNCLEAR),
    ],
)
def test_what_a_run_says(code: int | None, clean_seconds: float, verdict: Verdict) -> None:
    run = Run(
        layer=LAYER,
        code=code,
        seconds=1.0,
        output="..F\nFAILED tests/test_toy.py::test_it[1] - so\n1 failed\n",
    )
    found = judging.finding(run, clean_seconds)
    assert found.verdict is verdict
    assert code != 1 or found.where == "tests/test_toy.py::test_it[1]"


def test_the_worst_need_two_layers_where_two_are_run() -> None:
    caught = Finding(layer=TESTS, verdict=Verdict.CAUGHT, where="", seconds=1.0)
    missed = Finding(layer="prove", verdict=Verdict.MISSED, where="", seconds=2.0)
    needed = [judging.needed(TOY, layers.layers_of(TOY, wanted)) for wanted in (ALL, frozenset({TESTS}))]
    assert needed == [2, 1]
    both, one = (Outcome(fault=TOY, findings=(caught, missed), needed=each) for each in needed)
    assert not both.is_caught and one.is_caught
    assert both.seconds == 3.0


def test_seconds_are_read_from_what_pytest_says() -> None:
    output = (
        "0.50s setup    tests/a.py::one[x]\n"
        "0.25s call     tests/a.py::one[y]\n"
        "1.00s call     tests/b.py::two\n"
    )
    seconds = layers.durations(output)
    assert seconds == {"tests/a.py::one": 0.75, "tests/b.py::two": 1.0}
    assert layers.seconds_of(["tests/a.py"], seconds) == 0.75
    assert layers.seconds_of(["tests/b.py::two", "tests/a.py::one"], seconds) == 1.75
    assert layers.seconds_of(["tests/c.py"], seconds) == 0


# ---- running ---------------------------------------------------------------------------------------------


class Answering(Bench):
    """A bench whose layers end as they are told to; with a fault in the tree, and without."""

    def __init__(self, folder: Path, clean: dict[str, int], broken: dict[str, int]) -> None:
        super().__init__(folder)
        copy_tree(folder / "root", self.tree)
        self._clean, self._broken = clean, broken
        self.asked: list[str] = []

    def run(self, layer: Layer) -> Run:
        has_fault = (self.tree / "toy.py").read_text() != "x = 1\n"
        self.asked.append(f"{layer.name}{'!' if has_fault else ''}")
        code = (self._broken if has_fault else self._clean).get(layer.name, 0)
        return Run(layer=layer, code=code, seconds=1.0, output=f"{layer.name} said so")


def bench_of(folder: Path, clean: dict[str, int], broken: dict[str, int]) -> Answering:
    (folder / "root").mkdir()
    (folder / "root" / "toy.py").write_text("x = 1\n")
    return Answering(folder, clean, broken)


@pytest.mark.parametrize(
    ("broken", "asked", "caught_by"),
    [
        ({TESTS: 1, "prove": 1}, ["tests!", "prove!"], [TESTS, "prove"]),
        ({TESTS: 1, "crash": 1}, ["tests!", "prove!", "crash!"], [TESTS, "crash"]),
        ({}, ["tests!", "prove!", "crash!"], []),
    ],
)
def test_layers_are_asked_until_two_have_noticed(
    tmp_path: Path, broken: dict[str, int], asked: Sequence[str], caught_by: Sequence[str]
) -> None:
    bench = bench_of(tmp_path, {}, broken)
    at = runner.Benches([bench])
    clean = runner.clean_runs(at, [TOY], ALL)
    assert bench.asked == ["tests", "prove", "crash"]
    (outcome,) = runner.outcomes(at, [TOY], ALL, clean)
    assert bench.asked[3:] == asked
    assert [each.layer for each in outcome.caught_by] == caught_by
    assert outcome.is_caught == (len(caught_by) == 2)
    assert outcome.diff.splitlines()[-2:] == ["-x = 1", "+x = 2"]
    assert (bench.tree / "toy.py").read_text() == "x = 1\n"


def test_on_a_red_tree_nothing_is_judged(tmp_path: Path) -> None:
    at = runner.Benches([bench_of(tmp_path, {"prove": 1}, {})])
    with pytest.raises(runner.CleanTreeIsRed, match=r"proof\.simulation(?s:.*)prove said so"):
        runner.clean_runs(at, [TOY], ALL)


def test_a_layer_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.tree.mkdir()
    (bench.tree / "stuck.py").write_text(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    run = bench.run(Layer(name="stuck", command=("stuck",), limit_seconds=1.0))
    assert run.code is None
    child = Path(f"/proc/{int(run.output.split()[0])}/stat")
    eventually(lambda: not child.exists() or child.read_text().rpartition(")")[2].split()[0] in "ZX")


def test_what_runs_can_be_ended_from_another_thread(tmp_path: Path) -> None:
    """So Ctrl-C has not to wait for it."""
    bench = Bench(tmp_path)
    bench.tree.mkdir()
    (bench.tree / "stuck.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(600)\n")
    runs: list[Run] = []
    stuck = Layer(name="stuck", command=("stuck",), limit_seconds=60.0)
    thread = threading.Thread(target=lambda: runs.append(bench.run(stuck)))
    thread.start()
    eventually(lambda: (tmp_path / "output").is_file() and (tmp_path / "output").read_text())
    bench.halt()
    thread.join(30)
    assert [run.code for run in runs] == [-9]


# ---- the command -----------------------------------------------------------------------------------------


def test_the_command_lists_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    out = capsys.readouterr().out
    assert f"{len(FAULTS)} faults" in out and max(map(len, out.splitlines())) <= 100
    assert main(["--only", "no-such-fault"]) == 2
    assert main(["--only", FAULTS[0].name, "--layers", "prayer"]) == 2
    not_top = next(fault for fault in FAULTS if not fault.is_top)
    assert main(["--only", not_top.name, "--layers", "prove"]) == 2, "nothing would be run"
    with pytest.raises(SystemExit) as refused:
        main(["--frobnicate"])
    assert refused.value.code == 2
