"""What became of our orders: the one way a snapshot is booked, and how the answer is found when none came.

Every description of an order, whoever brings it (the answer to a POST, the stream, a look-up, the list),
goes through `book`. Nothing else touches fills (design.md 8).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dca.core import charges, invariants, ledger, lifecycle
from dca.core.charges import Charged
from dca.core.errors import RowGone
from dca.core.interfaces import Broker, Clock, Store, Transaction
from dca.core.lifecycle import Booking
from dca.core.model import (
    Cycle,
    CycleStatus,
    DefiniteReject,
    Execution,
    Mode,
    Order,
    OrderState,
    Side,
    Snapshot,
    cents,
    plain,
)
from dca.core.order_rows import as_it_is
from dca.core.selling import IOC
from dca.runtime.log_lines import Troubles, fact, warn
from dca.trading import fee_evidence
from dca.trading.cycle_writes import write_booking
from dca.trading.watchlist import Desk

MAX_ATTEMPTS = 5
"""How often one order is sent at the most; then it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What asking for an order brought. `denied_for_good`: it provably never arrived."""

    order: Order
    snapshot: Snapshot | None
    denied_for_good: bool


class Bookkeeper:
    """Books for one worker: its own store and broker, the shared desk."""

    def __init__(
        self, store: Store, broker: Broker, desk: Desk, clock: Clock, troubles: Troubles, quiet: timedelta
    ) -> None:
        self._store = store
        self._broker = broker
        self._desk = desk
        self._clock = clock
        self._troubles = troubles
        self._quiet = quiet

    def look(self, symbol: str) -> None:
        """Read an asset anew after something of it was written."""
        watch = self._desk.watch(symbol)
        if watch is None:
            return
        asset_id = watch.asset.id

        def read(tx: Transaction) -> None:
            look = self._desk.new_look()
            asset = tx.asset(asset_id)
            cycle = tx.live_cycle(asset_id)
            orders = [order for order in tx.open_orders() if order.asset_id == asset_id]
            if asset is not None:
                self._desk.put(asset, cycle, orders, self._clock.now(), look)

        self._store.transaction(read)

    def book(self, snapshot: Snapshot, attempt: int | None = None) -> Order | None:
        """Merge what the exchange says of an order into the ledger, and move its cycle on.

        `attempt` is the one that this snapshot answers, if it came as an answer. Returns the order as it is
        now; None for an order that is not ours, or that says too little.

        Raises:
            DatabaseUnavailable: nothing was booked, or the commit's outcome is unknown; book it again.
        """
        name = snapshot.client_order_id
        if not (name.startswith(ledger.ANY_PREFIX) and name.isascii()):
            return None
        if ledger.is_incomplete(snapshot):
            why, now = "a fill without a price; asked for again", self._clock.now()
            self._troubles.begins("order", snapshot.client_order_id, why, now, symbol=snapshot.symbol)
            return None
        self._troubles.ends("order", snapshot.client_order_id, self._clock.now(), symbol=snapshot.symbol)
        booked = self._store.transaction(lambda tx: self._book(tx, snapshot, attempt))
        if booked is None:
            if name.startswith(self._desk.prefix):
                self._unknown_to_the_ledger(snapshot)
            return None
        before, after, booking = booked
        if before != after:
            self._tell(before, after, booking)
            self.look(after.symbol)
        return after

    def _book(
        self, tx: Transaction, snapshot: Snapshot, attempt: int | None
    ) -> tuple[Order, Order, Booking] | None:
        cycle_id = tx.cycle_of_order(snapshot.client_order_id)
        if cycle_id is None:
            return None
        try:
            cycle = tx.cycle(cycle_id)
        except RowGone:
            return None
        orders = tx.counting_orders(cycle_id, snapshot.client_order_id)
        before = next(order for order in orders if order.client_order_id == snapshot.client_order_id)
        if attempt is not None:
            tx.answer_attempt(before.id, attempt, "accepted")
        unknown = ledger.unknown_word(before)
        if unknown is not None:
            self._lock(tx, before, unknown)
            return before, before, Booking(cycle=cycle)
        stranger = ledger.stranger(before, snapshot)
        if stranger is not None and ledger.is_taken(before, snapshot):
            difference = None if ledger.is_older(before, snapshot) else stranger
            return before, *self._id_was_taken(tx, cycle, orders, before, difference)
        if stranger is not None:
            self._lock(tx, before, f"the exchange's order {before.client_order_id}: {stranger}")
            return before, before, Booking(cycle=cycle)
        after = self._merged(before, snapshot)
        if after == before:
            return before, after, Booking(cycle=cycle)
        self._lock_for_what_it_is(tx, before, after)
        tx.update_order(after)
        cycle = lifecycle.with_its_order(cycle, before)
        return before, after, self._move_on(tx, cycle, _with(orders, after))

    def _merged(self, order: Order, snapshot: Snapshot) -> Order:
        now = self._clock.now()
        merged = ledger.merge(order, snapshot, now)
        difference = ledger.difference(order, snapshot)
        return merged if difference is None else ledger.with_difference(merged, difference, now)

    def _lock_for_what_it_is(self, tx: Transaction, before: Order, after: Order) -> None:
        """What came back otherwise than it was sent, or after it was given up, is somebody's decision."""
        if after.is_undecided and (not before.is_undecided or after.filled_qty > before.filled_qty):
            self._lock(tx, after, invariants.reason([invariants.undecided(after)]))
        elif after.state is OrderState.GHOST and before.state is not OrderState.GHOST:
            self._lock(tx, after, f"order {after.client_order_id} was given up and turned up after all")

    def _id_was_taken(
        self, tx: Transaction, cycle: Cycle, orders: list[Order], order: Order, unknown: str | None
    ) -> tuple[Order, Booking]:
        """After an older backup our ids come again: the exchange has an older order of that id, so ours was
        not taken and never can be. It counts as refused; the next one has another number. What else an order
        under our id may be is `unknown`, and somebody has to look."""
        now = self._clock.now()
        reason = f"the id {order.client_order_id} was used before (an older backup?)"
        rejected = replace(order, state=OrderState.REJECTED, closed_at=now, difference=unknown)
        self._lock_for_what_it_is(tx, order, rejected)
        tx.update_order(rejected)
        refused = lifecycle.refused(cycle, order.side, reason, now)
        return rejected, self._move_on(tx, refused, _with(orders, rejected))

    def _move_on(self, tx: Transaction, cycle: Cycle, orders: list[Order]) -> Booking:
        """Write what the orders make of their cycle."""
        now = self._clock.now()
        booking = lifecycle.book(cycle, orders, now)
        write_booking(tx, cycle, booking, now)
        late = lifecycle.left_behind(booking.cycle, orders)
        if late is not None:
            self._lock(tx, orders[-1], f"cycle {cycle.id} had ended when {plain(late)} more was filled")
        return booking

    def _lock(self, tx: Transaction, order: Order, reason: str) -> None:
        if tx.lock_asset(order.asset_id, reason, self._clock.now()):
            warn("asset", "locked", symbol=order.symbol, cycle=order.cycle_id, why=reason)

    def _unknown_to_the_ledger(self, snapshot: Snapshot) -> None:
        """An order with our prefix that we never wrote down, or whose cycle is gone: never traded over."""
        reason = (
            f"order {snapshot.client_order_id} carries our id and is not in the ledger, or its cycle is not"
        )
        watch = self._desk.watch(snapshot.symbol)
        if watch is None or watch.asset.lock_reason is not None:
            return
        asset_id, now = watch.asset.id, self._clock.now()
        if self._store.transaction(lambda tx: tx.lock_asset(asset_id, reason, now)):
            warn("asset", "locked", symbol=snapshot.symbol, why=reason)
        self.look(snapshot.symbol)

    def settle(self, order: Order) -> Settled:
        """Ask the exchange what became of an order, and book it.

        Raises:
            ExchangeUnavailable: nothing is known, nothing was changed.
            DatabaseUnavailable: as in `book`.
        """
        asked_at = self._clock.now()
        snapshot = self._broker.order(order.client_order_id)
        if snapshot is None:
            denied_for_good = self._store.transaction(lambda tx: self._count_denial(tx, order, asked_at))
            return Settled(order=order, snapshot=None, denied_for_good=denied_for_good)
        booked = self.book(snapshot)
        if booked is not None and booked.exchange_order_id and _has_to_go(booked):
            self._broker.cancel(booked.exchange_order_id)
        return Settled(order=booked or order, snapshot=snapshot, denied_for_good=False)

    def _count_denial(self, tx: Transaction, seen: Order, asked_at: datetime) -> bool:
        """Note that the exchange denies knowing an order; True once that is evidence (F20).

        It is after the quiet period, twice, by when it was asked: the answer may have been waited for, or
        this process stopped, while the order arrived. One that was ever acknowledged is never given up.
        """
        _, _, order = _rows(tx, seen)
        if order.state is not OrderState.SENT or asked_at - order.last_sent_at < self._quiet:
            return False
        if order.not_found_at is None or order.not_found_at > asked_at:  # a clock was wrong then (F62)
            tx.expire_attempts(order.id, asked_at - self._quiet)
            tx.update_order(replace(order, not_found_at=asked_at))
            return False
        return asked_at - order.not_found_at >= self._quiet / 4

    def claim_resend(self, order: Order) -> int | None:
        """Write down another attempt at an order that provably never arrived: same id, same order.

        Returns the attempt's number; None if the order is not waiting to be sent any more, or may not be:
        the kill switch, a newer start, a lock or a disabled asset hold here as they do for a claim.
        """

        def work(tx: Transaction) -> int | None:
            if not self._may_be_sent(tx, order):
                return None
            _, _, current = _rows(tx, order)
            if current.state is not OrderState.SENT or current.not_found_at is None:
                return None
            attempt = tx.attempts(order.id)[0] + 1
            if attempt > MAX_ATTEMPTS:
                return None
            now = self._clock.now()
            tx.insert_attempt(order.id, attempt, now)
            tx.update_order(replace(current, last_sent_at=now, not_found_at=None))
            return attempt

        return self._store.transaction(work)

    def _may_be_sent(self, tx: Transaction, order: Order) -> bool:
        control, asset = tx.control(), tx.asset(order.asset_id)
        if control.epoch != self._desk.epoch or control.mode is Mode.HALT:
            return False
        if asset is None or asset.lock_reason is not None or asset.asset_symbol != order.symbol:
            return False
        return order.side is Side.SELL or (control.mode is Mode.RUN and asset.is_enabled)

    def give_up(self, order: Order) -> None:
        """End an order that provably never arrived; its cycle is free to decide anew."""

        def work(tx: Transaction) -> bool:
            if tx.control().epoch != self._desk.epoch:
                return False  # a newer start decides
            cycle, orders, current = _rows(tx, order)
            if current.state is not OrderState.SENT or current.not_found_at is None:
                return False
            void = replace(current, state=OrderState.VOID, closed_at=self._clock.now())
            tx.update_order(void)
            self._move_on(tx, cycle, _with(orders, void))
            return True

        if self._store.transaction(work):
            why = "the exchange does not know it, asked twice after the quiet period"
            warn("order", f"void {order.client_order_id}", symbol=order.symbol, cycle=order.cycle_id, why=why)
        self.look(order.symbol)

    def refused(self, order: Order, attempt: int, answer: DefiniteReject) -> None:
        """Book a definite no. It is final only when no other attempt is unanswered (faults.md D.5)."""
        reason = f"{answer.code} {answer.message}"

        def work(tx: Transaction) -> bool:
            cycle, orders, current = _rows(tx, order)
            tx.answer_attempt(order.id, attempt, "reject")
            if current.state is not OrderState.SENT or tx.attempts(order.id)[1] > 0:
                return False
            now = self._clock.now()
            rejected = replace(current, state=OrderState.REJECTED, closed_at=now)
            tx.update_order(rejected)
            self._move_on(tx, lifecycle.refused(cycle, order.side, reason, now), _with(orders, rejected))
            return True

        final = self._store.transaction(work)
        what = f"{'refused' if final else 'refused, but an attempt is unanswered'} {order.client_order_id}"
        warn("order", what, symbol=order.symbol, cycle=order.cycle_id, why=reason)
        self.look(order.symbol)

    def confirm_fee(
        self, order: Order, executions: Sequence[Execution], charged: Charged | None = None
    ) -> None:
        """Replace the assumed fee of a closed order by that of its executions, once they are all listed, and
        that by what the exchange's list of fees says was charged."""
        if charged is not None or ledger.with_executions(order, executions) is not None:
            changed = self._store.transaction(lambda tx: self._book_fee(tx, order, executions, charged))
            if changed is not None:
                _tell_profit(order, *changed)
            self.look(order.symbol)

    def _book_fee(
        self, tx: Transaction, seen: Order, executions: Sequence[Execution], charged: Charged | None
    ) -> tuple[Cycle, Cycle] | None:
        """Returns the cycle before and after; None if nothing was new."""
        control = None if charged is None else tx.control()
        cycle, orders, order = _rows(tx, seen)
        exact = charges.confirmed(order, cycle, executions, charged)
        if exact is None or exact == order or order.filled_qty != seen.filled_qty:
            return None
        if charged is not None and control is not None:
            fee_evidence.learn(
                tx, control, order.symbol, charges.account_rate(order, charged, control.fee_rate)
            )
        tx.update_order(exact)
        now = self._clock.now()
        booking = lifecycle.book(cycle, _with(orders, exact), now)
        write_booking(tx, cycle, booking, now)
        return cycle, booking.cycle

    def _tell(self, before: Order, after: Order, booking: Booking) -> None:
        """One line per fact: what was filled, how it ended, and what the cycle made of it."""
        symbol, cycle = after.symbol, after.cycle_id
        if after.filled_qty > before.filled_qty:
            part = "filled" if _is_all(after) else "partly filled"
            fact(
                "order",
                f"{part} {after.client_order_id}",
                qty=after.filled_qty,
                of=after.qty,
                price=after.filled_avg_price,
                symbol=symbol,
                cycle=cycle,
            )
        if before.is_live and not after.is_live and not _is_all(after):
            why = "asked for" if after.cancel_was_ours else "not at our request"
            if after.time_in_force == IOC and not after.cancel_was_ours:
                why = "the order book had no more at its price"
            fact(
                "order",
                f"{after.exchange_status} {after.client_order_id}",
                why=why,
                symbol=symbol,
                cycle=cycle,
            )
        if booking.sold_at_price is not None:
            fact(
                "cycle",
                "complete",
                bought=cents(booking.cycle.bought_cost),
                sold=cents(booking.cycle.sold_proceeds),
                price=booking.sold_at_price,
                profit=cents(booking.cycle.net_profit),
                symbol=symbol,
                cycle=cycle,
            )


def _tell_profit(order: Order, before: Cycle, after: Cycle) -> None:
    """The log has said what a complete cycle won with the fee that was assumed: it says the exact sum too."""
    was, profit = cents(before.net_profit), cents(after.net_profit)
    if after.status is CycleStatus.COMPLETE and was != profit:
        why = f"the exact fee of {order.client_order_id} is known"
        fact("cycle", "corrected", profit=profit, was=was, why=why, symbol=order.symbol, cycle=after.id)


def _rows(tx: Transaction, seen: Order) -> tuple[Cycle, list[Order], Order]:
    """An order's cycle, locked, the orders that count in it, and the order as it is now."""
    cycle = tx.cycle(seen.cycle_id)
    orders = tx.counting_orders(seen.cycle_id, seen.client_order_id)
    return cycle, orders, as_it_is(orders, seen)


def _is_all(order: Order) -> bool:
    """Whether all that the exchange took of it is filled; that may be another quantity than was sent."""
    return order.filled_qty >= order.qty or order.exchange_status == "filled"


def _with(orders: list[Order], changed: Order) -> list[Order]:
    return [changed if order.id == changed.id else order for order in orders]


def _has_to_go(order: Order) -> bool:
    """A cancel that was asked for and is not done yet, or a ghost that is still open: ask (again)."""
    if order.state is OrderState.GHOST:
        return order.closed_at is None
    return order.state is OrderState.CANCEL_REQUESTED
