"""The shell around the strategy: decide, write the claim, and only then talk to the exchange.

One trader works for one thread. The inbox gives events of one asset to one of them at a time, so that they
never overlap here; other processes are kept out by the locked rows (design.md 8 and 9).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from dca.core import lifecycle, strategy
from dca.core.errors import LostRace
from dca.core.interfaces import Broker, Clock, Store, Transaction
from dca.core.model import (
    Accepted,
    Asset,
    Control,
    Cycle,
    DefiniteReject,
    Duplicate,
    Execution,
    Mode,
    Order,
    OrderState,
    Position,
    Quote,
    Side,
    TradingRules,
    Unknown,
)
from dca.core.order_limits import Fuse
from dca.core.order_rows import as_it_is, new_order
from dca.core.strategy import Action, CancelBuy, EndCooldown, Place
from dca.runtime.log_lines import Troubles, fact, warn
from dca.trading import fee_evidence, order_rate
from dca.trading.bookkeeper import Bookkeeper, Settled
from dca.trading.cycle_writes import books_agree
from dca.trading.fee_evidence import FillsAsked
from dca.trading.placing import tell_placed, written_before
from dca.trading.quote_confirmation import SecondLook
from dca.trading.sale_bounds import bounded
from dca.trading.watchlist import Desk, Watch

SEND_WITHIN_SECONDS = 5.0
"""An order that took longer from its claim to the wire is not sent any more; settling gives it up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Which quotes may decide, how long an unknown order is waited for, how many orders are too many."""

    max_quote_age_seconds: Decimal
    max_spread_percent: Decimal
    quiet_period: timedelta
    fuse: Fuse

    def quote_problem(self, quote: Quote, now: datetime) -> str | None:
        """Say why a quote must not decide anything; None for a good one."""
        age, spread = self.max_quote_age_seconds, self.max_spread_percent
        return strategy.quote_problem(quote, now, max_age_seconds=age, max_spread_percent=spread)


class Trader:
    """Acts on quotes. `books` books what comes of it."""

    def __init__(
        self,
        store: Store,
        broker: Broker,
        desk: Desk,
        clock: Clock,
        troubles: Troubles,
        limits: Limits,
        sales: Store | None = None,
        newest: Callable[[str], Quote | None] = lambda _: None,
    ) -> None:
        """`sales`: a way into the database for sells, past what else waits for it. `newest`: the newest quote
        of a pair that the stream has brought."""
        self._store = store
        self._sales = sales or store
        self._broker = broker
        self._desk = desk
        self._clock = clock
        self._troubles = troubles
        self._limits = limits
        self._newest = newest
        self._fills = FillsAsked(store, broker, desk)
        self._quote_problem = limits.quote_problem
        self._second_look = SecondLook(broker, clock, troubles, self._quote_problem, desk)
        self.books = Bookkeeper(store, broker, desk, clock, troubles, limits.quiet_period)

    def on_quote(self, quote: Quote) -> bool:
        """React to a quote; does nothing, cheaply, unless it reaches one of the asset's levels. Returns
        whether it was looked at closer.

        Raises:
            Unavailable: database or exchange do not answer; the next quote tries again.
        """
        watch = self._desk.watch(quote.symbol)
        now = self._clock.now()
        if watch is None or watch.cycle is None or not watch.levels.reached(quote, now):
            return False
        if not self._desk.settled:
            self.held_back(quote.symbol, "not every order in flight is settled yet")
            return False
        problem = self._quote_problem(quote, now)
        if problem is not None:
            self._troubles.begins("quotes", f"{quote.symbol} not used", problem, now, symbol=quote.symbol)
            self.held_back(quote.symbol, f"its quotes are not used: {problem}")
            return False
        self._troubles.ends("quotes", f"{quote.symbol} not used", now, symbol=quote.symbol)
        self._act(watch, watch.cycle, quote)
        return True

    def held_back(self, symbol: str, why: str) -> None:
        """Note why a quote that reached a level led to nothing."""
        self._desk.held_back[symbol] = why

    def _decide(
        self, asset: Asset, cycle: Cycle, quote: Quote, rules: TradingRules, now: datetime, mode: Mode
    ) -> Action | None:
        return strategy.decide(asset, cycle, quote, rules, now, mode, self._desk.selling)

    def _act(self, watch: Watch, cycle: Cycle, quote: Quote) -> None:
        """Carry out what the strategy says of the remembered rows; each way decides again under lock."""
        asset = self._desk.tradable_form(watch.asset)
        rules = self._desk.rules.get(asset.asset_symbol)
        if rules is None:
            self.held_back(asset.asset_symbol, "the exchange does not list the pair")
            return
        action = self._decide(asset, cycle, quote, rules, self._clock.now(), self._desk.mode)
        if action is None:
            self.held_back(asset.asset_symbol, "its amount buys less than the exchange's smallest order")
        elif self._second_look.confirms(asset.asset_symbol, action):
            self._carry_out(action, watch, asset, quote, rules)

    def _carry_out(
        self, action: Action, watch: Watch, asset: Asset, quote: Quote, rules: TradingRules
    ) -> None:
        match action:
            case EndCooldown():
                self._end_cooldown(asset, quote, rules)
            case CancelBuy(reason=reason):
                self.held_back(asset.asset_symbol, "its open buy has to be canceled first, and has not ended")
                acked = (order for order in watch.open_orders if order.state is OrderState.ACKED)
                for order in acked:  # any other is for settling
                    self.cancel(order, reason)
            case Place(purpose=purpose):
                self._place(asset, quote, rules, with_position=purpose.side is Side.SELL)

    def _end_cooldown(self, asset: Asset, quote: Quote, rules: TradingRules) -> None:
        def work(tx: Transaction) -> tuple[Cycle, EndCooldown] | None:
            control, current, cycle = self._locked(tx, asset)
            if current is None or cycle is None or current.asset_symbol != quote.symbol:
                return None
            action = self._decide(current, cycle, quote, rules, self._clock.now(), control.mode)
            if not isinstance(action, EndCooldown):
                return None
            tx.update_cycle(lifecycle.cooldown_over(cycle, tx.counting_orders(cycle.id)))
            return cycle, action

        ended = self._store.transaction(work)
        if ended is not None:
            cycle, action = ended
            what = "cooldown over" if action.early_at is None else "cooldown ended early"
            fact("cycle", what, symbol=asset.asset_symbol, cycle=cycle.id, why=action.reason)
        self.books.look(asset.asset_symbol)
        watch = self._desk.watch(asset.asset_symbol)
        if ended is not None and watch is not None and watch.cycle is not None:
            # The price that ended it is the price to buy at; the next quote may have bounced back.
            self._act(watch, watch.cycle, quote)

    def _locked(self, tx: Transaction, asset: Asset) -> tuple[Control, Asset | None, Cycle | None]:
        """The rows a decision rests on, locked in the order control, cycle. A newer start of main_app
        takes the right to trade from an older one (F08)."""
        control = tx.control()
        cycle = tx.live_cycle(asset.id)
        current = tx.asset(asset.id)
        mode = control.mode if control.epoch == self._desk.epoch else Mode.HALT
        control = replace(control, mode=mode)
        return control, None if current is None else self._desk.tradable_form(current), cycle

    def _place(self, asset: Asset, quote: Quote, rules: TradingRules, *, with_position: bool) -> None:
        """Claim an order in one transaction, then send it. A sell is bounded by the position, and decided at
        the newest quote: the exchange may have taken seconds to answer."""
        symbol, position = asset.asset_symbol, None
        fills: tuple[Execution, ...] = ()
        if with_position:
            position = self._broker.position(symbol)
            fills = self._fills.of(symbol, position)
            quote = max(quote, self._newest(symbol) or quote, key=lambda each: each.at)
        self.held_back(symbol, "under lock its rows or its newest quote were found otherwise")
        self._broker.reserve(Side.SELL if with_position else Side.BUY)
        started = self._clock.monotonic()
        mine: list[tuple[Order, str]] = []

        def claim(tx: Transaction) -> tuple[Order, str] | None:
            written = written_before(tx, mine)
            if written is None:
                written = self._claim(tx, asset, quote, rules, position, fills)
                mine.extend([written] if written is not None else [])
            return written

        try:
            claimed = (self._sales if with_position else self._store).transaction(claim)
        except LostRace:
            claimed = None  # another process was first; its order is read below
        if claimed is None:
            self.books.look(symbol)
            return
        order, reason = claimed
        self._send(order, 1, started, partial(tell_placed, order, reason))

    def _claim(
        self,
        tx: Transaction,
        asset: Asset,
        quote: Quote,
        rules: TradingRules,
        position: Position | None,
        fills: Sequence[Execution],
    ) -> tuple[Order, str] | None:
        control, current, cycle = self._locked(tx, asset)
        now = self._clock.now()
        if current is None or cycle is None or not self._may_decide(tx, current, cycle, quote, now):
            return None
        action = self._decide(current, cycle, quote, rules, now, control.mode)
        if not isinstance(action, Place):
            return None
        orders = tx.counting_orders(cycle.id)
        if not books_agree(tx, current, cycle, orders, now):
            return None
        side, limits = action.purpose.side, self._limits.fuse
        if (side is Side.SELL) != (position is not None):
            return None  # the rows turned since the look from memory: the next quote looks anew
        troubles = self._troubles
        if not order_rate.is_sane(tx, limits, current, cycle, orders, action, rules, now, troubles):
            return None
        if position is not None:
            before = cycle
            control, cycle, orders = fee_evidence.believe(tx, control, cycle, orders, position, now, fills)
            action = strategy.with_all_of(action, before, cycle, rules)
            checked = bounded(tx, cycle, orders, action, rules, position, troubles, now)
            if checked is None:
                return None
            cycle, orders, action = checked
        order = tx.insert_order(new_order(control, current, cycle, orders, action, quote, rules, now))
        tx.update_cycle(lifecycle.placed(cycle, order.side))
        return order, action.reason

    def _may_decide(self, tx: Transaction, asset: Asset, cycle: Cycle, quote: Quote, now: datetime) -> bool:
        """Whether a quote still may, after the position was read and a lock waited for."""
        if asset.asset_symbol != quote.symbol:  # edited since the look from memory: another pair's price
            books_agree(tx, asset, cycle, tx.counting_orders(cycle.id), now)
            return False
        why = self._quote_problem(quote, now)
        if why is not None:
            self.held_back(quote.symbol, f"before its order was claimed its quote was {why}")
        return why is None

    def _send(self, order: Order, attempt: int, claiming_since: float, tell: Callable[[], None]) -> None:
        """POST a claimed order and book the answer, which reads the asset anew. No answer leaves it in
        flight: settling asks. One that was not claimed a moment ago may have been given up meanwhile.

        `tell` is called once nothing waits for it: its row says all that the line does, and was committed.
        """
        if self._clock.monotonic() - claiming_since > SEND_WITHIN_SECONDS:
            tell()
            what, why = f"not sent {order.client_order_id}", "the claim took too long"
            self.held_back(order.symbol, f"{why}: exchange or database are slow")
            warn("order", what, symbol=order.symbol, why=why)
            self.books.look(order.symbol)
            return
        outcome = self._broker.submit(order)
        tell()
        match outcome:
            case Accepted(snapshot=snapshot):
                self.books.book(snapshot, attempt)
            case DefiniteReject() as answer:
                self.books.refused(order, attempt, answer)
            case Duplicate():
                fact(
                    "order",
                    f"known already {order.client_order_id}",
                    symbol=order.symbol,
                    cycle=order.cycle_id,
                )
                self.books.settle(order)
            case Unknown(reason=reason):
                what = f"outcome unknown {order.client_order_id}"
                warn("order", what, symbol=order.symbol, cycle=order.cycle_id, why=reason)
                self.books.look(order.symbol)

    def settle(self, order: Order) -> Settled:
        """Ask what became of an order. One that provably never arrived is sent again under the same id
        while it still makes sense, and given up otherwise (faults.md D.5).

        Raises:
            Unavailable: nothing is known, nothing was changed.
        """
        settled = self.books.settle(order)
        if settled.denied_for_good:
            wanted = self._still_wanted(order)
            started = self._clock.monotonic()
            attempt = self._claim_resend(order) if wanted else None
            if attempt is None:
                self.books.give_up(order)
            else:
                what = f"sending again {order.client_order_id}"
                tell = partial(fact, "order", what, symbol=order.symbol, attempt=attempt)
                self._send(order, attempt, started, tell)
        return settled

    def _claim_resend(self, order: Order) -> int | None:
        self._broker.reserve(order.side)
        return self.books.claim_resend(order)

    def _still_wanted(self, order: Order) -> bool:
        """Whether the same order, to the letter, would be right at the newest quote; not without one."""
        watch = self._desk.watch(order.symbol)
        if watch is None or watch.problem is not None:
            return False
        quote = self._second_look.newest(order.symbol)
        if quote is None:
            return False
        if order.side is Side.SELL:
            if order.trigger_price is None:  # the operator's wish, if it still is one
                return watch.cycle is not None and watch.cycle.exit_requested_at is not None
            return quote.bid >= order.trigger_price
        may_buy = watch.asset.is_enabled and self._desk.mode is Mode.RUN
        return may_buy and order.limit_price is not None and quote.ask <= order.limit_price

    def cancel(self, order: Order, reason: str) -> None:
        """Ask for an order to be canceled, once; settling asks again until it has ended.

        An order whose existence is not known yet has to be settled first.

        Raises:
            Unavailable: the wish may be written down already; settling carries on from there.
        """

        def work(tx: Transaction) -> Order | None:
            tx.cycle(order.cycle_id)
            current = as_it_is(tx.counting_orders(order.cycle_id, order.client_order_id), order)
            if current.state is not OrderState.ACKED:
                return None
            now = self._clock.now()
            tx.update_order(replace(current, state=OrderState.CANCEL_REQUESTED, cancel_requested_at=now))
            return current

        wanted = self._store.transaction(work)
        if wanted is None or wanted.exchange_order_id is None:
            return
        fact(
            "order",
            f"canceling {order.client_order_id}",
            symbol=order.symbol,
            cycle=order.cycle_id,
            why=reason,
        )
        self.books.look(order.symbol)
        self._broker.cancel(wanted.exchange_order_id)
