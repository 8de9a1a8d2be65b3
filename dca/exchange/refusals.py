"""What the exchange means when it does not say yes. Pure.

A gateway before it answers in its name, with pages and with codes of its own. Only what is in the exchange's
own form, with a code that means no, is a no (F01); everything else is unknown.
"""

import json

from dca.core.model import DefiniteReject, Duplicate, SubmitOutcome, Unknown

REFUSALS = frozenset({400, 401, 403, 404, 422})
"""HTTP statuses of a no. Alpaca's own codes begin with one of them, like 40310000 (alpaca.md 2.7)."""
NOT_FOUND = 40410000
_PER_STATUS = 100_000
_LONGEST_MESSAGE = 300
_NO_JSON_OF_OURS = (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)


def outcome(status: int, body: str) -> SubmitOutcome:
    """What became of an order that was not answered with a yes."""
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
    """The code (0 if it gives none) and the text of an answer in the exchange's own form; None for any other
    body."""
    try:
        parsed = json.loads(body)
        code, message = int(parsed.get("code") or 0), parsed.get("message")
    except _NO_JSON_OF_OURS:
        return None
    return (code, printable(message)[:_LONGEST_MESSAGE]) if isinstance(message, str) else None


def printable(text: str) -> str:
    """Text from outside ends up on terminals, which obey control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
