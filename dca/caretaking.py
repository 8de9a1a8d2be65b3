"""What the cron scripts conclude from a look at the books. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from dca import ledger, lifecycle, strategy
from dca.model import (
    ZERO,
    Asset,
    Cycle,
    CycleStatus,
    Order,
    OrderState,
    OrderType,
    Position,
    Side,
    Snapshot,
    TradingRules,
    plain,
    round_down,
)

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
    """Market sells that have not ended within `limit`: the rest is canceled and decided anew (F19)."""
    return [
        order
        for order in orders
        if order.side is Side.SELL
        and order.order_type is OrderType.MARKET
        and order.state in _AT_THE_EXCHANGE
        and now - order.created_at > limit
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
    that filled and that the ledger does not know; `leftovers` are complete cycles that hold coins again.
    """

    asset: Asset
    cycle: Cycle
    orders: tuple[Order, ...]
    ghosts: tuple[Order, ...]
    position: Position
    rules: TradingRules
    forgotten: tuple[Snapshot, ...] = ()
    leftovers: tuple[Cycle, ...] = ()

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
    """Whether the account holds nothing that could be sold where the cycle says it does (F57).

    Once is no evidence: Alpaca's paper accounts have shown empty positions for minutes (alpaca.md 2.4).
    """
    if nonsense(books) is not None or books.forgotten:
        return False  # a forgotten sale of ours may explain it
    if books.shortage <= ledger.shortage_tolerance(books.cycle, books.rules.qty_increment):
        return False
    held = round_down(books.position.qty, books.rules.qty_increment)
    return strategy.can_be_sold(books.cycle, books.rules) and held < books.rules.min_order_size


def break_of(books: Books) -> str | None:
    """In what the two books disagree beyond what fees explain; None if they agree.

    More coins than the ledger has are no break: they are the operator's (design.md 6).
    """
    cycle, position = books.cycle, books.position
    odd = nonsense(books)
    if odd is not None:
        return odd
    if books.shortage > ledger.shortage_tolerance(cycle, books.rules.qty_increment):
        return (
            f"the account holds {plain(position.qty)}, the ledger {plain(cycle.quantity)}: "
            f"{plain(books.shortage)} are missing"
        )
    if books.forgotten:
        first = books.forgotten[0]
        return (
            f"order {first.client_order_id} carries our id, {first.side} filled {plain(first.filled_qty)}, "
            "and is not in the ledger (an older backup?)"
        )
    if books.leftovers:
        late = books.leftovers[0]
        return f"cycle {late.id} had ended when {plain(late.quantity)} more was filled"
    open_ghost = next((order for order in books.ghosts if order.closed_at is None), None)
    if open_ghost is not None:
        return f"order {open_ghost.client_order_id} was given up and is open at the exchange"
    return None


def nonsense(books: Books) -> str | None:
    """Why the ledger's own rows cannot be compared with anything; None if they can."""
    other = lifecycle.other_symbol(books.asset, books.orders)
    return other or lifecycle.unexplained(books.cycle, books.orders)


def surplus(books: Books) -> Decimal:
    """Coins on the account beyond the ledger's: the operator's own, dust, a fee lower than assumed."""
    extra = books.position.qty - books.cycle.quantity
    return extra if extra >= books.rules.min_order_size else ZERO


def missing_cycles(assets: Sequence[Asset], cycles: Iterable[Cycle]) -> list[Asset]:
    """Enabled assets that have no live cycle."""
    alive = {cycle.asset_id for cycle in cycles}
    return [asset for asset in assets if asset.is_enabled and asset.id not in alive]
