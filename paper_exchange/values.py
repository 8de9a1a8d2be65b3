"""What the exchange knows: pairs, orders, executions. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_UP, Decimal

ZERO = Decimal(0)
STEP = Decimal("0.000000001")
CENT = Decimal("0.01")
MIN_COST = Decimal(10)
MAX_COST = Decimal(200_000)
TAKER = Decimal("0.0025")
MAKER = Decimal("0.0015")
OPEN = frozenset({"pending_new", "accepted", "new", "partially_filled", "pending_cancel"})


class Refused(Exception):
    """An answer that is an error: HTTP status, Alpaca's code and words (alpaca.md 2.7).

    A code of 0 is left out, as the data host does; None means plain text.
    """

    def __init__(self, status: int, code: int | None, message: str, **more: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.more = more


@dataclass(slots=True)
class Pair:
    """A traded pair; `min_order_size` is about one dollar's worth, as measured (alpaca.md 2.2)."""

    symbol: str
    name: str
    id: str
    start_price: Decimal
    tradable: bool = True
    status: str = "active"
    min_order_size: Decimal = ZERO
    price_increment: Decimal = STEP

    @property
    def position_symbol(self) -> str:
        return self.symbol.replace("/", "")


@dataclass(frozen=True, slots=True)
class Quote:
    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime
    bid_size: Decimal = Decimal(10)
    ask_size: Decimal = Decimal(10)

    @property
    def is_sane(self) -> bool:
        finite = self.bid.is_finite() and self.ask.is_finite()
        return finite and ZERO < self.bid <= self.ask


@dataclass(slots=True)
class Order:
    """An order as the exchange keeps it. `manual`: a person in the dashboard placed it."""

    id: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: Decimal
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    status: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    manual: bool
    work_at: datetime
    resting: bool = False
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    filled_at: datetime | None = None
    canceled_at: datetime | None = None
    failed_at: datetime | None = None
    expired_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    cancel_at: datetime | None = None
    collar_price: Decimal | None = None
    """Of a market order where the book has depth: no fill is worse."""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        return self.qty - self.filled_qty

    @property
    def resting_rate(self) -> Decimal:
        """The fee of a fill that others came for: only a limit order makes liquidity."""
        return MAKER if self.type == "limit" else TAKER

    @property
    def average(self) -> Decimal | None:
        if not self.filled_qty:
            return None
        return (self.filled_value / self.filled_qty).quantize(STEP)


@dataclass(frozen=True, slots=True)
class Execution:
    id: str
    order_id: str
    client_order_id: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    fee_qty: Decimal
    fee_usd: Decimal
    liquidity: str
    cum_qty: Decimal
    leaves_qty: Decimal
    at: datetime


@dataclass(slots=True)
class Account:
    id: str
    cash: Decimal
    coins: dict[str, Decimal] = field(default_factory=dict)
    averages: dict[str, Decimal] = field(default_factory=dict)
    """Of each position: what its coins cost on average. Sales change nothing."""
    status: str = "ACTIVE"
    crypto_status: str = "ACTIVE"
    trading_blocked: bool = False
    account_blocked: bool = False
    trade_suspended_by_user: bool = False
    revoked: bool = False

    def buys(self, symbol: str, qty: Decimal, price: Decimal) -> None:
        """Average a purchase in, before its coins are here; pay for it."""
        held = max(self.coins.get(symbol, ZERO), ZERO)
        before = self.averages.get(symbol, price)
        self.averages[symbol] = (held * before + qty * price) / (held + qty)
        self.cash -= qty * price


def coin_fee(qty: Decimal, rate: Decimal) -> Decimal:
    """Coins taken from a buy execution, rounded up to 1e-9 (alpaca.md 4)."""
    return min((qty * rate).quantize(STEP, rounding=ROUND_UP), qty)


def dollar_fee(value: Decimal, rate: Decimal) -> Decimal:
    """Dollars taken from a sell execution, rounded up to a cent (alpaca.md 4)."""
    return (value * rate).quantize(CENT, rounding=ROUND_UP)


def plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
