"""./bot adopt and accept, case by case: what is refused, what is asked, and what is written down."""

import argparse
from pathlib import Path

import pytest

from dca.core.model import CycleStatus
from dca.operator.__main__ import COMMANDS
from tests.caring import check, edit, take_away
from tests.operator.test_holding import audit, bot
from tests.rig import Rig


def options_of(command: str, line: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    COMMANDS[command].add_arguments(parser)
    return parser.parse_args(line.split())


def test_adopting_has_a_price_and_no_step_unless_said() -> None:
    given = options_of("adopt", "BTC/USD --price 100")
    assert (given.asset, given.price, given.level, given.qty, given.yes) == ("BTC/USD", 100, 0, None, False)
    with pytest.raises(SystemExit):
        options_of("adopt", "BTC/USD")


@pytest.mark.parametrize(("level", "taken"), [(-1, False), (0, True), (3, True), (4, False)])
def test_a_step_is_one_of_the_assets(rig: Rig, tmp_path: Path, level: int, taken: bool) -> None:
    """Three safety orders."""
    rig.deposit("0.1")
    code, said = bot(rig, tmp_path, f"adopt BTC/USD --price 100 --level {level} --yes")
    assert (code == 0) is taken
    assert rig.cycle().safety_orders == (level if taken else 0)
    assert ("the asset has safety orders 0 to 3" in said) is not taken


def test_the_first_reason_against_it_is_said(rig: Rig, tmp_path: Path) -> None:
    code, said = bot(rig, tmp_path, "adopt BTC/USD --price 100 --level 9 --yes")
    assert code == 1 and "Not adopted" in said and "safety orders 0 to 3" not in said


def test_nothing_is_adopted_without_a_yes(rig: Rig, tmp_path: Path) -> None:
    rig.deposit("0.1")
    code, said = bot(rig, tmp_path, "adopt BTC/USD --price 100")
    assert code == 1 and "This adds 0.1 to the cycle" in said
    assert rig.cycle().quantity == 0 and audit(rig) == []


def left_behind(rig: Rig, times: int) -> None:
    """Cycles that bought a little more after each had ended."""
    for _ in range(times):
        number = rig.cycle().id
        rig.bought()
        rig.look()
        rig.quote("98.9")
        late = rig.last_id()
        rig.quote("103")
        rig.trader.books.book(rig.exchange.end(late))
        rig.look()
        rig.quote("103")
        sale = rig.orders(number)[-1].client_order_id
        rig.trader.books.book(rig.exchange.fill(sale, price="103"))
        rig.trader.books.book(rig.exchange.fill(late, qty="0.05", price="98.9"))
        edit(rig, "UPDATE dca_assets SET lock_reason = NULL")
        edit(rig, "UPDATE dca_cycles SET status = 'watching' WHERE live_asset_id IS NOT NULL")
        rig.look()


def test_coins_of_several_ended_cycles_leave_each_of_them(rig: Rig, tmp_path: Path) -> None:
    left_behind(rig, 2)
    before = [rig.store.transaction(lambda tx, n=n: tx.cycle(n)).quantity for n in (1, 2)]  # type: ignore[misc]
    assert all(quantity > 0 for quantity in before)
    qty = before[0] + before[1] / 2
    code, said = bot(rig, tmp_path, f"adopt BTC/USD --price 99 --qty {qty} --yes")
    assert code == 0, said
    after = [rig.store.transaction(lambda tx, n=n: tx.cycle(n)).quantity for n in (1, 2)]  # type: ignore[misc]
    assert sum(after) == sum(before) - qty and min(after) == 0
    assert rig.cycle().quantity == qty
    [written] = audit(rig)
    assert "adopted at 99" in written and "cycle 1: " in written and "cycle 2: " in written


# ---- accept -----------------------------------------------------------------------------------------------


def test_there_may_be_nothing_to_accept(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    code, _ = bot(rig, tmp_path, "accept BTC/USD --yes")
    assert (code, audit(rig)) == (1, [])


def test_accepting_says_the_lock_asks_and_writes_down_what_it_ended(rig: Rig, tmp_path: Path) -> None:
    rig.bought()
    take_away(rig, "0.05")
    rig.clock.pass_seconds(121)
    check(rig)
    reason = rig.asset().lock_reason
    assert reason is not None
    code, said = bot(rig, tmp_path, "accept BTC/USD")
    assert code == 1 and "It is locked" in said
    assert (rig.asset().lock_reason, audit(rig)) == (reason, [])
    code, said = bot(rig, tmp_path, "accept BTC/USD --yes")
    assert code == 0 and "Accepted." in said
    [written] = audit(rig)
    assert rig.asset().lock_reason is None and "unlocked (" in written
    assert rig.cycle().status is CycleStatus.WATCHING
