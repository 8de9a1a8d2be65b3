"""The nouns: assets, cycles, orders, quotes and what the exchange says of them.

Pure. Every value is frozen; field names equal column names. Prices and dollar amounts are dollars,
quantities are coins, times are aware UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from enum import StrEnum
from typing import Self

ZERO = Decimal(0)
HUNDRED = Decimal(100)
HIGHEST_FEE_RATE = Decimal("0.0025")  # a taker's of Alpaca's lowest crypto tier (alpaca.md 4)
PRICE_STEP = Decimal("1e-10")  # of the price columns of dca_assets and dca_cycles (DECIMAL(20, 10))
CENT = Decimal("0.01")


class Word(StrEnum):
    """The words that a column may hold. Any other text there was written past the table's rules, or by a
    newer program: it is read as it stands, and equals none of them."""

    @classmethod
    def read(cls, text: str) -> Self:
        """The member of that text, or the text itself as a word that is not known."""
        try:
            return cls(text)
        except ValueError:
            word = str.__new__(cls, text)
            word._name_, word._value_ = "", text
            return word

    @property
    def is_known(self) -> bool:
        return self._name_ != ""


class CycleStatus(Word):
    WATCHING = "watching"
    BUYING = "buying"
    SELLING = "selling"
    COOLDOWN = "cooldown"
    COMPLETE = "complete"
    ERROR = "error"


IN_FLIGHT = frozenset({CycleStatus.BUYING, CycleStatus.SELLING})
ENDED = frozenset({CycleStatus.COMPLETE, CycleStatus.ERROR})
LIVE = frozenset(CycleStatus) - ENDED


class Side(Word):
    BUY = "buy"
    SELL = "sell"


class OrderType(Word):
    LIMIT = "limit"
    MARKET = "market"


class Purpose(Word):
    BASE = "base"
    SAFETY = "safety"
    TAKE_PROFIT = "take_profit"
    EXIT = "exit"
    """Sold because the operator said so (./bot sell)."""
    ADOPTED = "adopted"
    """Bought outside the bot and taken into the cycle (./bot adopt); its level counts as safety orders."""
    OUTSIDE = "outside"
    """Sold outside the bot and accepted as that (./bot accept)."""

    @property
    def side(self) -> Side:
        return Side.SELL if self in {Purpose.TAKE_PROFIT, Purpose.EXIT, Purpose.OUTSIDE} else Side.BUY


class OrderState(Word):
    """What we know of an order. SENT: the exchange's answer is not known.
    VOID: proven never to have arrived. GHOST: given up, and then it turned up."""

    SENT = "sent"
    ACKED = "acked"
    CANCEL_REQUESTED = "cancel_requested"
    DONE = "done"
    REJECTED = "rejected"
    VOID = "void"
    GHOST = "ghost"


LIVE_STATES = frozenset({OrderState.SENT, OrderState.ACKED, OrderState.CANCEL_REQUESTED})
GIVEN_UP_STATES = frozenset({OrderState.REJECTED, OrderState.VOID, OrderState.GHOST})


class FeeSource(Word):
    ASSUMED = "assumed"
    EXECUTIONS = "executions"
    POSITION = "position"
    CHARGED = "charged"


class LockKind(Word):
    """BREAK: the books disagree; ends when they agree. CRASH: the bot died over it; ends by hand."""

    BREAK = "break"
    CRASH = "crash"


class Mode(Word):
    """The kill switch (dca_control.mode)."""

    RUN = "run"
    EXITS_ONLY = "exits_only"
    HALT = "halt"


CLOSED_AT_EXCHANGE = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
"""Alpaca's terminal order statuses (alpaca.md 3). Any other, also an unknown one, may still fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A traded pair and its settings: a row of dca_assets. Dollars, percent, seconds."""

    id: int
    asset_symbol: str
    is_enabled: bool
    base_order_amount: Decimal
    safety_order_amount: Decimal
    max_safety_orders: int
    safety_order_deviation: Decimal
    take_profit_percent: Decimal
    cooldown_period: int
    buy_order_price_deviation_percent: Decimal
    last_sell_price: Decimal | None = None
    lock_reason: str | None = None
    lock_kind: LockKind | None = None
    locked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """First buy to sale: a row of dca_cycles. From `quantity` to `sell_fee` all is derived from the
    cycle's orders (ledger.totals); `quantity` is what is held, net of the fees taken in coin."""

    id: int
    asset_id: int
    status: CycleStatus
    quantity: Decimal = ZERO
    average_purchase_price: Decimal = ZERO
    safety_orders: int = 0
    latest_order_id: str | None = None
    last_order_fill_price: Decimal | None = None
    bought_qty: Decimal = ZERO
    bought_cost: Decimal = ZERO
    buy_fee_qty: Decimal = ZERO
    sold_qty: Decimal = ZERO
    sold_proceeds: Decimal = ZERO
    sell_fee: Decimal = ZERO
    completed_at: datetime | None = None
    cooldown_started_at: datetime | None = None
    refusals: int = 0
    next_buy_at: datetime | None = None
    next_sell_at: datetime | None = None
    problem: str | None = None
    exit_requested_at: datetime | None = None
    version: int = 0

    @property
    def net_profit(self) -> Decimal:
        """Dollars won after fees; of meaning once the cycle is complete."""
        return self.sold_proceeds - self.sell_fee - self.bought_cost

    def violations(self) -> list[str]:
        """Say in words every rule this cycle breaks; empty for a possible cycle."""
        held = self.bought_qty - self.buy_fee_qty - self.sold_qty
        rules = {
            "quantity is negative": self.quantity < 0,
            "quantity is not what was bought less fees and sales": self.quantity != max(held, ZERO),
            "coins are held without an average price": self.quantity > 0 and self.average_purchase_price <= 0,
            "coins are held in cooldown": self.status is CycleStatus.COOLDOWN and self.quantity > 0,
            "completed_at does not fit the status": (self.completed_at is not None) != (self.status in ENDED),
            "the count of safety orders is negative": self.safety_orders < 0,
            "complete without a sale": self.status is CycleStatus.COMPLETE and self.sold_qty <= 0,
        }
        return [rule for rule, broken in rules.items() if broken]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order we meant to send, and what is known of it: a row of dca_orders.

    From `qty` and `limit_price` down to the client order id everything was final before it was sent;
    `base_order_amount` to `epoch` stand as they were when the order was claimed.
    """

    id: int
    asset_id: int
    cycle_id: int
    seq: int
    purpose: Purpose
    level: int
    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: str
    qty: Decimal
    limit_price: Decimal | None
    state: OrderState
    exchange_order_id: str | None = None
    exchange_status: str | None = None
    filled_qty: Decimal = ZERO
    filled_avg_price: Decimal | None = None
    filled_value: Decimal = ZERO
    fee_qty: Decimal = ZERO
    fee_usd: Decimal = ZERO
    fee_rate: Decimal = HIGHEST_FEE_RATE
    fee_source: FeeSource = FeeSource.ASSUMED
    trigger_price: Decimal | None
    quote_price: Decimal
    quote_age_ms: int
    base_order_amount: Decimal
    safety_order_amount: Decimal
    max_safety_orders: int
    take_profit_percent: Decimal
    min_order_size: Decimal
    qty_increment: Decimal
    epoch: int
    created_at: datetime
    last_sent_at: datetime
    cancel_requested_at: datetime | None = None
    not_found_at: datetime | None = None
    closed_at: datetime | None = None
    difference: str | None = None
    """How it came back from the exchange otherwise than it was sent, in words."""
    decided_at: datetime | None = None
    """When the operator last said what becomes of what it did, where that was asked."""
    version: int = 0

    @property
    def is_live(self) -> bool:
        """Whether it may still fill, as far as we know."""
        return self.state in LIVE_STATES

    @property
    def is_undecided(self) -> bool:
        """Whether it is, or did, what we did not ask for, and nobody has said what becomes of it."""
        if self.decided_at is not None:
            return False
        return self.difference is not None or (self.state is OrderState.GHOST and self.filled_qty > 0)

    @property
    def cancel_was_ours(self) -> bool:
        return self.cancel_requested_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What holds for the whole installation: the row of dca_control. `fee_rate` is assumed of new orders."""

    install_id: str
    account_id: str | None
    account_made_at: datetime | None = None
    epoch: int
    mode: Mode
    mode_reason: str | None = None
    fee_rate: Decimal = HIGHEST_FEE_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Best bid and ask. `at` is the exchange's time, `received_at` ours."""

    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingRules:
    """What the exchange says of a pair: smallest order and steps, in coins and dollars.

    `min_order_size` moves with the price through the day (alpaca.md 2.2).
    """

    symbol: str
    tradable: bool
    min_order_size: Decimal
    qty_increment: Decimal
    price_increment: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Coins on the account, net of fees; `qty_available` leaves out what open sells hold."""

    symbol: str
    qty: Decimal
    qty_available: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The exchange account, as far as trading depends on it."""

    id: str
    status: str
    crypto_status: str
    trading_blocked: bool
    account_blocked: bool
    trade_suspended_by_user: bool
    non_marginable_buying_power: Decimal
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An order as the exchange described it at some moment, whoever brought the description."""

    exchange_order_id: str
    client_order_id: str
    symbol: str
    side: str
    status: str
    qty: Decimal | None
    limit_price: Decimal | None
    filled_qty: Decimal
    filled_avg_price: Decimal | None
    created_at: datetime | None
    updated_at: datetime | None

    @property
    def is_closed(self) -> bool:
        return self.status in CLOSED_AT_EXCHANGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill of an order (Alpaca's FILL activity): coins and dollars per coin."""

    id: str
    exchange_order_id: str
    qty: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The exchange has the order, as it says."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class DefiniteReject:
    """The exchange said no, and means it. `code` is its own, or the HTTP status."""

    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """The client order id is in use: an earlier attempt arrived. Look it up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Neither yes nor no: the order may or may not exist."""

    reason: str


SubmitOutcome = Accepted | DefiniteReject | Duplicate | Unknown


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`."""
    return (value / step).to_integral_value(rounding=ROUND_DOWN) * step


def round_up(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value`."""
    return (value / step).to_integral_value(rounding=ROUND_UP) * step


def cents(dollars: Decimal) -> Decimal:
    """Dollars as they are told: to the cent, half a cent away from zero (as MySQL's ROUND), never -0.00."""
    return dollars.quantize(CENT, rounding=ROUND_HALF_UP) + 0


def plain(value: Decimal) -> str:
    """A number as people write it: no exponent, no trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
