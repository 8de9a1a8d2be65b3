"""What each cycle came to, in dollars and cents, from the exchange's executions. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal

from demo.rows import ZERO, Books, Row, num
from demo.truth import CENT, TAKER_FEE, Truth, coins, dollars, gross

ENDED = frozenset({"complete", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A cycle. `sold_at`: the average price of its sales, or for an open one the bid that it is valued at.
    Dollars are rounded to cents here, so that a total is the sum of what is printed."""

    symbol: str
    cycle: str
    safety_orders: int
    bought_for: Decimal
    average: Decimal | None
    sold_at: Decimal | None
    fees: Decimal
    profit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What several cycles come to."""

    bought_for: Decimal
    fees: Decimal
    profit: Decimal


def of_ended(books: Books) -> list[Result]:
    """The cycles that are over, with the profit that the bot booked."""
    truth = Truth(books)
    return [_ended(truth, cycle) for cycle in books.cycles if cycle["status"] in ENDED]


def of_open(books: Books) -> list[Result]:
    """The live cycles that have bought something, at what a sale at the bid would make of them now."""
    truth = Truth(books)
    live = [cycle for cycle in books.cycles if cycle["status"] not in ENDED]
    return [_open(truth, cycle) for cycle in live if _fills(truth, cycle)]


def total(results: Iterable[Result]) -> Sum:
    found = list(results)
    return Sum(
        bought_for=sum((each.bought_for for each in found), ZERO),
        fees=sum((each.fees for each in found), ZERO),
        profit=sum((each.profit for each in found), ZERO),
    )


def _fills(truth: Truth, cycle: Row) -> list[Row]:
    return [each for row in truth.ledger_of_cycle(cycle) for each in truth.fills(row)]


def _ended(truth: Truth, cycle: Row) -> Result:
    fills = _fills(truth, cycle)
    sold, proceeds = gross([each for each in fills if each["side"] == "sell"])
    name = str(cycle["id"]) if cycle["status"] == "complete" else f"{cycle['status']} {cycle['id']}"
    profit, sold_at = num(cycle, "net_profit"), proceeds / sold if sold else None
    return _result(truth, cycle, name, sold_at=sold_at, fees=_fees(fills), profit=profit)


def _open(truth: Truth, cycle: Row) -> Result:
    fills = _fills(truth, cycle)
    bid = num(truth.books.state.get("quotes", {}).get(truth.asset_of(cycle)["asset_symbol"], {}), "bid")
    value = max(sum((coins(each) for each in fills), ZERO), ZERO) * bid
    fee = (value * TAKER_FEE).quantize(CENT, rounding=ROUND_UP)
    profit = sum((dollars(each) for each in fills), ZERO) + value - fee
    return _result(truth, cycle, str(cycle["id"]), sold_at=bid, fees=_fees(fills) + fee, profit=profit)


def _result(
    truth: Truth, cycle: Row, name: str, *, sold_at: Decimal | None, fees: Decimal, profit: Decimal
) -> Result:
    qty, spent = gross([each for each in _fills(truth, cycle) if each["side"] == "buy"])
    return Result(
        symbol=str(truth.asset_of(cycle)["asset_symbol"]),
        cycle=name,
        safety_orders=int(cycle["safety_orders"]),
        bought_for=_cents(spent),
        average=spent / qty if qty else None,
        sold_at=sold_at,
        fees=_cents(fees),
        profit=_cents(profit),
    )


def _fees(fills: list[Row]) -> Decimal:
    """Dollars of the sales' fees, and the coins of the buys' at the price they were bought for."""
    return sum((num(e, "fee_usd") + num(e, "fee_qty") * num(e, "price") for e in fills), ZERO)


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)
