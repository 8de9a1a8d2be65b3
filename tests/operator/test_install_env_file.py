"""./bot install writes .env: values read back as they were, lines and comments of a person stay."""

from pathlib import Path

import pytest
from dotenv import dotenv_values

from dca.core.errors import StartRefused
from dca.operator.setup import env_file
from tests.installing import ODD
from tests.processes import ROOT


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "NAME=",
        "NAME",
        "NAME=old\n",
        "NAME = 'old \\' one'  # why\nB='1'\n",
        'export NAME="old"\r\nB=1\r\n',
        "# NAME=example\nB='2'\n",
        "A='first'\nNAME=old # x\nB='last'",
        "NAME=older\nA=1\nNAME=old\n",
    ],
)
def test_values_are_read_back_as_they_were_and_the_others_stay(tmp_path: Path, text: str, value: str) -> None:
    path = tmp_path / "env"
    path.write_bytes(text.encode())
    before = dotenv_values(path, interpolate=False)
    env_file.write(path, env_file.with_values(text, {"NAME": value}))
    assert dotenv_values(path, interpolate=False) == {**before, "NAME": value}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["env"]


def test_lines_and_comments_of_a_person_stay() -> None:
    text = '\n# mine\nA=1 # one\n\nNAME="x y" # why\n# NAME=shown\nodd line\n'
    assert env_file.with_values(text, {"NAME": "new", "OTHER": "2"}) == (
        '\n# mine\nA=1 # one\n\nNAME="new" # why\n# NAME=shown\nodd line\nOTHER="2"\n'
    )


def test_a_new_name_stands_below_the_comment_that_shows_it() -> None:
    text = (ROOT / ".env.example").read_text()
    lines = env_file.with_values(text, {"WORKERS": "8"}).splitlines()
    assert lines[lines.index("# WORKERS=16") + 1] == 'WORKERS="8"'


def test_a_line_break_is_refused() -> None:
    with pytest.raises(StartRefused, match="NAME has a control character"):
        env_file.with_values("", {"NAME": "a\nB=2"})


def test_a_link_stays_a_link_and_a_wider_mode_goes(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "env"
    real.touch(0o644)
    link.symlink_to(real)
    env_file.write(link, "A=1\n")
    assert link.is_symlink() and real.read_text() == "A=1\n" and real.stat().st_mode & 0o777 == 0o600
