"""What the demo wants to have shown, and how it helps when chance does not. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from demo.rows import Row, num
from demo.view import ended_early

Tables = Mapping[str, Sequence[Row]]
BEYOND_PERCENT = Decimal("0.15")
"""How far past a trigger a push goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """When the demo has shown enough."""

    cycles: int
    assets: int = 1
    many_safety_orders: bool = False
    cooldown_run_out: bool = False
    cooldown_ended_early: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What it has shown."""

    cycles: int
    assets: int
    many_safety_orders: bool
    cooldown_run_out: bool
    cooldown_ended_early: bool

    def missing(self, wishes: Wishes) -> list[str]:
        """What is wished for and has not happened, in words."""
        found = []
        if self.cycles < wishes.cycles:
            more = wishes.cycles - self.cycles
            found.append(f"{more} more complete cycle{'' if more == 1 else 's'}")
        if self.assets < wishes.assets:
            found.append("a complete cycle of another asset")
        if wishes.many_safety_orders and not self.many_safety_orders:
            found.append("a complete cycle with two safety orders")
        if wishes.cooldown_run_out and not self.cooldown_run_out:
            found.append("a cooldown that ran out")
        if wishes.cooldown_ended_early and not self.cooldown_ended_early:
            found.append("a cooldown that ended early")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A price to be moved, or (`held` set) to be frozen or let go; and what to say about it."""

    symbol: str
    change_percent: Decimal = Decimal(0)
    held: bool | None = None
    why: str


def progress(tables: Tables) -> Progress:
    complete = [cycle for cycle in tables["dca_cycles"] if cycle["status"] == "complete"]
    ends = set(_cooldown_ends(tables))
    return Progress(
        cycles=len(complete),
        assets=len({cycle["asset_id"] for cycle in complete}),
        many_safety_orders=any(int(cycle["safety_orders"]) >= 2 for cycle in complete),
        cooldown_run_out=False in ends,
        cooldown_ended_early=True in ends,
    )


def _cooldown_ends(tables: Tables) -> list[bool]:
    """For each cooldown that has ended with a base order: whether it ended early."""
    assets = {row["id"]: row for row in tables["dca_assets"]}
    bases = {row["cycle_id"]: row for row in reversed(tables["dca_orders"]) if row["purpose"] == "base"}
    found = [
        ended_early(cycle, bases[cycle["id"]], assets[cycle["asset_id"]])
        for cycle in tables["dca_cycles"]
        if cycle["id"] in bases
    ]
    return [early for early in found if early is not None]


def next_push(wishes: Wishes, shown: Progress, tables: Tables, quotes: Mapping[str, Row]) -> Push | None:
    """The push that brings the next missing thing nearer; None if none helps just now."""
    live = [c for c in tables["dca_cycles"] if c["status"] in {"watching", "cooldown"}]
    cooling = [cycle for cycle in live if cycle["status"] == "cooldown"]
    holding = [c for c in live if c["status"] == "watching" and num(c, "quantity") > 0]
    assets = {row["id"]: row for row in tables["dca_assets"]}
    if wishes.cooldown_ended_early and not shown.cooldown_ended_early:
        for cycle in cooling:
            return _end_early(assets[cycle["asset_id"]], quotes)
    if wishes.many_safety_orders and not shown.many_safety_orders:
        candidates = [c for c in holding if int(num(assets[c["asset_id"]], "max_safety_orders")) >= 2]
        if candidates:
            return _safety(max(candidates, key=lambda c: int(c["safety_orders"])), assets, quotes)
    if wishes.cooldown_run_out and not shown.cooldown_run_out and shown.cooldown_ended_early:
        for cycle in cooling:
            symbol = str(assets[cycle["asset_id"]]["asset_symbol"])
            return Push(symbol=symbol, held=True, why="to show a cooldown that runs out")
    if shown.missing(wishes) and holding:
        fewest = _least_complete(holding, tables) if shown.assets < wishes.assets else holding
        return _take_profit(fewest[0], assets, quotes)
    return None


def _least_complete(holding: list[Row], tables: Tables) -> list[Row]:
    """Cycles of assets that have completed none first."""
    done = {cycle["asset_id"] for cycle in tables["dca_cycles"] if cycle["status"] == "complete"}
    return sorted(holding, key=lambda cycle: cycle["asset_id"] in done)


def _end_early(asset: Row, quotes: Mapping[str, Row]) -> Push:
    goal = num(asset, "last_sell_price") * (1 - num(asset, "buy_order_price_deviation_percent") / 100)
    return _to(asset, goal, "ask", quotes, "to show a cooldown that ends early")


def _safety(cycle: Row, assets: Mapping[object, Row], quotes: Mapping[str, Row]) -> Push:
    asset = assets[cycle["asset_id"]]
    if int(cycle["safety_orders"]) >= 2:
        return _take_profit(cycle, assets, quotes)
    goal = num(cycle, "last_order_fill_price") * (1 - num(asset, "safety_order_deviation") / 100)
    return _to(asset, goal, "ask", quotes, "to show safety orders")


def _take_profit(cycle: Row, assets: Mapping[object, Row], quotes: Mapping[str, Row]) -> Push:
    asset = assets[cycle["asset_id"]]
    goal = num(cycle, "average_purchase_price") * (1 + num(asset, "take_profit_percent") / 100)
    return _to(asset, goal, "bid", quotes, "to show a take-profit")


def _to(asset: Row, goal: Decimal, side: str, quotes: Mapping[str, Row], why: str) -> Push:
    """A push of the price so that this side of the quote passes the goal."""
    symbol = str(asset["asset_symbol"])
    change = (goal / num(quotes[symbol], side) - 1) * 100
    change += -BEYOND_PERCENT if side == "ask" else BEYOND_PERCENT
    return Push(symbol=symbol, change_percent=change.quantize(Decimal("0.01")), why=why)
