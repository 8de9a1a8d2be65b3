"""What open cycles would bring if they were sold now. Pure; dollars."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from dca.core import ledger
from dca.core.model import ZERO, Cycle, cents


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    """All cycles that hold coins: how many they are, what they have cost so far, and what a sale at the bids
    would leave after all fees. `unpriced`: how many have no bid, and are left out of `profit`. Each cycle is
    rounded to cents first, so that the sums are those of what is printed."""

    cycles: int
    unpriced: int
    spent: Decimal
    profit: Decimal

    def __str__(self) -> str:
        if self.cycles == 0:
            return "no open cycle holds coins"
        hold = "1 open cycle holds coins" if self.cycles == 1 else f"{self.cycles} open cycles hold coins"
        words = f"{hold}, {_dollars(self.spent)} spent"
        if self.unpriced == self.cycles:
            return f"{words}; no bid is known, so they are not valued"
        left_out = f" ({self.unpriced} without a bid left out)" if self.unpriced else ""
        return f"{words}; sold at the bid now: {_dollars(self.profit)} after all fees{left_out}"


def _dollars(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else ''}${abs(cents(amount)):,.2f}"


def value(held: Iterable[tuple[str, Cycle]], bids: Mapping[str, Decimal]) -> Valuation:
    """Value cycles by the bids of their pairs; those that hold nothing do not count."""
    found = [(symbol, cycle) for symbol, cycle in held if cycle.quantity > 0]
    priced = [(bids[symbol], cycle) for symbol, cycle in found if symbol in bids]
    return Valuation(
        cycles=len(found),
        unpriced=len(found) - len(priced),
        spent=sum((cents(spent(cycle)) for _, cycle in found), ZERO),
        profit=sum((cents(unrealized_profit(cycle, bid)) for bid, cycle in priced), ZERO),
    )


def spent(cycle: Cycle) -> Decimal:
    """What a cycle has cost so far, less what its sales brought after their fee."""
    return cycle.bought_cost - cycle.sold_proceeds + cycle.sell_fee


def unrealized_profit(cycle: Cycle, bid: Decimal) -> Decimal:
    """What would be won, after all fees, if everything held was sold at that bid."""
    proceeds = cycle.quantity * bid
    return proceeds - ledger.dollar_fee(proceeds) - spent(cycle)
