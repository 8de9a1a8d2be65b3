"""The bench of orders: that the floor is fair, that the exchange counts right, and what an order may cost.

Counts, never seconds.
"""

import re
from collections.abc import Iterator

import pytest

from bench import orders_floor
from bench.orders import verdict
from bench.orders_burst import _most_in_a_minute
from bench.orders_probe import Note, brief
from bench.orders_steps import steps
from dca.core.model import Snapshot
from dca.runtime.settings import DatabaseSettings
from tests.conftest import Server
from tests.rig import Rig


class Log:
    """Every statement that the server is sent, one by one."""

    def __init__(self, server: Server, database: DatabaseSettings) -> None:
        self._server = server
        self._user = database.user
        self._server.run(
            "SET GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log = ON"
        )

    def statements(self) -> list[str]:
        rows = self._server.run(
            "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log"
            " WHERE command_type = 'Query' AND argument NOT LIKE '%general_log%' ORDER BY event_time"
        )
        return [str(row[0]) for row in rows if not str(row[0]).lower().startswith("set ")]

    def clear(self) -> None:
        self._server.run("TRUNCATE mysql.general_log")

    def close(self) -> None:
        self._server.run("SET GLOBAL general_log = OFF", "SET GLOBAL log_output = DEFAULT")


@pytest.fixture
def log(server: Server, database: DatabaseSettings) -> Iterator[Log]:
    log = Log(server, database)
    yield log
    log.close()


def placed(rig: Rig, log: Log, price: str) -> list[str]:
    """What the server is sent from a quote to the POST that it brings."""
    sent: list[str] = []

    def when_posted(_snapshot: Snapshot) -> None:
        sent.extend(log.statements())

    posts = len(rig.exchange.posts)
    rig.exchange.on_submit = when_posted
    log.clear()
    rig.quote(price)
    rig.exchange.on_submit = None
    assert len(rig.exchange.posts) == posts + 1
    return sent


def same(sent: str, floors: str) -> bool:
    """Whether a statement is the floor's with values in place of its marks."""
    pattern = ".+?".join(re.escape(part) for part in floors.split("%s"))
    return re.fullmatch(pattern, sent, re.DOTALL) is not None


@pytest.mark.parametrize("price", ["98.9", "103"], ids=["safety buy", "take-profit sell"])
def test_the_floor_sends_what_main_app_sends_from_a_quote_to_its_post(rig: Rig, log: Log, price: str) -> None:
    """Else the floor would be higher, or lower, than what has to be done. It is also the guard of the hot
    path: one transaction of so many statements before the POST, and not one more."""
    rig.bought("100")

    sent = placed(rig, log, price)

    assert [brief(each) for each in sent] == [brief(each) for each in orders_floor.CLAIM]
    both = zip(sent, orders_floor.CLAIM, strict=True)
    assert [(ours, floors) for ours, floors in both if not same(ours, floors)] == []


def test_a_quote_between_the_levels_sends_nothing(rig: Rig, log: Log) -> None:
    rig.bought("100")
    log.clear()

    rig.quote("100.5")

    assert log.statements() == []
    assert rig.exchange.position_reads == 0


def test_steps_of_the_most_frequent_way() -> None:
    """One sample that went another way does not count; `before` and `inside` add up to the whole."""

    def notes_of(start: int, inside: int) -> list[Note]:
        at = [start + 100, start + 200, start + 250, start + 300, start + 400, start + 400 + inside]
        names = ["frame", "frame done", "notify", "wait done", "sql", "sql done"]
        threads = [1, 1, 1, 2, 2, 2]
        found: list[Note] = [
            (t, thread, name, "COMMIT") for t, thread, name in zip(at, threads, names, strict=True)
        ]
        return [*found, (at[-1] + 500, 2, "http", "POST /v2/orders")]

    thousands = [[(t * 1000, *rest) for t, *rest in notes_of(start, 50)] for start in (0, 10_000)]
    odd: list[Note] = [(20_100_000, 1, "frame", ""), (20_200_000, 1, "frame done", "")]
    spans = [(0, 1_150_000), (10_000_000, 11_150_000), (20_000_000, 21_000_000)]

    found = steps(spans, [*[note for each in thousands for note in each], *odd])  # type: ignore[list-item]

    assert [(step.name, step.before, step.inside) for step in found] == [
        ("quote decoded", 100, 100),
        ("handed to a worker", 50, 50),
        ("COMMIT", 100, 50),
        ("POST /v2/orders", 500, 200),
        ("all, 2 of 3 orders", 0, 1150),
    ]


CALM, NOISY = [1.0] * 98 + [2.0] * 2, [1.0] * 98 + [9.0] * 2


@pytest.mark.parametrize(
    ("ours", "floor", "met"),
    [
        ([1.2] * 98 + [3.9] * 2, CALM, True),
        ([1.2] * 98 + [4.1] * 2, CALM, False),
        ([1.4] * 100, CALM, False),
        ([1.4] * 100, NOISY, False),
        ([1.2] * 100, NOISY, None),
        ([10.0] * 98 + [12.5] * 2, [9.0] * 100, False),
        ([10.0] * 98 + [20.0] * 2, [9.0] * 98 + [14.0] * 2, True),
    ],
    ids=[
        "met",
        "p99",
        "p50",
        "p50 on a noisy machine",
        "noisy: no verdict on p99",
        "above 12 ms",
        "as the floor",
    ],
)
def test_verdict(ours: list[float], floor: list[float], met: bool | None) -> None:
    assert verdict(ours, floor) is met


def test_requests_within_any_minute() -> None:
    second = 1_000_000_000
    assert _most_in_a_minute([0, 30 * second, 59 * second, 61 * second, 89 * second, 200 * second]) == 4
