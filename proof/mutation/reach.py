"""Which tests run a function: recorded once for each file of tests, and again when that has changed."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proof.mutation.modules import MODULES, may_judge
from proof.mutation.mutant import Mutant

NEAREST = 2
MOST_SECONDS = 12.0
"""Of tests for a mutant: some functions are run by nearly every test there is."""
FILES = tuple(module.file for module in MODULES.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Tests that run a function; first those that run least else, which are most about it. `nearest` are of
    the first two files: pytest imports every file that is named before it begins. `seconds` are of all,
    `digest` changes with them."""

    nearest: tuple[str, ...]
    others: tuple[str, ...]
    seconds: float
    digest: str


class Reach:
    """What was recorded, kept in a file: for each file of tests its digest, tests, and what they run."""

    def __init__(self, file: Path, tree: Path) -> None:
        self._file = file
        self._tree = tree
        self._known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def unknown(self, files: Sequence[str]) -> list[str]:
        """Files of tests that are new; and those that ran something of these files, and have changed. What is
        gone is forgotten."""
        all_tests = sorted((self._tree / "tests").rglob("test_*.py"))
        names = [name for path in all_tests if may_judge(name := str(path.relative_to(self._tree)))]
        self._known = {name: known for name, known in self._known.items() if name in names}
        return [name for name in names if self._is_unknown(name, tuple(f"{file}:" for file in files))]

    def _is_unknown(self, name: str, starts: tuple[str, ...]) -> bool:
        known = self._known.get(name)
        if known is None:
            return True
        if known["digest"] == self._digest(name):
            return False
        return any(each.startswith(starts) for told in known["tests"].values() for each in told["runs"])

    def add(self, name: str, recorded: Mapping[str, Any]) -> None:
        """`recorded` is what the recorder wrote about a file of tests."""
        self._known[name] = {"digest": self._digest(name), **recorded}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._known, indent=0), encoding="utf-8")

    def of(self, mutant: Mutant) -> Selection:
        """Of what runs at import or was never seen running: the tests that run anything of that file."""
        exact, start = f"{mutant.file}:{mutant.function}", f"{mutant.file}:"
        found = self._selected(lambda runs: exact in runs)
        if found.nearest:
            return found
        return self._selected(lambda runs: any(name.startswith(start) for name in runs))

    def _selected(self, is_wanted: Callable[[list[str]], bool]) -> Selection:
        found: list[tuple[int, float, str]] = []
        digest = hashlib.sha256()
        for known in self._known.values():
            mine = [
                (len(told["runs"]), told["seconds"], test)
                for test, told in known["tests"].items()
                if is_wanted(told["runs"])
            ]
            found += mine
            if mine:
                digest.update(known["digest"].encode())
        tests: list[str] = []
        spent = 0.0
        for _, seconds, test in sorted(found):
            if spent + seconds <= MOST_SECONDS or not tests:
                spent += seconds
                tests.append(test)
        files = list(dict.fromkeys(_file_of(test) for test in tests))[:NEAREST]
        return Selection(
            nearest=tuple(test for test in tests if _file_of(test) in files),
            others=tuple(test for test in tests if _file_of(test) not in files),
            seconds=spent,
            digest=digest.hexdigest()[:12],
        )

    def _digest(self, name: str) -> str:
        words = [(self._tree / name).read_text(encoding="utf-8"), *FILES]
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def _file_of(test: str) -> str:
    return test.partition("::")[0]
