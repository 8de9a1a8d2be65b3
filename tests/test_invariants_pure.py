"""The invariants as functions: what each takes for a violation, and that what the lifecycle does is none."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dca import caretaking, invariants, ledger, lifecycle, outside, strategy
from dca.invariants import PAST, RULES, Violation, of_asset, of_cycle, of_order
from dca.ledger import Totals, with_totals
from dca.model import (
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
from dca.outside import Trade
from dca.strategy import CancelBuy, EndCooldown, Place
from tests.builders import NOW, D, asset, cycle, done, holding, order, quote, rules, snapshot

CONTROL = Control(install_id="abcd1234", account_id="a", epoch=1, mode=Mode.RUN)
SAFETY, BASE, SELL = Purpose.SAFETY, Purpose.BASE, Purpose.TAKE_PROFIT


def found(of: Cycle, *orders: Order) -> list[str]:
    """The numbers, of a row that has its orders' totals."""
    return [each.number for each in of_cycle(with_totals(of, orders), orders)]


def bought(seq: int = 1, purpose: Purpose = BASE, **changes: Any) -> Order:
    return done(purpose, seq, filled="0.2", **changes)


# ---- one cycle ---------------------------------------------------------------------------------------------


def test_what_is_right() -> None:
    assert found(cycle(), bought()) == []
    assert found(cycle(CycleStatus.BUYING), bought(), order(SAFETY, 2)) == []
    assert found(cycle(CycleStatus.SELLING), bought(), order(SELL, 2, qty=D("0.1995"))) == []
    over = cycle(CycleStatus.COMPLETE, completed_at=NOW)
    assert found(over, bought(), done(SELL, 2, filled="0.1995", price="103")) == []


def test_a_cycle_without_orders_is_not_judged() -> None:
    assert of_cycle(holding(CycleStatus.COMPLETE, completed_at=None), []) == []


def test_I01_two_live_orders() -> None:
    assert found(cycle(CycleStatus.BUYING), order(BASE, 1), order(BASE, 2, qty=D("0.01"))) == ["I01"]
    two = [order(BASE, 1), order(BASE, 1, cycle_id=13)]
    assert [each.number for each in of_asset(asset(), [cycle()], two)] == ["I01"]


@pytest.mark.parametrize("name", Totals.__slots__)
def test_I07_every_derived_column(name: str) -> None:
    orders = [bought(), bought(2, SAFETY), done(SELL, 3, filled="0.1")]
    right = with_totals(cycle(), orders)
    wrong: object = "other" if name == "latest_order_id" else getattr(right, name) + 1
    violations = of_cycle(replace(right, **{name: wrong}), orders)  # type: ignore[arg-type]
    assert [each.number for each in violations] == ["I07"]
    assert f"{name} is " in violations[0].words and "its orders make " in violations[0].words


@pytest.mark.parametrize(
    ("sold", "offered", "is_wrong"),
    [("0.1995", "0", False), ("0.1", "0.0995", False), ("0.203", "0", True), ("0.1", "0.103", True)],
)
def test_I08_never_more_sold_or_offered_than_bought(sold: str, offered: str, is_wrong: bool) -> None:
    orders = [bought(), done(SELL, 2, filled=sold, qty=D(sold))]
    status = CycleStatus.WATCHING
    if offered != "0":
        orders.append(order(SELL, 3, qty=D(offered)))
        status = CycleStatus.SELLING
    assert found(cycle(status), *orders) == ["I08"] * is_wrong


def test_I11_an_order_costs_what_its_row_allows_and_a_percent() -> None:
    assert found(cycle(), bought(base_order_amount=D("19.81"))) == []
    assert found(cycle(), bought(base_order_amount=D("19.80"))) == ["I11"]
    assert found(cycle(), bought(), bought(2, SAFETY, safety_order_amount=D("19.8"))) == ["I11"]


def test_I11_what_may_still_be_bought_counts() -> None:
    live = order(base_order_amount=D(10), state=OrderState.ACKED, filled_qty=D("0.05"), filled_value=D(5))
    live = replace(live, filled_avg_price=D(100))
    assert found(cycle(CycleStatus.BUYING), live) == ["I11"]
    assert found(cycle(), replace(live, state=OrderState.DONE)) == []


def test_I11_two_base_orders_and_one_topped_up() -> None:
    assert found(cycle(), bought(), bought(2)) == ["I11"]
    assert found(cycle(), done(filled="0.1"), done(BASE, 2, filled="0.105")) == []
    lowered_later = done(filled="0.3", qty=D("0.4"), base_order_amount=D(40))
    assert found(cycle(), lowered_later, done(BASE, 2, filled="0.105")) == []


def test_I12_a_level_is_bought_by_one_order() -> None:
    first, canceled = bought(2, SAFETY), done(SAFETY, 3, level=1)
    assert found(cycle(), bought(), first, canceled) == []
    assert found(cycle(), bought(), first, bought(3, SAFETY, level=1)) == ["I12"]


def test_I12_no_more_safety_orders_than_its_row_allows() -> None:
    three = [bought(1 + level, SAFETY, level=level) for level in (1, 2, 3)]
    assert found(cycle(), bought(), *three) == []
    assert found(cycle(), bought(), *three[:2], replace(three[2], max_safety_orders=2)) == ["I12"]
    lowered_later = [replace(three[0], max_safety_orders=1), *three[1:]]
    assert found(cycle(), bought(), *lowered_later) == []


def test_I12_what_was_adopted_stands_for_safety_orders() -> None:
    adopted = bought(2, Purpose.ADOPTED, level=2)
    assert found(cycle(), bought(), adopted, bought(3, SAFETY, level=3)) == []
    assert found(cycle(), bought(), adopted, bought(3, SAFETY, level=3, max_safety_orders=2)) == ["I12"]
    assert found(cycle(), bought(), bought(2, SAFETY, max_safety_orders=1), replace(adopted, seq=3)) == []


def test_I13_one_live_cycle_of_an_enabled_asset() -> None:
    assert of_asset(asset(), [cycle()], []) == []
    assert of_asset(asset(is_enabled=False), [], []) == []
    assert [each.number for each in of_asset(asset(), [], [])] == ["I13"]
    assert [each.number for each in of_asset(asset(is_enabled=False), [cycle(), cycle(id=13)], [])] == ["I13"]


@pytest.mark.parametrize(
    ("status", "live"),
    [
        (CycleStatus.WATCHING, BASE),
        (CycleStatus.WATCHING, SELL),
        (CycleStatus.COOLDOWN, BASE),
        (CycleStatus.BUYING, None),
        (CycleStatus.BUYING, SELL),
        (CycleStatus.SELLING, None),
        (CycleStatus.SELLING, BASE),
        (CycleStatus.COMPLETE, SELL),
        (CycleStatus.ERROR, SAFETY),
    ],
)
def test_I14_the_status_says_what_the_orders_say(status: CycleStatus, live: Purpose | None) -> None:
    over = status in {CycleStatus.COMPLETE, CycleStatus.ERROR}
    orders = [bought(), done(SELL, 2, filled="0.1995")]
    orders += [] if live is None else [order(live, 3, qty=D("0.0000001"))]
    assert found(cycle(status, completed_at=NOW if over else None), *orders) == ["I14"]


def test_I14_a_complete_cycle_has_sold_and_holds_nothing_to_sell() -> None:
    over = cycle(CycleStatus.COMPLETE, completed_at=NOW)
    assert found(over, bought(), done(SELL, 2, filled="0.1895")) == ["I14"]
    assert found(over, bought(), done(SELL, 2, filled="0.1896")) == []
    assert found(over, done()) == ["I14"]
    assert found(cycle(CycleStatus.ERROR, completed_at=NOW), bought()) == [], "its coins are gone"
    assert found(replace(over, completed_at=None), bought(), done(SELL, 2, filled="0.1995")) == ["I14"]
    assert found(cycle(CycleStatus.COOLDOWN), bought()) == ["I14"]


# ---- an order in both books --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "numbers"),
    [
        ({}, []),
        ({"filled_qty": D("0.1")}, ["I05"]),
        ({"filled_qty": D("0.3")}, ["I06"]),
        ({"filled_avg_price": D("100.0001")}, []),
        ({"filled_avg_price": D("100.001")}, ["I06"]),
        ({"status": "new"}, ["I06"]),
        ({"qty": D("0.3")}, ["I06"]),
        ({"filled_avg_price": None}, []),
    ],
)
def test_I05_I06_of_an_order_that_has_ended(changes: dict[str, Any], numbers: list[str]) -> None:
    here = bought()
    there = replace(snapshot(here, "filled", "0.2", "100"), **changes)
    assert [each.number for each in of_order(here, there)] == numbers


def test_an_order_that_is_live_or_given_up_is_settled_instead() -> None:
    for state in set(OrderState) - {OrderState.DONE}:
        here = bought(state=state)
        assert of_order(here, snapshot(here, "new", "0.1", "90")) == []


def test_I30_which_orders_a_list_must_have() -> None:
    since, before = NOW - timedelta(days=2), NOW + timedelta(seconds=1)
    assert invariants.listed_by_now([bought()], since, before) == [bought()]
    old = NOW - timedelta(days=2)
    for other in (
        bought(created_at=old),
        bought(closed_at=before),
        bought(exchange_order_id=None),
        bought(purpose=Purpose.ADOPTED),
        bought(state=OrderState.VOID),
        order(),
    ):
        assert invariants.listed_by_now([other], since, before) == []


# ---- words -------------------------------------------------------------------------------------------------


def test_a_reason_has_the_first_ones_words_and_all_numbers() -> None:
    first = Violation(number="I12", about="a", words="x" * 600)
    reason = invariants.reason([first, replace(first, number="I11"), replace(first, about="b")])
    assert reason.endswith("x (I12, I11)") and len(reason) <= 500
    assert invariants.numbers(reason) == ["I12", "I11"]
    assert invariants.numbers("somebody wrote I12 here") == []


def test_every_number_has_its_rule_and_no_other() -> None:
    wanted = ["I01", *(f"I{number:02}" for number in (5, 6, 7, 8, 9, 11, 12, 13, 14)), "I30"]
    assert list(RULES) == wanted, "faults.md, part C: what runs in production too"
    assert set(RULES) > PAST


def test_what_the_operator_accepted_is_not_told_again() -> None:
    seen = Violation(number="I12", about="a", words="w", at=NOW)
    here = replace(seen, at=None)
    later = NOW + timedelta(seconds=1)
    assert invariants.not_accepted([seen, here], None) == [seen, here]
    assert invariants.not_accepted([seen, here], NOW) == [seen, here]
    assert invariants.not_accepted([seen, here], later) == [here]


# ---- what the bot does by itself is none -------------------------------------------------------------------


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
        row = outside.row(
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
        verdict = caretaking.verdict(self.asset, each, orders, self.now)
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
