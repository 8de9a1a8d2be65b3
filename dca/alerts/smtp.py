"""Mail by real SMTP, with one deadline over all of it: a server that hangs costs seconds, never a restart.

Nothing here knows the database. The password is in no error and no line: what a server says back may echo it.
"""

import base64
import hmac
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses

from dca.alerts.bundling import DEADLINE_SECONDS, Letter
from dca.runtime import addresses
from dca.runtime.hosts import is_loopback
from dca.runtime.settings import EmailSettings

TLS_PORT = 465
LONGEST_ERROR = 160
_OF_NOBODY, _OF_ANOTHER_NAME = {18, 19, 20, 21}, 62
"""OpenSSL's codes: signed by itself, or by somebody who is not known; valid for another name."""
MOST_CHALLENGES = 5
_NONSENSE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What Python's mail library raises over text that it does not understand."""
SILENT_SECONDS = 3.0
"""One address of several that took a connection and says nothing for so long is left for the next one."""


@dataclass(slots=True)
class Delivery:
    """What came of it. `steps` are for people; `errors` has an entry per letter that was tried, None where
    the server took it."""

    steps: list[str] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)
    trouble: str | None = None
    """Why it ended before all letters were tried."""


def message(letter: Letter, email: EmailSettings, now: datetime) -> EmailMessage:
    """The mail as it goes over the wire. Header fields have one line, whatever they were made of."""
    made = EmailMessage(policy=SMTP)
    made["From"] = _one_line(email.sender)
    made["To"] = _one_line(email.receiver)
    made["Subject"] = _one_line(letter.subject)
    made["Date"] = format_datetime(now)
    addresses = getaddresses([email.sender])
    domain = addresses[0][1].rpartition("@")[2] if addresses else ""
    made["Message-ID"] = f"<dca-{letter.id}@{domain or 'localhost'}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(letter.body, charset="utf-8", cte="quoted-printable")
    return made


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


# ---- sending -----------------------------------------------------------------------------------------------


def deliver(
    letters: Sequence[Letter],
    email: EmailSettings,
    now: datetime,
    *,
    seconds: float = DEADLINE_SECONDS,
    trust: ssl.SSLContext | None = None,
    tls_port: int = TLS_PORT,
) -> Delivery:
    """Send letters, within `seconds` in all. Never raises for what a server or a network does.

    `trust` takes the place of what the settings say; at `tls_port` TLS is spoken from the start.
    """
    try:
        trust = trust or _trusted(email)
    except OSError as error:
        why = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        return Delivery(trouble=f"ALERT_EMAIL_SMTP_CAFILE={email.smtp_ca_file}: {why}"[:LONGEST_ERROR])
    line = _Line(seconds, trust, tls=email.smtp_port == tls_port)
    courier = _Courier(letters, email, now, seconds, line)
    thread = threading.Thread(target=courier.run, name="mail", daemon=True)
    thread.start()
    thread.join(seconds)
    return courier.ended()


def _trusted(email: EmailSettings) -> ssl.SSLContext:
    """Whose certificates are good: the system's, or those of one file. A mail server on this machine has the
    machine's name in its own certificate, and is asked for as localhost.

    Raises:
        OSError: the file cannot be read, or holds none.
    """
    if email.smtp_ca_file is None:
        return ssl.create_default_context()
    context = ssl.create_default_context(cafile=email.smtp_ca_file)
    context.check_hostname = not is_loopback(email.smtp_server)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Debian's own one has no key identifier
    return context


class _Line(smtplib.SMTP):
    """An SMTP connection that can be cut from outside, whatever it waits for."""

    def __init__(self, seconds: float, trust: ssl.SSLContext, *, tls: bool) -> None:
        self.trust = trust
        self.starts_with_tls = tls
        self._wire: socket.socket | None = None
        self._is_cut = False
        super().__init__(timeout=seconds, local_hostname=_own_name())

    def auth(
        self,
        mechanism: str,
        authobject: Callable[..., str | None],
        *,
        initial_response_ok: bool = True,
    ) -> tuple[int, bytes]:
        """smtplib's, in UTF-8 (RFC 4616): that one takes ASCII only."""
        first = authobject() if initial_response_ok else None
        self._auth_challenge_count = 0 if first is None else 1
        code, words = self.docmd("AUTH", mechanism if first is None else f"{mechanism} {_base64(first)}")
        while code == 334 and self._auth_challenge_count < MOST_CHALLENGES:
            self._auth_challenge_count += 1
            answer = authobject(base64.decodebytes(words))
            code, words = self.docmd(_base64(answer or ""))
        if code not in {235, 503}:
            raise smtplib.SMTPAuthenticationError(code, words)
        return code, words

    def auth_cram_md5(self, challenge: bytes | None = None) -> str | None:  # type: ignore[override]
        if challenge is None:
            return None
        return f"{self.user} {hmac.new(self.password.encode(), challenge, 'md5').hexdigest()}"

    # What smtplib calls to connect; SMTP_SSL does the same.
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        self._host = host  # what the certificate is compared with, here and by starttls()
        *others, last = addresses.of(host, port)
        while others:
            wire = self._connected([*others, last], timeout)
            address = addresses.peer(wire)
            try:
                return self._speaking(wire)
            except TimeoutError:
                wire.close()
                addresses.was_silent(address)
            *others, last = (each for each in [*others, last] if each != address)
        wire = self._connected([last], timeout)
        return self.trust.wrap_socket(wire, server_hostname=host) if self.starts_with_tls else wire

    def _connected(self, found: Sequence[addresses.Address], timeout: float) -> socket.socket:
        wire = addresses.connect_to_one(found, timeout)
        self._wire = wire.dup()
        if self._is_cut:  # the name took too long to look up
            wire.close()
            raise TimeoutError
        return wire

    def _speaking(self, wire: socket.socket) -> socket.socket:
        """A connection whose server has said something: its part of TLS, or its greeting.

        Raises:
            TimeoutError: it took the connection and is silent; there are other addresses to be tried.
        """
        timeout = wire.gettimeout()
        wire.settimeout(SILENT_SECONDS)
        if self.starts_with_tls:
            wire = self.trust.wrap_socket(wire, server_hostname=self._host)
        else:
            wire.recv(1, socket.MSG_PEEK)
        wire.settimeout(timeout)
        return wire

    def cut(self) -> None:
        """End it: whoever waits for the server gets an error at once."""
        self._is_cut = True
        if self._wire is not None:
            with suppress(OSError):
                self._wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        if self._wire is not None:
            self._wire.close()


class _Courier:
    """Runs in a thread of its own: a server that trickles bytes keeps every single wait short."""

    def __init__(
        self,
        letters: Sequence[Letter],
        email: EmailSettings,
        now: datetime,
        seconds: float,
        line: _Line,
    ) -> None:
        self._letters = letters
        self._email = email
        self._now = now
        self._seconds = seconds
        self._line = line
        self._lock = threading.Lock()
        self._over = False
        self._done = Delivery()

    def run(self) -> None:
        line = self._line
        try:
            self._open(line)
            for letter in self._letters:
                self._send(line, letter)
            with suppress(smtplib.SMTPException, OSError):
                line.quit()
        except (smtplib.SMTPException, OSError, ValueError) as error:
            self._note_trouble(said(error, self._email))
        finally:
            line.close()
            with self._lock:
                self._over = True

    def ended(self) -> Delivery:
        """What came of it until now; what still goes on is cut off, and counts as not sent."""
        with self._lock:
            if not self._over:
                self._line.cut()
                if self._done.trouble is None and len(self._done.errors) < len(self._letters):
                    self._done.trouble = (
                        f"no end within {self._seconds:g} s: the server is too slow, or hangs"
                    )
                self._over = True
            if self._done.trouble is None and len(self._done.errors) < len(self._letters):
                self._done.trouble = "sending broke off: a bug, which is in this script's log"
            return Delivery(
                steps=list(self._done.steps), errors=list(self._done.errors), trouble=self._done.trouble
            )

    def _open(self, line: _Line) -> None:
        email = self._email
        code, words = line.connect(email.smtp_server, email.smtp_port)
        if code != 220:
            raise smtplib.SMTPResponseException(code, words)
        self._step(f"connected to {email.smtp_server}, port {email.smtp_port}")
        line.ehlo_or_helo_if_needed()
        if line.starts_with_tls:
            self._step("encrypted by TLS from the start")
        elif line.has_extn("starttls"):
            line.starttls(context=line.trust)
            line.ehlo()
            self._step("encrypted by STARTTLS")
        elif is_loopback(email.smtp_server):
            self._step("not encrypted: the server is on this machine and offers no STARTTLS")
        else:
            raise smtplib.SMTPNotSupportedError("the server offers no STARTTLS, and nothing is sent without")
        if email.smtp_user is not None:
            line.login(email.smtp_user, email.smtp_password or "")
            self._step(f"logged in as {email.smtp_user}")

    def _send(self, line: _Line, letter: Letter) -> None:
        """One that is refused, or cannot be written, keeps none of the others back."""
        error: str | None = None
        try:
            made = message(letter, self._email, self._now)
        except _NONSENSE as problem:
            self._is_done(f"cannot be written as a mail: {said(problem, self._email)}"[:LONGEST_ERROR])
            return
        try:
            refused = line.send_message(made)
            if refused:
                self._step(f"refused for: {', '.join(refused)}")
        except smtplib.SMTPServerDisconnected:
            raise
        except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as problem:
            error = said(problem, self._email)
        self._is_done(error)

    def _is_done(self, error: str | None) -> None:
        with self._lock:
            if self._over:
                return  # told as not sent
            self._done.errors.append(error)
            self._done.steps.append(
                f"accepted for {self._email.receiver}" if error is None else f"refused: {error}"
            )

    def _step(self, text: str) -> None:
        with self._lock:
            self._done.steps.append(text)

    def _note_trouble(self, text: str) -> None:
        with self._lock:
            if not self._over:
                self._done.trouble = text


def said(error: Exception, email: EmailSettings) -> str:
    """An error in one short line that has nothing of the login."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        text = "; ".join(f"{code} {_text(words)}" for code, words in error.recipients.values())
    elif isinstance(error, smtplib.SMTPResponseException):
        text = f"{error.smtp_code} {_text(error.smtp_error)}"
    elif isinstance(error, ssl.SSLCertVerificationError):
        text = f"the server's certificate is not good: {error.verify_message}{_remedy(error)}"
    elif isinstance(error, TimeoutError):
        text = "the server does not answer"
    elif isinstance(error, socket.gaierror):
        text = f"there is no server {email.smtp_server}: {error.strerror}"
    elif isinstance(error, ConnectionRefusedError):
        text = f"nobody listens at {email.smtp_server}, port {email.smtp_port}"
    elif isinstance(error, UnicodeError):
        text = "a name or password has letters that SMTP does not take"
    else:
        text = str(error) or type(error).__name__
    return _without_login(_one_line(text), email)[:LONGEST_ERROR]


def _remedy(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _OF_NOBODY:
        return ": if it is your own server's, name its file in ALERT_EMAIL_SMTP_CAFILE"
    if error.verify_code == _OF_ANOTHER_NAME:
        return " Put the name that it has into ALERT_EMAIL_SMTP_SERVER"
    return ""


def _own_name() -> str:
    """What is said in greeting; looked up nowhere, which might take longer than the mail."""
    name = socket.gethostname()
    return name if name.isascii() and "." in name else "[127.0.0.1]"


def _text(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words


def _without_login(text: str, email: EmailSettings) -> str:
    user, password = email.smtp_user or "", email.smtp_password or ""
    secrets = [password, *(_base64(each) for each in (password, f"\0{user}\0{password}") if password)]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
