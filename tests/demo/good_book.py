"""A small pair of books in which everything is right, made by hand; the tests then tamper with it.

BTC/USD: cycle 1 bought twice and sold, cycle 2 began early after it and holds coins; one of its safety
orders was canceled unfilled. ETH/USD: cycle 3 had one order refused and waits.
"""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any

from demo.rows import Books

Rows = list[dict[str, Any]]
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PREFIX = "dca-abcd1234-"
RATE = Decimal("0.0025")


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Book:
    """Both books, as lists of rows that a test may change before `books()` hands them over."""

    def __init__(self) -> None:
        self.journal: Rows = []
        self.orders: Rows = []
        self.attempts: Rows = []
        self.cash = Decimal(100_000)
        self.coins = {"BTC/USD": Decimal(0), "ETH/USD": Decimal(0)}
        self.enter(0, "start", start_cash="100000", seed=1, symbols=["BTC/USD", "ETH/USD"])
        self.assets: Rows = [_asset(1, "BTC/USD", "60200"), _asset(2, "ETH/USD", None)]
        self.trade(1, 1, "base", 0, "buy", "0.0004", "60000", 10)
        self.trade(1, 2, "safety", 1, "buy", "0.0004", "59000", 20)
        self.trade(1, 3, "take_profit", 0, "sell", "0.000798", "60200", 30)
        self.trade(2, 1, "base", 0, "buy", "0.0004", "59800", 33)
        self.trade(2, 2, "safety", 1, "buy", "0.0004", "59000", 40, filled=False)
        self.refuse(3, 1, 12)
        self.cycles: Rows = [
            _cycle(
                1,
                1,
                "complete",
                quantity="0",
                average="59500",
                safety_orders=1,
                last="59000",
                bought="0.0008",
                cost="47.6",
                fee="0.000002",
                sold="0.000798",
                proceeds="48.0396",
                sell_fee="0.13",
                latest="x-1-3",
                completed=at(31),
            ),
            _cycle(
                2,
                1,
                "watching",
                quantity="0.000399",
                average="59800",
                last="59800",
                bought="0.0004",
                cost="23.92",
                fee="0.000001",
                latest="x-2-2",
                cooldown=at(31),
            ),
            _cycle(3, 2, "watching"),
        ]
        self.control: Rows = [{"id": 1, "install_id": "abcd1234", "epoch": 1}]
        self.cooldown_ends: Rows = []
        self.observations: Rows = []

    def books(self) -> Books:
        positions = {s: {"qty": f"{q:f}"} for s, q in self.coins.items() if q}
        return Books(
            journal=self.journal,
            assets=self.assets,
            cycles=self.cycles,
            orders=self.orders,
            attempts=self.attempts,
            control=self.control,
            cooldown_ends=self.cooldown_ends,
            observations=self.observations,
            state={"cash": f"{self.cash:f}", "positions": positions},
        )

    def enter(self, seconds: float, kind: str, **fields: Any) -> dict[str, Any]:
        entry = {"seq": len(self.journal) + 1, "at": at(seconds), "kind": kind, **fields}
        self.journal.append(entry)
        return entry

    def trade(
        self,
        cycle: int,
        seq: int,
        purpose: str,
        level: int,
        side: str,
        qty: str,
        price: str,
        seconds: float,
        *,
        filled: bool = True,
    ) -> None:
        """An order on both sides: filled whole at its price, or canceled unfilled."""
        row = _order(len(self.orders) + 1, cycle, seq, purpose, level, side, qty, price, seconds)
        self.orders.append(row)
        self.attempts.append(
            {"order_id": row["id"], "attempt": 1, "sent_at": at(seconds), "answer": "accepted"}
        )
        order = {
            "id": row["exchange_order_id"],
            "client_order_id": row["client_order_id"],
            "symbol": row["symbol"],
            "side": side,
            "qty": qty,
            "limit_price": row["limit_price"],
            "status": "new",
            "filled_qty": "0",
            "filled_avg_price": None,
        }
        self.request(seconds + 0.1, "POST", row["client_order_id"], order["id"])
        self.enter(seconds + 0.1, "order", order=dict(order), manual=False)
        if filled:
            self._fill(row, order, qty, price, seconds + 0.2)
        else:
            row |= {"exchange_status": "canceled", "filled_qty": "0", "filled_avg_price": None}
            row |= {"filled_value": "0", "fee_qty": "0"}
            self.request(seconds + 9, "DELETE", None, order["id"])
            self.enter(seconds + 9, "order", order=order | {"status": "canceled"}, manual=False)

    def _fill(self, row: dict[str, Any], order: dict[str, Any], qty: str, price: str, seconds: float) -> None:
        value = Decimal(qty) * Decimal(price)
        coin_fee = (Decimal(qty) * RATE).quantize(Decimal("1e-9"), ROUND_UP)
        dollar_fee = (value * RATE).quantize(Decimal("0.01"), ROUND_UP)
        buy = row["side"] == "buy"
        self.enter(
            seconds,
            "execution",
            execution_id=f"e{row['id']}",
            order_id=order["id"],
            client_order_id=order["client_order_id"],
            symbol=order["symbol"],
            side=row["side"],
            qty=qty,
            price=price,
            fee_qty=f"{coin_fee:f}" if buy else "0",
            fee_usd="0" if buy else f"{dollar_fee:f}",
            liquidity="taker",
            cum_qty=qty,
        )
        done = order | {"status": "filled", "filled_qty": qty, "filled_avg_price": price}
        self.enter(seconds, "order", order=done, manual=False)
        self.coins[order["symbol"]] += Decimal(qty) - coin_fee if buy else -Decimal(qty)
        self.cash += -value if buy else value - dollar_fee

    def request(self, seconds: float, method: str, name: str | None, order_id: object) -> dict[str, Any]:
        path = "/v2/orders" if method == "POST" else f"/v2/orders/{order_id}"
        return self.enter(
            seconds,
            "request",
            method=method,
            path=path,
            client_order_id=name,
            order_id=order_id,
            answer=200 if method == "POST" else 204,
            fault=None,
        )

    def refuse(self, cycle: int, seq: int, seconds: float) -> None:
        """An order that the exchange refused: it is in the ledger only."""
        row = _order(len(self.orders) + 1, cycle, seq, "base", 0, "buy", "0.008", "3000", seconds)
        row |= {"asset_id": 2, "symbol": "ETH/USD", "state": "rejected", "exchange_order_id": None}
        row |= {"exchange_status": None, "filled_qty": "0", "filled_avg_price": None, "filled_value": "0"}
        self.orders.append(row | {"fee_qty": "0"})
        self.attempts.append(
            {"order_id": row["id"], "attempt": 1, "sent_at": at(seconds), "answer": "reject"}
        )
        self.request(seconds + 0.1, "POST", row["client_order_id"], None)


def _asset(key: int, symbol: str, last_sell_price: str | None) -> dict[str, Any]:
    return {
        "id": key,
        "asset_symbol": symbol,
        "is_enabled": 1,
        "base_order_amount": "25",
        "safety_order_amount": "25",
        "max_safety_orders": 2,
        "safety_order_deviation": "1",
        "take_profit_percent": "1",
        "cooldown_period": 6,
        "buy_order_price_deviation_percent": "0.5",
        "last_sell_price": last_sell_price,
        "lock_reason": None,
    }


def _order(
    key: int, cycle: int, seq: int, purpose: str, level: int, side: str, qty: str, price: str, seconds: float
) -> dict[str, Any]:
    value = Decimal(qty) * Decimal(price)
    buy = side == "buy"
    tail = {"base": "b", "safety": f"s{level}", "take_profit": "tp"}[purpose]
    fee_qty = (Decimal(qty) * RATE).quantize(Decimal("1e-9"), ROUND_UP) if buy else Decimal(0)
    fee_usd = Decimal(0) if buy else (value * RATE).quantize(Decimal("0.01"), ROUND_UP)
    return {
        "id": key,
        "asset_id": 1,
        "cycle_id": cycle,
        "seq": seq,
        "purpose": purpose,
        "level": level,
        "client_order_id": f"{PREFIX}{cycle}-{seq}-{tail}",
        "symbol": "BTC/USD",
        "side": side,
        "qty": qty,
        "limit_price": price if buy else None,
        "state": "done",
        "exchange_order_id": f"x-{cycle}-{seq}",
        "exchange_status": "filled",
        "filled_qty": qty,
        "filled_avg_price": price,
        "filled_value": f"{value:f}",
        "fee_qty": f"{fee_qty:f}",
        "fee_usd": f"{fee_usd:f}",
        "fee_rate": "0.0025",
        "fee_source": "executions",
        "quote_price": price,
        "quote_age_ms": 40,
        "base_order_amount": "25",
        "safety_order_amount": "25",
        "max_safety_orders": 2,
        "take_profit_percent": "1",
        "min_order_size": "0.00002",
        "epoch": 1,
        "created_at": at(seconds),
        "closed_at": at(seconds + 0.3),
        "version": 3,
    }


def _cycle(
    key: int,
    asset: int,
    status: str,
    *,
    quantity: str = "0",
    average: str = "0",
    safety_orders: int = 0,
    last: str | None = None,
    bought: str = "0",
    cost: str = "0",
    fee: str = "0",
    sold: str = "0",
    proceeds: str = "0",
    sell_fee: str = "0",
    latest: str | None = None,
    completed: str | None = None,
    cooldown: str | None = None,
) -> dict[str, Any]:
    return {
        "id": key,
        "asset_id": asset,
        "status": status,
        "quantity": quantity,
        "average_purchase_price": average,
        "safety_orders": safety_orders,
        "latest_order_id": latest,
        "last_order_fill_price": last,
        "bought_qty": bought,
        "bought_cost": cost,
        "buy_fee_qty": fee,
        "sold_qty": sold,
        "sold_proceeds": proceeds,
        "sell_fee": sell_fee,
        "net_profit": f"{Decimal(proceeds) - Decimal(sell_fee) - Decimal(cost):f}",
        "completed_at": completed,
        "cooldown_started_at": cooldown,
        "problem": None,
        "version": 5,
    }
