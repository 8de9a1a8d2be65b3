"""Mail over real sockets: servers that take it, refuse it, hang, trickle; and what may go out when."""

import smtplib
import socket
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dca.alerts import smtp
from dca.alerts.bundling import BUDGET, DEADLINE_SECONDS, SINGLES, Letter, plan, urgent_first
from dca.core.operations import Mail
from tests.builders import NOW
from tests.post_office import PASSWORD, USER, PostOffice, post_office, sink
from tests.processes import eventually

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not")  # TLS from the start is TLS
SHORT = 0.5


def letter(number: int = 1, **changes: Any) -> Letter:
    values = {"id": f"{number}-x", "subject": f"[DCA PAPER] number {number}", "body": "a body\n"}
    return Letter(**{**values, **changes})


def mail(number: int, minutes_ago: float = 0) -> Mail:
    return Mail(
        id=number,
        name=f"n{number}",
        subject=f"[DCA PAPER] number {number}",
        body=f"body {number}",
        created_at=NOW - timedelta(minutes=minutes_ago),
    )


# ---- over the wire -----------------------------------------------------------------------------------------


def test_starttls_and_login_and_what_arrives() -> None:
    with post_office() as office:
        done = smtp.deliver(
            [letter(body="Grüße: 5 €\nline 2\n" + "x" * 2000)], office.settings(), NOW, trust=office.trust
        )
        assert (done.errors, done.trouble) == ([None], None)
        assert done.steps == [
            f"connected to localhost, port {office.port}",
            "encrypted by STARTTLS",
            f"logged in as {USER}",
            "accepted for you@example.com",
        ]
        (made,) = office.messages
        assert made["Subject"] == "[DCA PAPER] number 1"
        assert (made["From"], made["To"]) == ("bot@example.com", "you@example.com")
        assert made["Message-ID"] == "<dca-1-x@example.com>"
        assert made["Date"] == "Fri, 02 Jan 2026 03:04:05 +0000"
        assert made.get_content_type() == "text/plain"
        assert made.get_content_charset() == "utf-8"
        assert office.text() == "Grüße: 5 €\nline 2\n" + "x" * 2000 + "\n"
        assert PASSWORD.encode() not in office.raw[0]


def test_tls_from_the_start() -> None:
    with post_office(at_once=True) as office:
        done = smtp.deliver([letter()], office.settings(), NOW, trust=office.trust, tls_port=office.port)
        assert (done.errors, done.trouble) == ([None], None)
        assert "encrypted by TLS from the start" in done.steps
        assert office.subjects == ["[DCA PAPER] number 1"]


def test_the_port_of_tls() -> None:
    assert smtp.deliver.__kwdefaults__ is not None
    assert smtp.deliver.__kwdefaults__["tls_port"] == smtp.TLS_PORT == 465


def test_a_server_on_this_machine_may_go_without_encryption() -> None:
    with post_office(tls=False) as office:
        done = smtp.deliver([letter(1), letter(2)], office.settings(), NOW)
        assert done.errors == [None, None]
        assert len(office.messages) == 2


def test_elsewhere_nothing_is_said_without_encryption() -> None:
    """The name is this machine's own, which is not known to be loopback."""
    name = socket.gethostname()
    with post_office(tls=False) as office:
        try:
            socket.create_connection((name, office.port), 1).close()
        except OSError:
            pytest.skip("the name of this machine does not lead to 127.0.0.1")
        done = smtp.deliver([letter()], office.settings(smtp_server=name), NOW)
        assert done.errors == []
        assert done.trouble == "the server offers no STARTTLS, and nothing is sent without"
        assert office.messages == []


@pytest.mark.parametrize("at_once", [False, True])
def test_a_certificate_of_nobody_is_refused(at_once: bool) -> None:
    with post_office(at_once=at_once) as office:
        tls_port = office.port if at_once else 465
        done = smtp.deliver([letter()], office.settings(), NOW, tls_port=tls_port)
        assert done.errors == []
        assert "the server's certificate is not good" in (done.trouble or "")
        assert office.messages == []


def test_a_certificate_for_another_name_is_refused() -> None:
    with post_office() as office:
        done = smtp.deliver([letter()], office.settings(smtp_server="127.0.0.1"), NOW, trust=office.trust)
        assert "the server's certificate is not good" in (done.trouble or "")
        assert office.messages == []


def test_550_is_told_and_keeps_no_other_back() -> None:
    with post_office() as office:
        office.answer = "550 no mail of yours"
        done = smtp.deliver([letter(1), letter(2)], office.settings(), NOW, trust=office.trust)
        assert done.errors == ["550 no mail of yours"] * 2
        assert done.trouble is None


def test_a_wrong_login_is_told_without_it() -> None:
    with post_office() as office:
        wrong = "wr0ng-planted-secret"
        office.auth_answer = f"535 5.7.8 {USER} may not come in with {wrong} AHdyMG5nLXBsYW50ZWQ="
        done = smtp.deliver([letter()], office.settings(smtp_password=wrong), NOW, trust=office.trust)
        assert done.errors == []
        assert (done.trouble or "").startswith("535 5.7.8")
        assert wrong not in f"{done}"


def test_every_form_of_the_password_is_taken_out_of_what_a_server_says() -> None:
    email = PostOffice().settings(smtp_user=USER, smtp_password=PASSWORD)
    forms = [PASSWORD, smtp._base64(PASSWORD), smtp._base64(f"\0{USER}\0{PASSWORD}")]
    for form in forms:
        told = smtp.said(smtplib.SMTPAuthenticationError(535, f"no: {form}".encode()), email)
        assert told == "535 no: ***"


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        email = PostOffice(port=probe.getsockname()[1]).settings()
        done = smtp.deliver([letter()], email, NOW)
    assert done.trouble == f"nobody listens at localhost, port {email.smtp_port}"


@pytest.mark.parametrize(
    ("hello", "trickle"),
    [
        (b"", b""),
        (b"", b"2"),
        (b"", b"220-wait\r\n"),
        (b"220 hello\r\n", b""),
        (b"220 hello\r\n", b"250-wait\r\n"),
        (b"", b"\x16\x03"),
    ],
    ids=["silence", "bytes", "lines", "silence after hello", "lines after hello", "a bit of TLS"],
)
@pytest.mark.parametrize("at_once", [False, True], ids=["STARTTLS", "TLS"])
def test_F66_a_server_that_hangs_costs_the_limit_and_no_more(
    hello: bytes, trickle: bytes, at_once: bool
) -> None:
    with sink(hello=hello, trickle=trickle) as port:
        email = PostOffice(port=port).settings()
        before = time.monotonic()
        done = smtp.deliver(
            [letter(1), letter(2)], email, NOW, seconds=SHORT, tls_port=port if at_once else 465
        )
        took = time.monotonic() - before
        eventually(lambda: "mail" not in {thread.name for thread in threading.enumerate()}, 2)
    assert took < SHORT + 0.4
    assert done.errors == []
    assert done.trouble


def test_a_server_that_closes_is_told_at_once() -> None:
    for hello in (b"", b"220 hello\r\n"):
        with sink(hello=hello, closes=True) as port:
            before = time.monotonic()
            done = smtp.deliver([letter()], PostOffice(port=port).settings(), NOW)
            assert time.monotonic() - before < 2
            assert done.errors == [] and done.trouble


def test_the_limit_is_ten_seconds() -> None:
    assert DEADLINE_SECONDS == 10
    assert smtp.deliver.__kwdefaults__ is not None
    assert smtp.deliver.__kwdefaults__["seconds"] == 10


def test_no_header_can_be_smuggled_in() -> None:
    evil = "hello\r\nBcc: them@example.com\n\nbody\x00\u2028Subject: other"
    with post_office(tls=False) as office:
        done = smtp.deliver([letter(subject=evil)], office.settings(), NOW)
        assert done.errors == [None]
        (made,) = office.messages
        assert made["Bcc"] is None
        assert made.get_all("Subject") == ["hello Bcc: them@example.com body Subject: other"]
        assert office.text() == "a body\n"


# ---- the budget --------------------------------------------------------------------------------------------


def test_few_mails_go_one_by_one_oldest_first() -> None:
    letters = plan([mail(1), mail(2)], [], NOW)
    assert [each.mails for each in letters] == [(mail(1),), (mail(2),)]


def test_more_than_that_go_together_and_none_is_left_out() -> None:
    waiting = [mail(number) for number in range(1, 31)]
    letters = plan(waiting, [], NOW)
    assert len(letters) == SINGLES
    assert [each for one in letters for each in one.mails] == waiting
    last = letters[-1]
    assert last.subject == f"[DCA PAPER] {30 - SINGLES + 1} mails in one"
    for each in waiting[SINGLES - 1 :]:
        assert each.body in last.body and each.subject in last.body


def named(number: int, name: str) -> Mail:
    return replace(mail(number), name=name)


def test_money_goes_first_and_what_is_over_last() -> None:
    waiting = [
        named(1, "over: exchange down"),
        named(2, "digest"),
        named(3, "disk full"),
        named(4, "cycle 7"),
        named(5, "break BTC/USD"),
        named(6, "delayed ETH/USD"),
    ]
    assert [each.id for each in urgent_first(waiting)] == [5, 6, 3, 1, 2, 4]
    more = [*waiting, *(named(number, f"over: late order {number}") for number in range(10, 40))]
    letters = plan(more, [], NOW)
    assert [one.id for each in letters[:3] for one in each.mails] == [5, 6, 3]
    assert sum(len(each.mails) for each in letters) == len(more)


def test_the_last_word_about_an_incident_is_the_last() -> None:
    """Locked, unlocked, locked again: in any other order the reader believes the opposite."""
    waiting = [
        named(1, "break BTC/USD"),
        named(2, "over: break BTC/USD"),
        named(3, "disk full"),
        named(4, "break BTC/USD"),
        named(5, "break ETH/USD"),
        named(6, "over: break ETH/USD"),
    ]
    assert [each.id for each in urgent_first(waiting)] == [1, 2, 4, 3, 5, 6]


def test_F67_ten_an_hour_whatever_happens_and_nothing_waits_long() -> None:
    """A mail a minute for six hours."""
    sent: list[Any] = []
    waiting: list[Mail] = []
    longest = timedelta(0)
    for minute in range(360):
        now = NOW + timedelta(minutes=minute)
        waiting.append(mail(minute, -minute))
        for number, each in enumerate(plan(waiting, sent, now)):
            sent.append(now + timedelta(microseconds=number))
            longest = max([longest, *(now - one.created_at for one in each.mails)])
            waiting = [one for one in waiting if one not in each.mails]
        assert len([at for at in sent if at > now - timedelta(hours=1)]) <= BUDGET
    assert longest <= timedelta(minutes=20)
    assert len(waiting) <= 20
