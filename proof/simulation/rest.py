"""Class Q: what has to hold once nothing is in flight: demo's audit, on both books at rest."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Any

from demo import invariants_cycles as cycles
from demo import invariants_orders as orders
from demo.rows import Books, Row
from demo.truth import Truth
from paper_exchange.engine import Engine
from paper_exchange.values import plain
from proof.simulation.tables import Tables

ALWAYS = (
    ("I01", orders.i01_one_live_order),
    ("I02", orders.i02_one_open_order_at_the_exchange),
    ("I03", orders.i03_one_order_per_intent),
    ("I05", orders.i05_ledger_not_ahead),
    ("I06", orders.i06_ledger_equals_exchange),
    ("I07", cycles.i07_cycles_follow_from_the_ledger),
    ("I08", cycles.i08_never_oversold),
    ("I09", cycles.i09_position_covers_the_cycles),
    ("I10", cycles.i10_foreign_coins_untouched),
    ("I12", cycles.i12_levels),
    ("I13", cycles.i13_one_live_cycle),
    ("I14", cycles.i14_status_agrees),
    ("I16", orders.i16_decided_on_a_fresh_quote),
    ("I18", orders.i18_nothing_goes_back),
    ("I22", orders.i22_epochs_do_not_fall),
    ("I25", cycles.i25_money),
    ("I25", cycles.i25_profits),
    ("I26", orders.i26_only_ours_was_touched),
    ("I30", orders.i30_nothing_unexplained),
)
IF_CLOCKS_WERE_RIGHT = (("I04", orders.i04_written_before_sent),)
IF_SETTINGS_STOOD_STILL = (
    ("I11", cycles.i11_budget),
    ("I17", orders.i17_prices_of_orders),
    ("I27", cycles.i27_cooldown_respected),
)
"""These compare with the settings as they are now, and with times that our clock gave."""


def audit(
    tables: Tables, engine: Engine, cooldown_ends: Sequence[Row], *, edited: bool, clock_stepped: bool
) -> list[tuple[str, str]]:
    """Every violation of class Q, as number and text."""
    truth = Truth(_books(tables, engine, cooldown_ends))
    checks = ALWAYS + (() if edited or clock_stepped else IF_SETTINGS_STOOD_STILL)
    checks += () if clock_stepped else IF_CLOCKS_WERE_RIGHT
    return [(number, text) for number, check in checks for text in check(truth)]


def _books(tables: Tables, engine: Engine, cooldown_ends: Sequence[Row]) -> Books:
    attempts = [
        {"order_id": order_id, "attempt": number, "sent_at": sent_at.isoformat(), "answer": answer}
        for (order_id, number), (sent_at, answer) in tables.attempts.items()
    ]
    positions = {symbol: {"qty": plain(qty)} for symbol, qty in engine.account.coins.items()}
    return Books(
        journal=engine.journal,
        assets=[_row(each) for each in tables.assets.values()],
        cycles=[{**_row(each), "net_profit": str(each.net_profit)} for each in tables.cycles.values()],
        orders=[_row(each) for each in tables.orders.values()],
        attempts=attempts,
        control=[{"install_id": tables.control.install_id}],
        cooldown_ends=cooldown_ends,
        state={"cash": plain(engine.account.cash), "positions": positions},
    )


def _row(value: Any) -> dict[str, Any]:
    return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, datetime) else str(value)
