"""What is about to go wrong, and what has: faults that wait for their moment, and how often each came."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Armed:
    """A fault that happens at the next occasion, `count` times."""

    name: str
    count: int
    args: dict[str, Any]
    symbol: str | None


@dataclass(slots=True)
class Weather:
    """Faults by name; and, for the enumerations, faults and crashes at numbered places.

    `calls`, `statements` and `boundaries` count what was passed. `happened` is what really came.
    """

    crash_at: set[int] = field(default_factory=set)
    fault_at_call: dict[int, str] = field(default_factory=dict)
    fault_at_statement: dict[int, str] = field(default_factory=dict)
    happened: Counter[str] = field(default_factory=Counter)
    calls: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    boundaries: list[str] = field(default_factory=list)
    counting: bool = False
    """Whether places are numbered now: not before the scene is set, nor after its end."""
    _armed: list[Armed] = field(default_factory=list)
    _until: dict[str, float] = field(default_factory=dict)

    def arm(self, name: str, count: int = 1, symbol: str | None = None, **args: Any) -> None:
        self._armed.append(Armed(name=name, count=count, args=args, symbol=symbol))

    def take(self, name: str, symbol: str | None = None) -> dict[str, Any] | None:
        """The next fault of that name, used up by one; None if there is none."""
        if not self._armed:
            return None
        for fault in self._armed:
            if fault.name == name and (fault.symbol is None or symbol is None or fault.symbol == symbol):
                fault.count -= 1
                if fault.count <= 0:
                    self._armed.remove(fault)
                self.happened[name] += 1
                return fault.args
        return None

    def last_until(self, name: str, seconds: float) -> None:
        """A state of things that lasts until then."""
        self._until[name] = max(self._until.get(name, 0.0), seconds)

    def lasts(self, name: str, now: float) -> bool:
        if self._until.get(name, 0.0) <= now:
            return False
        self.happened[name] += 1
        return True

    def clear(self) -> None:
        """Blue sky: nothing more goes wrong."""
        self._armed.clear()
        self._until.clear()
        self.crash_at.clear()
        self.fault_at_call.clear()
        self.fault_at_statement.clear()

    def boundary(self, name: str) -> bool:
        """Note a boundary; whether the process dies there."""
        if not self.counting:
            return False
        self.boundaries.append(name)
        if len(self.boundaries) in self.crash_at:
            self.happened["crash at a boundary"] += 1
            return True
        return False

    def call(self, name: str) -> str | None:
        """Note an HTTP call; the fault that is to befall it."""
        if not self.counting:
            return None
        self.calls.append(name)
        fault = self.fault_at_call.get(len(self.calls))
        if fault is not None:
            self.happened[f"{fault} at {name}"] += 1
        return fault

    def statement(self, name: str) -> str | None:
        """Note an SQL statement or a commit; the fault that is to befall it."""
        if not self.counting:
            return None
        self.statements.append(name)
        fault = self.fault_at_statement.get(len(self.statements))
        if fault is not None:
            self.happened[f"db {fault}"] += 1
        return fault
