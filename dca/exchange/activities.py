"""The exchange's list of what was filled on the account, newest first, a page at a time (alpaca.md 2.6)."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from dca.core.errors import ExchangeUnavailable
from dca.core.model import Execution, Order
from dca.exchange import parsing

PATH = "/account/activities/FILL"
PAGE = 100
_MAX_PAGES_OF_ORDERS = 2
_MAX_PAGES_OF_SALES = 20

Read = Callable[[dict[str, Any]], list[parsing.Json]]
"""Asks for a page; raises ExchangeUnavailable."""


def executions(read: Read, orders: Sequence[Order]) -> list[Execution]:
    """The single fills of these orders, as far as the list has them by now: no further back than it takes to
    find all, nor than two pages: main_app's loop waits for it."""
    missing = {order.exchange_order_id: order.filled_qty for order in orders}
    query = _query(min(order.created_at for order in orders) - timedelta(minutes=5))
    found: list[Execution] = []
    for _ in range(_MAX_PAGES_OF_ORDERS):
        page = [parsing.execution(raw) for raw in read(query)]
        for execution in page:
            if execution.exchange_order_id in missing:
                found.append(execution)
                missing[execution.exchange_order_id] -= execution.qty
        if len(page) < PAGE or all(qty <= 0 for qty in missing.values()):
            break
        query["page_token"] = page[-1].id
    return found


def sales(read: Read, symbol: str, after: datetime) -> list[Execution]:
    """What was sold of a pair since then, whoever sold it.

    Raises:
        ExchangeUnavailable: also when the list cannot be had whole.
    """
    query = _query(after)
    found: list[Execution] = []
    for _ in range(_MAX_PAGES_OF_SALES):
        raws = read(query)
        found += [parsing.execution(raw) for raw in raws if parsing.is_sale(raw, symbol)]
        if len(raws) < PAGE:
            return found
        query["page_token"] = parsing.text(raws[-1], "id")
    raise ExchangeUnavailable(f"the list of what was filled since {after:%Y-%m-%d %H:%M} UTC does not end")


def _query(after: datetime) -> dict[str, Any]:
    return {"after": after.isoformat(), "direction": "desc", "page_size": PAGE}
