"""How a take-profit is decided and ordered, as the operator set it. Pure.

By default the best bid decides and the order is a market sell. On a thin book both fall short: one good bid
with little behind it decides, and what is sold below it is sold for less than was promised.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from dca.core import ledger
from dca.core.liquidity import worst_acceptable
from dca.core.model import ZERO, Cycle, Side, TradingRules, round_down, round_up

GTC, IOC = "gtc", "ioc"
"""Times in force: an order stays until it is filled or canceled, or takes what there is and ends at once."""


class TakeProfitBy(StrEnum):
    BID = "bid"
    """The best bid reaches the take-profit price."""
    BOOK = "book"
    """All that is to be sold would sell for the take-profit price on average."""


class TakeProfitOrder(StrEnum):
    MARKET = "market"
    LIMIT_IOC = "limit_ioc"
    """A limit order that takes what the book has at its price and cancels the rest."""


class OnMissingBook(StrEnum):
    DEFER = "defer"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selling:
    """`max_slippage_bps`: how far below the take-profit price a limit order may sell, in basis points."""

    by: TakeProfitBy = TakeProfitBy.BID
    order: TakeProfitOrder = TakeProfitOrder.MARKET
    max_slippage_bps: Decimal = ZERO
    on_missing_book: OnMissingBook = OnMissingBook.DEFER
    max_book_age_seconds: Decimal = Decimal(15)

    def level(self, cycle: Cycle, rules: TradingRules, take_profit_price: Decimal) -> Decimal:
        """The bid at which a take-profit is due: a limit order is never due below its own limit."""
        if self.order is TakeProfitOrder.MARKET:
            return take_profit_price
        return max(take_profit_price, break_even_price(cycle, rules))

    def limit_price(self, cycle: Cycle, rules: TradingRules, take_profit_price: Decimal) -> Decimal | None:
        """The least price to sell at, never below break-even (I33); None for a market order."""
        if self.order is TakeProfitOrder.MARKET:
            return None
        least = worst_acceptable(take_profit_price, self.max_slippage_bps, Side.SELL)
        return max(break_even_price(cycle, rules), round_up(least, rules.price_increment))


def break_even_price(cycle: Cycle, rules: TradingRules) -> Decimal:
    """The price at which selling all that can be sold brings back what the cycle still has to earn, after the
    fee; rounded up to the pair's price increment."""
    spent = max(cycle.bought_cost - cycle.sold_proceeds + cycle.sell_fee, ZERO)
    sellable = round_down(cycle.quantity, rules.qty_increment)
    return round_up(ledger.break_even_price(spent, sellable), rules.price_increment)


AT_MARKET = Selling()
