"""A trader on a real database, a fake exchange and a clock that a test moves: for the races."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from dca.core.model import Asset, Cycle, CycleStatus, Order, Quote, TradingRules
from dca.core.order_limits import Fuse
from dca.database.store import Store
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import DatabaseSettings
from dca.trading.trader import Limits, Trader
from dca.trading.watchlist import Desk
from tests.fake_exchange import FakeClock, FakeExchange

SYMBOL = "BTC/USD"
QUIET_SECONDS = 120
RULES = TradingRules(
    symbol=SYMBOL,
    tradable=True,
    min_order_size=Decimal("0.01"),
    qty_increment=Decimal("0.000000001"),
    price_increment=Decimal("0.000000001"),
)
LIMITS = Limits(
    max_quote_age_seconds=Decimal(15),
    max_spread_percent=Decimal(2),
    quiet_period=timedelta(seconds=QUIET_SECONDS),
    fuse=Fuse(per_minute=1000, per_hour=1000),  # time stands still in most tests
)
INSERT = (
    "INSERT INTO dca_assets (asset_symbol, base_order_amount, safety_order_amount, max_safety_orders,"
    " safety_order_deviation, take_profit_percent, cooldown_period, buy_order_price_deviation_percent)"
    " VALUES ('BTC/USD', 20, 20, 3, 1, 2, 300, 3);\n"
)


class Rig:
    """One asset: $20 base and safety orders, 1 % steps, 2 % take-profit, 300 s cooldown."""

    def __init__(self, database: DatabaseSettings) -> None:
        self.clock = FakeClock()
        self.troubles = Troubles()
        self.exchange = FakeExchange(clock=self.clock, rules={SYMBOL: RULES})
        self._database = database
        self.store = Store(database)
        self.store.run_script(INSERT)
        self.store.transaction(lambda tx: tx.insert_cycle(1, CycleStatus.WATCHING))
        self.start()

    def start(self) -> None:
        """What a start of main_app does: a new epoch, a fresh look, everything in flight settled."""
        self.store.close()
        self.store = Store(self._database)
        control = self.store.transaction(lambda tx: tx.next_epoch("account"))
        self.desk = Desk(control.install_id, control.epoch)
        self.desk.rules = {SYMBOL: RULES}
        self.trader = Trader(self.store, self.exchange, self.desk, self.clock, self.troubles, LIMITS)
        self.look()
        self.settle()
        self.desk.settled = True

    def close(self) -> None:
        self.store.close()

    def look(self) -> None:
        asset = self.asset()
        self.desk.put(asset, None, (), self.clock.now())
        self.trader.books.look(SYMBOL)

    def settle(self) -> None:
        """One round of settling, as the main loop does it."""
        for order in self.store.transaction(lambda tx: tx.open_orders()):
            self.trader.settle(order)

    def quote(self, price: str, age_seconds: float = 0, exchange_price: str | None = None) -> None:
        """A quote of no spread to speak of at this price; `exchange_price`: the exchange says another one if
        asked."""
        value, now = Decimal(price), self.clock.now()
        self.exchange.price = Decimal(exchange_price or price)
        at = now - timedelta(seconds=age_seconds)
        self.trader.on_quote(Quote(symbol=SYMBOL, bid=value, ask=value, at=at, received_at=now))

    def asset(self) -> Asset:
        return self.store.transaction(lambda tx: tx.assets())[0]

    def cycle(self) -> Cycle:
        """The live one."""
        cycle = self.store.transaction(lambda tx: tx.live_cycle(1))
        assert cycle is not None
        return cycle

    def orders(self, cycle_id: int = 1) -> list[Order]:
        return self.store.transaction(lambda tx: tx.orders(cycle_id))

    def last_id(self) -> str:
        return self.orders(self.cycle().id)[-1].client_order_id

    def bought(self, price: str = "100") -> None:
        """A base order, filled and booked."""
        self.quote(price)
        self.trader.books.book(self.exchange.fill(self.last_id(), price=price))

    def violations(self) -> list[str]:
        """What must never be: compared with the exchange's own books, not with ours."""
        found = [f"cycle: {rule}" for rule in self.cycle().violations()]
        cycles = range(1, self.cycle().id + 1)
        ours = {order.client_order_id: order for each in cycles for order in self.orders(each)}
        for name, order in self.exchange.orders.items():
            if name not in ours and not name.startswith("person"):
                found.append(f"{name} is not in the ledger")
            elif name in ours and ours[name].filled_qty > order.filled_qty:
                found.append(f"{name}: the ledger is ahead of the exchange")
        if len([order for order in self.exchange.orders.values() if not order.is_closed]) > 1:
            found.append("two open orders")
        if len(self.exchange.posts) != len(set(self.exchange.posts)):
            found.append("an id was posted twice")
        return found

    def deposit(self, qty: str) -> None:
        """Coins that are the user's own."""
        self.exchange.held[SYMBOL] = self.exchange.held.get(SYMBOL, Decimal(0)) + Decimal(qty)

    def remember_wrongly(self, status: CycleStatus) -> None:
        """Make the desk believe an old state, as after another process's write."""
        watch = self.desk.watch(SYMBOL)
        assert watch is not None and watch.cycle is not None
        old = replace(watch.cycle, status=status, version=watch.cycle.version + 1)
        self.desk.put(watch.asset, old, (), self.clock.now())
