"""Reviews on a real database with a real mail server: what is noted, what is sent, and what waits."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from dca import notebook
from dca.model import Mode
from dca.records import Finding, Incident, IncidentKind, Mail, Result
from dca.review import review
from dca.settings import DatabaseSettings, EmailSettings, Settings
from dca.store import Store, Transaction
from tests.conftest import connected
from tests.fake_exchange import FakeClock
from tests.operating import NO_EXCHANGE, Operator
from tests.post_office import PASSWORD, PostOffice, post_office, sink
from tests.processes import BotProcess
from tests.test_settings import parsed

LOCK = "UPDATE dca_assets SET lock_reason = 'holds 1, booked 2', lock_kind = 'break' WHERE id = 1;\n"
UNLOCK = "UPDATE dca_assets SET lock_reason = NULL, lock_kind = NULL, locked_at = NULL WHERE id = 1;\n"
APP_DOWN = Finding(
    name="main app down",
    kind=IncidentKind.HEALTH,
    subject="main_app was down",
    evidence="It was not running.",
)
WATCHDOG = ("main app down",)
SECRETS = {
    "APCA_API_KEY_ID": "PKPLANTEDKEY",
    "APCA_API_SECRET_KEY": "alpaca-planted-secret",
    "HEARTBEAT_PING_URL": "http://127.0.0.1:9/planted-ping-path",
}


class Clock(FakeClock):
    """Moves when told to, but for waiting."""

    def monotonic(self) -> float:
        return time.monotonic()


class Desk:
    """An installation with reviews, whose clock a test moves."""

    def __init__(self, folder: Path, database: DatabaseSettings, office: PostOffice) -> None:
        self.office = office
        self.clock = Clock()
        whole = parsed(STATE_DIR=str(folder), LOG_DIR=str(folder), DIGEST_HOUR_UTC="23")
        self.settings: Settings = replace(whole, database=database, email=office.settings())
        self.store = Store(database)
        self.digest_was_sent()

    def digest_was_sent(self) -> None:
        """Yesterday's: most tests are not about it."""
        now = self.clock.now()
        self.store.transaction(lambda tx: tx.put_sent_mail("digest", "d", "d", now - timedelta(hours=3)))

    def review(
        self,
        *extra: Finding,
        judged: Sequence[str] = (),
        minutes: float = 1,
        settings: Settings | None = None,
        seconds: float = 5,
    ) -> None:
        review(
            settings or self.settings,
            self.clock,
            extra,
            judged,
            seconds=seconds,
            trust=self.office.trust,
        )
        self.clock.pass_seconds(minutes * 60)

    @property
    def down(self) -> Settings:
        """The same, with a database that does not answer."""
        return replace(self.settings, database=replace(self.settings.database, socket="/nowhere/socket"))

    def mailed_at(self, port: int, **changes: Any) -> Settings:
        """The same, with another mail server."""
        return replace(self.settings, email=self.office.settings(smtp_port=port, **changes))

    def incidents(self) -> list[Incident]:
        return self.store.transaction(lambda tx: tx.incidents_since(datetime(2000, 1, 1, tzinfo=UTC)))

    def open(self) -> list[str]:
        return [each.name for each in self.incidents() if each.ended_at is None]

    def waiting(self) -> list[Mail]:
        return self.store.transaction(lambda tx: tx.unsent_mails())


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with post_office() as office:
        yield office


@pytest.fixture
def desk(tmp_path: Path, ready: Store, database: DatabaseSettings, office: PostOffice) -> Iterator[Desk]:
    desk = Desk(tmp_path, database, office)
    yield desk
    desk.store.close()


def test_a_break_is_mailed_once_and_so_is_its_end(desk: Desk) -> None:
    desk.store.run_script(LOCK)
    for _ in range(3):
        desk.review()
    assert desk.open() == ["break BTC/USD"]
    desk.store.run_script(UNLOCK)
    for _ in range(3):
        desk.review()
    assert desk.open() == []
    assert desk.office.subjects == [
        "[DCA PAPER] BTC/USD is locked: the books disagree",
        "[DCA PAPER] recovered: BTC/USD is locked: the books disagree",
    ]
    assert "holds 1, booked 2" in desk.office.text(0)
    assert desk.waiting() == []


def test_a_review_that_cannot_judge_main_app_leaves_its_incident_alone(desk: Desk) -> None:
    desk.review(APP_DOWN, judged=WATCHDOG)
    desk.review()
    assert desk.open() == ["main app down"]
    desk.review(judged=WATCHDOG)
    assert desk.open() == []
    assert desk.office.subjects == [
        "[DCA PAPER] main_app was down",
        "[DCA PAPER] recovered: main_app was down",
    ]


def test_two_reviews_at_once_send_one_mail(desk: Desk) -> None:
    desk.store.run_script(LOCK)
    threads = [threading.Thread(target=desk.review, kwargs={"minutes": 0}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(desk.office.subjects) == 1
    assert desk.open() == ["break BTC/USD"]


# ---- a mail server that does not take it -------------------------------------------------------------------


def test_F66_unsent_mail_waits_and_goes_out_later(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dca")
    desk.store.run_script(LOCK)
    desk.office.answer = "550 not today"
    for _ in range(3):
        desk.review()
    (mail,) = desk.waiting()
    assert (mail.tries, mail.last_error) == (3, "550 not today")
    assert caplog.text.count("550 not today") == 1
    desk.office.answer = "250 taken"
    desk.review()
    assert desk.waiting() == []
    assert desk.office.subjects == ["[DCA PAPER] BTC/USD is locked: the books disagree"]


@pytest.mark.parametrize("trickle", [b"", b"220-wait\r\n"])
def test_F66_a_mail_server_that_hangs_costs_the_limit(desk: Desk, trickle: bytes) -> None:
    desk.store.run_script(LOCK)
    with sink(trickle=trickle) as port:
        before = time.monotonic()
        desk.review(settings=desk.mailed_at(port), seconds=0.5)
        assert time.monotonic() - before < 0.5 + 1.0
    (mail,) = desk.waiting()
    assert mail.tries == 1 and mail.last_error
    desk.review()
    assert len(desk.office.messages) == 1


def test_ten_an_hour_and_the_rest_in_one(desk: Desk) -> None:
    now = desk.clock.now()

    def queue(tx: Transaction) -> None:
        for number in range(30):
            tx.insert_mail("x", f"[DCA PAPER] {number}", f"text {number}.", now)

    desk.store.transaction(queue)
    for _ in range(45):
        desk.review()
    assert len(desk.office.messages) <= 10
    assert desk.waiting() == []
    everything = "\n".join(desk.office.text(number) for number in range(len(desk.office.messages)))
    assert all(f"text {number}." in everything for number in range(30))


# ---- no database -------------------------------------------------------------------------------------------


def test_without_a_database_mail_goes_out_once_and_is_written_down_when_it_is_back(desk: Desk) -> None:
    desk.store.run_script(LOCK)
    desk.review()
    for _ in range(5):
        desk.review(APP_DOWN, judged=WATCHDOG, settings=desk.down)
    assert desk.office.subjects[1:] == [
        "[DCA PAPER] The database does not answer",
        "[DCA PAPER] main_app was down",
    ]
    desk.review(APP_DOWN, judged=WATCHDOG)
    assert desk.open() == ["break BTC/USD", "main app down"]
    desk.review(judged=WATCHDOG)
    desk.review(judged=WATCHDOG)
    assert desk.office.subjects[3:] == [
        "[DCA PAPER] recovered: The database does not answer",
        "[DCA PAPER] recovered: main_app was down",
    ]
    assert [each.name for each in desk.incidents()] == ["break BTC/USD", "database down", "main app down"]
    assert desk.open() == ["break BTC/USD"]
    count = "SELECT COUNT(*) FROM mails WHERE sent_at IS NOT NULL AND name <> 'digest'"
    with connected(desk.settings.database) as connection, connection.cursor() as cursor:
        cursor.execute(count)
        assert cursor.fetchall() == [(5,)]


def test_what_was_not_taken_while_the_database_was_down_is_tried_again(desk: Desk) -> None:
    desk.office.answer = "450 later"
    desk.review(settings=desk.down)
    desk.office.answer = "250 taken"
    desk.review(settings=desk.down)
    desk.review(settings=desk.down)
    assert desk.office.subjects == ["[DCA PAPER] The database does not answer"]
    desk.review()
    assert [(each.name, each.mails) for each in desk.incidents()] == [("database down", 1)]


def test_F68_without_a_database_and_on_a_full_disk_a_mail_an_hour_is_enough(desk: Desk) -> None:
    desk.review()
    path = desk.settings.state_dir / "alerts.json"
    at = desk.clock.now().timestamp()
    os.utime(path, (at, at))
    path.with_suffix(".tmp").mkdir()  # nothing can be written
    for _ in range(5):
        desk.review(settings=desk.down, minutes=40)
    assert desk.office.subjects == ["[DCA PAPER] The database does not answer"] * 2
    path.unlink()
    desk.review(settings=desk.down)
    assert len(desk.office.subjects) == 2


def test_locks_that_cannot_be_made_stop_no_mail(desk: Desk, tmp_path: Path) -> None:
    desk.store.run_script(LOCK)
    for _ in range(2):
        desk.review(settings=replace(desk.settings, state_dir=tmp_path / "gone"))
    assert len(desk.office.subjects) == 1


def test_what_ended_while_the_database_was_down_has_ended(desk: Desk) -> None:
    desk.review(APP_DOWN, judged=WATCHDOG)
    desk.review(judged=WATCHDOG, settings=desk.down)
    desk.review(judged=WATCHDOG)
    assert desk.open() == []
    subjects = [subject for subject in desk.office.subjects if "main_app" in subject]
    assert subjects == ["[DCA PAPER] main_app was down", "[DCA PAPER] recovered: main_app was down"]


def test_a_notebook_that_is_damaged_stops_nothing(desk: Desk) -> None:
    path = desk.settings.state_dir / "alerts.json"
    for damage in ("", "{", "[]", '{"known": [{}]}', "null"):
        path.write_text(damage)
        assert notebook.read(path) == notebook.Notebook()
    desk.store.run_script(LOCK)
    desk.review()
    assert len(desk.office.messages) == 1


# ---- mail off ----------------------------------------------------------------------------------------------


def test_without_mail_incidents_are_noted_and_the_log_has_them(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dca")
    off = replace(desk.settings, email=None)
    desk.store.run_script(LOCK)
    for _ in range(3):
        desk.review(settings=off)
    assert desk.open() == ["break BTC/USD"]
    assert desk.waiting() == []
    assert caplog.text.count("break BTC/USD: BTC/USD is locked") == 1
    assert caplog.text.count("digest - - net profit today $0.00") == 1
    desk.clock.pass_seconds(86400)
    desk.review(settings=off)
    assert caplog.text.count("digest - - net profit today") == 2
    assert desk.office.messages == []


# ---- digest and cycles -------------------------------------------------------------------------------------

CYCLES = """
INSERT INTO dca_cycles (asset_id, status, completed_at, safety_orders, average_purchase_price, bought_qty,
    bought_cost, buy_fee_qty, sold_qty, sold_proceeds, sell_fee)
  VALUES (1, 'complete', '2026-01-02 01:00:00', 2, 100, 0.2, 20, 0.0005, 0.1995, 21, 0.05);
INSERT INTO dca_cycles (asset_id, status, completed_at, bought_cost, sold_qty, sold_proceeds)
  VALUES (1, 'complete', '2025-12-28 01:00:00', 20, 1, 22);
INSERT INTO dca_cycles (asset_id, status, completed_at, bought_cost, sold_qty, sold_proceeds)
  VALUES (1, 'complete', '2025-06-01 01:00:00', 20, 1, 50);
UPDATE dca_cycles SET quantity = 1995, bought_qty = 2000, buy_fee_qty = 5, bought_cost = 6000,
    average_purchase_price = 3, last_order_fill_price = 2.4, safety_orders = 3 WHERE id = 2;
"""


def test_the_digest_comes_every_day_once_also_on_quiet_days(desk: Desk) -> None:
    desk.settings = replace(desk.settings, digest_hour_utc=7)
    for _ in range(3 * 24):
        desk.review(minutes=60)
    at = [str(each["Date"])[5:22] for each in desk.office.messages if "digest" in str(each["Subject"])]
    assert at == ["02 Jan 2026 07:04", "03 Jan 2026 07:04", "04 Jan 2026 07:04"]
    assert len(desk.office.messages) == 3


def test_what_the_digest_says(desk: Desk) -> None:
    desk.store.run_script(CYCLES + LOCK)
    now = desk.clock.now()

    def runs(tx: Transaction) -> None:
        for result in (Result.DONE, Result.FAILED):
            run = tx.begin_run("order_manager", now - timedelta(minutes=5))
            tx.end_run(run, result, now, checked=0, changed=0, details=None)

    desk.store.transaction(runs)
    desk.review()
    desk.settings = replace(desk.settings, digest_hour_utc=now.hour)
    desk.clock.pass_seconds(60)
    desk.review()
    assert desk.office.subjects[-1] == "[DCA PAPER] digest 2026-01-02: +$0.95 today, 1 cycle, 1 open incident"
    text = desk.office.text()
    for line in (
        "- today: +$0.95 from 1 completed cycle",
        "- 7 days: +$2.95 from 2 completed cycles",
        "- 30 days: +$2.95 from 2 completed cycles",
        "- in all: +$32.95 from 3 completed cycles",
        "Open cycles: 2, of which 1 hold coins ($6,000.00 paid):",
        "- ETH/USD: 1995 at an average of 3, cost $6,000.00, safety orders 3",
        "Worst drawdown: ETH/USD, whose last buy was 20.00 % below its average price.",
        "- BTC/USD is locked: holds 1, booked 2",
        "Incidents of the last 24 hours: 1",
        "- order_manager: 2 runs, 1 failed, last at 2026-01-02 02:59:05 UTC",
        "Mails that wait to be sent: 0",
    ):
        assert line in text.splitlines(), text
    assert max(map(len, text.splitlines())) <= 110


def test_a_closed_cycle_is_mailed_once_if_wanted(desk: Desk) -> None:
    desk.store.run_script(CYCLES)
    desk.review()
    assert desk.office.messages == []
    desk.settings = replace(desk.settings, send_mail_on_closed_cycles=True)
    desk.review()
    desk.review()
    assert desk.office.subjects == ["[DCA PAPER] BTC/USD: cycle complete, +$0.95"]
    for line in (
        "Bought: 0.2 for $20.00, at an average of 100",
        "Sold: 0.1995 for $21.00",
        "Fees: $0.10",
        "Net profit: +$0.95 (+4.75 % of what was paid)",
        "Safety orders: 2",
    ):
        assert line in desk.office.text().splitlines()


def test_old_rows_go_once_a_day(desk: Desk) -> None:
    old = desk.clock.now() - timedelta(days=91)
    desk.store.transaction(lambda tx: tx.begin_run("watchdog", old))
    desk.review(minutes=60 * 24)
    assert desk.store.transaction(lambda tx: tx.first_run_at()) == old
    desk.review()
    assert desk.store.transaction(lambda tx: tx.first_run_at()) is None


# ---- secrets, and the world outside ------------------------------------------------------------------------


def test_no_secret_is_in_any_log_mail_or_table(
    desk: Desk, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    planted = parsed(**SECRETS, STATE_DIR=str(tmp_path), LOG_DIR=str(tmp_path))
    email: EmailSettings = desk.office.settings()
    settings = replace(planted, email=email, database=desk.settings.database)
    secrets = [*SECRETS.values(), PASSWORD, desk.settings.database.password]
    leak = replace(APP_DOWN, subject=f"died of {secrets[0]}", evidence=f"its log says: {secrets} " * 3)
    wrong = replace(settings, email=replace(email, smtp_password="wr0ng-planted-secret"))
    desk.office.auth_answer = "535 wr0ng-planted-secret is no good"
    desk.review(replace(leak, evidence="wr0ng-planted-secret"), settings=wrong)
    assert "*** is no good" in caplog.text
    desk.store.run_script(LOCK.replace("booked 2", f"booked {PASSWORD}"))
    desk.store.transaction(lambda tx: tx.set_mode(Mode.HALT, f"me: {secrets[1]}"))
    desk.review(leak, settings=replace(settings, digest_hour_utc=0))
    desk.review(leak, settings=replace(settings, database=replace(settings.database, socket="/nowhere")))
    assert len(desk.office.messages) >= 4
    said = [record.getMessage() for record in caplog.records if record.name != "mail.log"]  # the server's
    seen = [*said, *(each.decode() for each in desk.office.raw)]
    seen += [desk.office.text(number) for number in range(len(desk.office.messages))]
    seen += [path.read_text() for path in tmp_path.iterdir() if path.is_file()]
    with connected(desk.settings.database) as connection, connection.cursor() as cursor:
        for table in ("mails", "incidents"):
            cursor.execute(f"SELECT * FROM {table}")
            seen.append(repr(cursor.fetchall()))
    for text in seen:
        for secret in [*secrets, "wr0ng-planted-secret", "planted-ping-path"]:
            assert secret not in text
    assert "***" in seen[-1]


class Watcher(HTTPServer):
    """An outside dead-man's switch."""

    def __init__(self, answer: int) -> None:
        super().__init__(("127.0.0.1", 0), _Ping)
        self.answer = answer
        self.paths: list[str] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class _Ping(BaseHTTPRequestHandler):
    server: Watcher

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_the_outside_watcher_is_pinged_by_good_reviews_only(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dca")
    watcher = Watcher(200)
    url = f"http://127.0.0.1:{watcher.server_port}/planted-ping-path"
    desk.review(settings=replace(desk.settings, heartbeat_ping_url=url))
    assert watcher.paths == ["/planted-ping-path"]
    desk.review(settings=replace(desk.down, heartbeat_ping_url=url))
    assert len(watcher.paths) == 1
    assert "HEARTBEAT_PING_URL" not in caplog.text
    watcher.answer = 503
    desk.review(settings=replace(desk.settings, heartbeat_ping_url=url))
    assert 'HEARTBEAT_PING_URL did not take it why="it answered 503"' in caplog.text
    watcher.shutdown()
    watcher.server_close()
    desk.review(settings=replace(desk.settings, heartbeat_ping_url=url))
    assert caplog.text.count("did not take it") == 2
    assert "planted-ping-path" not in caplog.text


def test_the_checker_mails_although_the_exchange_kept_it_from_its_work(
    tmp_path: Path, ready: Store, database: DatabaseSettings
) -> None:
    """As cron runs it: a process, its own settings, a mail server."""
    ready.transaction(lambda tx: tx.set_mode(Mode.HALT, "me: holidays"))
    with post_office(tls=False) as office:
        mail = {
            "ALERT_EMAIL_SENDER": "bot@example.com",
            "ALERT_EMAIL_RECEIVER": "you@example.com",
            "ALERT_EMAIL_SMTP_SERVER": "localhost",
            "ALERT_EMAIL_SMTP_PORT": str(office.port),
        }
        bot = BotProcess(tmp_path, NO_EXCHANGE, database, **mail)
        for _ in range(2):
            done = bot.run("consistency_checker.py")
            assert done.returncode == 1
            assert "Traceback" not in done.stdout + done.stderr
        assert bot.run("consistency_checker.py", "--dry-run").returncode == 1
        kill_switch = [subject for subject in office.subjects if "digest" not in subject]
    assert kill_switch == ["[DCA LOCAL] Trading is limited: halt"]


# ---- ./bot test-email --------------------------------------------------------------------------------------


@pytest.fixture
def operator(
    tmp_path: Path,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Operator:
    home = tmp_path / "home"
    home.mkdir()
    return Operator(home, desk.settings.database, NO_EXCHANGE, monkeypatch, capsys)


def _with_mail(operator: Operator, port: int, **more: str) -> None:
    names = {
        "ALERT_EMAIL_SENDER": "bot@example.com",
        "ALERT_EMAIL_RECEIVER": "you@example.com",
        "ALERT_EMAIL_SMTP_SERVER": "localhost",
        "ALERT_EMAIL_SMTP_PORT": str(port),
        **more,
    }
    with operator.env_file.open("a") as file:
        file.write("".join(f"{name}='{value}'\n" for name, value in names.items()))


def test_test_email_with_mail_off_names_what_to_set(operator: Operator) -> None:
    said = operator.types("test-email")
    assert said.code == 1
    assert "Mail is off" in said.out and "ALERT_EMAIL_SMTP_SERVER" in said.out


def test_test_email_shows_each_step_and_sends(
    operator: Operator, desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    office = desk.office
    assert office.ca is not None
    office.ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    _with_mail(
        operator, office.port, ALERT_EMAIL_SMTP_USER="bot@example.com", ALERT_EMAIL_SMTP_PASSWORD=PASSWORD
    )
    said = operator.types("test-email")
    assert said.out.splitlines() == [
        f"connected to localhost, port {office.port}",
        "encrypted by STARTTLS",
        "logged in as bot@example.com",
        "accepted for you@example.com",
        "Sent. Look for it in the mailbox of you@example.com, also among the spam.",
    ]
    assert (said.code, office.subjects) == (0, ["[DCA LOCAL] test"])
    last = desk.store.transaction(lambda tx: tx.last_mail("test"))
    assert last is not None and last.sent_at is not None


def test_test_email_says_why_not(operator: Operator) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        _with_mail(operator, port)
        said = operator.types("test-email")
    assert said.code == 1
    assert f"localhost, port {port}: nobody listens at localhost, port {port}" in said.out
