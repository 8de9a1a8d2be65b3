"""What a gate is, and what is looked at to judge all of an asset's. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from dca.core.model import Asset, Cycle, Mode, Order, Position, Quote, Side, TradingRules
from dca.runtime.heartbeat import Beat
from dca.runtime.maintenance import Maintenance

BUYS, SELLS = frozenset({Side.BUY}), frozenset({Side.SELL})
BOTH = BUYS | SELLS


class Part(StrEnum):
    """Of the list of gates."""

    EVERYTHING = "everything"
    ASSET = "asset"
    BUY = "buy"
    SELL = "sell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """`passed` None: not known. `text` is a clause with the number and its limit; it can follow "because".
    A gate that is not passed keeps the asset from the orders that `stops` names."""

    part: Part
    name: str
    passed: bool | None
    text: str
    stops: frozenset[Side] = BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All that decides about one asset. What the exchange did not say is None; `trouble` then says why.

    `orders` are the asset's open ones. With `rules` None and no trouble the exchange has no such pair.
    """

    now: datetime
    symbol: str
    is_running: bool
    beat: Beat | None
    maintenance: Maintenance | None
    mode: Mode
    mode_reason: str | None
    max_quote_age_seconds: Decimal
    max_spread_percent: Decimal
    asset: Asset | None
    cycle: Cycle | None = None
    orders: Sequence[Order] = ()
    rules: TradingRules | None = None
    quote: Quote | None = None
    position: Position | None = None
    buying_power: Decimal | None = None
    trouble: str | None = None
