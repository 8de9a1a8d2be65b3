"""Rows of dca_assets and dca_cycles as no sane person writes them, straight into everything that is pure."""

import random
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dca.core import ledger, lifecycle, order_cleanup, strategy
from dca.core.model import (
    Asset,
    Cycle,
    CycleStatus,
    LockKind,
    Order,
    OrderState,
    Position,
    Quote,
    Side,
    Snapshot,
)
from dca.core.order_cleanup import Books
from dca.core.strategy import Place
from proof.fuzz import acting, junk, samples, sane
from proof.fuzz.samples import ASSET, BOUGHT, BUY, HOLDING, NOW, RULES, SELL, SELLING, SYMBOL, WATCHING
from proof.fuzz.verdicts import Verdict, promise

ACKED_BUY = replace(BUY, state=OrderState.ACKED, exchange_order_id="x-1", exchange_status="new")
ACKED_SELL = replace(SELL, state=OrderState.ACKED, exchange_order_id="x-2", exchange_status="new")
COOLING = replace(WATCHING, status=CycleStatus.COOLDOWN, cooldown_started_at=NOW - timedelta(seconds=60))
SCENES: tuple[tuple[Cycle, tuple[Order, ...]], ...] = (
    (WATCHING, ()),
    (HOLDING, (BOUGHT,)),
    (samples.BUYING, (BUY,)),
    (samples.BUYING, (ACKED_BUY,)),
    (SELLING, (BOUGHT, ACKED_SELL)),
    (COOLING, ()),
)
AMOUNTS = tuple(
    Decimal(each)
    for each in (
        *(
            "0",
            "-1",
            "-0.0000000001",
            "0.0000000001",
            "0.0001",
            "0.01",
            "1",
            "9.99",
            "10",
            "10.5",
            "20",
            "100",
        ),
        *("199999.99", "200000", "200000.01", "1000000", "9999999999.9999999999", "-9999999999.9999999999"),
    )
)
PERCENTS = tuple(
    Decimal(each)
    for each in (
        "-999999.9999",
        "-1",
        "0",
        "0.0001",
        "0.5",
        "1",
        "50",
        "99.9999",
        "100",
        "1000",
        "999999.9999",
    )
)
COINS = tuple(
    Decimal(each)
    for each in (
        *("0", "-1", "0.000000000000001", "0.000000001", "0.1", "0.1995", "0.2", "1", "5", "1000000"),
        *("999999999999999.999999999999999", "-999999999999999.999999999999999"),
    )
)
COUNTS = (-(2**31), -1, 0, 1, 2, 3, 10, 1000, 1001, 2**31 - 1)
MOMENTS = tuple(
    each.replace(tzinfo=UTC)
    for each in (
        *(datetime(1, 1, 1), datetime(1000, 1, 1), datetime(1970, 1, 1), datetime(2026, 1, 2, 3, 4)),  # noqa: DTZ001
        *(datetime(2038, 1, 20), datetime(9999, 12, 31, 23, 59, 59, 999999)),  # noqa: DTZ001
    )
)
SYMBOLS = (
    "BTC/USD",
    "ETH/USD",
    "BTCUSD",
    "btc/usd",
    "",
    "/",
    "BTC/EUR",
    "A/USD",
    "\x00/USD",
    "Ω/USD",
    "💥" * 24,
)
REASONS = ("", " ", "0", "x" * 500, "\x1b[2J", "'; DROP TABLE dca_assets; --", "💥" * 100)
PRICES = tuple(
    Decimal(each)
    for each in ("0.0000000001", "0.00001", "1", "97", "98.5", "100", "101", "102.5", "150", "1e9")
)
_POOLS: dict[str, Sequence[Any]] = {
    "asset_symbol": SYMBOLS,
    "is_enabled": (True, False),
    "base_order_amount": AMOUNTS,
    "safety_order_amount": AMOUNTS,
    "max_safety_orders": COUNTS,
    "safety_order_deviation": PERCENTS,
    "take_profit_percent": PERCENTS,
    "cooldown_period": COUNTS,
    "buy_order_price_deviation_percent": PERCENTS,
    "last_sell_price": (*AMOUNTS, None),
    "lock_reason": (*REASONS, None),
    "lock_kind": (*LockKind, None),
    "locked_at": (*MOMENTS, None),
    "status": tuple(CycleStatus),
    "quantity": COINS,
    "average_purchase_price": AMOUNTS,
    "safety_orders": COUNTS,
    "latest_order_id": (*REASONS, None),
    "last_order_fill_price": (*AMOUNTS, None),
    "bought_qty": COINS,
    "bought_cost": COINS,
    "buy_fee_qty": COINS,
    "sold_qty": COINS,
    "sold_proceeds": COINS,
    "sell_fee": COINS,
    "completed_at": (*MOMENTS, None),
    "cooldown_started_at": (*MOMENTS, None),
    "refusals": COUNTS,
    "next_buy_at": (*MOMENTS, None),
    "next_sell_at": (*MOMENTS, None),
    "problem": (*REASONS, None),
    "exit_requested_at": (*MOMENTS, None),
    "version": (-1, 0, 1, 5, 10**9),
}


class Rows:
    """One edit of an asset and its cycle, in one of the places a cycle can be in."""

    name = "rows"

    def __init__(self) -> None:
        self.shown = ""

    def trial(self, dice: random.Random) -> Verdict:
        scene, orders = dice.choice(SCENES)
        asset, cycle = _edited(ASSET, dice), _edited(scene, dice)
        changes = [each for each in (_changes(ASSET, asset), _changes(scene, cycle)) if each]
        self.shown = junk.brief(f"{scene.status} with {len(orders)} orders: {' '.join(changes)}")
        if not _possible(asset, cycle):
            return Verdict.REFUSED
        quotes = [_quote(dice) for _ in range(3)]
        for quote in quotes:
            acting.looked(asset, cycle, orders, quote)
        _caretaken(asset, cycle, orders)
        problem = lifecycle.other_symbol(asset, orders) or lifecycle.unexplained(cycle, orders)
        if problem is not None:
            sane.text(problem, "the reason of the lock", 500)
            return Verdict.REFUSED
        _told(cycle, orders)
        derived = ledger.with_totals(cycle, orders)
        for quote in quotes:
            action = acting.decided(asset, derived, orders, quote)
            if isinstance(action, Place) and not any(order.is_live for order in orders):
                sane.amounts_fit(lifecycle.placed(derived, action.purpose.side))
        refused = asset.lock_reason is not None or strategy.asset_problems(asset, RULES)
        return Verdict.REFUSED if refused else Verdict.ACCEPTED

    def close(self) -> None:
        """Nothing is held."""


def _edited(row: Any, dice: random.Random) -> Any:
    names = [each.name for each in fields(row) if each.name in _POOLS]
    chosen = dice.sample(names, dice.choice((0, 1, 1, 2, 3, 6)))
    return replace(row, **{name: dice.choice(_POOLS[name]) for name in chosen})


def _changes(before: Any, after: Any) -> str:
    names = [each.name for each in fields(before) if getattr(before, each.name) != getattr(after, each.name)]
    return " ".join(f"{name}={getattr(after, name)!s}" for name in names)


def _possible(asset: Asset, cycle: Cycle) -> bool:
    """Whether the database takes such rows: its CHECKs, in our words."""
    symbol, used = asset.asset_symbol, asset.max_safety_orders > 0
    coin, _, against = symbol.partition("/")
    rules = (
        bool(coin)
        and bool(against)
        and "/" not in against
        and " " not in symbol
        and symbol == symbol.upper(),
        len(symbol) <= 25,
        asset.base_order_amount > 0,
        asset.safety_order_amount > 0 or (asset.safety_order_amount == 0 and not used),
        0 <= asset.max_safety_orders <= 1000,
        0 < asset.safety_order_deviation < 100,
        asset.take_profit_percent > 0,
        asset.cooldown_period >= 0,
        0 <= asset.buy_order_price_deviation_percent < 100,
        asset.last_sell_price is None or asset.last_sell_price > 0,
        cycle.quantity >= 0,
        cycle.quantity == 0 or cycle.status is not CycleStatus.COOLDOWN,
        cycle.average_purchase_price > 0 or (cycle.average_purchase_price == 0 and cycle.quantity == 0),
        cycle.safety_orders >= 0,
        cycle.last_order_fill_price is None or cycle.last_order_fill_price > 0,
        (cycle.completed_at is not None) == (cycle.status in {CycleStatus.COMPLETE, CycleStatus.ERROR}),
        cycle.refusals >= 0,
    )
    return all(rules)


def _quote(dice: random.Random) -> Quote:
    price = dice.choice(PRICES)
    return Quote(symbol=SYMBOL, bid=price, ask=price, at=NOW, received_at=NOW)


def _caretaken(asset: Asset, cycle: Cycle, orders: Sequence[Order]) -> None:
    """What the cron scripts conclude from these rows."""
    told = [order_cleanup.cooldown_is_over(asset, cycle, NOW)]
    order_cleanup.stale_buys(orders, NOW, timedelta(minutes=5))
    order_cleanup.stuck_sells(orders, NOW, timedelta(seconds=75))
    position = Position(symbol=SYMBOL, qty=Decimal("0.1995"), qty_available=Decimal("0.1995"))
    books = Books(asset=asset, cycle=cycle, orders=tuple(orders), ghosts=(), position=position, rules=RULES)
    told += [each.words for each in order_cleanup.breaks(books)]
    order_cleanup.is_gone(books)
    order_cleanup.surplus(books)
    found = order_cleanup.verdict(asset, cycle, orders, NOW)
    told += [each.words for each in found.violations]
    if found.is_sick:
        sane.amounts_fit(found.booking.cycle)
        violations = found.booking.cycle.violations()
        ended = cycle.status in {CycleStatus.COMPLETE, CycleStatus.ERROR}
        promise(ended or violations == [], f"healed, and breaks a rule: {violations}")
    for reason in told:
        promise(reason is None or bool(reason), "a reason that says nothing")


def _told(cycle: Cycle, orders: Sequence[Order]) -> None:
    """News of the last order comes in while the row is as somebody left it."""
    if not orders or not orders[-1].is_live:
        return
    last = orders[-1]
    for status, filled in (
        ("filled", last.qty),
        ("canceled", Decimal(0)),
        ("partially_filled", last.qty / 2),
    ):
        sane.booked(orders, cycle, _snapshot(last, status, filled))
    sane.amounts_fit(lifecycle.refused(cycle, last.side, "403 insufficient balance", NOW))


def _snapshot(order: Order, status: str, filled: Decimal) -> Snapshot:
    price = Decimal(100) if order.side is Side.BUY else Decimal("101.5")
    return Snapshot(
        exchange_order_id=order.exchange_order_id or "x-9",
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side.value,
        status=status,
        qty=order.qty,
        limit_price=order.limit_price,
        filled_qty=filled,
        filled_avg_price=price if filled else None,
        created_at=NOW,
        updated_at=NOW,
    )
