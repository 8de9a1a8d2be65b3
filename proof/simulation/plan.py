"""What goes wrong in a run, and when: drawn from the seed, written down as steps that can be left out."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Args = dict[str, Any]

FAULTS_SECONDS = 300.0
"""How long the first phase lasts, in which everything may go wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happens at a second of the run."""

    at: float
    kind: str
    symbol: str | None = None
    args: Args = field(default_factory=dict)

    def __str__(self) -> str:
        details = " ".join(f"{name}={value}" for name, value in self.args.items())
        return " ".join(f"{self.at:7.2f} s  {self.kind} {self.symbol or ''} {details}".split())


ODD_QUOTES = ("zero", "negative", "nan", "low", "high", "high", "crossed", "wide")


def _nothing(_: random.Random) -> Args:
    return {}


def _seconds(least: float, most: float) -> Callable[[random.Random], Args]:
    return lambda rng: {"seconds": round(rng.uniform(least, most), 2)}


def _count(most: int) -> Callable[[random.Random], Args]:
    return lambda rng: {"count": rng.randint(1, most)}


def _clock_step(rng: random.Random) -> Args:
    jump = rng.choice((-3600.0, -40.0, -7.0, 7.0, 40.0, 3600.0))
    return {"jump": jump, "seconds": round(rng.uniform(5, 60), 1)}


def _asset_edit(rng: random.Random) -> Args:
    column, value = rng.choice(
        (
            ("take_profit_percent", str(rng.choice((0.4, 1.0, 3.0)))),
            ("max_safety_orders", rng.randint(0, 5)),
            ("safety_order_deviation", str(rng.choice((0.3, 1.0, 4.0)))),
            ("base_order_amount", str(rng.choice((5, 15, 60)))),
            ("safety_order_amount", str(rng.choice((5, 25, 70)))),
            ("cooldown_period", rng.choice((0, 10, 300))),
            ("is_enabled", rng.random() < 0.5),
        )
    )
    return {"column": column, "value": value}


def _cycle_edit(rng: random.Random) -> Args:
    column, value = rng.choice(
        (
            ("average_purchase_price", "1"),
            ("average_purchase_price", "99999"),
            ("quantity", "0.5"),
            ("safety_orders", 0),
            ("safety_orders", 9),
            ("last_order_fill_price", "99999"),
            ("last_order_fill_price", "0.5"),
            ("status", rng.choice(("watching", "buying", "selling"))),
        )
    )
    return {"column": column, "value": value}


KINDS: dict[str, tuple[int, bool, Callable[[random.Random], Args]]] = {
    # name: (how often, of one pair?, its arguments)
    "submit.drop_before": (3, True, _count(2)),
    "submit.accept_then_drop": (5, True, _count(2)),
    "submit.timeout": (2, True, _nothing),
    "submit.timeout_after": (3, True, _nothing),
    "submit.late": (5, True, _count(2)),
    "submit.garbage": (2, True, _nothing),
    "submit.then_outage": (5, True, _seconds(20, 70)),
    "submit.reject": (3, True, _count(3)),
    "submit.gateway_page": (3, True, _count(2)),
    "submit.changed": (4, True, _count(2)),
    "cancel.drop_before": (3, False, _count(2)),
    "cancel.accept_then_drop": (3, False, _count(2)),
    "cancel.timeout": (3, False, _nothing),
    "get.drop_before": (3, False, _count(5)),
    "get.timeout": (2, False, _count(2)),
    "get.garbage": (2, False, _count(3)),
    "get.refused": (2, False, _count(5)),
    "get.not_found": (4, True, _seconds(1, 15)),
    "get.stale": (3, True, _seconds(1, 8)),
    "rest.down": (2, False, _seconds(3, 60)),
    "rest.slow": (2, False, _seconds(60, 200)),
    "fill.partial": (5, True, _count(2)),
    "fill.none": (6, True, _seconds(10, 90)),
    "fill.on_cancel": (4, True, _count(2)),
    "cancel.stuck": (2, True, _seconds(5, 40)),
    "fee.deferred": (3, True, _count(2)),
    "fee.immediate": (2, False, lambda rng: {"bps": rng.choice((10, 18, 22)), "count": 100_000}),
    "positions.lag": (3, True, _seconds(5, 30)),
    "positions.empty": (2, False, _seconds(20, 250)),
    "positions.vanish": (2, True, _seconds(20, 250)),
    "asset.halt": (2, True, _seconds(5, 60)),
    "expire": (2, True, _nothing),
    "ws.drop": (5, False, _count(5)),
    "ws.dup": (3, False, _count(5)),
    "ws.late": (4, False, _seconds(0.2, 12)),
    "ws.down": (4, False, _seconds(0.5, 40)),
    "ws.deaf": (3, False, _seconds(5, 60)),
    "md.down": (2, False, _seconds(0.5, 30)),
    "md.deaf": (2, False, _seconds(5, 60)),
    "md.bad_quote": (
        3,
        True,
        lambda rng: {"kind": rng.choice(ODD_QUOTES)},
    ),
    "md.behind": (2, False, _seconds(60, 200)),
    "md.old": (2, True, _seconds(16, 120)),
    "db.lost": (5, False, _count(4)),
    "db.deadlock": (4, False, _count(6)),
    "db.swallow_commit_ok": (5, False, _count(2)),
    "db.down": (3, False, _seconds(1, 40)),
    "db.slow": (3, False, lambda rng: {"seconds": round(rng.uniform(5.5, 9), 1), "count": rng.randint(1, 6)}),
    "crash.boundary": (12, False, lambda rng: {"after": rng.randint(1, 60)}),
    "kill.main_app": (6, False, _nothing),
    "kill.caretaker": (3, False, _nothing),
    "term.main_app": (2, False, _nothing),
    "stop.main_app": (4, False, _seconds(0.5, 8)),
    "second.main_app": (2, False, _nothing),
    "clock.step": (2, False, _clock_step),
    "person.edits_asset": (4, True, _asset_edit),
    "person.edits_cycle": (4, True, _cycle_edit),
    "person.turns_switch": (
        2,
        False,
        lambda rng: {"mode": rng.choice(("exits_only", "halt")), "seconds": round(rng.uniform(5, 60), 1)},
    ),
    "person.cancels": (4, True, _nothing),
    "person.sells": (3, True, lambda rng: {"share": rng.choice(("0.3", "1"))}),
    "person.buys": (2, True, _nothing),
    "person.bids": (2, True, _nothing),
    "person.wants_out": (3, True, _nothing),
    "market.jump": (8, True, lambda rng: {"percent": round(rng.uniform(-12, 8), 1)}),
}


def draw(seed: int, symbols: list[str]) -> list[Step]:
    """The steps of a seed, in order of time. Few kinds a run: two faults that meet are found sooner so."""
    rng = random.Random(f"plan {seed}")  # noqa: S311 - reproducible, not secret
    names = list(KINDS)
    weights = [KINDS[name][0] for name in names]
    chosen = rng.choices(names, weights, k=rng.randint(2, 12))
    steps = []
    for kind in chosen:
        _, of_pair, arguments = KINDS[kind]
        for _ in range(rng.choice((1, 1, 2, 3))):
            symbol = rng.choice(symbols) if of_pair else None
            at = round(rng.uniform(1.0, FAULTS_SECONDS), 2)
            steps.append(Step(at=at, kind=kind, symbol=symbol, args=arguments(rng)))
    return sorted(steps, key=lambda step: step.at)
