"""What must be true of the books whatever happens, by number; and what speaks against it.

Pure. The bot's own book (I01, I07, I08, I11 to I14) agrees with itself in every committed state; with the
exchange's (I05, I06, I30) it agrees once nothing is in flight. I31 waits for the operator. That the position
covers the cycle (I09) is in caretaking.py, with the rest of what is concluded from positions. A violation is
told, never repaired.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dca.core import ledger
from dca.core.model import (
    ENDED,
    GIVEN_UP_STATES,
    ZERO,
    Asset,
    Cycle,
    CycleStatus,
    Order,
    OrderState,
    Purpose,
    Side,
    Snapshot,
    plain,
)
from dca.core.strategy import LEAST_BASE_BUDGET

RULES = {
    "I01": "a cycle, and an asset, has one live order at the most",
    "I05": "the ledger never has more filled than the exchange",
    "I06": "an order is the same in both books: filled, average price, ended or open",
    "I07": "what a cycle holds and cost follows from its orders",
    "I08": "a cycle sells no more than it bought, less fees",
    "I09": "the account holds what the cycle holds",
    "I11": "a cycle costs no more than its base and safety orders, as they stood when each was claimed",
    "I12": "no more safety orders are bought than allowed, and each level by one order",
    "I13": "an enabled asset has one live cycle",
    "I14": "a cycle's status says what its orders say",
    "I30": "no order is in one of the two books only",
    "I31": "what an order did that came back changed, or after it was given up, is decided by the operator",
}
"""As the mails say them."""
PAST = frozenset({"I08", "I11", "I12"})
"""What was bought or sold against these cannot be undone: they end when the operator has seen it."""

EDITED = frozenset({"I05", "I06", "I07", "I13", "I14"})
"""Against these speaks a row of ours alone: it has to be put right, and there is no trade to be booked."""

BUDGET_TOLERANCE = Decimal("1.01")
SAME_PRICE, SAME_SHARE = Decimal("1e-9"), Decimal("1e-6")
"""Prices that differ by less were rounded: the stream may give an average other decimals than a list does."""
LONGEST_WORDS = 450
MOST_NAMED = 4
_NEVER_SENT = frozenset({Purpose.ADOPTED, Purpose.OUTSIDE})
_NUMBERS = re.compile(r"\((I\d\d(?:, I\d\d)*)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One invariant that does not hold. `about` says of what, the same at every look; `words` has the numbers
    of both sides. `at` is when the last order behind it was touched, if the operator can accept it."""

    number: str
    about: str
    words: str
    at: datetime | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.number, self.about


def reason(violations: Sequence[Violation]) -> str:
    """One line for lock_reason: the first one's words, and the numbers of all."""
    names = dict.fromkeys(each.number for each in violations)
    return f"{violations[0].words[:LONGEST_WORDS]} ({', '.join(names)})"


def numbers(lock_reason: str) -> list[str]:
    """The invariants that a line made by `reason` names; empty for any other."""
    found = _NUMBERS.search(lock_reason)
    return [] if found is None else found[1].split(", ")


def not_accepted(violations: Iterable[Violation], accepted_at: datetime | None) -> list[Violation]:
    """Those that the operator has not seen: an order behind them is newer than his last accept."""
    return [each for each in violations if each.at is None or accepted_at is None or each.at >= accepted_at]


# ---- our own book ------------------------------------------------------------------------------------------


def of_asset(asset: Asset, live_cycles: Sequence[Cycle], live_orders: Sequence[Order]) -> list[Violation]:
    """I13 and I01 of an asset: a look at its live cycles, and one at its live orders."""
    found = list(_one_live_order(f"asset {asset.asset_symbol}", live_orders))
    if len(live_cycles) > 1 or (asset.is_enabled and not live_cycles):
        names = ", ".join(f"cycle {each.id} ({each.status.value})" for each in live_cycles) or "none"
        words = f"{asset.asset_symbol} has {len(live_cycles)} live cycles: {names}"
        found.append(Violation(number="I13", about="live cycles", words=words))
    return found


def of_cycle(cycle: Cycle, orders: Sequence[Order]) -> list[Violation]:
    """What a cycle and its orders, as committed together, say against each other.

    A cycle without any order is not judged: it is new, or older than the ledger.
    """
    if not orders:
        return []
    return [violation for check in _OF_CYCLE for violation in check(cycle, orders)]


def _one_live(cycle: Cycle, orders: Sequence[Order]) -> Iterator[Violation]:
    yield from _one_live_order(f"cycle {cycle.id}", orders)


def _one_live_order(whose: str, orders: Sequence[Order]) -> Iterator[Violation]:
    live = [order for order in orders if order.is_live]
    if len(live) > 1:
        yield Violation(
            number="I01", about=whose, words=f"{whose} has {len(live)} live orders: {_named(live)}"
        )


def undecided(order: Order) -> Violation:
    """I31 of an order on which the operator has to decide (Order.is_undecided)."""
    name = order.client_order_id
    words = f"order {name} was given up and turned up after all"
    if order.difference is not None:
        words = f"the exchange has order {name} otherwise than it was sent: {order.difference}"
    did = f"{order.side.value} filled {plain(order.filled_qty)}"
    if order.filled_avg_price is not None:
        did += f" at {plain(order.filled_avg_price)}"
    return Violation(number="I31", about=name, words=f"{words}; {did}, booked in cycle {order.cycle_id}")


def _derived(cycle: Cycle, orders: Sequence[Order]) -> Iterator[Violation]:
    """I07."""
    totals = ledger.totals(orders)
    wrong = [
        f"{name} is {_shown(getattr(cycle, name))}, its orders make {_shown(getattr(totals, name))}"
        for name in ledger.Totals.__slots__
        if getattr(cycle, name) != getattr(totals, name)
    ]
    if wrong:
        words = f"cycle {cycle.id}: {'; '.join(wrong)} ({_named(orders)})"
        yield Violation(number="I07", about=f"cycle {cycle.id}", words=words)


def _not_oversold(cycle: Cycle, orders: Sequence[Order]) -> Iterator[Violation]:
    """I08. What was not asked for is told by I31; what fees explain is nobody's coin."""
    buys = [order for order in orders if order.side is Side.BUY]
    sells = [order for order in _asked_for(orders) if order.side is Side.SELL and _takes_part(order)]
    held = sum((order.filled_qty - order.fee_qty for order in buys), ZERO)
    sold = sum((order.filled_qty for order in sells), ZERO)
    offered = sum((order.qty - order.filled_qty for order in sells if order.is_live), ZERO)
    excess = sold + offered - held
    if sells and excess > ledger.shortage_tolerance(cycle, sells[-1].qty_increment):
        words = (
            f"cycle {cycle.id} bought {plain(held)} net of fees, sold {plain(sold)} and offers "
            f"{plain(offered)}: {plain(excess)} too many ({_named(sells)})"
        )
        yield Violation(number="I08", about=f"cycle {cycle.id}", words=words, at=_touched(sells))


def _within_budget(cycle: Cycle, orders: Sequence[Order]) -> Iterator[Violation]:
    """I11. What the operator adopted is not the bot's spending; what was not asked for is told by I31."""
    bought = [order for order in _asked_for(orders) if _spent(order) > 0]
    base = [order for order in bought if order.purpose is Purpose.BASE]
    if base:
        allowed = max(order.base_order_amount for order in base)
        if len(base) > 1:  # a part too small to be sold, topped up by the exchange's smallest buy
            allowed = max(allowed, LEAST_BASE_BUDGET)
        yield from _overspent(cycle, base, allowed, "base orders")
    for order in bought:
        if order.purpose is Purpose.SAFETY:
            yield from _overspent(cycle, [order], order.safety_order_amount, f"safety order {order.level}")


def _overspent(cycle: Cycle, orders: Sequence[Order], allowed: Decimal, what: str) -> Iterator[Violation]:
    spent = sum((_spent(order) for order in orders), ZERO)
    if spent > allowed * BUDGET_TOLERANCE:
        words = (
            f"cycle {cycle.id} spent {_dollars(spent)} dollars for {what}, {_dollars(allowed)} are allowed "
            f"({_named(orders)})"
        )
        yield Violation(number="I11", about=f"cycle {cycle.id} {what}", words=words, at=_touched(orders))


def _spent(order: Order) -> Decimal:
    """Dollars that a base or safety order has cost, and may still cost."""
    may_come = (order.qty - order.filled_qty) * (order.limit_price or ZERO) if order.is_live else ZERO
    return order.filled_value + may_come


def _levels(cycle: Cycle, orders: Sequence[Order]) -> Iterator[Violation]:
    """I12."""
    filled = [order for order in _asked_for(orders) if order.filled_qty > 0]
    safety = [order for order in filled if order.purpose is Purpose.SAFETY]
    for level, count in Counter(order.level for order in safety).items():
        if count > 1:
            same = [order for order in safety if order.level == level]
            words = f"level {level} of cycle {cycle.id} was filled by {count} orders ({_named(same)})"
            about = f"cycle {cycle.id} level {level}"
            yield Violation(number="I12", about=about, words=words, at=_touched(same))
    adopted = [order for order in filled if order.purpose is Purpose.ADOPTED]
    for nth, order in enumerate(sorted(safety, key=lambda each: each.seq), start=1):
        used = nth + sum(each.level for each in adopted if each.seq < order.seq)
        if used > order.max_safety_orders:
            words = (
                f"cycle {cycle.id}: {order.client_order_id} is safety order {used}, "
                f"{order.max_safety_orders} were allowed ({_named(safety)})"
            )
            about = f"cycle {cycle.id} {order.client_order_id}"
            yield Violation(number="I12", about=about, words=words, at=_touched([order]))


def _status_agrees(cycle: Cycle, orders: Sequence[Order]) -> Iterator[Violation]:
    """I14."""
    live = [order for order in orders if order.is_live]
    wanted = {CycleStatus.BUYING: {Side.BUY}, CycleStatus.SELLING: {Side.SELL}}.get(cycle.status, set())
    about = f"cycle {cycle.id}"
    if {order.side for order in live} != wanted:
        words = f"{about} is {cycle.status.value} with {_named(live) or 'no live order'}"
        yield Violation(number="I14", about=about, words=words)
    if (cycle.completed_at is not None) != (cycle.status in ENDED):
        words = f"{about} is {cycle.status.value} and completed_at is {cycle.completed_at}"
        yield Violation(number="I14", about=about, words=words)
    if cycle.status is CycleStatus.COOLDOWN and cycle.quantity > 0:
        yield Violation(number="I14", about=about, words=f"{about} rests and holds {plain(cycle.quantity)}")
    if cycle.status is CycleStatus.COMPLETE:
        yield from _complete(cycle, orders)


def _complete(cycle: Cycle, orders: Sequence[Order]) -> Iterator[Violation]:
    if cycle.quantity >= max(order.min_order_size for order in orders) > 0:
        yield late_fill(cycle)
    if cycle.sold_qty <= 0:
        words = f"cycle {cycle.id} is complete and no order of it sold anything ({_named(orders)})"
        yield Violation(number="I14", about=f"cycle {cycle.id}", words=words)


def late_fill(cycle: Cycle) -> Violation:
    """I14 of a complete cycle that holds, again, what could be sold."""
    words = f"cycle {cycle.id} had ended when {plain(cycle.quantity)} more was filled"
    return Violation(number="I14", about=f"cycle {cycle.id} late", words=words)


_OF_CYCLE: tuple[Callable[[Cycle, Sequence[Order]], Iterator[Violation]], ...] = (
    _one_live,
    _derived,
    _not_oversold,
    _within_budget,
    _levels,
    _status_agrees,
)


# ---- both books --------------------------------------------------------------------------------------------


def of_order(order: Order, snapshot: Snapshot) -> list[Violation]:
    """I05 and I06: an order as the ledger has it, and as the exchange lists it. What is live or given up is
    settled instead."""
    if order.is_live or order.state in GIVEN_UP_STATES or ledger.is_incomplete(snapshot):
        return []
    if order.filled_qty > snapshot.filled_qty:
        return [_unlike(order, "I05", f"{plain(order.filled_qty)} filled", plain(snapshot.filled_qty))]
    known = order.difference is not None  # and told by I31
    other = ledger.stranger(order, snapshot) if known else ledger.mismatch(order, snapshot)
    if other is not None:
        words = f"the exchange's order {order.client_order_id}: {other}"
        return [Violation(number="I06", about=order.client_order_id, words=words, at=_touched([order]))]
    return list(_differences(order, snapshot))


def _differences(order: Order, snapshot: Snapshot) -> Iterator[Violation]:
    if order.filled_qty < snapshot.filled_qty:
        yield _unlike(order, "I06", f"{plain(order.filled_qty)} filled", plain(snapshot.filled_qty))
    elif not _same_price(order.filled_avg_price, snapshot.filled_avg_price):
        ours, theirs = _shown(order.filled_avg_price), _shown(snapshot.filled_avg_price)
        yield _unlike(order, "I06", f"an average price of {ours}", theirs)
    if not snapshot.is_closed:
        yield _unlike(order, "I06", f"it as {order.exchange_status}, ended", f"it open: {snapshot.status}")


def _unlike(order: Order, number: str, ours: str, theirs: str) -> Violation:
    words = f"order {order.client_order_id}: the ledger has {ours}, the exchange {theirs}"
    return Violation(number=number, about=order.client_order_id, words=words, at=_touched([order]))


def _same_price(ours: Decimal | None, theirs: Decimal | None) -> bool:
    if ours is None or theirs is None:
        return (ours or ZERO) == (theirs or ZERO)
    return abs(ours - theirs) <= max(SAME_PRICE, SAME_SHARE * theirs)


def listed_by_now(
    orders: Iterable[Order], after: datetime, before: datetime | None, ended_before: datetime
) -> list[Order]:
    """Orders that a list of what the exchange was sent after `after`, and before `before` if that is given,
    must have: it had accepted them, and they ended before `ended_before`."""
    return [
        order
        for order in orders
        if order.state is OrderState.DONE
        and order.purpose not in _NEVER_SENT
        and order.exchange_order_id is not None
        and order.created_at > after + ledger.CLOCK_TOLERANCE
        and (before is None or order.created_at < before - ledger.CLOCK_TOLERANCE)
        and order.closed_at is not None
        and order.closed_at < ended_before
    ]


def denied(order: Order) -> Violation:
    """I30 of an order that the exchange had accepted, and says it does not know."""
    words = (
        f"order {order.client_order_id} was accepted by the exchange as {order.exchange_order_id}, "
        f"{order.side.value} filled {plain(order.filled_qty)} of {plain(order.qty)}, and is unknown there now"
    )
    return Violation(number="I30", about=order.client_order_id, words=words, at=_touched([order]))


# ---- words -------------------------------------------------------------------------------------------------


def _asked_for(orders: Sequence[Order]) -> list[Order]:
    """Without ghosts, and without what came back otherwise than it was sent."""
    return [order for order in orders if order.state is not OrderState.GHOST and order.difference is None]


def _takes_part(order: Order) -> bool:
    return order.is_live or order.filled_qty > 0


def _touched(orders: Iterable[Order]) -> datetime:
    return max(order.closed_at or order.created_at for order in orders)


def _named(orders: Sequence[Order]) -> str:
    """Orders by their ids, the newest of many."""
    shown = [
        f"{order.client_order_id} {order.state.value} {plain(order.filled_qty)} of {plain(order.qty)}"
        for order in orders[-MOST_NAMED:]
    ]
    return ", ".join([*(["…"] if len(orders) > MOST_NAMED else []), *shown])


def _shown(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)


def _dollars(amount: Decimal) -> str:
    return f"{amount:.2f}"
