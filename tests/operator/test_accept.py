"""What the operator accepts of one asset is accepted of that one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dca.caretakers.own_ledger import unaccepted
from dca.core.invariants import Violation
from tests import checking
from tests.checking import Bench, filled
from tests.rig import RULES, SYMBOL, Rig

bench = checking.bench  # a fixture: an import would clash with arguments


def accept(rig: Rig, symbol: str) -> None:
    at = rig.clock.now() + timedelta(seconds=1)
    rig.store.transaction(lambda tx: tx.insert_action("me", f"accept {symbol}", symbol, "known", at))


def forgotten(rig: Rig, number: int, symbol: str) -> None:
    """A filled order with our id that the ledger does not know, as after an older backup."""
    known = rig.exchange.orders[rig.last_id()]
    name = f"{rig.desk.prefix}9-{number}-b"
    lost = replace(known, client_order_id=name, exchange_order_id=f"lost-{number}", symbol=symbol)
    rig.exchange.orders[name] = lost


@pytest.mark.parametrize(("accepted", "still_locked"), [(SYMBOL, [False, True]), ("ETH/USD", [True, False])])
def test_what_is_accepted_of_one_asset_keeps_the_other_locked(
    bench: Bench, accepted: str, still_locked: list[bool]
) -> None:
    rig = bench.rig
    rig.exchange.rules["ETH/USD"] = replace(RULES, symbol="ETH/USD")
    filled(rig, "100")
    forgotten(rig, 1, SYMBOL)
    forgotten(rig, 2, "ETH/USD")
    bench.check()
    assert [reason is not None for reason in bench.reasons()] == [True, True]
    accept(rig, accepted)
    bench.check()
    assert [reason is not None for reason in bench.reasons()] == still_locked


def test_a_violation_is_accepted_by_a_word_for_its_own_asset_that_was_given_later(bench: Bench) -> None:
    rig, at = bench.rig, bench.rig.clock.now()
    btc, eth = rig.store.transaction(lambda tx: tx.assets())
    seen = [Violation(number="I05", about="order 1", words="40 too many", at=at)]
    accept(rig, SYMBOL)

    def left() -> list[list[Violation]]:
        return rig.store.transaction(lambda tx: [unaccepted(tx, asset, seen) for asset in (btc, eth)])

    assert left() == [[], seen]
    seen = [replace(seen[0], at=at + timedelta(seconds=2))]
    assert left() == [seen, seen], "it came after the word"
