"""The order-rate fuse: what no strategy wants and no market asks for is a bug of ours, and stops here (F54).

Pure. The numbers come from the ledger's rows in the transaction of a claim (trader.py).
"""

from dataclasses import dataclass

from dca.model import Side

NAME = "order-rate fuse"
"""How the reason of a kill switch that it turned begins."""
ASSETS_INCLUDED = 5
"""`per_hour` is for so many enabled assets or fewer; each further one adds its part."""
SELLS_FACTOR = 4
"""A sell is never kept back for what is bought, and not before an asset has had so many times its limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuse:
    """How many orders may be placed: of one asset within a minute, of up to five assets within an hour."""

    per_minute: int
    per_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """How many orders were placed before the one that is to be judged, since the kill switch was last
    turned. `enabled_assets` are those that may buy."""

    of_asset_in_a_minute: int
    in_an_hour: int
    enabled_assets: int


def hourly_limit(fuse: Fuse, enabled_assets: int) -> int:
    """Orders of all assets within an hour."""
    return fuse.per_hour * max(ASSETS_INCLUDED, enabled_assets) // ASSETS_INCLUDED


def blown(fuse: Fuse, symbol: str, side: Side, placed: Placed) -> str | None:
    """Say why one more order would be too many; None if it would not."""
    per_minute = fuse.per_minute * (SELLS_FACTOR if side is Side.SELL else 1)
    if placed.of_asset_in_a_minute >= per_minute:
        return (
            f"{placed.of_asset_in_a_minute} orders of {symbol} within a minute, and one more wanted "
            f"(MAX_ORDERS_PER_MINUTE={fuse.per_minute})"
        )
    per_hour = hourly_limit(fuse, placed.enabled_assets)
    if side is Side.BUY and placed.in_an_hour >= per_hour:
        return (
            f"{placed.in_an_hour} orders within an hour, and one more wanted by {symbol} "
            f"(MAX_ORDERS_PER_HOUR={fuse.per_hour}; {per_hour} for {placed.enabled_assets} enabled assets)"
        )
    return None
