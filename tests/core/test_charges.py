"""Which rows of the exchange's list of fees are whose: it names no order."""

from datetime import datetime, timedelta
from decimal import Decimal

from dca.core import charges, ledger
from dca.core.charges import Charge, Charged
from dca.core.model import ZERO, CycleStatus, Execution, FeeSource, Order, Purpose
from tests.builders import NOW, D, cycle, done

TAKER, FIFTH = D("0.0025"), D("0.0015")


def sale(number: int, value: str) -> Order:
    """Sold at 100 each, at the rate that is assumed."""
    return done(
        Purpose.TAKE_PROFIT,
        id=number,
        seq=number,
        filled=str(D(value) / 100),
        exchange_order_id=f"x-{number}",
        fee_usd=ledger.dollar_fee(D(value), TAKER),
        fee_source=FeeSource.EXECUTIONS,
    )


def fills(order: Order, *values: str) -> list[Execution]:
    name = str(order.exchange_order_id)
    return [
        Execution(id=f"{name}-{number}", exchange_order_id=name, qty=D(value) / 100, price=D(100))
        for number, value in enumerate(values)
    ]


def dollars(*amounts: str, at: datetime = NOW) -> list[Charge]:
    return [Charge(symbol=None, amount=D(each), at=at) for each in amounts]


def fee(found: dict[int, Charged], order: Order) -> Decimal | None:
    return found[order.id].fee if order.id in found else None


def test_each_fill_has_its_row() -> None:
    order = sale(1, "1000")
    parts = fills(order, "600", "400")
    assert charges.of_orders([order], parts, dollars("0.90")) == {}, "the other one is still to come"
    found = charges.of_orders([order], parts, dollars("0.60", "0.90", "7.00"))
    assert found == {1: Charged(fee=D("1.50"), rates=frozenset({FIFTH}))}


def test_fills_that_are_not_listed_any_more_are_one() -> None:
    order = sale(1, "1000")
    assert fee(charges.of_orders([order], [], dollars("1.50")), order) == D("1.50")


def test_two_sales_have_their_own_rows_each() -> None:
    first, second = sale(1, "1000"), sale(2, "600")
    rows = dollars("0.90", "1.50")  # 1.50 is also what is assumed of the second: 25 of 600
    found = charges.of_orders([first, second], [], rows)
    assert fee(found, second) == D("1.50")
    assert fee(found, first) is None, "then 0.90 is no rate's of the first: it waits"
    rows = dollars("0.89", "1.48")
    assert charges.of_orders([first, second], [], rows) == {}, "no rate makes them"
    assert set(charges.of_orders([sale(1, "999"), second], [], dollars("0.90", "1.50"))) == {2}


def test_rows_of_several_amounts_that_would_do_are_nobody_s() -> None:
    order = sale(1, "1000")
    assert charges.of_orders([order], [], dollars("1.50", "2.00")) == {}
    assert fee(charges.of_orders([order], [], dollars("1.50", "2.50")), order) == D("2.50"), "as assumed"
    assert fee(charges.of_orders([order], [], dollars("1.50", "1.50")), order) == D("1.50")


def test_a_row_that_is_older_than_the_order_is_another_s() -> None:
    order = sale(1, "1000")
    before = dollars("1.50", at=order.created_at - timedelta(minutes=2))
    assert charges.of_orders([order], [], before) == {}


def test_coins_are_of_their_pair() -> None:
    order = done(filled="0.2", exchange_order_id="x-1", fee_source=FeeSource.EXECUTIONS)
    rows = [Charge(symbol=symbol, amount=D("0.0003"), at=NOW) for symbol in ("ETHUSD", None)]
    assert charges.of_orders([order], [], rows) == {}
    rows.append(Charge(symbol="BTCUSD", amount=D("0.0003"), at=NOW))
    assert fee(charges.of_orders([order], [], rows), order) == D("0.0003")


def test_what_was_charged_is_booked_of_sales_and_of_coins_that_are_held() -> None:
    charged = Charged(fee=D("1.50"), rates=frozenset({FIFTH}))
    live, ended = cycle(), cycle(status=CycleStatus.COMPLETE, completed_at=NOW)
    order = sale(1, "1000")
    after = charges.confirmed(order, ended, [], charged)
    assert after is not None
    assert (after.fee_usd, after.fee_qty, after.fee_rate) == (D("1.50"), ZERO, FIFTH)
    assert charges.confirmed(after, ended, [], charged) is None, "the last word"
    buy = done(filled="0.2", fee_source=FeeSource.EXECUTIONS)
    coins = Charged(fee=D("0.0003"), rates=frozenset({FIFTH}))
    held = charges.confirmed(buy, live, [], coins)
    assert held is not None and (held.fee_qty, held.fee_usd) == (D("0.0003"), ZERO)
    assert charges.confirmed(buy, ended, [], coins) is None


def test_the_account_s_rate_is_that_of_a_sale_and_of_nothing_else() -> None:
    charged = Charged(fee=D("1.50"), rates=frozenset({FIFTH}))
    assert charges.account_rate(sale(1, "1000"), charged, TAKER) == FIFTH
    assert charges.account_rate(done(), charged, TAKER) == TAKER, "a buy may have rested"
    assert charges.account_rate(sale(1, "1000"), charged, D("0.0018")) == D("0.0018"), "learned since"
    cents = Charged(fee=D("0.03"), rates=frozenset({FIFTH, D("0.0013")}))
    assert charges.account_rate(sale(1, "20"), cents, TAKER) == TAKER
    makers = Charged(fee=D("0.80"), rates=frozenset({D("0.0008")}))
    assert charges.account_rate(sale(1, "1000"), makers, TAKER) == TAKER
