"""./bot cycles, orders, profit: the numbers of the books, whole, exact and readable."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dca.core.model import CycleStatus, OrderState
from dca.database.report_queries import By
from dca.database.store import Store, Transaction
from dca.operator import formatting
from tests import sales
from tests.builders import NOW, D, done
from tests.operating import Operator
from tests.sales import Sale, complete

bot, sold = sales.bot, sales.sold  # fixtures: an import would clash with arguments


def table(text: str) -> list[list[str]]:
    """The rows below a table's line, as words."""
    lines = text.split("─\n", 1)[1].split("\n\n")[0].splitlines()
    return [line.split() for line in lines if line.strip("─")]


# ---- profit ----


def test_profit_by_day_is_by_utc_and_adds_up(bot: Operator, sold: Store) -> None:
    out = bot.types("profit").out
    assert table(out) == [
        ["2026-02-28", "1", "20.00", "21.95", "0.11", "1.89", "9.45"],
        ["2026-03-01", "2", "40.00", "41.90", "0.22", "1.78", "4.45"],
        ["total", "3", "60.00", "63.85", "0.33", "3.67", "6.12"],
    ]


def test_profit_by_month_and_by_asset(bot: Operator, sold: Store) -> None:
    assert [row[:2] for row in table(bot.types("profit", "--by", "month").out)] == [
        ["2026-02", "1"],
        ["2026-03", "2"],
        ["total", "3"],
    ]
    by_asset = table(bot.types("profit", "--by", "asset").out)
    assert [(row[0], row[1], row[5]) for row in by_asset] == [
        ("BTC/USD", "2", "3.78"),
        ("ETH/USD", "1", "-0.11"),
        ("total", "3", "3.67"),
    ]


def test_profit_as_json_is_the_sum_of_cents(bot: Operator, sold: Store) -> None:
    """Net profit = sold_proceeds - sell_fee - bought_cost; fees = 0.06 + 0.0005 coins at 100."""
    said = bot.types("profit", "--by", "asset", "--json").json()
    btc, eth = said["rows"]
    assert (btc["label"], btc["cycles"]) == ("BTC/USD", 2)
    assert Decimal(btc["net_profit"]) == 2 * D("1.89")
    assert Decimal(btc["fees"]) == D("0.22")
    assert Decimal(eth["net_profit"]) == D("-0.11")
    assert Decimal(said["total"]["net_profit"]) == 2 * D("1.89") - D("0.11")
    assert said["open"] == {"cycles": 0, "unpriced": 0, "spent": "0", "profit": "0"}


def test_what_is_not_complete_is_no_profit(bot: Operator, sold: Store) -> None:
    """A live cycle that bought, and one that ended as an error, count for nothing."""

    def spoil(tx: Transaction) -> None:
        live = tx.live_cycle(1)
        assert live is not None
        tx.update_cycle(replace(live, status=CycleStatus.ERROR, completed_at=NOW, bought_cost=D(500)))

    before = bot.types("profit", "--json").json()
    sold.transaction(spoil)
    assert bot.types("profit", "--json").json() == before


def test_profit_over_very_many_cycles_is_a_statement_or_two(bot: Operator, ready: Store) -> None:
    count = 20_000
    ready.run_script(
        "INSERT INTO dca_cycles (asset_id, status, completed_at, bought_cost, sold_proceeds)"
        " WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000),"
        " m AS (SELECT i FROM n WHERE i <= 20)"
        " SELECT 1, 'complete', TIMESTAMPADD(HOUR, n.i, '2026-01-01'), 20, 21 FROM n, m;\n"
    )
    asked = "SHOW SESSION STATUS LIKE 'Com_select'"

    def selects(tx: Transaction) -> int:
        return int(tx._rows(asked)[0]["Value"])

    def counted(tx: Transaction) -> tuple[int, Any]:
        before = selects(tx)
        rows = tx.profits(By.DAY)
        return selects(tx) - before, rows

    statements, rows = ready.transaction(counted)
    assert statements == 2, "the newest id, and a portion of 50,000"
    assert (len(rows), sum(row.cycles for row in rows)) == (42, count)
    assert sum(row.net_profit for row in rows) == count
    assert bot.types("profit", "--by", "asset", "--json").json()["total"]["net_profit"] == str(count)


def test_every_total_is_the_sum_of_the_cycles_as_printed(bot: Operator, ready: Store) -> None:
    """Half cents: cycles, days, assets, the sums in all and the digest's agree to the cent."""
    for hour, price in enumerate(("110", "110.05", "99.95", "110", "101.23", "99.777")):
        began = datetime.fromisoformat(f"2026-03-0{1 + hour // 3}T10:00:00+00:00") + timedelta(hours=hour)
        complete(ready, Sale(1 + hour % 2, began, price))
    printed = [row[-2] for row in table(bot.types("cycles", "--closed", columns=160).out)]
    in_all = sum(map(Decimal, printed))
    for by in By:
        rows = table(bot.types("profit", "--by", by.value).out)
        assert sum(Decimal(row[5]) for row in rows[:-1]) == Decimal(rows[-1][5]) == in_all
    assert ready.transaction(lambda tx: tx.profit_since(None)) == (6, in_all)


def test_open_cycles_are_valued_beside_the_profit(bot: Operator, sold: Store) -> None:
    def buy(tx: Transaction) -> None:
        cycle = tx.live_cycle(1)
        assert cycle is not None
        held: dict[str, Any] = {"quantity": D("0.1995"), "bought_qty": D("0.2"), "bought_cost": D(20)}
        held |= {"average_purchase_price": D(100), "last_order_fill_price": D(100)}
        tx.update_cycle(replace(cycle, status=CycleStatus.WATCHING, buy_fee_qty=D("0.0005"), **held))

    sold.transaction(buy)
    told = bot.types("profit").flat
    assert "Not counted: 1 open cycle holds coins, $20.00 spent; no bid is known" in told
    assert bot.types("profit", "--json").json()["open"] == {
        "cycles": 1,
        "unpriced": 1,
        "spent": "20",
        "profit": "0",
    }


# ---- cycles ----


def test_cycles_newest_first(bot: Operator, sold: Store) -> None:
    rows = table(bot.types("cycles", columns=160).out)
    assert [row[:3] for row in rows] == [
        ["5", "cooldown", "ETH/USD"],
        ["4", "cooldown", "BTC/USD"],
        ["3", "complete", "BTC/USD"],
        ["2", "complete", "ETH/USD"],
        ["1", "complete", "BTC/USD"],
    ]
    first = rows[-1]
    assert first[-5:] == ["0.11", "20.00", "21.95", "1.89", "9.42"]
    assert "1h00m" in first
    assert rows[0][-2:] == ["-", "-"], "nothing is won before the end"
    assert rows[3][-2:] == ["-0.11", "-0.55"]


def test_cycles_can_be_chosen(bot: Operator, sold: Store) -> None:
    def ids(*options: str) -> list[int]:
        return [cycle["id"] for cycle in bot.types("cycles", *options, "--json").json()]

    assert ids() == [5, 4, 3, 2, 1]
    assert ids("--live") == [5, 4]
    assert ids("--closed") == [3, 2, 1]
    assert ids("btc/usd", "--closed") == [3, 1]
    assert ids("--last", "2") == [5, 4]
    assert bot.types("cycles", "--live", "--closed").code == 2
    assert bot.types("cycles", "--last", "0").code == 2
    assert "there are: BTC/USD, ETH/USD" in bot.types("cycles", "DOGE/USD").err


def test_a_cycle_as_json(bot: Operator, sold: Store) -> None:
    cycle = bot.types("cycles", "--closed", "ETH/USD", "--json").json()[0]
    assert cycle["first_buy_at"] == "2026-03-01T01:00:00Z" and cycle["completed_at"] == "2026-03-01T02:00:00Z"
    assert (cycle["seconds"], cycle["status"], cycle["problem"]) == (3600.0, "complete", None)
    exact = {"fees_usd": "0.11", "buy_fee_usd": "0.05", "sell_fee": "0.06", "net_profit": "-0.11"}
    assert {name: cycle[name] for name in exact} == exact


def test_a_cycles_problem_is_told_below(bot: Operator, ready: Store) -> None:
    def trouble(tx: Transaction) -> None:
        cycle = tx.live_cycle(1)
        assert cycle is not None
        tx.update_cycle(replace(cycle, problem="refused: [insufficient balance]"))

    ready.transaction(trouble)
    assert "1 BTC/USD: refused: [insufficient balance]" in bot.types("cycles").out


def test_the_widest_cycle_fits(bot: Operator, ready: Store) -> None:
    """Every column at its widest; Operator.types judges the width, here it is that nothing is cut off."""

    def grow(tx: Transaction) -> None:
        tx._write("SET FOREIGN_KEY_CHECKS = 0", [])
        tx._write("UPDATE dca_orders SET cycle_id = 123456 WHERE cycle_id = 1", [])
        tx._write("UPDATE dca_assets SET asset_symbol = 'AVAX/USD' WHERE id = 1", [])
        tx._write(
            "UPDATE dca_cycles SET id = 123456, average_purchase_price = 64099.85, bought_cost = 99999.99,"
            " sold_proceeds = 199999.99, sell_fee = 500, buy_fee_qty = 0.01, safety_orders = 1000"
            " WHERE id = 1",
            [],
        )

    complete(ready, Sale(1, datetime.fromisoformat("2026-11-20T10:00:00+00:00"), lasted=timedelta(days=99)))
    ready.transaction(grow)
    assert table(bot.types("cycles", "--closed", columns=120).out)[0][-5:] == [
        *["1,141", "100,000", "200,000", "99,500", "99.50"]
    ]
    assert table(bot.types("cycles", "--closed").out) == [
        *[["123456", "AVAX/USD", "08-13", "10:00", "99d00h", "100,000", "99,500"]],
        *[["complete", "1000", "11-20", "10:00", "1,141", "200,000", "99.50"]],
    ]


# ---- orders ----


def test_orders_newest_first(bot: Operator, sold: Store) -> None:
    rows = bot.types("orders", "--json").json()
    assert [row["id"] for row in rows] == [6, 5, 4, 3, 2, 1]
    assert [row["id"] for row in bot.types("orders", "ETH/USD", "--last", "1", "--json").json()] == [6]
    sell = rows[0]
    assert (sell["side"], sell["purpose"], sell["limit_price"], sell["qty"]) == (
        "sell",
        "take_profit",
        None,
        "0.2",
    )
    assert (sell["filled_qty"], sell["filled_avg_price"], sell["fee_usd"]) == ("0.1995", "100", "0.06")
    lines = table(bot.types("orders", "--last", "2").out)
    assert lines[0][-5:] == ["ETH/USD", "take-profit", "0.2", "0.1995", "19.95"]
    assert lines[1] == ["dca-abcd1234-2-2-tp", "done", "canceled", "market", "100.00", "$0.06"]
    assert lines[2][-5:] == ["ETH/USD", "base", "0.2", "0.2", "20.00"]
    assert lines[3] == ["dca-abcd1234-2-1-b", "done", "filled", "100.00", "100.00", "0.0005"]
    (one,) = table(bot.types("orders", "--last", "1", columns=160).out)
    assert one[2:7] == ["dca-abcd1234-2-2-tp", "ETH/USD", "done", "take-profit", "canceled"]


def test_only_open_orders(bot: Operator, sold: Store) -> None:
    assert "No order is open: ./bot orders shows" in bot.types("orders", "--open").flat
    live = done(
        id=0,
        cycle_id=4,
        asset_id=1,
        seq=1,
        client_order_id="dca-abcd1234-4-1-b",
        state=OrderState.ACKED,
        closed_at=None,
    )
    ghost = replace(live, seq=2, client_order_id="dca-abcd1234-4-2-b", state=OrderState.GHOST)
    gone = replace(ghost, seq=3, client_order_id="dca-abcd1234-4-3-b", closed_at=NOW)
    for each in (live, ghost, gone):
        sold.transaction(lambda tx, order=each: tx.insert_order(order))  # type: ignore[misc]
    found = bot.types("orders", "--open", "--json").json()
    assert [order["client_order_id"] for order in found] == ["dca-abcd1234-4-2-b", "dca-abcd1234-4-1-b"]


# ---- nothing yet ----


@pytest.mark.parametrize("command", ["cycles", "orders", "profit"])
def test_an_empty_database_is_told_what_to_do(bot: Operator, store: Store, command: str) -> None:
    said = bot.types(command)
    assert said.code == 0 and "./bot add BTC/USD" in said.out
    empty = bot.types(command, "--json").json()
    assert (empty["rows"] if command == "profit" else empty) == []


def test_assets_and_no_trade_yet(bot: Operator, ready: Store) -> None:
    assert "No cycle is complete yet, so nothing is won or lost; 2 live" in bot.types("profit").flat
    assert "There is no order yet: main_app places the first one" in bot.types("orders").flat
    assert "There is no closed cycle of BTC/USD yet" in bot.types("cycles", "BTC/USD", "--closed").flat
    ready.run_script("DELETE FROM dca_cycles;\n")
    assert "main_app begins one for each enabled asset" in bot.types("cycles").flat


# ---- how things look ----


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0", "0"),
        ("0.000312013", "0.000312013"),
        ("0.000312013999", "0.000312013"),
        ("1.50000", "1.5"),
        ("4701112.137795078", "4701112.13"),
        ("25804.92531234", "25804.9253"),
        ("100", "100"),
    ],
)
def test_coins(text: str, shown: str) -> None:
    assert formatting.coins(D(text)) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("64099.85", "64,099.85"),
        ("100", "100.00"),
        ("3.14159265", "3.14159"),
        ("0.120012", "0.120012"),
        ("0.0000130014", "0.000013001"),
        ("0", "0.00"),
    ],
)
def test_prices(text: str, shown: str) -> None:
    assert formatting.price(D(text)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0s"), (59.9, "59s"), (61, "1m01s"), (3600, "1h00m"), (90061, "1d01h")]
)
def test_spans(seconds: float, shown: str) -> None:
    assert formatting.span(timedelta(seconds=seconds)) == shown
