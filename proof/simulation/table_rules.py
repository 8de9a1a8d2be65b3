"""What the tables do to a row: the CHECKs, the columns' widths, and the version that a write has to know."""

from dataclasses import fields, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from dca.core.errors import BrokenRule, OurBug
from dca.core.model import ENDED, Asset, Cycle, CycleStatus, Order

_PLACES = {"dca_assets": Decimal("1e-10"), "dca_cycles": Decimal("1e-15"), "dca_orders": Decimal("1e-15")}
_NARROW = frozenset({"average_purchase_price", "last_order_fill_price"})
_NARROW_STEP = Decimal("1e-10")


def same_version(given: Cycle | Order, stored: Cycle | Order) -> None:
    if given.version != stored.version:
        raise OurBug(f"{type(given).__name__} {given.id} is not at version {given.version} any more")


_DECIMALS: dict[type, tuple[str, ...]] = {
    kind: tuple(each.name for each in fields(kind) if "Decimal" in str(each.type))
    for kind in (Asset, Cycle, Order)
}


def stored_row(table: str, row: Any) -> Any:
    """The row as its columns keep it: a decimal that is too long is rounded half up, without a word."""
    step = _PLACES[table]
    changed = {}
    for name in _DECIMALS[type(row)]:
        value = getattr(row, name)
        places = _NARROW_STEP if name in _NARROW else step
        if value is not None and value.as_tuple().exponent < places.as_tuple().exponent:
            changed[name] = value.quantize(places, rounding=ROUND_HALF_UP)
    return replace(row, **changed) if changed else row


def check_order(order: Order) -> None:
    """The table's CHECKs that a wrong program could run into."""
    broken = {
        "filled_qty_is_not_negative": order.filled_qty < 0,
        "filled_avg_price_is_positive_if_filled": order.filled_qty > 0
        and not (order.filled_avg_price or 0) > 0,
        "fee_qty_is_0_to_filled_qty": not 0 <= order.fee_qty <= order.filled_qty,
        "fee_usd_is_not_negative": order.fee_usd < 0,
        "qty_is_positive": order.qty <= 0,
        "limit_price_is_set_on_limit_orders": (order.order_type == "limit")
        != (order.limit_price is not None),
        "side_fits_the_purpose": order.side is not order.purpose.side,
    }
    for rule, is_broken in broken.items():
        if is_broken:
            raise BrokenRule(rule)


def check_cycle(cycle: Cycle) -> None:
    broken = {
        "quantity_is_not_negative": cycle.quantity < 0,
        "quantity_is_0_in_cooldown": cycle.status is CycleStatus.COOLDOWN and cycle.quantity != 0,
        "average_purchase_price_is_positive_if_held": cycle.average_purchase_price <= 0
        and not (cycle.average_purchase_price == 0 and cycle.quantity == 0),
        "safety_orders_is_not_negative": cycle.safety_orders < 0,
        "completed_at_is_set_when_the_cycle_has_ended": (cycle.completed_at is not None)
        != (cycle.status in ENDED),
        "refusals_is_not_negative": cycle.refusals < 0,
    }
    for rule, is_broken in broken.items():
        if is_broken:
            raise BrokenRule(rule)
