"""Disasters made by hand, with real processes, by their number. The others are where their part is tested:
F03 F09 F23 F24 F57 in test_checker.py and test_managers.py, F12 F58 in test_races*.py, F37 F38 in
test_watchdog.py, F63 in test_jobs.py, F64 in test_wrapper.py and test_health.py."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dca.core.model import Order
from dca.database.store import Store, Transaction
from dca.exchange.rest_client import Broker
from dca.runtime.settings import DatabaseSettings
from tests.processes import BotProcess, ExchangeProcess, eventually

ROW = (
    "INSERT INTO dca_assets (asset_symbol, is_enabled, base_order_amount, safety_order_amount,"
    " max_safety_orders, safety_order_deviation, take_profit_percent, cooldown_period,"
    " buy_order_price_deviation_percent) VALUES ('{symbol}', TRUE, 20, 20, 3, 0.05, 0.1, 0, 1);\n"
)
SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CARETAKERS = ("order_manager.py", "consistency_checker.py", "cooldown_manager.py")


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    options = ("--market", "walk", "--volatility", "0.1", "--rate-limit", "0", "--partial-percent", "30")
    exchange = ExchangeProcess(tmp_path / "exchange.log", *options)
    yield exchange
    exchange.stop()


@pytest.fixture
def bot(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings, store: Store
) -> Iterator[BotProcess]:
    for symbol in SYMBOLS:
        store.run_script(ROW.format(symbol=symbol))
    bot = BotProcess(tmp_path, exchange.settings, database, STALE_ORDER_MINUTES="0.01", GONE_SECONDS="1")
    yield bot
    bot.stop()


def all_orders(store: Store) -> dict[str, Order]:
    def read(tx: Transaction) -> list[Order]:
        cycles = tx._rows("SELECT id FROM dca_cycles")
        return [order for row in cycles for order in tx.orders(row["id"])]

    return {order.client_order_id: order for order in store.transaction(read)}


def test_F13_caretakers_that_never_rest_change_nothing_of_the_trading(
    bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    bot.start()
    eventually(bot.is_trading, seconds=30)
    for _ in range(3):
        for script in CARETAKERS:
            done = bot.run(script)
            assert done.returncode == 0, done.stdout + done.stderr
    assert bot.process is not None and bot.process.poll() is None
    store.run_script("UPDATE dca_assets SET is_enabled = FALSE;\nUPDATE dca_control SET mode = 'halt';\n")

    def settled() -> bool:
        return not store.transaction(lambda tx: tx.open_orders())

    eventually(lambda: bot.run("order_manager.py") and settled(), seconds=40)
    theirs = {each.client_order_id: each for each in Broker(exchange.settings).closed_orders(LONG_AGO)}
    ours = all_orders(store)
    assert len(ours) > len(SYMBOLS)
    assert set(theirs) == set(ours)
    for name, order in ours.items():
        assert order.filled_qty == theirs[name].filled_qty, name
    assert [asset.lock_reason for asset in store.transaction(lambda tx: tx.assets())] == [None] * 3
