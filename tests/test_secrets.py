"""No key, secret or password in a log, a table, a file or the process list: planted, then looked for."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from tests.processes import ROOT, ROW, BotProcess, ExchangeProcess, eventually

SCRIPTS = ("order_manager.py", "cooldown_manager.py", "consistency_checker.py", "watchdog.py")
COMMANDS = (
    "status",
    "status --json",
    "why BTC/USD",
    "doctor",
    "assets",
    "orders",
    "test-email",
    "install --print",
)
MAIL_PASSWORD = "planted-mail-password"


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    yield exchange
    exchange.stop()


@pytest.fixture
def bot(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings, store: Store
) -> Iterator[BotProcess]:
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    mail = {
        "ALERT_EMAIL_SENDER": "bot@example.com",
        "ALERT_EMAIL_RECEIVER": "you@example.com",
        "ALERT_EMAIL_SMTP_SERVER": "127.0.0.1",
        "ALERT_EMAIL_SMTP_PORT": "9",
        "ALERT_EMAIL_SMTP_USER": "bot",
        "ALERT_EMAIL_SMTP_PASSWORD": MAIL_PASSWORD,
        "HEARTBEAT_PING_URL": "http://127.0.0.1:9/planted-ping-id",
    }
    bot = BotProcess(tmp_path, exchange.settings, database, **mail)
    yield bot
    bot.stop()


def command_lines() -> str:
    """The process list, as every user of the machine sees it."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return "\n".join(found)


def tables(store: Store) -> str:
    def read_all(name: str) -> str:
        return str(store.transaction(lambda tx: tx._rows(f"SELECT * FROM {name}")))

    rows = store.transaction(lambda tx: tx._rows("SHOW TABLES"))
    return "\n".join(read_all(str(next(iter(row.values())))) for row in rows)


def test_planted_secrets_turn_up_nowhere(
    bot: BotProcess, exchange: ExchangeProcess, database: DatabaseSettings, store: Store
) -> None:
    secrets = [
        exchange.settings.key_id,
        exchange.settings.secret_key,
        database.password,
        MAIL_PASSWORD,
        "planted-ping-id",
    ]
    bot.start()
    eventually(lambda: bot.says("filled"))
    exchange.fault("get.error", count=3, code=401)
    exchange.fault("post.body", count=1, kind="garbage")
    exchange.post("/streams/close", stream="data")
    said = [done.stdout + done.stderr for done in map(bot.run, SCRIPTS)]
    processes = command_lines()
    for line in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "dca.operator", *line.split()],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            env=bot.environment(),
        )
        said.append(done.stdout + done.stderr)
        assert "Traceback" not in done.stderr, line
    places = {"the process list": processes, "the screen": "\n".join(said), "a table": tables(store)}
    for file in [*bot.folder.rglob("*.log*"), *(bot.folder / "state").rglob("*"), bot.folder / "output"]:
        if file.is_file() and file != bot.folder / "exchange.log":
            places[str(file)] = file.read_text(errors="replace")
    assert len(places) > len(SCRIPTS)
    leaks = [(place, secret) for place, text in places.items() for secret in secrets if secret in text]
    assert leaks == []
