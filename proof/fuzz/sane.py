"""What a value that came from outside may look like once it is inside: judged here, by rules of our own."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal

from dca.core import ledger, lifecycle
from dca.core.model import ENDED, Cycle, Execution, Order, Snapshot
from proof.fuzz.samples import KEY_ID, NOW, SECRET_KEY
from proof.fuzz.verdicts import BrokenPromise, promise

LARGEST_EXPONENT, SMALLEST_EXPONENT = 15, -60
LONGEST_TEXT = 300
COLUMNS: dict[str, tuple[int, int]] = {
    "average_purchase_price": (20, 10),
    "last_order_fill_price": (20, 10),
    "last_sell_price": (20, 10),
}
"""Digits and decimals of the columns; every other amount has 30 and 15."""
ASCII = {"exchange_order_id", "latest_order_id"}
LENGTHS = {"exchange_order_id": 64, "exchange_status": 32, "latest_order_id": 255, "problem": 500}


def value(found: object, where: str = "it") -> None:
    """A value, with all that it holds, made only of what can be added up, stored and printed."""
    if isinstance(found, Decimal):
        _number(found, where)
    elif isinstance(found, str):
        text(found, where)
    elif isinstance(found, datetime):
        promise(found.tzinfo is not None, f"{where} has no zone")
        promise(1970 <= found.year <= 2200, f"{where} is in the year {found.year}")
    elif not isinstance(found, bool | int) and found is not None:
        for name, each in _parts(found, where):
            value(each, name)


def _number(found: Decimal, where: str) -> None:
    promise(found.is_finite(), f"{where} is {found}")
    promise(found.adjusted() < LARGEST_EXPONENT, f"{where} has {found.adjusted() + 1} digits")
    promise(found.adjusted() > SMALLEST_EXPONENT, f"{where} is 1e{found.adjusted()}")


def _parts(found: object, where: str) -> Iterator[tuple[str, object]]:
    if isinstance(found, dict):
        for key, each in found.items():
            yield f"a key of {where}", key
            yield f"{where}[{key!r}]", each
    elif isinstance(found, list | tuple):
        yield from ((f"an item of {where}", each) for each in found)
    elif is_dataclass(found):
        yield from ((f"{where}.{each.name}", getattr(found, each.name)) for each in fields(found))
    else:
        raise BrokenPromise(f"{where} is a {type(found).__name__}")


def text(found: str, where: str, longest: int = LONGEST_TEXT) -> None:
    promise(len(found) <= longest, f"{where} has {len(found)} characters")
    promise(found.isprintable(), f"{where} cannot be printed: {ascii(found)[:80]}")


def message(found: str) -> None:
    """A sentence for a log, a row and a mail: one line, that can be stored, without a secret."""
    text(found, "the message", 1000)
    promise(SECRET_KEY not in found and KEY_ID not in found, "the message holds a key")


def snapshot(found: Snapshot) -> None:
    value(found, "the order")
    for name in ("qty", "limit_price", "filled_avg_price", "filled_qty"):
        amount = getattr(found, name)
        promise(amount is None or amount >= 0, f"{name} is {amount}")
    promise(found.status != "filled" or found.filled_qty > 0, "filled, and nothing of it")


def execution(found: Execution) -> None:
    value(found, "the execution")
    promise(found.qty > 0 and found.price > 0, f"executed {found.qty} at {found.price}")


def booked(orders: Sequence[Order], cycle: Cycle, found: Snapshot) -> None:
    """Merge a description of the last of these orders as bookkeeper does: it has to fit the rows."""
    if not (found.client_order_id.startswith(ledger.ANY_PREFIX) and found.client_order_id.isascii()):
        return
    mine = orders[-1]
    if found.client_order_id != mine.client_order_id or ledger.is_incomplete(found):
        return
    difference = ledger.mismatch(mine, found)
    if difference is not None:
        text(difference, "the reason of the lock", 500)
        return
    after = ledger.merge(mine, found, NOW)
    promise(after.filled_qty <= mine.qty, f"{after.filled_qty} of {mine.qty} are filled")
    fits(after)
    booking = lifecycle.book(cycle, [*orders[:-1], after], NOW)
    amounts_fit(booking.cycle)
    violations = booking.cycle.violations()  # one that was ended by hand may have ended without a sale
    promise(cycle.status in ENDED or violations == [], f"the cycle breaks a rule: {violations}")
    if booking.sold_at_price is not None:
        promise(booking.sold_at_price > 0, f"sold at {booking.sold_at_price}, which the row refuses")
        _amount("last_sell_price", booking.sold_at_price)


def fits(row: Order | Cycle) -> None:
    """Whether the server takes it: columns' sizes and the CHECKs on amounts."""
    amounts_fit(row)
    for each in fields(row):
        found = getattr(row, each.name)
        if isinstance(found, str) and each.name in LENGTHS:
            text(found, each.name, LENGTHS[each.name])
            promise(found.isascii() or each.name not in ASCII, f"{each.name} is not ASCII")
    if isinstance(row, Order) and row.filled_qty:
        promise((row.filled_avg_price or 0) > 0, f"filled at {row.filled_avg_price}")
        promise(0 <= row.fee_qty <= row.filled_qty, f"the fee is {row.fee_qty} of {row.filled_qty}")
        promise(row.fee_usd >= 0, f"the fee is {row.fee_usd} dollars")


def amounts_fit(row: Order | Cycle) -> None:
    for each in fields(row):
        found = getattr(row, each.name)
        if isinstance(found, Decimal):
            _amount(each.name, found)


def _amount(name: str, found: Decimal) -> None:
    digits, decimals = COLUMNS.get(name, (30, 15))
    promise(found.is_finite(), f"{name} is {found}")
    promise(found.adjusted() < digits - decimals, f"{name} is {found}, too large for its column")
