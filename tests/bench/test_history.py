"""The part `history` on a small past: both databases are alike but for it, and everything is timed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench import history, history_fill, history_present
from bench.ground import Ground
from bench.history import PART, Samples, Size
from bench.history_life import Life, in_turn
from dca.core.model import CycleStatus
from dca.database.report_queries import Which
from dca.database.store import Store, Transaction
from launcher import server_packages
from paper_exchange.pairs import all_pairs

CYCLES = 300
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
PAIRS = list(all_pairs(3).values())[:3]


@pytest.mark.skipif(server_packages.found() is None, reason="MariaDB is not installed here")
def test_two_databases_differ_in_their_past_only_and_every_hot_statement_is_timed(tmp_path: Path) -> None:
    with Ground(tmp_path) as ground:
        made = [ground.database(name) for name in ("empty", "years")]
        with Store(made[0]) as empty, Store(made[1]) as years:
            for store in (empty, years):
                history_present.add_assets(store, PAIRS)
            history._fill(ground, made[1], CYCLES, PAIRS)
            held = [history_present.begin(store, PAIRS) for store in (empty, years)]
            assert held[0] == held[1] and set(held[0]) == {pair.symbol for pair in PAIRS}
            assert [counts(store) for store in (empty, years)] == [(0, 0), (CYCLES, 5 * CYCLES)]
            before = [live(store) for store in (empty, years)]
            assert before[0] == before[1]
            assert years.transaction(lambda tx: tx.leftover_cycles(LONG_AGO)) == []
            lives = Life(empty), Life(years)
            in_turn(lives, len(PAIRS), 2)
            assert lives[0].watch.samples.keys() == lives[1].watch.samples.keys()
            assert {"live_cycle", "insert_order", "leftover_cycles", "claim, committed"} <= set(
                lives[0].watch.samples
            )
            assert [counts(store) for store in (empty, years)] == [(2, 6), (CYCLES + 2, 5 * CYCLES + 6)]


def counts(store: Store) -> tuple[int, int]:
    """Ended cycles, and orders of them."""

    def read(tx: Transaction) -> tuple[int, int]:
        ended = tx.cycle_reports(None, Which.CLOSED, 10_000)
        assert all(each.status in {CycleStatus.COMPLETE, CycleStatus.ERROR} for each in ended)
        ids = {each.id for each in ended}
        orders = [each for each in tx.order_reports(None, 10_000) if each.cycle_id in ids]
        return len(ended), len(orders)

    return store.transaction(read)


def live(store: Store) -> list[Any]:
    """The live cycles without their ids."""

    def read(tx: Transaction) -> list[Any]:
        cycles = sorted(tx.live_cycles(), key=lambda each: each.asset_id)
        return [(each.asset_id, each.status, each.quantity, each.average_purchase_price) for each in cycles]

    return store.transaction(read)


def test_a_past_has_so_many_rows_whatever_the_portions() -> None:
    assert list(history_fill._chunks(20_001)) == [(1, 10_000), (10_001, 10_000), (20_001, 1)]
    assert history_fill.Past(cycles=1_000_000).days / 365 == pytest.approx(5, abs=0.1)
    assert history_fill.Past(cycles=1_000_000).kept_days == 90


def rows(slow: float) -> list[Any]:
    """Statement `b` and the watchdog take so many times as long with a past."""
    names = [*history._CARETAKERS, *history._COMMANDS, *history._READS_ALL]
    samples = Samples(size=Size(cycles=CYCLES, lives=1, runs=1))
    samples.statements = {"a": ([1.0], [1.1]), "b": ([1.0], [slow])}
    for name in ("claim", "book", "sell out"):
        samples.statements[f"{name}, committed"] = ([1.0], [1.0])
    samples.processes = {name: ([1.0], [slow if name == "watchdog" else 1.0]) for name in names}
    return list(history._rows(samples, judged=True))


def test_the_worst_statement_and_each_process_are_judged() -> None:
    assert all(row.part == PART for row in rows(1.0))
    verdicts = {row.name: row.met for row in rows(1.15)}
    assert set(verdicts.values()) == {True, None} and verdicts["profit --by month"] is None
    bad = {row.name: row for row in rows(1.3)}
    assert [name for name, row in bad.items() if row.met is False] == ["worst hot statement", "watchdog"]
    assert bad["worst hot statement"].about.startswith("b, of 2 statements")
    assert bad["worst hot statement"].ours == 1300 and bad["worst hot statement"].floor == 1000
