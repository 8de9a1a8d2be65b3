"""Rows that turned between the look from memory and the lock: a sale is never claimed without a look at the
account, and a buy never with one."""

from dataclasses import replace

import pytest

from dca.core.model import Cycle, Purpose
from tests.builders import D, cycle
from tests.rig import SYMBOL, Rig


def believe(rig: Rig, remembered: Cycle) -> None:
    """Memory has this of the cycle, and the rows something else."""
    watch = rig.desk.watch(SYMBOL)
    assert watch is not None
    now, real = rig.clock.now(), rig.cycle()
    remembered = replace(remembered, id=real.id, version=real.version + 1)
    rig.desk.put(watch.asset, remembered, (), now)


def purposes(rig: Rig) -> list[Purpose]:
    return [order.purpose for order in rig.orders()]


@pytest.mark.parametrize("coins", ["as the ledger has them", "fewer"])
def test_what_was_to_be_bought_is_not_sold_unseen(rig: Rig, coins: str) -> None:
    rig.bought()
    if coins == "fewer":
        rig.deposit("-0.1")
    believe(rig, cycle())
    rig.quote("103")
    assert purposes(rig) == [Purpose.BASE]
    assert rig.exchange.posts == [rig.last_id()]


def test_what_was_to_be_sold_is_not_bought_instead(rig: Rig) -> None:
    rig.deposit("0.1995")
    holds = replace(
        cycle(), quantity=D("0.1995"), average_purchase_price=D(100), last_order_fill_price=D(100)
    )
    believe(rig, holds)
    rig.quote("103")
    assert purposes(rig) == [] and rig.exchange.posts == []
    rig.quote("103")
    assert purposes(rig) == [Purpose.BASE], "the next quote finds the rows as they are"
