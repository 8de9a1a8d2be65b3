"""Every statement of the product: a call of each method of a transaction, with sensible arguments."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from dca.core.model import Cycle, CycleStatus, Mode, Order
from dca.core.operations import Finding, Incident, IncidentKind, Mail, MissingPosition, Result
from dca.database import store as store_module
from dca.database.report_queries import By, Which
from dca.database.store import Transaction
from tests.builders import D, order

SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD")
ASLEEP = 3
"""The id of an asset whose only cycle was the first of all: whoever looks for its newest one among those of
all assets looks through all of the past."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
"""Where the product looks back hours or a day, the calls look back two or three hours: as short beside the
past here as a day is beside years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the calls are about: the live cycle and order of the first asset, ended ones, and the time."""

    now: datetime
    cycle: Cycle
    order: Order
    ended: Order
    """An order of the newest cycle that has ended."""


Call = Callable[[Transaction, World], object]


def new_order(world: World) -> Order:
    """Of the second asset, which has none in flight."""
    return order(
        id=0, asset_id=2, cycle_id=world.cycle.id + 1, client_order_id="dca-abcd1234-new", symbol="ETH/USD"
    )


def incident(world: World, **changes: Any) -> Incident:
    default = Incident(
        id=1,
        name="another",
        kind=IncidentKind.MONEY,
        subject="a subject",
        evidence="evidence",
        began_at=world.now,
        seen_at=world.now,
        ended_at=None,
        mails=1,
    )
    return replace(default, **changes)


def missing(world: World) -> MissingPosition:
    return MissingPosition(cycle_id=world.cycle.id, first_seen_at=world.now, last_seen_at=world.now, looks=1)


def finding() -> Finding:
    return Finding(name="break BTC/USD", kind=IncidentKind.MONEY, subject="a subject", evidence="evidence")


def mail(world: World) -> Mail:
    return Mail(id=1, name="digest", subject="a subject", body="a body", created_at=world.now)


TRADING: dict[str, Call] = {
    "control": lambda tx, w: tx.control(),
    "asset": lambda tx, w: tx.asset(1),
    "assets": lambda tx, w: tx.assets(),
    "live_cycle": lambda tx, w: tx.live_cycle(1),
    "live_cycles": lambda tx, w: tx.live_cycles(),
    "cycle": lambda tx, w: tx.cycle(w.cycle.id),
    "orders": lambda tx, w: tx.orders(w.cycle.id),
    "counting_orders": lambda tx, w: tx.counting_orders(w.cycle.id, w.order.client_order_id),
    "open_orders": lambda tx, w: tx.open_orders(),
    "cycle_of_order": lambda tx, w: tx.cycle_of_order(w.order.client_order_id),
    "orders_placed": lambda tx, w: tx.orders_placed(1, w.now),
    "orders_in_vain": lambda tx, w: tx.orders_in_vain(1, w.now),
    "buys_held_back": lambda tx, w: tx.buys_held_back("order-rate fuse", w.now),
    "attempts": lambda tx, w: tx.attempts(w.order.id),
    "insert_attempt": lambda tx, w: tx.insert_attempt(w.order.id, 2, w.now),
    "answer_attempt": lambda tx, w: tx.answer_attempt(w.order.id, 1, "accepted"),
    "expire_attempts": lambda tx, w: tx.expire_attempts(w.order.id, w.now + DAY),
    "insert_order": lambda tx, w: tx.insert_order(new_order(w)),
    "update_order": lambda tx, w: tx.update_order(w.order),
    "insert_cycle": lambda tx, w: tx.insert_cycle(ASLEEP, CycleStatus.COOLDOWN, w.now),
    "update_cycle": lambda tx, w: [tx.update_cycle(each) for each in (w.cycle, completed(w))],  # type: ignore[func-returns-value]
    "set_last_sell_price": lambda tx, w: tx.set_last_sell_price(1, D(100)),
    "lock_asset": lambda tx, w: tx.lock_asset(1, "a reason", w.now),
    "unlock_asset": lambda tx, w: tx.unlock_asset(1),
    "next_epoch": lambda tx, w: tx.next_epoch("account"),
    "owner": lambda tx, w: tx.owner(),
    "set_owner": lambda tx, w: tx.set_owner("host:/folder", w.now),
    "owner_lives": lambda tx, w: tx.owner_lives("host:/folder", w.now),
    "set_mode": lambda tx, w: tx.set_mode(Mode.RUN, "a reason"),
    "set_fee_rate": lambda tx, w: tx.set_fee_rate(D("0.002")),
    "insert_asset": lambda tx, w: tx.insert_asset({**ASSET, "asset_symbol": "DOT/USD"}),
    "remove_cycle": lambda tx, w: tx.remove_cycle(999_999_999),
    "remove_asset": lambda tx, w: tx.remove_asset(999_999),
    "change_asset": lambda tx, w: tx.change_asset(1, ASSET),
    "known_ids": lambda tx, w: tx.known_ids([w.order.client_order_id, w.ended.client_order_id, "unknown"]),
    "known_orders": lambda tx, w: tx.known_orders(
        [w.order.client_order_id, w.ended.client_order_id, "unknown"]
    ),
}
CARING: dict[str, Call] = {
    "given_up_orders": lambda tx, w: tx.given_up_orders(w.now - 2 * DAY),
    "undecided_orders": lambda tx, w: tx.undecided_orders(),
    "error_cycles": lambda tx, w: tx.error_cycles(w.now - 3 * HOUR),
    "leftover_cycles": lambda tx, w: tx.leftover_cycles(w.now - 30 * DAY),
    "orders_with_open_fees": lambda tx, w: tx.orders_with_open_fees(w.now - 2 * DAY, w.now - DAY),
    "orders_of_cycles": lambda tx, w: tx.orders_of_cycles([w.cycle.id, 1]),
    "cycles_ended_since": lambda tx, w: tx.cycles_ended_since(w.now - 2 * HOUR),
    "ended_cycles": lambda tx, w: tx.ended_cycles(1, w.now - 2 * HOUR),
    "last_done_run_at": lambda tx, w: tx.last_done_run_at("consistency_checker", w.now),
    "missing_positions": lambda tx, w: tx.missing_positions(),
    "replace_missing_positions": lambda tx, w: tx.replace_missing_positions([missing(w)]),
    "last_fill_at": lambda tx, w: [tx.last_fill_at(asset_id) for asset_id in (1, ASLEEP)],
    "last_action_at": lambda tx, w: tx.last_action_at("BTC/USD", "resume"),
    "begin_run": lambda tx, w: tx.begin_run("watchdog", w.now),
    "end_run": lambda tx, w: tx.end_run(1, Result.DONE, w.now, checked=0, changed=0, details=None),
    "last_runs": lambda tx, w: tx.last_runs(),
    "last_good_runs": lambda tx, w: tx.last_good_runs(),
    "first_run_at": lambda tx, w: tx.first_run_at(),
    "run_starts_since": lambda tx, w: tx.run_starts_since(w.now - timedelta(minutes=90)),
    "job_health_since": lambda tx, w: tx.job_health_since(w.now - 3 * HOUR),
    "forget_before": lambda tx, w: tx.forget_before(w.now - 90 * DAY),
    "open_incidents": lambda tx, w: tx.open_incidents(),
    "incidents_now": lambda tx, w: tx.incidents_now(),
    "incidents_since": lambda tx, w: tx.incidents_since(w.now - 3 * HOUR),
    "incidents_ended_since": lambda tx, w: tx.incidents_ended_since(w.now - 3 * HOUR),
    "put_incident": lambda tx, w: tx.put_incident(incident(w)),
    "insert_incident": lambda tx, w: tx.insert_incident(finding(), w.now),
    "update_incident": lambda tx, w: tx.update_incident(incident(w, ended_at=w.now)),
    "insert_mail": lambda tx, w: tx.insert_mail("a name", "a subject", "a body", w.now),
    "put_sent_mail": lambda tx, w: tx.put_sent_mail("a name", "a subject", "a body", w.now),
    "unsent_mails": lambda tx, w: tx.unsent_mails(),
    "mails_sent_since": lambda tx, w: tx.mails_sent_since(w.now - 2 * HOUR),
    "sent_times_since": lambda tx, w: tx.sent_times_since(w.now - 2 * HOUR),
    "newest_mails": lambda tx, w: tx.newest_mails(["a name", "another"]),
    "last_mail": lambda tx, w: tx.last_mail("a name"),
    "last_sent_mail": lambda tx, w: tx.last_sent_mail(),
    "mail_was_tried": lambda tx, w: tx.mail_was_tried(mail(w), w.now, None),
    "cycles_without_mail": lambda tx, w: tx.cycles_without_mail(w.now - 3 * HOUR, w.now),
}
SHOWING: dict[str, Call] = {
    "insert_action": lambda tx, w: tx.insert_action("somebody", "halt", "BTC/USD", "an effect", w.now),
    "actions": lambda tx, w: tx.actions(5),
    "cycle_reports": lambda tx, w: [
        tx.cycle_reports(symbol, which, limit)
        for symbol in (None, "BTC/USD", "SOL/USD")
        for which in Which
        for limit in (1, 20)
    ],
    "order_reports": lambda tx, w: [tx.order_reports(symbol, 20) for symbol in (None, "BTC/USD", "SOL/USD")],
    "open_order_reports": lambda tx, w: tx.open_order_reports(),
    "count_live_cycles": lambda tx, w: tx.count_live_cycles(),
    "cycles_after": lambda tx, w: tx.cycles_after(100, 50),
    "orders_after": lambda tx, w: tx.orders_after(100, 50),
    "fills_after": lambda tx, w: tx.fills_after(100, 50),
    "profits": lambda tx, w: [tx.profits(by) for by in By],
    "profit_since": lambda tx, w: [tx.profit_since(w.now - 30 * DAY), tx.profit_since(None)],
    "server": lambda tx, w: tx.server(),
    "grants": lambda tx, w: tx.grants(),
    "columns": lambda tx, w: tx.columns(),
}
OTHERS: dict[str, Call] = {"schema_version": lambda tx, w: store_module._schema_version(tx)}
"""Statements that are no method of a transaction."""
CALLS = {**TRADING, **CARING, **SHOWING, **OTHERS}
ASSET: dict[str, Any] = {
    "base_order_amount": D(20),
    "safety_order_amount": D(20),
    "max_safety_orders": 3,
    "safety_order_deviation": D(1),
    "take_profit_percent": D(2),
    "cooldown_period": 300,
    "buy_order_price_deviation_percent": D(3),
}


def completed(world: World) -> Cycle:
    version = world.cycle.version + 1
    return replace(world.cycle, status=CycleStatus.COMPLETE, completed_at=world.now, version=version)
