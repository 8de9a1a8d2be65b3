"""The exchange's engine without its server: fees, matching, money that adds up, the same seed twice."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paper_exchange.engine import Engine
from paper_exchange.market import Walk
from paper_exchange.server import Options, Server, account_of
from paper_exchange.values import Quote, Refused, coin_fee, dollar_fee

START = datetime(2026, 1, 2, tzinfo=UTC)


def test_other_keys_open_another_account() -> None:
    """An exchange that is started anew has new keys, and is not taken for the one before."""
    first, second = Server(Options(market="still")), Server(Options(market="still"))
    assert first.engine.account.id == account_of(first.keys[0]) != second.engine.account.id
    assert Engine(seed=1, now=START).account.id == Engine(seed=1, now=START).account.id


class Market:
    """An engine with a clock that moves when told to."""

    def __init__(self, seed: int = 1, partial_percent: int = 0) -> None:
        self.engine = Engine(seed=seed, now=START, partial_percent=partial_percent)
        self.walk = Walk(self.engine, seed=seed, volatility_percent=0.5)
        self.updates: list[dict[str, Any]] = []
        self.engine.on_update = self.updates.append
        self.quote("100", "100.1")

    def quote(self, bid: str, ask: str) -> None:
        quote = Quote(symbol="SOL/USD", bid=Decimal(bid), ask=Decimal(ask), at=self.engine.now)
        self.engine.set_quote(quote)

    def wait(self, seconds: float = 0.1) -> None:
        self.engine.advance(self.engine.now + timedelta(seconds=seconds))

    def order(self, side: str = "buy", **more: str) -> Any:
        body = {"symbol": "SOL/USD", "side": side, "type": "market", "time_in_force": "gtc", "qty": "1"}
        order = self.engine.submit({**body, **more})
        self.wait()
        return order

    def events(self) -> list[str]:
        return [update["event"] for update in self.updates]


@pytest.mark.parametrize(
    ("qty", "fee"),
    [("0.0002", "0.0000005"), ("0.1", "0.00025"), ("0.000000001", "0.000000001"), ("3", "0.0075")],
)
def test_coin_fees_are_rounded_up(qty: str, fee: str) -> None:
    assert coin_fee(Decimal(qty), Decimal("0.0025")) == Decimal(fee)


def test_dollar_fees_are_rounded_up_to_a_cent() -> None:
    assert dollar_fee(Decimal("20.001"), Decimal("0.0025")) == Decimal("0.06")


def test_a_marketable_limit_fills_at_the_quote_and_a_resting_one_at_its_price() -> None:
    market = Market()
    taken = market.order(type="limit", limit_price="105")
    assert (taken.status, taken.average) == ("filled", Decimal("100.1"))
    resting = market.order(type="limit", limit_price="99")
    assert resting.status == "new"
    market.quote("98", "98.1")
    assert (resting.status, resting.average) == ("filled", Decimal("99"))
    assert [e.liquidity for e in market.engine.executions] == ["taker", "maker"]


def test_a_cancellation_is_answered_before_it_happens() -> None:
    market = Market()
    order = market.order(type="limit", limit_price="90")
    market.engine.cancel(order.id)
    assert order.status == "pending_cancel"
    market.wait()
    assert order.status == "canceled"
    assert market.events() == ["pending_new", "new", "pending_cancel", "canceled"]
    with pytest.raises(Refused):
        market.engine.cancel(order.id)


def test_a_fill_may_win_against_a_cancellation() -> None:
    market = Market()
    order = market.order(type="limit", limit_price="90")
    market.engine.faults.add("fill.on_cancel", 1, {}, None)
    market.engine.cancel(order.id)
    assert order.status == "filled"


def test_a_refused_order_does_not_use_up_its_id() -> None:
    market = Market()
    with pytest.raises(Refused):
        market.order(qty="0.001", client_order_id="a")
    assert market.order(client_order_id="a").status == "filled"
    with pytest.raises(Refused, match="must be unique"):
        market.order(client_order_id="a")


def test_partial_fills_end_in_the_whole() -> None:
    market = Market(partial_percent=100)
    order = market.order(qty="5")
    for _ in range(200):
        market.wait()
    assert order.filled_qty > Decimal("4.9")
    assert "partial_fill" in market.events()


def test_fees_can_come_later_and_positions_lag() -> None:
    market = Market()
    market.engine.faults.add("fee.deferred", 1, {"seconds": 2}, None)
    market.order()
    assert market.engine.held("SOL/USD") == 1
    market.wait(3)
    assert market.engine.held("SOL/USD") == Decimal("0.9975")


def test_an_unknown_fault_is_named() -> None:
    with pytest.raises(ValueError, match="no such fault: nonsense"):
        Market().engine.faults.add("nonsense", 1, {}, None)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "limit", "cancel", "move"]),
        st.decimals("0.05", "3", places=9),
        st.decimals("80", "120", places=3),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(ACTIONS)
def test_money_and_coins_add_up(actions: list[tuple[str, Decimal, Decimal]]) -> None:
    market = Market(partial_percent=50)
    engine = market.engine
    for action, qty, price in actions:
        try:
            if action == "move":
                market.quote(str(price), str(price + Decimal("0.1")))
            elif action == "cancel":
                for order in engine.open_orders():
                    engine.cancel(order.id)
            elif action == "limit":
                market.order(type="limit", qty=str(qty), limit_price=str(price))
            else:
                market.order(action, qty=str(qty))
        except Refused:
            continue
        market.wait()
    bought = [e for e in engine.executions if e.side == "buy"]
    sold = [e for e in engine.executions if e.side == "sell"]
    coins = sum(e.qty - e.fee_qty for e in bought) - sum(e.qty for e in sold)
    cash = sum(e.qty * e.price - e.fee_usd for e in sold) - sum(e.qty * e.price for e in bought)
    assert engine.held("SOL/USD") == coins >= 0
    assert engine.account.cash == engine.start_cash + cash >= 0


def test_the_same_seed_writes_the_same_journal() -> None:
    def play() -> list[dict[str, Any]]:
        market = Market(seed=5, partial_percent=30)
        for _ in range(40):
            market.engine.advance(market.engine.now + timedelta(seconds=1))
            market.walk.tick(1.0)
            market.order()
        return market.engine.journal

    assert play() == play()
