"""The test's own rows: read, and shaped as an operator, a crash or a hand at the database would."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from dca.core import ledger, lifecycle
from dca.core.model import (
    Asset,
    Control,
    Cycle,
    CycleStatus,
    FeeSource,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Side,
    TradingRules,
    round_down,
    round_up,
)
from dca.core.operations import JobRun
from dca.database.store import Store, Transaction
from dca.runtime.clock import SystemClock

DOLLARS = Decimal(11)
"""One order: Alpaca takes no buy under $10, and quantities are rounded down."""
PERCENT = Decimal(5)
"""Distance of safety order, take-profit and early restart: no real market gets there during a test."""
COOLDOWN_SECONDS = 3600


class Books:
    """One connection to the test's database."""

    def __init__(self, store: Store, clock: SystemClock) -> None:
        self._store = store
        self._clock = clock

    def close(self) -> None:
        self._store.close()

    def control(self) -> Control:
        return self._store.transaction(lambda tx: tx.control())

    def asset(self, symbol: str) -> Asset | None:
        assets = self._store.transaction(lambda tx: tx.assets())
        return next((asset for asset in assets if asset.asset_symbol == symbol), None)

    def live(self, symbol: str) -> Cycle | None:
        asset = self.asset(symbol)
        if asset is None:
            return None
        cycles = self._store.transaction(lambda tx: tx.live_cycles())
        return next((cycle for cycle in cycles if cycle.asset_id == asset.id), None)

    def cycle(self, cycle_id: int) -> Cycle:
        return self._store.transaction(lambda tx: tx.cycle(cycle_id))

    def orders(self, cycle_id: int) -> list[Order]:
        return self._store.transaction(lambda tx: tx.orders(cycle_id))

    def order(self, order: Order) -> Order:
        """The same order as its row is now."""
        return next(each for each in self.orders(order.cycle_id) if each.id == order.id)

    def last_run(self, job: str) -> JobRun | None:
        return self._store.transaction(lambda tx: tx.last_runs()).get(job)

    def new_asset(
        self,
        symbol: str,
        *,
        enabled: bool = True,
        status: CycleStatus | None = None,
        cooldown_started_at: datetime | None = None,
        cooldown_seconds: int = COOLDOWN_SECONDS,
        last_sell_price: Decimal | None = None,
    ) -> None:
        """Write a row of dca_assets, and with `status` its first cycle in the same transaction."""
        values = {
            "asset_symbol": symbol,
            "is_enabled": enabled,
            "base_order_amount": DOLLARS,
            "safety_order_amount": DOLLARS,
            "max_safety_orders": 1,
            "safety_order_deviation": PERCENT,
            "take_profit_percent": PERCENT,
            "cooldown_period": cooldown_seconds,
            "buy_order_price_deviation_percent": PERCENT,
        }

        def work(tx: Transaction) -> None:
            asset_id = tx.insert_asset(values)
            if last_sell_price is not None:
                tx.set_last_sell_price(asset_id, last_sell_price)
            if status is not None:
                tx.insert_cycle(asset_id, status, cooldown_started_at)

        self._store.transaction(work)

    def set_cooldown(self, symbol: str, seconds: int) -> None:
        """What the operator's `set` does."""
        asset = self.asset(symbol)
        assert asset is not None
        self._store.transaction(lambda tx: tx.change_asset(asset.id, {"cooldown_period": seconds}))

    def enable(self, symbol: str, *, enabled: bool) -> None:
        asset = self.asset(symbol)
        if asset is not None:
            self._store.transaction(lambda tx: tx.change_asset(asset.id, {"is_enabled": enabled}))

    def set_last_sell_price(self, symbol: str, price: Decimal) -> None:
        asset = self.asset(symbol)
        assert asset is not None, "its row was written before"
        self._store.transaction(lambda tx: tx.set_last_sell_price(asset.id, price))

    def edit_cycle(self, cycle_id: int, status: CycleStatus, safety_orders: int) -> None:
        """Put nonsense into a cycle's row, as a hand at the database might."""

        def work(tx: Transaction) -> None:
            tx.update_cycle(replace(tx.cycle(cycle_id), status=status, safety_orders=safety_orders))

        self._store.transaction(work)

    def move_fills(self, cycle_id: int, price: Decimal) -> None:
        """Let all buys of a cycle have been filled at another price: the cycle follows from them, and the
        real market then stands above or below the prices that the rules compare it with."""

        def work(tx: Transaction) -> None:
            cycle = tx.cycle(cycle_id)
            for order in tx.orders(cycle_id):
                if order.side is Side.BUY and order.filled_qty > 0:
                    value = round_up(order.filled_qty * price, ledger.LEDGER_STEP)
                    # No executions are asked for after this: they would bring the true price back.
                    tx.update_order(
                        replace(
                            order,
                            filled_avg_price=price,
                            filled_value=value,
                            fee_source=FeeSource.EXECUTIONS,
                        )
                    )
            tx.update_cycle(ledger.with_totals(cycle, tx.orders(cycle_id)))

        self._store.transaction(work)

    def claim_base_order(self, symbol: str, limit_price: Decimal, rules: TradingRules) -> Order:
        """Write a base order into the ledger exactly as main_app does before it sends one."""
        asset = self.asset(symbol)
        assert asset is not None, "its row was written before"
        limit = round_down(limit_price, rules.price_increment)
        now = self._clock.now()

        def work(tx: Transaction) -> Order:
            control, cycle = tx.control(), tx.live_cycle(asset.id)
            assert cycle is not None, "its cycle was begun before"
            seq = len(tx.orders(cycle.id)) + 1
            order = Order(
                id=0,
                asset_id=asset.id,
                cycle_id=cycle.id,
                seq=seq,
                purpose=Purpose.BASE,
                level=0,
                client_order_id=ledger.client_order_id(control.install_id, cycle.id, seq, Purpose.BASE, 0),
                symbol=symbol,
                side=Side.BUY,
                order_type=OrderType.LIMIT,
                time_in_force="gtc",
                qty=round_down(asset.base_order_amount / limit, rules.qty_increment),
                limit_price=limit,
                state=OrderState.SENT,
                trigger_price=None,
                quote_price=limit,
                quote_age_ms=0,
                base_order_amount=asset.base_order_amount,
                safety_order_amount=asset.safety_order_amount,
                max_safety_orders=asset.max_safety_orders,
                take_profit_percent=asset.take_profit_percent,
                min_order_size=rules.min_order_size,
                qty_increment=rules.qty_increment,
                epoch=control.epoch,
                created_at=now,
                last_sent_at=now,
            )
            tx.update_cycle(lifecycle.placed(cycle, Side.BUY))
            return tx.insert_order(order)

        return self._store.transaction(work)


def outside_order(
    client_order_id: str, symbol: str, side: Side, qty: Decimal, limit_price: Decimal | None, now: datetime
) -> Order:
    """An order that no ledger knows: what a person, or another program, sends."""
    return Order(
        id=0,
        asset_id=0,
        cycle_id=0,
        seq=0,
        purpose=Purpose.BASE if side is Side.BUY else Purpose.OUTSIDE,
        level=0,
        client_order_id=client_order_id,
        symbol=symbol,
        side=side,
        order_type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
        time_in_force="gtc",
        qty=qty,
        limit_price=limit_price,
        state=OrderState.SENT,
        trigger_price=None,
        quote_price=limit_price or Decimal(1),
        quote_age_ms=0,
        base_order_amount=DOLLARS,
        safety_order_amount=DOLLARS,
        max_safety_orders=1,
        take_profit_percent=PERCENT,
        min_order_size=qty,
        qty_increment=qty,
        epoch=0,
        created_at=now,
        last_sent_at=now,
    )
