"""What the cron scripts conclude from a look at the books. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from dca.core import invariants, ledger, lifecycle, strategy
from dca.core.invariants import Violation
from dca.core.lifecycle import Booking
from dca.core.model import (
    ENDED,
    ZERO,
    Asset,
    Cycle,
    CycleStatus,
    Execution,
    Order,
    OrderState,
    Position,
    Side,
    Snapshot,
    TradingRules,
    plain,
    round_down,
)
from dca.core.operations import MissingPosition

GONE_LOOKS, GONE_FOR = 4, timedelta(minutes=15)
"""An account has shown no positions for minutes (alpaca.md 2.4): coins are gone that so many runs in a row
did not see, over so long."""
_AT_THE_EXCHANGE = frozenset({OrderState.ACKED, OrderState.CANCEL_REQUESTED})
"""An order whose answer is not known yet (SENT) is not canceled: it has to be settled first."""


def stale_buys(orders: Iterable[Order], now: datetime, limit: timedelta) -> list[Order]:
    """Live buys that have been open longer than `limit`, the ones already asked to cancel among them."""
    return [
        order
        for order in orders
        if order.side is Side.BUY and order.state in _AT_THE_EXCHANGE and now - order.created_at > limit
    ]


def stuck_sells(orders: Iterable[Order], now: datetime, limit: timedelta) -> list[Order]:
    """Sells that have not ended within `limit`, though each takes what the market has: the rest is canceled
    and decided anew (F19)."""
    return [
        order
        for order in orders
        if order.side is Side.SELL and order.state in _AT_THE_EXCHANGE and now - order.created_at > limit
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """Open orders of the account that the ledger does not know: `orphans` carry our id, `foreign` do not."""

    orphans: tuple[Snapshot, ...]
    foreign: tuple[Snapshot, ...]


def strangers(listed: Iterable[Snapshot], prefix: str, known: set[str]) -> Strangers:
    """Sort what the exchange lists. `known` has to be read after the list: an order is in the ledger before
    it is at the exchange, so what is missing then is missing for good (F13)."""
    unknown = [snapshot for snapshot in listed if snapshot.client_order_id not in known]
    return Strangers(
        orphans=tuple(each for each in unknown if each.client_order_id.startswith(prefix)),
        foreign=tuple(each for each in unknown if not each.client_order_id.startswith(prefix)),
    )


def cooldown_is_over(asset: Asset, cycle: Cycle, now: datetime) -> str | None:
    """Why a cooldown ends now; None while it goes on, and for a cycle in another status."""
    if cycle.status is not CycleStatus.COOLDOWN:
        return None
    ends_at = strategy.cooldown_ends_at(asset, cycle)
    if ends_at is None:
        return "there is no sale behind it"
    return "its time is up" if now >= ends_at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Both books about one asset, read while nothing of it was in flight.

    `orders` are the live cycle's; `position` is what the account holds; `forgotten` are orders with our id
    that filled and that the ledger does not know; `leftovers` are complete cycles that hold coins again;
    `differences` are orders that the two books tell differently.
    """

    asset: Asset
    cycle: Cycle
    orders: tuple[Order, ...]
    ghosts: tuple[Order, ...]
    position: Position
    rules: TradingRules
    forgotten: tuple[Snapshot, ...] = ()
    leftovers: tuple[Cycle, ...] = ()
    differences: tuple[Violation, ...] = ()

    @property
    def shortage(self) -> Decimal:
        """Coins that the ledger has and the account has not."""
        return self.cycle.quantity - self.position.qty


def in_flight(orders: Iterable[Order]) -> bool:
    """Whether anything of these may still change what the account holds."""
    return any(order.is_live for order in orders)


def holds_the_same(cycle: Cycle, other: Cycle | None) -> bool:
    """Whether two looks at a cycle saw the same coins in it. Refusals and pauses may come and go."""
    if other is None:
        return False
    seen = [(c.id, c.status, c.bought_qty, c.buy_fee_qty, c.sold_qty) for c in (cycle, other)]
    return seen[0] == seen[1]


def is_gone(books: Books) -> bool:
    """Whether a look at the account shows nothing that could be sold where the cycle says there is (F57).
    That is no evidence by itself: see is_beyond_doubt."""
    if nonsense(books) is not None or books.forgotten or books.differences:
        return False  # a sale of ours that the ledger does not know may explain it
    if books.shortage <= ledger.shortage_tolerance(books.cycle, books.rules.qty_increment):
        return False
    held = round_down(books.position.qty, books.rules.qty_increment)
    return strategy.can_be_sold(books.cycle, books.rules) and held < books.rules.min_order_size


def short_of_coins(
    assets: Iterable[Asset],
    cycles: Mapping[int, Cycle],
    positions: Mapping[str, Position],
    rules: Mapping[str, TradingRules],
) -> set[int]:
    """Assets of which a list of positions shows less than their cycles hold, those with orders in flight
    among them: a list that is wrong about one pair has been wrong about all (alpaca.md 2.4)."""
    found = set()
    for asset in assets:
        cycle, of_pair = cycles.get(asset.id), rules.get(asset.asset_symbol)
        if cycle is None or of_pair is None:
            continue
        position = positions.get(asset.asset_symbol.replace("/", ""))
        shortage = cycle.quantity - (ZERO if position is None else position.qty)
        if shortage > ledger.shortage_tolerance(cycle, of_pair.qty_increment):
            found.add(asset.id)
    return found


def missing_again(before: MissingPosition | None, cycle: Cycle, now: datetime) -> MissingPosition:
    """The evidence with one more run that found a position missing; from the start, if the last one that did
    is too long ago, or a clock was set back."""
    if before is None or not timedelta(0) <= now - before.last_seen_at <= GONE_FOR:
        return MissingPosition(cycle_id=cycle.id, first_seen_at=now, last_seen_at=now, looks=1)
    return replace(before, last_seen_at=now, looks=before.looks + 1)


def is_beyond_doubt(missing: MissingPosition) -> bool:
    """Whether coins that were missing in so many runs, over so long, are gone."""
    return missing.looks >= GONE_LOOKS and missing.last_seen_at - missing.first_seen_at >= GONE_FOR


def breaks(books: Books) -> list[Violation]:
    """In what the two books disagree beyond what fees explain; the most telling first.

    More coins than the ledger has are no break: they are the operator's (design.md 6).
    """
    odd = nonsense(books)
    if odd is not None:
        return [odd]
    found = [*books.differences, *_missing_coins(books)]
    for lost in books.forgotten:
        words = (
            f"order {lost.client_order_id} carries our id, {lost.side} filled {plain(lost.filled_qty)}, "
            "and is not in the ledger (an older backup?)"
        )
        found.append(Violation(number="I30", about=lost.client_order_id, words=words))
    found += [invariants.late_fill(late) for late in books.leftovers]
    for ghost in books.ghosts:
        if ghost.closed_at is None:
            words = f"order {ghost.client_order_id} was given up and is open at the exchange"
            found.append(Violation(number="I06", about=ghost.client_order_id, words=words))
    return found


def _missing_coins(books: Books) -> list[Violation]:
    if books.shortage <= ledger.shortage_tolerance(books.cycle, books.rules.qty_increment):
        return []
    return [missing_coins(books)]


def missing_coins(books: Books, sales: Sequence[Execution] = (), others: int = 0) -> Violation:
    """I09, with what may explain it: `sales` that are not the bot's, `others` that are short too."""
    words = (
        f"the account holds {plain(books.position.qty)}, the ledger {plain(books.cycle.quantity)}: "
        f"{plain(books.shortage)} are missing"
    )
    if sales:
        sold = sum((each.qty for each in sales), ZERO)
        words += (
            f"; {plain(sold)} were sold past the bot, last at {plain(sales[0].price)} "
            f"by the exchange's order {sales[0].exchange_order_id}"
        )
    elif others:
        words += f"; of {others} more the account shows too little, so its list may be wrong"
    return Violation(number="I09", about="position", words=words)


def nonsense(books: Books) -> Violation | None:
    """Why the ledger's own rows cannot be compared with anything; None if they can."""
    return unreadable(books.asset, books.cycle, books.orders)


def unreadable(asset: Asset, cycle: Cycle, orders: Sequence[Order]) -> Violation | None:
    """Why a cycle is not what its orders make it, and must not be made so; None if it may."""
    words = lifecycle.unknown_word(cycle, orders)
    if words is None and cycle.status not in ENDED:
        words = lifecycle.other_symbol(asset, orders) or lifecycle.unexplained(cycle, orders)
    return None if words is None else Violation(number="I07", about=f"cycle {cycle.id}", words=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a cycle's orders make of it, and what is wrong with it then. `before` is the row as it is."""

    before: Cycle
    orders: tuple[Order, ...]
    booking: Booking
    violations: tuple[Violation, ...]

    @property
    def is_sick(self) -> bool:
        """Whether the row says something else than its orders: edited by hand, most likely."""
        return self.booking.cycle != self.before


def verdict(asset: Asset, cycle: Cycle, orders: Sequence[Order], now: datetime) -> Verdict:
    """Judge a cycle, live or ended, by its own orders, as they were committed together."""
    odd = unreadable(asset, cycle, orders)
    if odd is not None:
        booking, found = Booking(cycle=cycle), [odd]  # a break, not to be explained away
    elif cycle.status in ENDED:
        booking = Booking(cycle=ledger.with_totals(cycle, orders) if orders else cycle)
        found = invariants.of_cycle(booking.cycle, orders)
    else:
        booking = lifecycle.healed(cycle, orders, now)
        found = invariants.of_cycle(booking.cycle, orders)
    return Verdict(before=cycle, orders=tuple(orders), booking=booking, violations=tuple(found))


def surplus(books: Books) -> Decimal:
    """Coins on the account beyond the ledger's: the operator's own, dust, a fee lower than assumed."""
    extra = books.position.qty - books.cycle.quantity
    return extra if extra >= books.rules.min_order_size else ZERO


def missing_cycles(assets: Sequence[Asset], cycles: Iterable[Cycle]) -> list[Asset]:
    """Assets whose cycle has to be begun."""
    alive = {cycle.asset_id: cycle for cycle in cycles}
    return [asset for asset in assets if is_missing_a_cycle(asset, alive.get(asset.id))]


def is_missing_a_cycle(asset: Asset, live: Cycle | None) -> bool:
    """Whether an asset's first cycle has to be begun; not while it is locked: that may be why it has none."""
    return asset.is_enabled and live is None and asset.lock_reason is None
