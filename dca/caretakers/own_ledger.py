"""Checks our own ledger, cycle by cycle: repairs a cycle that its orders explain, and locks the asset if an
invariant does not hold. All cycles are scanned first; a suspicious one is checked again under its row lock
before anything is concluded.

Every writer of an order locks its cycle's row first, and writes both in one transaction. Only under the row
lock do cycle and orders form one state: without it, two statements see two moments (READ COMMITTED), and a
fill in between would look like a violation.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from dca.caretakers.job import Job
from dca.core import invariants, order_cleanup
from dca.core.interfaces import Transaction
from dca.core.invariants import Violation
from dca.core.model import ENDED, Asset, Cycle, LockKind, Order
from dca.core.order_cleanup import Verdict
from dca.runtime.log_lines import warn
from dca.trading.cycle_writes import write_booking

LEFTOVERS = timedelta(days=30)
"""Oldest ended cycles that are checked."""
MARGIN = timedelta(minutes=1)
"""Margin for a clock that was set back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The result, by asset. `sick`: rows still to be repaired, in a dry run; `orders`: those of the cycles
    that were checked."""

    sick: set[int] = field(default_factory=set)
    orders: dict[int, list[Order]] = field(default_factory=dict)


class Inspector:
    """One run's check of the ledger. `having_cycle`: assets that certainly have a live cycle.

    It checks the live cycles and those that ended since the last good run or, for a locked asset, since
    before its lock, so that the lock's cause is still seen.
    """

    def __init__(self, job: Job, having_cycle: set[int]) -> None:
        self._job = job
        self._having_cycle = having_cycle

    def inspect(self) -> Inspection:
        """Repair, check and lock."""
        found = Inspection()
        read = self._job.store.transaction
        assets, last_run = read(lambda tx: (tx.assets(), self._last_good_run(tx, self._job.clock.now())))
        rows = read(_Rows)
        seen = read(lambda tx: self._glance(tx, assets, rows, last_run))
        for asset in assets:
            if self._looks_right(asset, rows, seen[asset.id]):
                found.orders[asset.id] = [order for each in seen[asset.id] for order in each.orders]
            else:
                self._inspect(asset, rows, last_run, found)
        return found

    def _glance(
        self, tx: Transaction, assets: list[Asset], rows: "_Rows", last_run: datetime
    ) -> dict[int, list[Verdict]]:
        """Scan every cycle without row locks: one statement for all, since most are in order."""
        now = self._job.clock.now()
        cycles = [*rows.cycles, *tx.cycles_ended_since(last_run)]
        orders = by_cycle(tx, cycles)
        found: dict[int, list[Verdict]] = {asset.id: [] for asset in assets}
        by_id = {asset.id: asset for asset in assets}
        for each in cycles:
            if each.asset_id in found:
                seen = order_cleanup.verdict(by_id[each.asset_id], each, orders[each.id], now)
                found[each.asset_id].append(seen)
        return found

    def _looks_right(self, asset: Asset, rows: "_Rows", seen: list[Verdict]) -> bool:
        """Whether an asset needs no closer check. A locked one always does: the cause may lie further
        back."""
        if asset.lock_reason is not None or any(each.is_sick or each.violations for each in seen):
            return False
        return not self._of_rows(asset, rows)

    def _inspect(self, asset: Asset, rows: "_Rows", last_run: datetime, found: Inspection) -> None:
        job = self._job
        verdicts, violations = job.store.transaction(lambda tx: self._judge(tx, asset, rows, last_run))
        for each in verdicts:
            if each.is_sick:
                change = f"status={each.before.status}->{each.booking.cycle.status}"
                what = f"recompute cycle {each.before.id} from its orders, {change}"
                job.act(what, asset.asset_symbol, partial(self._heal, asset, each.before))
                if job.dry_run and each.before.status not in ENDED:
                    found.sick.add(asset.id)
        if violations and asset.lock_reason is None:
            # Checked again and locked in the same transaction, so that no order of ours comes in between.
            what = f"lock: {invariants.reason(violations)}"
            job.act(what, asset.asset_symbol, partial(lock, job, asset, partial(self.judge, asset)))
        found.orders[asset.id] = [order for each in verdicts for order in each.orders]

    def judge(self, asset: Asset, tx: Transaction) -> list[Violation]:
        """Everything wrong with an asset's rows now; its cycles stay locked until the transaction ends."""
        return self._judge(tx, asset, _Rows(tx), self._last_good_run(tx, self._job.clock.now()))[1]

    def _judge(
        self, tx: Transaction, asset: Asset, rows: "_Rows", last_run: datetime
    ) -> tuple[list[Verdict], list[Violation]]:
        now = self._job.clock.now()
        live = tx.live_cycle(asset.id)
        ended = [tx.cycle(each.id) for each in tx.ended_cycles(asset.id, self._since(tx, asset, last_run))]
        cycles = ended if live is None else [live, *ended]
        verdicts = [
            order_cleanup.verdict(asset, cycle, tx.counting_orders(cycle.id), now) for cycle in cycles
        ]
        found = self._of_rows(asset, rows)
        found += [each for verdict in verdicts for each in verdict.violations]
        return verdicts, unaccepted(tx, asset, found)

    def _of_rows(self, asset: Asset, rows: "_Rows") -> list[Violation]:
        judged = rows.has_cycle(asset) or asset.id in self._having_cycle
        return [*rows.undecided(asset), *(rows.violations(asset) if judged else [])]

    def _since(self, tx: Transaction, asset: Asset, last_run: datetime) -> datetime:
        if asset.lock_kind is not LockKind.BREAK or asset.locked_at is None:
            return last_run
        run_that_locked = self._last_good_run(tx, asset.locked_at)
        return min(last_run, self._last_good_run(tx, run_that_locked))

    def _last_good_run(self, tx: Transaction, before: datetime) -> datetime:
        at = tx.last_done_run_at(self._job.context.name, before)
        return max(at or before - LEFTOVERS, before - LEFTOVERS) - MARGIN

    def _heal(self, asset: Asset, seen: Cycle) -> bool:
        """Recompute and write a cycle from its current orders."""
        now = self._job.clock.now()

        def work(tx: Transaction) -> bool:
            cycle = tx.cycle(seen.id)
            verdict = order_cleanup.verdict(asset, cycle, tx.counting_orders(cycle.id), now)
            if verdict.is_sick:
                write_booking(tx, cycle, verdict.booking, now)
            return verdict.is_sick

        healed = self._job.store.transaction(work)
        if healed:
            warn("cycle", "computed anew from its orders", symbol=asset.asset_symbol, cycle=seen.id)
        return healed


class _Rows:
    """All live cycles, live orders and undecided orders: one statement each, so each is consistent in
    itself."""

    def __init__(self, tx: Transaction) -> None:
        self.cycles = tx.live_cycles()
        self._orders = [order for order in tx.open_orders() if order.is_live]
        self._undecided = tx.undecided_orders()

    def has_cycle(self, asset: Asset) -> bool:
        return any(cycle.asset_id == asset.id for cycle in self.cycles)

    def undecided(self, asset: Asset) -> list[Violation]:
        return [invariants.undecided(order) for order in self._undecided if order.asset_id == asset.id]

    def violations(self, asset: Asset) -> list[Violation]:
        cycles = [cycle for cycle in self.cycles if cycle.asset_id == asset.id]
        orders = [order for order in self._orders if order.asset_id == asset.id]
        return invariants.of_asset(asset, cycles, orders)


def by_cycle(tx: Transaction, cycles: Iterable[Cycle]) -> dict[int, list[Order]]:
    """The orders of these cycles, oldest first, not locked."""
    found: dict[int, list[Order]] = {cycle.id: [] for cycle in cycles}
    for order in tx.orders_of_cycles(list(found)):
        found[order.cycle_id].append(order)
    return found


def lock(job: Job, asset: Asset, judge: Callable[[Transaction], list[Violation]]) -> bool:
    """Lock an asset for what `judge` finds, with the evidence; False if it finds nothing or the asset was
    already locked."""
    now = job.clock.now()

    def work(tx: Transaction) -> list[Violation]:
        violations = judge(tx)
        is_locked = bool(violations) and tx.lock_asset(asset.id, invariants.reason(violations), now)
        return violations if is_locked else []

    violations = job.store.transaction(work)
    for each in violations:
        warn("invariant", each.number, symbol=asset.asset_symbol, why=each.words)
    if violations:
        warn("asset", "locked", symbol=asset.asset_symbol, why=invariants.reason(violations))
    return bool(violations)


def unaccepted(tx: Transaction, asset: Asset, violations: list[Violation]) -> list[Violation]:
    """The violations without those that the operator has accepted. Queries nothing if there are none."""
    if not any(each.at for each in violations):
        return violations
    return invariants.not_accepted(violations, tx.last_action_at(asset.asset_symbol, "accept"))
