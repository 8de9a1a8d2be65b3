"""The pairs on offer, with prices to begin at. BTC's id is Alpaca's own (alpaca.md 2.2)."""

import uuid
from decimal import Decimal

from paper_exchange.values import STEP, Pair

_COINS = (
    ("BTC", "Bitcoin", "64000"),
    ("ETH", "Ethereum", "3100"),
    ("SOL", "Solana", "150"),
    ("DOGE", "Dogecoin", "0.12"),
    ("LINK", "Chainlink", "14"),
    ("SHIB", "Shiba Inu", "0.000013"),
    ("PEPE", "Pepe", "0.0000094"),
    ("LTC", "Litecoin", "72"),
    ("AVAX", "Avalanche", "26"),
    ("UNI", "Uniswap", "8"),
    ("AAVE", "Aave", "160"),
    ("BAT", "Basic Attention Token", "0.18"),
    ("BCH", "Bitcoin Cash", "410"),
    ("CRV", "Curve DAO", "0.5"),
    ("DOT", "Polkadot", "4.2"),
    ("GRT", "The Graph", "0.09"),
    ("SUSHI", "SushiSwap", "0.7"),
    ("XRP", "XRP", "2.1"),
    ("XTZ", "Tezos", "0.8"),
    ("YFI", "Yearn Finance", "5200"),
)
_BTC_ID = "276e2673-764b-4ab6-a611-caf665ca6340"
LEAST_PRICE = 100 * STEP


def all_pairs(least: int = 0) -> dict[str, Pair]:
    """Fresh pairs by symbol; where `least` is more than there are coins, with made-up ones: C21, C22, ..."""
    pairs = {}
    made_up = ((f"C{number}", f"Coin {number}", "10") for number in range(len(_COINS) + 1, least + 1))
    for coin, name, price in (*_COINS, *made_up):
        symbol = f"{coin}/USD"
        asset_id = _BTC_ID if coin == "BTC" else str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{symbol}.asset"))
        pair = Pair(symbol=symbol, name=f"{name} / US Dollar", id=asset_id, start_price=Decimal(price))
        follow_price(pair, pair.start_price)
        pairs[symbol] = pair
    return pairs


def made_up(symbol: str, price: Decimal) -> Pair:
    """A pair that Alpaca does not list, with rules like those of a listed one at this price.

    Raises:
        ValueError: it is no pair, or its price has too few digits in steps of 1e-9 to move in.
    """
    coin, _, quote_coin = symbol.partition("/")
    if not (coin.isalnum() and quote_coin.isalnum() and symbol.isascii() and symbol == symbol.upper()):
        raise ValueError(f"a pair is written like BTC/USD, not {symbol!r}")
    if price < LEAST_PRICE:
        raise ValueError(f"{symbol} at {price:f} is below {LEAST_PRICE:f}: prices move in steps of {STEP:f}")
    asset_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{symbol}.asset"))
    pair = Pair(symbol=symbol, name=f"{coin} / {quote_coin} (made up)", id=asset_id, start_price=price)
    follow_price(pair, price)
    return pair


def follow_price(pair: Pair, price: Decimal) -> None:
    """The smallest order is about one dollar's worth and moves with the price."""
    pair.min_order_size = (1 / price).quantize(STEP)
