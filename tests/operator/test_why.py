"""./bot why: every gate, the verdict in words, and that it is the strategy's own."""

from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dca.core import strategy
from dca.core.model import Cycle, CycleStatus, LockKind, Mode, OrderState, Quote, Side, TradingRules
from dca.core.strategy import Place
from dca.database.store import Store
from dca.operator.views.why_gates import Gate, Look, gates, sentence, stoppers
from dca.runtime import asset_reports
from dca.runtime.maintenance import Maintenance
from tests import operating
from tests.builders import NOW, D, asset, cycle, holding, order, ours, quote, rules
from tests.looking import CONTROL, beat, look, reported, reports
from tests.operating import Operator
from tests.rig import LIMITS

LATER = NOW + timedelta(minutes=5)
HALF_HOUR_AGO = NOW - timedelta(minutes=30)


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


def decided(at: Look, newest: Quote, pair: TradingRules) -> Place | None:
    """What main_app would place: the trader's way to strategy.decide."""
    assert at.asset is not None and at.cycle is not None
    if LIMITS.quote_problem(newest, at.now) is not None:
        return None
    broken = bool(strategy.asset_problems(at.asset, pair))
    traded = replace(at.asset, is_enabled=False) if broken else at.asset
    action = strategy.decide(traded, at.cycle, newest, pair, at.now, at.control.mode)
    return action if isinstance(action, Place) else None


def grid(status: CycleStatus) -> list[tuple[Look, Quote, TradingRules]]:
    made = []
    for held, seen, (columns, pair), wish, mode in product(CYCLES, QUOTES, SHAPES, WISHES, Mode):
        if status is CycleStatus.COOLDOWN and held.quantity > 0:
            continue  # cannot be
        now: Cycle = replace(held, status=status, **wish)
        at = look(
            asset=asset(last_sell_price=D(100), **columns),
            pair=rules(**pair),
            cycle=now,
            newest=seen,
            control=replace(CONTROL, mode=mode),
        )
        made.append((at, seen, rules(**pair)))
    return made


@pytest.mark.parametrize("status", [CycleStatus.WATCHING, CycleStatus.BUYING, CycleStatus.COOLDOWN])
def test_the_gates_say_what_the_strategy_decides(status: CycleStatus) -> None:
    """What main_app would place now is due, and nothing else is against it; of everything else the gates name
    what is against it. So a verdict always has a reason."""
    seen = {None: 0, Side.BUY: 0, Side.SELL: 0}
    for at, newest, pair in grid(status):
        action = decided(at, newest, pair)
        side = None if action is None else action.purpose.side
        found = gates(at)
        for each in Side:
            against = [gate.name for gate in stoppers(found, each)]
            assert against, (at, newest)
            assert (against == ["due"]) >= (each is side), (at, newest, action, against)
            assert sentence(found, each).startswith("It is not ")
        seen[side] += 1
    least = 40 if status is CycleStatus.WATCHING else 0
    assert seen[None] > 100 and seen[Side.BUY] >= least and seen[Side.SELL] >= least


def test_a_pair_that_is_not_there() -> None:
    unlisted = reports(reported(quote("101"), listed=False))
    against = stoppers(gates(look(reports=unlisted)), Side.SELL)
    assert "the exchange has no such pair (./bot remove" in against[0].text


def test_nothing_is_known() -> None:
    unknown = gates(look(reports=None, trouble="it is down", buying_power=None))
    assert stoppers(unknown, Side.BUY) == stoppers(unknown, Side.SELL) == []
    assert "is not known, for lack of: report, price" in sentence(unknown, Side.BUY)


# ---- gates one by one --------------------------------------------------------------------------------------

BUYING = holding(CycleStatus.BUYING)
COOLING = cycle(CycleStatus.COOLDOWN, cooldown_started_at=NOW - timedelta(seconds=100))
IN_FLIGHT = order(state=OrderState.ACKED, created_at=NOW - timedelta(seconds=70))
PAUSE = Maintenance(until=LATER, who="bo", why="new disk")

CASES: list[tuple[dict[str, Any], str, Side, str]] = [
    ({"is_running": False}, "main app", Side.BUY, "main_app is not running"),
    ({"beat": None}, "main app", Side.SELL, "has not beaten yet"),
    ({"beat": beat(beat_at=NOW - timedelta(seconds=61))}, "main app", Side.BUY, "1m01s old, the limit 1m00s"),
    ({"control": replace(CONTROL, epoch=2)}, "main app", Side.BUY, "another main_app has started"),
    (
        {"control": replace(CONTROL, mode=Mode.HALT, mode_reason="bo: news")},
        "kill switch",
        Side.SELL,
        "halt (bo: news)",
    ),
    ({"control": replace(CONTROL, mode=Mode.EXITS_ONLY)}, "kill switch", Side.BUY, "exits_only: no buys"),
    (
        {"is_running": False, "maintenance": PAUSE},
        "maintenance",
        Side.BUY,
        "until 01-02 03:09 UTC (new disk)",
    ),
    ({"beat": beat(quotes_connected=False)}, "quote stream", Side.SELL, "is not connected"),
    ({"newest": quote("100", "99")}, "quote", Side.BUY, "main_app rejects its newest quote: crossed"),
    ({"newest": quote("0", "99")}, "quote", Side.SELL, "a price is not positive"),
    ({"newest": quote("100", "103")}, "quote", Side.SELL, "spread above 2 %"),
    ({"newest": quote("100", age_seconds=16)}, "quote", Side.SELL, "rejects its newest quote: 16 s old"),
    ({"reports": reports(reported(None))}, "quote", Side.SELL, "no quote of it that can be read has come"),
    (
        {"reports": reports(reported(quote("100"), resting_until=LATER))},
        "rest",
        Side.SELL,
        "it rests until 03:09:05 UTC: the exchange or the database did not answer",
    ),
    (
        {"reports": reports(reported(quote("102"), held_back="not confirmed", due_since=HALF_HOUR_AGO))},
        "due",
        Side.SELL,
        "its sale is due since 02:34:05 UTC, held back by: not confirmed",
    ),
    ({"asset": None}, "exists", Side.BUY, "no row of BTC/USD"),
    ({"asset": asset(is_enabled=False)}, "enabled", Side.BUY, "disabled"),
    ({"asset": asset(lock_reason="0.1 are missing")}, "lock", Side.SELL, "it is locked: 0.1 are missing"),
    (
        {"asset": asset(safety_order_amount=D(3))},
        "traded",
        Side.BUY,
        "safety_order_amount is 3, below 10.50",
    ),
    ({"asset": asset(asset_symbol="ETH/BTC")}, "traded", Side.SELL, "only pairs against USD"),
    ({"pair": rules(tradable=False)}, "traded", Side.BUY, "does not trade it now"),
    ({"cycle": None}, "cycle", Side.SELL, "no live cycle"),
    ({"cycle": BUYING}, "cycle", Side.SELL, "the status of cycle 12 is buying"),
    ({"cycle": COOLING}, "cycle", Side.BUY, "its cooldown lasts until 2026-01-02 03:07:25 UTC (3m20s)"),
    (
        {"cycle": BUYING, "orders": [IN_FLIGHT]},
        "order in flight",
        Side.BUY,
        "acked) is in flight since 1m10s",
    ),
    ({"cycle": holding(exit_requested_at=NOW)}, "exit", Side.BUY, "you wanted it sold at 01-02 03:04:05"),
    (
        {"cycle": holding(safety_orders=3)},
        "price",
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
    ({"buying_power": D(20)}, "buying power", Side.BUY, "dollars, the account has 20.00 to spend"),
    ({"cycle": cycle()}, "held", Side.SELL, "it holds nothing"),
    (
        {"cycle": holding(bought="0.009", fee="0")},
        "price",
        Side.SELL,
        "too little for an order; the take-profit is at 101.00",
    ),
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


def test_a_sale_that_is_due() -> None:
    found = gates(look(newest=quote("101")))
    assert sentence(found, Side.SELL) == (
        "It is not selling because its sale is due, held back by: no worker has come to its quotes yet."
    )
    assert "the bid 101.00 has reached the take-profit's 101.00" in {gate.text for gate in found}
    assert "its sale is due" in sentence(found, Side.BUY)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reports": None}, "has not reported yet"),
        ({"reports": reports(age_seconds=16)}, "last report is 16s old"),
        ({"is_running": False}, "main_app reports nothing while it is down"),
    ],
)
def test_without_a_report_the_books_alone_speak(changes: dict[str, Any], words: str) -> None:
    found = gates(look(**{"reports": reports(reported(quote("101"))), **changes}))
    assert words in named(found, "report").text and named(found, "report").passed is None
    prices = [gate for gate in found if gate.name == "price"]
    assert [gate.passed for gate in prices] == [None, None]
    assert "the next safety order is at 98.5000" in prices[0].text
    assert "the take-profit is at 101.00" in prices[1].text


def test_the_file_says_what_was_written(tmp_path: Path) -> None:
    """Also a price that is none, and an asset of which nothing is known."""
    made = [
        reported(quote("0", "99"), symbol="A/USD"),
        reported(quote("102"), symbol="B/USD", due_since=NOW, resting_until=LATER),
        reported(None, symbol="C/USD", at=COOLING),
        reported(quote("1"), symbol="D/USD", at=cycle()),
    ]
    asset_reports.write(tmp_path, NOW, made)
    read = asset_reports.read(tmp_path)
    assert read is not None and read.written_at == NOW
    assert list(read.assets.values()) == made


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"written_at": 1, "assets": [{}]}'])
def test_a_damaged_file_is_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / asset_reports.FILE_NAME).write_text(damage)
    assert asset_reports.read(tmp_path) is None


def test_a_cooldown_names_its_other_end() -> None:
    at = look(cycle=COOLING, asset=asset(last_sell_price=D(100)))
    words = "or until the ask is at most 98.0000, -2.10 % from 100.10"
    assert named(gates(at), "cycle").text.endswith(words)
    over = replace(COOLING, cooldown_started_at=NOW - timedelta(seconds=300))
    assert "is over and ends at the next quote" in named(gates(look(cycle=over)), "cycle").text


def test_what_is_not_held_is_the_only_reason_for_not_selling() -> None:
    assert sentence(gates(look(cycle=COOLING)), Side.SELL) == "It is not selling because it holds nothing."


@pytest.mark.parametrize("bad", [quote("0", "1"), None])
def test_no_sums_with_what_is_no_price(bad: Quote | None) -> None:
    found = gates(look(reports=reports(reported(bad))))
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
    assert "? report main_app reports nothing while it is down" in done.flat
    assert len(done.out.splitlines()) <= 24, done.out
    assert "It is not buying because main_app is not running; and because it is locked" in done.flat


def test_why_for_programs(bot: Operator, ready: Store) -> None:
    told = bot.types("why", "ETH/USD", "--json").json()
    assert told["asset_symbol"] == "ETH/USD"
    first = told["gates"][0]
    assert (first["part"], first["name"], first["passed"]) == ("main_app", "main app", False)
    assert first["stops"] == ["buy", "sell"]
    assert told["not_selling"] == "It is not selling because it holds nothing."


def test_why_of_a_pair_that_is_not_there(bot: Operator, ready: Store) -> None:
    done = bot.types("why", "XRP/USD")
    assert done.code == 1
    assert (
        "It is not buying because main_app is not running; and because there is no row of XRP/USD"
        in done.flat
    )
