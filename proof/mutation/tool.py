"""The packages with the mutation operators: in a folder of their own, because nothing else needs them."""

import subprocess
import sys
from pathlib import Path

from launcher.output import VAR, SetUpProblem

FOLDER = VAR / "mutation"
PACKAGES = FOLDER / "packages"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
STAMP = "requirements.txt"
"""In the folder of packages: what was installed there."""


def ensure() -> None:
    """Install the packages if they are not there yet, and let them be imported.

    Raises:
        SetUpProblem: pip could not install them.
    """
    wanted, stamp = REQUIREMENTS.read_text(encoding="utf-8"), PACKAGES / STAMP
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        _install()
        stamp.write_text(wanted, encoding="utf-8")
    if str(PACKAGES) not in sys.path:
        sys.path.append(str(PACKAGES))


def _install() -> None:
    PACKAGES.mkdir(parents=True, exist_ok=True)
    safe = ["--require-hashes", "--only-binary=:all:", "--no-deps"]
    where = ["--target", str(PACKAGES), "--upgrade", "-r", str(REQUIREMENTS)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*pip, *safe, *where], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SetUpProblem(
            f"pip could not install {REQUIREMENTS.name} of proof/mutation:\n{done.stdout[-800:]}"
        )
