"""Names of the environment, read as words, numbers, hosts and addresses; every complaint is collected."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlsplit

from dca.runtime.hosts import is_host, is_loopback
from dca.runtime.mail_addresses import are_good

W = TypeVar("W", bound=StrEnum)

SECRETS = frozenset(
    {
        *("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "DB_PASSWORD"),
        *("ALERT_EMAIL_SMTP_PASSWORD", "HEARTBEAT_PING_URL"),
    }
)
_UNSEEN = (("\x00", "\x1f"), ("\x7f", "\x9f"), ("\ud800", "\udfff"))
"""Control characters, and halves of a character."""
_SHOWN = 60


class Reader:
    """Takes names out of the environment and collects every complaint on the way."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.problems: list[str] = []

    def complain(self, name: str, complaint: str) -> None:
        """Note what is wrong with a name; the first complaint about each."""
        if not any(problem.startswith(f"{name} ") for problem in self.problems):
            self.problems.append(f"{name} {complaint}")

    def optional(self, name: str) -> str | None:
        value = self._values.get(name, "").strip()
        if any(first <= letter <= last for letter in value for first, last in _UNSEEN):
            self.complain(name, "holds a line's end, a tab or another letter that cannot be seen: remove it")
            return None
        return value or None

    def required(self, name: str, example: str) -> str:
        value = self.optional(name)
        if value is None:
            self.complain(name, f"is missing: set it in .env, like {name}={example!r}")
        elif value.upper().startswith("YOUR_"):
            self.complain(name, f"is still the example's{_shown(name, value)}: put your own there")
        return value or ""

    def key(self, name: str, example: str) -> str:
        """What is sent in a header."""
        value = self.required(name, example)
        if not value.isascii():
            self.complain(name, "holds letters that no key has: copy it again")
        return value

    def host(self, name: str, example: str) -> str:
        value = self.required(name, example)
        if value and not is_host(value):
            self.complain(name, f"is{_shown(name, value)}: that is no server's name, like {example}")
        return value

    def addresses(self, name: str, example: str, *, several: bool) -> str:
        """Of mail; with `several` there may be more than one, with commas."""
        value = self.required(name, example)
        if value and not are_good(value, several=several):
            self.complain(name, f"is{_shown(name, value)}: that is no mail address, like {example}")
        return value

    def number(self, name: str, default: str, *, least: str, most: str) -> Decimal:
        text = self.optional(name) or default
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        if not (value.is_finite() and Decimal(least) <= value <= Decimal(most)):
            self.complain(name, f"is{_shown(name, text)}: it must be a number from {least} to {most}")
            return Decimal(default)
        return value

    def whole(self, name: str, default: str, *, least: str, most: str) -> int:
        value = self.number(name, default, least=least, most=most)
        if value != int(value):
            self.complain(name, f"is {value}: it must be a whole number")
        return int(value)

    def switch(self, name: str) -> bool:
        text = (self.optional(name) or "no").lower()
        if text not in {"yes", "no"}:
            self.complain(name, f"is{_shown(name, text)}: it must be yes or no")
        return text == "yes"

    def word(self, name: str, words: type[W]) -> W:
        """One of these words; the first is the default."""
        text = (self.optional(name) or next(iter(words))).lower()
        if text not in set(words):
            self.complain(name, f"is{_shown(name, text)}: it must be {' or '.join(words)}")
            return next(iter(words))
        return words(text)

    def url(self, name: str, value: str, schemes: tuple[str, str]) -> str:
        """A URL whose first scheme is encrypted; the second is good on this machine only."""
        if not value:
            return value  # complained about already
        try:
            parts = urlsplit(value)
            known = (parts.port is None or parts.port > 0) and is_host(parts.hostname or "")
        except ValueError:
            known, parts = False, urlsplit("")
        if not known or " " in value:
            self.complain(name, f"is{_shown(name, value)}: that is no address; like {schemes[0]}://host")
            return ""
        if parts.scheme not in schemes or not parts.hostname:
            self.complain(name, f"is{_shown(name, value)}: it must begin with {schemes[0]}://")
        elif parts.scheme == schemes[1] and not is_loopback(parts.hostname):
            self.complain(name, f"is{_shown(name, value)}: not encrypted; use {schemes[0]}://")
        return parts.geturl().rstrip("/")  # the scheme in small letters


def _shown(name: str, value: str) -> str:
    """A value as a complaint shows it: not whole if it is long, and not at all if it is a secret."""
    return "" if name in SECRETS else f" {value if len(value) <= _SHOWN else value[:_SHOWN] + '...'!r}"
