"""./bot test-email: sends one mail now, and says how far it came."""

import argparse
from contextlib import suppress

from dca.alerts import smtp
from dca.alerts.bundling import Letter
from dca.core.errors import DatabaseUnavailable, StartRefused
from dca.core.operations import Mail
from dca.operator.session import Command, Tools, no_arguments

NAMES = "ALERT_EMAIL_SENDER, ALERT_EMAIL_RECEIVER and ALERT_EMAIL_SMTP_SERVER"
MORE_NAMES = "ALERT_EMAIL_SMTP_PORT (587), ALERT_EMAIL_SMTP_USER and ALERT_EMAIL_SMTP_PASSWORD"


def _test_email(_: argparse.Namespace, tools: Tools) -> int:
    email, now = tools.settings.email, tools.clock.now()

    def say(text: str) -> None:
        tools.console.print(text, markup=False)

    if email is None:
        say(f"Mail is off. Set {NAMES} in .env;\nwhere the server wants them also {MORE_NAMES}.")
        return 1
    subject = f"[DCA {tools.settings.exchange.venue.value}] test"
    body = (
        f"This is the mail that ./bot test-email sends; it was sent at {now:%Y-%m-%d %H:%M:%S} UTC.\n"
        "Whatever needs you will come from the same sender to the same address, and a digest every day.\n"
    )
    mail = Mail(id=0, name="test", subject=subject, body=body, created_at=now)
    letter = Letter(id=f"test-{now:%Y%m%d%H%M%S%f}", subject=subject, body=body, mails=(mail,))
    done = smtp.deliver([letter], email, now)
    for step in done.steps:
        say(step)
    if done.errors == [None]:
        with suppress(DatabaseUnavailable, StartRefused):  # it went out all the same
            tools.store.transaction(lambda tx: tx.put_sent_mail(mail.name, subject, body, now))
        say(f"Sent. Look for it in the mailbox of {email.receiver}, also among the spam.")
        return 0
    if done.trouble is not None:
        say(f"{email.smtp_server}, port {email.smtp_port}: {done.trouble}")
    say("Not sent. The names to look at in .env begin with ALERT_EMAIL_.")
    return 1


COMMANDS: dict[str, Command] = {
    "test-email": Command(
        help="send one mail now, and say how far it came", add_arguments=no_arguments, run=_test_email
    ),
}
