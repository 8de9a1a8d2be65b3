"""What a process was made from: .env, and the program's files. One that waits looks whether they changed."""

from pathlib import Path

from dca.runtime import settings as settings_module
from dca.runtime.settings import ROOT, Settings


class Origin:
    """`settings` are those that the process runs with."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._program = self._seen = _program()

    def other_settings(self) -> bool:
        """Whether the settings, read again, are others.

        Raises:
            SettingsProblem: they make no sense (yet: somebody is at it).
        """
        return settings_module.load() != self._settings

    def other_program(self) -> bool:
        """Whether the program's files are others, and no longer change: one look is not enough."""
        before, self._seen = self._seen, _program()
        return self._seen != self._program and self._seen == before


def _program() -> frozenset[tuple[str, int]]:
    """Each file of the program, with when it was written."""
    files = [*(ROOT / "dca").rglob("*.py"), *ROOT.glob("*.py")]
    return frozenset((str(file), status) for file in files if (status := _written(file)) is not None)


def _written(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None
