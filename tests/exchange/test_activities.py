"""The list of fills, read in pages: what was sold, and what became of our orders."""

from collections.abc import Mapping
from typing import Any

import pytest

from dca.core.errors import ExchangeUnavailable
from dca.exchange import activities
from dca.exchange.activities import PAGE
from tests.builders import NOW, D, order

Row = Mapping[str, Any]


def fill(number: int, side: str = "sell", symbol: str = "BTC/USD", order_id: str = "x-1") -> Row:
    row = {"id": f"e{number}", "qty": "0.1", "price": "100", "side": side, "symbol": symbol}
    return {**row, "order_id": order_id}


class Pages:
    """Rows as the exchange hands them out, newest first."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        self.queries: list[dict[str, Any]] = []

    def __call__(self, query: dict[str, Any]) -> list[Row]:
        self.queries.append(dict(query))
        ids = [row["id"] for row in self._rows]
        start = ids.index(query["page_token"]) + 1 if "page_token" in query else 0
        return self._rows[start : start + PAGE]


def test_sales_are_those_of_the_pair_and_of_every_page() -> None:
    rows = [fill(n, side="buy") for n in range(PAGE)]
    rows += [fill(1000), fill(1001, symbol="ETH/USD"), fill(1002, symbol="BTCUSD"), fill(1003, "sell_short")]
    pages = Pages(rows)
    assert [each.id for each in activities.sales(pages, "BTC/USD", NOW)] == ["e1000", "e1002", "e1003"]
    assert [query.get("page_token") for query in pages.queries] == [None, f"e{PAGE - 1}"]
    assert pages.queries[0]["after"] == NOW.isoformat()


def test_a_list_of_sales_that_does_not_end_is_none() -> None:
    pages = Pages([fill(n) for n in range(30 * PAGE)])
    with pytest.raises(ExchangeUnavailable, match="does not end"):
        activities.sales(pages, "BTC/USD", NOW)


@pytest.mark.parametrize("column", ["side", "symbol", "qty", "order_id"])
def test_a_fill_that_does_not_say_what_it_is_makes_the_list_worthless(column: str) -> None:
    row = {name: value for name, value in fill(1).items() if name != column}
    with pytest.raises(ValueError, match=r"."):
        activities.sales(Pages([row]), "BTC/USD", NOW)


def test_fills_of_an_order_are_looked_for_on_the_second_page_too_and_no_further() -> None:
    bought = order(exchange_order_id="mine", filled_qty=D("0.2"), created_at=NOW)
    others = [fill(n) for n in range(PAGE - 1)]
    rows = [*others, fill(500, "buy", order_id="mine"), fill(501, "buy", order_id="mine"), *others]
    pages = Pages(rows)
    assert [each.id for each in activities.executions(pages, [bought])] == ["e501", "e500"], "oldest first"
    assert len(pages.queries) == 2
    first_only = Pages(rows[PAGE:])
    assert len(activities.executions(first_only, [bought])) == 1
    endless = Pages([fill(n) for n in range(5 * PAGE)])
    assert activities.executions(endless, [bought]) == []
    assert len(endless.queries) == 2


def fee(number: int, **columns: str) -> Row:
    row = {"id": f"f{number}", "activity_type": "CFEE", "created_at": "2026-01-02T03:05:00Z"}
    return {**row, "net_amount": "0", **columns}


def test_fees_are_listed_with_the_fills() -> None:
    bought = order(exchange_order_id="mine", filled_qty=D("0.1"), created_at=NOW)
    dollars = "Coin Pair Transaction Fee (USD)"
    rows = [
        fee(1, symbol="BTCUSD", qty="-0.00025"),
        fee(2, symbol="BTC/USD", qty="-0.00015", created_at="", date="2026-01-02"),
        fee(3, net_amount="-2.21", description=dollars, activity_type="FEE"),
        fee(4, net_amount="-9", description="Regulatory fee"),
        fee(5, net_amount="oops", description=dollars),
        {**fill(500, "buy", order_id="mine"), "activity_type": "FILL"},
    ]
    pages = Pages(rows)
    fills, charges = activities.fills_and_fees(pages, [bought])
    assert [each.id for each in fills] == ["e500"]
    end_of_day = NOW.replace(hour=23, minute=59, second=59)
    assert [(each.symbol, each.amount) for each in charges] == [
        ("BTCUSD", D("0.00025")),
        ("BTCUSD", D("0.00015")),
        (None, D("2.21")),
    ]
    assert charges[1].at == end_of_day
    assert pages.queries[0]["activity_types"] == "FILL,CFEE,FEE"
