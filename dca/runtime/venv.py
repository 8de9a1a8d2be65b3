"""Says how a script is started where its packages are missing: by another Python than the one of venv/.

Standard library only: nothing else of the project may be imported before.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "venv" / "bin" / "python"
BAD_SETTINGS = 2


@contextmanager
def needed() -> Iterator[None]:
    """Around a script's imports: what is missing, or too new for an old Python, ends it with one line."""
    try:
        yield
    except (ImportError, SyntaxError) as error:
        script = Path(sys.argv[0])
        print(f"{script.name}: {error}: {remedy(script)}", file=sys.stderr)
        sys.exit(BAD_SETTINGS)


def remedy(script: Path) -> str:
    """How to start it."""
    if not PYTHON.exists():
        return f"run {ROOT / 'bot'} install, which makes {ROOT / 'venv'} with all packages"
    if Path(sys.prefix).resolve() == (ROOT / "venv").resolve():
        return f"packages are missing in {ROOT / 'venv'}: run {ROOT / 'bot'} install"
    return f"this is {sys.executable}; start it with  {PYTHON} {script.resolve()}"
