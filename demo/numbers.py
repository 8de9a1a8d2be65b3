"""Numbers as the operator reads them."""

from decimal import ROUND_HALF_UP, Decimal


def price(value: Decimal) -> str:
    """A price: cents for large ones, six significant digits for small ones."""
    if abs(value) >= 1000:
        return f"{value:,.2f}"
    return _significant(value, 6)


def coins(value: Decimal) -> str:
    """A quantity of coins: six significant digits, no exponent."""
    return f"{value:,.0f}" if abs(value) >= 1_000_000 else _significant(value, 6)


def money(value: Decimal) -> str:
    """Dollars and cents, the sign before the dollar."""
    cents = value.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    return f"{'-' if cents < 0 else ''}${abs(cents):,.2f}"


def percent(value: Decimal) -> str:
    return f"{_significant(value, 3)} %"


def _significant(value: Decimal, digits: int) -> str:
    if value == 0:
        return "0"
    step = Decimal(1).scaleb(min(0, value.adjusted() - digits + 1))
    text = f"{value.quantize(step, rounding=ROUND_HALF_UP):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
