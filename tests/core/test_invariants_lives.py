"""The invariants as functions: what the bot does by itself, over an asset's whole life, violates none."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dca.core import ledger, lifecycle, order_cleanup, outside_trades, strategy
from dca.core.invariants import Violation, of_asset, of_order
from dca.core.ledger import with_totals
from dca.core.model import (
    Asset,
    Control,
    Cycle,
    CycleStatus,
    Execution,
    Mode,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Side,
    Snapshot,
    TradingRules,
    round_down,
)
from dca.core.outside_trades import Trade
from dca.core.strategy import CancelBuy, EndCooldown, Place
from tests.builders import NOW, D, asset, cycle, order, quote, rules, snapshot

CONTROL = Control(install_id="abcd1234", account_id="a", epoch=1, mode=Mode.RUN)


@dataclass
class Life:
    """An asset's cycles as the trader and the bookkeeper write them, without a database."""

    asset: Asset = field(default_factory=asset)
    rules: TradingRules = field(default_factory=rules)
    cycle: Cycle = field(default_factory=cycle)
    orders: list[Order] = field(default_factory=list)
    there: dict[str, Snapshot] = field(default_factory=dict)
    ended: list[tuple[Cycle, list[Order]]] = field(default_factory=list)
    now: Any = NOW

    @property
    def live(self) -> Order | None:
        return next((each for each in self.orders if each.is_live), None)

    def put(self, changed: Order) -> None:
        self.orders = [changed if each.id == changed.id else each for each in self.orders]

    def move_on(self, current: Cycle) -> None:
        booking = lifecycle.book(current, self.orders, self.now)
        self.cycle = booking.cycle
        if booking.sold_at_price is not None:
            self.asset = replace(self.asset, last_sell_price=booking.sold_at_price)
            self.begin()

    def begin(self) -> None:
        self.ended.append((self.cycle, self.orders))
        self.orders = []
        self.cycle = cycle(CycleStatus.COOLDOWN, id=self.cycle.id + 1, cooldown_started_at=self.now)

    def quote(self, price: Decimal) -> None:
        seen = replace(quote(str(price)), at=self.now, received_at=self.now)
        match strategy.decide(self.asset, self.cycle, seen, self.rules, self.now, Mode.RUN):
            case EndCooldown():
                self.cycle = lifecycle.cooldown_over(self.cycle)
            case CancelBuy():
                assert self.live is not None
                self.put(replace(self.live, state=OrderState.CANCEL_REQUESTED, cancel_requested_at=self.now))
            case Place() as action:
                self.place(action)

    def place(self, action: Place) -> None:
        seq, side = len(self.orders) + 1, action.purpose.side
        claimed = replace(
            order(action.purpose, seq),
            cycle_id=self.cycle.id,
            level=action.level,
            client_order_id=f"dca-abcd1234-{self.cycle.id}-{seq}-x",
            order_type=OrderType.MARKET if side is Side.SELL else OrderType.LIMIT,
            qty=action.qty,
            limit_price=action.limit_price,
            quote_price=action.quote_price,
            base_order_amount=self.asset.base_order_amount,
            safety_order_amount=self.asset.safety_order_amount,
            max_safety_orders=self.asset.max_safety_orders,
            min_order_size=self.rules.min_order_size,
            created_at=self.now,
        )
        self.orders.append(claimed)
        self.cycle = lifecycle.placed(self.cycle, side)

    def price(self, factor: Decimal) -> Decimal:
        """Relative to the last buy."""
        return round_down((self.cycle.last_order_fill_price or D(100)) * factor, D("0.01"))

    def fill(self, share: Decimal, *, ends: bool) -> None:
        live = self.live
        if live is None:
            return
        part = round_down((live.qty - live.filled_qty) * share, live.qty_increment)
        total = live.filled_qty + part
        status = "filled" if total == live.qty else "canceled" if ends else "partially_filled"
        value = live.filled_value + part * live.quote_price
        average = (value / total).quantize(D("1e-9")) if total else None
        seen = snapshot(live, status, str(total), None if average is None else str(average))
        seen = replace(seen, created_at=live.created_at)
        self.there[live.client_order_id] = seen
        self.put(ledger.merge(live, seen, self.now))
        self.move_on(self.cycle)

    def refuse(self) -> None:
        if self.live is not None and self.live.filled_qty == 0:
            side = self.live.side
            self.put(replace(self.live, state=OrderState.REJECTED, closed_at=self.now))
            self.move_on(lifecycle.refused(self.cycle, side, "no", self.now))

    def confirm_fees(self, parts: int) -> None:
        for each in self.orders:
            if not each.is_live and each.filled_qty and each.filled_avg_price:
                one = round_down(each.filled_qty / parts, D("1e-9"))
                qtys = [*[one] * (parts - 1), each.filled_qty - one * (parts - 1)]
                executions = [
                    Execution(id=str(n), exchange_order_id="x", qty=qty, price=each.filled_avg_price)
                    for n, qty in enumerate(qtys)
                ]
                self.put(ledger.with_executions(each, executions) or each)
        self.cycle = lifecycle.book(self.cycle, self.orders, self.now).cycle

    def poorer(self) -> None:
        """The position proves a higher fee, before a sale."""
        shortage = ledger.shortage_tolerance(self.cycle, self.rules.qty_increment)
        changed = ledger.with_shortage_as_fee(self.orders, min(shortage, self.cycle.quantity))
        if changed is not None and self.live is None:
            self.put(changed)
            self.cycle = with_totals(self.cycle, self.orders)

    def outside(self, purpose: Purpose, qty: Decimal, level: int) -> None:
        """./bot adopt, or ./bot accept."""
        if self.live is not None or self.cycle.status not in {CycleStatus.WATCHING, CycleStatus.COOLDOWN}:
            return
        if purpose is Purpose.OUTSIDE and not 0 < qty <= self.cycle.quantity:
            return
        row = outside_trades.row(
            Trade(purpose=purpose, qty=qty, price=D(95), level=level),
            control=CONTROL,
            asset=self.asset,
            cycle=self.cycle,
            orders=self.orders,
            rules=self.rules,
            now=self.now,
        )
        self.orders.append(replace(row, id=row.seq))
        if purpose is Purpose.OUTSIDE:
            self.cycle = lifecycle.sold_outside(self.cycle, self.orders, self.rules, self.now)
            if self.cycle.status is CycleStatus.COMPLETE:
                self.begin()
            return
        cold = self.cycle.status is CycleStatus.COOLDOWN
        ready = lifecycle.cooldown_over(self.cycle) if cold else self.cycle
        self.cycle = with_totals(ready, self.orders)

    def violations(self) -> list[str]:
        told = of_asset(self.asset, [self.cycle], [each for each in self.orders if each.is_live])
        for each, orders in ((self.cycle, self.orders), *self.ended):
            told += self._of_cycle(each, orders)
        return [str(each) for each in told]

    def _of_cycle(self, each: Cycle, orders: Sequence[Order]) -> list[Violation]:
        verdict = order_cleanup.verdict(self.asset, each, orders, self.now)
        told = list(verdict.violations)
        if verdict.is_sick:
            told.append(Violation(number="sick", about="", words=f"{verdict.booking.cycle}"))
        for mine in orders:
            if mine.client_order_id in self.there:
                told += of_order(mine, self.there[mine.client_order_id])
        return told


shares = st.sampled_from([D(0), D("0.02"), D("0.5"), D(1)])
traded = st.one_of(
    st.tuples(st.just("quote"), st.sampled_from([D("0.97"), D("0.99"), D("1.005"), D("1.03")])),
    st.tuples(st.just("fall, bought")),
    st.tuples(st.just("rise, sold")),
    st.tuples(st.just("fill"), shares, st.booleans()),
    st.tuples(st.just("fees"), st.integers(1, 7)),
)
STEPS = st.one_of(
    traded,
    traded,
    traded,
    st.tuples(st.just("refuse")),
    st.tuples(st.just("poorer")),
    st.tuples(st.just("asset"), st.integers(11, 40), st.integers(11, 40), st.integers(0, 4)),
    st.tuples(st.just("smallest"), st.sampled_from([D("0.0001"), D("0.01"), D("0.01"), D("0.15"), D("0.4")])),
    st.tuples(st.just("adopt"), st.sampled_from([D("0.05"), D("0.2")]), st.integers(0, 2)),
    st.tuples(st.just("accept"), st.sampled_from([D("0.01"), D("0.1"), D("0.1995")])),
)


def take(life: Life, step: tuple[Any, ...]) -> None:
    life.now += timedelta(minutes=10)
    match step:
        case ("quote", factor):
            life.quote(life.price(factor))
        case ("fall, bought",):
            life.quote(life.price(D("0.97")))
            life.fill(D(1), ends=True)
        case ("rise, sold",):
            life.quote(life.price(D("1.05")))
            life.fill(D(1), ends=True)
        case ("fill", share, ends):
            life.fill(share, ends=ends)
        case ("refuse",):
            life.refuse()
        case ("fees", parts):
            life.confirm_fees(parts)
        case ("poorer",):
            life.poorer()
        case ("asset", base, safety, most):
            life.asset = replace(
                life.asset,
                base_order_amount=D(base),
                safety_order_amount=D(safety),
                max_safety_orders=most,
            )
        case ("smallest", size):
            life.rules = replace(life.rules, min_order_size=size)
        case ("adopt", qty, level):
            life.outside(Purpose.ADOPTED, qty, level)
        case ("accept", qty):
            life.outside(Purpose.OUTSIDE, qty, 0)


@settings(max_examples=200)
@given(st.lists(STEPS, min_size=20, max_size=60))
def test_books_as_the_lifecycle_writes_them_never_violate(steps: list[tuple[Any, ...]]) -> None:
    life = Life()
    for step in steps:
        take(life, step)
        assert life.violations() == [], step
