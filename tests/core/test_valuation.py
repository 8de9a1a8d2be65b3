"""What open cycles would bring: sums of what is printed."""

import logging

import pytest

from dca.core import valuation
from dca.core.model import cents, plain
from dca.database.report_queries import Which
from tests.builders import D, cycle, holding
from tests.rig import SYMBOL, Rig


def test_cents_are_rounded_as_the_database_does() -> None:
    pairs = {"1.885": "1.89", "-1.885": "-1.89", "0.0049": "0.00", "-0.0049": "0.00", "1.8849": "1.88"}
    for amount, told in pairs.items():
        assert f"{cents(D(amount)):.2f}" == told


def test_a_valuation_adds_up_what_is_printed() -> None:
    """0.1995 coins for 20 dollars each."""
    found = valuation.value(
        [("A/USD", holding()), ("B/USD", holding()), ("C/USD", cycle())], {"A/USD": D(99)}
    )
    assert (found.cycles, found.unpriced, found.spent) == (2, 1, D(40))
    assert found.profit == cents(D("0.1995") * 99 - D("0.05") - 20)
    assert str(found) == (
        "2 open cycles hold coins, $40.00 spent; sold at the bid now: -$0.30 after all fees (1 without a bid "
        "left out)"
    )
    assert "no bid is known" in str(valuation.value([("A/USD", holding())], {}))
    assert str(valuation.value([], {})) == "no open cycle holds coins"


def test_a_sum_is_that_of_the_rows() -> None:
    bids = {"A/USD": D("100.5263"), "B/USD": D("100.5263")}
    both = valuation.value([(symbol, holding()) for symbol in bids], bids).profit
    assert both == 2 * cents(valuation.unrealized_profit(holding(), D("100.5263")))


def test_the_log_tells_the_profit_that_the_tables_have(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A sale in nine parts: its exact fee is known later, and the log says what that makes of the profit."""
    caplog.set_level(logging.INFO, logger="dca")
    rig.bought("100")
    rig.quote("103")
    name, parts = rig.last_id(), [f"0.0{n}" for n in range(1, 9)]
    for part in parts:
        rig.exchange.fill(name, part, price="103")
    rig.trader.books.book(rig.exchange.fill(name, price="103"))
    sale = rig.orders(1)[-1]
    executions = rig.exchange.executions_of[sale.exchange_order_id or ""]
    rig.trader.books.confirm_fee(sale, executions)
    rig.trader.books.confirm_fee(sale, executions)
    (told,) = rig.store.transaction(lambda tx: tx.cycle_reports(None, Which.CLOSED, 9))
    lines = [line for line in caplog.messages if line.startswith(f"cycle {SYMBOL} c1 ")]
    assert [line.split("profit=")[1].split()[0] for line in lines] == ["0.49", plain(cents(told.net_profit))]
    assert f'was=0.49 why="the exact fee of {name} is known"' in lines[1]
