"""What a deliberate fault of the watchdog had survived (./bot bite): the order of its two duties."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dca.core.model import Mode
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from dca.watchdog.process import is_locked
from tests.processes import ROOT, ROW, BotProcess, ExchangeProcess, eventually
from tests.watched import Installation


@contextmanager
def mail_server(lock: Path) -> Iterator[tuple[int, list[bool]]]:
    """Takes connections and closes them; remembers whether main_app held its lock each time."""
    seen: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                seen.append(is_locked(lock))
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1]), seen
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def test_F66_main_app_is_started_before_any_mail_is_tried(
    tmp_path: Path, database: DatabaseSettings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    store.transaction(lambda tx: tx.set_mode(Mode.EXITS_ONLY, "worth a mail"))
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    with mail_server(tmp_path / "state" / "main_app.lock") as (port, seen):
        mail = {
            "ALERT_EMAIL_SENDER": "bot@example.com",
            "ALERT_EMAIL_RECEIVER": "you@example.com",
            "ALERT_EMAIL_SMTP_SERVER": "localhost",
            "ALERT_EMAIL_SMTP_PORT": str(port),
        }
        here = Installation(BotProcess(tmp_path, exchange.settings, database, **mail), monkeypatch)
        try:
            done = subprocess.run(
                [sys.executable, ROOT / "watchdog.py"],
                capture_output=True,
                timeout=60,
                env=here.bot.environment(),
            )
            assert done.returncode == 0, done.stdout
            assert eventually(lambda: seen, 5)
            assert set(seen) == {True}, "nobody waits for a mail server while main_app is down"
        finally:
            here.close()
            here.bot.stop()
            exchange.stop()
