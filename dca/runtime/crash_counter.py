"""Which asset's event was in hand when main_app died: so that one poisoned row cannot keep all others from
trading (F45)."""

import json
from pathlib import Path

LIMIT = 3
"""Deaths in a row over the same asset after which it is locked."""


class Failures:
    """A small file in the state directory: symbol -> deaths since the last good minute."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, symbol: str) -> None:
        """The process is about to die over this asset's event."""
        counts = self.counts()
        counts[symbol] = counts.get(symbol, 0) + 1
        self._path.write_text(json.dumps(counts), encoding="utf-8")

    def counts(self) -> dict[str, int]:
        """A file that cannot be read counts as none: it only saves a few restarts."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(symbol): int(count) for symbol, count in found.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)
