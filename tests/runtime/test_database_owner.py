"""Two installations on one database: the second one says whose it is, and stands down."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dca.core.model import Mode
from dca.core.operations import Owner
from dca.database.store import Store
from dca.runtime import database_owner
from dca.runtime.heartbeat import Hurdle
from dca.runtime.settings import DatabaseSettings
from dca.watchdog.process import read_memory, write_memory
from dca.watchdog.rules import Memory
from tests.builders import NOW
from tests.processes import ROW, BotProcess, ExchangeProcess, eventually

OWNER = Owner(name="pi:/dca#1", seen_at=NOW)


@pytest.mark.parametrize(
    ("us", "seconds", "is_refused"),
    [
        ("pi:/dca#1", 0, False),
        ("pi:/dca#2", 0, True),  # a machine and a folder of the same names
        ("pi2:/dca#1", 179, True),
        ("pi2:/dca#1", 180, False),
        ("pi2:/dca#1", -5, True),
        ("pi2:/dca#1", -3600, False),  # what a wrong clock wrote
    ],
)
def test_a_database_is_its_owner_s_while_that_lives(us: str, seconds: float, *, is_refused: bool) -> None:
    found = database_owner.refusal(OWNER, us, NOW + timedelta(seconds=seconds), "dca_bot_db")
    assert (found is not None) is is_refused
    assert found is None or ("pi:/dca#1" in found and us in found and "dca_bot_db" in found)


@pytest.mark.parametrize(
    ("owner", "seen_seconds_ago", "is_refused"),
    [
        ("pi:/dca#1@boot-a", 10, False),  # this very boot
        ("pi:/dca#1@boot-b", 59, True),  # seen since our boot, and not by us: a clone lives
        ("pi:/dca#1@boot-b", 61, False),  # before this machine was started anew: that was us
        ("pi:/dca#1@boot-b", 181, False),
        ("pi:/dca#1", 10, False),  # as an older version wrote it
        ("pi:/dca#2@boot-a", 10, True),
        ("pi:/dca@home#1@boot-a", 10, True),
        ("pi2:/dca#1@boot-b", 100, True),
    ],
)
def test_a_machine_that_was_cloned_is_told_by_its_boot(
    owner: str, seen_seconds_ago: float, *, is_refused: bool
) -> None:
    other = Owner(name=owner, seen_at=NOW - timedelta(seconds=seen_seconds_ago))
    found = database_owner.refusal(other, "pi:/dca#1@boot-a", NOW, "db", since_boot=60)
    assert (found is not None) is is_refused


def test_after_a_reboot_the_caretakers_keep_the_database(
    pair: tuple[BotProcess, BotProcess], store: Store
) -> None:
    first, second = pair
    first.start()
    eventually(first.is_trading)
    first.stop()
    mine = store.transaction(lambda tx: tx.owner())
    assert mine is not None
    before = "owner = CONCAT(SUBSTRING_INDEX(owner, '@', 1), '@before')"
    store.run_script(f"UPDATE dca_control SET {before}, owner_seen_at = '2020-01-01';\n")
    first.run("order_manager.py")
    now = store.transaction(lambda tx: tx.owner())
    assert now is not None and now.name == mine.name and now.seen_at >= mine.seen_at
    assert "standing down" in second.run("order_manager.py").stdout


def test_a_database_that_was_nobody_s(tmp_path: Path) -> None:
    assert database_owner.refusal(None, "me", NOW, "db") is None
    (tmp_path / "other").mkdir()
    name = database_owner.ours(tmp_path)
    assert name == database_owner.ours(tmp_path), "it keeps its mark"
    assert name != database_owner.ours(tmp_path / "other")
    assert "#-@" in database_owner.ours(tmp_path / "nowhere")


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    yield exchange
    exchange.stop()


@pytest.fixture
def pair(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings, store: Store
) -> Iterator[tuple[BotProcess, BotProcess]]:
    """Two folders with one .env between them."""
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    bots = []
    for name in ("first", "second"):
        (tmp_path / name / "state").mkdir(parents=True)
        bots.append(BotProcess(tmp_path / name, exchange.settings, database))
    yield bots[0], bots[1]
    for bot in bots:
        bot.kill_holder()


def silence(store: Store) -> None:
    """The owner's last sign of life is long ago."""
    store.run_script("UPDATE dca_control SET owner_seen_at = owner_seen_at - INTERVAL 1 HOUR;\n")


def test_the_second_one_stands_down_and_says_whose_it_is(
    pair: tuple[BotProcess, BotProcess], store: Store
) -> None:
    first, second = pair
    first.run("watchdog.py")
    eventually(first.is_trading)
    for _ in range(6):
        said = second.run("watchdog.py").stdout
        eventually(lambda: second.beat().get("waiting_for") == Hurdle.OTHER)
    log = (second.folder / "logs" / "watchdog.log").read_text()
    assert log.count("incident - - begins") == 1, said
    control, owner = store.transaction(lambda tx: (tx.control(), tx.owner()))
    assert owner is not None and owner.name in second.beat()["waiting_why"]
    assert (control.mode, control.epoch) == (Mode.RUN, 1)
    assert read_memory(second.folder / "state").deaths == ()

    for script in ("order_manager.py", "cooldown_manager.py", "consistency_checker.py"):
        done = second.run(script)
        assert done.returncode == 0 and "standing down" in done.stdout and owner.name in done.stdout
    assert store.transaction(lambda tx: tx.last_runs()).keys() == {"watchdog"}, "the first one's own"
    assert store.transaction(lambda tx: tx.open_incidents()) == []
    assert first.is_trading() and not first.says("stopping")
    assert first.run("order_manager.py").returncode == 0
    assert "order_manager" in store.transaction(lambda tx: tx.last_runs())

    first.kill_holder()
    silence(store)
    eventually(second.is_trading, 30)
    first.run("watchdog.py")
    eventually(lambda: first.beat().get("waiting_for") == Hurdle.OTHER)
    assert store.transaction(lambda tx: tx.control()).mode is Mode.RUN


def test_one_that_is_left_down_does_not_turn_off_another_s_buys(
    pair: tuple[BotProcess, BotProcess], store: Store
) -> None:
    first, second = pair
    first.start()
    eventually(first.is_trading)
    write_memory(second.folder / "state", Memory(left_down_at=NOW))
    second.run("watchdog.py")
    assert store.transaction(lambda tx: tx.control()).mode is Mode.RUN
    first.stop()


def test_caretakers_give_signs_of_life_while_main_app_is_down(
    pair: tuple[BotProcess, BotProcess], store: Store
) -> None:
    first, second = pair
    first.start()
    eventually(first.is_trading)
    first.stop()
    store.run_script("UPDATE dca_control SET owner_seen_at = owner_seen_at - INTERVAL 2 MINUTE;\n")
    old = store.transaction(lambda tx: tx.owner())
    first.run("order_manager.py")
    new = store.transaction(lambda tx: tx.owner())
    assert old is not None and new is not None and new.seen_at - old.seen_at > timedelta(minutes=1)
    second.run("order_manager.py")
    assert store.transaction(lambda tx: tx.owner()) == new, "of another's it is none"
