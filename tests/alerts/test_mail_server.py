"""Mail servers as in life: their own certificates, logins that are not ASCII; and addresses that are none."""

import base64
import datetime
import logging
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dca.alerts import smtp
from dca.core.errors import SettingsProblem
from dca.runtime import script, settings
from dca.runtime.mail_addresses import are_good
from dca.runtime.script import Context
from tests.alerts.test_smtp import letter
from tests.builders import NOW
from tests.good_settings import GOOD, parsed
from tests.post_office import PostOffice, post_office

MAIL = {
    "ALERT_EMAIL_SENDER": "bot@example.com",
    "ALERT_EMAIL_RECEIVER": "you@example.com",
    "ALERT_EMAIL_SMTP_SERVER": "localhost",
}


# ---- its own certificate ----


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A certificate as Debian makes one at installation: signed by itself, for the machine's name."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=vm.example")
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("vm.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "snakeoil.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(key.private_bytes(*form))
    return path


@pytest.fixture
def office(own: Path) -> Iterator[PostOffice]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, own.parent / "key.pem")
    with post_office(context=context) as office:
        yield office


@pytest.mark.parametrize("server", ["localhost", "127.0.0.1"])
def test_the_machine_s_own_server_is_trusted_by_its_certificate(
    office: PostOffice, own: Path, server: str
) -> None:
    email = office.settings(smtp_server=server, smtp_ca_file=own)
    assert smtp.deliver([letter()], email, NOW).errors == [None]
    assert len(office.messages) == 1


def test_without_it_the_message_says_what_to_do(office: PostOffice) -> None:
    done = smtp.deliver([letter()], office.settings(), NOW)
    assert (done.trouble or "").endswith(
        "if it is your own server's, name its file in ALERT_EMAIL_SMTP_CAFILE"
    )
    assert office.messages == []


def test_another_one_s_certificate_is_refused_all_the_same(office: PostOffice, tmp_path: Path) -> None:
    other = PostOffice()
    with post_office() as stranger:
        assert stranger.ca is not None
        stranger.ca.cert_pem.write_to_path(str(tmp_path / "other.pem"))
        other = stranger
    email = office.settings(smtp_ca_file=tmp_path / "other.pem")
    assert "the server's certificate is not good" in (smtp.deliver([letter()], email, NOW).trouble or "")
    assert other.messages == office.messages == []


def test_elsewhere_the_name_counts_too(own: Path) -> None:
    email = replace(PostOffice().settings(smtp_ca_file=own), smtp_server="mail.example.com")
    assert smtp._trusted(email).check_hostname
    assert smtp._trusted(replace(email, smtp_ca_file=None)).check_hostname
    wrong = ssl.SSLCertVerificationError(1, "x")
    wrong.verify_code, wrong.verify_message = 62, "Hostname mismatch."
    assert smtp.said(wrong, email).endswith("Put the name that it has into ALERT_EMAIL_SMTP_SERVER")


def test_a_file_that_is_missing_or_no_certificate_is_told(tmp_path: Path) -> None:
    missing = PostOffice().settings(smtp_ca_file=tmp_path / "none.pem")
    assert "none.pem: No such file" in (smtp.deliver([letter()], missing, NOW).trouble or "")
    (tmp_path / "none.pem").write_text("no certificate")
    assert "none.pem: holds no certificate" in (smtp.deliver([letter()], missing, NOW).trouble or "")


def test_the_setting_is_a_path_that_the_project_s_folder_begins() -> None:
    found = settings.parse({**GOOD, **MAIL, "ALERT_EMAIL_SMTP_CAFILE": "mail.pem"}, env_file_mode=0o600)
    assert found.email is not None and found.email.smtp_ca_file == settings.ROOT / "mail.pem"
    found = settings.parse({**GOOD, **MAIL, "ALERT_EMAIL_SMTP_CAFILE": "/etc/x.pem"}, env_file_mode=0o600)
    assert found.email is not None and found.email.smtp_ca_file == Path("/etc/x.pem")


# ---- logins ----


@pytest.mark.parametrize("refuses", [("LOGIN",), ("PLAIN",)])
@pytest.mark.parametrize("password", ["Grüße€2026", "пароль", "sesame"])
def test_a_password_is_sent_in_utf_8(password: str, refuses: tuple[str, ...]) -> None:
    with post_office(password=password, refuses=refuses) as office:
        done = smtp.deliver([letter()], office.settings(), NOW, trust=office.trust)
        assert (done.errors, done.trouble) == ([None], None)
        wrong = office.settings(smtp_password=password + "x")
        assert (smtp.deliver([letter()], wrong, NOW, trust=office.trust).trouble or "").startswith("535")
        assert len(office.messages) == 1


def test_cram_md5() -> None:
    """RFC 2195's own example, and one whose password is not ASCII."""
    line = smtp._Line(1, ssl.create_default_context(), tls=False)
    line.user, line.password = "tim", "tanstaaftanstaaf"
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    assert line.auth_cram_md5(challenge) == "tim b913a602c7eda7a495b4e6e7334d3890"
    assert line.auth_cram_md5() is None
    line.password = "Grüße€"
    assert len(line.auth_cram_md5(challenge) or "") == len("tim ") + 32


def test_a_password_that_is_not_ascii_is_taken_out_of_what_a_server_says() -> None:
    email = PostOffice().settings(smtp_user="bot", smtp_password="Grüße€2026")
    said = "no: Grüße€2026 " + base64.b64encode("\0bot\0Grüße€2026".encode()).decode()
    assert smtp.said(smtplib.SMTPAuthenticationError(535, said.encode()), email) == "535 no: *** ***"


# ---- addresses ----


@pytest.mark.parametrize(
    "text",
    [
        "bot@",
        "@example.com",
        "bot",
        "bot@@example.com",
        "bot@example..com",
        "bot@example.com.",
        "a b@example.com",
        "bot@exa mple.com",
        "Bot <bot@>",
        "<>",
        "bot@example.com>",
        ",",
        "bot@" + "x" * 64,
        "bot@example.com; x@y.z",
    ],
)
def test_an_address_to_which_nothing_could_be_sent_is_refused_at_the_start(text: str) -> None:
    for name in ("ALERT_EMAIL_SENDER", "ALERT_EMAIL_RECEIVER"):
        with pytest.raises(SettingsProblem) as caught:
            settings.parse({**GOOD, **MAIL, name: text}, env_file_mode=0o600)
        assert [problem.split()[0] for problem in caught.value.problems] == [name]
        assert "that is no mail address, like" in caught.value.problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "bot@example.com",
        "root@localhost",
        "DCA bot <bot@example.com>",
        '"Doe, Jane" <jane+dca@example.co.uk>',
        "böt@exämple.com",
    ],
)
def test_an_address_is_taken_as_people_write_it(text: str) -> None:
    assert are_good(text, several=False) and are_good(text, several=True)


def test_several_receivers_and_one_sender() -> None:
    both = "you@example.com, Other <other@example.com>"
    assert are_good(both, several=True) and not are_good(both, several=False)
    assert not are_good("you@example.com, other@", several=True)
    found = settings.parse({**GOOD, **MAIL, "ALERT_EMAIL_RECEIVER": both}, env_file_mode=0o600)
    assert found.email is not None
    with post_office(tls=False) as office:
        email = office.settings(receiver=found.email.receiver)
        assert smtp.deliver([letter()], email, NOW).errors == [None]
        assert office.messages[0]["To"] == both


# ---- what goes wrong while sending ----


def test_a_letter_that_cannot_be_written_keeps_no_other_back() -> None:
    with post_office(tls=False) as office:
        unwritten = letter(1, subject=cast(str, None))
        done = smtp.deliver([unwritten, letter(2)], office.settings(), NOW)
        assert done.trouble is None
        assert "cannot be written as a mail" in (done.errors[0] or "") and done.errors[1] is None
        assert office.subjects == ["[DCA PAPER] number 2"]


class Broken(smtp._Line):
    """A line that fails as nobody expected."""

    def connect(self, *_: Any) -> tuple[int, bytes]:
        raise AssertionError("nobody expected this")


@pytest.fixture
def context() -> Iterator[Context]:
    """A script that watches over its threads."""
    before = threading.excepthook
    context = Context(name="x", settings=parsed())
    script._end_with_any_thread(context)
    yield context
    threading.excepthook = before


def test_a_mail_thread_that_dies_stops_nothing(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken(1, ssl.create_default_context(), tls=False)
    courier = smtp._Courier([letter()], PostOffice().settings(), NOW, 1, broken)
    thread = threading.Thread(target=courier.run, name="mail")
    thread.start()
    thread.join(30)
    assert courier.ended().trouble == "sending broke off: a bug, which is in this script's log"
    assert not context.failed and not context.stopping.is_set()
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
    assert "mail died of a bug" in caplog.text and "nobody expected this" in caplog.text


def test_any_other_thread_that_dies_ends_the_script(context: Context) -> None:
    thread = threading.Thread(target=Broken.connect, name="worker-1", args=(None,))
    thread.start()
    thread.join(30)
    assert context.failed and context.stopping.is_set()


def test_the_own_name_is_looked_up_nowhere() -> None:
    """A resolver that hangs would hold up whoever writes mail, before any time limit begins."""
    line = smtp._Line(1, ssl.create_default_context(), tls=False)
    assert line.local_hostname == smtp._own_name()
    assert line.local_hostname in {socket.gethostname(), "[127.0.0.1]"}
