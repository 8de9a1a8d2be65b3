"""The parts of ./bot chaos: proxies, deck, clock, full disk, each on real sockets and processes."""

import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from proof.chaos import kinds, processes
from proof.chaos.kinds import LONG, SHORT, WEIGHTS
from proof.chaos.nemesis import slot_of
from proof.chaos.world import CLOCKWORK, Links
from tests.processes import ROOT, eventually

CLEAN = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{CLOCKWORK}{os.pathsep}{ROOT}"}


class Echo:
    """A server behind a link that repeats what it hears, and remembers it."""

    def __init__(self) -> None:
        code = (
            "import asyncio, sys\n"
            "async def serve(r, w):\n"
            "    while data := await r.read(100):\n"
            "        print(data.decode(), flush=True); w.write(data)\n"
            "async def main():\n"
            "    s = await asyncio.start_server(serve, '127.0.0.1', 0)\n"
            "    print(s.sockets[0].getsockname()[1], flush=True)\n"
            "    await s.serve_forever()\n"
            "asyncio.run(main())\n"
        )
        self.process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.stop()


@pytest.fixture
def links(echo: Echo, tmp_path: Path) -> Iterator[Links]:
    made = Links({"rest": echo.port}, tmp_path)
    yield made
    made.stop()


def client(links: Links, name: str = "rest") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", links.ports[name]), timeout=5)
    connection.settimeout(0.4)
    return connection


def answer(connection: socket.socket, text: str) -> str | None:
    """What comes back; None: silence; "": the end."""
    try:
        connection.sendall(text.encode())
        return connection.recv(100).decode()
    except TimeoutError:
        return None
    except OSError:
        return ""


def test_a_link_passes_and_is_cut(links: Links, echo: Echo) -> None:
    with client(links) as connection:
        assert answer(connection, "hello") == "hello"
        assert links.do(link="rest", cut=True) == {"cut": 1}
        assert answer(connection, "again") == ""
    with client(links) as connection:
        assert answer(connection, "new") == "new"
    assert [echo.heard(), echo.heard()] == ["hello", "new"]


def test_a_half_open_link_accepts_and_is_silent_for_ever(links: Links, echo: Echo) -> None:
    with client(links) as before:
        assert answer(before, "one") == "one"
        links.do(link="rest", mode="half_open")
        assert answer(before, "two") is None
        with client(links) as during:
            assert answer(during, "three") is None
            links.do(link="rest", mode="pass")
            assert answer(before, "four") is None
            assert answer(during, "five") is None
    with client(links) as after:
        assert answer(after, "six") == "six"
    assert [echo.heard(), echo.heard()] == ["one", "six"]


def test_a_deaf_link_delivers_and_loses_the_answer(links: Links, echo: Echo) -> None:
    with client(links) as connection:
        links.do(link="rest", mode="deaf")
        assert answer(connection, "order") is None
        assert echo.heard() == "order"


def test_a_slow_link_takes_its_time_and_a_refusing_one_resets(links: Links) -> None:
    with client(links) as connection:
        links.do(link="rest", mode="slow", delay=0.15)
        connection.settimeout(3)
        began = time.monotonic()
        assert answer(connection, "slow") == "slow"
        assert time.monotonic() - began >= 0.3
        links.do(link="rest", mode="refuse")
        assert answer(connection, "more") == ""
    with suppress(OSError), client(links) as connection:
        assert answer(connection, "new") == ""


def test_mail_is_taken_or_hangs(links: Links) -> None:
    with smtplib.SMTP("127.0.0.1", links.ports["mail"], timeout=2) as server:
        server.sendmail("a@example.com", ["b@example.com"], "Subject: x\n\n.\ntext\n")
    assert links.do(mail="hang") == {"taken": 1}
    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        smtplib.SMTP("127.0.0.1", links.ports["mail"], timeout=0.3)


def test_the_links_end_with_their_reader(echo: Echo) -> None:
    command = [sys.executable, "-m", "proof.chaos.links", json.dumps({"rest": echo.port})]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline()
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


def test_a_whole_deck_has_each_kind_as_often_as_it_should_come() -> None:
    cards = kinds.deck(Random(1), LONG)
    assert [next(cards) for _ in kinds.FIRST] == list(kinds.FIRST)
    assert Counter(next(cards) for _ in range(sum(WEIGHTS.values()))) == Counter(WEIGHTS)


def test_every_run_begins_with_what_it_must_have_seen() -> None:
    for pace in (SHORT, LONG):
        cards = kinds.deck(Random(3), pace)
        first = Counter(next(cards) for _ in kinds.FIRST)
        assert kinds.missing(first, 5, pace) == []


def test_the_same_seed_draws_the_same() -> None:
    decks = [kinds.deck(Random(5), LONG) for _ in range(2)]
    assert [next(decks[0]) for _ in range(300)] == [next(decks[1]) for _ in range(300)]


def test_what_did_not_happen_fails_the_run() -> None:
    enough = dict.fromkeys(WEIGHTS, 100)
    assert kinds.missing(enough, 3600, LONG) == []
    assert kinds.missing({**enough, "disk.full": 0}, 3600, LONG) == ["no disk.full happened"]
    few = {**enough, "kill.main_app": 40, "kill.caretaker": 5, "kill.database": 5, "restart.database": 1}
    assert any("kill -9" in text for text in kinds.missing(few, 3600, LONG))
    assert any("restarts" in text for text in kinds.missing(few, 3600, LONG))
    assert kinds.missing({"kill.main_app": 1}, 60, LONG) == ["no restarts happened", "no network happened"]


def test_at_a_usual_pace_the_hourly_rates_are_reached() -> None:
    """Drawn as often as the pace says, an hour has more of each than it must."""
    drawn = 3600 / (sum(LONG.between) / 2)
    hour = {kind: int(drawn * count / sum(WEIGHTS.values())) for kind, count in WEIGHTS.items()}
    sums = kinds.totals(hour)
    assert all(sums[name] > least for name, least in kinds.RATES.items()), sums


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("net.rest.slow", "net.rest.deaf"),
        ("kill.database", "pause.database"),
        ("database.read_only", "restart.database"),
        ("exchange.fills", "pause.exchange"),
        ("clock.forward", "clock.back"),
    ],
)
def test_acts_that_would_undo_each_other_share_a_slot(one: str, other: str) -> None:
    assert slot_of(one) == slot_of(other)


def test_the_bots_clock_is_stepped_by_a_file(tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    code = "from dca.runtime.clock import SystemClock; print(SystemClock().now().isoformat())"
    for seconds in (0.0, -3600.0):
        offset.write_text(str(seconds))
        said = subprocess.run(
            [sys.executable, "-c", code],
            env={**CLEAN, "CHAOS_CLOCK_FILE": str(offset)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        ahead = (datetime.fromisoformat(said) - datetime.now(UTC)).total_seconds()
        assert abs(ahead - seconds) < 30


def test_a_disk_is_full_for_one_process_and_empty_again(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "print('up', flush=True)\n"
        "for line in sys.stdin:\n"
        "    try:\n"
        "        pathlib.Path(sys.argv[1]).write_text('x' * 10); print('written', flush=True)\n"
        "    except OSError as error:\n"
        "        print(error.errno, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "file")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    answers = [process.stdout.readline().strip()]
    for forbidden in (True, False):
        processes.forbid_writing(process.pid, forbidden=forbidden)
        process.stdin.write("\n")
        process.stdin.flush()
        answers.append(process.stdout.readline().strip())
    process.kill()
    process.communicate()
    assert answers == ["up", "27", "written"]


def test_only_processes_of_the_run_are_found_and_ended(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    sleepers = [
        subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], "DCA_ENV_FILE": str(file)})
        for file in (mine, other)
    ]
    try:
        eventually(lambda: processes.of_run(mine) == [sleepers[0].pid])
        assert processes.belongs(sleepers[0].pid, mine)
        assert not processes.belongs(sleepers[1].pid, mine)
        processes.end_all(mine)
        assert sleepers[0].wait(10) == -signal.SIGKILL
        assert not processes.belongs(sleepers[0].pid, mine)
        assert sleepers[1].poll() is None
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
