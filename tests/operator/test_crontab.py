"""The block in the crontab: ours comes and goes, the rest stays to the byte."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca.core.errors import StartRefused
from dca.operator.setup.crontab import Place, block, block_in, with_block, without_block

HERE = Path("/home/me/dca")
THERE = Path("/home/me/dca two")


def block_of(root: Path, env_file: Path | None = None) -> bytes:
    return block(Place(root=root, log_dir=root / "logs", env_file=env_file))


OURS = block_of(HERE)


def test_the_block_has_the_lines_of_the_first_readme_between_its_marks() -> None:
    lines = OURS.decode().splitlines()
    assert lines[0] == "# >>> dca-suite /home/me/dca >>>"
    assert lines[-1] == "# <<< dca-suite /home/me/dca <<<"
    jobs = [line for line in lines if not line.startswith("#")]
    assert jobs == [
        f"{when} /home/me/dca/venv/bin/python /home/me/dca/{name}.py >> /home/me/dca/logs/{name}.log 2>&1"
        for when, name in [
            ("* * * * *", "watchdog"),
            ("@reboot", "watchdog"),
            ("* * * * *", "order_manager"),
            ("* * * * *", "cooldown_manager"),
            ("*/5 * * * *", "consistency_checker"),
        ]
    ]
    assert not any("=" in line for line in lines)  # a variable would hold for the person's lines below, too


@pytest.mark.parametrize(
    "theirs", [b"", b"MAILTO=me\n\n0 4 * * * backup  \n", b"\xff # not UTF-8\n", b"\n\n"]
)
def test_other_lines_stay_as_they_are(theirs: bytes) -> None:
    once = with_block(theirs, HERE, OURS)
    assert once == theirs + OURS
    assert with_block(once, HERE, OURS) == once
    assert without_block(once, HERE) == theirs


def test_an_old_block_is_replaced_where_it_stands() -> None:
    old = OURS.replace(b"order_manager", b"older_manager")
    before = b"# above\n" + old + b"# below"
    assert block_in(before, HERE) == old
    assert with_block(before, HERE, OURS) == b"# above\n" + OURS + b"# below"


def test_a_last_line_without_an_end_gets_one() -> None:
    assert with_block(b"0 4 * * * backup", HERE, OURS) == b"0 4 * * * backup\n" + OURS


def test_two_installations_have_a_block_each() -> None:
    other = block_of(THERE)
    both = with_block(with_block(b"# mine\n", HERE, OURS), THERE, other)
    assert both == b"# mine\n" + OURS + other
    assert without_block(both, HERE) == b"# mine\n" + other
    assert without_block(both, THERE) == b"# mine\n" + OURS


@given(st.lists(st.sampled_from([b"# a\n", b"\n", b"x\r\n", OURS, block_of(THERE), b"\xff\n"]), max_size=6))
def test_taking_out_undoes_putting_in(parts: list[bytes]) -> None:
    theirs = b"".join(part for part in parts if part != OURS)
    assert without_block(with_block(theirs, HERE, OURS), HERE) == theirs


FIRST, LAST = OURS.splitlines(keepends=True)[0], OURS.splitlines(keepends=True)[-1]


@pytest.mark.parametrize("broken", [FIRST, LAST, LAST + FIRST, OURS + OURS, FIRST + OURS])
def test_marks_that_are_no_pair_are_left_to_the_person(broken: bytes) -> None:
    with pytest.raises(StartRefused, match="crontab -e"):
        with_block(broken, HERE, OURS)
    with pytest.raises(StartRefused, match="crontab -e"):
        without_block(broken, HERE)


def test_odd_paths_reach_the_shell_as_they_are(tmp_path: Path) -> None:
    """What cron makes of a line (a % that is not escaped ends it), given to a real shell."""
    root = tmp_path / 'it\'s 100% mine; $HOME "really"'
    (root / "venv" / "bin").mkdir(parents=True)
    (root / "logs").mkdir()
    python = root / "venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$1 $DCA_ENV_FILE"\n')
    python.chmod(0o700)
    text = block_of(root, env_file=root / "env %").decode()
    line = next(line for line in text.splitlines() if line.startswith("*/5"))
    assert "%" not in line.replace(r"\%", "")
    subprocess.run(["/bin/sh", "-c", line.replace(r"\%", "%").removeprefix("*/5 * * * * ")], check=True)
    said = (root / "logs" / "consistency_checker.log").read_text()
    assert said == f"{root}/consistency_checker.py {root}/env %\n"


@pytest.mark.parametrize("path", ["/a\nb", "/" + "x" * 400])
def test_paths_that_cron_cannot_take_are_refused(path: str) -> None:
    with pytest.raises(StartRefused):
        block_of(Path(path))


def test_the_scripts_are_there() -> None:
    root = Path(__file__).resolve().parents[2]
    names = [line.split(".py")[0].rsplit("/")[-1] for line in OURS.decode().splitlines() if ".py" in line]
    assert all(os.access(root / f"{name}.py", os.R_OK) for name in names)
