"""The order protocol, every reachable state, with few faults; and that the checker sees what is broken.

As many faults as one likes: python -m proof.model --budget full.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path

import pytest

import proof.model
from dca.core import ledger
from dca.core.model import CLOSED_AT_EXCHANGE, OrderState
from dca.trading import bookkeeper
from proof.model import __main__ as command
from proof.model import folding, transactions
from proof.model.rules import DCA, Rules
from proof.model.search import Result, check, successors
from proof.model.state import CARETAKER, GHOST, GHOST_DONE, MAIN, SENT, Budget, Row, Snapshot, State, first
from proof.model.variants import (
    ASSUMPTIONS,
    BROKEN,
    DESIGNS,
    FAILS,
    HOLDS,
    VARIANTS,
    WHOLE,
    Variant,
    faults_of,
)
from tests import builders

ROOT = Path(__file__).resolve().parents[2]
TWO_LIVE, AHEAD, TWICE, STUCK = (
    "I02: two live orders",
    "I05: ledger ahead of exchange",
    "I03: two orders of one intent",
    "stuck for ever",
)
COUNTEREXAMPLES = {
    "post-first": (TWO_LIVE, 8),
    "timeout-is-no": (TWO_LIVE, 8),
    "404-is-no": (TWO_LIVE, 11),
    "new-id": (TWO_LIVE, 7),
    "reject-final": (TWO_LIVE, 17),
    "blind-resend": (TWO_LIVE, 17),
    "cancel-is-end": (TWO_LIVE, 8),
    "delta-fills": (AHEAD, 7),
    "exchange-id-only": (STUCK, 2),
    "no-reconcile": (STUCK, 2),
    "no-timeout": (STUCK, 3),
    "claim-from-memory": (TWO_LIVE, 7),
    "late-send": (TWO_LIVE, 14),
    "late-resend": (TWO_LIVE, 19),
    "stale-denial": (TWO_LIVE, 13),
    "a2": (TWO_LIVE, 13),
    "a3": (TWO_LIVE, 13),
    "no-void-403": (TWO_LIVE, 16),
    "a1-a3": (TWICE, 12),
}
"""What goes wrong, and how few steps that takes."""

HOLDING = [variant for variant in (*DESIGNS, *WHOLE, *ASSUMPTIONS) if variant.expected == HOLDS]
FAILING = [variant for variant in (*BROKEN, *ASSUMPTIONS) if variant.expected == FAILS]


found = cache(check)
"""A run costs up to a second, and several tests look at the same one."""


def named(variants: list[Variant]) -> list[object]:
    return [pytest.param(variant, id=variant.name) for variant in variants]


@pytest.mark.parametrize("variant", named(HOLDING))
def test_the_protocol_is_safe_and_always_ends(variant: Variant) -> None:
    result = found(variant.small)
    assert result.failure is None, "\n".join(told.what for told in result.trace)
    assert result.states > 50


@pytest.mark.parametrize("variant", named(FAILING))
def test_what_is_broken_fails_and_says_how(variant: Variant) -> None:
    result = found(variant.small)
    assert (result.failure, len(result.trace)) == COUNTEREXAMPLES[variant.name]
    assert result.trace[0].what in {"main writes down order 1, a buy", "main wants to buy"}


def test_every_variant_of_the_table_is_there() -> None:
    assert COUNTEREXAMPLES.keys() == {variant.name for variant in FAILING}
    assert len(VARIANTS) == len(DESIGNS) + len(WHOLE) + len(BROKEN) + len(ASSUMPTIONS)
    assert all(variant.full.protocol == DCA for variant in (*DESIGNS, *WHOLE))


@pytest.mark.parametrize("variant", named([VARIANTS[name] for name in ("crashes", "lags", "stalls")]))
def test_what_is_left_out_does_not_change_the_verdict(variant: Variant) -> None:
    reduced, whole = found(variant.small), found(replace(variant.small, reduces=False))
    assert (reduced.failure, whole.failure) == (None, None)
    assert reduced.states < whole.states


@pytest.mark.parametrize("name", ["reject-final", "blind-resend", "late-send", "stale-denial", "a2", "a3"])
def test_what_is_left_out_hides_no_failure(name: str) -> None:
    """One step less: who has no answer leaves the order at once."""
    rules = replace(VARIANTS[name].small, reduces=True)
    failure, steps = COUNTEREXAMPLES[name]
    result = found(rules)
    assert (result.failure, len(result.trace)) == (failure, steps - 1)


def test_every_way_out_of_the_protocol_is_taken() -> None:
    """A model in which something never happens proves nothing about it."""
    met = frozenset().union(*(found(variant.small).met for variant in DESIGNS))
    for what in (
        "main writes down order {n}, a sell",
        "main writes down order {n}, a buy; the commit's answer is lost",
        "main runs the claim again and finds order {n} written",
        "main writes down another attempt at order {n}",
        "main sends order {n} again (attempt 2)",
        "main books the 403 of order {n}",
        "main gives order {n} up",
        "caretaker gives order {n} up",
        "caretaker finds that order {n} is not to be given up",
        "caretaker books what it was told of order {n}",
        "caretaker writes down that order {n} has to be canceled",
        "order {n} is canceled",
        "the overtaken main books the answer to order {n}",
        "a POST of order {n} arrives: 403; the answer is lost",
    ):
        assert what in met, what


def test_an_id_that_is_known_already_is_looked_up() -> None:
    """A second POST of an id meets the first one's order only if that one was late: A3 does not hold."""
    rules = VARIANTS["no-void"].small
    result = found(rules)
    assert result.failure is None
    assert "a POST of order {n} arrives: its id is known already" in result.met


def test_the_shortest_counterexample_reads_as_a_story() -> None:
    told = found(VARIANTS["new-id"].small).trace
    assert [line.what for line in told] == [
        "main writes down order 1, a buy",
        "main sends order 1",
        "main waits no longer for order 1; its POST is under way",
        "main gives the wish another id: order 2",
        "main sends order 2",
        "a POST of order 1 arrives: accepted",
        "a POST of order 2 arrives: accepted",
    ]
    assert command.books(told[-1]) == "1 rejected | open; 2 sent | open"


def test_a_verdict_against_what_is_expected_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--variant", "cancel-is-end"]) == 0
    shown = capsys.readouterr().out
    assert "8  a POST of order 2 arrives: accepted" in shown
    assert "1 done | open; 2 sent | open" in shown
    assert max(map(len, shown.splitlines())) <= 120
    wrong = command.Run(
        variant=VARIANTS["new-id"],
        rules=VARIANTS["new-id"].small,
        result=Result(states=1, met=frozenset()),
        seconds=0.0,
    )
    assert not wrong.as_expected


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--variant", "nonsense"])
    assert ended.value.code == 2


def test_faults_are_told_in_words() -> None:
    assert faults_of(Rules(budget=Budget(crashes=2, losses=1, timeouts=1))) == "2 crashes, 1 loss, 1 timeout"
    assert faults_of(Rules(budget=Budget())) == "no faults"


def test_the_end_is_reached_without_any_fault() -> None:
    assert check(Rules(budget=Budget(), buys=2, lots=2)).failure is None


def test_a_single_denial_ends_nothing() -> None:
    state = first(Budget())._replace(rows=(Row("buy", 1, SENT),))
    rules = Rules(budget=Budget())
    once, for_good = transactions.count_denial(state, 0, early=False, rules=rules)
    assert (once.rows[0].denied_once, for_good) == (True, False)
    assert transactions.count_denial(once, 0, early=True, rules=rules) == (once, False)
    assert transactions.count_denial(once, 0, early=False, rules=rules) == (once, True)


# ---- the model against the code ------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(OrderState))
def test_a_snapshot_is_merged_as_dca_does_it(state: OrderState) -> None:
    """Whatever the row and whatever the snapshot: the same state and the same fill."""
    for known, filled, closed in product((0, 1, 2), (0, 1, 2), (False, True)):
        status = "canceled" if closed else "new"
        was_closed = state is OrderState.DONE
        row = builders.order(
            qty=Decimal(2),
            state=state,
            filled_qty=Decimal(known),
            filled_avg_price=Decimal(100) if known else None,
            exchange_status="canceled" if was_closed else None,
            closed_at=builders.NOW if was_closed else None,
        )
        snapshot = builders.snapshot(
            row, status, filled_qty=Decimal(filled), filled_avg_price=Decimal(100) if filled else None
        )
        real = ledger.merge(row, snapshot, builders.NOW)
        modelled = booked(state, known, Snapshot(filled, closed))
        name = {GHOST_DONE: GHOST}.get(modelled.state, modelled.state)
        assert (name, Decimal(modelled.filled)) == (real.state.value, real.filled_qty)
        if state in {OrderState.VOID, OrderState.REJECTED}:
            assert (modelled.state == GHOST_DONE) == (real.closed_at is not None)
    assert "canceled" in CLOSED_AT_EXCHANGE


def booked(state: OrderState, filled: int, snapshot: Snapshot) -> Row:
    before = first(Budget())._replace(rows=(Row("buy", 2, state.value, filled),))
    return transactions.book(before, 0, snapshot).rows[0]


def test_the_code_that_a_step_stands_for_is_there() -> None:
    """The package's docstring maps every step; a name in it that is gone has to be looked at."""
    assert proof.model.__doc__ is not None
    table = proof.model.__doc__.split("the code\n")[1].split("What is assumed")[0]
    names = set(re.findall(r"\b[A-Z]?[a-z]+\._?[a-z_]+\b", table))
    assert len(names) > 20
    assert names - set(defined_in_dca()) == set()


def defined_in_dca() -> Iterator[str]:
    """Every function of dca as module.function, every method as Class.method."""
    for file in (ROOT / "dca").rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                yield f"{file.stem}.{node.name}"
            elif isinstance(node, ast.ClassDef):
                yield from (
                    f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)
                )


def test_the_limit_is_that_of_the_code() -> None:
    assert bookkeeper.MAX_ATTEMPTS == transactions.MAX_ATTEMPTS


# ---- the checker itself --------------------------------------------------------------------------------


def test_folding_keeps_the_coins_of_what_is_over() -> None:
    rules = Rules(budget=Budget())
    bought = Row("buy", 2, "done", 2, exchange="closed", exchange_filled=2)
    state = first(Budget())._replace(rows=(bought, Row("sell", 2, SENT)))
    folded = folding.fold(state, rules)
    assert (folded.held, folded.buys, len(folded.rows)) == (2, 1, 1)
    busy = state._replace(caretaker=state.caretaker._replace(at="found", order=0))
    assert folding.surviving(busy) == [0, 1]


def test_a_caretaker_that_is_left_out_does_nothing() -> None:
    rules = Rules(budget=Budget(crashes=1), caretaker=False)
    state = first(rules.budget)._replace(rows=(Row("buy", 1, SENT),))
    assert not [step for step in successors(state, rules) if step.what.startswith(CARETAKER + " looks")]
    assert [step for step in successors(state, rules) if step.what.startswith(MAIN)]


def test_states_are_values() -> None:
    assert first(Budget()) == State(*first(Budget()))
    assert hash(first(Budget(losses=1))) != hash(first(Budget()))
