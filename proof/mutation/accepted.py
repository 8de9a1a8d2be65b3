"""Mutants that survive and change nothing that matters, each with the reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """`old` and `new` are the lines that differ, as ./bot mutate shows them, without indentation."""

    module: str
    function: str
    old: str
    new: str
    why: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.module, self.function, self.old, self.new)


ACCEPTED: tuple[Accepted, ...] = ()
KEYS = frozenset(each.key for each in ACCEPTED)
