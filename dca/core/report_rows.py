"""The rows of the operator's reports.

Pure. Field names equal the names of the queries' columns, and are the names of the JSON and CSV output.
Dollars and coins as in model; times are aware UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from dca.core.model import HUNDRED, ZERO, CycleStatus, FeeSource, OrderState, OrderType, Purpose, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """A cycle. `first_buy_at`: when its first filled buy was placed. `buy_fee_usd` is the fee taken in coin,
    valued at the average that the coins were bought for; `net_profit` is of meaning once it is complete."""

    id: int
    asset_symbol: str
    status: CycleStatus
    created_at: datetime
    first_buy_at: datetime | None
    completed_at: datetime | None
    safety_orders: int
    quantity: Decimal
    average_purchase_price: Decimal
    bought_qty: Decimal
    bought_cost: Decimal
    buy_fee_qty: Decimal
    buy_fee_usd: Decimal
    sold_qty: Decimal
    sold_proceeds: Decimal
    sell_fee: Decimal
    net_profit: Decimal
    problem: str | None

    @property
    def fees_usd(self) -> Decimal:
        return self.buy_fee_usd + self.sell_fee

    @property
    def profit_percent(self) -> Decimal | None:
        """Net profit of what was paid for the coins; None until it is complete."""
        if self.status is not CycleStatus.COMPLETE or self.bought_cost == 0:
            return None
        return self.net_profit * HUNDRED / self.bought_cost

    def lasted(self, now: datetime) -> timedelta | None:
        """From the first buy to the end, or until now; None if nothing was bought."""
        return None if self.first_buy_at is None else (self.completed_at or now) - self.first_buy_at


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """An order of ours."""

    id: int
    created_at: datetime
    closed_at: datetime | None
    cycle_id: int
    asset_symbol: str
    purpose: Purpose
    level: int
    side: Side
    order_type: OrderType
    qty: Decimal
    limit_price: Decimal | None
    filled_qty: Decimal
    filled_avg_price: Decimal | None
    filled_value: Decimal
    fee_qty: Decimal
    fee_usd: Decimal
    fee_source: FeeSource
    state: OrderState
    exchange_status: str | None
    client_order_id: str
    exchange_order_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillReport:
    """What an order bought or sold in all, as books and tax forms want it. `at`: when the order ended, or
    when it was placed while it is open. `fee_qty` coins (buys), `fee_usd` dollars (sells)."""

    id: int
    at: datetime
    cycle_id: int
    asset_symbol: str
    side: Side
    purpose: Purpose
    filled_qty: Decimal
    filled_avg_price: Decimal
    filled_value: Decimal
    fee_qty: Decimal
    fee_usd: Decimal
    client_order_id: str
    exchange_order_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfitReport:
    """Completed cycles of a day or month (UTC) or of an asset: `label` says which. Dollars; `fees` has the
    fees taken in coin at the average that the coins were bought for."""

    label: str
    cycles: int
    bought: Decimal
    sold: Decimal
    fees: Decimal
    net_profit: Decimal


def total(label: str, rows: Sequence[ProfitReport]) -> ProfitReport:
    """All of them added up."""
    return ProfitReport(
        label=label,
        cycles=sum(row.cycles for row in rows),
        bought=sum((row.bought for row in rows), ZERO),
        sold=sum((row.sold for row in rows), ZERO),
        fees=sum((row.fees for row in rows), ZERO),
        net_profit=sum((row.net_profit for row in rows), ZERO),
    )
