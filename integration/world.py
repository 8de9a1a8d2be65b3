"""What a scenario works with: books, account, scripts, and the means to wait for what it expects."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from dca.core import ledger
from dca.core.errors import Unavailable
from dca.core.model import Cycle, CycleStatus, Order, OrderState, Purpose, Side, plain, round_down
from dca.runtime.clock import SystemClock
from dca.runtime.settings import Settings
from integration.account import Account
from integration.books import Books
from integration.local_exchange import LocalExchange
from integration.problems import Failed
from integration.report import Report
from integration.scripts import Finished, Scripts

CRON_SECONDS = 15.0
"""How often the order manager is run while a fill is waited for, as cron would."""
LATE_FEES = Decimal("1.003")
"""Alpaca may take a buy's coin fee at once or later: 0.25 % at the most."""


@dataclass(slots=True)
class World:
    """`exchange` is there in --local only. `patience_seconds`: how long an expectation is waited for."""

    settings: Settings
    books: Books
    account: Account
    scripts: Scripts
    report: Report
    clock: SystemClock
    exchange: LocalExchange | None
    patience_seconds: float
    about: str = ""
    _runs: dict[str, int] = field(default_factory=dict)

    def does(self, text: str) -> None:
        self.report.does(text)

    def saw(self, text: str) -> None:
        self.report.saw(text)

    def wait(
        self,
        expected: str,
        check: Callable[[], str | None],
        *,
        seconds: float | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        """Wait until `check` has something to tell, and tell it.

        Raises:
            Failed: not in time; with what was there instead.
        """
        limit = self.patience_seconds if seconds is None else seconds
        began = time.monotonic()
        next_help = began + CRON_SECONDS
        trouble = ""
        while True:
            try:
                found = check()
                trouble = ""
            except Unavailable as error:
                found, trouble = None, f" ({error})"
            waited = time.monotonic() - began
            if found:
                self.saw(f"{found} ({waited:.1f} s)")
                return
            if waited > limit:
                raise Failed(f"not within {limit:.0f} s: {expected}; instead {self.state()}{trouble}")
            if meanwhile is not None and time.monotonic() > next_help:
                meanwhile()
                next_help = time.monotonic() + CRON_SECONDS
            time.sleep(self.account.poll_seconds)

    def check(self, expected: str, holds: bool, seen: str) -> None:
        """Raises:
        Failed: it does not hold.
        """
        if not holds:
            raise Failed(f"expected {expected}; saw {seen}")
        self.saw(seen)

    def pause(self, seconds: float) -> None:
        """Let time pass, where time is what the rule is about."""
        time.sleep(seconds)

    def grow_stale(self, order: Order) -> None:
        """Let an open order become older than STALE_ORDER_MINUTES."""
        limit = self.settings.stale_order_limit.total_seconds()
        age = (self.clock.now() - order.created_at).total_seconds()
        self.does(f"waits until it is older than STALE_ORDER_MINUTES, here {limit:g} s")
        self.pause(max(0.0, limit - age + 0.1))

    def state(self) -> str:
        """The rows of the pair that the scenario is about, in a line."""
        if not self.about:
            return self._heart()
        asset, cycle = self.books.asset(self.about), self.books.live(self.about)
        if cycle is None:
            return f"{self.about} has no live cycle"
        orders = [
            f"{each.client_order_id} {each.state}/{each.exchange_status} {plain(each.filled_qty)} of "
            f"{plain(each.qty)}"
            for each in self.books.orders(cycle.id)
        ]
        locked = f", locked: {asset.lock_reason}" if asset is not None and asset.lock_reason else ""
        return f"{_told(cycle)}{locked}, orders: {', '.join(orders) or 'none'}"

    def _heart(self) -> str:
        beat = self.scripts.beat()
        if beat is None:
            runs = "runs" if self.scripts.main_app_runs() else "does not run"
            return f"main_app {runs} and has not beaten since it was started"
        return (
            f"main_app (pid {beat.pid}) beat at {beat.beat_at:%H:%M:%S} UTC: quotes "
            f"{'on' if beat.quotes_connected else 'off'}, orders {'on' if beat.orders_connected else 'off'}, "
            f"settled at {beat.last_settle_at or 'no time yet'}, troubles: "
            f"{', '.join(beat.troubles) or 'none'}"
        )

    # ---- the scripts ---------------------------------------------------------------------------

    def ensure_trading(self) -> None:
        """main_app runs, hears both streams, and has settled once."""
        if not self.scripts.main_app_runs():
            self.does("starts main_app.py")
            self.scripts.start_main_app()
        elif self._trades():
            return
        self.wait("main_app to trade", self._trades)

    def _trades(self) -> str | None:
        beat = self.scripts.beat()
        if beat is None or not (beat.quotes_connected and beat.orders_connected and beat.last_settle_at):
            return None
        return f"main_app (pid {beat.pid}, epoch {beat.epoch}) hears both streams and has settled"

    def run(self, script: str, expected_code: int = 0) -> Finished:
        """Run a script as cron would.

        Raises:
            Failed: it ends with another code.
        """
        self.does(f"runs {script}")
        done = self.scripts.run(script)
        tail = "; ".join(done.lines[-2:])
        self.check(
            f"exit code {expected_code} of {script}",
            done.code == expected_code,
            f"{script} ended with {done.code}: {done.result or tail}",
        )
        return done

    def as_cron(self) -> None:
        """A buy that nobody fills is canceled and priced anew: the market moves away now and then."""
        self.run("order_manager.py")

    def followed(self, symbol: str) -> None:
        """Wait until main_app has read a pair's new row: it says so in its log."""

        def read() -> str | None:
            line = self.scripts.main_app_said(f" asset {symbol} ")
            return None if line is None else f"main_app: {line[line.find('asset') :]}"

        self.wait(f"main_app to read the row of {symbol}", read)

    # ---- what is bought ------------------------------------------------------------------------

    def holding(self, symbol: str) -> Cycle:
        """A cycle of the pair that watches and holds its base order; buys it if there is none."""
        self.about = symbol
        self.ensure_trading()
        cycle = self.books.live(symbol)
        if cycle is None:
            self.does(f"lets the bot buy {symbol} for the prerequisite")
            self.books.new_asset(symbol)
        elif cycle.status is CycleStatus.WATCHING and cycle.quantity > 0:
            return cycle
        return self.bought(symbol, Purpose.BASE)

    def bought(self, symbol: str, purpose: Purpose) -> Cycle:
        """Wait until the bot's newest order of this kind is filled and its cycle watches again."""

        def filled() -> str | None:
            order = self.newest(symbol, purpose)
            if order is None or order.state is not OrderState.DONE or order.filled_qty < order.qty:
                return None
            assert order.filled_avg_price is not None
            return (
                f"{order.client_order_id}: {order.side} {order.order_type} at "
                f"{plain(order.limit_price) if order.limit_price else 'market'}, filled "
                f"{plain(order.filled_qty)} at {price(order.filled_avg_price)}"
            )

        def watching() -> str | None:
            cycle = self.books.live(symbol)
            if cycle is None or cycle.status is not CycleStatus.WATCHING or cycle.quantity == 0:
                return None
            return _told(cycle)

        self.wait(f"{purpose} order of {symbol} filled", filled, meanwhile=self.as_cron)
        self.wait("its cycle to watch", watching)
        return self.live(symbol)

    def live(self, symbol: str) -> Cycle:
        cycle = self.books.live(symbol)
        if cycle is None:
            raise Failed(f"{symbol} has no live cycle")
        return cycle

    def newest(self, symbol: str, purpose: Purpose) -> Order | None:
        cycle = self.books.live(symbol)
        if cycle is None:
            return None
        orders = [each for each in self.books.orders(cycle.id) if each.purpose is purpose]
        return orders[-1] if orders else None

    def fees_are_known(self, cycle: Cycle) -> None:
        """Wait a little for the executions: what comes after them changes no row any more."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if all(each.fee_source != "assumed" for each in self.books.orders(cycle.id) if each.filled_qty):
                return
            time.sleep(self.account.poll_seconds)

    def compare_position(self, symbol: str) -> None:
        """What the account holds is what the ledger says, but for fees that are taken late."""
        cycle = self.live(symbol)
        quantity = cycle.quantity
        short = ledger.shortage_tolerance(cycle, self.account.rules[symbol].qty_increment)

        def agrees() -> str | None:
            held = self.account.broker.position(symbol).qty - self.account.dust[symbol]
            if not quantity - short <= held <= quantity * LATE_FEES:
                return None
            return f"the account holds {plain(held)}, the ledger {plain(quantity)}"

        self.wait(f"the account to hold {plain(quantity)} {symbol}", agrees)

    def is_flat(self, symbol: str) -> str | None:
        """Whether nothing is left on the account that could be sold."""
        position = self.account.broker.position(symbol)
        if position.qty >= self.account.rules[symbol].min_order_size:
            return None
        return f"the account holds {plain(position.qty)} {symbol}, below the smallest order"

    # ---- orders that rest ----------------------------------------------------------------------

    def claimed(self, symbol: str, limit_price: Decimal) -> Order:
        """Write a base order down and send it, as main_app does, while main_app leaves the pair alone."""
        order = self.books.claim_base_order(symbol, limit_price, self.account.rules[symbol])
        self.account.send(order)
        return order

    def acknowledged(self, order: Order) -> Order:
        def known() -> str | None:
            current = self.books.order(order)
            if current.state is OrderState.SENT or current.exchange_order_id is None:
                return None
            return (
                f"{current.client_order_id} is open: {current.state}, {current.side} {plain(current.qty)} "
                f"at {plain(current.limit_price or Decimal(0))}, cycle {self.live(order.symbol).status}"
            )

        self.wait(f"main_app to book {order.client_order_id} as open", known)
        return self.books.order(order)

    def closed(self, order: Order, status: str) -> Order:
        """Wait until the ledger has an order's end."""

        def done() -> str | None:
            current = self.books.order(order)
            if current.state is not OrderState.DONE:
                return None
            return f"{current.client_order_id}: {current.state}, {current.exchange_status} at the exchange"

        self.wait(f"{order.client_order_id} to end", done)
        current = self.books.order(order)
        self.check(f"it {status}", current.exchange_status == status, f"exchange_status {status}")
        return current

    def watches_with(self, symbol: str, quantity: Decimal | None) -> Cycle:
        """Wait until the pair's cycle watches, holding `quantity` (None: anything)."""

        def watching() -> str | None:
            cycle = self.books.live(symbol)
            if cycle is None or cycle.status is not CycleStatus.WATCHING:
                return None
            return _told(cycle) if quantity is None or cycle.quantity == quantity else None

        self.wait(f"the cycle of {symbol} to watch", watching)
        return self.live(symbol)

    def sell_outside(self, symbol: str, qty: Decimal) -> None:
        """Sell a position past the bot, as a person in the dashboard would."""
        sold = self.account.sell(symbol, qty)
        if sold is None or sold.side != Side.SELL:
            raise Failed(f"there is nothing of {symbol} to sell")
        end = self.account.ended(sold.client_order_id)
        self.saw(f"sold outside: {plain(end.filled_qty)} at {price(end.filled_avg_price or Decimal(0))}")
        self.wait("the position to be gone", lambda: self.is_flat(symbol))


def _told(cycle: Cycle) -> str:
    average = f" at {price(cycle.average_purchase_price)}" if cycle.quantity else ""
    return (
        f"cycle {cycle.id} {cycle.status}, holds {plain(cycle.quantity)}{average}, "
        f"safety orders {cycle.safety_orders}"
    )


def price(value: Decimal) -> str:
    """Eight significant digits are more than anyone reads."""
    return plain(round_down(value, Decimal(1).scaleb(value.adjusted() - 7))) if value else "0"
