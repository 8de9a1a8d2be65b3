"""Classifies answers that do not accept an order: rejected or unknown. Pure.

A gateway in front of the exchange may answer with its own pages and codes. Only an answer in the exchange's
own form, with a code that means rejection, is a rejection (F01); anything else is unknown.
"""

import json

from dca.core.model import DefiniteReject, Duplicate, SubmitOutcome, Unknown

REFUSALS = frozenset({400, 401, 403, 404, 422})
"""HTTP statuses of a rejection. Alpaca's own codes begin with one of them, like 40310000 (alpaca.md 2.7)."""
NOT_FOUND = 40410000
_PER_STATUS = 100_000
_LONGEST_MESSAGE = 300
_NO_JSON_OF_OURS = (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)


def outcome(status: int, body: str) -> SubmitOutcome:
    """The outcome of an order whose answer did not accept it."""
    own = own_words(body)
    if own is None:
        beginning = " ".join(printable(body).split())[:_LONGEST_MESSAGE]
        return Unknown(reason=f"{status}, not in the exchange's form: {beginning}")
    code, message = own
    if status == 422 and "client" in message.lower() and "unique" in message.lower():
        return Duplicate()
    if status in REFUSALS and code // _PER_STATUS in REFUSALS:
        return DefiniteReject(code=code, message=message)
    return Unknown(reason=f"{status} {message}")


def own_words(body: str) -> tuple[int, str] | None:
    """The code (0 if missing) and the message of an answer in the exchange's own form; None for any other
    body."""
    try:
        parsed = json.loads(body)
        code, message = int(parsed.get("code") or 0), parsed.get("message")
    except _NO_JSON_OF_OURS:
        return None
    return (code, printable(message)[:_LONGEST_MESSAGE]) if isinstance(message, str) else None


def printable(text: str) -> str:
    """External text without control characters, which a terminal would execute."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
