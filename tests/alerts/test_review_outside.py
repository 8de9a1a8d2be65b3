"""Reviews and the world outside: no secret gets there; the outside watcher, cron and ./bot test-email."""

import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from dca.core import order_limits
from dca.core.model import Mode
from dca.core.operations import Finding, IncidentKind
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings, EmailSettings
from tests import reviewing
from tests.conftest import connected
from tests.good_settings import parsed
from tests.operating import NO_EXCHANGE, Operator
from tests.post_office import PASSWORD, post_office
from tests.processes import BotProcess
from tests.reviewing import APP_DOWN, LOCK, Desk

desk, office = reviewing.desk, reviewing.office  # fixtures: an import would clash with arguments

SECRETS = {
    "APCA_API_KEY_ID": "PKPLANTEDKEY",
    "APCA_API_SECRET_KEY": "alpaca-planted-secret",
    "HEARTBEAT_PING_URL": "http://127.0.0.1:9/planted-ping-path",
}


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


LEFT_DOWN = Finding(
    name="main app left down",
    kind=IncidentKind.HEALTH,
    subject="main_app crashed repeatedly and is not restarted",
    evidence="Five deaths.",
)


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    made = Watcher(200)
    yield made
    made.shutdown()
    made.server_close()


def test_the_outside_watcher_hears_nothing_while_somebody_is_needed(desk: Desk, watcher: Watcher) -> None:
    """The bot is left down, and mail is dead: its silence is all that is left to tell anybody."""
    url = f"http://127.0.0.1:{watcher.server_port}/"
    dead = replace(desk.mailed_at(9), heartbeat_ping_url=url)
    desk.review(settings=dead)
    assert len(watcher.paths) == 1
    for _ in range(3):
        desk.review(LEFT_DOWN, judged=("main app left down",), settings=dead)
    assert len(watcher.paths) == 1, "nothing after the first"
    desk.review(judged=("main app left down",), settings=replace(desk.settings, heartbeat_ping_url=url))
    assert len(watcher.paths) == 2, "put right"


@pytest.mark.parametrize(
    ("reason", "pings"),
    [
        ("bo: holidays", 1),
        (None, 1),
        ("watchdog: main_app not restarted (crash loop)", 0),
        (f"{order_limits.NAME}: 30 orders", 0),
    ],
)
def test_what_a_person_wished_for_needs_no_person(
    desk: Desk, watcher: Watcher, reason: str | None, pings: int
) -> None:
    desk.store.run_script(
        "UPDATE dca_control SET mode = 'exits_only', mode_reason = "
        + ("NULL" if reason is None else f"'{reason}'")
        + ";\n"
    )
    settings = replace(desk.settings, heartbeat_ping_url=f"http://127.0.0.1:{watcher.server_port}/")
    desk.review(settings=settings)
    assert desk.open() == ["kill switch"]
    assert len(watcher.paths) == pings


def test_mail_that_nobody_takes_ends_the_pings(desk: Desk, watcher: Watcher) -> None:
    """Nothing else is wrong: but the next thing that is would be told to nobody."""
    settings = replace(desk.mailed_at(9), heartbeat_ping_url=f"http://127.0.0.1:{watcher.server_port}/")
    now = desk.clock.now()
    desk.store.transaction(lambda tx: tx.insert_mail("digest", "[DCA] d", "body", now))
    for _ in range(11):
        desk.review(settings=settings)
    assert len(watcher.paths) == 11 and desk.open() == []
    desk.review(settings=settings)
    assert desk.open() == ["mail stuck"] and len(watcher.paths) == 11
    good = replace(settings, email=desk.settings.email)
    desk.review(settings=good, minutes=10)
    desk.review(settings=good)
    assert desk.open() == [] and len(watcher.paths) == 12


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
