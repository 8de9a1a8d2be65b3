"""What is known of each mutant, kept in var/mutation/: a run goes on where the last one ended."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from proof.mutation.mutant import Mutant


class Verdict(StrEnum):
    KILLED = "killed"
    SURVIVED = "survived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`by`: the test or layer that noticed; `tests_digest`: of the test files that did not."""

    id: str
    function_digest: str
    verdict: Verdict
    by: str
    seconds: float
    tests_digest: str


class Results:
    """Of one module: a file with a line for each result, in which the last of a mutant counts."""

    def __init__(self, folder: Path, module: str) -> None:
        self._file = folder / f"{module.replace('/', '.')}.jsonl"
        self._known: dict[str, Result] = {}
        if self._file.is_file():
            for line in self._file.read_text(encoding="utf-8").splitlines():
                read = json.loads(line)
                result = Result(**{**read, "verdict": Verdict(read["verdict"])})
                self._known[result.id] = result

    def of(self, mutant: Mutant) -> Result | None:
        """None also if the function has been changed since."""
        result = self._known.get(mutant.id)
        return result if result is not None and result.function_digest == mutant.function_digest else None

    def add(self, result: Result) -> None:
        self._known[result.id] = result
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")

    def is_open(self, mutant: Mutant, tests_digest: str) -> bool:
        """Whether there is no result, or it survived other tests than today's."""
        result = self.of(mutant)
        if result is None:
            return True
        return result.verdict is Verdict.SURVIVED and result.tests_digest != tests_digest
