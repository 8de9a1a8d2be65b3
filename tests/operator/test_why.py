"""./bot why: every gate, the verdict in words, and that it is the strategy's own."""

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from dca.core import strategy
from dca.core.model import Cycle, CycleStatus, LockKind, Mode, OrderState, Position, Quote, Side
from dca.core.strategy import Place
from dca.database.store import Store
from dca.operator.views.why_gate import Gate, Look
from dca.operator.views.why_gates import gates, sentence, stoppers
from dca.runtime.maintenance import Maintenance
from tests import operating
from tests.builders import NOW, SYMBOL, D, asset, cycle, holding, order, ours, quote, rules
from tests.looking import beat, look
from tests.operating import Operator

LATER = NOW + timedelta(minutes=5)
HALF_HOUR_AGO = NOW - timedelta(minutes=30)


def position(qty: str, free: str | None = None) -> Position:
    return Position(symbol=SYMBOL, qty=D(qty), qty_available=D(free or qty))


def named(found: list[Gate], name: str) -> Gate:
    return next(gate for gate in found if gate.name == name)


# ---- the verdict is the strategy's -------------------------------------------------------------------------

CYCLES = (
    cycle(),
    holding(),
    holding(bought="0.0099", fee="0"),  # too few to be sold
    holding(safety_orders=3),
    holding(last_fill="110"),
    holding(average="90", last_fill="120"),  # a sale and a safety order at once
)
QUOTES = (
    quote("99.9", "100.1"),
    quote("98.4", "98.5"),
    quote("89", "90"),
    quote("101", "101.1"),
    quote("98", "99", age_seconds=20),
    quote("98", "97"),
    quote("90", "98"),
)
SHAPES: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({}, {}),
    ({"is_enabled": False}, {}),
    ({"lock_reason": "a break"}, {}),
    ({"base_order_amount": D(5)}, {}),
    ({}, {"tradable": False}),
    ({}, {"min_order_size": D("0.25")}),
)
WISHES: tuple[dict[str, Any], ...] = (
    {},
    {"exit_requested_at": NOW},
    {"next_buy_at": LATER},
    {"next_sell_at": LATER},
    {"next_buy_at": NOW, "next_sell_at": NOW},
)


def decided(at: Look) -> Place | None:
    """What main_app would place: the trader's way to strategy.decide."""
    assert at.asset is not None and at.cycle is not None and at.quote is not None and at.rules is not None
    limits = {"max_age_seconds": at.max_quote_age_seconds, "max_spread_percent": at.max_spread_percent}
    if strategy.quote_problem(at.quote, at.now, **limits) is not None:
        return None
    broken = bool(strategy.asset_problems(at.asset, at.rules))
    traded = replace(at.asset, is_enabled=False) if broken else at.asset
    action = strategy.decide(traded, at.cycle, at.quote, at.rules, at.now, at.mode)
    return action if isinstance(action, Place) else None


def allows(found: list[Gate], side: Side) -> bool:
    return all(gate.passed is True for gate in found if side in gate.stops)


def grid(status: CycleStatus) -> list[Look]:
    made = []
    for held, seen, (columns, pair), wish, mode in product(CYCLES, QUOTES, SHAPES, WISHES, Mode):
        if status is CycleStatus.COOLDOWN and held.quantity > 0:
            continue  # cannot be
        now: Cycle = replace(held, status=status, **wish)
        made.append(
            look(
                asset=asset(last_sell_price=D(100), **columns),
                rules=rules(**pair),
                cycle=now,
                quote=seen,
                mode=mode,
                position=position(str(now.quantity)),
            )
        )
    return made


@pytest.mark.parametrize("status", [CycleStatus.WATCHING, CycleStatus.BUYING, CycleStatus.COOLDOWN])
def test_the_gates_say_what_the_strategy_decides(status: CycleStatus) -> None:
    seen = {None: 0, Side.BUY: 0, Side.SELL: 0}
    for at in grid(status):
        action = decided(at)
        side = None if action is None else action.purpose.side
        found = gates(at)
        assert (allows(found, Side.BUY), allows(found, Side.SELL)) == (side is Side.BUY, side is Side.SELL), (
            at,
            action,
            [gate for gate in found if not gate.passed],
        )
        seen[side] += 1
    least = 40 if status is CycleStatus.WATCHING else 0
    assert seen[None] > 100 and seen[Side.BUY] >= least and seen[Side.SELL] >= least


def test_no_rules_and_a_pair_that_is_not_there() -> None:
    assert (
        "the exchange has no such pair (./bot remove" in stoppers(gates(look(rules=None)), Side.SELL)[0].text
    )
    unknown = gates(look(rules=None, quote=None, trouble="it is down"))
    assert stoppers(unknown, Side.BUY) == stoppers(unknown, Side.SELL) == []
    assert "this is not known: quote, pair" in sentence(unknown, Side.BUY)


# ---- gates one by one --------------------------------------------------------------------------------------

BUYING = holding(CycleStatus.BUYING)
COOLING = cycle(CycleStatus.COOLDOWN, cooldown_started_at=NOW - timedelta(seconds=100))
IN_FLIGHT = order(state=OrderState.ACKED, created_at=NOW - timedelta(seconds=70))
PAUSE = Maintenance(until=LATER, who="bo", why="new disk")

CASES: list[tuple[dict[str, Any], str, Side, str]] = [
    ({"is_running": False}, "main app", Side.BUY, "main_app is not running"),
    ({"beat": None}, "main app", Side.SELL, "has not beaten yet"),
    ({"beat": beat(beat_at=NOW - timedelta(seconds=61))}, "main app", Side.BUY, "1m01s old, the limit 1m00s"),
    ({"mode": Mode.HALT, "mode_reason": "bo: news"}, "kill switch", Side.SELL, "halt (bo: news)"),
    ({"mode": Mode.EXITS_ONLY}, "kill switch", Side.BUY, "exits_only: no buys"),
    (
        {"is_running": False, "maintenance": PAUSE},
        "maintenance",
        Side.BUY,
        "until 01-02 03:09 UTC (new disk)",
    ),
    ({"beat": beat(last_settle_at=None)}, "settled", Side.BUY, "not been settled since the start"),
    ({"beat": beat(last_settle_at=HALF_HOUR_AGO)}, "settled", Side.SELL, "30m00s ago, the limit 1m00s"),
    ({"beat": beat(quotes_connected=False)}, "quote stream", Side.SELL, "is not connected"),
    ({"beat": beat(last_quote_at=HALF_HOUR_AGO)}, "quote stream", Side.BUY, "30m00s old, the limit 2m00s"),
    ({"quote": quote("100", "99")}, "quote makes sense", Side.BUY, "crossed"),
    ({"quote": quote("NaN", "99")}, "quote makes sense", Side.SELL, "not a number"),
    ({"quote": quote("100", "103")}, "spread", Side.SELL, "3.000 %, the limit 2 %"),
    ({"quote": quote("100", age_seconds=16)}, "quote is fresh", Side.SELL, "16 s old, the limit 15 s"),
    ({"asset": None}, "exists", Side.BUY, "no row of BTC/USD"),
    ({"asset": asset(is_enabled=False)}, "enabled", Side.BUY, "disabled"),
    ({"asset": asset(lock_reason="0.1 are missing")}, "lock", Side.SELL, "it is locked: 0.1 are missing"),
    (
        {"asset": asset(safety_order_amount=D(3))},
        "columns",
        Side.BUY,
        "safety_order_amount is 3, below 10.50",
    ),
    ({"asset": asset(asset_symbol="ETH/BTC")}, "columns", Side.SELL, "only pairs against USD"),
    ({"rules": rules(tradable=False)}, "pair", Side.BUY, "does not trade it now"),
    ({"cycle": None}, "live cycle", Side.SELL, "no live cycle"),
    ({"cycle": BUYING}, "status", Side.SELL, "its status is buying"),
    ({"cycle": COOLING}, "status", Side.BUY, "it rests until 2026-01-02 03:07:25 UTC (3m20s)"),
    (
        {"cycle": BUYING, "orders": [IN_FLIGHT]},
        "order in flight",
        Side.BUY,
        "acked) is in flight since 1m10s",
    ),
    ({"cycle": holding(exit_requested_at=NOW)}, "exit", Side.BUY, "you wanted it sold at 01-02 03:04:05"),
    (
        {"cycle": holding(safety_orders=3)},
        "safety orders",
        Side.BUY,
        "3 of at most 3 safety orders are bought",
    ),
    ({}, "price", Side.BUY, "the ask 100.10 has to fall to 98.5000 (-1.60 %)"),
    ({}, "price", Side.SELL, "the bid 99.9000 has to rise to 101.00 (+1.10 %)"),
    (
        {"cycle": holding(next_buy_at=LATER, problem="no cash")},
        "pause",
        Side.BUY,
        "(5m00s) after a refused buy: no",
    ),
    ({"cycle": holding(next_sell_at=LATER)}, "pause", Side.SELL, "until 03:09:05 UTC (5m00s)"),
    ({"rules": rules(min_order_size=D("0.3"))}, "order size", Side.BUY, "less than the smallest order, 0.3"),
    ({"buying_power": D(20)}, "buying power", Side.BUY, "dollars, the account has 20.00 to spend"),
    ({"cycle": cycle()}, "held", Side.SELL, "it holds nothing"),
    (
        {"cycle": holding(bought="0.009", fee="0")},
        "held",
        Side.SELL,
        "holds 0.009, the smallest order is 0.01",
    ),
    ({"position": position("0.1")}, "position", Side.SELL, "the account holds 0.1, the ledger 0.1995"),
    ({"position": position("0.1995", "0.05")}, "position", Side.SELL, "only 0.05 of 0.1995 are free"),
]


@pytest.mark.parametrize(("changes", "name", "side", "words"), CASES)
def test_a_gate_that_is_closed(changes: dict[str, Any], name: str, side: Side, words: str) -> None:
    found = gates(look(**changes))
    against = [gate for gate in stoppers(found, side) if gate.name == name]
    assert [gate.name for gate in against] == [name]
    assert words in against[0].text
    verdict = sentence(found, side)
    assert verdict.startswith(f"It is not {'buying' if side is Side.BUY else 'selling'} because ")
    assert verdict.endswith(".")


def test_all_is_open_to_a_sale() -> None:
    found = gates(look(quote=quote("101"), position=position("0.1995")))
    assert sentence(found, Side.SELL) == "Nothing keeps it from selling: main_app does it at the next quote."
    assert "the bid 101.00 has reached the take-profit's 101.00" in {gate.text for gate in found}
    assert "its take-profit is reached" in sentence(found, Side.BUY)


def test_a_position_below_the_ledger_by_no_more_than_fees_is_sold() -> None:
    assert named(gates(look(position=position("0.1994"))), "position").passed is True


def test_the_order_stream_alone_stops_nothing() -> None:
    found = gates(look(beat=beat(orders_connected=False)))
    assert named(found, "order stream").passed is False
    assert "order stream" not in {gate.name for side in Side for gate in stoppers(found, side)}


def test_a_cooldown_names_its_other_end() -> None:
    at = look(cycle=COOLING, asset=asset(last_sell_price=D(100)))
    words = "or until the ask is at most 98.0000, -2.10 % from 100.10"
    assert named(gates(at), "status").text.endswith(words)
    over = replace(COOLING, cooldown_started_at=NOW - timedelta(seconds=300))
    assert "is over and ends at the next quote" in named(gates(look(cycle=over)), "status").text


def test_what_is_not_held_is_the_only_reason_for_not_selling() -> None:
    assert sentence(gates(look(cycle=COOLING)), Side.SELL) == "It is not selling because it holds nothing."


@pytest.mark.parametrize("bad", [Quote(symbol=SYMBOL, bid=D("NaN"), ask=D(1), at=NOW, received_at=NOW), None])
def test_no_sums_with_what_is_no_price(bad: Quote | None) -> None:
    found = gates(look(quote=bad, position=position("0.1995")))
    assert [gate.passed for gate in found if gate.name == "price"] == [None, None]


# ---- the command -------------------------------------------------------------------------------------------


bot = operating.lonely  # a fixture: an import would clash with arguments


def test_why_without_main_app_and_exchange(bot: Operator, ready: Store) -> None:
    ready.transaction(lambda tx: tx.insert_order(ours()))
    ready.transaction(lambda tx: tx.lock_asset(1, "[0.1] missing", NOW, LockKind.BREAK))
    done = bot.types("why", "btc/usd")
    assert done.code == 0, done.err
    assert "NO main app main_app is not running" in done.flat
    assert "NO lock it is locked: [0.1] missing" in done.flat
    assert "NO order in flight buy of 0.2 at 100" in done.flat
    assert "? quote" in done.flat
    assert "It is not buying because main_app is not running; and because it is locked" in done.flat


def test_why_for_programs(bot: Operator, ready: Store) -> None:
    told = bot.types("why", "ETH/USD", "--json").json()
    assert told["asset_symbol"] == "ETH/USD"
    first = told["gates"][0]
    assert (first["part"], first["name"], first["passed"]) == ("everything", "main app", False)
    assert first["stops"] == ["buy", "sell"]
    assert told["not_selling"] == "It is not selling because it holds nothing."


def test_why_of_a_pair_that_is_not_there(bot: Operator, ready: Store) -> None:
    done = bot.types("why", "XRP/USD")
    assert done.code == 1
    assert (
        "It is not buying because main_app is not running; and because there is no row of XRP/USD"
        in done.flat
    )
