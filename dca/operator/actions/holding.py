"""An asset's holding according to the ledger and the account; shared by sell, adopt and accept."""

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from dca.core import lifecycle, outside_trades, strategy
from dca.core.errors import StartRefused, Unavailable
from dca.core.model import Asset, Cycle, CycleStatus, Order, OrderState, Position, Purpose, TradingRules
from dca.core.order_cleanup import Books
from dca.core.outside_trades import Trade
from dca.database.store import Transaction
from dca.operator.session import Tools

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
OLDEST_BID_SECONDS = Decimal(300)
SETTLED_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An asset's live cycle, its orders, and what the account holds of it."""

    asset: Asset
    cycle: Cycle
    orders: tuple[Order, ...]
    position: Position
    rules: TradingRules

    @property
    def books(self) -> Books:
        return Books(
            asset=self.asset,
            cycle=self.cycle,
            orders=self.orders,
            ghosts=tuple(order for order in self.orders if order.state is OrderState.GHOST),
            position=self.position,
            rules=self.rules,
        )


def holding_of(tools: Tools, symbol: str) -> Holding:
    """Read an asset's holding from the database and the exchange.

    Raises:
        StartRefused: no such asset, no live cycle, or no such pair on the exchange.
        Unavailable: the database or the exchange does not answer.
    """
    asset = tools.asset(symbol)
    rules = tools.broker.trading_rules().get(asset.asset_symbol)
    if rules is None:
        raise StartRefused(
            f"the exchange has no pair {asset.asset_symbol}: run ./bot retire {asset.asset_symbol}"
        )
    position = tools.broker.position(asset.asset_symbol)
    cycle, orders = tools.store.transaction(lambda tx: live(tx, asset))
    return Holding(asset=asset, cycle=cycle, orders=tuple(orders), position=position, rules=rules)


def too_soon(tools: Tools, asset: Asset) -> str | None:
    """Why the account's position cannot be trusted yet, or None: fills appear in it some seconds late."""
    at = tools.store.transaction(lambda tx: tx.last_fill_at(asset.id))
    if at is None or tools.clock.now() - at > SETTLED_AFTER:
        return None
    return "an order was just filled and the position may not include it yet: try again in 30 seconds"


def live(tx: Transaction, asset: Asset) -> tuple[Cycle, list[Order]]:
    """An asset's live cycle, locked, and its orders.

    Raises:
        StartRefused: there is none.
    """
    cycle = tx.live_cycle(asset.id)
    if cycle is None:
        raise StartRefused(f"{asset.asset_symbol} has no live cycle: main_app starts one when it runs")
    return cycle, tx.counting_orders(cycle.id)


def bid_of(tools: Tools, symbol: str) -> Decimal | None:
    """The current bid; None if the exchange does not answer or the quote is not usable."""
    try:
        quotes = tools.broker.latest_quotes([symbol], tools.clock.now())
    except Unavailable:
        return None
    quote, spread = quotes.get(symbol), tools.settings.max_spread_percent
    if quote is None or strategy.quote_problem(
        quote, tools.clock.now(), max_age_seconds=OLDEST_BID_SECONDS, max_spread_percent=spread
    ):
        return None
    return quote.bid


def positive(text: str) -> Decimal:
    """A number above 0 from the command line."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def book_outside_sale(
    tx: Transaction, tools: Tools, holding: Holding, cycle: Cycle, qty: Decimal, price: Decimal
) -> None:
    """Book `qty` of a locked cycle as sold outside at `price`. A live cycle with nothing left becomes
    complete, and the next one starts in cooldown."""
    now, orders = tools.clock.now(), tx.counting_orders(cycle.id)
    row = outside_trades.row(
        Trade(purpose=Purpose.OUTSIDE, qty=qty, price=price),
        control=tx.control(),
        asset=holding.asset,
        cycle=cycle,
        orders=orders,
        rules=holding.rules,
        now=now,
    )
    after = lifecycle.sold_outside(cycle, [*orders, insert(tx, row)], holding.rules, now)
    tx.update_cycle(after)
    if after.status is CycleStatus.COMPLETE and cycle.status is not CycleStatus.COMPLETE:
        tx.set_last_sell_price(holding.asset.id, price)
        tx.insert_cycle(holding.asset.id, CycleStatus.COOLDOWN, now)


def leftovers_of(tx: Transaction, asset: Asset) -> tuple[Cycle, ...]:
    """The asset's complete cycles that hold a sellable quantity again, from late fills."""
    return tuple(late for late in tx.leftover_cycles(_LONG_AGO) if late.asset_id == asset.id)


def insert(tx: Transaction, row: Order) -> Order:
    """Insert the row of an outside trade, already answered: nothing is sent to the exchange."""
    written = tx.insert_order(row)
    tx.answer_attempt(written.id, 1, "accepted")
    return written
