"""Two races that the model found in the code: a process that stands still for longer than QUIET.

The variants stale-denial and late-resend of proof.model. Two processes: main_app, and the checker with a
trader of its own. What others do meanwhile happens inside the call that takes so long.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from dca.core import interfaces
from dca.core.interfaces import Broker, Transaction
from dca.core.model import Order, OrderState, Snapshot
from dca.database.store import Store
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import DatabaseSettings
from dca.trading.trader import Trader
from dca.trading.watchlist import Desk
from tests.fake_exchange import FakeExchange
from tests.rig import LIMITS, QUIET_SECONDS, Rig

R = TypeVar("R")

LONG = QUIET_SECONDS + 10
BETWEEN_LOOKS = QUIET_SECONDS / 4 + 1


@dataclass
class HaltingLooks:
    """The exchange as a process sees it that stands still after a look-up."""

    exchange: FakeExchange
    meanwhile: Callable[[], None] | None = None

    def order(self, client_order_id: str) -> Snapshot | None:
        found = self.exchange.order(client_order_id)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.exchange, name)


@dataclass
class HaltingCommits:
    """The database as a process sees it that stands still after it has written a second attempt down."""

    store: Store
    meanwhile: Callable[[], None]

    def transaction(self, work: Callable[[Transaction], R]) -> R:
        result = self.store.transaction(work)
        if result == 2:
            self.meanwhile()
        return result


class Two:
    """main_app and the checker on one cycle, the first buy claimed and lost on its way."""

    def __init__(self, rig: Rig, database: DatabaseSettings) -> None:
        self.rig = rig
        rig.exchange.lose_request = True
        rig.quote("100")
        rig.exchange.lose_request = False
        self.store = Store(database)
        self.sight = HaltingLooks(rig.exchange)
        control = self.store.transaction(lambda tx: tx.control())
        desk = Desk(control.install_id, control.epoch)
        self.checker = Trader(self.store, self.sight, desk, rig.clock, Troubles(), LIMITS)

    def order(self) -> Order:
        return self.rig.orders()[0]

    def main_sees(self, *, broker: Broker | None = None, store: interfaces.Store | None = None) -> None:
        """What main_app asks and writes from now on goes through these."""
        rig = self.rig
        rig.trader = Trader(
            store or rig.store, broker or rig.exchange, rig.desk, rig.clock, Troubles(), LIMITS
        )


@pytest.fixture
def two(database: DatabaseSettings) -> Iterator[Two]:
    rig = Rig(database)
    two = Two(rig, database)
    yield two
    two.store.close()
    rig.close()


def test_a_denial_counts_by_the_time_at_which_was_asked(two: Two) -> None:
    """Both asked while the POST was under way, and both stood still before they booked the 404."""
    rig, order = two.rig, two.order()

    def both_stand_still() -> None:
        rig.clock.pass_seconds(LONG)
        rig.exchange.submit(order)  # the POST lands, within its quiet period or just after

    def main_asks_too() -> None:
        two.main_sees(broker=HaltingLooks(rig.exchange, both_stand_still))
        rig.trader.settle(order)  # its denial is the first that counts
        rig.clock.pass_seconds(BETWEEN_LOOKS)

    two.sight.meanwhile = main_asks_too
    two.checker.settle(order)
    assert two.order().state is OrderState.SENT, "it is at the exchange"
    rig.look()
    rig.quote("100")
    assert "two open orders" not in rig.violations()


def test_an_order_that_is_sent_again_goes_out_at_once_or_not_at_all(two: Two) -> None:
    """main_app stands still between writing the second attempt down and sending it."""
    rig, order = two.rig, two.order()

    def the_checker_gives_it_up() -> None:
        rig.clock.pass_seconds(LONG)
        two.checker.settle(order)
        rig.clock.pass_seconds(BETWEEN_LOOKS)
        two.checker.settle(order)

    two.main_sees(store=HaltingCommits(rig.store, the_checker_gives_it_up))
    rig.clock.pass_seconds(LONG)
    rig.quote("100")
    rig.trader.settle(order)
    rig.clock.pass_seconds(BETWEEN_LOOKS)
    rig.quote("100")
    rig.exchange.lose_answer = True
    rig.trader.settle(order)
    rig.exchange.lose_answer = False
    rig.look()
    rig.quote("100")
    assert "two open orders" not in rig.violations()


def test_F62_a_denial_that_a_wrong_clock_dated_into_the_future_does_not_block_for_hours(two: Two) -> None:
    """Found by the simulation: the first denial was booked while the clock was an hour ahead."""
    rig, order = two.rig, two.order()
    rig.clock.pass_seconds(3600)
    two.checker.settle(order)
    rig.clock.pass_seconds(LONG - 3600)
    for _ in range(2):
        two.checker.settle(order)
        rig.clock.pass_seconds(BETWEEN_LOOKS)
    assert two.order().state is OrderState.VOID
