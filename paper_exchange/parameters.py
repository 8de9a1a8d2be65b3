"""What a request asks for, read from its query: every value has its bounds, and nonsense is a refusal."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from paper_exchange.values import Refused

LARGEST = Decimal("1e15")
"""Beyond every price, quantity and percentage."""


class Query:
    """A request's parameters. `status` and `code` are those of its refusals: 422 with a code from the trading
    host, 400 without one (0) from the data host."""

    def __init__(self, values: Mapping[str, str], *, status: int = 422, code: int = 42210000) -> None:
        self._values = values
        self._status = status
        self._code = code

    def _refused(self, name: str, why: str) -> Refused:
        shown = self._values.get(name, "")[:60]
        return Refused(self._status, self._code, f"invalid {name}: {shown!r} {why}")

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name) or default

    def words(self, name: str) -> list[str]:
        """A list between commas; empty ones left out."""
        return [word for word in (part.strip() for part in self.text(name).split(",")) if word]

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        found = self.text(name, default)
        if found not in choices:
            raise self._refused(name, f"is none of {', '.join(sorted(choices))}")
        return found

    def whole(self, name: str, default: int, *, least: int, most: int, clip: bool = False) -> int:
        """A whole number within its bounds; with `clip` a larger one counts as the largest."""
        text = self.text(name)
        if not text:
            return default
        if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 18:
            raise self._refused(name, "is not a whole number")
        number = int(text)
        if number < least or (number > most and not clip):
            raise self._refused(name, f"is not between {least} and {most}")
        return min(number, most)

    def amount(self, name: str) -> Decimal | None:
        """A positive amount; None where it is not given."""
        text = self.text(name)
        if not text:
            return None
        try:
            amount = Decimal(text)
        except InvalidOperation:
            raise self._refused(name, "is not a number") from None
        if not amount.is_finite() or not 0 < amount < LARGEST:
            raise self._refused(name, "is not a positive number")
        return amount

    def time(self, name: str) -> datetime | None:
        """A time in RFC 3339, or a date; aware, UTC without a zone of its own. None where it is not given."""
        text = self.text(name)
        if not text:
            return None
        try:
            at = datetime.fromisoformat(text.replace(" ", "+"))
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise self._refused(name, "is not a time") from None
        if not 1970 <= at.year <= 2200:
            raise self._refused(name, "is not a time of this age")
        return at

    def day(self, name: str, default: date) -> date:
        at = self.time(name)
        return default if at is None else at.date()
