"""The guard of the busiest lines: how much of our code a quiet quote runs through. Counts, no seconds."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import dca.exchange.streams
from bench.quotes_link import Link
from bench.quotes_receivers import pairs
from dca.core.quote_filter import NEVER, Tripwire
from dca.exchange.streams import Feed
from dca.runtime.clock import SystemClock
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import ExchangeSettings, Venue
from dca.trading.inbox import Inbox
from tests.processes import eventually

OURS = str(Path(dca.exchange.streams.__file__).parent)
SYMBOLS = pairs(60)
CALLS_A_FRAME = 3
"""Taking the frame, unpacking it, reading the clock. None for a quote."""
_CONTROL = 200
"""Calls for the handshake, the subscription and a second stream that finds nobody."""


@pytest.fixture
def link() -> Iterator[Link]:
    with Link(seconds=0.05, prepared=2000) as link:
        yield link


@pytest.fixture
def calls() -> Iterator[Counter[str]]:
    """Functions of dca called in threads that begin from here on, by name."""
    counted: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            counted[frame.f_code.co_name] += 1

    threading.setprofile(count)
    yield counted
    threading.setprofile(None)


@pytest.mark.parametrize("per_frame", [1, 10])
def test_a_quiet_quote_runs_through_no_function_of_ours(
    link: Link, calls: Counter[str], per_frame: int
) -> None:
    inbox = Inbox()
    exchange = ExchangeSettings(
        key_id="key",
        secret_key="secret",
        trading_url="http://127.0.0.1:9",
        data_url="http://127.0.0.1:9",
        trading_stream_url="ws://127.0.0.1:9/stream",  # nobody: this test is about quotes
        data_stream_url=link.url,
        venue=Venue.LOCAL,
    )
    tripwires = dict.fromkeys(SYMBOLS, Tripwire(99.0, 102.0, NEVER))
    feed = Feed(exchange, inbox, tripwires, SystemClock(), Troubles(), lambda: None)
    feed.set_symbols(set(SYMBOLS))
    feed.start()
    try:
        link.accept(SYMBOLS)
        taken = link.blast(os.getpid(), SYMBOLS, per_frame)
        frames = taken.quotes // per_frame
        eventually(lambda: max(calls.values()) >= frames)  # some function is called for every frame
    finally:
        feed.stop()
    assert inbox.is_empty()
    assert sum(calls.values()) <= CALLS_A_FRAME * frames + _CONTROL, calls
