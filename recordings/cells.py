"""The text of a cell, as a time, a price or a size."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

EARLIEST = datetime(2009, 1, 1, tzinfo=UTC)
"""Older than every coin."""
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

_POWERS = range(-12, 12)
"""Of ten: the prices that are ones."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIX = re.compile(r"\d{9,19}(\.\d+)?$")
_DATE = re.compile(r"(\d{4})[./](\d{2})[./](\d{2})")
_ZONE = re.compile(r"\s*(UTC|GMT)$", re.IGNORECASE)
_UNIT_DIGITS = ((11, 1), (14, 1_000), (17, 1_000_000), (20, 1_000_000_000))
"""A count of seconds has up to 11 digits before the point, of milliseconds up to 14, and so on."""


def brief(text: object) -> str:
    return repr(text)[:80]


def moment(text: str) -> datetime:
    """A time in ISO 8601, or as a count of seconds, milli-, micro- or nanoseconds since 1970. UTC without a
    zone of its own.

    Raises:
        ValueError: it is none, or of a year without coins.
    """
    at = _counted(text) if _UNIX.match(text) else _written(text)
    if not EARLIEST <= at < LATEST:
        raise ValueError(f"a time of the year {at.year}: {brief(text)}")
    return at


def _counted(text: str) -> datetime:
    whole, _, fraction = text.partition(".")
    per_second = next(unit for digits, unit in _UNIT_DIGITS if len(whole) <= digits)
    microseconds = Decimal(f"{whole}.{fraction or 0}") * 1_000_000 / per_second
    try:
        return _EPOCH + timedelta(microseconds=int(microseconds))
    except OverflowError:
        raise ValueError(f"not a time: {brief(text)}") from None


def _written(text: str) -> datetime:
    iso = _DATE.sub(r"\1-\2-\3", _ZONE.sub("+00:00", text), count=1)
    try:
        at = datetime.fromisoformat(iso)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"not a time: {brief(text)}") from None


def number(text: str) -> Decimal:
    """Raises:
    ValueError: it is none, or not finite.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"not a number: {brief(text)}") from None
    if not value.is_finite():
        raise ValueError(f"not a number: {brief(text)}")
    return value


def price(text: str) -> Decimal:
    """Raises:
    ValueError: it is no number, or not one that a coin costs.
    """
    value = number(text)
    if value <= 0 or value.adjusted() not in _POWERS:
        raise ValueError(f"not a price: {brief(text)}")
    return value


def size(text: str) -> Decimal | None:
    """None where nothing usable stands: a missing size makes no price wrong."""
    try:
        value = number(text)
    except ValueError:
        return None
    return value if value >= 0 and value.adjusted() < 20 else None
