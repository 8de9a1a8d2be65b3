"""The file that says that main_app is alive, and what it last heard."""

import json
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from dca.ports import Clock


class Heartbeat:
    """Written whole or not at all: a reader never sees half of it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._started_at: datetime = clock.now()

    def beat(self, content: dict[str, object]) -> None:
        """Say that the loop goes round."""
        beat = {
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(timespec="milliseconds"),
            "beat_at": self._clock.now().isoformat(timespec="milliseconds"),
            **content,
        }
        scratch = self._path.with_suffix(".tmp")
        with suppress(OSError):  # a full disk stops no trading; a missing beat speaks for itself
            scratch.write_text(json.dumps(beat, indent=1) + "\n", encoding="utf-8")
            scratch.replace(self._path)
