"""main_app.py and order_manager.py as processes, against the local exchange and a real database."""

import json
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from dca.core.model import CycleStatus, Order
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from tests.processes import ROW, BotProcess, ExchangeProcess, eventually

BY_HAND = {
    "symbol": "ETH/USD",
    "side": "buy",
    "type": "limit",
    "time_in_force": "gtc",
    "qty": "0.1",
    "limit_price": "1000",
}


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    exchange.price("BTC/USD", "50000")
    exchange.price("ETH/USD", "2000")
    yield exchange
    exchange.stop()


@pytest.fixture
def store(database: DatabaseSettings) -> Iterator[Store]:
    with Store(database) as store:
        yield store


@pytest.fixture
def bot(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings, store: Store
) -> Iterator[BotProcess]:
    bot = BotProcess(tmp_path, exchange.settings, database, STALE_ORDER_MINUTES="0.02")
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    yield bot
    bot.stop()


def orders(store: Store, cycle_id: int = 1) -> list[Order]:
    return store.transaction(lambda tx: tx.orders(cycle_id))


def status(store: Store, asset_id: int = 1) -> CycleStatus | None:
    cycle = store.transaction(lambda tx: tx.live_cycle(asset_id))
    return None if cycle is None else cycle.status


def held(store: Store, asset_id: int = 1) -> Decimal:
    cycle = store.transaction(lambda tx: tx.live_cycle(asset_id))
    return Decimal(0) if cycle is None else cycle.quantity


def test_a_whole_cycle_and_the_operator_s_edits(
    bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    bot.start()
    eventually(lambda: held(store) > 0)
    exchange.price("BTC/USD", "49400")
    eventually(lambda: len(orders(store)) == 2 and not orders(store)[1].is_live)
    again = bot.run("main_app.py")
    assert again.returncode == 0
    assert "already running" in again.stdout
    exchange.price("BTC/USD", "51500")
    eventually(lambda: store.transaction(lambda tx: tx.cycle(1)).status is CycleStatus.COMPLETE)
    eventually(lambda: status(store) is not CycleStatus.COOLDOWN)
    eventually(lambda: bot.says("cooldown over"))

    store.run_script(ROW.format(symbol="ETH/USD", base=30))
    eventually(lambda: held(store, 2) > 0, seconds=5 + 3)
    store.run_script("UPDATE dca_assets SET is_enabled = FALSE WHERE id = 2;\n")
    eventually(lambda: bot.says("asset ETH/USD - changed is_enabled=True->False"), seconds=5)
    exchange.price("ETH/USD", "1900")
    store.run_script(ROW.format(symbol="LINK/USD", base=5))
    eventually(lambda: bot.says("base_order_amount is 5, below 10.50"), seconds=5)
    eventually(lambda: "below 10.50" in bot.beat().get("not_traded", {}).get("LINK/USD", ""))
    eventually(lambda: held(store) > 0)
    exchange.price("ETH/USD", "2100")
    eventually(lambda: status(store, 2) is CycleStatus.COOLDOWN or held(store, 2) == 0)
    assert len([order for order in orders(store, 3) if order.side == "buy"]) <= 1

    assert bot.signal(signal.SIGTERM) == 0
    assert bot.says("stop - - stopped")
    beat = json.loads(bot.heartbeat.read_text())
    assert {"last_quote_at", "connected"} == set(beat["quotes"])
    assert {"last_order_update_at", "connected"} == set(beat["orders"])


def test_killed_with_an_order_open_and_filled_meanwhile(
    bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    """F02, F04: kill -9, a fill while down, a new start: nothing lost, nothing doubled."""
    exchange.fault("fill.none", count=1000)
    bot.start()
    eventually(lambda: len(orders(store)) == 1 and orders(store)[0].exchange_order_id)
    assert bot.signal(signal.SIGKILL) == -signal.SIGKILL
    exchange.clear_faults()
    eventually(lambda: exchange.get("/state")["positions"].get("BTC/USD"))
    bot.start()
    eventually(lambda: held(store) > 0)
    posts = [entry for entry in exchange.journal("request") if entry["method"] == "POST"]
    assert len(posts) == 1
    assert orders(store)[0].filled_qty == Decimal(exchange.journal("execution")[-1]["cum_qty"])


def test_the_answer_lost_and_the_stream_deaf(
    bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    """F01, F11: the order is found and its fill booked by asking, within ten seconds and a little."""
    exchange.fault("post.accept_then_drop")
    exchange.fault("ws.drop", count=100)
    bot.start()
    eventually(lambda: bot.says("outcome unknown"))
    eventually(lambda: held(store) > 0, seconds=12)
    assert len(orders(store)) == 1
    posts = [entry for entry in exchange.journal("request") if entry["method"] == "POST"]
    assert len(posts) == 1


def test_a_stale_buy_is_canceled_and_priced_anew(
    bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    exchange.fault("fill.none", count=1000)
    bot.start()
    eventually(lambda: bool(orders(store)) and bool(orders(store)[0].exchange_order_id))
    exchange.price("BTC/USD", "52000")
    exchange.clear_faults()
    eventually(lambda: _canceled(bot, store))
    assert orders(store)[0].filled_qty == 0
    eventually(lambda: held(store) > 0)
    assert (orders(store)[1].limit_price or 0) > Decimal(51000)


def _canceled(bot: BotProcess, store: Store) -> bool:
    ran = bot.run("order_manager.py")
    assert ran.returncode == 0, ran.stderr
    return not orders(store)[0].is_live


def test_streams_closed_and_database_of_another_account(
    bot: BotProcess, exchange: ExchangeProcess, store: Store, database: DatabaseSettings, tmp_path: Path
) -> None:
    bot.start()
    eventually(lambda: held(store) > 0)
    for stream in ("trading", "data"):
        exchange.post("/streams/close", stream=stream, code=1012)
    eventually(lambda: bot.says("over: order stream") and bot.says("over: quote stream"))
    eventually(bot.is_trading)
    assert bot.signal(signal.SIGTERM) == 0

    (tmp_path / "other").mkdir()
    other = ExchangeProcess(tmp_path / "other.log", "--market", "still", "--seed", "7")
    try:
        stranger = BotProcess(tmp_path / "other", other.settings, database)
        stranger.start()
        eventually(lambda: stranger.says("has traded account"))
        assert stranger.beat()["waiting_for"] == "other"
        assert stranger.signal(signal.SIGTERM) == 0
    finally:
        stranger.stop()
        other.stop()


def test_no_settings_is_one_message_and_exit_code_2(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings
) -> None:
    bot = BotProcess(tmp_path, exchange.settings, database, APCA_API_KEY_ID="", DB_PORT="many")
    refused = bot.run("main_app.py")
    assert refused.returncode == 2
    assert "APCA_API_KEY_ID is missing" in refused.stderr
    assert "DB_PORT" in refused.stderr


def test_bad_quotes_decide_nothing(bot: BotProcess, exchange: ExchangeProcess, store: Store) -> None:
    """F26: told once, and never traded on."""
    exchange.price("BTC/USD", "50000")
    bot.start()
    eventually(lambda: held(store) > 0)
    for kind in ("zero", "nan", "negative", "crossed", "spike", "stale"):
        exchange.fault("md.bad_quote", count=2, kind=kind, symbol="BTC/USD")
        eventually(lambda: not exchange.get("/state")["faults"])
    exchange.price("BTC/USD", "49400")
    eventually(lambda: len(orders(store)) == 2)
    assert orders(store)[1].quote_price < 49450, "the first good quote decided"


@pytest.mark.slow
def test_twenty_quiet_assets_print_nothing(bot: BotProcess, exchange: ExchangeProcess, store: Store) -> None:
    symbols = [symbol for symbol in exchange.get("/state")["quotes"] if symbol != "BTC/USD"][:19]
    for symbol in symbols:
        store.run_script(ROW.format(symbol=symbol, base=20))
    bot.start()
    eventually(lambda: all(held(store, asset_id) > 0 for asset_id in range(1, 21)), seconds=30)
    eventually(lambda: not store.transaction(lambda tx: tx.open_orders()))
    lines, beat = len(bot.lines()), bot.beat()["beat_at"]
    later = datetime.fromisoformat(beat) + timedelta(seconds=8)
    eventually(lambda: datetime.fromisoformat(bot.beat()["beat_at"]) > later)
    assert bot.lines()[lines:] == []


@pytest.mark.slow
def test_a_mute_quote_stream_is_noticed_within_thirty_seconds(
    bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    bot.start()
    eventually(lambda: held(store) > 0)
    exchange.fault("md.mute")
    eventually(lambda: bot.says('quote stream why="no quotes for'), seconds=30)
    exchange.price("BTC/USD", "49000")
    exchange.clear_faults()
    eventually(lambda: len(orders(store)) == 2, seconds=60)


def test_a_foreign_order_and_foreign_coins_are_left_alone(
    bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    """F24, F48: what a person does by hand is not ours."""
    exchange.post("/positions", symbol="BTC/USD", qty="1")
    by_hand = exchange.post("/orders", **BY_HAND)["id"]
    bot.start()
    eventually(lambda: held(store) > 0)
    exchange.price("BTC/USD", "51500")
    eventually(lambda: store.transaction(lambda tx: tx.cycle(1)).status is CycleStatus.COMPLETE)
    state = exchange.get("/state")
    assert Decimal(state["positions"]["BTC/USD"]["qty"]) >= 1
    assert by_hand in [order["id"] for order in state["open_orders"]]
    assert by_hand not in [entry["order_id"] for entry in exchange.journal("request")]


def test_the_second_sigterm_leaves_at_once_and_the_next_start_settles(
    bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    """F39: the order whose answer is still on its way is found by the next start."""
    exchange.fault("post.delay", seconds=4)
    bot.start()
    eventually(lambda: [entry for entry in exchange.journal("request") if entry["method"] == "POST"])
    assert bot.process is not None
    bot.process.send_signal(signal.SIGTERM)
    eventually(lambda: bot.says("stopping"))
    assert bot.process.poll() is None, "it finishes what it has in hand"
    assert bot.signal(signal.SIGTERM) == 128 + signal.SIGTERM
    eventually(lambda: exchange.journal("execution"))
    bot.start()
    eventually(lambda: held(store) > 0)
    assert len(orders(store)) == 1


def test_late_quotes_sell_nothing_and_the_heartbeat_says_so(
    bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    bot.start()
    eventually(lambda: held(store) > 0)
    eventually(lambda: bot.beat().get("quote_lag_seconds") is not None)
    exchange.fault("md.backlog", seconds=20)
    exchange.price("BTC/USD", "51500")
    (delay,) = eventually(lambda: bot.beat()["delays"] or [])
    assert (delay["symbol"], delay["action"]) == ("BTC/USD", "sale")
    eventually(lambda: "20 s old" in (bot.beat().get("delays") or [{"why": ""}])[0]["why"])
    exchange.clear_faults()
    eventually(lambda: store.transaction(lambda tx: tx.cycle(1)).status is CycleStatus.COMPLETE)


@pytest.mark.slow
def test_after_two_minutes_it_is_an_incident_and_the_stream_was_opened_anew(
    bot: BotProcess, exchange: ExchangeProcess, store: Store
) -> None:
    bot.start()
    eventually(lambda: held(store) > 0)
    exchange.fault("md.backlog", seconds=20)
    exchange.price("BTC/USD", "51500")
    eventually(lambda: bot.says('quote stream why="its quotes come 20 s late'), seconds=40)
    eventually(lambda: [each for each in bot.beat()["delays"] if each["lasted_seconds"] > 120], seconds=150)
    bot.run("watchdog.py")
    names = [each.name for each in store.transaction(lambda tx: tx.open_incidents())]
    assert "delayed BTC/USD" in names and "quotes late" in names
    exchange.clear_faults()
    eventually(lambda: store.transaction(lambda tx: tx.cycle(1)).status is CycleStatus.COMPLETE, seconds=40)
