"""The heart beats on while the exchange or the database does not answer: that is no reason to restart."""

import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dca.database.store import Store
from dca.runtime import heartbeat
from tests.conftest import SCHEMA, Server, private_server
from tests.processes import ROW, BotProcess, ExchangeProcess, eventually

HUNG_SECONDS = 60.0


def ages_of_the_beat(bot: BotProcess, seconds: float) -> list[float]:
    """Seconds, looked at again and again for a while."""
    ages: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        beat = heartbeat.read(bot.heartbeat)
        assert beat is not None
        ages.append((datetime.now(UTC) - beat.beat_at).total_seconds())
        time.sleep(0.2)
    return ages


@pytest.mark.slow
def test_it_beats_while_the_database_hangs_and_while_the_exchange_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    with private_server(folder) as server:
        database = Server(server.settings).create()
        with Store(database) as store:
            store.run_script(SCHEMA.read_text())
            store.run_script(ROW.format(symbol="BTC/USD", base=20))
        bot = BotProcess(tmp_path, exchange.settings, database)
        try:
            bot.start()
            eventually(bot.is_trading)
            assert server.process is not None
            server.process.send_signal(signal.SIGSTOP)
            assert max(ages_of_the_beat(bot, 75)) < HUNG_SECONDS
            server.process.send_signal(signal.SIGCONT)
            eventually(lambda: bot.says("over: refresh"), seconds=60)
            exchange.stop()
            assert max(ages_of_the_beat(bot, 20)) < HUNG_SECONDS / 2
            assert bot.process is not None and bot.process.poll() is None
        finally:
            if server.process is not None:
                server.process.send_signal(signal.SIGCONT)
            bot.stop()
            exchange.stop()
