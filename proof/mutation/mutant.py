"""A single small mistake in a file. Pure."""

import difflib
import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One mistake in `file`. `old` and `new` are the lines that differ, without their indentation; `nth`
    tells it from others of the same function that read alike. `function_digest` is of the function's text."""

    module: str
    file: str
    function: str
    function_digest: str
    operator: str
    old: str
    new: str
    nth: int
    source: str
    original: str

    @property
    def id(self) -> str:
        """The same wherever the function stands in the file."""
        words = "\n".join((self.module, self.function, self.old, self.new, str(self.nth)))
        return hashlib.sha256(words.encode()).hexdigest()[:12]

    @property
    def diff(self) -> str:
        """As people read it."""
        old, new = self.original.splitlines(), self.source.splitlines()
        return "\n".join(difflib.unified_diff(old, new, self.file, self.file, lineterm="", n=2))
