"""A deliberate fault: a guard taken away, a `max` turned into `+`, an error read as empty. Pure."""

import difflib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One change of one file that would cost money.

    `old` stands in `file` exactly once and becomes `new`; `more` are further such pairs of the same file.
    `number` is the catalogue's (faults.md B). `tests` are what pytest runs; `also` names the further layers
    that must notice it: the worst faults have some, and have to be caught by two layers at least.
    """

    name: str
    number: str
    file: str
    old: str
    new: str
    costs: str
    tests: tuple[str, ...]
    more: tuple[tuple[str, str], ...] = ()
    also: tuple[str, ...] = ()
    hangs: bool = False

    @property
    def is_top(self) -> bool:
        return bool(self.also)

    @property
    def edits(self) -> tuple[tuple[str, str], ...]:
        return ((self.old, self.new), *self.more)


def planted(fault: Fault, source: str) -> str:
    """The file with the fault in it.

    Raises:
        ValueError: a text to be replaced is not there exactly once.
    """
    for old, new in fault.edits:
        if (count := source.count(old)) != 1:
            raise ValueError(f"{fault.name}: {count} times in {fault.file}, not once: {old.strip()!r:.90}")
        source = source.replace(old, new)
    return source


def problem(fault: Fault, root: Path) -> str | None:
    """Why a fault cannot be planted in this tree any more; None if it can."""
    path = root / fault.file
    missing = [name for name in fault.tests if not _is_there(name, root)]
    if missing:
        return f"{fault.name}: there is no {', '.join(missing)}"
    if not path.is_file():
        return f"{fault.name}: there is no {fault.file}"
    source = path.read_text(encoding="utf-8")
    try:
        changed = planted(fault, source)
        if path.suffix == ".py":
            compile(changed, fault.file, "exec")
    except ValueError as error:
        return str(error)
    except SyntaxError as error:
        return f"{fault.name}: {fault.file} does not compile with it: {error}"
    return f"{fault.name}: it changes nothing" if changed == source else None


def _is_there(test: str, root: Path) -> bool:
    """A file of tests, or one test of it."""
    file, _, name = test.partition("::")
    path = root / file
    return path.is_file() and (not name or f"def {name}(" in path.read_text(encoding="utf-8"))


def diff(fault: Fault, root: Path) -> str:
    """The change, as people read it."""
    source = (root / fault.file).read_text(encoding="utf-8")
    lines = difflib.unified_diff(
        source.splitlines(), planted(fault, source).splitlines(), fault.file, f"{fault.file} ({fault.name})"
    )
    return "\n".join(line.rstrip("\n") for line in lines)
