"""What both databases have alike: assets, a cycle of each that holds coins, the last hour's runs, a mail."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dca.alerts.conditions import PERIODS
from dca.core import ledger
from dca.core.model import (
    Control,
    Cycle,
    CycleStatus,
    FeeSource,
    Order,
    OrderState,
    OrderType,
    Purpose,
)
from dca.core.operations import Result
from dca.database.store import Store, Transaction
from paper_exchange.values import STEP, Pair

AGE = timedelta(days=3)
"""Older than the orders that the consistency checker looks for in the exchange's list."""
_SPENT = Decimal(20)
_ASSET = {
    "base_order_amount": _SPENT,
    "safety_order_amount": _SPENT,
    "max_safety_orders": 3,
    "safety_order_deviation": Decimal(5),
    "take_profit_percent": Decimal(5),
    "cooldown_period": 300,
    "buy_order_price_deviation_percent": Decimal(2),
}


def add_assets(store: Store, pairs: list[Pair]) -> None:
    """In the order of the pairs, so with ids from 1 in an empty database."""
    store.transaction(lambda tx: [tx.insert_asset({"asset_symbol": each.symbol, **_ASSET}) for each in pairs])


def begin(store: Store, pairs: list[Pair]) -> dict[str, Decimal]:
    """Give each asset a cycle that bought three days ago; returns what each pair holds, in coins."""
    now = datetime.now(UTC)

    def work(tx: Transaction) -> dict[str, Decimal]:
        _run_jobs(tx, now)
        tx.put_sent_mail("a name", "a subject", "a line of text\n" * 20, now - timedelta(minutes=50))
        control = tx.control()
        numbered = enumerate(pairs, start=1)
        return {pair.symbol: _bought(tx, control, number, pair, now - AGE) for number, pair in numbered}

    return store.transaction(work)


def _run_jobs(tx: Transaction, now: datetime) -> None:
    """Of the last hour, as cron would have run them."""
    for job, period in PERIODS.items():
        for number in range(int(timedelta(hours=1) / period), 0, -1):
            at = now - number * period
            run_id = tx.begin_run(job, at)
            tx.end_run(run_id, Result.DONE, at + timedelta(seconds=1), checked=60, changed=0, details=None)


def _bought(tx: Transaction, control: Control, asset_id: int, pair: Pair, at: datetime) -> Decimal:
    """A cycle with its filled base order."""
    tx.insert_cycle(asset_id, CycleStatus.WATCHING)
    cycle = tx.live_cycle(asset_id)
    assert cycle is not None, "it was just begun"
    order = new_order(control, cycle, pair.symbol, pair.start_price, at)
    qty = (_SPENT / pair.start_price).quantize(STEP)
    filled = replace(
        order,
        qty=qty,
        filled_qty=qty,
        filled_value=qty * pair.start_price,
        filled_avg_price=pair.start_price,
        fee_qty=ledger.coin_fee(qty),
        fee_source=FeeSource.EXECUTIONS,
        min_order_size=pair.min_order_size,
        state=OrderState.DONE,
        exchange_order_id=f"before-{asset_id}",
        exchange_status="filled",
        closed_at=at,
    )
    written = tx.insert_order(filled)
    tx.answer_attempt(written.id, 1, "accepted")
    held = ledger.with_totals(cycle, [written])
    tx.update_cycle(held)
    return held.quantity


def new_order(
    control: Control,
    cycle: Cycle,
    symbol: str,
    price: Decimal,
    at: datetime,
    *,
    seq: int = 1,
    purpose: Purpose = Purpose.BASE,
) -> Order:
    """An order of 0.2 coins as it is claimed; a sale is a market order."""
    is_sale = purpose is Purpose.TAKE_PROFIT
    return Order(
        id=0,
        asset_id=cycle.asset_id,
        cycle_id=cycle.id,
        seq=seq,
        purpose=purpose,
        level=0,
        client_order_id=ledger.client_order_id(control.install_id, cycle.id, seq, purpose, 0),
        symbol=symbol,
        side=purpose.side,
        order_type=OrderType.MARKET if is_sale else OrderType.LIMIT,
        time_in_force="gtc",
        qty=Decimal("0.2"),
        limit_price=None if is_sale else price,
        state=OrderState.SENT,
        trigger_price=None,
        quote_price=price,
        quote_age_ms=5,
        base_order_amount=_SPENT,
        safety_order_amount=_SPENT,
        max_safety_orders=3,
        take_profit_percent=Decimal(5),
        min_order_size=Decimal("0.01"),
        qty_increment=STEP,
        epoch=control.epoch,
        created_at=at,
        last_sent_at=at,
    )
