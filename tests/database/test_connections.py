"""Few database connections: who has one, who waits, and who goes first."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import mysql.connector
import pytest

from dca.core.errors import DatabaseUnavailable
from dca.core.model import Side
from dca.database import connection_budget
from dca.database.connections import Connections, opened
from dca.database.snapshot_queries import Looks
from dca.database.store import Store
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import DatabaseSettings
from dca.trading.trader import Trader
from tests.conftest import Server
from tests.counting import Journal, RecordingConnections
from tests.processes import ROW, BotProcess, ExchangeProcess, eventually
from tests.rig import LIMITS, Rig

SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD", "LINK/USD", "DOGE/USD", "AVAX/USD")
Limited = Callable[[int], DatabaseSettings]


@pytest.fixture
def limited(server: Server, database: DatabaseSettings) -> Iterator[Limited]:
    """Makes a user of this database who may have so many connections."""
    root, made = Server(replace(server.settings, user="root", password="")), list[str]()
    try:
        root.run("SELECT 1")
    except mysql.connector.Error as error:
        pytest.skip(f"takes a server whose root has no password: {error}")

    def make(most: int) -> DatabaseSettings:
        user = f"limited_{most}"
        for host in ("localhost", "127.0.0.1"):
            made.append(f"'{user}'@'{host}'")
            root.run(
                f"CREATE USER {made[-1]} IDENTIFIED BY 'pw-of-the-limited' WITH MAX_USER_CONNECTIONS {most}",
                f"GRANT ALL ON {database.name}.* TO {made[-1]}",
            )
        return replace(database, user=user, password="pw-of-the-limited")

    yield make
    for account in made:
        root.run(f"DROP USER {account}")


def number(store: Store) -> int:
    """The server's number of the connection that a transaction has."""
    return store.transaction(lambda tx: int(tx._rows("SELECT CONNECTION_ID() AS id")[0]["id"]))


# ---- the budget ----


@pytest.mark.parametrize(
    ("limit", "share"), [(1, 1), (2, 1), (3, 1), (6, 3), (10, 5), (21, 16), (22, 17), (151, 17), (10_000, 17)]
)
def test_main_app_leaves_the_caretakers_theirs(limit: int, share: int) -> None:
    assert connection_budget.share(limit, workers=16) == share
    assert share == 1 or limit - share >= min(connection_budget.OTHERS, limit // 2)


def test_what_is_short_is_told() -> None:
    assert connection_budget.shortage(12, assets=6, workers=16) is None
    assert connection_budget.shortage(7, assets=6, workers=1) is None
    told = connection_budget.shortage(3, assets=6, workers=16)
    assert told is not None and "grants 3 connections at a time, 12 would be used" in told


def test_the_limit_is_the_smallest_of_the_servers_and_the_users(limited: Limited, store: Store) -> None:
    general = store.transaction(Looks.server)
    assert general.connection_limit == general.connections > 10
    with Store(limited(3)) as few:
        assert few.transaction(Looks.server).connection_limit == 3


# ---- waiting ----


def test_sales_go_first(database: DatabaseSettings) -> None:
    connections = Connections(database)
    ordinary, first = Store(database, connections), Store(database, connections, goes_first=True)
    served: list[str] = []

    def serve(store: Store, name: str) -> None:
        store.transaction(lambda _: served.append(name))

    link = connections.take()
    with ThreadPoolExecutor(4) as threads:
        for waiting, (store, name) in enumerate(
            [(ordinary, "a look"), (ordinary, "a buy"), (first, "a sale"), (first, "another sale")], 1
        ):
            threads.submit(serve, store, name)
            eventually(lambda waiting=waiting: len(connections._queue) == waiting)  # type: ignore[misc]
        connections.give_back(link)
    assert served == ["a sale", "another sale", "a look", "a buy"]
    connections.close()


def test_the_trader_claims_a_sale_on_the_way_that_goes_first(database: DatabaseSettings) -> None:
    rig, journal = Rig(database), Journal()
    sales = Store(database, RecordingConnections(database, journal), goes_first=True)
    rig.trader = Trader(rig.store, rig.exchange, rig.desk, rig.clock, Troubles(), LIMITS, sales)
    rig.bought("100")
    assert journal.commits() == 0
    rig.quote("103")
    assert rig.orders()[-1].side is Side.SELL
    assert journal.commits() == 1
    sales.close()
    rig.close()


def test_one_that_waited_in_vain_is_told_and_leaves_no_trace(database: DatabaseSettings) -> None:
    connections = Connections(database, wait_seconds=0.1)
    link = connections.take()
    with Store(database, connections) as store:
        with pytest.raises(DatabaseUnavailable, match="none of 1 connections was free"):
            number(store)
        connections.give_back(link)
        assert number(store) > 0


def test_a_process_makes_do_with_what_the_server_grants(limited: Limited) -> None:
    """It grants fewer than it said: somebody else has some."""
    database = limited(3)
    connections = Connections(database)
    connections.allow(17)
    with closing(opened(database)), ThreadPoolExecutor(4) as threads:
        links = [connections.take(), connections.take()]
        stores = [Store(database, connections) for _ in range(4)]
        answers = [threads.submit(number, store) for store in stores]
        eventually(lambda: len(connections._queue) == 4)
        assert connections._places == 2
        connections.give_back(links[0])
        assert {answer.result(30) for answer in answers} == {links[0].connection.connection_id}
    connections._more_from = 0.0
    connections.give_back(links[1])
    connections.drop(connections.take())
    assert connections._places == 17, "after a while it asks for more again"
    connections.close()


def test_a_caretaker_waits_until_somebody_leaves(limited: Limited, server: Server) -> None:
    database = limited(1)

    def refused() -> int:
        return int(server.run("SHOW GLOBAL STATUS LIKE 'Aborted_connects'")[0][1])

    other, before = opened(database), refused()
    with Store(database) as store, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(number, store)
        eventually(lambda: refused() > before + 1)
        other.close()
        assert answer.result(30) > 0


# ---- which connection ----


def test_the_connection_used_last_is_used_next_unless_it_rested_too_long(store: Store) -> None:
    connections = store._connections
    first = number(store)
    assert number(store) == first
    link = connections.take()
    connections.give_back(link)
    link.used_at -= 51
    assert number(store) != first


def test_after_a_loss_those_that_rest_are_not_tried_one_by_one(
    database: DatabaseSettings, server: Server
) -> None:
    """A server that restarts ends all connections, and a transaction has two tries."""
    connections = Connections(database)
    connections.allow(4)
    links = [connections.take() for _ in range(4)]
    for link in links:
        server.run(f"KILL {link.connection.connection_id}")
        connections.give_back(link)
    with Store(database, connections) as store:
        assert number(store) > 0


# ---- the whole ----


def test_F56_six_assets_are_sold_over_three_connections(
    tmp_path: Path, limited: Limited, store: Store
) -> None:
    few = limited(3)
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    bot = BotProcess(tmp_path, exchange.settings, few)
    try:
        store.run_script("".join(ROW.format(symbol=symbol, base=20) for symbol in SYMBOLS))
        bot.start()

        def done(side: Side) -> bool:
            orders = store.transaction(lambda tx: tx.orders_of_cycles(list(range(1, 7))))
            return sum(each.side is side and each.state == "done" for each in orders) == len(SYMBOLS)

        eventually(lambda: done(Side.BUY), seconds=60)
        for symbol in SYMBOLS:
            exchange.post("/market", symbol=symbol, change_percent=4)
        eventually(lambda: done(Side.SELL), seconds=60)
        assert bot.says("few database connections")
        assert not bot.says("DatabaseUnavailable")
        done_well = bot.run("cooldown_manager.py")
        assert done_well.returncode == 0, done_well.stdout
    finally:
        bot.stop()
        exchange.stop()
