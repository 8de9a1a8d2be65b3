"""./bot sell, adopt and accept on a real database and a fake exchange."""

import argparse
import io
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from dca.core.errors import StartRefused
from dca.core.model import CycleStatus, LockKind, Purpose
from dca.database.store import Store
from dca.exchange.rest_client import Broker
from dca.operator.__main__ import COMMANDS
from dca.operator.session import Tools
from dca.runtime.settings import Settings
from tests.caring import check, edit, take_away
from tests.good_settings import parsed
from tests.rig import Rig


class RigTools(Tools):
    """The rig's database, exchange and clock behind a command; what it says is kept."""

    def __init__(self, command: str, rig: Rig, folder: Path) -> None:
        super().__init__(command)
        self._rig, self._folder = rig, folder
        self.clock = rig.clock
        self.console = Console(width=100, record=True, file=io.StringIO())

    @cached_property
    def settings(self) -> Settings:
        return parsed(STATE_DIR=str(self._folder))

    @cached_property
    def store(self) -> Store:
        return self._rig.store

    @cached_property
    def broker(self) -> Broker:
        return cast(Broker, self._rig.exchange)


def bot(rig: Rig, folder: Path, line: str) -> tuple[int, str]:
    """Run a command as typed; returns its exit code and what it said."""
    name, *rest = line.split()
    rig.clock.pass_seconds(121)  # what was filled is shown by the position
    tools = RigTools(line, rig, folder)
    parser = argparse.ArgumentParser()
    COMMANDS[name].add_arguments(parser)
    code = COMMANDS[name].run(parser.parse_args(rest), tools)
    return code, tools.console.export_text()


def audit(rig: Rig) -> list[str]:
    return [each.effect for each in rig.store.transaction(lambda tx: tx.actions())]


def test_sell_shows_first_and_does_nothing_without_a_yes(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    code, said = bot(rig, tmp_path, "sell BTC/USD")
    assert code == 1
    assert "holds 0.1995, bought for $20.00 (average 100.00)" in said
    assert "At the bid of 100.00 the proceeds are $19.95, net -0.10." in said
    assert rig.cycle().exit_requested_at is None
    assert audit(rig) == []


def test_sell_is_carried_out_and_written_down(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    assert bot(rig, tmp_path, "sell btc/usd --yes")[0] == 0
    assert audit(rig) == ["cycle 1: sell 0.1995 at the next quote"]
    rig.look()
    rig.quote("99.5")
    assert rig.orders()[-1].purpose is Purpose.EXIT


def test_a_wish_to_sell_can_be_taken_back(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    assert bot(rig, tmp_path, "sell BTC/USD --withdraw")[0] == 1
    bot(rig, tmp_path, "sell BTC/USD --yes")
    assert bot(rig, tmp_path, "sell BTC/USD --withdraw")[0] == 0
    rig.look()
    rig.quote("99.5")
    assert len(rig.orders()) == 1


def test_there_may_be_nothing_to_sell_or_no_such_asset(rig: Rig, tmp_path: Path) -> None:
    code, said = bot(rig, tmp_path, "sell BTC/USD --yes")
    assert (code, rig.cycle().exit_requested_at) == (1, None)
    assert "nothing to sell" in said
    rig.bought()
    edit(rig, "UPDATE dca_orders SET min_order_size = 1")
    assert bot(rig, tmp_path, "sell BTC/USD --yes")[0] == 1
    with pytest.raises(StartRefused, match=r"add DOGE/USD adds it\); there are: BTC/USD"):
        bot(rig, tmp_path, "sell doge/usd")


def test_adopted_coins_are_sold_with_the_rest(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    rig.deposit("0.3")
    code, said = bot(rig, tmp_path, "adopt BTC/USD --price 90 --level 2 --yes")
    assert code == 0
    assert "holds    0.1995 -> 0.4995" in said
    assert "next safety order   at an ask of 89.1000\n" in said
    cycle = rig.cycle()
    assert (cycle.quantity, cycle.safety_orders) == (Decimal("0.4995"), 2)
    assert cycle.average_purchase_price == Decimal("94")
    assert cycle.last_order_fill_price == Decimal("90")
    assert audit(rig) == ["cycle 1: 0.3 adopted at 90, level 2"]
    assert check(rig).changed == 0
    rig.look()
    rig.quote("95.9")
    assert rig.orders()[-1].qty == Decimal("0.4995")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="95.9"))
    assert rig.cycle().status is CycleStatus.COOLDOWN


def test_adopting_warns_of_a_safety_order_that_is_due_at_once(rig: Rig, tmp_path: Path) -> None:
    rig.deposit("0.3")
    _, said = bot(rig, tmp_path, "adopt BTC/USD --price 110")
    assert "WARNING: the bid is 100.00, so it buys immediately" in said
    _, said = bot(rig, tmp_path, "adopt BTC/USD --price 110 --level 3")
    assert "none left" in said


def test_adopting_into_a_cooldown_ends_it(rig: Rig, tmp_path: Path) -> None:
    edit(rig, "UPDATE dca_cycles SET status = 'cooldown'")
    rig.deposit("1")
    assert bot(rig, tmp_path, "adopt BTC/USD --price 100 --qty 0.4 --yes")[0] == 0
    assert (rig.cycle().status, rig.cycle().quantity) == (CycleStatus.WATCHING, Decimal("0.4"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--qty 0.4", "0.4 are asked for, and only 0.3 on the account are in no cycle"),
        ("--qty 0.001", "below the smallest sell of 0.01"),
        ("--level 4", "safety orders 0 to 3"),
    ],
)
def test_what_cannot_be_adopted(rig: Rig, tmp_path: Path, options: str, why: str) -> None:
    rig.bought()
    rig.deposit("0.3")
    code, said = bot(rig, tmp_path, f"adopt BTC/USD --price 90 {options} --yes")
    assert code == 1
    assert why in said
    assert len(rig.orders()) == 1


def test_nothing_is_adopted_or_accepted_while_an_order_is_in_flight(rig: Rig, tmp_path: Path) -> None:
    rig.quote("100")
    rig.deposit("1")
    for line in ("adopt BTC/USD --price 90 --yes", "accept BTC/USD --yes"):
        code, said = bot(rig, tmp_path, line)
        assert code == 1
        assert "has an order in flight" in said


def test_F57_accepting_a_part_sold_elsewhere_ends_the_lock(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    take_away(rig, "0.1")
    check(rig)
    assert rig.asset().lock_kind is LockKind.BREAK
    code, said = bot(rig, tmp_path, "accept BTC/USD --price 101 --yes")
    assert code == 0
    assert "It would book 0.1 of cycle 1 as sold outside at 101." in said
    cycle = rig.cycle()
    assert (cycle.id, cycle.quantity, cycle.sold_proceeds) == (1, Decimal("0.0995"), Decimal("10.1"))
    assert rig.asset().lock_reason is None
    assert check(rig).changed == 0
    rig.look()
    rig.quote("103")
    assert rig.orders()[-1].qty == Decimal("0.0995")


def test_accepting_a_sale_of_all_completes_the_cycle(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    take_away(rig, "0.1995")
    assert bot(rig, tmp_path, "accept BTC/USD --price 110 --yes")[0] == 0
    ended = rig.store.transaction(lambda tx: tx.cycle(1))
    assert ended.status is CycleStatus.COMPLETE
    assert ended.net_profit == Decimal("1.945")
    assert rig.cycle().status is CycleStatus.COOLDOWN
    assert check(rig).changed == 0


def test_F73_coins_that_came_after_the_end_are_given_to_the_operator(rig: Rig, tmp_path: Path) -> None:
    rig.quote("100")
    name = rig.last_id()
    rig.exchange.fill(name, qty="0.1")
    rig.trader.books.book(rig.exchange.end(name))
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    assert rig.cycle().id == 2
    rig.trader.books.book(rig.exchange.fill(name))  # the first order goes on after its end
    assert "had ended" in (rig.asset().lock_reason or "")
    check(rig)
    assert rig.asset().lock_reason is not None
    assert bot(rig, tmp_path, "accept BTC/USD --price 100 --yes")[0] == 0
    check(rig)
    assert rig.asset().lock_reason is None
    assert rig.cycle().id == 2


def test_what_cannot_be_accepted(rig: Rig, tmp_path: Path) -> None:
    assert "nothing to accept" in bot(rig, tmp_path, "accept BTC/USD --yes")[1]
    rig.store.transaction(lambda tx: tx.lock_asset(1, "died", rig.clock.now(), LockKind.CRASH))
    assert "./bot resume BTC/USD" in bot(rig, tmp_path, "accept BTC/USD --yes")[1]
    edit(rig, "UPDATE dca_assets SET lock_reason = NULL")
    edit(rig, "UPDATE dca_cycles SET quantity = 3, average_purchase_price = 1")
    assert "no order of it is known" in bot(rig, tmp_path, "accept BTC/USD --yes")[1]


def test_a_cycle_that_changed_since_it_was_shown_is_shown_again(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    take_away(rig, "0.1")

    class Slow(RigTools):
        def confirmed(self, question: str, *, yes: bool) -> bool:
            edit(rig, "UPDATE dca_cycles SET version = version + 1")
            return True

    for line in ("accept BTC/USD", "adopt BTC/USD --price 90"):
        rig.clock.pass_seconds(121)
        rig.deposit("0.3" if line.startswith("adopt") else "0")
        name, *rest = line.split()
        parser = argparse.ArgumentParser()
        COMMANDS[name].add_arguments(parser)
        with pytest.raises(StartRefused, match="again"):
            COMMANDS[name].run(parser.parse_args(rest), Slow(line, rig, tmp_path))
    assert len(rig.orders()) == 1
