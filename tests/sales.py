"""Cycles bought and sold, written into the books, and the operator who asks about them."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dca.core.model import CycleStatus, Purpose
from dca.database.store import Store, Transaction
from tests import operating
from tests.builders import D, done

bot = operating.lonely  # a fixture: an import would clash with arguments


@dataclass(frozen=True)
class Sale:
    """A completed cycle to be made: 0.2 coins bought at 100 with 0.0005 as fee, the rest sold at `price`."""

    asset_id: int
    ended_at: datetime
    price: str = "110"
    lasted: timedelta = timedelta(hours=1)


def complete(store: Store, sale: Sale) -> int:
    """Write it; returns the cycle's id. At 110: 21.945 received, 0.06 fee, 20 paid: 1.885 won."""

    def work(tx: Transaction) -> int:
        cycle = tx.live_cycle(sale.asset_id)
        assert cycle is not None
        began = sale.ended_at - sale.lasted
        name = f"dca-abcd1234-{cycle.id}"
        common: dict[str, Any] = {"id": 0, "asset_id": sale.asset_id, "cycle_id": cycle.id}
        common["symbol"] = "BTC/USD" if sale.asset_id == 1 else "ETH/USD"
        buy = done(filled="0.2", client_order_id=f"{name}-1-b", created_at=began, closed_at=began, **common)
        sell = done(
            Purpose.TAKE_PROFIT,
            seq=2,
            filled="0.1995",
            price=sale.price,
            **common,
            client_order_id=f"{name}-2-tp",
            created_at=sale.ended_at,
            closed_at=sale.ended_at,
        )
        proceeds = D("0.1995") * D(sale.price)
        tx.insert_order(buy)
        tx.insert_order(replace(sell, fee_usd=D("0.06")))
        tx.update_cycle(
            replace(
                cycle,
                status=CycleStatus.COMPLETE,
                completed_at=sale.ended_at,
                quantity=D(0),
                average_purchase_price=D(100),
                last_order_fill_price=D(100),
                bought_qty=D("0.2"),
                bought_cost=D(20),
                buy_fee_qty=D("0.0005"),
                sold_qty=D("0.1995"),
                sold_proceeds=proceeds,
                sell_fee=D("0.06"),
            )
        )
        tx.insert_cycle(sale.asset_id, CycleStatus.COOLDOWN, sale.ended_at)
        return cycle.id

    return store.transaction(work)


MIDNIGHT = datetime.fromisoformat("2026-03-01T00:00:00+00:00")


@pytest.fixture
def sold(ready: Store) -> Store:
    """Two cycles of BTC, a second before and at midnight of a new month; one of ETH with a loss."""
    complete(ready, Sale(1, MIDNIGHT - timedelta(seconds=1)))
    complete(ready, Sale(1, MIDNIGHT))
    complete(ready, Sale(2, MIDNIGHT + timedelta(hours=2), price="100"))
    return ready
