"""What a demo waits for, and how far it is, in words. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from demo.director import Progress, Wishes
from demo.numbers import price
from demo.rows import ZERO, Row, num, when
from demo.truth import LIVE_STATES

Tables = Mapping[str, Sequence[Row]]


def goal(wishes: Wishes, most_seconds: float, *, replay: bool) -> str:
    """When the demo ends, for its introduction."""
    things = [f"{wishes.cycles} complete cycles"]
    if wishes.assets > 1:
        things.append(f"{wishes.assets} assets among them")
    if wishes.many_safety_orders:
        things.append("one with two safety orders")
    if wishes.cooldown_run_out:
        things.append("a cooldown that runs out")
    if wishes.cooldown_ended_early:
        things.append("one that ends early")
    end = f"after {most_seconds:.0f} s at the latest"
    if replay:
        end = f"with the recording, or {end}"
    return f"after {', '.join(things)}; {end}"


def how_far(
    shown: Progress, wishes: Wishes, missing: Sequence[str], seconds: float, most_seconds: float
) -> str:
    """What has been seen, what is still missing, and how much time there is for it."""
    done = min(shown.cycles, wishes.cycles)
    still = f"; still to come: {', '.join(missing)}" if missing else ""
    return f"{done} of {wishes.cycles} cycles complete, {seconds:.0f} of at most {most_seconds:.0f} s{still}"


def of_assets(tables: Tables, quotes: Mapping[str, Row], now: datetime) -> list[tuple[str, str]]:
    """What the live cycle of each asset waits for: pairs of symbol and words."""
    found = []
    for asset in tables["dca_assets"]:
        symbol = str(asset["asset_symbol"])
        mine = [each for each in tables["dca_cycles"] if each["asset_id"] == asset["id"]]
        live = next((each for each in mine if each["status"] not in {"complete", "error"}), None)
        words = _of_cycle(asset, live, quotes.get(symbol), now)
        found.append((symbol, words))
    return found


def _of_cycle(asset: Row, cycle: Row | None, quote: Row | None, now: datetime) -> str:
    if cycle is None:
        return "its first cycle begins"
    status = str(cycle["status"])
    if status in {"buying", "selling"}:
        return f"{status}: its order is open at the exchange"
    if quote is None:
        return f"{status}: it has no price yet"
    if status == "cooldown":
        return "cooldown: " + ", or ".join(_ends_of_cooldown(asset, cycle, quote, now))
    if num(cycle, "quantity") == ZERO:
        return "its base order comes next"
    return ", ".join(_targets(asset, cycle, quote))


def _ends_of_cooldown(asset: Row, cycle: Row, quote: Row, now: datetime) -> Iterator[str]:
    began = when(cycle, "cooldown_started_at")
    if began is not None:
        left = began + timedelta(seconds=int(num(asset, "cooldown_period"))) - now
        yield f"{max(0.0, left.total_seconds()):.0f} s more"
    if num(asset, "last_sell_price") > 0:
        goal = num(asset, "last_sell_price") * (1 - num(asset, "buy_order_price_deviation_percent") / 100)
        yield f"ask {price(num(quote, 'ask'))} falls to {price(goal)}"


def _targets(asset: Row, cycle: Row, quote: Row) -> Iterator[str]:
    """Where a cycle that holds coins sells and buys, each with how far the price is from there."""
    sells = num(cycle, "average_purchase_price") * (1 + num(asset, "take_profit_percent") / 100)
    yield f"sells at {price(sells)} ({_away(num(quote, 'bid'), sells)})"
    if int(cycle["safety_orders"]) < int(num(asset, "max_safety_orders")):
        buys = num(cycle, "last_order_fill_price") * (1 - num(asset, "safety_order_deviation") / 100)
        yield f"buys at {price(buys)} ({_away(num(quote, 'ask'), buys)})"


def _away(now: Decimal, target: Decimal) -> str:
    return f"{(target / now - 1) * 100:+.2f} %" if now else "?"


def unsettled(orders: Sequence[Row]) -> list[str]:
    """What keeps the two books from being at rest: open orders, and fees that are still assumed."""
    live = [row for row in orders if row["state"] in LIVE_STATES]
    fees = [row for row in orders if row["fee_source"] == "assumed" and num(row, "filled_qty") > 0]
    found = []
    if live:
        found.append(f"the end of {_count(live, 'open order')}")
    if fees:
        found.append(f"the executions of {_count(fees, 'order')}, which tell the exact fee")
    return found


def _count(rows: Sequence[Row], what: str) -> str:
    return f"{len(rows)} {what}{'' if len(rows) == 1 else 's'}"
