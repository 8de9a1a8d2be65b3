"""The exchange's list of what was filled on the account, newest first, a page at a time (alpaca.md 2.6)."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from dca.core.charges import Charge
from dca.core.errors import ExchangeUnavailable
from dca.core.model import Execution, Order
from dca.exchange import parsing

PATH = "/account/activities"
PAGE = 100
_MAX_PAGES_OF_ORDERS = 2
_MAX_PAGES_OF_SALES = 20
FILLS, FEES = "FILL", "CFEE,FEE"

Read = Callable[[dict[str, Any]], list[parsing.Json]]
"""Asks for a page; raises ExchangeUnavailable."""


def executions(read: Read, orders: Sequence[Order]) -> list[Execution]:
    """The individual fills of these orders listed so far, oldest first."""
    return fills_and_fees(read, orders, FILLS)[0]


def fills_and_fees(
    read: Read, orders: Sequence[Order], types: str = f"{FILLS},{FEES}"
) -> tuple[list[Execution], list[Charge]]:
    """These orders' fills listed so far, oldest first, and the fees listed in the same period, of any order.
    Reads only until all fills are found and two pages at most, because main_app's loop waits for it."""
    missing = {order.exchange_order_id: order.filled_qty for order in orders}
    query = _query(types, min(order.created_at for order in orders) - timedelta(minutes=5))
    found: list[Execution] = []
    charges: list[Charge] = []
    for _ in range(_MAX_PAGES_OF_ORDERS):
        raws = read(query)
        fees = [raw for raw in raws if raw.get("activity_type", FILLS) != FILLS]
        charges += [charge for raw in fees if (charge := parsing.charge(raw)) is not None]
        for execution in (parsing.execution(raw) for raw in raws if raw not in fees):
            if execution.exchange_order_id in missing:
                found.append(execution)
                missing[execution.exchange_order_id] -= execution.qty
        if len(raws) < PAGE or all(qty <= 0 for qty in missing.values()):
            break
        query["page_token"] = parsing.text(raws[-1], "id")
    return found[::-1], charges


def sales(read: Read, symbol: str, after: datetime) -> list[Execution]:
    """All sales of a pair on the account since `after`, the bot's or not.

    Raises:
        ExchangeUnavailable: also if the list is incomplete.
    """
    query = _query(FILLS, after)
    found: list[Execution] = []
    for _ in range(_MAX_PAGES_OF_SALES):
        raws = read(query)
        found += [parsing.execution(raw) for raw in raws if parsing.is_sale(raw, symbol)]
        if len(raws) < PAGE:
            return found
        query["page_token"] = parsing.text(raws[-1], "id")
    raise ExchangeUnavailable(f"the list of what was filled since {after:%Y-%m-%d %H:%M} UTC does not end")


def _query(types: str, after: datetime) -> dict[str, Any]:
    return {"activity_types": types, "after": after.isoformat(), "direction": "desc", "page_size": PAGE}
