"""What deliberate faults of the edges had survived: requests, streams, the database's session, processes."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dca.core.errors import ExchangeUnavailable, StartRefused
from dca.core.model import Account, Control, Mode, Unknown
from dca.database.rows import outward
from dca.database.store import Store
from dca.exchange import account_checks, parsing, streams
from dca.exchange.clock_offset import ClockReading
from dca.exchange.rest_client import IDLE_SECONDS, Broker
from dca.runtime import script
from dca.runtime.crash_counter import LIMIT, Failures
from dca.trading.inbox import Inbox
from tests.builders import NOW, SYMBOL, order, snapshot
from tests.operating import NO_EXCHANGE
from tests.processes import ROOT
from tests.taking import taken

# ---- requests --------------------------------------------------------------------------------------------

OTHER = {"id": "1", "client_order_id": "dca-other", "symbol": SYMBOL, "side": "buy", "status": "new"}


class Handler(BaseHTTPRequestHandler):
    """Takes every order for another one, and knows no page but those it was given."""

    protocol_version = "HTTP/1.1"
    posted: list[dict[str, Any]]
    pages: list[Any]
    connections: list[str]

    def setup(self) -> None:
        self.connections.append("one more")
        super().setup()

    def do_POST(self) -> None:
        self._answer(200, json.dumps({**OTHER, "filled_qty": "0"}).encode())

    def do_GET(self) -> None:
        if self.pages:
            self._answer(200, json.dumps(self.pages.pop(0)).encode())
        else:
            self._answer(404, b"<html>404 page not found</html>")

    def _answer(self, status: int, body: bytes) -> None:
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.posted += [json.loads(asked)] if asked else []
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


@pytest.fixture
def posted() -> list[dict[str, Any]]:
    """What the server was sent."""
    return []


@pytest.fixture
def pages() -> list[Any]:
    """What the server answers to whoever reads, one after the other."""
    return []


@pytest.fixture
def connections() -> list[str]:
    return []


@pytest.fixture
def broker(posted: list[dict[str, Any]], pages: list[Any], connections: list[str]) -> Iterator[Broker]:
    handler = type("Noting", (Handler,), {"posted": posted, "pages": pages, "connections": connections})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Broker(replace(NO_EXCHANGE, trading_url=f"http://127.0.0.1:{server.server_address[1]}"))
        server.shutdown()
        thread.join()


def test_F36_an_answer_about_another_order_is_none(broker: Broker) -> None:
    outcome = broker.submit(order())
    assert isinstance(outcome, Unknown) and "another order" in outcome.reason


def test_F43_numbers_go_out_as_the_text_that_the_ledger_has(
    broker: Broker, posted: list[dict[str, Any]]
) -> None:
    """More digits than a float has: it would be another quantity."""
    qty, price = Decimal("12345678.123456789"), Decimal("0.000012345678901234")
    broker.submit(order(qty=qty, limit_price=price))
    assert (posted[0]["qty"], posted[0]["limit_price"]) == (str(qty), str(price))


def test_F20_a_gateway_that_knows_no_such_page_denies_nothing(broker: Broker) -> None:
    with pytest.raises(ExchangeUnavailable):
        broker.order("dca-1")
    with pytest.raises(ExchangeUnavailable):
        broker.position(SYMBOL)


@pytest.mark.parametrize(
    "read",
    [
        Broker.positions,
        Broker.open_orders,
        lambda broker: broker.closed_orders(datetime(2026, 1, 1, tzinfo=UTC)),
        Broker.account,
        Broker.trading_rules,
        lambda broker: broker.executions([order()]),
    ],
)
def test_F03_no_read_that_fails_is_an_empty_one(broker: Broker, read: Callable[[Broker], Any]) -> None:
    with pytest.raises(ExchangeUnavailable):
        read(broker)


def test_F75_a_list_is_read_to_its_end(broker: Broker, pages: list[Any]) -> None:
    def page(first: int, count: int) -> list[dict[str, str]]:
        names = [str(number) for number in range(first, first + count)]
        at = "2026-01-02T03:04:05Z"
        return [{**OTHER, "id": name, "client_order_id": name, "submitted_at": at} for name in names]

    pages += [page(0, 500), page(499, 3)]
    assert len(broker.open_orders()) == 502
    pages += [page(0, 500)]
    with pytest.raises(ExchangeUnavailable):
        broker.open_orders()


def test_F01_a_connection_that_has_rested_is_made_anew(
    broker: Broker, pages: list[Any], connections: list[str]
) -> None:
    """The other side may have closed it, and an order that is sent on it has an unknown outcome."""
    pages += [{"timestamp": "2026-01-02T03:04:05Z"}] * 3
    broker.clock()
    broker.clock()
    assert len(connections) == 1
    broker._trading._session.get_adapter("http://")._used_at -= IDLE_SECONDS + 1  # type: ignore[attr-defined]
    broker.clock()
    assert len(connections) == 2


@pytest.mark.parametrize("text", ["NaN", "-NaN", "sNaN", "Infinity", "-Infinity"])
def test_F26_what_is_no_number_is_none(text: str) -> None:
    for value in (text, float(text.replace("sNaN", "NaN"))):
        with pytest.raises(ValueError, match="not a"):
            parsing.number(value)


# ---- streams and what they bring -------------------------------------------------------------------------


class Hasty(asyncio.SelectorEventLoop):
    """A loop whose clock goes on by a tenth of a second with every round, however long that takes."""

    passed_seconds = 0.0

    def time(self) -> float:
        return self.passed_seconds

    def call_soon_forever(self) -> None:
        """Keeps it from waiting for what its clock has not brought yet."""
        self.passed_seconds += 0.1
        self.call_soon(self.call_soon_forever)


class Silent:
    """A server that takes the keys and says nothing."""

    async def recv(self) -> str:
        await asyncio.Event().wait()
        return ""


@pytest.mark.parametrize("answer", [streams._next_json, streams._next_messages])
def test_F15_a_server_that_says_nothing_is_not_waited_for(answer: Callable[[Any], Any]) -> None:
    loop = Hasty()

    async def shake_hands() -> float:
        loop.call_soon_forever()
        began = loop.time()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer(Silent()), 10 * streams.ANSWER_SECONDS)
        return loop.time() - began

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(shake_hands()) < 5 * streams.ANSWER_SECONDS


def test_F07_a_pair_is_in_one_hand_however_it_is_written() -> None:
    inbox = Inbox()
    with_slash = snapshot(order(), "new")
    without = replace(with_slash, symbol=with_slash.symbol.replace("/", ""))
    for update in (with_slash, without):
        inbox.put(update)
    assert inbox.take(0) is with_slash
    assert inbox.take(0) is None, "another worker has the pair in hand"
    inbox.done(with_slash)
    assert inbox.take(0) is without


def test_F10_no_order_update_is_dropped_while_others_wait() -> None:
    inbox = Inbox()
    updates = [snapshot(order(), "partially_filled", f"0.0{each}", "100") for each in (1, 2, 3)]
    for update in updates:
        inbox.put(update)
    assert [taken(inbox) for _ in updates] == updates


# ---- the database's session ------------------------------------------------------------------------------


def test_F15_a_database_that_hangs_is_not_waited_for(store: Store) -> None:
    """test_beating shows it with a server that is stopped, and takes its time for it."""
    store.transaction(lambda tx: tx.control())
    connection = store._connections.take().connection
    assert connection.read_timeout == 10
    assert connection.write_timeout == 10


def test_F62_times_go_out_as_utc_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        there = datetime(2026, 7, 1, 8, tzinfo=timezone(-timedelta(hours=4)))
        assert outward(there) == datetime(2026, 7, 1, 12)  # noqa: DTZ001
        assert outward(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 1)  # noqa: DTZ001
    finally:
        monkeypatch.undo()
        time.tzset()


# ---- starting and dying ----------------------------------------------------------------------------------

ACCOUNT = Account(
    id="mine",
    status="ACTIVE",
    crypto_status="ACTIVE",
    trading_blocked=False,
    account_blocked=False,
    trade_suspended_by_user=False,
    non_marginable_buying_power=order().qty,
)


def test_F49_a_database_belongs_to_one_account() -> None:
    control = Control(install_id="abcd1234", account_id=None, epoch=1, mode=Mode.RUN)
    for good in (None, "mine"):
        account_checks.check_binding(replace(control, account_id=good), ACCOUNT, "dca")
    with pytest.raises(StartRefused, match="has traded account"):
        account_checks.check_binding(replace(control, account_id="other"), ACCOUNT, "dca")


def test_F49_another_exchange_behind_the_same_account_is_another_account() -> None:
    """A local one that was started anew, a paper account that was reset."""
    control = Control(install_id="abcd1234", account_id="mine", account_made_at=NOW, epoch=1, mode=Mode.RUN)
    rounded = NOW + timedelta(milliseconds=400)
    for same in (None, NOW, rounded):
        account_checks.check_binding(control, replace(ACCOUNT, made_at=same), "dca")
    later = replace(ACCOUNT, made_at=NOW + timedelta(seconds=2))
    account_checks.check_binding(replace(control, account_made_at=None), later, "dca")
    with pytest.raises(StartRefused, match=r"made at .*: use an empty database for it"):
        account_checks.check_binding(control, later, "dca")


@pytest.mark.parametrize(("seconds", "words"), [(6, "ahead of"), (-6, "behind"), (-3600, "behind")])
def test_F62_with_a_wrong_clock_it_does_not_start(seconds: int, words: str) -> None:
    with pytest.raises(StartRefused, match=words):
        account_checks.check_clock(ClockReading(ahead_seconds=seconds))
    account_checks.check_clock(ClockReading(ahead_seconds=4))
    account_checks.check_clock(ClockReading(ahead_seconds=-4))


def test_F45_deaths_over_an_asset_are_counted_from_start_to_start(tmp_path: Path) -> None:
    for _ in range(LIMIT):
        Failures(tmp_path / "failures.json").note(SYMBOL)
    assert Failures(tmp_path / "failures.json").counts() == {SYMBOL: LIMIT}


def test_F08_F63_a_lock_is_held_by_one(tmp_path: Path) -> None:
    first = script._lock(tmp_path / "main_app.lock")
    assert first is not None
    assert script._lock(tmp_path / "main_app.lock") is None
    first.close()
    again = script._lock(tmp_path / "main_app.lock")
    assert again is not None
    again.close()


SCRIPT = f"""
import logging, os, sys, threading
sys.path.insert(0, {str(ROOT)!r})
from dca.runtime import script

def die():
    raise ValueError("a thread's end")

def work(context):
    mask = os.umask(0)
    os.umask(mask)
    print(f"umask {{mask:o}}", flush=True)
    for name in ("websockets.client", "urllib3.connectionpool", "asyncio", "mysql.connector"):
        logging.getLogger(name).error("> APCA-API-SECRET-KEY: planted")
    threading.Thread(target=die, name="worker-7").start()
    print("asked to stop" if context.stopping.wait(20) else "never asked to stop", flush=True)

sys.exit(script.run("dies", work))
"""


def test_F10_F53_a_thread_that_dies_ends_the_process_and_nothing_is_for_others(tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text(SCRIPT)
    names = {
        "APCA_API_BASE_URL": NO_EXCHANGE.trading_url,
        "APCA_API_KEY_ID": "PKTEST",
        "APCA_API_SECRET_KEY": "nothing secret",
        **dict.fromkeys(("DB_HOST", "DB_USER", "DB_PASSWORD", "DB_NAME"), "none"),
        "LOG_DIR": str(tmp_path / "logs"),
        "STATE_DIR": str(tmp_path / "state"),
        "DCA_ENV_FILE": str(tmp_path / "no-such-file"),
    }
    done = subprocess.run(
        [sys.executable, tmp_path / "dies.py"], capture_output=True, text=True, timeout=60, env=names
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "worker-7 died of a bug" in done.stdout and "asked to stop\n" in done.stdout
    assert "never asked to stop" not in done.stdout
    assert "umask 77" in done.stdout
    for path in (tmp_path / "logs", tmp_path / "state"):
        assert path.stat().st_mode & 0o077 == 0
        assert all(file.stat().st_mode & 0o077 == 0 for file in path.iterdir())
    assert "planted" not in done.stdout + (tmp_path / "logs" / "dies.log").read_text()
