"""The layers of the proof, as commands: what is run on a tree to see whether it is sound. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proof.bite.fault import Fault

TESTS = "tests"
_PYTEST = ("pytest", "-q", "-x", "--no-header", "--tb=short")
_PROVE = ("proof.simulation", "--quiet", "--jobs", "1")
_DURATIONS = ("--durations=0", "--durations-min=0")
_DURATION = re.compile(r"^([\d.]+)s (?:setup|call|teardown) +(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A module with arguments. It ends with 0 on a sound tree, with 1 on one that it finds fault with, and
    with anything else when it could not judge. After `limit_seconds` it hangs. A line that begins with
    `until` says that it has found something: it need not go on."""

    name: str
    command: tuple[str, ...]
    limit_seconds: float
    until: str | None = None


WHOLE = {
    layer.name: layer
    for layer in (
        Layer(name="prove", command=(*_PROVE, "--seeds", "120"), limit_seconds=600, until="FAILED"),
        Layer(
            name="crash", command=(*_PROVE, "--crash-points", "--quick"), limit_seconds=600, until="FAILED"
        ),
        Layer(name="sweep", command=(*_PROVE, "--sweep", "--quick"), limit_seconds=600, until="FAILED"),
        Layer(name="model", command=(*_PYTEST, "tests/proof/test_model.py"), limit_seconds=300),
    )
}
"""Layers that are one command for every fault."""
ALL = frozenset({TESTS, *WHOLE})


def layers_of(fault: Fault, wanted: frozenset[str]) -> list[Layer]:
    """What is run for a fault, the quickest first; only layers that are wanted."""
    found = [Layer(name=TESTS, command=(*_PYTEST, *fault.tests), limit_seconds=120)]
    found += [WHOLE[name] for name in fault.also]
    return [layer for layer in found if layer.name in wanted]


def clean_tests(faults: Sequence[Fault], parts: int) -> list[Layer]:
    """All tests that faults name, in so many commands of about the same length; each tells its seconds."""
    by_file: dict[str, list[str]] = {}
    for test in dict.fromkeys(test for fault in faults for test in fault.tests):
        by_file.setdefault(test.partition("::")[0], []).append(test)
    shares: list[list[str]] = [[] for _ in range(parts)]
    for tests in sorted(by_file.values(), key=len, reverse=True):
        min(shares, key=len).extend(tests)
    return [
        Layer(name=TESTS, command=(*_PYTEST, *_DURATIONS, *share), limit_seconds=3600)
        for share in shares
        if share
    ]


def durations(output: str) -> dict[str, float]:
    """The seconds of each test in what pytest printed, without its parameters."""
    found: dict[str, float] = {}
    for seconds, name in _DURATION.findall(output):
        test = name.partition("[")[0]
        found[test] = found.get(test, 0.0) + float(seconds)
    return found


def seconds_of(tests: Iterable[str], seconds: dict[str, float]) -> float:
    """How long these tests take; a file stands for all of its tests."""
    wanted = tuple(tests)
    return sum(each for name, each in seconds.items() if name in wanted or name.partition("::")[0] in wanted)
