"""Real SMTP servers for tests: one that takes mail, and some that do not."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from dca.runtime.settings import EmailSettings

USER, PASSWORD = "bot@example.com", "sm7p-planted-secret"


@dataclass
class PostOffice:
    """Keeps what it was given. `answer` is what it says to each mail."""

    port: int = 0
    answer: str = "250 taken"
    auth_answer: str | None = None
    password: str = PASSWORD
    messages: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    ca: trustme.CA | None = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.raw.append(envelope.content)
            made = message_from_bytes(envelope.content, policy=default)
            assert isinstance(made, EmailMessage)
            self.messages.append(made)
        return self.answer

    def authenticated(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (
            USER.encode(),
            self.password.encode(),
        )
        return AuthResult(success=good, handled=False, message=None if good else self.auth_answer)

    @property
    def subjects(self) -> list[str]:
        return [str(each["Subject"]) for each in self.messages]

    def text(self, number: int = -1) -> str:
        return str(self.messages[number].get_content()).replace("\r\n", "\n")

    @property
    def trust(self) -> ssl.SSLContext:
        """What trusts its certificate."""
        context = ssl.create_default_context()
        if self.ca is not None:
            self.ca.configure_trust(context)
        return context

    def settings(self, **changes: Any) -> EmailSettings:
        values: dict[str, Any] = {
            "sender": "bot@example.com",
            "receiver": "you@example.com",
            "smtp_server": "localhost",
            "smtp_port": self.port,
            "smtp_user": USER if self.ca is not None else None,
            "smtp_password": self.password if self.ca is not None else None,
        }
        return EmailSettings(**{**values, **changes})


@contextlib.contextmanager
def post_office(
    *,
    tls: bool = True,
    at_once: bool = False,
    password: str = PASSWORD,
    refuses: Sequence[str] = (),
    context: ssl.SSLContext | None = None,
) -> Iterator[PostOffice]:
    """A server on this machine; with `tls` it wants STARTTLS (`at_once`: TLS from the start) and a login, not
    by those ways that it `refuses`. `context`: with a certificate of its own."""
    office = PostOffice(password=password)
    options: dict[str, Any] = {"decode_data": False, "auth_exclude_mechanism": refuses}
    if tls:
        office.ca = trustme.CA()
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            office.ca.issue_cert("localhost").configure_cert(context)
        options |= {"auth_required": True, "authenticator": office.authenticated}
        options |= {"ssl_context": context} if at_once else {"tls_context": context, "require_starttls": True}
        if at_once:
            options["auth_require_tls"] = False
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        office.port = int(probe.getsockname()[1])
    controller = Controller(office, hostname="127.0.0.1", port=office.port, **options)
    controller.start()
    try:
        yield office
    finally:
        controller.stop()


@contextlib.contextmanager
def sink(*, hello: bytes = b"", trickle: bytes = b"", closes: bool = False) -> Iterator[int]:
    """A server that takes connections and never says anything to the point: `hello` once, then nothing, or
    `trickle` again and again; or one that `closes` them. Gives its port."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.02)
    open_ones: list[socket.socket] = []

    def serve() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                accepted = listener.accept()[0]
                accepted.sendall(hello)
                if closes:
                    accepted.close()
                else:
                    open_ones.append(accepted)
            for each in open_ones:
                with contextlib.suppress(OSError):
                    each.sendall(trickle)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stop.set()
        thread.join(5)
        for each in [*open_ones, listener]:
            each.close()
