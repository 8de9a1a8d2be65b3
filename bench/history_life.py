"""The hot statements: those of quotes that act, of booking, of the loop's own looks and of the caretakers.

Each is a method of store.Transaction, timed with what the connector and our rows take: what its caller waits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import perf_counter
from typing import Any

from bench.history_present import new_order
from dca.caretakers.own_ledger import LEFTOVERS
from dca.core.model import Cycle, CycleStatus, FeeSource, Order, OrderState, Purpose
from dca.database.store import Store, Transaction
from dca.operator.views.snapshot import read_books

_PRICE = Decimal(100)
_DAY = timedelta(days=1)


@dataclass(slots=True)
class Stopwatch:
    """Seconds by what took them."""

    samples: dict[str, list[float]] = field(default_factory=dict)

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        began = perf_counter()
        found = work()
        self.samples.setdefault(name, []).append(perf_counter() - began)
        return found


class Timed:
    """A transaction whose every call is timed under its method's name."""

    def __init__(self, tx: Transaction, watch: Stopwatch) -> None:
        self._tx, self._watch = tx, watch

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args: self._watch.timed(name, lambda: getattr(self._tx, name)(*args))


class Life:
    """An asset's whole cycle, in one database: bought, sold, and the next one begun."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.watch = Stopwatch()

    def live(self, asset_id: int) -> None:
        """One more cycle of that asset; what is live afterwards is as it was before."""
        bought = self._step("claim", lambda tx: self._claim(tx, asset_id, Purpose.BASE))
        self._step("book", lambda tx: self._accept(tx, bought))
        self._step("book", lambda tx: self._fill(tx, bought))
        self._step("look", lambda tx: [tx.asset(asset_id), tx.live_cycle(asset_id), tx.open_orders()])
        sold = self._step("claim", lambda tx: self._claim(tx, asset_id, Purpose.TAKE_PROFIT))
        self._step("sell out", lambda tx: self._fill(tx, sold))
        self._step("wake", lambda tx: self._wake(tx, asset_id))
        self._step("loop", lambda tx: self._loop(tx, bought))
        self._step("caretakers", lambda tx: self._care(tx, asset_id))
        now = datetime.now(UTC)
        self._store.transaction(
            lambda tx: self.watch.timed("status' look", lambda: read_books(tx, now, is_mail=True))
        )

    def reconnect(self) -> None:
        """Untimed. A connection's thread may have a bad place on a busy machine, and keeps it."""
        self._store.close()
        self._store.transaction(lambda tx: tx.assets())

    def _step(self, name: str, work: Callable[[Any], Any]) -> Any:
        """A transaction, timed with its commit."""

        def whole() -> Any:
            return self._store.transaction(lambda tx: work(Timed(tx, self.watch)))

        return self.watch.timed(f"{name}, committed", whole)

    def _claim(self, tx: Any, asset_id: int, purpose: Purpose) -> Order:
        now = datetime.now(UTC)
        control, asset, cycle = tx.control(), tx.asset(asset_id), tx.live_cycle(asset_id)
        seq = len(tx.orders(cycle.id)) + 1
        tx.orders_placed(asset_id, now)
        wish = new_order(control, cycle, asset.asset_symbol, _PRICE, now, seq=seq, purpose=purpose)
        order: Order = tx.insert_order(wish)
        is_sale = purpose is Purpose.TAKE_PROFIT
        tx.update_cycle(replace(cycle, status=CycleStatus.SELLING if is_sale else CycleStatus.BUYING))
        return order

    def _locked(self, tx: Any, order: Order) -> tuple[Cycle, Order]:
        cycle: Cycle = tx.cycle(tx.cycle_of_order(order.client_order_id))
        return cycle, next(each for each in tx.orders(cycle.id) if each.id == order.id)

    def _accept(self, tx: Any, order: Order) -> None:
        _, current = self._locked(tx, order)
        tx.answer_attempt(order.id, 1, "accepted")
        tx.update_order(replace(current, state=OrderState.ACKED, exchange_order_id=order.client_order_id))

    def _fill(self, tx: Any, order: Order) -> None:
        now = datetime.now(UTC)
        cycle, current = self._locked(tx, order)
        done = replace(
            current,
            state=OrderState.DONE,
            closed_at=now,
            fee_source=FeeSource.EXECUTIONS,
            filled_qty=order.qty,
            filled_avg_price=_PRICE,
            filled_value=order.qty * _PRICE,
        )
        tx.update_order(done)
        if order.purpose is Purpose.BASE:
            tx.update_cycle(replace(cycle, status=CycleStatus.WATCHING))
            return
        tx.update_cycle(replace(cycle, status=CycleStatus.COMPLETE, completed_at=now, quantity=Decimal(0)))
        tx.set_last_sell_price(order.asset_id, _PRICE)
        tx.insert_cycle(order.asset_id, CycleStatus.COOLDOWN, now)

    def _wake(self, tx: Any, asset_id: int) -> None:
        cycle = tx.live_cycle(asset_id)
        tx.update_cycle(
            replace(
                cycle,
                status=CycleStatus.WATCHING,
                quantity=Decimal("0.1995"),
                average_purchase_price=_PRICE,
                last_order_fill_price=_PRICE,
            )
        )

    def _loop(self, tx: Any, order: Order) -> None:
        """What main_app asks every few seconds, and what it asks of an order in doubt."""
        now = datetime.now(UTC)
        tx.assets()
        tx.live_cycles()
        tx.orders_with_open_fees(now - 2 * _DAY, now - 2 * _DAY)
        tx.attempts(order.id)
        tx.known_ids([order.client_order_id, "dca-00000000-0-1-b", "another"])
        tx.known_orders([order.client_order_id, "dca-00000000-0-1-b", "another"])

    def _care(self, tx: Any, asset_id: int) -> None:
        """What caretakers and their review ask, mail being on."""
        now = datetime.now(UTC)
        tx.leftover_cycles(now - LEFTOVERS)
        tx.cycles_ended_since(now - timedelta(seconds=1))
        tx.orders_of_cycles([cycle.id for cycle in tx.live_cycles()])
        tx.ended_cycles(asset_id, now - timedelta(seconds=1))
        tx.last_done_run_at("consistency_checker", now)
        tx.error_cycles(now - _DAY)
        tx.last_runs()
        tx.last_good_runs()
        tx.first_run_at()
        tx.run_starts_since(now - timedelta(minutes=30))
        tx.open_incidents()
        tx.incidents_ended_since(now - timedelta(minutes=30))
        tx.newest_mails(["orders", "over orders"])
        tx.sent_times_since(now - timedelta(minutes=30))
        tx.unsent_mails()
        tx.last_mail("a name")
        tx.last_sent_mail()


def in_turn(lives: tuple[Life, Life], assets: int, count: int) -> None:
    """So many cycles in both databases in turn; who is first takes turns too, also with new connections."""
    for number in range(count):
        turn = lives if number % 2 else lives[::-1]
        if number % 5 == 0:
            for life in turn:
                life.reconnect()
        for life in turn:
            life.live(1 + number % assets)
