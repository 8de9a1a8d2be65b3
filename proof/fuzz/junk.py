"""Values, JSON and bytes as nobody should send them, from dice."""

import copy
import json
import random
from typing import Any

DEEP = "@deep@"
"""Stands for a deeply nested list, which json.dumps itself could not write."""
DIGITS = "@digits@"
"""Stands for a number of thousands of digits."""
LEVELS = (40, 400, 950, 3_000, 100_000)

NUMBERS: tuple[Any, ...] = (
    *(0, -0.0, 1, -1, 7, 10**12, 10**13, 10**18, 10**400, -(10**30), 2**63, 0.1, 1e-9, 1e-320, 1e308, -1e308),
    *(float("nan"), float("inf"), float("-inf"), DIGITS),
)
NUMBER_TEXTS = (
    *(
        "",
        " ",
        "0",
        "-0",
        "0.0",
        "-1",
        "-0.000000001",
        "1e5",
        "1E-5",
        "+1",
        ".5",
        "5.",
        "1,5",
        "0x10",
        "1_000",
    ),
    *(
        "NaN",
        "-nan",
        "sNaN",
        "Infinity",
        "-Infinity",
        "inf",
        "1e400",
        "1e-400",
        "1e999999999",
        "-1e999999999",
    ),
    *("1e-999999999", "0e-999999999", "0e999999999", "1e99999999999999999999", "١٢٣", "１２", "9" * 30),
    *("9" * 5_000, "0." + "3" * 500, "1" + "0" * 14, "9999999999999.999999999999999", "1e10", "1e11", "1e12"),
    *("1e13", "1e14", "1e15", "1e-10", "1e-11", "1e-15", "1e-16", "1e-30", "100000000000", "$5", "5 USD"),
)
TIMES = (
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999999-14:00"),
    *(
        "9999-12-31T23:59:59Z",
        "1969-12-31T23:59:59Z",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "20260102T030405Z",
    ),
    *("2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-02T25:00:00Z", "2026-01-02T03:04:05+99:99"),
    *("2026-01-02T03:04:05.123456789123Z", "2026-W01-1", "yesterday", "1767323045", "2026-01-02T03:04:05 Z"),
)
TEXTS = (
    *(
        "null",
        "true",
        "undefined",
        "None",
        "[object Object]",
        "\x00",
        "a\x00b",
        "\n",
        "a\nb",
        "\x1b[2J\x1b[H",
    ),
    *("\ud800", "x\udfffy", "\ufeff", "\u202e", "💥", "ключ", "a" * 33, "a" * 65, "a" * 300, "a" * 20_000),
    *(
        "../../account",
        "BTC/USD",
        "BTCUSD",
        "ETH/USD",
        "btc/usd",
        "BTC//USD",
        "/",
        "%s%n",
        "{0}",
        "' OR 1=1 --",
    ),
    *(
        "<html><body>502 Bad Gateway</body></html>",
        "=1+1",
        "\\",
        '"',
        "'",
        "`",
        "$(id)",
        "${HOME}",
        "\r\n.\r\n",
    ),
)
STATUSES = (
    *("filled", "partially_filled", "new", "accepted", "canceled", "expired", "rejected", "replaced"),
    *("pending_cancel", "FILLED", "done_for_day", "held", "suspended", "calculated", "stopped"),
    "waiting_for_something_that_was_invented_after_this_program",
)
SHAPES: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"": None}, {"a": {"b": []}}, DEEP)


def value(dice: random.Random) -> Any:
    """Any value that should not be there, and now and then one that may."""
    family = dice.choice((NUMBERS, NUMBER_TEXTS, TIMES, TEXTS, STATUSES, SHAPES, SHAPES))
    return copy.deepcopy(dice.choice(family))


def mutated(body: Any, dice: random.Random) -> Any:
    """The body after one to four changes; the argument stays as it is."""
    found = copy.deepcopy(body)
    for _ in range(dice.choice((1, 1, 1, 2, 2, 4))):
        found = _changed(found, dice)
    return found


def _changed(body: Any, dice: random.Random) -> Any:
    """One change somewhere in the body; near the top and far down are as likely."""
    holder, key = _place(body, dice)
    if holder is None:
        return value(dice)
    what = dice.randrange(12)
    old = holder[key]
    if what <= 7:
        holder[key] = _replaced(old, what, dice)
    elif what == 8:
        del holder[key]
    elif what == 9 and isinstance(holder, list):
        holder.append(copy.deepcopy(old))
    elif what == 10 and isinstance(holder, dict):
        holder[dice.choice(("status", "unknown_field", "id", "", "qty"))] = value(dice)
    else:
        other = dice.choice(list(_keys(holder)))
        holder[key], holder[other] = holder[other], old
    return body


def _replaced(old: Any, what: int, dice: random.Random) -> Any:
    if what <= 4:
        return value(dice)
    if what == 5:
        return None
    if what == 6:
        return dice.choice(([old], {"value": old}, str(old), [old, old]))
    return _scaled(old, dice)


def _place(body: Any, dice: random.Random) -> tuple[Any, Any]:
    """A container in the body and a key of it; (None, None) for the body itself."""
    holder: Any = None
    key: Any = None
    here = body
    while isinstance(here, dict | list) and here and (holder is None or dice.random() < 0.7):
        if holder is None and dice.random() < 0.03:
            return None, None
        holder, key = here, dice.choice(list(_keys(here)))
        here = here[key]
    return holder, key


def _keys(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def _scaled(old: Any, dice: random.Random) -> Any:
    """The same with another sign or size, as text or number as it was; text loses its end."""
    factor = dice.choice((-1, 0, 10, 0.1, 10**6, 10**-6, 10**12, 10**-12))
    try:
        result = float(old) * factor
    except (TypeError, ValueError, OverflowError):
        return old[: len(old) // 2] if isinstance(old, str) else old
    return str(result) if isinstance(old, str) else result


def encoded(body: Any, dice: random.Random) -> bytes:
    """JSON, with what Python's own writer would not write put in by hand."""
    text = json.dumps(body, ensure_ascii=dice.random() < 0.8)
    if DEEP in text:
        levels = dice.choice(LEVELS)
        closing = "" if dice.random() < 0.2 else "]" * levels
        text = text.replace(f'"{DEEP}"', "[" * levels + closing)
    if DIGITS in text:
        text = text.replace(f'"{DIGITS}"', dice.choice(("-", "")) + "8" * dice.choice((70, 400, 4_400)))
    return text.encode("utf-8", "surrogatepass")


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Bytes that were cut, flipped, doubled, or never were what they should be."""
    what = dice.randrange(12)
    at = dice.randrange(len(data) + 1)
    if what <= 2:
        return data[:at]
    if what == 3:
        return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
    if what == 4:
        return data[:at] + dice.choice((b"\xff\xfe", b"\x00", b"\xc3\x28", b"\xed\xa0\x80")) + data[at:]
    if what == 5:
        return data + data
    if what == 6:
        return data[at:]
    if what == 7:
        text = data.decode("utf-8", "replace")
        return text.encode(dice.choice(("utf-16", "utf-32", "utf-8-sig", "utf-16-le")), "replace")
    return _something_else(dice)


def _something_else(dice: random.Random) -> bytes:
    whole = (
        *(b"", b" ", b"null", b"true", b"0", b'""', b"[]", b"{}", b"NaN", b"Not Found", b"\x00" * 50),
        *(b"<html><head><title>502</title></head></html>", b'{"message":"internal server error"}', b"[{}]"),
        *(b'{"code":40410000,"message":"order not found"}', b"[1,2,3]", b'["a"]', b"[[]]", b'{"a":1}' * 50),
        *(b"[" * dice.choice(LEVELS), b'{"a":' * dice.choice(LEVELS), b"1" * 5_000, dice.randbytes(40)),
    )
    return dice.choice(whole)


def brief(data: object) -> str:
    """An input as it is printed: one line, not too long."""
    text = ascii(data)
    return text if len(text) <= 400 else f"{text[:300]}... ({len(text)} characters)"
