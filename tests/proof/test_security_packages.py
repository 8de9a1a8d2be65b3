"""What is installed: every package pinned, every file of it known by its hash, and nothing from elsewhere."""

import re
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ("requirements.txt", "requirements-dev.txt")
PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)((?: --hash=sha256:[0-9a-f]{64})+)")
OF_THE_TOOLS = {"pip", "setuptools", "wheel"}
"""What a virtual environment comes with."""


def lines(name: str) -> list[str]:
    """Requirements, each in one line, without comments."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line and not line.startswith("#")]


def pins(name: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes, by a package's name as the index writes it."""
    found = [PIN.fullmatch(line) for line in lines(name) if not line.startswith("-r ")]
    return {plain(each[1]): (each[2], each[3].count("--hash")) for each in found if each is not None}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_one_version_with_its_hashes(name: str) -> None:
    wrong = [line[:60] for line in lines(name) if PIN.fullmatch(line) is None]
    assert wrong == (["-r requirements.txt"] if name == "requirements-dev.txt" else [])
    assert len(pins(name)) > 10
    assert all(count >= 1 for _, count in pins(name).values())


def test_nothing_comes_from_a_place_of_its_own() -> None:
    """No index, no address, no file, no repository."""
    for name in FILES:
        text = (ROOT / name).read_text()
        assert not re.search(
            r"://|--(extra-)?index-url|--find-links|--trusted-host| @ |^-e|git\+", text, re.M
        )


def test_what_is_installed_is_what_is_pinned_and_all_of_it() -> None:
    """A package that something else brought along would be one that no hash has vouched for."""
    pinned = {key: version for name in FILES for key, (version, _) in pins(name).items()}
    installed = {plain(each.metadata["Name"]): each.version for each in metadata.distributions()}
    unknown = {key: version for key, version in installed.items() if key not in OF_THE_TOOLS}
    assert {key: version for key, version in unknown.items() if pinned.get(key) != version} == {}


def test_pip_is_told_to_take_nothing_without_a_hash_and_to_build_nothing() -> None:
    """A source package runs programs when it is built, with tools that no hash has vouched for."""
    source = (ROOT / "launcher" / "environment.py").read_text()
    assert '"--require-hashes"' in source and '"--only-binary=:all:"' in source
