"""The virtual environment venv/: created once, updated when the requirements change."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from launcher import apt
from launcher.commands import logged
from launcher.output import LOG, ROOT, SetUpProblem, make_folder, step, tail

VENV = ROOT / "venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".set-up.json"
UNFINISHED = VENV / ".set-up-unfinished"
RUN = "requirements.txt"
DEVELOPMENT = "requirements-dev.txt"
_OURS = "made by ./bot\n"


def ensure(*, development: bool = False) -> None:
    """Make sure that venv/ has all packages; silent if it has.

    A venv that the user created is completed, never replaced; ours is recreated if its Python is gone.

    Raises:
        SetUpProblem: with what to do.
    """
    wanted = [RUN, DEVELOPMENT] if development else [RUN]
    stamp = _stamp()
    python = _python_of(PYTHON)
    if python and not UNFINISHED.exists() and _is_complete(stamp, wanted, python):
        return
    ours = bool(stamp.get("made_by_bot")) or _was_being_made() or not VENV.exists()
    if python is None or (stamp and stamp.get("python") != python and ours):
        if not ours:
            raise SetUpProblem(f"{PYTHON} does not run; remove {VENV} and start again")
        with step("virtual environment venv/"):
            _make()
        python = _python_of(PYTHON)
    elif _too_old(python):
        raise SetUpProblem(f"venv/ has Python {python}, and 3.11 is needed; remove {VENV} and start again")
    with step(f"Python packages ({', '.join(wanted)}) into venv/"):
        _install(wanted)
    kept = {} if python != stamp.get("python") else stamp.get("files", {})
    files = {**(kept if isinstance(kept, dict) else {}), **{name: _digest(name) for name in wanted}}
    content = {"python": python, "files": files, "made_by_bot": ours}
    STAMP.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    UNFINISHED.unlink(missing_ok=True)


def _was_being_made() -> bool:
    return UNFINISHED.exists() and UNFINISHED.read_text(encoding="utf-8") == _OURS


def _stamp() -> dict[str, object]:
    try:
        found = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_complete(stamp: dict[str, object], wanted: list[str], python: str) -> bool:
    files = stamp.get("files")
    if stamp.get("python") != python or not isinstance(files, dict):
        return False
    return all(files.get(name) == _digest(name) for name in wanted)


def _digest(name: str) -> str:
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()


def _python_of(python: Path) -> str | None:
    """Which Python it is, like "3.11"; None if it does not run."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def _too_old(python: str) -> bool:
    return tuple(int(part) for part in python.split(".")) < (3, 11)


def _make() -> None:
    """Recreate venv/, clearing what an interrupted attempt left."""
    _ensure_venv_module()
    if VENV.exists():
        shutil.rmtree(VENV)
    make_folder(VENV)
    UNFINISHED.write_text(_OURS, encoding="utf-8")
    if logged([sys.executable, "-m", "venv", VENV]) != 0:
        raise SetUpProblem(f"could not create venv/; end of {LOG}:\n{tail(LOG)}")


def _ensure_venv_module() -> None:
    """Debian keeps ensurepip in a package of its own."""
    probe = [sys.executable, "-c", "import venv, ensurepip"]
    if subprocess.run(probe, capture_output=True).returncode == 0:
        return
    versioned = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    command = f"sudo apt-get install {versioned}"
    if not apt.is_here():
        command = f"install the venv and ensurepip modules of {sys.executable}"
    elif apt.may_install() and (apt.install([versioned]) or apt.install(["python3-venv"])):
        return
    raise SetUpProblem(f"Python's venv module is missing; run:  {command}")


def _install(wanted: list[str]) -> None:
    UNFINISHED.touch()
    pip = [str(PYTHON), "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True).returncode != 0:
        logged([PYTHON, "-m", "ensurepip", "--upgrade"])
    files = [part for name in wanted for part in ("-r", str(ROOT / name))]
    # Only files whose hash is known, and none to be built: that runs programs that no hash vouches for.
    safe = ["--require-hashes", "--only-binary=:all:"]
    code = logged([*pip, "install", "--disable-pip-version-check", "--no-input", *safe, *files])
    if code != 0:
        raise SetUpProblem(f"pip could not install {' and '.join(wanted)}; end of {LOG}:\n{tail(LOG)}")
