"""The floor: the least program that does for an order what has to be done for it.

One thread. Quotes come through `websockets` and msgpack; the statements of a claim are those that main_app
sends (tests/bench/test_orders.py compares them), in one transaction, through the same connector with the
same session; the order goes out through the same HTTP library. Nothing is checked, nothing is logged,
nothing is built that is not sent, and what is read is thrown away. Whatever main_app needs beyond this is
its own.

What happens after the POST is not measured; it only prepares the next sample.
"""

# ruff: noqa: S608 - column lists come from the dataclasses, values are always parameters

import asyncio
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgpack
import mysql.connector
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.trading.client import TradingClient
from websockets.asyncio.client import connect

from bench.orders_seed import AMOUNT, DEVIATION_PERCENT, MIN_ORDER_SIZE, QTY_INCREMENT
from dca.core.model import Control, Cycle, Order
from dca.database import store
from dca.database.connections import SESSION
from dca.database.rows import COUNTING, columns

_STEP = 1 - float(DEVIATION_PERCENT) / 100
_PROFIT = 1.03
"""Well above any take-profit of the bench."""
_ASSET, _CYCLE, _ORDER = store._ASSET, ", ".join(columns(Cycle)), ", ".join(columns(Order))
_CONTROL = ", ".join(columns(Control))
_NEW = columns(Order, but=frozenset({"id"}))
_CHANGED = columns(Cycle, but=frozenset({"id", "version", "asset_id"}))

BEGIN = "START TRANSACTION"
CONTROL = f"SELECT {_CONTROL} FROM dca_control LOCK IN SHARE MODE"
LIVE_CYCLE = f"SELECT {_CYCLE} FROM dca_cycles WHERE live_asset_id = %s FOR UPDATE"
THE_ASSET = f"SELECT {_ASSET} FROM dca_assets WHERE id = %s"
ORDERS = f"SELECT {_ORDER} FROM ({COUNTING}) AS counting JOIN dca_orders USING (id) ORDER BY seq FOR UPDATE"
PLACED = (
    "SELECT COUNT(*) AS in_an_hour, COALESCE(SUM(created_at > %s), 0) AS in_a_minute"
    " FROM dca_orders WHERE created_at > %s AND created_at <= %s AND asset_id = %s"
    " AND created_at >"
    " COALESCE((SELECT MAX(mode_set_at) FROM dca_control), TIMESTAMP'2000-01-01 00:00:00')"
    " AND purpose NOT IN ('adopted', 'outside')"
)
INSERT = f"INSERT INTO dca_orders ({', '.join(_NEW)}) VALUES ({', '.join(['%s'] * len(_NEW))})"
ATTEMPT = "INSERT INTO dca_order_attempts (order_id, attempt, sent_at) VALUES (%s, %s, %s)"
WRITTEN = f"SELECT {_ORDER} FROM dca_orders WHERE id = %s"
UPDATE = (
    f"UPDATE dca_cycles SET {', '.join(f'{name} = %s' for name in _CHANGED)},"
    " version = IF(version < 2000000000, version + 1, 0) WHERE id = %s AND version = %s"
)
COMMIT = "COMMIT"
CLAIM = (BEGIN, CONTROL, LIVE_CYCLE, THE_ASSET, ORDERS, PLACED, INSERT, ATTEMPT, WRITTEN, UPDATE, COMMIT)
"""In main_app's order."""


@dataclass(slots=True, kw_only=True)
class Pair:
    """What the floor knows by heart. `order` and `cycle` are the next claim's parameters."""

    symbol: str
    asset_id: int
    cycle_id: int
    qty: Decimal
    buy_at: float
    sell_at: float
    order: dict[str, Any]
    cycle: dict[str, Any]


class Floor:
    def __init__(self, urls: dict[str, str], database: dict[str, Any]) -> None:
        keys = (urls["key_id"], urls["secret_key"])
        self._urls, self._keys = urls, keys
        self._trading = TradingClient(*keys, raw_data=True, url_override=urls["trading"])
        self._data = CryptoHistoricalDataClient(*keys, raw_data=True, url_override=urls["data"])
        for client in (self._trading, self._data):
            client._session.trust_env = False
        self._connection: Any = mysql.connector.connect(
            unix_socket=database["socket"],
            user=database["user"],
            password=database["password"],
            database=database["name"],
            charset="utf8mb4",
            collation="utf8mb4_general_ci",
            autocommit=True,
        )
        self._cursor: Any = self._connection.cursor()
        for statement in SESSION:
            self._cursor.execute(statement)
        self._pairs = {pair.symbol: pair for pair in self._read_pairs()}

    def _read_pairs(self) -> list[Pair]:
        self._cursor.execute(f"SELECT {_ASSET} FROM dca_assets")
        assets = {row[0]: row[1] for row in self._cursor.fetchall()}
        self._cursor.execute(f"SELECT {_ORDER} FROM dca_orders")
        orders = {row[2]: dict(zip(columns(Order), row, strict=True)) for row in self._cursor.fetchall()}
        self._cursor.execute(f"SELECT {_CYCLE} FROM dca_cycles")
        cycles = [dict(zip(columns(Cycle), row, strict=True)) for row in self._cursor.fetchall()]
        return [_pair(assets[cycle["asset_id"]], cycle, orders[cycle["id"]]) for cycle in cycles]

    async def run(self) -> None:
        """Listen and trade until killed."""
        headers = {"Content-Type": "application/msgpack"}
        async with connect(
            self._urls["data_stream"], additional_headers=headers, compression=None, proxy=None
        ) as stream:
            await stream.recv()
            await stream.send(
                msgpack.packb({"action": "auth", "key": self._keys[0], "secret": self._keys[1]})
            )
            await stream.recv()
            await stream.send(msgpack.packb({"action": "subscribe", "quotes": list(self._pairs)}))
            async for frame in stream:
                assert isinstance(frame, bytes)
                for message in msgpack.unpackb(frame, timestamp=3):
                    if message["T"] == "q":
                        self._take(message)

    def _take(self, quote: dict[str, Any]) -> None:
        pair = self._pairs[quote["S"]]
        if quote["bp"] >= pair.sell_at:
            self._sell(pair)
        elif quote["ap"] <= pair.buy_at:
            self._buy(pair, quote["ap"])

    def _buy(self, pair: Pair, ask: float) -> None:
        price = Decimal(str(ask))
        qty = (AMOUNT / price).quantize(QTY_INCREMENT)
        bought = {"purpose": "safety", "side": "buy", "order_type": "limit", "qty": qty, "limit_price": price}
        self._claim(pair, bought, "buying")
        body = _body(pair, bought) | {"limit_price": str(price)}
        answer: Any = self._trading.post("/orders", body)
        self._tidy_buy(pair, answer["id"], ask)

    def _sell(self, pair: Pair) -> None:
        name = pair.symbol.replace("/", "")
        self._data.get("/crypto/us/latest/quotes", {"symbols": pair.symbol})
        position: Any = self._trading.get(f"/positions/{name}")
        sold: dict[str, Any] = {"purpose": "take_profit", "side": "sell", "order_type": "market", "level": 0}
        sold |= {"qty": position["qty_available"], "limit_price": None}
        self._claim(pair, sold, "selling")
        self._trading.post("/orders", _body(pair, sold))
        self._tidy_sale(pair)

    def _claim(self, pair: Pair, what: dict[str, Any], status: str) -> None:
        run, fetch = self._cursor.execute, self._cursor.fetchall
        now = datetime.now(UTC).replace(tzinfo=None)
        pair.order |= {**what, "created_at": now, "last_sent_at": now}
        pair.order["client_order_id"] = f"floor-{pair.cycle_id}-{pair.order['seq']}-{now:%H%M%S%f}"
        run(BEGIN)
        run(CONTROL)
        fetch()
        run(LIVE_CYCLE, (pair.asset_id,))
        fetch()
        run(THE_ASSET, (pair.asset_id,))
        fetch()
        run(ORDERS, (*[pair.cycle_id] * 3, None, pair.cycle_id))
        fetch()
        run(PLACED, (pair.asset_id, now - timedelta(minutes=1), now - timedelta(hours=1), now))
        fetch()
        run(INSERT, tuple(pair.order[name] for name in _NEW))
        order_id = self._cursor.lastrowid
        run(ATTEMPT, (order_id, 1, now))
        run(WRITTEN, (order_id,))
        fetch()
        pair.cycle["status"] = status
        run(UPDATE, (*(pair.cycle[name] for name in _CHANGED), pair.cycle_id, pair.cycle["version"]))
        run(COMMIT)

    # ---- after the sample --------------------------------------------------------------------------

    def _tidy_buy(self, pair: Pair, exchange_order_id: str, price: float) -> None:
        """As if it had been filled: the next level can be reached."""
        run = self._cursor.execute
        run(
            "UPDATE dca_orders SET state = 'done', exchange_order_id = %s, exchange_status = 'filled',"
            " filled_qty = qty, filled_avg_price = limit_price, closed_at = created_at"
            " WHERE client_order_id = %s",
            (exchange_order_id, pair.order["client_order_id"]),
        )
        self._cycle_watches(pair)
        pair.order["seq"] += 1
        pair.order["level"] += 1
        pair.buy_at = price * _STEP

    def _tidy_sale(self, pair: Pair) -> None:
        """As if it had been filled, and a base order as well: it is taken back."""
        run, client_order_id = self._cursor.execute, pair.order["client_order_id"]
        run(
            "DELETE dca_order_attempts FROM dca_order_attempts JOIN dca_orders ON order_id = id"
            " WHERE client_order_id = %s",
            (client_order_id,),
        )
        run("DELETE FROM dca_orders WHERE client_order_id = %s", (client_order_id,))
        self._cycle_watches(pair)

    def _cycle_watches(self, pair: Pair) -> None:
        self._cursor.execute("UPDATE dca_cycles SET status = 'watching' WHERE id = %s", (pair.cycle_id,))
        pair.cycle["version"] += 1


def _pair(symbol: str, cycle: dict[str, Any], base: dict[str, Any]) -> Pair:
    price = float(base["filled_avg_price"])
    nothing_yet: dict[str, Any] = {
        "state": "sent",
        "exchange_order_id": None,
        "exchange_status": None,
        "closed_at": None,
    }
    nothing_yet |= {"filled_qty": 0, "filled_value": 0, "filled_avg_price": None, "fee_qty": 0}
    order = {**base, **nothing_yet, "fee_source": "assumed", "min_order_size": MIN_ORDER_SIZE}
    return Pair(
        symbol=symbol,
        asset_id=cycle["asset_id"],
        cycle_id=cycle["id"],
        qty=base["qty"],
        buy_at=price * _STEP,
        sell_at=price * _PROFIT,
        order={**order, "seq": 2, "level": 1, "version": 0},
        cycle=cycle,
    )


def _body(pair: Pair, what: dict[str, Any]) -> dict[str, str]:
    return {
        "symbol": pair.symbol,
        "side": what["side"],
        "type": what["order_type"],
        "time_in_force": "gtc",
        "qty": str(what["qty"]),
        "client_order_id": pair.order["client_order_id"],
    }


if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    asyncio.run(Floor(told["urls"], told["database"]).run())
