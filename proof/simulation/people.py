"""A person beside the bot: edits rows, cancels, sells and buys by hand, and at last puts it all right."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

from dca.core.errors import BrokenRule
from dca.core.model import CycleStatus, Mode
from dca.operator.actions import undecided
from paper_exchange.engine import Engine
from paper_exchange.values import STEP, ZERO, Refused, plain
from proof.simulation.tables import Tables

_DECIMALS = frozenset(
    {
        *("take_profit_percent", "safety_order_deviation", "base_order_amount", "safety_order_amount"),
        *("average_purchase_price", "quantity", "last_order_fill_price"),
    }
)


class Database(Protocol):
    """Where a person's MySQL client is."""

    def tables(self) -> Tables: ...
    def edit(self, work: Callable[[Any], Any]) -> None: ...


class Person:
    """Acts at once and undisturbed."""

    def __init__(self, database: Database, engine: Engine) -> None:
        self._database = database
        self._engine = engine
        self._settings = dict(database.tables().assets)
        self.sold: dict[str, Decimal] = {}
        """Coins of the bot's that were sold by hand, by pair."""
        self.edited_assets = False
        self.edited_cycles = False
        self._wrote_into: set[int] = set()
        self.wished = False

    def edit_asset(self, symbol: str, column: str, value: Any) -> bool:
        self.edited_assets = True
        asset = self._asset(symbol)
        self._database.edit(lambda tx: tx.edit_asset(asset.id, {column: _typed(column, value)}))
        return True

    def edit_cycle(self, symbol: str, column: str, value: Any) -> bool:
        """Write nonsense into the live cycle's row, as far as the table takes it."""
        cycle = self._live_cycle(symbol)
        if cycle is None or cycle.status is CycleStatus.COOLDOWN:
            return False
        typed = CycleStatus(value) if column == "status" else _typed(column, value)
        try:
            self._database.edit(lambda tx: tx.edit_cycle(cycle.id, {column: typed}))
        except BrokenRule:
            return False  # the table does not take it
        self.edited_cycles = True
        self._wrote_into.add(cycle.id)
        return True

    def turn_switch(self, mode: Mode) -> bool:
        self._database.edit(lambda tx: tx.set_mode(mode, "a person"))
        return True

    def want_out(self, symbol: str, now: datetime) -> bool:
        """What ./bot sell writes."""
        cycle = self._live_cycle(symbol)
        if cycle is None or cycle.quantity == 0:
            return False
        self.wished = True
        self._database.edit(lambda tx: tx.edit_cycle(cycle.id, {"exit_requested_at": now}))
        return True

    def accept(self, symbol: str, now: datetime) -> bool:
        """What ./bot accept writes about orders that wait for a word."""
        asset = self._asset(symbol)
        waiting = any(
            order.is_undecided and not order.is_live and order.asset_id == asset.id
            for order in self._database.tables().orders.values()
        )
        if waiting:
            self._database.edit(lambda tx: undecided.decide(tx, asset, now))
        return waiting

    def accept_all(self, now: datetime) -> None:
        for asset in self._database.tables().assets.values():
            self.accept(asset.asset_symbol, now)

    def sell(self, symbol: str, share: Decimal) -> bool:
        qty = (self._engine.available(symbol) * share).quantize(STEP, rounding="ROUND_DOWN")
        if not self._trade(symbol, "sell", qty):
            return False
        self.sold[symbol] = self.sold.get(symbol, ZERO) + qty
        return True

    def buy(self, symbol: str, dollars: Decimal) -> bool:
        """Coins that are the person's own."""
        qty = (dollars / self._engine.quotes[symbol].ask).quantize(STEP, rounding="ROUND_DOWN")
        return self._trade(symbol, "buy", qty)

    def bid(self, symbol: str, dollars: Decimal) -> bool:
        """An order of the person's own, far below the market: it rests."""
        price = (self._engine.quotes[symbol].bid / 2).quantize(STEP)
        qty = (dollars / price).quantize(STEP, rounding="ROUND_DOWN")
        return self._trade(symbol, "buy", qty, price)

    def withdraw(self) -> None:
        """Cancel what rests of the person's own."""
        for order in self._engine.open_orders():
            if order.manual:
                self._engine.cancel(order.id)

    def _trade(self, symbol: str, side: str, qty: Decimal, limit: Decimal | None = None) -> bool:
        body = {"symbol": symbol, "side": side, "type": "market", "time_in_force": "gtc", "qty": plain(qty)}
        if limit is not None:
            body |= {"type": "limit", "limit_price": plain(limit)}
        try:
            self._engine.submit(body, manual=True)
        except Refused:
            return False
        return True

    def put_right(self) -> None:
        """All settings as they were at first, the switch on run, and the coins back that were sold."""

        def work(tx: Any) -> None:
            tx.set_mode(Mode.RUN, "put right")
            for asset in self._settings.values():
                names = ("is_enabled", "take_profit_percent", "max_safety_orders", "safety_order_deviation")
                amounts = ("base_order_amount", "safety_order_amount", "cooldown_period")
                tx.edit_asset(asset.id, {name: getattr(asset, name) for name in (*names, *amounts)})

        self._database.edit(work)
        self._take_back_invented_coins()
        for symbol, qty in self.sold.items():
            self._engine.deposit(symbol, qty)

    def _take_back_invented_coins(self) -> None:
        """What no order explains locks its asset until the operator has put it right: rightly so."""
        tables = self._database.tables()
        for number in sorted(self._wrote_into):
            if number in tables.live_cycle.values() and not tables.of_cycle.get(number):
                nothing = {"quantity": ZERO, "average_purchase_price": ZERO, "safety_orders": 0}
                self._database.edit(partial(_write_cycle, number, {**nothing, "last_order_fill_price": None}))

    def disable_all(self) -> None:
        def work(tx: Any) -> None:
            for asset in self._settings.values():
                tx.edit_asset(asset.id, {"is_enabled": False})

        self._database.edit(work)

    def _asset(self, symbol: str) -> Any:
        assets = self._database.tables().assets.values()
        return next(asset for asset in assets if asset.asset_symbol == symbol)

    def _live_cycle(self, symbol: str) -> Any:
        tables = self._database.tables()
        number = tables.live_cycle.get(self._asset(symbol).id)
        return None if number is None else replace(tables.cycles[number])


def _write_cycle(number: int, values: dict[str, Any], tx: Any) -> None:
    tx.edit_cycle(number, values)


def _typed(column: str, value: Any) -> Any:
    return Decimal(str(value)) if column in _DECIMALS else value
