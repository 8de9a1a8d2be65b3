"""A plugin of pytest: which functions of some files does each test run, and how long does it take?"""

import json
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest


class Recorder:
    """`files`: relative to the folder where pytest was started."""

    def __init__(self, files: list[str], output: Path) -> None:
        self._files = {str(Path(file).absolute()): file for file in files}
        self._output = output
        self._now: set[str] = set()
        self._told: dict[str, Any] = {}
        self._failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._now, began = set(), time.monotonic()
        threading.setprofile(self._look)
        sys.setprofile(self._look)
        try:
            return (yield)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
            seconds = round(time.monotonic() - began, 2)
            self._told[item.nodeid] = {"seconds": seconds, "runs": sorted(self._now)}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        told = {test: what for test, what in self._told.items() if test not in self._failed and what["runs"]}
        self._output.write_text(json.dumps({"tests": told, "failed": sorted(self._failed)}), encoding="utf-8")

    def _look(self, frame: FrameType, event: str, _: object) -> None:
        file = self._files.get(frame.f_code.co_filename)
        if file is not None and event == "call":
            # of `f.<locals>.g` and `f.<locals>.<lambda>` what stands in the source
            names = [part for part in frame.f_code.co_qualname.split(".") if not part.startswith("<")]
            self._now.add(f"{file}:{'.'.join(names)}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", help="files whose functions are recorded, with commas")
    parser.addoption("--record-to", type=Path, help="a file for what was recorded")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.record:
        config.pluginmanager.register(Recorder(config.option.record.split(","), config.option.record_to))
